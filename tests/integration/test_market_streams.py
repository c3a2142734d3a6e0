"""Market streams over real sockets: subscribed in batches, watched, ended with a clear word."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from functools import partial

import pytest

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.market import MarketSubscription
from alphapulse.errors import InstrumentUnavailable, StreamLost
from alphapulse.exchanges.streams import binance, bybit, connection
from alphapulse.exchanges.streams.memory import StreamMemory
from alphapulse.exchanges.streams.watchdog import StreamLimits
from tests.eventually import LIMIT_S, eventually
from tests.fixtures.clock import HandClock
from tests.fixtures.streams import KeepingSink, make_instruments, make_memory
from tests.fixtures.stub_venue import (
    StubVenue,
    confirm_as_binance,
    confirm_as_bybit,
    names_of,
    stub_venue,
)

BTC = Symbol("BTC/USDT")
# Silence is told by the hand clock; the rest are limits that no test here runs into.
LIMITS = StreamLimits(
    open_s=LIMIT_S, confirm_s=LIMIT_S, silence_s=2, topic_silence_s=60, overlap_s=0.5
)


class Watching:
    """A `watch` in a task of its own, and what it said of itself."""

    def __init__(self) -> None:
        self.connected = 0
        self.memory: StreamMemory = make_memory()
        self.task: asyncio.Task[None]

    def on_connected(self) -> None:
        self.connected += 1


@asynccontextmanager
async def watching(
    venue: StubVenue,
    sink: KeepingSink,
    clock: Clock,
    *symbols: str,
    limits: StreamLimits = LIMITS,
    exchange: str = "binance",
    wait: bool = True,
) -> AsyncIterator[Watching]:
    state = Watching()
    watch = {"binance": binance.watch, "bybit": bybit.watch}[exchange]
    names = symbols or (BTC,)
    state.task = asyncio.create_task(
        watch(
            MarketSubscription(tickers=frozenset(map(Symbol, names))),
            sink,
            instruments=make_instruments(*names, exchange=exchange),
            address=venue.address,
            memory=state.memory,
            clock=clock,
            on_connected=state.on_connected,
            limits=limits,
        )
    )
    try:
        if wait:
            await eventually(lambda: state.connected or state.task.done())
        yield state
    finally:
        state.task.cancel()
        with suppress(asyncio.CancelledError, StreamLost, InstrumentUnavailable):
            await state.task


def book(update_id: int, symbol: str = "BTCUSDT", bid: str = "10") -> str:
    data = {"u": update_id, "s": symbol, "b": bid, "B": "1", "a": "11", "A": "1"}
    return json.dumps({"stream": f"{symbol.lower()}@bookTicker", "data": data})


def day(event_ms: int, symbol: str = "BTCUSDT") -> str:
    data = {"E": event_ms, "s": symbol} | dict.fromkeys("cohlvq", "1")
    return json.dumps({"stream": f"{symbol.lower()}@ticker", "data": data})


async def lost(state: Watching) -> StreamLost:
    with pytest.raises(StreamLost) as raised:
        await asyncio.wait_for(state.task, LIMIT_S)
    return raised.value


async def test_frames_reach_the_sink_in_order_once_confirmed(
    sink: KeepingSink, clock: HandClock
) -> None:
    async with stub_venue() as venue, watching(venue, sink, clock) as state:
        for number in range(1, 501):
            await venue.send(book(number, bid=str(number)))
        await eventually(lambda: len(sink.tickers) == 500)

    assert [t.bid for t in sink.tickers] == [Decimal(n) for n in range(1, 501)]
    assert {t.received_at for t in sink.tickers} == {clock.now()}
    assert state.connected == 1
    assert venue.paths == ["/stream.binance.com:9443/stream"] * 2
    assert sorted(str(requests) for requests in venue.requests) == [
        str([{"method": "SUBSCRIBE", "params": [f"btcusdt@{kind}"], "id": 1}])
        for kind in ("bookTicker", "ticker")
    ]


async def test_many_symbols_share_out_over_connections_and_requests(
    sink: KeepingSink, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binance, "TOPICS_PER_REQUEST", 3)
    monkeypatch.setattr(binance, "TOPICS_PER_CONNECTION", 8)
    monkeypatch.setattr(binance, "REQUEST_INTERVAL_S", 0.01)
    symbols = [f"C{n}/USDT" for n in range(10)]

    async with stub_venue() as venue, watching(venue, sink, clock, *symbols) as state:
        assert state.connected == 1
        asked = [[len(names_of(r)) for r in requests] for requests in venue.requests]

    assert sorted(asked) == [[2], [2], [3, 3, 2], [3, 3, 2]]
    names = [name for requests in venue.requests for r in requests for name in names_of(r)]
    assert len(set(names)) == 20


async def test_bybit_asks_for_ten_spot_topics_at_a_time_on_an_address_per_category(
    sink: KeepingSink, clock: HandClock
) -> None:
    symbols = [f"C{n}/USDT" for n in range(8)] + ["C0/USDT:USDT"]

    async with (
        stub_venue(confirm_as_bybit) as venue,
        watching(venue, sink, clock, *symbols, exchange="bybit") as state,
    ):
        assert state.connected == 1

    by_path = dict(zip(venue.paths, venue.requests, strict=True))
    assert [len(names_of(r)) for r in by_path["/stream.bybit.com/v5/public/spot"]] == [10, 6]
    assert [names_of(r) for r in by_path["/stream.bybit.com/v5/public/linear"]] == [
        ["tickers.C0USDT"]
    ]


async def test_bybit_is_pinged_in_its_own_words(sink: KeepingSink, clock: HandClock) -> None:
    limits = StreamLimits(silence_s=0.4)
    async with (
        stub_venue(confirm_as_bybit) as venue,
        watching(venue, sink, clock, limits=limits, exchange="bybit"),
    ):
        clock.advance(0.3)
        await asyncio.sleep(0.2)
        assert {"op": "ping"} not in venue.requests[0]
        for number in range(1, 101):
            await venue.send(_spot_ticker(clock, number))
            # However slow the machine: what is not heard yet keeps no connection alive.
            await eventually(partial(_is_newest, sink, number))
            clock.advance(0.25)
            await asyncio.sleep(0.02)
            if {"op": "ping"} in venue.requests[0]:
                break
        else:
            pytest.fail("never pinged")


def _is_newest(sink: KeepingSink, last: int) -> bool:
    return bool(sink.tickers) and sink.tickers[-1].last == last


def _spot_ticker(clock: HandClock, last: int) -> str:
    ts = int(clock.now().timestamp() * 1000)
    data = {"symbol": "BTCUSDT", "lastPrice": str(last)}
    return json.dumps(
        {"topic": "tickers.BTCUSDT", "type": "snapshot", "ts": ts, "cs": ts, "data": data},
        separators=(",", ":"),
    )


async def test_silent_connection_is_lost_although_it_answers(
    sink: KeepingSink, clock: HandClock
) -> None:
    async with stub_venue() as venue, watching(venue, sink, clock) as state:
        await venue.send('{"result":null,"id":77}')
        clock.advance(2.1)
        error = await lost(state)

    assert error.message == "stream silent"
    assert error.facts["silence_s"] == 2


async def test_silent_topic_is_subscribed_anew_while_others_speak(
    sink: KeepingSink, clock: HandClock
) -> None:
    limits = StreamLimits(silence_s=2, topic_silence_s=3)
    async with (
        stub_venue() as venue,
        watching(venue, sink, clock, "BTC/USDT", "ETH/USDT", limits=limits) as state,
    ):
        (books,) = venue.following("btcusdt@bookTicker")
        number = 0

        async def renewed() -> bool:
            nonlocal number
            number += 1
            clock.advance(0.1)
            await venue.send(book(number, bid=str(number)))
            await venue.send(day(number))
            await venue.send(day(number, "ETHUSDT"))
            return len(venue.requests[books]) >= 3

        await eventually(renewed)
        assert not state.task.done()

    assert [(r["method"], r["params"]) for r in venue.requests[books][1:]] == [
        ("UNSUBSCRIBE", ["ethusdt@bookTicker"]),
        ("SUBSCRIBE", ["ethusdt@bookTicker"]),
    ]
    assert state.memory.counts.renewed == 1


async def test_ended_and_aborted_connections_are_lost(sink: KeepingSink, clock: HandClock) -> None:
    async with stub_venue() as venue:
        async with watching(venue, sink, clock) as state:
            await venue.sockets[0].close(code=1001)
            error = await lost(state)
            assert (error.message, error.facts["close_code"]) == ("stream ended", 1001)
        async with watching(venue, sink, clock) as state:
            venue.transports[-1].abort()
            assert (await lost(state)).message == "stream ended"


async def test_loss_of_one_connection_closes_the_others(
    sink: KeepingSink, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binance, "TOPICS_PER_CONNECTION", 2)
    async with (
        stub_venue() as venue,
        watching(venue, sink, clock, "A/USDT", "B/USDT", "C/USDT") as state,
    ):
        assert len(venue.sockets) == 4
        venue.transports[1].abort()
        await lost(state)
        await eventually(lambda: all(socket.closed for socket in venue.sockets))


async def test_refused_handshake_carries_status_and_wait(
    sink: KeepingSink, clock: HandClock
) -> None:
    async with stub_venue() as venue:
        venue.handshake_status = 503
        async with watching(venue, sink, clock) as state:
            error = await lost(state)

    assert error.facts["http_status"] == 503
    assert error.retry_after_s == 7
    assert error.retryable


async def test_nobody_there_is_a_lost_stream(sink: KeepingSink, clock: HandClock) -> None:
    async with stub_venue() as venue:
        pass
    async with watching(venue, sink, clock) as state:
        assert (await lost(state)).message == "stream cannot be opened"


async def test_refused_subscription_names_the_symbol(sink: KeepingSink, clock: HandClock) -> None:
    def refuse(request: dict[str, object]) -> str | None:
        if "ethusdt@ticker" not in names_of(request):
            return confirm_as_binance(request)
        error = {"code": 2, "msg": "Invalid request: no such stream ethusdt@ticker"}
        return json.dumps({"error": error, "id": request["id"]})

    async with (
        stub_venue(refuse) as venue,
        watching(venue, sink, clock, "BTC/USDT", "ETH/USDT") as state,
    ):
        with pytest.raises(InstrumentUnavailable) as raised:
            await asyncio.wait_for(state.task, LIMIT_S)

    assert raised.value.facts["symbol"] == "ETH/USDT"
    assert "ethusdt@ticker" in str(raised.value.facts["venue_message"])
    assert state.connected == 0


async def test_unconfirmed_subscription_is_lost(sink: KeepingSink, clock: HandClock) -> None:
    limits = StreamLimits(confirm_s=0.1)
    async with (
        stub_venue(lambda request: None) as venue,
        watching(venue, sink, clock, limits=limits) as state,
    ):
        assert (await lost(state)).message == "stream not confirmed"
    assert state.connected == 0


async def test_frame_beyond_ten_mebibytes_loses_the_stream(
    sink: KeepingSink, clock: HandClock
) -> None:
    async with stub_venue() as venue, watching(venue, sink, clock) as state:
        with suppress(ConnectionError):  # cut off while still sending
            await venue.send("x" * (10 * 1024 * 1024 + 1))
        error = await lost(state)

    assert error.message == "stream broken"


async def test_malformed_frame_is_counted_and_the_stream_goes_on(
    sink: KeepingSink, clock: HandClock
) -> None:
    async with stub_venue() as venue, watching(venue, sink, clock) as state:
        await venue.send("<html>", 0)
        await venue.send(book(1))
        await eventually(lambda: sink.tickers)

    assert state.memory.counts.malformed == 1


async def test_rotation_overlaps_and_hands_nothing_out_twice(
    sink: KeepingSink, clock: HandClock
) -> None:
    async with stub_venue() as venue, watching(venue, sink, clock) as state:
        (old,) = venue.following("btcusdt@bookTicker")
        await venue.send(book(1, bid="1"))
        await venue.send('{"e":"serverShutdown","E":1}', old)
        await eventually(lambda: len(venue.following("btcusdt@bookTicker")) == 2)
        new = venue.following("btcusdt@bookTicker")[-1]
        await venue.send(book(2, bid="2"), old)
        await venue.send(book(2, bid="2"), new)
        await venue.send(book(3, bid="3"), new)
        await eventually(lambda: venue.sockets[old].closed)
        await eventually(lambda: len(sink.tickers) == 3)
        assert not state.task.done()

    assert [t.bid for t in sink.tickers] == [Decimal(1), Decimal(2), Decimal(3)]
    assert state.connected == 1
    assert state.memory.counts.connects == 3


async def test_connections_are_rotated_before_their_day_is_over(
    sink: KeepingSink, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ROTATION_SPREAD_S", 0)
    limits = StreamLimits(rotate_after_s=0.05, overlap_s=0)
    async with stub_venue() as venue, watching(venue, sink, clock, limits=limits) as state:
        await eventually(lambda: len(venue.sockets) >= 6)
        await eventually(lambda: venue.sockets[0].closed and venue.sockets[1].closed)
        assert not state.task.done()
        assert state.connected == 1


async def test_empty_subscription_waits_without_a_connection(
    sink: KeepingSink, clock: HandClock
) -> None:
    async with stub_venue() as venue:
        task = asyncio.create_task(
            binance.watch(
                MarketSubscription(),
                sink,
                instruments={},
                address=venue.address,
                memory=make_memory(),
                clock=clock,
                on_connected=(connected := asyncio.Event()).set,
            )
        )
        await asyncio.wait_for(connected.wait(), LIMIT_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert venue.sockets == []
