"""Binance frames become exact market values, whatever order and company they come in."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.market import MarketSubscription, Timeframe
from alphapulse.domain.order import Side
from alphapulse.errors import InstrumentUnavailable
from alphapulse.exchanges.streams.binance import BinanceDecoder
from alphapulse.exchanges.streams.connection import Reply, ShuttingDown
from alphapulse.exchanges.streams.memory import StreamMemory
from tests.fixtures.streams import (
    KeepingSink,
    make_instruments,
    make_memory,
    recorded_binance_frames,
    recorded_payload,
)

BTC = Symbol("BTC/USDT")
NOW = datetime(2024, 8, 9, 12, 0, tzinfo=UTC)
EVERYTHING = MarketSubscription(
    tickers=frozenset({BTC}), trades=frozenset({BTC}), candles=frozenset({(BTC, Timeframe.M1)})
)


def make_decoder(
    sink: KeepingSink,
    subscription: MarketSubscription = EVERYTHING,
    memory: StreamMemory | None = None,
) -> BinanceDecoder:
    return BinanceDecoder(
        subscription,
        sink,
        instruments=make_instruments("BTC/USDT", "BNB/USDT"),
        memory=memory or make_memory(),
    )


def wrap(stream: str, data: dict[str, object]) -> bytes:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


def book(update_id: int, bid: str, ask: str) -> bytes:
    data = {"u": update_id, "s": "BTCUSDT", "b": bid, "B": "1.0", "a": ask, "A": "2.0"}
    return wrap("btcusdt@bookTicker", data)


def day(event_ms: int, last: str = "100.5", volume: str = "12.00000001") -> bytes:
    return wrap(
        "btcusdt@ticker",
        {
            "e": "24hrTicker", "E": event_ms, "s": "BTCUSDT", "p": "1", "P": "1", "w": "1",
            "x": "1", "c": last, "Q": "1", "b": "1", "B": "1", "a": "3", "A": "1", "o": "99.1",
            "h": "101.2", "l": "98.3", "v": volume, "q": "1234.5", "O": 0, "C": 0, "F": 0, "L": 0,
            "n": 5,
        },
    )  # fmt: skip


def trade(trade_id: int, price: str = "100.25", at_ms: int = 1723161255342) -> bytes:
    return wrap(
        "btcusdt@trade",
        {
            "e": "trade", "E": at_ms + 1, "s": "BTCUSDT", "t": trade_id, "p": price,
            "q": "0.02000000", "T": at_ms, "m": True, "M": True,
        },
    )  # fmt: skip


def kline(event_ms: int, open_ms: int, *, closed: bool, close: str = "100.5") -> bytes:
    bar = {
        "t": open_ms, "T": open_ms + 59_999, "s": "BTCUSDT", "i": "1m", "f": 1, "L": 2, "o": "100",
        "c": close, "h": "101", "l": "99", "v": "3.25", "n": 17, "x": closed, "q": "1", "V": "1",
        "Q": "1", "B": "0",
    }  # fmt: skip
    data = {"e": "kline", "E": event_ms, "s": "BTCUSDT", "k": bar}
    return wrap("btcusdt@kline_1m", data)


def test_ticker_is_merged_from_book_and_statistics(sink: KeepingSink) -> None:
    decoder = make_decoder(sink)

    decoder.take_book(book(7, "61837.63000000", "61837.64000000"), NOW)
    decoder.take(day(1723161255343), NOW + timedelta(milliseconds=5))

    first, merged = sink.tickers
    assert (first.bid, first.ask, first.last) == (Decimal("61837.63"), Decimal("61837.64"), None)
    assert first.occurred_at == first.received_at == NOW
    assert merged.bid == Decimal("61837.63")
    assert merged.last == Decimal("100.5")
    assert merged.open_24h == Decimal("99.1")
    assert merged.high_24h == Decimal("101.2")
    assert merged.low_24h == Decimal("98.3")
    assert str(merged.base_volume_24h) == "12.00000001"
    assert merged.quote_volume_24h == Decimal("1234.5")
    assert merged.received_at == NOW + timedelta(milliseconds=5)


def test_statistics_carry_the_exchange_time_to_the_millisecond(sink: KeepingSink) -> None:
    make_decoder(sink).take(day(1723161255343), NOW)

    assert sink.tickers[0].occurred_at == datetime(2024, 8, 8, 23, 54, 15, 343000, tzinfo=UTC)


def test_ticker_is_repeated_once_a_second_while_frames_only_confirm_it(sink: KeepingSink) -> None:
    decoder = make_decoder(sink)

    for number in range(25):
        at = NOW + timedelta(milliseconds=100 * number)
        decoder.take_book(book(number + 1, "10.00", "11.00"), at)

    assert [t.received_at - NOW for t in sink.tickers] == [timedelta(seconds=s) for s in (0, 1, 2)]


def test_book_that_came_twice_or_late_changes_nothing(sink: KeepingSink) -> None:
    memory = make_memory()
    decoder = make_decoder(sink, memory=memory)

    for frame in (book(8, "10", "11"), book(8, "10", "11"), book(7, "9", "10")):
        decoder.take_book(frame, NOW)

    assert len(sink.tickers) == 1
    assert memory.counts.stale == 2


def test_side_of_a_book_that_did_not_change_keeps_its_price(sink: KeepingSink) -> None:
    decoder = make_decoder(sink)

    for update_id, bid, ask in ((1, "1.0", "2.0"), (2, "1.0", "2.5"), (3, "1.5", "2.5")):
        decoder.take_book(book(update_id, bid, ask), NOW)

    assert [(str(t.bid), str(t.ask)) for t in sink.tickers] == [
        ("1.0", "2.0"),
        ("1.0", "2.5"),
        ("1.5", "2.5"),
    ]


def test_book_with_one_unreadable_side_leaves_both_as_they_were(sink: KeepingSink) -> None:
    decoder = make_decoder(sink)
    decoder.take_book(book(1, "1", "2"), NOW)

    decoder.take_book(book(2, "1.5", "NaN"), NOW)
    decoder.take_book(book(3, "1.5", "2.5"), NOW)

    assert [(t.bid, t.ask) for t in sink.tickers] == [
        (Decimal(1), Decimal(2)),
        (Decimal("1.5"), Decimal("2.5")),
    ]


def test_empty_side_of_a_book_is_no_price_and_not_zero(sink: KeepingSink) -> None:
    make_decoder(sink).take_book(book(1, "0.00000000", "11.00"), NOW)

    assert sink.tickers[0].bid is None


def test_trade_is_handed_out_and_moves_the_last_price(sink: KeepingSink) -> None:
    decoder = make_decoder(sink)

    decoder.take(trade(5), NOW)

    (taken,) = sink.trades
    assert (taken.trade_id, taken.price, taken.quantity) == (
        "5",
        Decimal("100.25"),
        Decimal("0.02"),
    )
    assert taken.side is Side.SELL  # the buyer was the maker
    assert taken.occurred_at == datetime(2024, 8, 8, 23, 54, 15, 342000, tzinfo=UTC)
    assert sink.tickers[-1].last == Decimal("100.25")


def test_statistics_older_than_the_last_trade_leave_its_price(sink: KeepingSink) -> None:
    decoder = make_decoder(sink)

    decoder.take(trade(5, price="100.25", at_ms=2_000), NOW)
    decoder.take(day(1_500, last="99"), NOW)

    assert sink.tickers[-1].last == Decimal("100.25")
    assert sink.tickers[-1].open_24h == Decimal("99.1")


def test_gap_in_trade_ids_is_counted_and_the_stream_goes_on(sink: KeepingSink) -> None:
    memory = make_memory()
    decoder = make_decoder(sink, memory=memory)

    for trade_id in (5, 6, 9, 10):
        decoder.take(trade(trade_id), NOW)

    assert [t.trade_id for t in sink.trades] == ["5", "6", "9", "10"]
    assert memory.counts.missing == 1


def test_closed_candle_is_handed_out_once_also_over_a_reconnect(sink: KeepingSink) -> None:
    memory = make_memory()
    before = make_decoder(sink, memory=memory)
    before.take(kline(60_500, 60_000, closed=False), NOW)
    before.take(kline(120_001, 60_000, closed=True, close="100.75"), NOW)

    after = make_decoder(sink, memory=memory)
    after.take(kline(120_001, 60_000, closed=True, close="100.75"), NOW)
    after.take(kline(120_500, 120_000, closed=False), NOW)

    assert [(c.open_time.timestamp(), c.is_closed) for c in sink.candles] == [
        (60.0, False),
        (60.0, True),
        (120.0, False),
    ]
    assert sink.candles[1].close == Decimal("100.75")
    assert sink.candles[1].trades == 17
    assert sink.candles[1].volume == Decimal("3.25")


def test_closed_candle_that_could_not_be_read_is_handed_out_when_it_comes_again(
    sink: KeepingSink,
) -> None:
    memory = make_memory()
    decoder = make_decoder(sink, memory=memory)

    decoder.take(kline(120_001, 60_000, closed=True, close="NaN"), NOW)
    decoder.take(kline(120_001, 60_000, closed=True, close="100.75"), NOW)

    assert [c.close for c in sink.candles] == [Decimal("100.75")]
    assert memory.counts.malformed == 1


def test_recorded_kline_payloads_are_read(sink: KeepingSink) -> None:
    decoder = make_decoder(sink)

    for name in ("open", "closed"):
        payload = recorded_payload(f"binance/futures/market_data_json/kline_stream_{name}.json")
        decoder.take(b'{"stream":"btcusdt@kline_1m","data":' + payload + b"}", NOW)

    assert [c.is_closed for c in sink.candles] == [False, True]
    assert sink.candles[1].high == Decimal("0.0025")


def test_answers_and_the_farewell_are_notices(sink: KeepingSink) -> None:
    decoder = make_decoder(sink)

    for take in (decoder.take, decoder.take_book):
        assert take(b'{"result":null,"id":3}', NOW) == Reply("3", None)
    refusal = b'{"error":{"code":2,"msg":"Invalid request: btcusdt@trade"},"id":4}'
    assert decoder.take(refusal, NOW) == Reply("4", "2: Invalid request: btcusdt@trade")
    farewell = decoder.take(b'{"e":"serverShutdown","E":1}', NOW)
    assert isinstance(farewell, ShuttingDown)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"stream":"btcusdt@bookTicker","data":{"u":1,"s":"BTCUSDT","b":"NaN","a":"1"}}',
        b'{"stream":"btcusdt@bookTicker","data":{"u":1,"s":"BTCUSDT","b":"1E999","a":"1"}}',
        b'{"stream":"btcusdt@bookTicker","data":{"u":"x","s":"BTCUSDT","b":"2","a":"1"}}',
        b'{"stream":"btcusdt@bookTicker","data":{"u":1,"s":"BTC',
        b"<html>@over there</html>",
    ],
)
def test_malformed_book_is_counted_and_does_not_stop_the_next(
    sink: KeepingSink, frame: bytes
) -> None:
    memory = make_memory()
    decoder = make_decoder(sink, memory=memory)

    assert decoder.take_book(frame, NOW) is None
    decoder.take_book(book(1, "10", "11"), NOW)

    assert memory.counts.malformed == 1
    assert [t.bid for t in sink.tickers] == [Decimal(10)]


@pytest.mark.parametrize(
    "frame",
    [
        b'{"stream":"btcusdt@trade","data":{"s":"BTCUSDT"}}',
        b'{"stream":"btcusdt@trade","data":{"s":"BTC',
        b'{"stream":"btcusdt@ticker","data":[1,2]}',
        b"<html>@over there</html>",
    ],
)
def test_malformed_frame_is_counted_and_does_not_stop_the_next(
    sink: KeepingSink, frame: bytes
) -> None:
    memory = make_memory()
    decoder = make_decoder(sink, memory=memory)

    assert decoder.take(frame, NOW) is None
    decoder.take(trade(1), NOW)

    assert memory.counts.malformed == 1
    assert len(sink.trades) == 1


@pytest.mark.parametrize(
    "frame",
    [
        b'{"stream":"bnbusdt@trade","data":{"s":"BNBUSDT","t":1,"p":"1","q":"2","T":1,"m":true}}',
        b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate"}}',
        b"{}",
    ],
)
def test_frame_nobody_asked_for_is_counted_as_unknown(sink: KeepingSink, frame: bytes) -> None:
    memory = make_memory()

    assert make_decoder(sink, memory=memory).take(frame, NOW) is None

    assert memory.counts.unknown == 1
    assert memory.counts.malformed == 0


def test_book_of_a_symbol_nobody_asked_for_is_counted_as_unknown(sink: KeepingSink) -> None:
    memory = make_memory()
    frame = b'{"stream":"bnbusdt@bookTicker","data":{"u":1,"s":"BNBUSDT","b":"1","a":"2"}}'

    make_decoder(sink, memory=memory).take_book(frame, NOW)

    assert memory.counts.unknown == 1


@given(st.binary(max_size=80))
@example(b'{"stream":"a@trade","o\x80"')  # not UTF-8
@example(b'{"stream":"a@trade","o":' + b"[" * 100_000)  # nested without end
def test_no_frame_whatsoever_raises(frame: bytes) -> None:
    memory = make_memory()
    decoder = make_decoder(KeepingSink(), memory=memory)

    for take in (decoder.take, decoder.take_book):
        assert take(frame, NOW) is None

    assert memory.counts.malformed + memory.counts.unknown == 2


def test_unknown_symbol_is_named(sink: KeepingSink) -> None:
    subscription = MarketSubscription(tickers=frozenset({Symbol("NOPE/USDT")}))

    with pytest.raises(InstrumentUnavailable) as raised:
        make_decoder(sink, subscription)

    assert raised.value.facts["symbol"] == "NOPE/USDT"


def test_recorded_market_is_taken_whole(sink: KeepingSink) -> None:
    memory = make_memory()
    decoder = make_decoder(sink, memory=memory)
    prices: list[tuple[str, str]] = []
    expected_trades = others = 0

    for received_at, frame in recorded_binance_frames():
        take = decoder.take_book if b"@bookTicker" in frame else decoder.take
        take(frame, received_at)
        event = json.loads(frame)
        kind = event.get("stream", "").partition("@")[2]
        if kind == "bookTicker":
            prices.append((event["data"]["b"], event["data"]["a"]))
        elif kind == "trade":
            expected_trades += 1
        else:
            others += 1

    assert len(prices) + expected_trades + others == 41_249
    assert len(sink.trades) == expected_trades == 9_757
    assert memory.counts.unknown == others == 3_452
    assert memory.counts.malformed == memory.counts.stale == memory.counts.missing == 0
    _assert_every_price_arrived(sink, prices)
    received = [t.received_at for t in sink.tickers]
    occurred = [t.occurred_at for t in sink.tickers]
    assert received == sorted(received)
    assert occurred == sorted(occurred)
    assert sink.tickers[-1].last == sink.trades[-1].price


def _assert_every_price_arrived(sink: KeepingSink, prices: list[tuple[str, str]]) -> None:
    """The sequence of distinct bid and ask pairs came out as it went in."""
    wanted = [(Decimal(b), Decimal(a)) for b, a in prices]
    wanted = [pair for i, pair in enumerate(wanted) if i == 0 or pair != wanted[i - 1]]
    got = [(t.bid, t.ask) for t in sink.tickers if t.bid is not None]
    got = [pair for i, pair in enumerate(got) if i == 0 or pair != got[i - 1]]
    assert got == wanted
