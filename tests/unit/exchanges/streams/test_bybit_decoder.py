"""Bybit frames become exact market values; deltas merge whatever order they come in."""

import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.market import MarketSubscription, Ticker, Timeframe
from alphapulse.domain.order import Side
from alphapulse.errors import InstrumentUnavailable, StreamLost
from alphapulse.exchanges.streams.bybit import BybitDecoder
from alphapulse.exchanges.streams.connection import Reply
from alphapulse.exchanges.streams.memory import StreamMemory
from tests.fixtures.streams import (
    KeepingSink,
    make_instruments,
    make_memory,
    recorded_payload,
)

SPOT = Symbol("BTC/USDT")
PERPETUAL = Symbol("BTC/USDT:USDT")
NOW = datetime(2024, 8, 9, 12, 0, tzinfo=UTC)


def make_decoder(
    sink: KeepingSink, category: str = "linear", memory: StreamMemory | None = None
) -> BybitDecoder:
    both = frozenset({SPOT, PERPETUAL})
    return BybitDecoder(
        category,
        MarketSubscription(
            tickers=both, trades=both, candles=frozenset((s, Timeframe.M5) for s in both)
        ),
        sink,
        instruments=make_instruments(SPOT, PERPETUAL, exchange="bybit"),
        memory=memory or make_memory("bybit"),
    )


def ticker(kind: str, ts: int, cs: int, **data: str) -> bytes:
    frame = {
        "topic": "tickers.BTCUSDT",
        "ts": ts,
        "type": kind,
        "cs": cs,
        "data": {"symbol": "BTCUSDT"} | data,
    }
    return json.dumps(frame, separators=(",", ":")).encode()


def book(kind: str, u: int, ts: int, bids: list[list[str]], asks: list[list[str]]) -> bytes:
    data = {"s": "BTCUSDT", "b": bids, "a": asks, "u": u, "seq": u * 10}
    frame = {"topic": "orderbook.1.BTCUSDT", "type": kind, "ts": ts, "data": data, "cts": ts}
    return json.dumps(frame, separators=(",", ":")).encode()


def trades(*ids: str, price: str = "100.5", at_ms: int = 1709891679000) -> bytes:
    rows = [
        {"T": at_ms, "s": "BTCUSDT", "S": "Buy", "v": "0.010", "p": price, "i": i, "BT": False}
        for i in ids
    ]
    frame = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": at_ms, "data": rows}
    return json.dumps(frame, separators=(",", ":")).encode()


def test_topics_are_those_of_the_category(sink: KeepingSink) -> None:
    assert [topic.name for topic in make_decoder(sink, "spot").topics] == [
        "tickers.BTCUSDT",
        "orderbook.1.BTCUSDT",
        "publicTrade.BTCUSDT",
        "kline.5.BTCUSDT",
    ]
    linear = make_decoder(sink, "linear").topics
    assert [topic.name for topic in linear] == [
        "tickers.BTCUSDT",
        "publicTrade.BTCUSDT",
        "kline.5.BTCUSDT",
    ]
    assert {topic.symbol for topic in linear} == {PERPETUAL}


def test_inverse_contract_is_named_as_unavailable(sink: KeepingSink) -> None:
    symbol = Symbol("BTC/USD:BTC")

    with pytest.raises(InstrumentUnavailable) as raised:
        BybitDecoder(
            "linear",
            MarketSubscription(tickers=frozenset({symbol})),
            sink,
            instruments=make_instruments(symbol, exchange="bybit"),
            memory=make_memory("bybit"),
        )

    assert raised.value.facts["symbol"] == symbol


def test_recorded_linear_snapshot_is_read_whole(sink: KeepingSink) -> None:
    make_decoder(sink).take(recorded_payload("bybit/ws_ticker_linear.json"), NOW)

    assert sink.tickers == [
        Ticker(
            exchange=sink.tickers[0].exchange,
            symbol=PERPETUAL,
            occurred_at=datetime(2023, 1, 9, 14, 1, 1, 686000, tzinfo=UTC),
            received_at=NOW,
            last=Decimal("17216.00"),
            bid=Decimal("17215.50"),
            ask=Decimal("17216.00"),
            mark=Decimal("17217.33"),
            index=Decimal("17227.36"),
            open_24h=Decimal("16926.50"),
            high_24h=Decimal("17281.50"),
            low_24h=Decimal("16915.00"),
            base_volume_24h=Decimal("91705.276"),
            quote_volume_24h=Decimal("1570383121.943499"),
            funding_rate=Decimal("-0.000212"),
            next_funding_at=datetime(2023, 1, 9, 16, 0, tzinfo=UTC),
        )
    ]


