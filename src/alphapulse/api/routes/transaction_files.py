"""REST API Endpoints: transactions as files, out and in."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from alphapulse.api.auth import PortfolioKeeper, PortfolioViewer
from alphapulse.api.dependencies import AllServices, RequestId
from alphapulse.api.keyed import REPLAYED, IdempotencyKey, key_of, response_of
from alphapulse.api.openapi import problem_responses
from alphapulse.api.schemas.base import Input
from alphapulse.api.schemas.transaction_files import (
    ExportQuery,
    ImportBody,
    ImportedBody,
    ImportList,
    UndoneBody,
)
from alphapulse.api.views import transaction_files as views
from alphapulse.api.views.meta import plain_meta
from alphapulse.api.views.orders import utc
from alphapulse.database.queries.ledger import EntryFilter
from alphapulse.domain.identifiers import AccountId
from alphapulse.errors import (
    BadRows,
    Conflict,
    ExtraMissing,
    IdempotencyKeyReused,
    InProgress,
    NotFound,
)
from alphapulse.services.transaction_export import ExportFormat

router = APIRouter()

IMPORT_PATH = "/api/portfolio/import"

MEDIA_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.JSON: "application/json",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
}


class _Nothing(Input):
    """The body of a request that has none."""


@router.get(
    "/api/portfolio/export",
    tags=["portfolio"],
    operation_id="export_portfolio_transactions",
    response_class=StreamingResponse,
    responses=problem_responses(NotFound, ExtraMissing)
    | {
        200: {
            "description": "The file, streamed.",
            "content": {kind.partition(";")[0]: {} for kind in MEDIA_TYPES.values()},
        }
    },
)
async def get_export(
    query: Annotated[ExportQuery, Query()], viewer: PortfolioViewer, services: AllServices
) -> StreamingResponse:
    """Every movement as a file, the earliest first, of any length.

    CSV and JSON can be imported again without losing a digit; their text cells are safe in a
    spreadsheet. Parquet needs the extra `parquet`. Where a file ends early, the connection does.
    """
    accounts = services.portfolio.accounts(viewer, [AccountId(one) for one in query.account])
    wanted = EntryFilter(kinds=query.kind or None, start=utc(query.from_), end=utc(query.to))
    parts = await services.exports.file(accounts, wanted, query.format)
    name = f"alphapulse-transactions-{services.clock.now():%Y%m%dT%H%M%SZ}.{query.format}"
    return StreamingResponse(
        parts,
        media_type=MEDIA_TYPES[query.format],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.post(
    IMPORT_PATH,
    tags=["portfolio"],
    operation_id="import_portfolio_transactions",
    response_model=ImportedBody,
    responses=problem_responses(NotFound, BadRows, Conflict, InProgress, IdempotencyKeyReused)
    | {201: {"model": ImportedBody, "description": "Imported.", "headers": REPLAYED}},
)
async def post_import(
    body: ImportBody,
    caller: PortfolioKeeper,
    services: AllServices,
    request: Request,
    request_id: RequestId,
    key: IdempotencyKey = None,
) -> Response:
    """Show what a file of transactions would change; with `dry_run: false`, import what is new.

    All of it or nothing: rows that cannot be read are named by line and column, the first 50.
    What the ledger knows already is left as it is, so the same file again changes nothing.
    """
    services.portfolio.accounts(caller.viewer, [AccountId(body.account_id)])  # or there is none
    upload = views.upload_of(body)
    now, similar = services.clock.now(), body.include_similar
    if body.dry_run:
        preview = await services.imports.preview(caller.viewer, upload, all_similar=similar)
        return _json(views.previewed(preview, now, request_id))
    answer = await services.imports.run(
        caller,
        upload,
        key_of(caller.user_id, key or secrets.token_hex(16), request, body),
        views.ImportComposer(now, request_id).imported,
        all_similar=similar,
    )
    return response_of(answer)


@router.get(
    "/api/portfolio/imports",
    tags=["portfolio"],
    operation_id="list_portfolio_imports",
)
async def get_imports(
    viewer: PortfolioViewer, services: AllServices, request_id: RequestId
) -> ImportList:
    """Files that were imported, the newest first, those that were undone among them."""
    imports = await services.imports.list(services.portfolio.accounts(viewer, []))
    return ImportList(
        meta=plain_meta(services.clock.now(), request_id),
        items=[views.import_view(one) for one in imports],
    )


@router.post(
    "/api/portfolio/imports/{import_id}/undo",
    tags=["portfolio"],
    operation_id="undo_portfolio_import",
    response_model=UndoneBody,
    responses=problem_responses(NotFound, Conflict, InProgress, IdempotencyKeyReused),
)
async def post_undo(
    import_id: str,
    caller: PortfolioKeeper,
    services: AllServices,
    request: Request,
    request_id: RequestId,
    key: IdempotencyKey = None,
) -> Response:
    """Take a whole import back: an entry at the same time reverses each of its entries.

    Both stay in the ledger and sum to nothing; the same file may be imported again.
    """
    answer = await services.imports.undo(
        caller,
        import_id,
        key_of(caller.user_id, key or secrets.token_hex(16), request, _Nothing()),
        views.ImportComposer(services.clock.now(), request_id).undone,
    )
    return response_of(answer)


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), media_type="application/json")
