"""Bybit's public stream of one category: tickers, books, trades and candles.

Frames are made once and sent to everybody who follows the topic. Tickers, books and candles are
gathered until the pulse; trades go out at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from decimal import Decimal

import msgspec

from alphapulse.domain.money import plain
from alphapulse.domain.order import Side
from alphapulse.simulator.core.candles import Candle
from alphapulse.simulator.core.events import (
    BooksRestarted,
    CandleClosed,
    CoreEvent,
    Pulse,
    TradePrinted,
)
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.refusal import Refused
from alphapulse.simulator.venues.bybit import codes
from alphapulse.simulator.venues.bybit.codes import BybitError
from alphapulse.simulator.venues.bybit.conversation import TOPICS_MAX, Conversation, topics_of
from alphapulse.simulator.venues.bybit.ids import event_id
from alphapulse.simulator.venues.bybit.market import INTERVALS
from alphapulse.simulator.venues.bybit.rows import SIDES, Row
from alphapulse.simulator.venues.bybit.tickers import changes, stream_ticker
from alphapulse.simulator.venues.face import Socket

DEPTHS = {"1", "50", "200", "1000"}

# The venue takes so many topics in one message on spot, and more on contracts.
SPOT_ARGS_MAX = 10

# Where a book's update numbers start after a snapshot; 1 would mean "the service restarted".
FIRST_UPDATE = 1_000_001


class Topic(ABC):
    """One stream of one market, and what it last told."""

    def __init__(self, name: str, market: Market) -> None:
        self.name = name
        self.market = market
        self.sockets: set[Socket] = set()

    @abstractmethod
    def snapshot(self, at_ms: int) -> Row | None:
        """What a new follower gets first; ``None``: nothing, it waits for the next event."""

    @abstractmethod
    def update(self, at_ms: int) -> Row | None:
        """What followers get at a pulse; ``None`` when nothing changed."""

    def send(self, frame: Row) -> None:
        """To everybody."""
        encoded = msgspec.json.encode(frame)
        for socket in tuple(self.sockets):
            socket.send(encoded, topic=self.name, symbol=self.market.instrument.name)

    def greet(self, socket: Socket, at_ms: int) -> None:
        """Bring one new follower to where the others are."""
        self.sockets.add(socket)
        frame = self.snapshot(at_ms)
        if frame is not None:
            encoded = msgspec.json.encode(frame)
            socket.send(encoded, topic=self.name, symbol=self.market.instrument.name)

    def frame(self, kind: str, at_ms: int, data: object) -> Row:
        return {"topic": self.name, "type": kind, "ts": at_ms, "data": data}


class TickerTopic(Topic):
    """Spot repeats everything; contracts send what changed."""

    def __init__(self, name: str, market: Market, index_usd: Callable[[], Decimal | None]) -> None:
        super().__init__(name, market)
        self._index_usd = index_usd
        self._told: Row = {}
        self._sequence = 0

    def _now(self, at_ms: int) -> Row:
        return stream_ticker(self.market, self._index_usd(), at_ms)

    def snapshot(self, at_ms: int) -> Row | None:
        if not self._told:
            self._told = self._now(at_ms)
        return self._numbered("snapshot", at_ms, self._told)

    def update(self, at_ms: int) -> Row | None:
        row = self._now(at_ms)
        if row == self._told:
            return None
        is_spot = self.market.instrument.category is Category.SPOT
        told, self._told = self._told, row
        if is_spot or not told:
            return self._numbered("snapshot", at_ms, row)
        return self._numbered("delta", at_ms, changes(told, row))

    def _numbered(self, kind: str, at_ms: int, data: Row) -> Row:
        self._sequence += 1
        return self.frame(kind, at_ms, data) | {"cs": self._sequence}


class BookTopic(Topic):
    """A snapshot, then what changed among the best levels; ``u`` rises by one each time."""

    def __init__(self, name: str, market: Market, depth: int) -> None:
        super().__init__(name, market)
        self._depth = depth
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._update_id = FIRST_UPDATE

    def snapshot(self, at_ms: int) -> Row | None:
        if not self._bids and not self._asks:
            self._bids, self._asks = self._levels(Side.BUY), self._levels(Side.SELL)
        return self._book("snapshot", at_ms, self._bids, self._asks)

    def update(self, at_ms: int) -> Row | None:
        bids, asks = self._levels(Side.BUY), self._levels(Side.SELL)
        changed_bids, changed_asks = _differences(self._bids, bids), _differences(self._asks, asks)
        if not changed_bids and not changed_asks:
            return None
        self._bids, self._asks = bids, asks
        self._update_id += 1
        # The venue sends the best quotes whole every time.
        if self._depth == 1:
            return self._book("snapshot", at_ms, bids, asks)
        return self._book("delta", at_ms, changed_bids, changed_asks)

    def restart(self, at_ms: int) -> None:
        """What the venue sends when its service started anew: everything, counted from 1."""
        self._bids, self._asks = self._levels(Side.BUY), self._levels(Side.SELL)
        self._update_id = 1
        self.send(self._book("snapshot", at_ms, self._bids, self._asks))

    def _levels(self, side: Side) -> dict[int, int]:
        return dict(self.market.book.levels(side, self._depth))

    def _book(self, kind: str, at_ms: int, bids: dict[int, int], asks: dict[int, int]) -> Row:
        data = {
            "s": self.market.instrument.name,
            "b": self._texts(bids),
            "a": self._texts(asks),
            "u": self._update_id,
            "seq": self.market.book.update_id,
        }
        return self.frame(kind, at_ms, data) | {"cts": at_ms}

    def _texts(self, levels: dict[int, int]) -> list[list[str]]:
        instrument = self.market.instrument
        return [
            [plain(instrument.price(ticks)), plain(instrument.quantity(lots))]
            for ticks, lots in levels.items()
        ]


def _differences(before: dict[int, int], after: dict[int, int]) -> dict[int, int]:
    """New totals of levels; 0 for those that are gone."""
    gone = {ticks: 0 for ticks in before if ticks not in after}
    return gone | {ticks: lots for ticks, lots in after.items() if before.get(ticks) != lots}


class TradeTopic(Topic):
    """The tape; it has no past."""

    def snapshot(self, at_ms: int) -> Row | None:
        return None

    def update(self, at_ms: int) -> Row | None:
        return None

    def on_trade(self, trade: TradePrinted) -> None:
        instrument = self.market.instrument
        self.send(
            self.frame(
                "snapshot",
                trade.at_ms,
                [
                    {
                        "T": trade.at_ms,
                        "s": instrument.name,
                        "S": SIDES[trade.taker_side],
                        "v": plain(trade.quantity),
                        "p": plain(trade.price),
                        "L": "PlusTick" if trade.taker_side is Side.BUY else "MinusTick",
                        "i": event_id(*instrument.key, trade.trade_id),
                        "BT": False,
                        "RPI": False,
                        "seq": trade.trade_id,
                    }
                ],
            )
        )


class CandleTopic(Topic):
    """The open candle as it moves, and each once more when it is closed."""

    def __init__(self, name: str, market: Market, interval: str, core_interval: str) -> None:
        super().__init__(name, market)
        self._interval = interval
        self.core_interval = core_interval
        market.candles.recall()  # or longer candles would not close
        self._told: Candle | None = None

    def snapshot(self, at_ms: int) -> Row | None:
        return None

    def update(self, at_ms: int) -> Row | None:
        candle = self.market.candles.open_candle(self.core_interval)
        if candle is None or candle == self._told:
            return None
        self._told = candle
        return self._candle(candle, at_ms)

    def on_closed(self, candle: Candle, at_ms: int) -> None:
        self.send(self._candle(candle, at_ms))

    def _candle(self, candle: Candle, at_ms: int) -> Row:
        row = {
            "start": candle.open_ms,
            "end": candle.close_ms,
            "interval": self._interval,
            "open": plain(candle.open),
            "close": plain(candle.close),
            "high": plain(candle.high),
            "low": plain(candle.low),
            "volume": plain(candle.volume),
            "turnover": plain(candle.quote_volume),
            "confirm": candle.is_closed,
            "timestamp": at_ms,
        }
        return self.frame("snapshot", at_ms, [row])


class PublicFeed:
    """Every topic of one category that somebody follows."""

    def __init__(self, venue: Venue, category: Category | None) -> None:
        self._venue = venue
        self.category = category
        self._topics: dict[str, Topic] = {}
        venue.subscribe(self._hear)

    def topics(self, names: list[str]) -> list[Topic]:
        """The topics of these names, followed by somebody or not.

        Raises:
            BybitError: one of them does not exist.
        """
        return [self._topics.get(name) or self._make(name) for name in names]

    def follow(self, socket: Socket, topics: list[Topic]) -> None:
        """Send these topics to ``socket`` from now on, snapshots first."""
        for topic in topics:
            self._topics[topic.name] = topic
            topic.greet(socket, self._venue.clock.now_ms())

    def forget(self, socket: Socket, names: list[str]) -> None:
        """Send these topics no more; unknown ones are ignored."""
        for name in names:
            topic = self._topics.get(name)
            if topic is None:
                continue
            topic.sockets.discard(socket)
            if not topic.sockets:
                del self._topics[name]

    def _make(self, name: str) -> Topic:
        kind, _, rest = name.partition(".")
        argument, _, symbol = rest.rpartition(".")
        try:
            if self.category is None:
                raise BybitError(codes.PARAMS, f"error:handler not found,topic:{name}")
            market = self._venue.market(self.category, symbol)
        except Refused:
            raise BybitError(codes.PARAMS, f"Invalid symbol :[{name}]") from None
        if kind == "tickers" and not argument:
            base = market.instrument.base
            return TickerTopic(name, market, lambda: self._venue.usd_price(base))
        if kind == "publicTrade" and not argument:
            return TradeTopic(name, market)
        if kind == "orderbook" and argument in DEPTHS:
            return BookTopic(name, market, int(argument))
        if kind == "kline" and argument in INTERVALS:
            return CandleTopic(name, market, argument, INTERVALS[argument])
        raise BybitError(codes.PARAMS, f"error:handler not found,topic:{name}")

    def _hear(self, event: CoreEvent) -> None:
        if not self._topics:
            return
        if isinstance(event, Pulse):
            self._update(event.at_ms)
        elif isinstance(event, BooksRestarted):
            self._restart_books(event)
        elif isinstance(event, TradePrinted) and event.instrument.category is self.category:
            topic_of_trades = self._topics.get(f"publicTrade.{event.instrument.name}")
            if isinstance(topic_of_trades, TradeTopic):
                topic_of_trades.on_trade(event)
        elif isinstance(event, CandleClosed) and event.instrument.category is self.category:
            self._close_candle(event)

    def _update(self, at_ms: int) -> None:
        for topic in tuple(self._topics.values()):
            frame = topic.update(at_ms)
            if frame is not None:
                topic.send(frame)

    def _restart_books(self, event: BooksRestarted) -> None:
        for topic in tuple(self._topics.values()):
            if isinstance(topic, BookTopic) and topic.market.instrument is event.instrument:
                topic.restart(event.at_ms)

    def _close_candle(self, event: CandleClosed) -> None:
        for topic in tuple(self._topics.values()):
            if not isinstance(topic, CandleTopic):
                continue
            is_same = topic.market.instrument is event.instrument
            if is_same and topic.core_interval == event.interval:
                topic.on_closed(event.candle, event.at_ms)


class PublicSession(Conversation):
    """One client of a public stream."""

    def __init__(self, socket: Socket, feed: PublicFeed) -> None:
        super().__init__(socket)
        self._feed = feed
        self._followed: set[str] = set()

    def on_op(self, op: str, message: Row) -> None:
        if op == "ping":
            self.acknowledge(message, "pong")
        elif op == "subscribe":
            self._subscribe(message)
        elif op == "unsubscribe":
            names = topics_of(message)
            self._feed.forget(self._socket, names)
            self._followed.difference_update(names)
            self.acknowledge(message)
        else:
            raise BybitError(codes.PARAMS, "error:invalid op")

    def _subscribe(self, message: Row) -> None:
        names = topics_of(message)
        if self._feed.category is Category.SPOT and len(names) > SPOT_ARGS_MAX:
            raise BybitError(codes.PARAMS, f"args size >{SPOT_ARGS_MAX}")
        fresh = [name for name in dict.fromkeys(names) if name not in self._followed]
        if len(self._followed) + len(fresh) > TOPICS_MAX:
            raise BybitError(codes.PARAMS, f"more than {TOPICS_MAX} topics on one connection")
        topics = self._feed.topics(fresh)
        self.acknowledge(message, "subscribe")
        self._feed.follow(self._socket, topics)
        self._followed.update(fresh)

    def on_close(self) -> None:
        self._feed.forget(self._socket, list(self._followed))
