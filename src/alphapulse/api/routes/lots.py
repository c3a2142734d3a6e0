"""REST API Endpoints: what is held at which cost, what the rest gained, and transfers."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Query

from alphapulse.api.auth import PortfolioKeeper, PortfolioViewer
from alphapulse.api.dependencies import AllServices, RequestId
from alphapulse.api.openapi import problem_responses
from alphapulse.api.schemas.lots import (
    DisposalPage,
    LotPage,
    LotsQuery,
    MatchBody,
    MatchedBody,
    PositionLotsQuery,
    RepairBody,
    RepairedBody,
    TransferMatchList,
    TransfersMatchedQuery,
)
from alphapulse.api.views import lots as views
from alphapulse.api.views.meta import plain_meta
from alphapulse.api.views.orders import utc
from alphapulse.api.views.positions import lines_of
from alphapulse.domain.account import Account
from alphapulse.domain.cost_basis.lots import LotId
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.portfolio import HoldingValue
from alphapulse.domain.valuation import settle_of
from alphapulse.errors import InvalidInput, NotFound, NotReady
from alphapulse.services.business_logic import Services
from alphapulse.services.lots import LotsWanted, RepairWanted
from alphapulse.services.viewer import Viewer

router = APIRouter(prefix="/api/portfolio", tags=["portfolio"])


@router.get(
    "/lots", operation_id="list_portfolio_lots", responses=problem_responses(NotFound, NotReady)
)
async def get_lots(
    query: Annotated[LotsQuery, Query()],
    viewer: PortfolioViewer,
    services: AllServices,
    request_id: RequestId,
) -> LotPage:
    """What is held, each quantity with the date and the cost at which it was acquired.

    In your own currency. What is gone is listed by `/api/portfolio/disposals`.
    """
    accounts = _accounts(services, viewer, query.account, query.exchange)
    page = await services.lots.lots(
        _wanted(accounts, viewer, query), cursor=query.cursor, limit=query.limit
    )
    meta = views.meta_in(viewer.currency, services.clock.now(), request_id)
    return views.lots_of(page, query.method, accounts, meta)


@router.get(
    "/disposals",
    operation_id="list_portfolio_disposals",
    responses=problem_responses(NotFound, NotReady),
)
async def get_disposals(
    query: Annotated[LotsQuery, Query()],
    viewer: PortfolioViewer,
    services: AllServices,
    request_id: RequestId,
) -> DisposalPage:
    """What was sold or spent: from which lots, at which rates, and what it gained.

    In your own currency.
    """
    accounts = _accounts(services, viewer, query.account, query.exchange)
    page = await services.lots.disposals(
        _wanted(accounts, viewer, query), cursor=query.cursor, limit=query.limit
    )
    meta = views.meta_in(viewer.currency, services.clock.now(), request_id)
    return views.disposals_of(page, query.method, accounts, meta)


@router.get(
    "/positions/{id}/lots",
    operation_id="list_portfolio_position_lots",
    responses=problem_responses(NotFound, NotReady),
)
async def get_position_lots(
    id: str,
    query: Annotated[PositionLotsQuery, Query()],
    viewer: PortfolioViewer,
    services: AllServices,
    request_id: RequestId,
) -> LotPage:
    """The lots of one position: of its asset, in its account. A contract has none."""
    lines = lines_of(services.portfolio.snapshot(viewer), services.live, include_zero=True)
    line = next((one for one in lines if one.id == id), None)
    if line is None:
        raise NotFound("no such position", position=id[:200])
    is_holding = isinstance(line.value, HoldingValue)
    asset = (
        line.value.holding.balance.asset
        if isinstance(line.value, HoldingValue)
        else settle_of(line.value.position.symbol)
    )
    wanted = LotsWanted([line.account] if is_holding else [], viewer.currency, query.method, asset)
    page = await services.lots.lots(wanted, cursor=query.cursor, limit=query.limit)
    meta = views.meta_in(viewer.currency, services.clock.now(), request_id)
    return views.lots_of(page, query.method, [line.account], meta)


@router.post(
    "/lots/repair",
    operation_id="repair_portfolio_lot",
    status_code=202,
    responses=problem_responses(NotFound, InvalidInput, NotReady),
)
async def post_repair(
    body: RepairBody, caller: PortfolioKeeper, services: AllServices, request_id: RequestId
) -> RepairedBody:
    """Say what a lot of unknown basis cost, and when it was acquired; all that follows from it is
    counted again. The last word counts."""
    said = RepairWanted(
        AccountId(body.account_id), LotId(body.lot_id), body.cost, utc(body.acquired_at)
    )
    await services.lots.repair(caller, said)
    currency = caller.viewer.currency
    return RepairedBody(
        meta=views.meta_in(currency, services.clock.now(), request_id),
        account_id=body.account_id,
        lot_id=body.lot_id,
        cost=body.cost,
        currency=currency,
        acquired_at=said.acquired_at,
    )


@router.get(
    "/transfers",
    operation_id="list_portfolio_transfers",
    responses=problem_responses(NotFound),
)
async def get_transfers(
    query: Annotated[TransfersMatchedQuery, Query()],
    viewer: PortfolioViewer,
    services: AllServices,
    request_id: RequestId,
) -> TransferMatchList:
    """The transfers between your accounts that were found, each with its evidence. They carry the
    basis of what moved."""
    accounts = _accounts(services, viewer, query.account, None)
    matches = await services.lots.transfers(accounts)
    return views.transfers_of(matches, plain_meta(services.clock.now(), request_id))


@router.post(
    "/transfers",
    operation_id="make_portfolio_transfer",
    status_code=201,
    responses=problem_responses(NotFound, InvalidInput),
)
async def post_transfer(
    body: MatchBody, caller: PortfolioKeeper, services: AllServices, request_id: RequestId
) -> MatchedBody:
    """Say that two movements are one transfer; lots are counted again."""
    match = await services.lots.make_transfer(caller, int(body.outgoing_id), int(body.incoming_id))
    return MatchedBody(
        meta=plain_meta(services.clock.now(), request_id), transfer=views.match_view(match)
    )


@router.delete(
    "/transfers/{id}",
    operation_id="undo_portfolio_transfer",
    status_code=204,
    responses=problem_responses(NotFound),
)
async def delete_transfer(id: str, caller: PortfolioKeeper, services: AllServices) -> None:
    """Say that the two ends of a transfer are two movements; lots are counted again. It is not
    found by itself again."""
    if not id.isdecimal() or len(id) > 18:
        raise NotFound("no such transfer", transfer=id[:100])
    await services.lots.undo_transfer(caller, int(id))


def _accounts(
    services: Services, viewer: Viewer, only: Iterable[str], exchange: str | None
) -> tuple[Account, ...]:
    """Raises `NotFound` for one that is not the viewer's."""
    seen = services.portfolio.accounts(viewer, [AccountId(one) for one in only])
    return tuple(one for one in seen if exchange is None or one.exchange == exchange)


def _wanted(accounts: tuple[Account, ...], viewer: Viewer, query: LotsQuery) -> LotsWanted:
    asset = None if query.asset is None else Asset(query.asset)
    return LotsWanted(accounts, viewer.currency, query.method, asset)
