"""Streams: every market stream of Binance that somebody follows.

Trades, best quotes and closed candles go out at once; depth, tickers and open candles are gathered
until their pulse. A frame is made once for all its followers.
"""

import re
from collections.abc import Callable

import msgspec

from alphapulse.simulator.core.candles import INTERVALS, Candle
from alphapulse.simulator.core.events import (
    AggregatePrinted,
    BestChanged,
    CandleClosed,
    CoreEvent,
    DepthChanged,
    Pulse,
    TradePrinted,
)
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.drivers.step import DepthSnapshot, RawFrame
from alphapulse.simulator.venues.binance_spot import frames
from alphapulse.simulator.venues.binance_spot.market import AVERAGE_MINUTES
from alphapulse.simulator.venues.binance_spot.recording import Recording
from alphapulse.simulator.venues.binance_spot.rows import Row
from alphapulse.simulator.venues.face import Socket

# Pulses between two frames, at ten pulses a second: the venue's documented update speeds.
FAST = 1
SECOND = 10
CANDLE = 20

_SYMBOL_STREAM = re.compile(r"([a-z0-9]+)@(.+)")
_DEPTH = re.compile(r"depth(5|10|20)?(@100ms|@1000ms)?")


class Topic:
    """One stream, its followers and, where it gathers, how often it tells."""

    every_pulses = 0

    def __init__(self, name: str, symbol: str | None) -> None:
        self.name = name
        self.symbol = symbol
        self._followers: dict[Socket, bool] = {}

    def follow(self, socket: Socket, *, is_combined: bool) -> None:
        self._followers[socket] = is_combined

    def forget(self, socket: Socket) -> bool:
        """Whether nobody is left."""
        self._followers.pop(socket, None)
        return not self._followers

    def send(self, row: Row | list[Row]) -> None:
        """To everybody, encoded once."""
        self.send_raw(msgspec.json.encode(row))

    def send_raw(self, data: bytes, combined: bytes | None = None) -> None:
        """Already encoded, byte for byte."""
        for socket, is_combined in tuple(self._followers.items()):
            frame = data
            if is_combined:
                if combined is None:
                    combined = b'{"stream":"%s","data":%s}' % (self.name.encode(), data)
                frame = combined
            socket.send(frame, topic=self.name, symbol=self.symbol)

    def on_event(self, event: CoreEvent) -> None:
        """An event of the stream's market."""

    def on_pulse(self, at_ms: int) -> None:
        """Tell what was gathered."""


class InstantTopic(Topic):
    """One frame for each event of one kind."""

    def __init__(
        self, name: str, market: Market, kind: type[CoreEvent], row: Callable[..., Row]
    ) -> None:
        super().__init__(name, market.instrument.name)
        self._kind = kind
        self._row = row

    def on_event(self, event: CoreEvent) -> None:
        if isinstance(event, self._kind):
            self.send(self._row(event))


class CandleTopic(Topic):
    """The open candle as it moves, and each once more when it closes."""

    every_pulses = CANDLE

    def __init__(self, name: str, market: Market, interval: str) -> None:
        super().__init__(name, market.instrument.name)
        self._market = market
        self._interval = interval
        market.candles.recall()  # or longer candles would not close
        self._told: Candle | None = None

    def on_event(self, event: CoreEvent) -> None:
        if isinstance(event, CandleClosed) and event.interval == self._interval:
            self._tell(event.candle, event.at_ms)

    def on_pulse(self, at_ms: int) -> None:
        candle = self._market.candles.open_candle(self._interval)
        if candle is not None and candle != self._told:
            self._tell(candle, at_ms)

    def _tell(self, candle: Candle, at_ms: int) -> None:
        self._told = candle
        self.send(frames.candle(self._market.instrument, self._interval, candle, at_ms))


class DepthTopic(Topic):
    """What changed since the last frame; ``U`` is the ``u`` before it plus one."""

    def __init__(self, name: str, market: Market, every_pulses: int) -> None:
        super().__init__(name, market.instrument.name)
        self.every_pulses = every_pulses
        self._instrument = market.instrument
        self._ids: tuple[int, int] | None = None
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def on_event(self, event: CoreEvent) -> None:
        if isinstance(event, DepthChanged):
            first_id = event.first_id if self._ids is None else self._ids[0]
            self._ids = (first_id, event.last_id)
            self._bids.update(event.bids)
            self._asks.update(event.asks)

    def on_pulse(self, at_ms: int) -> None:
        if self._ids is None:
            return
        self.send(frames.depth(self._instrument, *self._ids, self._bids, self._asks, at_ms))
        self._ids = None
        self._bids.clear()
        self._asks.clear()


class PolledTopic(Topic):
    """What a market looks like at its pulse, told when something happened since the last one."""

    def __init__(
        self, name: str, market: Market, every_pulses: int, row: Callable[[Market, int], Row | None]
    ) -> None:
        super().__init__(name, market.instrument.name)
        self.every_pulses = every_pulses
        self._market = market
        self._row = row
        self._has_news = True

    def on_event(self, event: CoreEvent) -> None:
        self._has_news = True

    def on_pulse(self, at_ms: int) -> None:
        row = self._row(self._market, at_ms) if self._has_news else None
        self._has_news = False
        if row is not None:
            self.send(row)


