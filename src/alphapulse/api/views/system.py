"""Views of the system's state."""

from datetime import datetime
from decimal import Decimal

from alphapulse.api.openapi import VERSION
from alphapulse.api.schemas.base import not_available_yet
from alphapulse.api.schemas.system import (
    Clock,
    ComponentView,
    DatabaseView,
    ExchangeView,
    Incident,
    JobView,
    Pool,
    QueueView,
    Resources,
    SystemStatusBody,
    WebSockets,
)
from alphapulse.api.views.exchange import error_of
from alphapulse.api.views.meta import plain_meta
from alphapulse.database.connection import DatabaseHealth
from alphapulse.domain.sync import SyncStatus
from alphapulse.observability.health import ComponentHealth
from alphapulse.services.orders import id_of
from alphapulse.services.system import ExchangePart, SystemService, SystemStatus

LATER = ("commit", "config_warnings", "alerts.rules", "alerts.undelivered")

_HUNDRED = Decimal(100)


def status_of(
    status: SystemStatus, service: SystemService, websockets: WebSockets, request_id: str
) -> SystemStatusBody:
    """Everything the status page shows."""
    return SystemStatusBody(
        meta=plain_meta(status.at, request_id, not_available_yet(*LATER)),
        status=status.status,
        version=VERSION,
        started_at=service.started_at,
        uptime_s=int(service.uptime_s),
        mode="demo" if service.is_simulated else "live",
        trading=status.trading,
        unknown_orders=None
        if status.uncertain is None
        else [id_of(order) for order in status.uncertain],
        clock=Clock(local=status.at, offset_ms=_clock_offsets(status.parts)),
        database=None if status.database is None else _database(status.database),
        exchanges=[_exchange(one, status.parts, status.at) for one in status.statuses],
        jobs=[
            JobView(
                name=task.name,
                state=task.state.value,
                since=task.since,
                restarts=task.restarts,
                error=task.error,
            )
            for task in status.tasks
        ],
        queues=[
            QueueView(
                name=box.name,
                depth=box.depth,
                capacity=box.capacity_events,
                oldest_s=round(box.oldest_age_s, 3),
            )
            for box in status.mailboxes
        ],
        components=[component_view(component) for component in status.components],
        alerts={"rules": None, "firing": len(status.firing), "undelivered": None},
        websockets=websockets,
        incidents=[
            Incident(
                id=alert.id,
                cause=alert.title,
                since=alert.started_at,
                affected=alert.account_id or alert.exchange,
                fix=alert.fix,
            )
            for alert in status.firing
        ],
        resources=Resources(
            rss_bytes=status.rss_bytes, loop_lag_ms=round(status.loop_lag_s * 1000, 3)
        ),
    )


def _clock_offsets(parts: tuple[ExchangePart, ...]) -> dict[str, int | None]:
    """The largest of each exchange: its accounts measure by themselves, when they are refused."""
    offsets: dict[str, int | None] = {}
    for part in parts:
        known, measured = offsets.setdefault(part.exchange, None), part.clock_offset_ms
        if measured is not None and (known is None or abs(measured) > abs(known)):
            offsets[part.exchange] = measured
    return offsets


def component_view(component: ComponentHealth) -> ComponentView:
    """One part in words."""
    return ComponentView(
        name=component.name,
        status=component.status,
        detail=component.detail,
        since=component.since,
    )


def _database(health: DatabaseHealth) -> DatabaseView:
    return DatabaseView(
        engine=health.engine,
        schema_=health.schema,
        expected_schema=health.expected_schema,
        latency_ms=round(health.latency_ms, 3),
        pool=Pool(size=health.pool.size, used=health.pool.used, waiting=health.pool.waiting),
        size_bytes=health.size_bytes,
    )


def _exchange(status: SyncStatus, parts: tuple[ExchangePart, ...], now: datetime) -> ExchangeView:
    part = next(
        (p for p in parts if p.exchange == status.exchange and p.account_id == status.account_id),
        None,
    )
    last_ok_at, stream = status.last_ok_at, status.stream or (part.stream if part else None)
    return ExchangeView(
        id=status.exchange,
        account=status.account_id,
        kind=status.kind.value,
        status=status.state.value,
        last_ok_at=last_ok_at,
        lag_s=None if last_ok_at is None else round((now - last_ok_at).total_seconds(), 3),
        stream=None if stream is None else stream.value,
        budget_used_pct=None if part is None else part.budget_used * _HUNDRED,
        error=error_of(status),
        failures=status.failures,
        circuit=None if part is None else str(part.circuit),
    )
