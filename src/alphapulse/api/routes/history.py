"""REST API Endpoints: net worth over time, and how the money did."""

from typing import Annotated

from fastapi import APIRouter, Query

from alphapulse.api.auth import PortfolioViewer
from alphapulse.api.dependencies import AllServices, RequestId
from alphapulse.api.openapi import problem_responses
from alphapulse.api.schemas.history import (
    HistoryBody,
    HistoryQuery,
    PerformanceBody,
    PerformanceQuery,
    SpanQuery,
)
from alphapulse.api.views import history as views
from alphapulse.api.views.orders import utc
from alphapulse.domain.identifiers import AccountId, asset
from alphapulse.domain.market import Timeframe
from alphapulse.domain.performance.report import performance_of
from alphapulse.errors import InvalidInput, NotFound
from alphapulse.services.business_logic import Services
from alphapulse.services.history import NetWorthHistory
from alphapulse.services.viewer import Viewer

router = APIRouter(prefix="/api/portfolio", tags=["portfolio"])


@router.get(
    "/history",
    operation_id="get_portfolio_history",
    responses=problem_responses(NotFound, InvalidInput),
)
async def get_history(
    query: Annotated[HistoryQuery, Query()],
    viewer: PortfolioViewer,
    services: AllServices,
    request_id: RequestId,
) -> HistoryBody:
    """What everything was worth, as it was recorded every five minutes and at each flow.

    Nothing is filled in: a time in which the program did not run or could not value everything is
    marked. Older moments are fewer.
    """
    history = await _read(query, viewer, services)
    interval = None if query.interval is None else Timeframe(query.interval)
    chosen = services.history.interval(history, interval)
    return views.history_of(history, chosen, services.clock.now(), request_id)


@router.get(
    "/performance",
    operation_id="get_portfolio_performance",
    responses=problem_responses(NotFound, InvalidInput),
)
async def get_performance(
    query: Annotated[PerformanceQuery, Query()],
    viewer: PortfolioViewer,
    services: AllServices,
    request_id: RequestId,
) -> PerformanceBody:
    """How the money did, apart from what was paid in and taken out: each figure with its formula
    and what it was made of, or the reason why it cannot be told."""
    history = await _read(query, viewer, services)
    prices = None
    if query.benchmark is not None:
        prices = await services.history.benchmark(asset(query.benchmark.upper()), history)
    performance = performance_of(history.points, benchmark=prices)
    return views.performance_body(history, performance, services.clock.now(), request_id)


async def _read(query: SpanQuery, viewer: Viewer, services: Services) -> NetWorthHistory:
    viewer = services.portfolio.seen_in(viewer, query.currency)
    accounts = services.portfolio.accounts(viewer, [AccountId(one) for one in query.account])
    span = services.history.span(query.range_, utc(query.from_), utc(query.to))
    return await services.history.read(accounts, viewer.currency, span)
