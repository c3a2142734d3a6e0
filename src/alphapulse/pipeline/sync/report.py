"""Sync Report: an immutable picture of the synchronizer for the system status page."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, ExchangeId
from alphapulse.domain.sync import StreamState, SyncKind, SyncStatus
from alphapulse.observability import metrics
from alphapulse.pipeline.sync.account import AccountSync
from alphapulse.pipeline.sync.gate import CircuitState
from alphapulse.pipeline.sync.groups import SyncGroups
from alphapulse.pipeline.sync.stream import Stream
from alphapulse.pipeline.sync.venue import VenueSync
from alphapulse.runtime.supervisor import Supervisor, TaskHealth, TaskState


@dataclass(frozen=True, slots=True)
class ExchangeReport:
    """One exchange's public side, or one account there (then ``account_id`` is set).

    ``stream_error`` is why its stream is down, ``None`` while it is up; ``stream_losses`` counts
    since the start. ``opens_in_s`` is when the next request may be sent, 0 when now. ``symbols``
    counts what is watched, ``None`` on accounts.
    """

    exchange: ExchangeId
    account_id: AccountId | None
    stream: StreamState
    stream_connected_at: datetime | None
    stream_losses: int
    stream_error: str | None
    clock_offset_ms: int | None
    budget_used: Decimal
    circuit: CircuitState
    opens_in_s: float
    symbols: int | None = None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """``at`` is when the picture was made. ``statuses`` include those of paused accounts."""

    at: datetime
    statuses: tuple[SyncStatus, ...] = ()
    exchanges: tuple[ExchangeReport, ...] = ()
    tasks: tuple[TaskHealth, ...] = ()

    @property
    def faulted(self) -> dict[str, str]:
        """Tasks that were given up, and what they died of."""
        return {t.name: t.error or "" for t in self.tasks if t.state is TaskState.FAULTED}


def picture(
    groups: SyncGroups, supervisor: Supervisor, statuses: tuple[SyncStatus, ...], clock: Clock
) -> SyncReport:
    """How everything is now; also what the gauges are set to."""
    venues, accounts = groups.venues.values(), groups.accounts.values()
    supervisors = [supervisor]
    supervisors += [venue.supervisor for venue in venues]
    supervisors += [account.supervisor for account in accounts]
    report = SyncReport(
        at=clock.now(),
        statuses=statuses,
        exchanges=(*map(_of_venue, venues), *map(_of_account, accounts)),
        tasks=tuple(
            replace(task, name=f"{group.name}/{task.name}")
            for group in supervisors
            for task in group.tasks
        ),
    )
    _measure(report)
    return report


def _of_venue(venue: VenueSync) -> ExchangeReport:
    stream = venue.prices.stream
    return replace(
        _of_stream(venue, stream, venue.prices.stream_state, venue),
        symbols=len(venue.prices.symbols),
    )


def _of_account(account: AccountSync) -> ExchangeReport:
    report = _of_stream(account, account.stream, account.stream_state, account.venue)
    return replace(report, account_id=account.account.id)


def _of_stream(
    group: VenueSync | AccountSync, stream: Stream, state: StreamState, venue: VenueSync
) -> ExchangeReport:
    return ExchangeReport(
        exchange=venue.id,
        account_id=None,
        stream=state,
        stream_connected_at=stream.connected_at if stream.is_connected else None,
        stream_losses=stream.losses,
        stream_error=stream.error,
        clock_offset_ms=group.exchange.clock_offset_ms,
        budget_used=group.exchange.budget_used,
        circuit=venue.gate.state,
        opens_in_s=venue.gate.opens_in_s,
    )


def _measure(report: SyncReport) -> None:
    for part in report.exchanges:
        if part.account_id is None:
            metrics.EXCHANGE_BUDGET_USED.labels(part.exchange).set(float(part.budget_used))
            if part.clock_offset_ms is not None:
                metrics.CLOCK_OFFSET.labels(part.exchange).set(part.clock_offset_ms / 1000)
    for (exchange, kind), last_ok_at in _oldest(report.statuses).items():
        lag_s = (report.at - last_ok_at).total_seconds()
        metrics.SYNC_LAG.labels(exchange, kind).set(lag_s)


def _oldest(statuses: Iterable[SyncStatus]) -> dict[tuple[ExchangeId, SyncKind], datetime]:
    oldest: dict[tuple[ExchangeId, SyncKind], datetime] = {}
    for status in statuses:
        if status.last_ok_at is not None:
            key = (status.exchange, status.kind)
            oldest[key] = min(status.last_ok_at, oldest.get(key, status.last_ok_at))
    return oldest
