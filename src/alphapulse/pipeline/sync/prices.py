"""Prices Sync: the newest ticker of every watched symbol of one exchange.

Try Primary -> Error Detection -> Fallback Mechanism: the market stream; its watchdog; REST polling
until the stream is back. When REST fails too the last prices stay, marked stale.
"""

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

from alphapulse.domain.events import CandleClosed, CandleUpdated, TickerUpdated
from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.market import Candle, MarketSubscription, Ticker, Timeframe, Trade
from alphapulse.domain.sync import StreamState
from alphapulse.errors import AlphaPulseError, ExchangeUnavailable
from alphapulse.exchanges.port import Exchange
from alphapulse.observability import metrics
from alphapulse.pipeline.processors.validation import TickerCheck, is_plausible
from alphapulse.pipeline.sync.chore import Chore
from alphapulse.pipeline.sync.context import SyncContext
from alphapulse.pipeline.sync.gate import Gate
from alphapulse.pipeline.sync.reading import Mend, Reading
from alphapulse.pipeline.sync.status import Track
from alphapulse.pipeline.sync.stream import Stream

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Beyond the silence that ends a stream: one poll has had the time to stand in for it.
POLL_MARGIN_S = 1.5


class PriceSync:
    """One exchange's market sink: checks, keeps the latest, publishes.

    ``on_connected`` hears when the stream is (back) up: what closed meanwhile was missed.
    """

    def __init__(
        self,
        exchange: Exchange,
        gate: Gate,
        track: Track,
        mend: Mend,
        context: SyncContext,
        *,
        on_connected: Callable[[], None],
        on_lost: Callable[[AlphaPulseError], None],
    ) -> None:
        settings = context.settings
        self.latest: dict[Symbol, Ticker] = {}
        self.symbols: frozenset[Symbol] = frozenset()
        self.stream = Stream(
            f"{exchange.id} market",
            self._watch,
            gate=gate,
            clock=context.clock,
            backoff=context.stream_backoff,
            silence_s=settings.price_silence_s,
            on_change=self._on_stream,
            on_lost=on_lost,
        )
        self.polling = Reading(
            self._poll,
            interval_s=lambda: settings.price_polling_interval_s,
            is_due=lambda: bool(self.symbols) and not self.stream.is_connected,
            track=track,
            gate=gate,
            mend=mend,
            backoff=context.read_backoff,
            late_margin_s=settings.late_margin_s,
            clock=context.clock,
        )
        self.quiet = Chore(
            f"{exchange.id} quiet symbols",
            self._ask_for_quiet,
            interval_s=settings.quiet_symbol_s / 2,
            backoff=context.read_backoff,
        )
        self._exchange = exchange
        self._gate = gate
        self._track = track
        self._clock = context.clock
        self._bus = context.bus
        self._quiet_after = timedelta(seconds=settings.quiet_symbol_s)
        self._late_after_s = settings.price_silence_s + POLL_MARGIN_S
        self._on_connected = on_connected
        self._check = TickerCheck()
        self._polled: dict[Symbol, Ticker] = {}
        self._closed_until: dict[tuple[Symbol, Timeframe], datetime] = {}
        self._good_at_s = context.clock.monotonic_s()

    @property
    def stream_state(self) -> StreamState:
        if self.stream.is_connected:
            return StreamState.CONNECTED
        return StreamState.DOWN if self.polling.is_failing else StreamState.POLLING

    def subscribe(self, symbols: frozenset[Symbol]) -> None:
        """Watch exactly these from now on; the last values of the others stay."""
        if symbols != self.symbols:
            self.symbols = symbols
            self.stream.restart()
            self.polling.job.trigger()

    def pulse(self) -> None:
        """The watchdog's look, several times a second."""
        self.stream.check_silence()
        if self.stream.is_connected and self.stream.has_heard:
            self._good_at_s = self._clock.monotonic_s()
            self._track.succeeded()
        elif self._clock.monotonic_s() - self._good_at_s > self._late_after_s:
            self._track.late()
        self._track.streaming(self.stream_state)

    def on_ticker(self, ticker: Ticker) -> None:
        self.stream.heard()
        self._take(ticker)

    def on_trade(self, trade: Trade) -> None:
        """Nobody asks for trades yet."""

    def on_candle(self, candle: Candle) -> None:
        """Pass on a moving candle as it is, and a closed one exactly once.

        No sign of life: candles may come over another connection than prices.
        """
        if not is_plausible(candle):
            metrics.TICKERS_REFUSED.labels(reason="candle").inc()
        elif not candle.is_closed:
            self._bus.publish(CandleUpdated(candle))
        elif candle.open_time > self._closed_until.get((candle.symbol, candle.timeframe), EPOCH):
            self.close(candle)

    def close(self, candle: Candle) -> None:
        """Publish a closed candle that nobody has seen yet."""
        key = (candle.symbol, candle.timeframe)
        self._closed_until[key] = max(candle.open_time, self._closed_until.get(key, EPOCH))
        self._bus.publish(CandleClosed(candle))

    def closed_until(self, symbol: Symbol) -> datetime | None:
        """Opening time of the newest closed minute that was published."""
        return self._closed_until.get((symbol, Timeframe.M1))

    async def _watch(self) -> None:
        if not self.symbols:
            await asyncio.Event().wait()  # until `subscribe` ends it
        await self._exchange.watch_market(
            MarketSubscription(
                tickers=self.symbols,
                candles=frozenset((symbol, Timeframe.M1) for symbol in self.symbols),
            ),
            self,
            on_connected=self.stream.connected,
        )

    def _on_stream(self) -> None:
        self.polling.job.trigger()
        if self.stream.is_connected:
            self.quiet.job.trigger()
            self._on_connected()

    async def _poll(self) -> None:
        """REST stands in for the stream."""
        await self._ask(self.symbols)
        self._good_at_s = self._clock.monotonic_s()

    async def _ask_for_quiet(self) -> None:
        """Ask over REST for symbols the stream said nothing about for long, or ever.

        The stream is not believed when the market moved twice and it spoke of neither: one dead
        subscription among living ones shows in no other way.
        """
        long_ago = self._clock.now() - self._quiet_after
        quiet = {s: self.latest.get(s) for s in self.symbols}
        quiet = {s: t for s, t in quiet.items() if t is None or t.received_at < long_ago}
        if not quiet or not self.stream.is_connected:
            return
        async with self._gate.request():
            tickers = await self._ask(quiet)
        for ticker in tickers:
            before = quiet[ticker.symbol]
            was_polled = before is not None and before is self._polled.get(ticker.symbol)
            if before is not None and was_polled and ticker.last != before.last:
                self.stream.doubt("a symbol moves and the stream does not say so")
            self._polled[ticker.symbol] = ticker

    async def _ask(self, symbols: Collection[Symbol]) -> list[Ticker]:
        """Take the tickers of these, but none that the stream overtook meanwhile."""
        began = self._clock.now()
        told = await self._exchange.fetch_tickers(sorted(symbols))
        if not told:
            raise ExchangeUnavailable("no tickers in the answer", exchange=self._exchange.id)
        fresh = []
        for ticker in told:
            known = self.latest.get(ticker.symbol)
            if ticker.symbol in symbols and (known is None or known.received_at < began):
                self._take(ticker)
                fresh.append(ticker)
        return fresh

    def _take(self, ticker: Ticker) -> None:
        if (reason := self._check.refusal(ticker)) is not None:
            metrics.TICKERS_REFUSED.labels(reason=reason).inc()
            return
        self.latest[ticker.symbol] = ticker
        self._bus.publish(TickerUpdated(ticker))
