"""One exchange's public sync: instruments, prices and candles, and the gate its accounts use."""

import asyncio
from collections.abc import Awaitable, Callable

from alphapulse.domain.identifiers import Asset, ExchangeId, Symbol
from alphapulse.domain.instrument import Instrument
from alphapulse.domain.sync import SyncKind
from alphapulse.errors import AlphaPulseError
from alphapulse.exchanges.port import Exchange
from alphapulse.pipeline.sync.candles import CandleHoles
from alphapulse.pipeline.sync.chore import Chore
from alphapulse.pipeline.sync.context import SyncContext
from alphapulse.pipeline.sync.fallback import Reaction, Verdict, classify
from alphapulse.pipeline.sync.gate import Gate
from alphapulse.pipeline.sync.instruments import InstrumentSync
from alphapulse.pipeline.sync.prices import PriceSync
from alphapulse.pipeline.sync.reading import Reading
from alphapulse.pipeline.sync.watchlist import valuing
from alphapulse.runtime.supervisor import Supervisor

WATCHLIST_INTERVAL_S = 60.0

# Balances change in bursts, and each new subscription costs a connection.
WATCHLIST_SETTLE_S = 0.25


class VenueSync:
    """Everything of one exchange that belongs to no account.

    ``foreign_assets`` names assets held elsewhere that their own exchange does not price.
    ``on_change`` hears of new instruments and of assets that this exchange cannot price either.
    """

    def __init__(
        self,
        exchange: Exchange,
        context: SyncContext,
        *,
        foreign_assets: Callable[[], frozenset[Asset]],
        on_change: Callable[["VenueSync"], None],
    ) -> None:
        self.exchange = exchange
        self.gate = Gate(context.settings, context.clock)
        self.unpriced: frozenset[Asset] = frozenset()
        self._context = context
        self._foreign_assets = foreign_assets
        self._refused: set[Symbol] = set()
        self._on_change = on_change
        self.tracks = {
            kind: context.board.track(exchange.id, None, kind)
            for kind in (SyncKind.INSTRUMENTS, SyncKind.PRICES)
        }
        self._instruments = InstrumentSync(exchange, context.database, context.bus)
        self._instrument_reading = Reading(
            self._read_instruments,
            interval_s=lambda: context.settings.instruments_interval_s,
            track=self.tracks[SyncKind.INSTRUMENTS],
            gate=self.gate,
            mend=self._mend,
            backoff=context.read_backoff,
            clock=context.clock,
            late_margin_s=context.settings.late_margin_s,
        )
        self.prices = PriceSync(
            exchange,
            self.gate,
            self.tracks[SyncKind.PRICES],
            self._mend,
            context,
            on_connected=lambda: self._holes.chore.job.trigger(),
            on_lost=self._on_stream_lost,
        )
        self._holes = CandleHoles(
            exchange,
            self.gate,
            context,
            symbols=lambda: self.prices.symbols,
            closed_until=lambda symbol: self.prices.closed_until(symbol),
            on_candle=self.prices.close,
        )
        self._watchlist = self._chore("watch list", self._choose_symbols, WATCHLIST_INTERVAL_S)
        self._clock_check = self._chore(
            "clock", self._measure_clock, context.settings.clock_interval_s
        )
        self.supervisor = Supervisor(f"exchange {exchange.id}", context.clock)

    @property
    def id(self) -> ExchangeId:
        return self.exchange.id

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        return self._instruments.instruments

    async def run(self) -> None:
        """Sync until canceled.

        Raises:
            DatabaseError: what is stored cannot be read yet.
        """
        await self._instruments.load()
        async with self.supervisor as supervisor:
            supervisor.run("clock", self._clock_check.job.run)
            supervisor.run("instruments", self._instrument_reading.job.run)
            supervisor.run("watch list", self._watchlist.job.run)
            supervisor.run("stream", self.prices.stream.run)
            supervisor.run("polling", self.prices.polling.job.run)
            supervisor.run("quiet symbols", self.prices.quiet.job.run)
            supervisor.run("candle holes", self._holes.chore.job.run)
            await asyncio.Event().wait()

    def holdings_changed(self) -> None:
        """Other assets or symbols are held now; perhaps other prices are needed."""
        self._watchlist.job.trigger()

    def read_instruments(self) -> None:
        """Look now: a symbol was refused."""
        self._instrument_reading.job.trigger()

    async def sync_now(self, kinds: frozenset[SyncKind]) -> None:
        """Read these kinds now; return when that has ended, well or badly."""
        if SyncKind.INSTRUMENTS in kinds:
            await self._instrument_reading.job.now()
        if SyncKind.PRICES in kinds:
            await self.prices.polling.job.now()

    def pulse(self) -> None:
        """The watchdog's look, several times a second."""
        self._instrument_reading.check_age()
        self.prices.pulse()

    def _chore(self, name: str, work: Callable[[], Awaitable[None]], interval_s: float) -> Chore:
        return Chore(
            f"{self.id} {name}", work, interval_s=interval_s, backoff=self._context.read_backoff
        )

    async def _read_instruments(self) -> None:
        if await self._instruments.read():
            self._refused.clear()
            self._watchlist.job.trigger()
            self._on_change(self)

    async def _choose_symbols(self) -> None:
        """Subscribe to what values the holdings, and to what is open or wanted."""
        await asyncio.sleep(WATCHLIST_SETTLE_S)
        if not self.instruments:
            return
        assets, symbols = await self._holdings()
        needed, unpriced = valuing(self.instruments, assets | self._foreign_assets())
        wanted = symbols | set(self._context.settings.watch_symbols.get(self.id, ()))
        active = {i.symbol for i in self.instruments if i.is_active}
        self.prices.subscribe((needed | (wanted & active)) - self._refused)
        own = unpriced & assets
        if own != self.unpriced:
            self.unpriced = own
            self._on_change(self)

    async def _holdings(self) -> tuple[frozenset[Asset], set[Symbol]]:
        """Assets held, and symbols of positions and open orders, in all accounts here.

        Paused accounts count: their last quantities are shown at today's prices.
        """
        async with self._context.database.read() as tx:
            accounts = {a.id for a in await tx.accounts.list() if a.exchange == self.id}
            balances = await tx.balances.list()
            positions = await tx.positions.list()
            orders = [order for a in accounts for order in await tx.orders.open(a)]
        held = [s.balance for s in balances if s.account_id in accounts]
        assets = frozenset(b.asset for b in held if not b.is_empty)
        symbols = {p.symbol for p in positions if p.account_id in accounts}
        return assets, symbols | {order.symbol for order in orders}

    async def _measure_clock(self) -> None:
        async with self.gate.request():
            await self.exchange.measure_clock()

    async def _mend(self, verdict: Verdict, error: AlphaPulseError) -> None:
        self._drop_symbol(verdict, error)
        if verdict.reaction is Reaction.MEASURE_CLOCK:
            await self._clock_check.job.now()

    def _on_stream_lost(self, error: AlphaPulseError) -> None:
        self._drop_symbol(classify(error), error)

    def _drop_symbol(self, verdict: Verdict, error: AlphaPulseError) -> None:
        """Go on without a symbol the venue refuses, until its list says something new of it."""
        if verdict.reaction is not Reaction.DROP_SYMBOL:
            return
        symbol = error.facts.get("symbol")
        if isinstance(symbol, str):
            self._refused.add(Symbol(symbol))
            self._watchlist.job.trigger()
        self.read_instruments()
