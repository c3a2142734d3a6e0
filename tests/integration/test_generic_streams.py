"""Any other exchange over CCXT Pro: what its handlers store is handed out, message by message."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal

import pytest

from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.market import MarketSubscription, Timeframe
from alphapulse.errors import StreamLost
from alphapulse.exchanges.budget import Budgets
from alphapulse.exchanges.ccxt.client import MarketType, Surroundings, make_client
from alphapulse.exchanges.ccxt.transport import Transport
from alphapulse.exchanges.settings import ExchangesSettings
from alphapulse.exchanges.streams import generic
from alphapulse.exchanges.streams.watchdog import DEFAULT_LIMITS, StreamLimits
from alphapulse.runtime.clock import SystemClock
from tests.eventually import LIMIT_S, eventually
from tests.fixtures.streams import KeepingSink, make_memory
from tests.fixtures.stub_venue import StubVenue, stub_venue

BTC = Symbol("BTC/USDT")
MARKET = {
    "id": "BTCUSDT", "lowercaseId": "btcusdt", "symbol": "BTC/USDT", "base": "BTC",
    "quote": "USDT", "baseId": "BTC", "quoteId": "USDT", "type": "spot", "spot": True,
    "contract": False, "active": True,
}  # fmt: skip


@asynccontextmanager
async def watching(
    venue: StubVenue,
    sink: KeepingSink,
    subscription: MarketSubscription,
    limits: StreamLimits = DEFAULT_LIMITS,
) -> AsyncIterator["asyncio.Task[None]"]:
    """CCXT's Binance, taken as an exchange that has no adapter of its own."""
    settings = ExchangesSettings(simulator_url=venue.url.replace("ws:", "http:"))
    around = Surroundings(
        exchange="binance",
        settings=settings,
        transport=Transport(settings),
        budgets=Budgets(ExchangeId("binance"), SystemClock(), max_wait_s=1),
        clock=SystemClock(),
    )
    client = make_client(around, MarketType.SPOT, None, pro=True, layer=generic.Stored)
    client.set_markets([client.safe_market_structure(MARKET)])
    task = asyncio.create_task(
        generic.watch(
            [generic.Share(client, subscription)],
            sink,
            memory=make_memory(),
            clock=SystemClock(),
            on_connected=lambda: None,
            limits=limits,
        )
    )
    try:
        await eventually(lambda: task.done() or (venue.requests and venue.requests[0]))
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, StreamLost):
            await task


async def test_every_ticker_of_a_burst_arrives_exactly(sink: KeepingSink) -> None:
    wanted = MarketSubscription(tickers=frozenset({BTC}))
    async with stub_venue() as venue, watching(venue, sink, wanted):
        await eventually(lambda: venue.following("btcusdt@bookTicker"))
        (books,) = venue.following("btcusdt@bookTicker")
        for number in range(1, 501):
            price = f"100.{number:08d}"
            frame = {"u": number, "s": "BTCUSDT", "b": price, "B": "1", "a": "200", "A": "1"}
            await venue.send(json.dumps(frame), books)
        await eventually(lambda: len(sink.tickers) >= 500)

    assert [t.bid for t in sink.tickers] == [Decimal(f"100.{n:08d}") for n in range(1, 501)]


async def test_every_trade_of_a_burst_arrives_once(sink: KeepingSink) -> None:
    wanted = MarketSubscription(trades=frozenset({BTC}))
    async with stub_venue() as venue, watching(venue, sink, wanted):
        for number in range(1, 201):
            trade = {
                "e": "trade", "E": 1_700_000_000_000, "s": "BTCUSDT", "t": number, "p": "100.5",
                "q": "0.00000001", "T": 1_700_000_000_000, "m": True, "M": True,
            }  # fmt: skip
            await venue.send(json.dumps(trade))
        await eventually(lambda: len(sink.trades) >= 200)

    assert [t.trade_id for t in sink.trades] == [str(n) for n in range(1, 201)]
    assert sink.trades[0].quantity == Decimal("0.00000001")


async def test_candle_is_closed_by_the_next_one(sink: KeepingSink) -> None:
    wanted = MarketSubscription(candles=frozenset({(BTC, Timeframe.M1)}))
    async with stub_venue() as venue, watching(venue, sink, wanted):
        for open_ms, close in ((60_000, "1.1"), (60_000, "1.2"), (120_000, "1.3")):
            bar = {
                "t": 1_700_000_000_000 + open_ms, "s": "BTCUSDT", "i": "1m", "o": "1", "c": close,
                "h": "2", "l": "1", "v": "5", "x": False,
            }  # fmt: skip
            await venue.send(json.dumps({"e": "kline", "E": 1, "s": "BTCUSDT", "k": bar}))
        await eventually(lambda: len(sink.candles) == 4)

    assert [(c.close, c.is_closed) for c in sink.candles] == [
        (Decimal("1.1"), False),
        (Decimal("1.2"), False),
        (Decimal("1.2"), True),
        (Decimal("1.3"), False),
    ]


async def test_silent_stream_is_lost(sink: KeepingSink) -> None:
    wanted = MarketSubscription(tickers=frozenset({BTC}))
    limits = StreamLimits(silence_s=0.3)
    async with stub_venue() as venue, watching(venue, sink, wanted, limits) as task:
        with pytest.raises(StreamLost, match="silent"):
            await asyncio.wait_for(asyncio.shield(task), LIMIT_S)


async def test_message_that_cannot_be_read_ends_the_stream_aloud(sink: KeepingSink) -> None:
    wanted = MarketSubscription(trades=frozenset({BTC}))
    async with stub_venue() as venue, watching(venue, sink, wanted) as task:
        await venue.send(json.dumps({"e": "trade", "s": "BTCUSDT", "t": 1, "q": "1", "T": 1}))
        with pytest.raises(StreamLost, match="cannot be read"):
            await asyncio.wait_for(asyncio.shield(task), LIMIT_S)
