"""One account's sync: its balances, positions, orders, fills and private stream, as one group."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta

from alphapulse.domain.account import Account
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.order import Fill, Order
from alphapulse.domain.sync import StreamState, SyncKind, SyncState
from alphapulse.errors import (
    AlphaPulseError,
    AuthenticationFailed,
    DatabaseError,
    ExchangeError,
    RateLimited,
)
from alphapulse.exchanges.port import Exchange, PrivateUpdate, TradingExchange
from alphapulse.pipeline.execution.context import ExecutionContext
from alphapulse.pipeline.execution.desk import OrderDesk
from alphapulse.pipeline.sync.balances import BalanceSync
from alphapulse.pipeline.sync.chore import Chore
from alphapulse.pipeline.sync.context import SyncContext
from alphapulse.pipeline.sync.fallback import Reaction, Verdict, classify
from alphapulse.pipeline.sync.flows import FlowSync
from alphapulse.pipeline.sync.history import FillSync
from alphapulse.pipeline.sync.orders import OrderSync
from alphapulse.pipeline.sync.positions import PositionSync
from alphapulse.pipeline.sync.reading import Reading
from alphapulse.pipeline.sync.scheduler import Job
from alphapulse.pipeline.sync.settlement import Settlement
from alphapulse.pipeline.sync.status import Track
from alphapulse.pipeline.sync.stream import Stream
from alphapulse.pipeline.sync.venue import VenueSync
from alphapulse.pipeline.sync.watchlist import tradable
from alphapulse.runtime.supervisor import Supervisor

# A key that was refused is asked about once more after this pause: venues forget keys for moments.
KEY_CONFIRMATION_S = 1.0

# Private messages that wait for the database. A busy account sends tens a second; when the box is
# full the stream waits, and its adapter with it.
UPDATES_WAITING = 4096


KINDS = (SyncKind.BALANCES, SyncKind.ORDERS, SyncKind.FILLS)
"""What is read of every account."""


def kinds_of(exchange: Exchange, since: datetime) -> tuple[SyncKind, ...]:
    """What is read of an account there, ``since`` when histories begin."""
    positions = (SyncKind.POSITIONS,) if exchange.capabilities.positions else ()
    flows = (SyncKind.FLOWS,) if exchange.first_flow_cursors(since) else ()
    return (*KINDS, *positions, *flows)


class AccountSync:
    """Reads every kind again and again, and writes what the private stream says in between.

    Whatever is missed between a loss of the stream and its return is found by the reads that
    both of them trigger.
    """

    def __init__(
        self,
        account: Account,
        exchange: TradingExchange,
        venue: VenueSync,
        tracks: dict[SyncKind, Track],
        context: SyncContext,
    ) -> None:
        self.account = account
        self.exchange = exchange
        self.stream = Stream(
            f"{account.exchange} private",
            self._watch,
            gate=venue.gate,
            clock=context.clock,
            backoff=context.stream_backoff,
            silence_s=None,  # an account may rest for days; what it keeps back gives it away
            on_change=self._reconcile,
            on_lost=self._on_stream_lost,
        )
        self.venue = venue
        self._context = context
        self._settings = context.settings
        parts = (account.id, exchange, context.database, context.bus, context.clock)
        self._balances = BalanceSync(*parts)
        self._positions = PositionSync(*parts)
        self._orders = OrderSync(*parts, context.settings)
        self._fills = FillSync(*parts, context.settings, on_found=self._on_found)
        self._flows = FlowSync(
            *parts, context.settings, on_hint=lambda: self._trigger(SyncKind.FLOWS)
        )
        execution = ExecutionContext(
            account.id,
            exchange,
            context.database,
            context.bus,
            context.clock,
            context.execution,
            context.process,
            is_gone=context.is_gone,
            on_error=self._on_refused_look,
        )
        self.desk = OrderDesk(
            execution, on_sent=self._on_sent, on_failed=lambda: self.settlement.look()
        )
        self.settlement = Settlement(
            execution,
            self.desk,
            self._orders,
            self._fills,
            self._flows,
            venue.gate,
            context.read_backoff,
        )
        self._readings = {kind: self._reading(kind, track) for kind, track in tracks.items()}
        self._clock_check = Chore(
            f"{account.exchange} clock",
            self._measure_clock,
            interval_s=context.settings.clock_interval_s,
            backoff=context.read_backoff,
        )
        self._flow_look = Job(self._look_for_flows)
        self._updates: asyncio.Queue[PrivateUpdate] = asyncio.Queue(UPDATES_WAITING)
        self._held: set[Asset] = set()
        self.supervisor = Supervisor(f"account {account.id}", context.clock)
        self._is_confirming_key = False
        self._refusal: asyncio.Future[AuthenticationFailed] = (
            asyncio.get_running_loop().create_future()
        )

    @property
    def stream_state(self) -> StreamState:
        if self.stream.is_connected:
            return StreamState.CONNECTED
        is_down = all(reading.is_failing for reading in self._readings.values())
        return StreamState.DOWN if is_down else StreamState.POLLING

    async def run(self) -> AuthenticationFailed:
        """Sync until the venue refuses the key twice; return what it said.

        Raises:
            DatabaseError: what is stored cannot be read yet.
        """
        await self._load()
        async with self.supervisor as supervisor, self.desk.running():
            supervisor.run("settlement", self.settlement.looking.run)
            supervisor.run("reconciliation", self.settlement.reconciling.run)
            supervisor.run("clock", self._clock_check.job.run)
            supervisor.run("look for flows", self._flow_look.run)
            for kind, reading in self._readings.items():
                supervisor.run(kind, reading.job.run)
            if self.exchange.capabilities.private_stream:
                supervisor.run("stream", self.stream.run)
                supervisor.run("updates", self._write_updates)
            return await self._refusal

    async def sync_now(self, kinds: Collection[SyncKind]) -> None:
        """Read these kinds now; return when that has ended, well or badly."""
        if SyncKind.FILLS in kinds:
            self._fills.hint_all()
        if SyncKind.FLOWS in kinds:
            self._flows.hint_all()
        wanted = [self._readings[kind] for kind in kinds if kind in self._readings]
        await asyncio.gather(*(reading.job.now() for reading in wanted))
        for kind, sync in ((SyncKind.FILLS, self._fills), (SyncKind.FLOWS, self._flows)):
            if reading := self._readings.get(kind) if kind in kinds else None:
                while sync.has_hints and not reading.is_failing:
                    await reading.job.now()

    def pulse(self) -> None:
        """The watchdog's look, several times a second."""
        for reading in self._readings.values():
            reading.check_age()
            reading.track.streaming(self.stream_state)
        if fills := self._readings.get(SyncKind.FILLS):
            fills.track.progressed(self._fills.progress)
        if flows := self._readings.get(SyncKind.FLOWS):
            flows.track.progressed(self._flows.progress)

    def _reading(self, kind: SyncKind, track: Track) -> Reading:
        read, interval_s = self._work_of(kind)
        return Reading(
            read,
            interval_s=interval_s,
            is_due=self._due_of(kind),
            track=track,
            gate=self.venue.gate,
            mend=self._mend,
            backoff=self._context.read_backoff,
            clock=self._context.clock,
            late_margin_s=self._settings.late_margin_s,
            first_within_s=self._settings.first_read_within_s,
        )

    def _due_of(self, kind: SyncKind) -> Callable[[], bool] | None:
        if kind is SyncKind.FILLS:
            return lambda: self._fills.is_due
        return (lambda: self._flows.is_due) if kind is SyncKind.FLOWS else None

    def _work_of(self, kind: SyncKind) -> tuple[Callable[[], Awaitable[None]], Callable[[], float]]:
        settings = self._settings
        if kind is SyncKind.BALANCES:
            return self._read_balances, lambda: self._interval_s(settings.balances_interval_s)
        if kind is SyncKind.POSITIONS:
            return self._read_positions, lambda: self._interval_s(settings.positions_interval_s)
        if kind is SyncKind.ORDERS:
            return self._read_orders, lambda: self._interval_s(settings.orders_interval_s)
        if kind is SyncKind.FLOWS:
            return self._flows.read, self._flows.wait_s
        return self._fills.read, lambda: self._interval_s(self._fills.wait_s())

    def _interval_s(self, with_stream_s: float) -> float:
        if self.stream.is_connected:
            return with_stream_s
        return min(with_stream_s, self._settings.polling_interval_s)

    async def _load(self) -> None:
        await self._balances.load()
        await self._positions.load()
        await self._fills.load()
        await self._flows.load()
        self._held |= self._balances.assets
        self._cover_fills()

    async def _read_balances(self) -> None:
        changed = await self._balances.read()
        self._on_holdings(changed)
        # What moved without the stream's word may be a fill it kept back.
        self._fills.hint(
            i.symbol
            for i in self.venue.instruments
            if i.base in changed and (i.settle or i.quote) in self._held
        )
        self._trigger(SyncKind.FILLS)

    async def _read_positions(self) -> None:
        if await self._positions.read():
            self.venue.holdings_changed()

    async def _read_orders(self) -> None:
        changed = await self._orders.read()
        if changed:
            self._fills.cover(changed)
            self._fills.hint(changed)
            self._trigger(SyncKind.FILLS)
            self.venue.holdings_changed()

    def _on_holdings(self, changed: Collection[Asset]) -> None:
        if not changed:
            return
        self.venue.holdings_changed()
        self._flows.balances_moved(changed)
        self._flow_look.trigger()
        if not self._held.issuperset(changed):
            self._held.update(changed)
            self._cover_fills()

    def _cover_fills(self) -> None:
        configured = self._settings.watch_symbols.get(self.account.exchange, ())
        known = {*configured, *self._fills.traded}
        self._fills.cover(tradable(self.venue.instruments, self._held, known))
        self._trigger(SyncKind.FILLS)

    def on_instruments(self) -> None:
        """The venue's instruments were read; new ones may have fills."""
        self._cover_fills()

    async def _watch(self) -> None:
        await self.exchange.watch_private(self._take, on_connected=self._on_connected)

    async def _on_connected(self) -> None:
        self.stream.connected()

    async def _take(self, update: PrivateUpdate) -> None:
        self.stream.heard()
        await self._updates.put(update)

    def _reconcile(self) -> None:
        self._fills.hint_all()
        self._flows.hint_all()
        self.settlement.compare("reconnect")
        for reading in self._readings.values():
            reading.job.trigger()

    def _on_refused_look(self, error: ExchangeError) -> None:
        """What a look or a comparison met counts for everybody, and shows."""
        self.venue.gate.learn(error)
        met = self._readings if isinstance(error, RateLimited) else (SyncKind.ORDERS,)
        for reading in (self._readings[kind] for kind in met):
            state, wait_s = classify(error).state, self.venue.gate.opens_in_s
            reading.track.failed(error, state, next_in_s=wait_s)
            reading.job.trigger()

    def _on_sent(self, order: Order) -> None:
        self.settlement.sent(order)
        self._fills.expect([order.symbol])
        self._trigger(SyncKind.FILLS)

    def _on_stream_lost(self, error: AlphaPulseError) -> None:
        if classify(error).reaction is Reaction.MEASURE_CLOCK:
            self._clock_check.job.trigger()

    def _on_found(self, fills: tuple[Fill, ...]) -> None:
        """REST found fills: a connected stream that kept one back is deaf."""
        since = self.stream.connected_at
        if not self.stream.is_connected or since is None:
            return
        margin = timedelta(seconds=self._settings.deaf_margin_s)
        now = self._context.clock.now()
        if any(since + margin < fill.occurred_at < now - margin for fill in fills):
            self.stream.doubt("REST shows a fill that the stream kept back")

    async def _write_updates(self) -> None:
        """Forever: write what the stream says in its order; wait for a database that is away."""
        backoff = self._context.read_backoff
        while True:
            update = await self._updates.get()
            failures = 0
            while (error := await self._write(update)) is not None:
                failures += 1
                wait_s = backoff.delay_s(failures)
                for kind in _kinds_in(update) & self._readings.keys():
                    self._readings[kind].track.failed(error, SyncState.STALE, next_in_s=wait_s)
                await asyncio.sleep(wait_s)
            for kind in _kinds_in(update) & self._readings.keys():
                self._readings[kind].track.succeeded()

    async def _write(self, update: PrivateUpdate) -> DatabaseError | None:
        try:
            if update.orders and await self._orders.take(update.orders):
                self.venue.holdings_changed()
            if update.fills:
                await self._fills.take(update.fills)
            if update.balances:
                self._on_holdings(await self._balances.take(update.balances))
            if update.positions:
                if await self._positions.take(update.positions):
                    self._trigger(SyncKind.POSITIONS)
                self.venue.holdings_changed()
        except DatabaseError as error:
            return error
        return None

    async def _mend(self, verdict: Verdict, error: AlphaPulseError) -> None:
        if verdict.reaction is Reaction.MEASURE_CLOCK:
            await self._clock_check.job.now()
        elif verdict.reaction is Reaction.CONFIRM_KEY:
            await self._confirm_key()
        elif verdict.reaction is Reaction.DROP_SYMBOL:
            self.venue.read_instruments()

    async def _confirm_key(self) -> None:
        if self._is_confirming_key:
            return
        self._is_confirming_key = True
        try:
            await asyncio.sleep(KEY_CONFIRMATION_S)
            async with self.venue.gate.request():
                await self.exchange.fetch_balances()
        except AuthenticationFailed as refusal:
            if not self._refusal.done():
                self._refusal.set_result(refusal)
        except AlphaPulseError:
            pass  # says nothing about the key
        finally:
            self._is_confirming_key = False

    async def _look_for_flows(self) -> float:
        try:
            return await self._flows.look()
        except DatabaseError:
            self._flows.hint_all()  # rather asked in vain than not asked
            self._trigger(SyncKind.FLOWS)
            return 0.0

    async def _measure_clock(self) -> None:
        async with self.venue.gate.request():
            await self.exchange.measure_clock()

    def _trigger(self, kind: SyncKind) -> None:
        if reading := self._readings.get(kind):
            reading.job.trigger()


def _kinds_in(update: PrivateUpdate) -> set[SyncKind]:
    kinds = {
        SyncKind.ORDERS: update.orders,
        SyncKind.FILLS: update.fills,
        SyncKind.BALANCES: update.balances,
        SyncKind.POSITIONS: update.positions,
    }
    return {kind for kind, said in kinds.items() if said}
