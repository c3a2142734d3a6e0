"""The program: one run of production's order, reconcile and sync code over the disk and the venue.

What `SyncGroups` and the API do around them is here in a few lines: they open what is not
simulated (public markets, keys, HTTP).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from alphapulse.domain.account import UNKNOWN_PERMISSIONS, Account, AccountState
from alphapulse.domain.events import Event, OrderAlarm, OrderAlarmed
from alphapulse.domain.identifiers import AccountId, ClientOrderId, UserId
from alphapulse.domain.order import Order, OrderOrigin, OrderRequest, Side
from alphapulse.domain.sync import SyncKind
from alphapulse.domain.trading import TradingMode
from alphapulse.errors import DatabaseError, TradingHalted
from alphapulse.pipeline.execution.settings import ExecutionSettings
from alphapulse.pipeline.sync.account import AccountSync, kinds_of
from alphapulse.pipeline.sync.context import SyncContext
from alphapulse.pipeline.sync.gate import Gate
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.pipeline.sync.status import StatusBoard
from alphapulse.pipeline.sync.venue import VenueSync
from alphapulse.runtime.bus import EventBus
from alphapulse.services.idempotency import Answer, IdempotentRequests, RequestKey
from alphapulse.services.order_facts import Asked
from alphapulse.services.order_placing import OrderPlacer, PlacedOrder
from alphapulse.services.orders import load_order
from alphapulse.services.trading_settings import TradingSettings
from tests.builders import make_instrument
from tests.simulation.database import MemoryDatabase
from tests.simulation.disk import Disk
from tests.simulation.exchange import SimulatedExchange
from tests.simulation.loop import RUN, Run, SeededLoop
from tests.simulation.venue import ACCOUNT, EPOCH, PERPETUAL, PRICE, SPOT, VENUE, Venue

T = TypeVar("T")

USER = UserId("user-1")
SETTINGS = SyncSettings(reference_exchange=None)
EXECUTION = ExecutionSettings()
TRADING = TradingSettings()
OWNER = Account(
    id=ACCOUNT,
    owner_id=None,
    exchange=VENUE,
    label="Main",
    state=AccountState.ACTIVE,
    state_reason=None,
    is_simulated=True,
    permissions=UNKNOWN_PERMISSIONS,
    permissions_checked_at=None,
    created_at=EPOCH,
    updated_at=EPOCH,
)

INSTRUMENTS = tuple(make_instrument(symbol, exchange=VENUE) for symbol in (SPOT, PERPETUAL))


@dataclass(frozen=True, slots=True)
class LoopClock:
    """The virtual time, as a machine reads it whose clock is a little off."""

    loop: asyncio.AbstractEventLoop
    skew_s: float = 0.0

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.loop.time() + self.skew_s)

    def monotonic_s(self) -> float:
        return self.loop.time()


class AlarmBus(EventBus):
    """Keeps the alarms of every run; nobody else listens."""

    def __init__(self) -> None:
        super().__init__()
        self.alarms: list[OrderAlarmed] = []

    def publish(self, event: Event) -> None:
        if isinstance(event, OrderAlarmed) and not event.is_over:
            self.alarms.append(event)

    def has(self, alarm: OrderAlarm, subject: str) -> bool:
        return any((one.alarm, one.subject) == (alarm, subject) for one in self.alarms)


class Program:
    """One process, from `boot` to a kill or a stop."""

    def __init__(
        self,
        name: str,
        loop: SeededLoop,
        disk: Disk,
        venue: Venue,
        bus: AlarmBus,
        on_send: Callable[["Program", ClientOrderId], None],
        is_gone: Callable[[str], bool],
    ) -> None:
        self.run = Run(name)
        self._loop = loop
        self._context = copy_context()
        self._context.run(RUN.set, self.run)
        self._disk = disk
        self._venue = venue
        self._bus = bus
        self._is_gone = is_gone
        self._exchange = SimulatedExchange(venue, lambda order: on_send(self, order))
        self._clock = LoopClock(loop, venue.knobs.skew_s)
        self.booted_at = self._clock.now()
        self.database = MemoryDatabase(disk)
        self.account: AccountSync | None = None
        self._main: asyncio.Task[None] | None = None
        self._requests = IdempotentRequests(self.database.as_database(), name)
        self._placer = OrderPlacer(
            self.database.as_database(),
            cast(Any, None),  # the checks are not simulated
            self._requests,
            cast(Any, self),
            cast(Any, SimpleNamespace(call=_call)),
            bus,
            self._clock,
            TRADING,
        )

    @property
    def is_alive(self) -> bool:
        return not self.run.is_dead and self._main is not None and not self._main.done()

    @property
    def troubles(self) -> list[str]:
        """What its supervised tasks died of: every error that is not foreseen."""
        tasks = () if self.account is None else self.account.supervisor.tasks
        return [f"{task.name}: {task.error}" for task in tasks if task.error]

    def boot(self) -> None:
        self._main = self.start(self._sync())
        self._main.add_done_callback(self._on_end)

    def _on_end(self, main: "asyncio.Task[None]") -> None:
        if not main.cancelled() and (error := main.exception()) is not None:
            raise error

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Begin something in this process."""
        return self._context.run(lambda: self._loop.create_task(work))

    async def stop(self) -> None:
        """As SIGTERM does; it ends when everything of it has."""
        if self._main is not None:
            self._main.cancel()
            await asyncio.wait({self._main})

    async def _sync(self) -> None:
        """As `SyncGroups` keeps an account synchronized."""
        board = StatusBoard(self.database.as_database(), self._bus, self._clock)
        context = SyncContext(
            SETTINGS,
            self.database.as_database(),
            self._bus,
            self._clock,
            board,
            EXECUTION,
            self.run.name,
            self._is_gone,
        )
        kinds = kinds_of(self._exchange.as_port(), SETTINGS.history_start)
        tracks = {kind: board.track(VENUE, ACCOUNT, kind) for kind in kinds}
        failures = 0
        while True:
            exchange = self._exchange.as_port()
            self.account = AccountSync(OWNER, exchange, _public_side(context), tracks, context)
            try:
                await self.account.run()
            except DatabaseError:
                failures += 1
                await asyncio.sleep(context.read_backoff.delay_s(failures))

    # The API's side.

    async def post(self, key: str, request: OrderRequest) -> str:
        """POST an order, as `TradingService.place` does after its checks; the answer's state."""
        asked_key = RequestKey(USER, key, "hash")

        async def work() -> Answer:
            return _said(
                PlacedOrder(await self._placer.sent(await self._prepared(asked_key, request)))
            )

        async def resume(subject: str) -> Answer:
            async with self.database.read() as tx:
                order = await load_order(cast(Any, tx), subject)
            return _said(PlacedOrder(await self._placer.sent(order)))

        return (await self._requests.once(asked_key, work, resume)).body

    async def _prepared(self, key: RequestKey, request: OrderRequest) -> Order:
        """T1."""
        asked = Asked(request, OWNER, cast(Any, None), None, USER)
        needed = (request.quantity or Decimal(0)) * PRICE
        asset = "USDT" if request.side is Side.BUY else request.symbol.split("/")[0]
        situation = SimpleNamespace(
            now=self._clock.now(),
            cost=SimpleNamespace(needed=needed, asset=asset),
            added_value=needed,
            allowances=(),
        )
        async with self.database.begin() as tx:
            mode = await tx.switches.mode_of(ACCOUNT)
            if mode is not TradingMode.ACTIVE:
                raise TradingHalted(f"trading is {mode}")
            return await self._placer._prepare(
                cast(Any, tx), asked, cast(Any, situation), key, OrderOrigin.ALPHAPULSE
            )

    async def place_order(self, account_id: AccountId, name: ClientOrderId) -> Order:
        """What the placer calls on the exchange worker."""
        return await self._syncing().desk.place(name)

    async def cancel(self, key: str) -> Order:
        return await self._syncing().desk.cancel(key)

    async def cancel_all(self) -> tuple[Order, ...]:
        return await self._syncing().desk.cancel_all(None)

    async def amend(self, key: str, quantity: Decimal, limit_price: Decimal) -> Order:
        return await self._syncing().desk.amend(key, quantity, limit_price)

    async def read_all(self) -> None:
        """Everything is read again and compared, as a person may ask for."""
        account = self._syncing()
        await account.sync_now(frozenset(SyncKind))
        await account.settlement.reconciler.cycle("asked")

    def _syncing(self) -> AccountSync:
        if self.account is None:
            raise DatabaseError("not started yet")
        return self.account


def _said(placed: PlacedOrder) -> Answer:
    return Answer(201, placed.order.status, placed.order.key)


async def _call(make: Callable[[], Awaitable[T]]) -> T:
    return await make()


def _public_side(context: SyncContext) -> VenueSync:
    """What an account asks of its exchange's public side."""
    side = SimpleNamespace(
        gate=Gate(context.settings, context.clock),
        instruments=INSTRUMENTS,
        holdings_changed=lambda: None,
        read_instruments=lambda: None,
    )
    return cast(VenueSync, side)