class AllMarketsTopic(Topic):
    """One array, each second, of every market that changed in it."""

    every_pulses = SECOND

    def __init__(self, name: str, venue: Venue, row: Callable[[Market, int], Row | None]) -> None:
        super().__init__(name, None)
        self._venue = venue
        self._row = row
        self._changed: dict[str, None] = {}

    def on_event(self, event: CoreEvent) -> None:
        if isinstance(event, TradePrinted | BestChanged):
            self._changed[event.instrument.name] = None

    def on_pulse(self, at_ms: int) -> None:
        markets = [self._venue.markets[Category.SPOT, name] for name in self._changed]
        self._changed.clear()
        rows = [row for market in markets if (row := self._row(market, at_ms)) is not None]
        if rows:
            self.send(rows)


def _mini_ticker(market: Market, at_ms: int) -> Row | None:
    day = market.day(at_ms)
    return None if day is None else frames.mini_ticker(market, day, at_ms)


def _ticker(market: Market, at_ms: int) -> Row | None:
    day = market.day(at_ms)
    return None if day is None else frames.ticker(market, day, at_ms)


def _average_price(market: Market, at_ms: int) -> Row:
    return frames.average_price(market, AVERAGE_MINUTES, at_ms)


_INSTANT: dict[str, tuple[type[CoreEvent], Callable[..., Row]]] = {
    "trade": (TradePrinted, frames.trade),
    "aggTrade": (AggregatePrinted, frames.aggregate),
    "bookTicker": (BestChanged, frames.best),
}
_POLLED: dict[str, Callable[[Market, int], Row | None]] = {
    "miniTicker": _mini_ticker,
    "ticker": _ticker,
    "avgPrice": _average_price,
}
_ALL_MARKETS = {"!miniTicker@arr": _mini_ticker, "!ticker@arr": _ticker}


def make_topic(name: str, venue: Venue) -> Topic:
    """The stream of this name. One that does not exist can be followed and stays silent, as on
    the venue."""
    if name in _ALL_MARKETS:
        return AllMarketsTopic(name, venue, _ALL_MARKETS[name])
    found = _SYMBOL_STREAM.fullmatch(name)
    market = venue.markets.get((Category.SPOT, found[1].upper())) if found else None
    if found is None or market is None:
        return Topic(name, None)
    kind = found[2]
    if kind in _INSTANT:
        return InstantTopic(name, market, *_INSTANT[kind])
    if kind in _POLLED:
        return PolledTopic(name, market, SECOND, _POLLED[kind])
    interval = kind.removeprefix("kline_")
    if kind.startswith("kline_") and interval in INTERVALS:
        return CandleTopic(name, market, interval)
    return _depth_topic(name, market, kind)


def _depth_topic(name: str, market: Market, kind: str) -> Topic:
    found = _DEPTH.fullmatch(kind)
    if found is None:
        return Topic(name, None)
    every_pulses = FAST if found[2] == "@100ms" else SECOND
    if found[1] is None:
        return DepthTopic(name, market, every_pulses)
    levels = int(found[1])
    return PolledTopic(
        name, market, every_pulses, lambda market, _: frames.partial_depth(market, levels)
    )


class Streams:
    """Every topic that somebody follows, fed by the venue or by a recording."""

    def __init__(self, venue: Venue, recording: Recording) -> None:
        self._venue = venue
        self._recording = recording
        self._topics: dict[str, Topic] = {}
        self._by_symbol: dict[str, list[Topic]] = {}
        self._of_all: list[Topic] = []
        venue.subscribe(self._hear)

    def follow(self, socket: Socket, name: str, *, is_combined: bool) -> None:
        """Send this stream to ``socket`` from now on."""
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = make_topic(name, self._venue)
            if not self._recording.is_recorded(name):
                self._group(topic).append(topic)
        topic.follow(socket, is_combined=is_combined)

    def forget(self, socket: Socket, name: str) -> None:
        """Send it no more; one that is not followed is ignored."""
        topic = self._topics.get(name)
        if topic is None or not topic.forget(socket):
            return
        del self._topics[name]
        group = self._group(topic)
        if topic in group:
            group.remove(topic)

    def relay(self, thing: RawFrame | DepthSnapshot) -> None:
        """Send a recorded frame as it is. From the first one on, its stream is the recording's."""
        if isinstance(thing, RawFrame):
            topic = self._topics.get(thing.stream)
            if topic is not None:
                if not self._recording.is_recorded(thing.stream):
                    self._group(topic).remove(topic)
                topic.send_raw(thing.data, thing.text)
        self._recording.note(thing)

    def _group(self, topic: Topic) -> list[Topic]:
        if topic.symbol is None:
            return self._of_all
        return self._by_symbol.setdefault(topic.symbol, [])

    def _hear(self, event: CoreEvent) -> None:
        if isinstance(event, Pulse):
            self._pulse(event)
        elif isinstance(event, _MARKET_EVENTS) and event.instrument.category is Category.SPOT:
            for topic in self._by_symbol.get(event.instrument.name, ()):
                topic.on_event(event)
            for topic in self._of_all:
                topic.on_event(event)

    def _pulse(self, pulse: Pulse) -> None:
        for topic in (*self._of_all, *(t for group in self._by_symbol.values() for t in group)):
            if topic.every_pulses and pulse.number % topic.every_pulses == 0:
                topic.on_pulse(pulse.at_ms)


_MARKET_EVENTS = TradePrinted | AggregatePrinted | BestChanged | DepthChanged | CandleClosed
