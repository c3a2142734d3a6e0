"""Bybit v5 market streams: spot and linear topics into Ticker, Trade and Candle.

Linear ``tickers`` are a snapshot and then deltas that carry only what changed; spot ``tickers`` are
always whole but bring no bid and ask, so ``orderbook.1`` does. Each category has its own address.

An order book numbers its deltas one by one (``u``), so a lost one is seen. The tickers' cross
sequence (``cs``) only rises: it tells repeated and overtaken frames, not lost ones.

Source: https://bybit-exchange.github.io/docs/v5/ws/connect and the pages beside it, 2026-11.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial

import aiohttp
import msgspec
from msgspec.structs import astuple

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.instrument import Instrument, InstrumentType
from alphapulse.domain.market import MarketSubscription, Timeframe, Trade
from alphapulse.domain.money import exact
from alphapulse.domain.order import Side
from alphapulse.errors import InstrumentUnavailable, InvalidInput, StreamLost
from alphapulse.exchanges.port import MarketSink
from alphapulse.exchanges.streams.bybit_frames import (
    BookFrame,
    KlineFrame,
    OtherFrame,
    TickerData,
    TickerFrame,
    TradeFrame,
)
from alphapulse.exchanges.streams.candles import CandleTopic
from alphapulse.exchanges.streams.connection import (
    Dialect,
    Line,
    Notice,
    Reply,
    instrument_of,
    watch_lines,
)
from alphapulse.exchanges.streams.fields import amount, moment, price
from alphapulse.exchanges.streams.memory import UNREADABLE, StreamMemory
from alphapulse.exchanges.streams.quote import Quote
from alphapulse.exchanges.streams.watchdog import DEFAULT_LIMITS, StreamLimits, Topic

EXCHANGE = ExchangeId("bybit")
URL = "wss://stream.bybit.com/v5/public/"

# The venue allows 10 args in a spot request, and 21,000 characters of args in all on a connection.
TOPICS_PER_REQUEST = {"spot": 10, "linear": 100}
ARGS_CHARACTERS = 20_000
REQUEST_INTERVAL_S = 0.1
_TOPIC = b'"topic":"'
PING = '{"op":"ping"}'

# A repeated frame comes at once or with a rotation, whose overlap is a second or two.
TRADE_IDS_KEPT = 1024

INTERVALS = {
    Timeframe.M1: "1",
    Timeframe.M5: "5",
    Timeframe.M15: "15",
    Timeframe.H1: "60",
    Timeframe.H4: "240",
    Timeframe.D1: "D",
}


async def watch(
    subscription: MarketSubscription,
    sink: MarketSink,
    *,
    instruments: Mapping[Symbol, Instrument],
    address: Callable[[str], str],
    memory: StreamMemory,
    clock: Clock,
    on_connected: Callable[[], None],
    limits: StreamLimits = DEFAULT_LIMITS,
    open_session: Callable[[], aiohttp.ClientSession] = aiohttp.ClientSession,
) -> None:
    """Hand every message of the subscribed topics to ``sink`` until canceled.

    Args:
        instruments: of every symbol in the subscription, spot or linear.
        address: where a venue's URL really is; see `ExchangesSettings.address`.
        memory: the same for every call, so that a reconnect repeats no closed candle.
        on_connected: called once all subscriptions of all categories are confirmed.

    Raises:
        StreamLost: ended, silent, refused, or a delta is missing; call again.
        InstrumentUnavailable: unknown symbol, or the venue refuses its topic.
    """
    lines: list[Line] = []
    for category in ("spot", "linear"):
        decoder = BybitDecoder(category, subscription, sink, instruments=instruments, memory=memory)
        dialect = Dialect(
            exchange=EXCHANGE,
            url=address(URL + category),
            subscribe=partial(_request, "subscribe"),
            unsubscribe=partial(_request, "unsubscribe"),
            take=decoder.take,
            topics_per_request=TOPICS_PER_REQUEST[category],
            request_interval_s=REQUEST_INTERVAL_S,
            ping=PING,
        )
        lines += [Line(dialect, topics) for topics in _by_characters(decoder.topics)]
    await watch_lines(
        lines,
        memory,
        on_connected=on_connected,
        clock=clock,
        limits=limits,
        open_session=open_session,
    )


def _request(op: str, request_id: int, names: Sequence[str]) -> str:
    request = {"op": op, "req_id": str(request_id), "args": names}
    return msgspec.json.encode(request).decode()


def _by_characters(topics: Sequence[Topic]) -> Iterator[tuple[Topic, ...]]:
    """Share the topics out over as few connections as the venue's limit allows."""
    batch: list[Topic] = []
    characters = 0
    for topic in topics:
        if characters + len(topic.name) > ARGS_CHARACTERS:
            yield tuple(batch)
            batch, characters = [], 0
        batch.append(topic)
        characters += len(topic.name)
    if batch:
        yield tuple(batch)


