"""Traps of what is alive and says nothing true: frozen prices, dead streams, wrong clocks."""

import asyncio
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.order import OrderStatus, Side
from alphapulse.domain.sync import SyncKind
from alphapulse.simulator.faults.fault import Match
from alphapulse.simulator.faults.requests import Status
from alphapulse.simulator.faults.streams import FrozenStream
from alphapulse.simulator.faults.world import EndedUserStream
from alphapulse.simulator.simulator import Simulator
from tests.eventually import eventually
from tests.fixtures.trading import trading
from tests.traps.customer import QUIET, Customer, customer_of

S = OrderStatus
PERPETUAL = Symbol("BTC/USDT:USDT")


async def test_t16_an_order_is_refused_while_its_price_is_old(
    simulator: Simulator, sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    simulator.resume()
    async with trading(sqlite_settings, tmp_path, simulator) as trader:
        public = Match(venue="binance", method="WS", topic="*@*")
        simulator.faults.add(FrozenStream(match=public, count=None))
        polled = Match(venue="binance", method="GET", path="*/ticker/*")
        simulator.faults.add(Status(match=polled, status=503, count=None))
        depth = Match(venue="binance", method="GET", path="*/depth")
        simulator.faults.add(Status(match=depth, status=503, count=None))

        async def is_refused() -> bool:
            status, _, said = await trader.place(validate_only=True)
            failed = [c["name"] for c in said.get("checks", ()) if not c["ok"]]
            return status == 200 and failed == ["price_age"]

        await eventually(is_refused)
        await trader.refused(422, "price_not_good")


async def test_t17_a_stream_that_answers_pings_and_tells_nothing_is_given_up(
    venue: str, simulator: Simulator, sqlite_settings: DatabaseSettings
) -> None:
    quick = QUIET.model_copy(update={"deaf_margin_s": 0.2, "orders_interval_s": 2.0})
    async with customer_of(venue, simulator, sqlite_settings, settings=quick) as customer:
        await customer.place()
        connected = private_stream(customer)
        customer.silence_stream()
        await asyncio.sleep(0.5)  # the margin within which a fill may be told late
        customer.trade(Side.BUY, "0.002")
        await asyncio.sleep(0.5)
        await customer.sync.synchronizer.sync_now(customer.account, {SyncKind.FILLS})
        await eventually(customer.is_even)
        await eventually(lambda: private_stream(customer) > connected)
        customer.simulator.faults.clear()
        customer.move_price("0.95")
        await customer.becomes(S.FILLED)
        await customer.is_sound()


def private_stream(customer: Customer) -> int:
    """How often the private stream was lost."""
    parts = customer.sync.synchronizer.report().exchanges
    return next(p.stream_losses for p in parts if p.account_id == customer.account)


@pytest.mark.parametrize("venue", ["binance"])
@pytest.mark.parametrize("how", ["expired", "deleted by another client"])
async def test_t18_a_listen_key_that_is_gone_is_replaced_and_no_fill_is_lost(
    customer: Customer, how: str
) -> None:
    quantity, price = Decimal("0.002"), customer.price("0.97", PERPETUAL)
    await customer.place(symbol=PERPETUAL, quantity=quantity, limit_price=price)
    lost = private_stream(customer)
    if how == "expired":
        customer.fault(EndedUserStream(match=Match(path="/fapi/*", account=customer.label)))
    else:
        key = customer.simulator.account(customer.label).api_key
        url = f"{customer.simulator.url}/fapi.binance.com/fapi/v1/listenKey"
        async with (
            aiohttp.ClientSession(headers={"X-MBX-APIKEY": key}) as other,
            other.delete(url) as answer,
        ):
            assert answer.status == 200
    customer.move_price("0.95", PERPETUAL)
    await customer.sync.synchronizer.sync_now(customer.account, {SyncKind.ORDERS})
    assert (await customer.becomes(S.FILLED)).filled_quantity == quantity
    await eventually(customer.is_even)
    assert private_stream(customer) >= lost


@pytest.mark.parametrize("offset_s", [-60, -1, 1, 60])
async def test_t21_a_clock_that_is_off_delays_an_order_and_neither_loses_nor_doubles_it(
    customer: Customer, offset_s: int
) -> None:
    customer.simulator.world.skew_clock(customer.venue, offset_s * 1000)
    first = await customer.place("first")
    assert first.status in {S.OPEN, S.REJECTED, S.UNKNOWN}
    assert len(customer.at_venue("first")) == int(first.status is S.OPEN)

    count = 0

    async def is_placed() -> bool:
        nonlocal count
        count += 1
        await customer.sync.synchronizer.sync_now(customer.account, {SyncKind.BALANCES})
        return (await customer.place(f"again {count}")).status is S.OPEN

    await eventually(is_placed)
