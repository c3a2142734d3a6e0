"""Topics: what one market stream sends, and when.

Trades, best quotes and closed candles go out at once; depth, tickers and open candles are gathered
until their pulse. A frame is made once for all its followers.
"""

from collections.abc import Callable

import msgspec

from alphapulse.simulator.core.candles import Candle
from alphapulse.simulator.core.events import (
    BestChanged,
    CandleClosed,
    CoreEvent,
    DepthChanged,
    TradePrinted,
)
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.venues.binance import market_frames
from alphapulse.simulator.venues.binance.market_rows import Row
from alphapulse.simulator.venues.face import Socket

# Pulses between two frames, at ten pulses a second: the venue's documented update speeds.
FAST = 1
SECOND = 10
CANDLE = 20


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
    """One frame for each event of one kind, of one market or (``None``) of all."""

    def __init__(
        self, name: str, market: Market | None, kind: type[CoreEvent], row: Callable[..., Row]
    ) -> None:
        super().__init__(name, None if market is None else market.instrument.name)
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
        self.send(market_frames.candle(self._market.instrument, self._interval, candle, at_ms))


class DepthTopic(Topic):
    """What changed since the last frame; ``U`` is the ``u`` before it plus one."""

    def __init__(
        self, name: str, market: Market, every_pulses: int, row: Callable[..., Row]
    ) -> None:
        super().__init__(name, market.instrument.name)
        self.every_pulses = every_pulses
        self._instrument = market.instrument
        self._row = row
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
        self.send(self._row(self._instrument, *self._ids, self._bids, self._asks, at_ms))
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

    def __init__(
        self,
        name: str,
        venue: Venue,
        category: Category,
        row: Callable[[Market, int], Row | None],
    ) -> None:
        super().__init__(name, None)
        self._venue = venue
        self._category = category
        self._row = row
        self._changed: dict[str, None] = {}

    def on_event(self, event: CoreEvent) -> None:
        if isinstance(event, TradePrinted | BestChanged):
            self._changed[event.instrument.name] = None

    def on_pulse(self, at_ms: int) -> None:
        markets = [self._venue.markets[self._category, name] for name in self._changed]
        self._changed.clear()
        rows = [row for market in markets if (row := self._row(market, at_ms)) is not None]
        if rows:
            self.send(rows)