def _moment_or_none(text: str) -> datetime | None:
    return moment(int(exact(text))) if text not in {"", "0"} else None


# In the order of the frame's fields.
_READERS: dict[str, Callable[[str], Decimal | datetime | None]] = dict.fromkeys(
    TickerData.__struct_fields__, price
) | {
    "base_volume_24h": amount,
    "quote_volume_24h": amount,
    "funding_rate": amount,
    "next_funding_at": _moment_or_none,
}


_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}


class _TickerTopic(Topic):
    __slots__ = ("marks", "quote")

    def __init__(self, name: str, symbol: Symbol, quote: Quote) -> None:
        super().__init__(name, symbol)
        self.quote = quote
        self.marks: dict[str, tuple[int, int]] = {}
        """Time and cross sequence of the frame that set each field; empty before a snapshot."""


class _BookTopic(Topic):
    __slots__ = ("asks", "bids", "quote", "ts", "update_id")

    def __init__(self, name: str, symbol: Symbol, quote: Quote) -> None:
        super().__init__(name, symbol)
        self.quote = quote
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.update_id = 0
        self.ts = 0


class _TradeTopic(Topic):
    __slots__ = ("_ids", "quote")

    def __init__(self, name: str, symbol: Symbol, quote: Quote | None) -> None:
        super().__init__(name, symbol)
        self.quote = quote
        self._ids: dict[str, None] = {}

    def is_new(self, trade_id: str) -> bool:
        """Remember the trade's id, the newest `TRADE_IDS_KEPT` of them; they have no order."""
        if trade_id in self._ids:
            return False
        self._ids[trade_id] = None
        if len(self._ids) > TRADE_IDS_KEPT:
            del self._ids[next(iter(self._ids))]
        return True


