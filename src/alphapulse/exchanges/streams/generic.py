"""Market streams of every other exchange, over CCXT Pro, each message taken where CCXT stores it.

``while True: await watch_ticker()`` loses most of a burst: CCXT drains the socket before the
awaiting task runs, and a future that is resolved once ignores the rest. But every handler stores
what it parsed, once a message, in the exchange's own tables; so those tables are ours. The watch
calls only keep the subscription alive and tell errors.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from importlib import import_module
from typing import Any

from msgspec.structs import replace

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.market import Candle, MarketSubscription, Timeframe, Trade
from alphapulse.domain.order import Side
from alphapulse.errors import AlphaPulseError, StreamLost
from alphapulse.exchanges.ccxt import errors, loading, parse
from alphapulse.exchanges.ccxt.client import BREAKS
from alphapulse.exchanges.ccxt.errors import Intent
from alphapulse.exchanges.port import MarketSink
from alphapulse.exchanges.streams.connection import together
from alphapulse.exchanges.streams.memory import StreamMemory
from alphapulse.exchanges.streams.pro import ProLayer, close
from alphapulse.exchanges.streams.quote import Quote
from alphapulse.exchanges.streams.watchdog import DEFAULT_LIMITS, StreamLimits, Topic, Watchdog

# As many as most exchanges take in one subscription.
SYMBOLS_PER_CALL = 20

# What of a Ticker a frame may say; what it does not say stays as it was.
_FIELDS = (
    *("last", "bid", "ask", "mark", "index", "open_24h", "high_24h", "low_24h"),
    *("base_volume_24h", "quote_volume_24h"),
)


@dataclass(frozen=True, slots=True)
class Share:
    """What one CCXT Pro instance, with `Stored` laid over it, is to watch; closed at the end."""

    client: Any
    subscription: MarketSubscription


async def watch(
    shares: Sequence[Share],
    sink: MarketSink,
    *,
    memory: StreamMemory,
    clock: Clock,
    on_connected: Callable[[], None],
    limits: StreamLimits = DEFAULT_LIMITS,
) -> None:
    """Hand every market message to ``sink`` until canceled; an instance a kind of market.

    ``on_connected`` is called with the first data: CCXT does not tell when a subscription stands.

    Raises:
        StreamLost: ended, silent, or a message cannot be read; call again.
        InstrumentUnavailable: unknown symbol.
        InvalidInput: the exchange has no such stream.
    """
    feed = Feed(shares, sink, memory, clock, on_connected)
    try:
        async with together() as tasks:
            for share in shares:
                share.client.store_into(feed)
                for call in _calls(share):
                    tasks.create_task(_keep(call, memory.exchange))
            tasks.create_task(_guard(feed, clock, limits))
    finally:
        for share in shares:
            await close(share.client)


class Stored(ProLayer):
    """Laid over a CCXT Pro class: what its handlers store comes to a feed as well."""

    _feed: "Feed"

    def store_into(self: Any, feed: "Feed") -> None:
        """Before anything is watched."""
        self._feed = feed
        self.tickers = _Tickers(feed.on_ticker)
        self.bidsasks = _Tickers(feed.on_ticker)
        tape_type, bars_type = _caches()
        for symbol in feed.trades:
            self.trades[symbol] = tape_type(partial(feed.on_trade, symbol))
        for symbol, timeframe in feed.candles:
            bars = bars_type(partial(feed.on_bar, symbol, timeframe))
            self.ohlcvs.setdefault(symbol, {})[timeframe.value] = bars

    def on_end(self, lost: StreamLost) -> None:
        self._feed.end(lost)


class Feed:
    """Turns what is stored into values of ours; one for all instances of a `watch`."""

    def __init__(
        self,
        shares: Sequence[Share],
        sink: MarketSink,
        memory: StreamMemory,
        clock: Clock,
        on_connected: Callable[[], None],
    ) -> None:
        self._sink = sink
        self._memory = memory
        self._clock = clock
        self._on_connected = on_connected
        self._has_data = False
        self._newest_bars: dict[tuple[Symbol, Timeframe], Candle] = {}
        self.lost: AlphaPulseError | None = None
        self.ended = asyncio.Event()
        wanted = [share.subscription for share in shares]
        self.tickers = _topics("ticker", (s for one in wanted for s in one.tickers))
        self.trades = _topics("trades", (s for one in wanted for s in one.trades))
        self.candles = {
            (symbol, timeframe): Topic(f"candles {timeframe} {symbol}", symbol)
            for one in wanted
            for symbol, timeframe in one.candles
        }
        self._quotes = {s: Quote(memory.exchange, s, sink) for s in self.tickers}

    @property
    def topics(self) -> tuple[Topic, ...]:
        return (*self.tickers.values(), *self.trades.values(), *self.candles.values())

    def end(self, lost: AlphaPulseError) -> None:
        """The first word on the end counts."""
        self.lost = self.lost or lost
        self.ended.set()

    def on_ticker(self, raw: parse.Raw) -> None:
        """One unified ticker, whole or the best bid and ask alone."""
        topic = self.tickers.get(raw.get("symbol"))  # type: ignore[arg-type]
        if topic is None:
            self._memory.counts.unknown += 1
            return
        said = parse.ticker(raw, self._memory.exchange, self._clock.now())
        self._hear(topic)
        found = {name: getattr(said, name) for name in _FIELDS}
        changes = {name: value for name, value in found.items() if value is not None}
        self._quotes[topic.symbol].offer(said.occurred_at, said.received_at, **changes)

    def on_trade(self, symbol: Symbol, raw: parse.Raw) -> None:
        """One unified trade."""
        now = self._clock.now()
        trade = Trade(
            exchange=self._memory.exchange,
            symbol=symbol,
            trade_id=str(raw.get("id") or ""),
            price=parse.decimal(raw, "price"),
            quantity=parse.decimal(raw, "amount"),
            side=Side(parse.text(raw, "side")),
            occurred_at=parse.moment(raw, "timestamp", now),
            received_at=now,
        )
        self._hear(self.trades[symbol])
        self._sink.on_trade(trade)

    def on_bar(self, symbol: Symbol, timeframe: Timeframe, row: list[Any]) -> None:
        """One row; an exchange need not say that a candle is closed, but the next one does."""
        now = self._clock.now()
        key = (symbol, timeframe)
        # Some handlers make floats of text. Candles are stored as doubles anyway, and the shortest
        # text of a float is what the venue wrote, to 15 digits.
        exact = [Decimal(repr(one)) if isinstance(one, float) else one for one in row]
        candle = parse.candle(exact, self._memory.exchange, symbol, timeframe, now)
        candle = replace(candle, is_closed=False)
        newest = self._newest_bars.get(key)
        if newest is not None and candle.open_time < newest.open_time:
            self._memory.counts.stale += 1
            return
        self._hear(self.candles[key])
        if newest is not None and candle.open_time > newest.open_time:
            self._close(newest)
        self._newest_bars[key] = candle
        self._sink.on_candle(candle)

    def _close(self, candle: Candle) -> None:
        open_ms = round(candle.open_time.timestamp() * 1000)
        if not self._memory.is_closed(candle.symbol, candle.timeframe, open_ms):
            self._memory.close(candle.symbol, candle.timeframe, open_ms)
            self._sink.on_candle(replace(candle, is_closed=True))

    def _hear(self, topic: Topic) -> None:
        topic.heard = True
        if not self._has_data:
            self._has_data = True
            self._memory.counts.connects += 1
            self._on_connected()


class _Tickers(dict[str, Any]):
    """The exchange's table of tickers: telling what is put into it."""

    def __init__(self, told: Callable[[Any], None]) -> None:
        super().__init__()
        self._told = told

    def __setitem__(self, symbol: str, ticker: Any) -> None:
        super().__setitem__(symbol, ticker)
        self._told(ticker)


