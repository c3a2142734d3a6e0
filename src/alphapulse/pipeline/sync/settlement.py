"""Settlement: when an account's orders are looked for and its books compared."""

from datetime import datetime, timedelta

from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.order import Order, OrderStatus
from alphapulse.domain.trading import CycleOutcome
from alphapulse.errors import DatabaseError, ExchangeError
from alphapulse.pipeline.execution.context import ExecutionContext
from alphapulse.pipeline.execution.desk import OrderDesk
from alphapulse.pipeline.execution.reconciler import Read, Reconciler
from alphapulse.pipeline.sync.flows import FlowSync
from alphapulse.pipeline.sync.gate import Gate
from alphapulse.pipeline.sync.history import FillSync
from alphapulse.pipeline.sync.orders import OrderSync
from alphapulse.pipeline.sync.scheduler import Job
from alphapulse.runtime.retry import Backoff

# An order that stays unknown for long needs a person; it is not worth the whole rate budget. Where
# requests may arrive a minute late, no look before that proves anything: those after it are quick.
LOOKS_SLOW_AFTER = 45
SLOW_LOOK_S = 30.0

# Where there is nothing to look for; whatever becomes uncertain triggers a look.
IDLE_S = 30.0


class Settlement:
    """Opens the desk once everything an earlier run left behind is known, then keeps looking and
    comparing."""

    def __init__(
        self,
        context: ExecutionContext,
        desk: OrderDesk,
        orders: OrderSync,
        fills: FillSync,
        flows: FlowSync,
        gate: Gate,
        backoff: Backoff,
    ) -> None:
        self._context = context
        self._desk = desk
        self._orders = orders
        self._fills = fills
        self._gate = gate
        self._backoff = backoff
        self._failures = 0
        self._looks = 0
        self._cause = "boot"
        # What was executed before is the history's to find, by its own cursor.
        self._overlap = timedelta(seconds=context.settings.look_overlap_s)
        self._read_at = context.clock.now() - self._overlap
        self._traded_at: dict[Symbol, datetime] = {}
        self.reconciler = Reconciler(context, desk, self._read, flows.catch_up)
        self.looking = Job(self._look)
        self.reconciling = Job(self._compare)

    def sent(self, order: Order) -> None:
        """It may have fills, and an end, before the next comparison."""
        self._traded_at[order.symbol] = self._context.clock.now()
        if order.status.is_uncertain or order.status is OrderStatus.CANCEL_PENDING:
            self.look()

    def look(self) -> None:
        """An order became uncertain."""
        self._looks = 0
        self.looking.trigger()

    def compare(self, cause: str) -> None:
        """Something may have been missed."""
        self._cause = cause
        self.reconciling.trigger()

    async def _look(self) -> float:
        if not self._desk.is_open:
            return await self._open()
        # A venue that answers nobody is asked all the same: this is what its orders wait for.
        await self._gate.until_quiet_ends()
        try:
            left = await self._desk.settle()
        except DatabaseError:
            return self._after_failure()
        self._failures = 0
        if not left:
            self._looks = 0
            return IDLE_S
        self._looks += 1
        return (
            self._context.settings.look_interval_s
            if self._looks < LOOKS_SLOW_AFTER
            else SLOW_LOOK_S
        )

    async def _open(self) -> float:
        """At the start: nothing new is sent before what is open is known."""
        try:
            await self._symbols(self._context.clock.now())  # some may end before they are read
            if not await self._desk.resolver.adopt():
                return self._context.settings.lease_s / 2
            self._fills.hint_all()
            await self._read()
            await self._desk.settle()
            await self._desk.open_for_orders()
        except ExchangeError as error:
            self._context.on_error(error)
            return self._after_failure()
        except DatabaseError:
            return self._after_failure()
        self.reconciling.trigger()
        return self._context.settings.look_interval_s

    async def _compare(self) -> float:
        if not self._desk.is_open:
            return self._context.settings.look_interval_s
        await self._gate.until_quiet_ends()
        cause, self._cause = self._cause, "timer"
        try:
            report = await self.reconciler.cycle(cause)
        except DatabaseError:
            return self._after_failure()
        if report.outcome is CycleOutcome.VOID:
            return self._after_failure()
        self._failures = 0
        return self._context.settings.reconcile_interval_s

    async def _read(self) -> Read:
        """Open orders, what became of those that left the list, and the fills of ours."""
        began_at, external, new = self._context.clock.now(), self._orders.external, 0
        await self._orders.read()
        since = self._read_at - self._overlap
        symbols = await self._symbols(began_at)
        self._fills.expect(symbols)
        for symbol in symbols:
            fills = await self._context.exchange.fetch_fills_since(symbol, since)
            new += await self._fills.take(fills)
        self._read_at = began_at
        return Read(
            orders=self._orders.listed,
            fills_new=new,
            external=self._orders.external - external,
        )

    async def _symbols(self, now: datetime) -> list[Symbol]:
        """Where orders of ours are under way, or were until just now: their last fills may show
        after their end."""
        async with self._context.database.read() as tx:
            unsettled = await tx.orders.unsettled(self._context.account_id)
        self._traded_at.update({order.symbol: now for order in unsettled})
        return sorted(one for one, at in self._traded_at.items() if now - at <= 2 * self._overlap)

    def _after_failure(self) -> float:
        self._failures += 1
        return self._backoff.delay_s(self._failures)