class BybitDecoder:
    """Takes the frames of one category, keeps each symbol's Ticker, hands out what is new."""

    def __init__(
        self,
        category: str,
        subscription: MarketSubscription,
        sink: MarketSink,
        *,
        instruments: Mapping[Symbol, Instrument],
        memory: StreamMemory,
    ) -> None:
        self._category = category
        self._sink = sink
        self._memory = memory
        self._tickers: dict[str, _TickerTopic] = {}
        self._books: dict[str, _BookTopic] = {}
        self._trades: dict[str, _TradeTopic] = {}
        self._candles: dict[str, CandleTopic] = {}
        self._decode_ticker = msgspec.json.Decoder(TickerFrame).decode
        self._decode_book = msgspec.json.Decoder(BookFrame).decode
        self._decode_trade = msgspec.json.Decoder(TradeFrame).decode
        self._decode_kline = msgspec.json.Decoder(KlineFrame).decode
        self._decode_other = msgspec.json.Decoder(OtherFrame).decode
        # By the first letter of the topic.
        self._takers: dict[int, Callable[[bytes, datetime], None]] = {
            ord("t"): self._take_ticker,
            ord("o"): self._take_book,
            ord("p"): self._take_trades,
            ord("k"): self._take_klines,
        }
        self._plan(subscription, instruments)

    @property
    def topics(self) -> tuple[Topic, ...]:
        """Every topic to subscribe to; quotes first, for they are what people wait for."""
        return (
            *self._tickers.values(),
            *self._books.values(),
            *self._trades.values(),
            *self._candles.values(),
        )

    def take(self, frame: bytes, received_at: datetime) -> Notice | None:
        """Hand out what one frame says; its kind is read off its topic.

        Raises:
            StreamLost: a delta is missing, so what was merged is no longer right.
        """
        why: Exception | None = None
        try:
            at = frame.find(_TOPIC)
            taker = self._takers.get(frame[at + len(_TOPIC)]) if at >= 0 else None
            if taker is not None:
                taker(frame, received_at)
                return None
        except LookupError:
            self._memory.note_unknown(frame)
            return None
        except (*UNREADABLE, InvalidInput) as broken:
            why = broken
        return self._take_other(frame, why)

    def _plan(
        self, subscription: MarketSubscription, instruments: Mapping[Symbol, Instrument]
    ) -> None:
        quotes: dict[Symbol, Quote] = {}
        for symbol, raw in self._named(subscription.tickers, instruments):
            quotes[symbol] = quote = Quote(EXCHANGE, symbol, self._sink)
            self._tickers[f"tickers.{raw}"] = _TickerTopic(f"tickers.{raw}", symbol, quote)
            if self._category == "spot":
                name = f"orderbook.1.{raw}"
                self._books[name] = _BookTopic(name, symbol, quote)
        for symbol, raw in self._named(subscription.trades, instruments):
            name = f"publicTrade.{raw}"
            self._trades[name] = _TradeTopic(name, symbol, quotes.get(symbol))
        for symbol, timeframe in sorted(subscription.candles):
            for _, raw in self._named([symbol], instruments):
                name = f"kline.{INTERVALS[timeframe]}.{raw}"
                self._candles[name] = CandleTopic(
                    name, symbol, timeframe, memory=self._memory, sink=self._sink
                )

    def _named(
        self, symbols: Iterable[Symbol], instruments: Mapping[Symbol, Instrument]
    ) -> Iterator[tuple[Symbol, str]]:
        """Those of our category, with the venue's names for them."""
        for symbol in sorted(symbols):
            instrument = instrument_of(EXCHANGE, symbol, instruments)
            if _category(instrument) == self._category:
                yield symbol, instrument.exchange_symbol

    def _take_ticker(self, frame: bytes, received_at: datetime) -> None:
        """Merge field by field, each as new as the newest frame that named it.

        So repeated and overtaken frames change nothing, in whatever order they come.
        """
        said = self._decode_ticker(frame)
        topic = self._tickers[said.topic]
        is_whole = said.type == "snapshot"
        if not (is_whole or topic.marks):
            raise self._lost(topic)
        mark = (said.ts, said.cs)
        changes: dict[str, Decimal | datetime | None] = {}
        for (name, read), text in zip(_READERS.items(), astuple(said.data), strict=True):
            if (text is not None or is_whole) and mark >= topic.marks.get(name, mark):
                changes[name] = read(text or "")
        if not changes:
            self._memory.counts.stale += 1
            return
        topic.heard = True
        topic.marks.update(dict.fromkeys(changes, mark))
        quote = topic.quote
        if "last" in changes and not quote.is_newest_last(said.ts):
            del changes["last"]
        quote.offer(moment(said.ts), received_at, **changes)

    def _take_book(self, frame: bytes, received_at: datetime) -> None:
        said = self._decode_book(frame)
        topic = self._books[said.topic]
        book = said.data
        is_whole = said.type == "snapshot"
        # A snapshot comes again every three seconds of quiet, with the same number.
        is_old = said.ts < topic.ts if is_whole else book.u <= topic.update_id
        if is_old:
            self._memory.counts.stale += 1
            return
        if is_whole:
            topic.bids.clear()
            topic.asks.clear()
        elif book.u != topic.update_id + 1:
            raise self._lost(topic)
        _apply(book.b, topic.bids)
        _apply(book.a, topic.asks)
        topic.heard = True
        topic.update_id, topic.ts = book.u, said.ts
        topic.quote.offer(
            moment(said.ts),
            received_at,
            bid=max(topic.bids, default=None),
            ask=min(topic.asks, default=None),
        )

    def _take_trades(self, frame: bytes, received_at: datetime) -> None:
        said = self._decode_trade(frame)
        topic = self._trades[said.topic]
        for one in said.data:
            if not topic.is_new(one.i):
                self._memory.counts.stale += 1
                continue
            trade = Trade(
                exchange=EXCHANGE,
                symbol=topic.symbol,
                trade_id=one.i,
                price=exact(one.p),
                quantity=exact(one.v),
                side=_SIDES[one.S],
                occurred_at=moment(one.T),
                received_at=received_at,
            )
            topic.heard = True
            self._sink.on_trade(trade)
            if topic.quote is not None:
                topic.quote.offer_last(trade, one.T)

    def _take_klines(self, frame: bytes, _: datetime) -> None:
        said = self._decode_kline(frame)
        topic = self._candles[said.topic]
        for bar in said.data:
            topic.take(bar, bar.timestamp)

    def _take_other(self, frame: bytes, why: Exception | None) -> Notice | None:
        """An answer to a request or a ping; else what ``why`` says, or unknown."""
        try:
            other = self._decode_other(frame)
        except UNREADABLE as broken:
            self._memory.note_malformed(repr(why or broken))
            return None
        if other.op in {"subscribe", "unsubscribe"}:
            return Reply(other.req_id, None if other.success else other.ret_msg)
        if why is not None:
            self._memory.note_malformed(repr(why))
        elif other.op not in {"ping", "pong"}:
            self._memory.note_unknown(frame)
        return None

    def _lost(self, topic: Topic) -> StreamLost:
        self._memory.note_missing(topic.name)
        return StreamLost(
            "a delta is missing", exchange=EXCHANGE, symbol=topic.symbol, topic=topic.name
        )


def _category(instrument: Instrument) -> str:
    """Spot or linear.

    Raises:
        InstrumentUnavailable: an inverse contract, which we do not stream.
    """
    if instrument.type is InstrumentType.SPOT:
        return "spot"
    if instrument.settle == instrument.quote:
        return "linear"
    raise InstrumentUnavailable(
        "inverse contracts are not streamed", exchange=EXCHANGE, symbol=instrument.symbol
    )


def _apply(levels: Sequence[tuple[str, str]], side: dict[Decimal, Decimal]) -> None:
    """Quantity 0 takes a level away."""
    for level_price, quantity in levels:
        if held := exact(quantity):
            side[exact(level_price)] = held
        else:
            side.pop(exact(level_price), None)