@cache
def _caches() -> tuple[type[Any], type[Any]]:
    """CCXT's caches of trades and of candles: telling what is appended to them."""
    loading.prepare()
    caches = import_module("ccxt.async_support.base.ws.cache")

    class Tape(caches.ArrayCache):  # type: ignore[misc, name-defined]
        def __init__(self, told: Callable[[Any], None]) -> None:
            super().__init__(1)
            self._told = told

        def append(self, item: Any) -> None:
            super().append(item)
            self._told(item)

    class Bars(caches.ArrayCacheByTimestamp):  # type: ignore[misc, name-defined]
        def __init__(self, told: Callable[[Any], None]) -> None:
            super().__init__(2)
            self._told = told

        def append(self, item: Any) -> None:
            super().append(item)
            self._told(item)

    return Tape, Bars


def _topics(kind: str, symbols: "Iterator[Symbol]") -> dict[Symbol, Topic]:
    return {symbol: Topic(f"{kind} {symbol}", symbol) for symbol in sorted(symbols)}


def _calls(share: Share) -> Iterator[Callable[[], Awaitable[object]]]:
    """The watch calls that subscribe to a share; each is made again whenever it returns."""
    client, wanted = share.client, share.subscription
    tickers = sorted(wanted.tickers)
    for name in ("watchTickers", "watchBidsAsks"):
        if client.has.get(name):
            for start in range(0, len(tickers), SYMBOLS_PER_CALL):
                yield partial(_method(client, name), tickers[start : start + SYMBOLS_PER_CALL])
    if not client.has.get("watchTickers"):
        for symbol in tickers:
            yield partial(client.watch_ticker, symbol)
    for symbol in sorted(wanted.trades):
        yield partial(client.watch_trades, symbol)
    for symbol, timeframe in sorted(wanted.candles):
        yield partial(client.watch_ohlcv, symbol, timeframe.value)


def _method(client: Any, name: str) -> Callable[..., Awaitable[object]]:
    found: Callable[..., Awaitable[object]] = getattr(client, name)
    return found


async def _keep(call: Callable[[], Awaitable[object]], exchange: ExchangeId) -> None:
    """Call again and again: that keeps the subscription; what it returns is in the feed already."""
    try:
        while True:
            await call()
    except (loading.base_error(), *BREAKS) as raised:
        name = type(raised).__name__
        error: Exception = StreamLost("stream ended", exchange=exchange, reason=name)
        if name in {"BadSymbol", "NotSupported", "ArgumentsRequired"}:
            error = errors.of_local(raised, intent=Intent.READ, exchange=exchange)
    # Outside the handler: CCXT's own text, which holds addresses, must not travel as context.
    raise error


async def _guard(feed: Feed, clock: Clock, limits: StreamLimits) -> None:
    """Raise how the stream ended, or that it fell silent.

    One silent topic among others that speak is left alone: CCXT cannot subscribe to it anew.
    """
    watchdog = Watchdog(feed.topics, clock, limits)
    while feed.lost is None:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(1.0, limits.silence_s / 4)):
                await feed.ended.wait()
        if feed.topics and watchdog.look() > limits.silence_s:
            feed.end(StreamLost("stream silent", silence_s=limits.silence_s))
    raise feed.lost
