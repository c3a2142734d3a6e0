"""REST API Endpoints: what everything is worth."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from alphapulse.api.auth import PortfolioViewer
from alphapulse.api.dependencies import AllServices, RequestId
from alphapulse.api.openapi import problem_responses
from alphapulse.api.recorded import interval_of, measured, read_history
from alphapulse.api.schemas.portfolio import (
    PositionPage,
    PositionsQuery,
    Summary,
    SummaryQuery,
)
from alphapulse.api.views import past, positions
from alphapulse.api.views import portfolio as views
from alphapulse.api.views.basis import with_basis
from alphapulse.api.views.history import performance_view, samples_of
from alphapulse.api.views.orders import utc
from alphapulse.domain.account import Account
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.money import ZERO
from alphapulse.domain.sync import SyncKind
from alphapulse.errors import InvalidInput, NotFound, NotReady, TooManyRequests
from alphapulse.services.business_logic import Services

router = APIRouter(prefix="/api/portfolio", tags=["portfolio"])

QUEUE_S = 0.1
"""How long a reading that `max_age_s` asks for may take to get under way."""

_OVER_TIME = {"performance", "risk", "history"}


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
    """What everything is worth now, where it lies, how that changed, and what could not be valued.

    An exchange that does not answer makes no error: its last good values stay in, `complete` is
    false and the account says since when.
    """
    asker, viewer = viewer, services.portfolio.seen_in(viewer, query.currency)
    only = [AccountId(account) for account in query.account]
    is_span_asked = query.range_ is not None or query.from_ is not None or query.to is not None
    if (at := utc(query.as_of)) is not None:
        if is_span_asked or _OVER_TIME & set(query.include):
            raise InvalidInput("a moment, or a span of time, not both", field="as_of")
        then = await services.past.snapshot(viewer, only, at)
        return past.summary_then(then, request_id, min_value=query.min_value or ZERO)
    snapshot = services.portfolio.snapshot(viewer, only)
    await _refresh(snapshot.accounts, query.max_age_s, services)
    summary = views.summary_of(
        snapshot,
        services.portfolio,
        services.live,
        services.facts.of(snapshot.accounts, viewer.currency),
        request_id,
        min_value=query.min_value or ZERO,
    )
    summary = with_basis(summary, services.basis.of(snapshot, query.method))
    if not is_span_asked and not _OVER_TIME & set(query.include):
        return summary
    history = await read_history(query, asker, services)
    performance = samples = None
    if {"performance", "risk"} & set(query.include):
        performance = performance_view(await measured(query, history, services))
    if "history" in query.include:
        samples = samples_of(history, interval_of(query, history, services))
    return views.with_history(summary, history, performance, samples)


async def _refresh(accounts: Iterable[Account], max_age_s: int | None, services: Services) -> None:
    """Ask for a reading of the accounts that were read longer ago."""
    if max_age_s is None:
        return
    since = services.clock.now() - timedelta(seconds=max_age_s)
    old = [
        account
        for account in accounts
        if (as_of := services.portfolio.as_of(account)) is None or as_of < since
    ]
    # Who was asked too often is being read as often as can be.
    with suppress(TooManyRequests):
        await services.accounts.refresh(old, [SyncKind.BALANCES], timeout_s=QUEUE_S)


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
    if (at := utc(query.as_of)) is not None:
        then = await services.past.snapshot(viewer, only, at)
        return past.positions_then(then, query, request_id)
    snapshot = services.portfolio.snapshot(viewer, only)
    basis = services.basis.of(snapshot, query.method)
    live, facts = services.live, services.facts
    return positions.page_of(snapshot, live, facts, basis, query, request_id)