def test_delta_changes_only_what_it_names(sink: KeepingSink) -> None:
    decoder = make_decoder(sink)

    decoder.take(ticker("snapshot", 1, 1, lastPrice="10", markPrice="11", fundingRate="0"), NOW)
    decoder.take(ticker("delta", 2, 2, markPrice="12"), NOW)

    newest = sink.tickers[-1]
    assert (newest.last, newest.mark, newest.funding_rate) == (Decimal(10), Decimal(12), Decimal(0))


def test_delta_that_says_nothing_new_hands_nothing_out(sink: KeepingSink) -> None:
    decoder = make_decoder(sink)

    decoder.take(ticker("snapshot", 1, 1, lastPrice="10"), NOW)
    decoder.take(ticker("delta", 2, 2, lastPrice="10.0"), NOW + timedelta(milliseconds=100))

    assert len(sink.tickers) == 1


def test_delta_before_any_snapshot_loses_the_stream(sink: KeepingSink) -> None:
    memory = make_memory("bybit")

    with pytest.raises(StreamLost) as raised:
        make_decoder(sink, memory=memory).take(ticker("delta", 2, 2, lastPrice="10"), NOW)

    assert raised.value.facts["symbol"] == PERPETUAL
    assert memory.counts.missing == 1


def test_new_snapshot_forgets_what_it_does_not_name(sink: KeepingSink) -> None:
    decoder = make_decoder(sink)

    decoder.take(ticker("snapshot", 1, 5, lastPrice="10", bid1Price="9"), NOW)
    decoder.take(ticker("snapshot", 2, 1, lastPrice="11", bid1Price=""), NOW)

    assert (sink.tickers[-1].last, sink.tickers[-1].bid) == (Decimal(11), None)


def test_stale_snapshot_is_dropped(sink: KeepingSink) -> None:
    memory = make_memory("bybit")
    decoder = make_decoder(sink, memory=memory)

    decoder.take(ticker("snapshot", 5, 5, lastPrice="10"), NOW)
    decoder.take(ticker("snapshot", 4, 4, lastPrice="9"), NOW + timedelta(seconds=5))

    assert [t.last for t in sink.tickers] == [Decimal(10)]
    assert memory.counts.stale == 1


DELTA_FIELDS = ("lastPrice", "bid1Price", "ask1Price", "markPrice", "indexPrice", "volume24h")
deltas_of_a_market = st.lists(
    st.dictionaries(
        st.sampled_from(DELTA_FIELDS), st.integers(1, 99).map(str), min_size=1, max_size=4
    ),
    min_size=1,
    max_size=12,
)


@given(deltas_of_a_market, st.randoms(use_true_random=False))
def test_repeated_and_reordered_deltas_end_in_the_same_ticker(
    deltas: list[dict[str, str]], shuffled: random.Random
) -> None:
    snapshot = ticker("snapshot", 0, 0, **dict.fromkeys(DELTA_FIELDS, "1"))
    frames = [ticker("delta", n, n, **delta) for n, delta in enumerate(deltas, start=1)]
    jumbled = frames + shuffled.choices(frames, k=3)
    shuffled.shuffle(jumbled)

    in_order, in_disorder = (_merge([snapshot, *each]) for each in (frames, jumbled))

    assert in_disorder == in_order


def _merge(frames: list[bytes]) -> dict[str, Decimal | None]:
    sink = KeepingSink()
    decoder = make_decoder(sink)
    for frame in frames:
        decoder.take(frame, NOW)
    newest = sink.tickers[-1]
    return {
        name: getattr(newest, name)
        for name in ("last", "bid", "ask", "mark", "index", "base_volume_24h")
    }


def test_spot_ticker_takes_bid_and_ask_from_the_book(sink: KeepingSink) -> None:
    decoder = make_decoder(sink, "spot")

    decoder.take(
        ticker("snapshot", 1, 1, lastPrice="10", usdIndexPrice="10.01", volume24h="5"), NOW
    )
    decoder.take(book("snapshot", 7, 2, [["9.99", "1"]], [["10.02", "2"]]), NOW)

    newest = sink.tickers[-1]
    assert newest.symbol == SPOT
    assert (newest.last, newest.bid, newest.ask) == (
        Decimal(10),
        Decimal("9.99"),
        Decimal("10.02"),
    )
    assert newest.index_price_usd == Decimal("10.01")


def test_recorded_book_snapshot_and_delta_are_applied(sink: KeepingSink) -> None:
    decoder = make_decoder(sink, "spot")

    for name in ("snapshot", "delta"):
        decoder.take(recorded_payload(f"bybit/ws_orderbook_{name}.json"), NOW)

    # The delta takes 27451.00 away, so the next ask is the best one.
    assert [(t.bid, t.ask) for t in sink.tickers] == [
        (Decimal("27450.00"), Decimal("27451.00")),
        (Decimal("27450.00"), Decimal("27451.50")),
    ]


