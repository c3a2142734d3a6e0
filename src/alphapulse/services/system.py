"""System: how every part is, with causes, for people and for machines."""

import platform
import resource
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from alphapulse.database.connection import Database, DatabaseHealth
from alphapulse.domain.alert import Alert
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, ExchangeId
from alphapulse.domain.order import Order
from alphapulse.domain.sync import StreamState, SyncStatus
from alphapulse.domain.trading import TradingMode
from alphapulse.observability.health import ComponentHealth, Health, Status, worst
from alphapulse.runtime.heartbeat import Heartbeat
from alphapulse.runtime.mailbox import Mailbox
from alphapulse.runtime.supervisor import TaskHealth
from alphapulse.services.database_watch import DatabaseWatch
from alphapulse.services.live_state import LiveState
from alphapulse.services.viewer import Viewer


class ExchangePart(Protocol):
    """One exchange, or one account on it, as the synchronizer reports it."""

    @property
    def exchange(self) -> ExchangeId: ...
    @property
    def account_id(self) -> AccountId | None: ...
    @property
    def stream(self) -> StreamState: ...
    @property
    def clock_offset_ms(self) -> int | None: ...
    @property
    def budget_used(self) -> Decimal: ...
    @property
    def circuit(self) -> str: ...


class SyncPicture(Protocol):
    """How the synchronizer is; an immutable picture from its own thread."""

    @property
    def exchanges(self) -> Collection[ExchangePart]: ...
    @property
    def tasks(self) -> Collection[TaskHealth]: ...


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """Everything the status page shows to one viewer."""

    status: Status
    at: datetime
    components: tuple[ComponentHealth, ...]
    database: DatabaseHealth | None
    statuses: tuple[SyncStatus, ...]
    parts: tuple[ExchangePart, ...]
    tasks: tuple[TaskHealth, ...]
    mailboxes: tuple[Mailbox, ...]
    firing: tuple[Alert, ...]
    trading: TradingMode | None
    """Of all accounts; ``None`` while the database does not answer."""
    uncertain: tuple[Order, ...] | None
    """Orders whose fate is unknown; ``None`` likewise."""
    loop_lag_s: float
    rss_bytes: int


class SystemService:
    """Reads what every part already knows about itself."""

    def __init__(
        self,
        live: LiveState,
        database: Database,
        watch: DatabaseWatch,
        health: Health,
        picture: Callable[[], SyncPicture],
        mailboxes: tuple[Mailbox, ...],
        clock: Clock,
        *,
        is_simulated: bool,
    ) -> None:
        self._live = live
        self._database = database
        self._watch = watch
        self._health = health
        self._picture = picture
        self._mailboxes = mailboxes
        self._clock = clock
        self.is_simulated = is_simulated
        self.heartbeat = Heartbeat("main")
        self.started_at = clock.now()

    @property
    def uptime_s(self) -> float:
        return (self._clock.now() - self.started_at).total_seconds()

    @property
    def components(self) -> tuple[ComponentHealth, ...]:
        """Every part that reports on itself."""
        return self._health.components()

    def status_word(self) -> Status:
        """The worst of all parts, in one word."""
        return self._health.status

    async def status(self, viewer: Viewer) -> SystemStatus:
        """Everything; exchanges and accounts as far as the viewer may see them."""
        picture = self._picture()
        database: DatabaseHealth | None = None
        firing: tuple[Alert, ...] = ()
        trading: TradingMode | None = None
        uncertain: tuple[Order, ...] | None = None
        with self._watch.noting():
            database = await self._database.ping()
            async with self._database.read() as unit:
                firing = await unit.alerts.list_firing()
                trading = await unit.switches.mode_of(None)
                uncertain = await unit.orders.uncertain()
        components = self.components
        seen = {a.id for a in self._live.accounts.values() if viewer.may_see(a)}
        return SystemStatus(
            status=worst(component.status for component in components),
            at=self._clock.now(),
            components=components,
            database=database,
            statuses=tuple(s for s in self._live.statuses.values() if _is_seen(s.account_id, seen)),
            parts=tuple(part for part in picture.exchanges if _is_seen(part.account_id, seen)),
            tasks=tuple(picture.tasks),
            mailboxes=self._mailboxes,
            firing=tuple(alert for alert in firing if _is_seen(alert.account_id, seen)),
            trading=trading,
            uncertain=None
            if uncertain is None
            else tuple(order for order in uncertain if order.account_id in seen),
            loop_lag_s=self.heartbeat.lag_s,
            rss_bytes=_rss_bytes(),
        )


def _is_seen(account_id: AccountId | None, seen: set[AccountId]) -> bool:
    return account_id is None or account_id in seen


def _rss_bytes() -> int:
    """The largest this process ever was; Linux counts in KiB, macOS in bytes."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if platform.system() == "Darwin" else largest * 1024
