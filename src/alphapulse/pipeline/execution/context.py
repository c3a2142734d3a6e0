"""What order execution of one account is given."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from alphapulse.database.connection import Database
from alphapulse.database.repositories.orders import OrderChange
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import OrderAlarm, OrderAlarmed, OrderChanged
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.intent import is_our_name
from alphapulse.domain.order import Order, OrderStatus
from alphapulse.domain.trading import Lease
from alphapulse.errors import ExchangeError
from alphapulse.exchanges.port import TradingExchange
from alphapulse.pipeline.execution.settings import ExecutionSettings
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.process import is_gone


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """Made and used on the exchange worker's loop. ``process`` names this run of the program:
    whoever has another name may not send what this one claimed."""

    account_id: AccountId
    exchange: TradingExchange
    database: Database
    bus: EventBus
    clock: Clock
    settings: ExecutionSettings
    process: str
    is_gone: Callable[[str], bool] = is_gone
    on_error: Callable[[ExchangeError], None] = lambda error: None
    """Told of each look and comparison that the venue did not let happen."""

    def publish(self, changes: Iterable[OrderChange]) -> None:
        """Tell everybody, and say loudly what must not pass in silence."""
        announce(self.bus, changes)

    async def take_lease(self, tx: UnitOfWork) -> Lease | None:
        """The right to send for this account; ``None`` while another process has it."""
        lasts_s = self.settings.lease_s
        now = self.clock.now()
        return await tx.leases.take(self.account_id, self.process, now, lasts_s, self.is_gone)

    def publish_step(self, before: Order, after: Order) -> None:
        """Tell of one order."""
        if before != after:
            announce(self.bus, [OrderChange(before, after)])


def announce(bus: EventBus, changes: Iterable[OrderChange]) -> None:
    """Publish changed orders, with an alarm for each that a person must know of."""
    for change in changes:
        bus.publish(OrderChanged(change.after))
        if (alarm := alarm_of(change)) is not None:
            order = change.after
            reason = order.status_reason or f"{order.symbol} {order.status}"
            bus.publish(OrderAlarmed(alarm, order.account_id, order.key, reason))


def alarm_of(change: OrderChange) -> OrderAlarm | None:
    """Which alarm a change is, if it is one."""
    before, after = change.before, change.after
    if before is None:
        return OrderAlarm.LOST_INTENT if _is_lost(change) else None
    if after.status is OrderStatus.QUARANTINED is not before.status:
        return OrderAlarm.QUARANTINED
    if before.status is OrderStatus.NOT_PLACED and after.status is not before.status:
        return OrderAlarm.PLACED_AFTER_ALL
    if before.status.is_final and after.filled_quantity > before.filled_quantity:
        return OrderAlarm.LATE_FILL
    return None


def _is_lost(change: OrderChange) -> bool:
    return not change.after.is_ours and is_our_name(change.after.client_order_id)
