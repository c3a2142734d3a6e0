"""Private streams of whole accounts against the simulated venues: what is told, and how it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from alphapulse.domain.balance import Wallet
from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.order import Fill, Order, OrderStatus, Side, Trigger
from alphapulse.domain.position import Position, PositionSide
from alphapulse.errors import ExchangeUnavailable, StreamLost
from alphapulse.exchanges.port import PrivateUpdate
from alphapulse.exchanges.streams import binance_usdm_private
from alphapulse.simulator.core.events import UserStreamEnded
from alphapulse.simulator.faults.fault import Match
from alphapulse.simulator.faults.streams import ClosedStream
from alphapulse.simulator.simulator import Simulator
from tests.contract.bench import LABELS, Bench
from tests.contract.order_cards import Dealer
from tests.eventually import LIMIT_S, eventually

SPOT, PERPETUAL = Symbol("BTC/USDT"), Symbol("BTC/USDT:USDT")


@dataclass
class Told:
    """What a stream handed over, and how often it was connected."""

    updates: list[PrivateUpdate] = field(default_factory=list)
    connected: int = 0

    async def keep(self, update: PrivateUpdate) -> None:
        self.updates.append(update)

    async def note(self) -> None:
        self.connected += 1

    @property
    def orders(self) -> list[Order]:
        return [one for update in self.updates for one in update.orders]

    @property
    def fills(self) -> list[Fill]:
        return [one for update in self.updates for one in update.fills]

    @property
    def positions(self) -> list[Position]:
        return [one for update in self.updates for one in update.positions]


@asynccontextmanager
async def dealing(simulator: Simulator, adapter: str, symbol: Symbol) -> AsyncIterator[Dealer]:
    bench = Bench(adapter, simulator, LABELS[adapter])
    try:
        await bench.exchange.load_instruments()
        yield Dealer(bench, symbol)
    finally:
        for exchange in bench.opened:
            await exchange.close()


@asynccontextmanager
async def watching(dealer: Dealer) -> AsyncIterator[tuple[Told, asyncio.Task[None]]]:
    told = Told()
    task = asyncio.create_task(dealer.exchange.watch_private(told.keep, on_connected=told.note))
    try:
        await eventually(lambda: told.connected or task.done())
        yield told, task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, StreamLost):
            await task


async def test_futures_tell_the_position_that_an_order_opened_and_closed(
    simulator: Simulator,
) -> None:
    async with dealing(simulator, "binance", PERPETUAL) as dealer, watching(dealer) as (told, _):
        await dealer.place(dealer.market())
        await eventually(lambda: any(one.quantity for one in told.positions))
        await dealer.place(replace(dealer.market(Side.SELL), reduce_only=True))
        await eventually(lambda: len(told.fills) >= 2)
        await eventually(lambda: len(told.positions) >= 4)

    opened = [one for one in told.positions if one.quantity]
    assert {(one.symbol, one.side) for one in opened} == {(PERPETUAL, PositionSide.LONG)}
    assert opened[-1].quantity == Decimal("0.002")
    assert opened[-1].entry_price > 0
    assert all(one.quantity == 0 for one in told.positions[-2:])


async def test_a_stop_of_ours_is_one_order_from_its_waiting_to_its_fill(
    simulator: Simulator,
) -> None:
    async with dealing(simulator, "binance", PERPETUAL) as dealer, watching(dealer) as (told, _):
        name, _placed = await dealer.place(dealer.stop(Side.BUY, "1.001", Trigger.RISES))
        await eventually(lambda: any(one.client_order_id == name for one in told.orders))
        assert {one.exchange_order_id for one in told.orders} == {None}
        simulator.world.set_price("binance", PERPETUAL, dealer.price("1.01"))
        await eventually(lambda: any(one.status is OrderStatus.FILLED for one in told.orders))

    assert {one.client_order_id for one in told.orders} == {name}
    ids = {one.exchange_order_id for one in told.orders} - {None}
    assert len(ids) == 1
    assert {one.exchange_order_id for one in told.fills} == ids
    assert {one.client_order_id for one in told.fills} == {name}


async def test_bybit_tells_on_the_stream_why_it_rejects_what_it_acknowledged(
    simulator: Simulator,
) -> None:
    async with dealing(simulator, "bybit", PERPETUAL) as dealer, watching(dealer) as (told, _):
        crossing = replace(dealer.limit(times="1.03"), post_only=True)
        name, placed = await dealer.place(crossing)
        assert placed.status is OrderStatus.OPEN
        await eventually(lambda: told.orders)

    assert {one.client_order_id for one in told.orders} == {name}
    assert told.orders[-1].status is OrderStatus.REJECTED
    assert told.orders[-1].status_reason == "EC_PostOnlyWillTakeLiquidity"


@pytest.mark.parametrize("event", ["executionReport", "ORDER_TRADE_UPDATE"])
async def test_the_loss_of_either_stream_is_the_loss_of_both(
    simulator: Simulator, event: str
) -> None:
    async with dealing(simulator, "binance", SPOT) as dealer, watching(dealer) as (told, task):
        assert told.connected == 1
        simulator.faults.add(ClosedStream(match=Match(venue="binance", topic=event)))
        await dealer.place(dealer.market())
        await dealer.place(replace(dealer.market(), symbol=PERPETUAL))

        with pytest.raises(StreamLost):
            await asyncio.wait_for(task, LIMIT_S)


async def test_an_account_whose_streams_the_venue_ends_is_told_so(simulator: Simulator) -> None:
    async with dealing(simulator, "binance", SPOT) as dealer, watching(dealer) as (_, task):
        venue = simulator.world.venues["binance"]
        account_id = venue.accounts[LABELS["binance"]].id
        venue.announce(UserStreamEnded(venue.clock.now_ms(), account_id))

        with pytest.raises(StreamLost):
            await asyncio.wait_for(task, LIMIT_S)


async def test_a_key_without_futures_serves_spot_alone(simulator: Simulator) -> None:
    simulator.world.permit(LABELS["binance"], trade=False)
    async with dealing(simulator, "binance", SPOT) as dealer, watching(dealer) as (told, _):
        report = await dealer.exchange.fetch_balances()

        assert report.wallets == {Wallet.SPOT}
        assert await dealer.exchange.fetch_positions() == ()
        assert all(":" not in one.symbol for one in await dealer.exchange.fetch_open_orders())
        assert told.connected == 1


async def test_a_listen_key_is_renewed_until_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance_usdm_private, "RENEW_EVERY_S", 0.0)
    monkeypatch.setattr(binance_usdm_private, "RENEW_AGAIN_S", 0.0)
    answers: list[ExchangeUnavailable | None] = [
        None,
        ExchangeUnavailable("no answer in time"),
        None,
        ExchangeUnavailable("listen key is gone", venue_code="-1125"),
    ]
    renewed = 0

    async def renew() -> None:
        nonlocal renewed
        renewed += 1
        error = answers.pop(0)
        if error is not None:
            raise error

    with pytest.raises(StreamLost):
        await asyncio.wait_for(binance_usdm_private.keep_alive(renew), LIMIT_S)

    assert renewed == 4
