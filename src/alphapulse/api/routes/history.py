"""REST API Endpoints: net worth over time, and how the money did."""

from typing import Annotated

from fastapi import APIRouter, Query

from alphapulse.api.auth import PortfolioViewer
from alphapulse.api.dependencies import AllServices, RequestId
from alphapulse.api.openapi import problem_responses
from alphapulse.api.recorded import interval_of, measured, read_history
from alphapulse.api.schemas.history import (
    HistoryBody,
    HistoryQuery,
    PerformanceBody,
    PerformanceQuery,
)
from alphapulse.api.views import history as views
from alphapulse.errors import InvalidInput, NotFound

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
    history = await read_history(query, viewer, services)
    interval = interval_of(query, history, services)
    return views.history_of(history, interval, services.clock.now(), request_id)


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
    history = await read_history(query, viewer, services)
    performance = await measured(query, history, services)
    return views.performance_body(history, performance, services.clock.now(), request_id)
