"""Recorded history: what a query asks of it, read and measured."""

from alphapulse.api.schemas.history import HistoryQuery, PerformanceQuery, SpanQuery
from alphapulse.api.views.orders import utc
from alphapulse.domain.identifiers import AccountId, asset
from alphapulse.domain.market import Timeframe
from alphapulse.domain.performance.report import Performance, performance_of
from alphapulse.services.business_logic import Services
from alphapulse.services.history import NetWorthHistory
from alphapulse.services.viewer import Viewer


async def read_history(query: SpanQuery, viewer: Viewer, services: Services) -> NetWorthHistory:
    """What was recorded of the accounts and the span that ``query`` names."""
    viewer = services.portfolio.seen_in(viewer, query.currency)
    accounts = services.portfolio.accounts(viewer, [AccountId(one) for one in query.account])
    span = services.history.span(query.range_, utc(query.from_), utc(query.to))
    return await services.history.read(accounts, viewer.currency, span)


def interval_of(query: HistoryQuery, history: NetWorthHistory, services: Services) -> Timeframe:
    """The one that is asked for, or one that makes a good chart."""
    interval = None if query.interval is None else Timeframe(query.interval)
    return services.history.interval(history, interval)


async def measured(
    query: PerformanceQuery, history: NetWorthHistory, services: Services
) -> Performance:
    """Every figure of a history, against the benchmark that is asked for."""
    prices = None
    if query.benchmark is not None:
        prices = await services.history.benchmark(asset(query.benchmark.upper()), history)
    return performance_of(history.points, benchmark=prices)
