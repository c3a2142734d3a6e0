"""Streams of both venues when the venue misbehaves: told aloud, never silently wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from alphapulse.domain.identifiers import AccountId, ExchangeId, Symbol
from alphapulse.domain.market import MarketSubscription
from alphapulse.domain.order import Fill, Side
from alphapulse.errors import (
    AlphaPulseError,
    AuthenticationFailed,
    InstrumentUnavailable,
    StreamLost,
)
from alphapulse.exchanges.factory import ExchangeFactory
from alphapulse.exchanges.port import Credentials, Exchange, PrivateUpdate
from alphapulse.exchanges.settings import ExchangesSettings
from alphapulse.exchanges.streams import binance, bybit, pro
from alphapulse.exchanges.streams.watchdog import StreamLimits
from alphapulse.runtime.clock import SystemClock
from alphapulse.simulator.faults.fault import Match
from alphapulse.simulator.faults.requests import Status
from alphapulse.simulator.faults.streams import ClosedStream, FrozenStream, LostFrame, RepeatedFrame
from alphapulse.simulator.simulator import Simulator
from tests.eventually import LIMIT_S, eventually
from tests.fixtures.streams import KeepingSink

BTC, PERPETUAL = Symbol("BTC/USDT"), Symbol("BTC/USDT:USDT")
LABELS = {"binance": "binance-main", "bybit": "bybit-unified"}


@dataclass
class Listening:
    """A stream in a task of its own, and what came of it."""

    sink: KeepingSink = field(default_factory=KeepingSink)
    updates: list[PrivateUpdate] = field(default_factory=list)
    connected: int = 0
    updates_before_connected: int = 0
    task: "asyncio.Task[None] | None" = None

    def on_connected(self) -> None:
        self.connected += 1

    async def on_connected_privately(self) -> None:
        self.updates_before_connected = len(self.updates)
        self.connected += 1

    async def take(self, update: PrivateUpdate) -> None:
        self.updates.append(update)

    @property
    def fills(self) -> list[Fill]:
        return [fill for update in self.updates for fill in update.fills]

    @property
    def is_over(self) -> bool:
        return self.task is not None and self.task.done()

    async def error(self) -> AlphaPulseError:
        assert self.task is not None
        with pytest.raises(AlphaPulseError) as raised:
            await asyncio.wait_for(asyncio.shield(self.task), LIMIT_S)
        return raised.value


@asynccontextmanager
async def opened(
    simulator: Simulator, venue: str, *, secret: str | None = None
) -> AsyncIterator[Exchange]:
    account = simulator.account(LABELS[venue])
    factory = ExchangeFactory(ExchangesSettings(simulator_url=simulator.url), SystemClock())
    exchange = factory.open(
        ExchangeId(venue),
        AccountId("account"),
        Credentials(account.api_key, secret or account.api_secret),
    )
    try:
        yield exchange
    finally:
        await exchange.close()


@asynccontextmanager
async def listening(
    watch: Callable[[Listening], Any], *, wait: bool = True
) -> AsyncIterator[Listening]:
    state = Listening()
    task = state.task = asyncio.create_task(watch(state))
    try:
        if wait:
            await eventually(lambda: state.connected or task.done())
        yield state
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, AlphaPulseError):
            await task


def market(exchange: Exchange, *symbols: Symbol, trades: bool = True) -> Callable[[Listening], Any]:
    wanted = frozenset(symbols or (BTC,))
    subscription = MarketSubscription(tickers=wanted, trades=wanted if trades else frozenset())
    return lambda state: exchange.watch_market(
        subscription, state.sink, on_connected=state.on_connected
    )


def private(exchange: Exchange) -> Callable[[Listening], Any]:
    return lambda state: exchange.watch_private(
        state.take, on_connected=state.on_connected_privately
    )


both_venues = pytest.mark.parametrize("venue", ["binance", "bybit"])


@both_venues
async def test_closed_market_stream_is_lost_with_its_code(simulator: Simulator, venue: str) -> None:
    async with opened(simulator, venue) as exchange, listening(market(exchange)) as state:
        simulator.faults.add(ClosedStream(match=Match(venue=venue, topic="*"), code=1001))
        error = await state.error()

    assert isinstance(error, StreamLost)
    assert error.facts["close_code"] == 1001


@both_venues
async def test_vanished_venue_loses_both_streams(simulator: Simulator, venue: str) -> None:
    async with (
        opened(simulator, venue) as exchange,
        listening(market(exchange)) as prices,
        listening(private(exchange)) as account,
    ):
        simulator.stop_venue(venue)
        assert isinstance(await prices.error(), StreamLost)
        assert isinstance(await account.error(), StreamLost)


@both_venues
async def test_refused_handshake_is_a_lost_stream_that_says_when_to_return(
    simulator: Simulator, venue: str
) -> None:
    match = Match(venue=venue, method="WS")
    async with opened(simulator, venue) as exchange:
        await exchange.load_instruments()
        simulator.faults.add(Status(match=match, status=503, retry_after_s=3, count=None))
        async with listening(market(exchange)) as state:
            error = await state.error()

    assert isinstance(error, StreamLost)
    assert (error.facts["http_status"], error.retry_after_s) == (503, 3)


@both_venues
async def test_frozen_market_stream_is_lost_by_the_age_of_its_data(
    simulator: Simulator, venue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"binance": binance, "bybit": bybit}[venue]
    limits = StreamLimits(silence_s=2)
    original = module.watch
    monkeypatch.setattr(module, "watch", lambda *a, **k: original(*a, **k, limits=limits))

    async with opened(simulator, venue) as exchange, listening(market(exchange)) as state:
        # A machine that stands still for two seconds makes it silent before it is frozen.
        await eventually(lambda: state.sink.tickers or state.is_over)
        simulator.faults.add(FrozenStream(match=Match(venue=venue, topic="*"), count=None))
        error = await state.error()

    assert isinstance(error, StreamLost)
    assert error.message == "stream silent"


@both_venues
async def test_frozen_private_stream_is_lost_for_want_of_pongs(
    simulator: Simulator, venue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pro, "KEEP_ALIVE_MS", 300)
    async with opened(simulator, venue) as exchange, listening(private(exchange)) as state:
        simulator.faults.add(FrozenStream(match=Match(venue=venue), count=None))
        simulator.world.trade(LABELS[venue], BTC, Side.BUY, Decimal("0.001"))
        error = await state.error()

    assert isinstance(error, StreamLost)


async def test_lost_binance_trade_leaves_the_stream_running(simulator: Simulator) -> None:
    async with opened(simulator, "binance") as exchange, listening(market(exchange)) as state:
        await eventually(lambda: state.sink.trades)
        simulator.faults.add(LostFrame(match=Match(venue="binance", topic="btcusdt@trade")))
        await eventually(lambda: _gaps(state) == 1)
        seen = len(state.sink.trades)
        await eventually(lambda: len(state.sink.trades) > seen)


def _gaps(state: Listening) -> int:
    ids = [int(trade.trade_id) for trade in state.sink.trades]
    return sum(after != before + 1 for before, after in pairwise(ids))


@both_venues
async def test_repeated_frames_hand_out_no_trade_twice(simulator: Simulator, venue: str) -> None:
    simulator.faults.add(RepeatedFrame(match=Match(venue=venue, topic="*rade*"), count=None))
    async with opened(simulator, venue) as exchange, listening(market(exchange)) as state:
        await eventually(lambda: len(state.sink.trades) >= 5)

    ids = [trade.trade_id for trade in state.sink.trades]
    assert len(set(ids)) == len(ids)


async def test_unknown_symbol_is_named_before_anything_is_subscribed(simulator: Simulator) -> None:
    async with (
        opened(simulator, "binance") as exchange,
        listening(market(exchange, Symbol("NOPE/USDT"))) as state,
    ):
        error = await state.error()

    assert isinstance(error, InstrumentUnavailable)
    assert error.facts["symbol"] == "NOPE/USDT"


@both_venues
async def test_burst_of_fills_arrives_whole_in_order_and_once(
    simulator: Simulator, venue: str
) -> None:
    label = LABELS[venue]
    async with opened(simulator, venue) as exchange, listening(private(exchange)) as state:
        traded = Decimal(0)
        for number in range(40):
            quantity = Decimal(number + 1) / 10_000
            side = Side.SELL if number % 2 else Side.BUY
            simulator.world.trade(label, BTC, side, quantity)
            traded += quantity
        await eventually(lambda: sum(fill.quantity for fill in state.fills) == traded)
        await eventually(lambda: _last_totals(state) == _held(simulator, label))

    assert state.updates_before_connected == 0
    ids = [fill.trade_id for fill in state.fills]
    assert len(set(ids)) == len(ids)
    assert [f.occurred_at for f in state.fills] == sorted(f.occurred_at for f in state.fills)


def _last_totals(state: Listening) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for update in state.updates:
        for balance in update.balances.balances if update.balances else ():
            totals[balance.asset] = balance.total
    return {asset: total for asset, total in totals.items() if asset in {"BTC", "USDT"}}


def _held(simulator: Simulator, label: str) -> dict[str, Decimal]:
    books = simulator.books(label)
    return {asset: books.balances[asset].total for asset in ("BTC", "USDT")}


@pytest.mark.parametrize(
    ("venue", "expected"),
    # Bybit's socket refuses without a code, so whether it is the key is for a REST call to say.
    [("binance", AuthenticationFailed), ("bybit", StreamLost)],
)
async def test_wrong_secret_is_refused_in_the_venues_words(
    simulator: Simulator, venue: str, expected: type[AlphaPulseError]
) -> None:
    async with (
        opened(simulator, venue, secret="wrong-secret") as exchange,
        listening(private(exchange), wait=False) as state,
    ):
        error = await state.error()

    assert type(error) is expected
    assert error.facts["venue_message"]
    assert state.connected == 0
