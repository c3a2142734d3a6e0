"""REST API Endpoints: every movement, and the proof that they add up."""

import secrets
from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from alphapulse.api.auth import ExchangeViewer, PortfolioKeeper, PortfolioViewer
from alphapulse.api.dependencies import AllServices, RequestId
from alphapulse.api.keyed import REPLAYED, IdempotencyKey, key_of, response_of
from alphapulse.api.openapi import problem_responses
from alphapulse.api.schemas.ledger import (
    AcceptBody,
    AcceptedBody,
    ReconcileBody,
    ReconcileQuery,
    TransactionPage,
    TransactionsQuery,
    TransferPage,
    TransfersQuery,
)
from alphapulse.api.views import ledger as views
from alphapulse.api.views.meta import plain_meta
from alphapulse.domain.account import Account
from alphapulse.domain.identifiers import AccountId
from alphapulse.errors import Conflict, IdempotencyKeyReused, InProgress, NotFound
from alphapulse.services.business_logic import Services
from alphapulse.services.ledger import Residual
from alphapulse.services.viewer import Viewer

router = APIRouter()


@router.get(
    "/api/exchange/transfers",
    tags=["exchange"],
    operation_id="list_exchange_transfers",
    responses=problem_responses(NotFound),
)
async def get_transfers(
    query: Annotated[TransfersQuery, Query()],
    viewer: ExchangeViewer,
    services: AllServices,
    request_id: RequestId,
) -> TransferPage:
    """Deposits, withdrawals and transfers of every account, newest first."""
    accounts = _accounts(services, viewer, query.account, query.exchange)
    page = await services.ledger.page(
        accounts, views.filter_of(query), cursor=query.cursor, limit=query.limit
    )
    return views.transfers_of(page, accounts, plain_meta(services.clock.now(), request_id))


@router.get(
    "/api/portfolio/transactions",
    tags=["portfolio"],
    operation_id="list_portfolio_transactions",
    responses=problem_responses(NotFound),
)
async def get_transactions(
    query: Annotated[TransactionsQuery, Query()],
    viewer: PortfolioViewer,
    services: AllServices,
    request_id: RequestId,
) -> TransactionPage:
    """Every movement of every asset, newest first: fills, fees, transfers, funding and the rest.

    Double entry: whatever came into one book came out of another, so the postings of each one sum
    to zero. What an exchange holds is the sum of the `venue` postings.
    """
    accounts = _accounts(services, viewer, query.account, query.exchange)
    page = await services.ledger.page(
        accounts, views.filter_of(query), cursor=query.cursor, limit=query.limit
    )
    return views.transactions_of(page, accounts, plain_meta(services.clock.now(), request_id))


@router.get(
    "/api/portfolio/reconcile",
    tags=["portfolio"],
    operation_id="get_portfolio_reconcile",
    responses=problem_responses(NotFound),
)
async def get_reconcile(
    query: Annotated[ReconcileQuery, Query()],
    viewer: PortfolioViewer,
    services: AllServices,
    request_id: RequestId,
) -> ReconcileBody:
    """Whether the movements add up to what the exchanges show, asset by asset.

    As of the last comparison, which runs each minute; `POST
    /api/exchange/accounts/{id}/reconcile` compares now. A residual is never corrected by itself.
    """
    accounts = _accounts(services, viewer, query.account, query.exchange)
    proofs = await services.ledger.proofs(accounts)
    return views.proof_of(proofs, query, services.clock.now(), request_id)


@router.post(
    "/api/portfolio/reconcile/accept",
    tags=["portfolio"],
    operation_id="accept_portfolio_residual",
    status_code=201,
    response_model=AcceptedBody,
    responses=problem_responses(NotFound, Conflict, InProgress, IdempotencyKeyReused)
    | {201: {"headers": REPLAYED}},
)
async def post_accept(
    body: AcceptBody,
    caller: PortfolioKeeper,
    services: AllServices,
    request: Request,
    request_id: RequestId,
    key: IdempotencyKey = None,
) -> Response:
    """Book a residual as an adjustment, with your reason: from then on it is expected.

    It is an entry like any other, and stays. Refused when the residual is not the one you name.
    """
    account_id = AccountId(body.account_id)
    accounts = services.portfolio.accounts(caller.viewer, [account_id])
    answer = await services.ledger.accept(
        caller,
        Residual(account_id, body.asset, body.residual, body.reason),
        key_of(caller.user_id, key or secrets.token_hex(16), request, body),
        views.AcceptComposer(accounts, services.clock.now(), request_id),
    )
    return response_of(answer)


def _accounts(
    services: Services, viewer: Viewer, only: Iterable[str], exchange: str | None
) -> tuple[Account, ...]:
    """Raises `NotFound` for one that is not the viewer's."""
    seen = services.portfolio.accounts(viewer, [AccountId(one) for one in only])
    return tuple(one for one in seen if exchange is None or one.exchange == exchange)
