"""REST API Endpoints: what everything is worth."""

from typing import Annotated

from fastapi import APIRouter, Query

from alphapulse.api.auth import PortfolioViewer
from alphapulse.api.dependencies import AllServices, RequestId
from alphapulse.api.openapi import problem_responses
from alphapulse.api.schemas.portfolio import (
    PositionPage,
    PositionsQuery,
    Summary,
    SummaryQuery,
)
from alphapulse.api.views import portfolio as views
from alphapulse.api.views import positions
from alphapulse.domain.identifiers import AccountId
from alphapulse.errors import InvalidInput, NotFound, NotReady

router = APIRouter(prefix="/api/portfolio", tags=["portfolio"])


@router.get(
    "/summary",
    operation_id="get_portfolio_summary",
    responses=problem_responses(NotFound, InvalidInput, NotReady),
)
async def get_summary(
    query: Annotated[SummaryQuery, Query()],
    viewer: PortfolioViewer,
    services: AllServices,
    request_id: RequestId,
) -> Summary:
    """What everything is worth now, where it lies, and what could not be valued.

    An exchange that does not answer makes no error: its last good values stay in, `complete` is
    false and the account says since when.
    """
    viewer = services.portfolio.seen_in(viewer, query.currency)
    only = [AccountId(account) for account in query.account]
    snapshot = services.portfolio.snapshot(viewer, only)
    return views.summary_of(snapshot, services.portfolio, services.live, request_id)


@router.get(
    "/positions",
    operation_id="list_portfolio_positions",
    responses=problem_responses(NotFound, InvalidInput, NotReady),
)
async def get_positions(
    query: Annotated[PositionsQuery, Query()],
    viewer: PortfolioViewer,
    services: AllServices,
    request_id: RequestId,
) -> PositionPage:
    """Every asset in every wallet, and every open contract.

    `price.value` times `quantity` is `value`, and the values add up to the summary's
    `total_assets`, to the last digit.
    """
    viewer = services.portfolio.seen_in(viewer, query.currency)
    only = [AccountId(account) for account in query.account]
    snapshot = services.portfolio.snapshot(viewer, only)
    return positions.page_of(snapshot, services.live, query, request_id)