def test_lost_book_delta_loses_the_stream(sink: KeepingSink) -> None:
    memory = make_memory("bybit")
    decoder = make_decoder(sink, "spot", memory)
    decoder.take(book("snapshot", 7, 1, [["9", "1"]], [["11", "1"]]), NOW)
    decoder.take(book("delta", 8, 2, [["10", "1"]], []), NOW)

    with pytest.raises(StreamLost) as raised:
        decoder.take(book("delta", 10, 3, [["10", "0"]], []), NOW)

    assert raised.value.facts["topic"] == "orderbook.1.BTCUSDT"
    assert memory.counts.missing == 1


@given(st.integers(2, 20), st.data())
def test_book_deltas_with_repeats_end_right_and_any_loss_is_noticed(
    deltas: int, data: st.DataObject
) -> None:
    frames = [book("snapshot", 1, 1, [["1", "1"]], [["1000", "1"]])]
    frames += [
        book("delta", n, n, [[str(n), "1"], [str(n - 1), "0"]], []) for n in range(2, deltas + 2)
    ]
    lost = data.draw(st.integers(1, deltas - 1))
    sink = KeepingSink()
    decoder = make_decoder(sink, "spot")
    for frame in frames:
        decoder.take(frame, NOW)
        decoder.take(frame, NOW)
    assert sink.tickers[-1].bid == deltas + 1

    decoder = make_decoder(KeepingSink(), "spot")
    for frame in frames[:lost]:
        decoder.take(frame, NOW)
    with pytest.raises(StreamLost):
        decoder.take(frames[lost + 1], NOW)


def test_repeated_quiet_snapshot_of_a_book_is_heard_and_old_one_is_not(sink: KeepingSink) -> None:
    memory = make_memory("bybit")
    decoder = make_decoder(sink, "spot", memory)
    decoder.take(book("snapshot", 7, 1000, [["9", "1"]], [["11", "1"]]), NOW)
    (topic,) = [t for t in decoder.topics if t.name.startswith("orderbook")]

    topic.heard = False
    decoder.take(book("snapshot", 7, 4000, [["9", "1"]], [["11", "1"]]), NOW)
    assert topic.heard

    topic.heard = False
    decoder.take(book("snapshot", 6, 900, [["8", "1"]], [["11", "1"]]), NOW)
    assert not topic.heard
    assert sink.tickers[-1].bid == 9


def test_book_restarts_with_update_one(sink: KeepingSink) -> None:
    decoder = make_decoder(sink, "spot")

    decoder.take(book("snapshot", 700, 1, [["9", "1"]], [["11", "1"]]), NOW)
    decoder.take(book("snapshot", 1, 2, [["8", "1"]], [["12", "1"]]), NOW)
    decoder.take(book("delta", 2, 3, [["8.5", "1"]], []), NOW)

    assert sink.tickers[-1].bid == Decimal("8.5")


def test_trade_that_comes_twice_is_handed_out_once(sink: KeepingSink) -> None:
    decoder = make_decoder(sink)

    decoder.take(trades("a", "b"), NOW)
    decoder.take(trades("b", "c"), NOW)

    assert [t.trade_id for t in sink.trades] == ["a", "b", "c"]
    assert sink.trades[0].side is Side.BUY
    assert sink.trades[0].quantity == Decimal("0.010")
    assert sink.tickers[-1].last == Decimal("100.5")


def test_recorded_kline_is_read_and_closed_once(sink: KeepingSink) -> None:
    decoder = make_decoder(sink)
    still_open = recorded_payload("bybit/ws_kline.json")
    closed = still_open.replace(b'"confirm":false', b'"confirm":true')

    for frame in (still_open, closed, closed, still_open):
        decoder.take(frame, NOW)

    assert [c.is_closed for c in sink.candles] == [False, True]
    assert sink.candles[0].open_time == datetime(2022, 12, 29, 14, 40, tzinfo=UTC)
    assert sink.candles[0].volume == Decimal("2.081")


def test_answers_are_notices_and_pongs_are_nothing(sink: KeepingSink) -> None:
    memory = make_memory("bybit")
    decoder = make_decoder(sink, memory=memory)

    agreed = recorded_payload("bybit/ws_subscription_ack.json")
    assert decoder.take(agreed, NOW) == Reply("sub-orderbook-1", None)
    refused = recorded_payload("bybit/ws_subscription_failure.json")
    assert decoder.take(refused, NOW) == Reply("", "Invalid topic: invalid.topic.BTCUSDT")
    assert decoder.take(b'{"success":true,"ret_msg":"pong","op":"ping"}', NOW) is None
    assert memory.counts.unknown == memory.counts.malformed == 0


@given(st.binary(max_size=80))
@example(b'o\x80"')  # not UTF-8
@example(b'o":' + b"[" * 100_000)  # nested without end
def test_no_frame_whatsoever_raises(frame: bytes) -> None:
    memory = make_memory("bybit")

    notice = make_decoder(KeepingSink(), memory=memory).take(b'{"topic":"' + frame, NOW)

    assert notice is None
    assert memory.counts.malformed + memory.counts.unknown == 1
