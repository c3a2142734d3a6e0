"""Binance market streams: typed frames of combined streams into Ticker, Trade and Candle.

A Ticker is put together from several streams: bid and ask from ``bookTicker`` (real time, on spot
without a time of its own), last and the 24 h statistics from ``ticker``, last from ``trade`` as
well where the symbol's trades are subscribed, and of futures mark, index and funding from
``markPrice``. Futures are another host with frames of the same fields.

Source: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams,
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams,
and 41,249 recorded frames of spot: a book ticker's update ids rise with gaps, trade ids rise one
by one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

import aiohttp
import msgspec

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.instrument import Instrument
from alphapulse.domain.market import MarketSubscription, Trade
from alphapulse.domain.money import exact
from alphapulse.domain.order import Side
from alphapulse.errors import InvalidInput
from alphapulse.exchanges.port import MarketSink
from alphapulse.exchanges.streams.binance_frames import (
    BookFrame,
    DayFrame,
    KlineFrame,
    MarkFrame,
    OtherFrame,
    TradeFrame,
)
from alphapulse.exchanges.streams.candles import CandleTopic
from alphapulse.exchanges.streams.connection import (
    Dialect,
    Line,
    Notice,
    Reply,
    ShuttingDown,
    instrument_of,
    watch_lines,
)
from alphapulse.exchanges.streams.fields import amount, moment, price
from alphapulse.exchanges.streams.memory import UNREADABLE, StreamMemory
from alphapulse.exchanges.streams.quote import Quote
from alphapulse.exchanges.streams.watchdog import DEFAULT_LIMITS, StreamLimits, Topic

EXCHANGE = ExchangeId("binance")
URL = "wss://stream.binance.com:9443/stream"

# The futures sort their streams: books and trades, and all that is made of them.
USDM_PUBLIC_URL = "wss://fstream.binance.com/public/stream"
USDM_MARKET_URL = "wss://fstream.binance.com/market/stream"

# The venue allows 1024 streams a connection and 5 messages a second to it.
TOPICS_PER_CONNECTION = 1024
TOPICS_PER_REQUEST = 200
REQUEST_INTERVAL_S = 0.25


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
    """Hand every message of the subscribed streams to ``sink`` until canceled.

    Args:
        instruments: of every symbol in the subscription, spot and perpetual.
        address: where a venue's URL really is; see `ExchangesSettings.address`.
        memory: the same for every call, so that a reconnect repeats no closed candle.
        on_connected: called once all subscriptions are confirmed.

    Raises:
        StreamLost: ended, silent or refused; call again.
        InstrumentUnavailable: unknown symbol, or the venue refuses its stream.
    """
    spot, usdm = (
        BinanceDecoder(share, sink, instruments=instruments, memory=memory)
        for share in _shares(subscription)
    )

    def dialect(url: str, take: Callable[[bytes, datetime], Notice | None]) -> Dialect:
        return Dialect(
            exchange=EXCHANGE,
            url=address(url),
            subscribe=partial(_request, "SUBSCRIBE"),
            unsubscribe=partial(_request, "UNSUBSCRIBE"),
            take=take,
            topics_per_request=TOPICS_PER_REQUEST,
            request_interval_s=REQUEST_INTERVAL_S,
        )

    lines = [
        *_lines(dialect(URL, spot.take_book), spot.book_topics),
        *_lines(dialect(URL, spot.take), (*spot.trade_topics, *spot.other_topics)),
        *_lines(dialect(USDM_PUBLIC_URL, usdm.take_book), usdm.book_topics),
        *_lines(dialect(USDM_PUBLIC_URL, usdm.take), usdm.trade_topics),
        *_lines(dialect(USDM_MARKET_URL, usdm.take), usdm.other_topics),
    ]
    await watch_lines(
        lines,
        memory,
        on_connected=on_connected,
        clock=clock,
        limits=limits,
        open_session=open_session,
    )


def _shares(subscription: MarketSubscription) -> Iterator[MarketSubscription]:
    """What of it is spot, and what futures: their symbols name what they settle in."""
    for is_futures in (False, True):
        yield MarketSubscription(
            tickers=frozenset(s for s in subscription.tickers if (":" in s) is is_futures),
            trades=frozenset(s for s in subscription.trades if (":" in s) is is_futures),
            candles=frozenset(c for c in subscription.candles if (":" in c[0]) is is_futures),
        )


def _lines(dialect: Dialect, topics: Sequence[Topic]) -> Iterator[Line]:
    for start in range(0, len(topics), TOPICS_PER_CONNECTION):
        yield Line(dialect, tuple(topics[start : start + TOPICS_PER_CONNECTION]))


def _request(method: str, request_id: int, names: Sequence[str]) -> str:
    request = {"method": method, "params": names, "id": request_id}
    return msgspec.json.encode(request).decode()


class _Numbered(Topic):
    """A topic whose frames carry a rising number: an update id, a trade id or an event time."""

    __slots__ = ("number",)

    def __init__(self, name: str, symbol: Symbol) -> None:
        super().__init__(name, symbol)
        self.number = 0


class _BookTopic(_Numbered):
    __slots__ = ("ask", "bid", "quote")

    def __init__(self, name: str, symbol: Symbol, quote: Quote) -> None:
        super().__init__(name, symbol)
        self.quote = quote
        self.bid = ""
        self.ask = ""
        """As the venue wrote them: text is compared sooner than decimals are made."""


class _DayTopic(_Numbered):
    __slots__ = ("quote",)

    def __init__(self, name: str, symbol: Symbol, quote: Quote) -> None:
        super().__init__(name, symbol)
        self.quote = quote


class _TradeTopic(_Numbered):
    __slots__ = ("quote",)

    def __init__(self, name: str, symbol: Symbol, quote: Quote | None) -> None:
        super().__init__(name, symbol)
        self.quote = quote


class BinanceDecoder:
    """Takes frames, keeps each symbol's Ticker, hands out what is new. Lives for one `watch`."""

    def __init__(
        self,
        subscription: MarketSubscription,
        sink: MarketSink,
        *,
        instruments: Mapping[Symbol, Instrument],
        memory: StreamMemory,
    ) -> None:
        self._sink = sink
        self._memory = memory
        self._books: dict[str, _BookTopic] = {}
        self._days: dict[str, _DayTopic] = {}
        self._marks: dict[str, _DayTopic] = {}
        self._trades: dict[str, _TradeTopic] = {}
        self._candles: dict[tuple[str, str], CandleTopic] = {}
        self._decode_book = msgspec.json.Decoder(BookFrame).decode
        self._decode_day = msgspec.json.Decoder(DayFrame).decode
        self._decode_mark = msgspec.json.Decoder(MarkFrame).decode
        self._decode_trade = msgspec.json.Decoder(TradeFrame).decode
        self._decode_kline = msgspec.json.Decoder(KlineFrame).decode
        self._decode_other = msgspec.json.Decoder(OtherFrame).decode
        # By the second letter after the "@": ticker, trade, kline, markPrice.
        self._takers: dict[int, Callable[[bytes, datetime], None]] = {
            ord("i"): self._take_day,
            ord("r"): self._take_trade,
            ord("l"): self._take_kline,
            ord("a"): self._take_mark,
        }
        self._plan(subscription, instruments)

    @property
    def book_topics(self) -> tuple[Topic, ...]:
        """The streams whose frames `take_book` takes."""
        return tuple(self._books.values())

    @property
    def trade_topics(self) -> tuple[Topic, ...]:
        """The streams of trades; `take` takes their frames."""
        return tuple(self._trades.values())

    @property
    def other_topics(self) -> tuple[Topic, ...]:
        """All other streams whose frames `take` takes."""
        return (*self._days.values(), *self._marks.values(), *self._candles.values())

    def take_book(self, frame: bytes, received_at: datetime) -> Notice | None:
        """Hand out what one frame says, on a connection of book tickers alone.

        They are nineteen of twenty frames, so they are spared the look at what kind they are and
        everything else that can wait until a price has changed.
        """
        try:
            book = self._decode_book(frame).data
            topic = self._books[book.s]
            if book.u <= topic.number:
                self._memory.counts.stale += 1
                return None
            quote = topic.quote
            known = quote.ticker
            is_same_bid, is_same_ask = book.b == topic.bid, book.a == topic.ask
            if not (is_same_bid and is_same_ask) or received_at >= quote.due_at:
                bid = known.bid if is_same_bid else price(book.b)
                ask = known.ask if is_same_ask else price(book.a)
                quote.offer_book(bid, ask, received_at)
                topic.bid, topic.ask = book.b, book.a
            topic.number = book.u
            topic.heard = True
        except LookupError:
            self._memory.note_unknown(frame)
        except (*UNREADABLE, InvalidInput) as why:
            return self._take_other(frame, why)
        return None

    def take(self, frame: bytes, received_at: datetime) -> Notice | None:
        """Hand out what one frame says, on a connection of all other streams.

        Its kind is read off the stream's name: ``{"stream":"btcusdt@trade","data":{``.
        """
        why: Exception | None = None
        try:
            taker = self._takers.get(frame[frame.find(b"@") + 2])
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
        for symbol in sorted(subscription.tickers):
            raw = instrument_of(EXCHANGE, symbol, instruments).exchange_symbol
            quotes[symbol] = quote = Quote(EXCHANGE, symbol, self._sink)
            self._books[raw] = _BookTopic(f"{raw.lower()}@bookTicker", symbol, quote)
            self._days[raw] = _DayTopic(f"{raw.lower()}@ticker", symbol, quote)
            if ":" in symbol:
                self._marks[raw] = _DayTopic(f"{raw.lower()}@markPrice@1s", symbol, quote)
        for symbol in sorted(subscription.trades):
            raw = instrument_of(EXCHANGE, symbol, instruments).exchange_symbol
            self._trades[raw] = _TradeTopic(f"{raw.lower()}@trade", symbol, quotes.get(symbol))
        for symbol, timeframe in sorted(subscription.candles):
            raw = instrument_of(EXCHANGE, symbol, instruments).exchange_symbol
            name = f"{raw.lower()}@kline_{timeframe}"
            self._candles[raw, timeframe.value] = CandleTopic(
                name, symbol, timeframe, memory=self._memory, sink=self._sink
            )

    def _take_day(self, frame: bytes, received_at: datetime) -> None:
        day = self._decode_day(frame).data
        topic = self._days[day.s]
        if not self._is_next(topic, day.E):
            return
        quote = topic.quote
        quote.offer(
            moment(day.E),
            received_at,
            last=price(day.c) if quote.is_newest_last(day.E) else quote.ticker.last,
            open_24h=price(day.o),
            high_24h=price(day.h),
            low_24h=price(day.l),
            base_volume_24h=amount(day.v),
            quote_volume_24h=amount(day.q),
        )

    def _take_mark(self, frame: bytes, received_at: datetime) -> None:
        said = self._decode_mark(frame).data
        topic = self._marks[said.s]
        if self._is_next(topic, said.E):
            topic.quote.offer(
                moment(said.E),
                received_at,
                mark=price(said.mark),
                index=price(said.index),
                funding_rate=amount(said.funding_rate),
                next_funding_at=moment(said.next_funding_ms),
            )

    def _take_trade(self, frame: bytes, received_at: datetime) -> None:
        said = self._decode_trade(frame).data
        topic = self._trades[said.s]
        before = topic.number
        if not self._is_next(topic, said.t):
            return
        if before and said.t != before + 1:
            self._memory.note_missing(topic.name)
        trade = Trade(
            exchange=EXCHANGE,
            symbol=topic.symbol,
            trade_id=str(said.t),
            price=exact(said.p),
            quantity=exact(said.q),
            side=Side.SELL if said.m else Side.BUY,
            occurred_at=moment(said.T),
            received_at=received_at,
        )
        self._sink.on_trade(trade)
        quote = topic.quote
        if quote is not None:
            quote.offer_last(trade, said.T)

    def _take_kline(self, frame: bytes, _: datetime) -> None:
        said = self._decode_kline(frame).data
        self._candles[said.s, said.k.i].take(said.k, said.E)

    def _take_other(self, frame: bytes, why: Exception | None) -> Notice | None:
        """An answer or a word about the connection; else what ``why`` says, or unknown."""
        try:
            other = self._decode_other(frame)
        except UNREADABLE as broken:
            self._memory.note_malformed(repr(why or broken))
            return None
        if other.error is not None:
            return Reply(str(other.id), f"{other.error.code}: {other.error.msg}")
        if other.id is not None:
            return Reply(str(other.id), None)
        if other.e == "serverShutdown":
            return ShuttingDown()
        if why is None:
            self._memory.note_unknown(frame)
        else:
            self._memory.note_malformed(repr(why))
        return None

    def _is_next(self, topic: _Numbered, number: int) -> bool:
        """Advance the topic, or count the frame as repeated or overtaken."""
        if number <= topic.number:
            self._memory.counts.stale += 1
            return False
        topic.number = number
        topic.heard = True
        return True
