"""Traps around the end of an order: what was filled counts, whatever was said before or after."""

from decimal import Decimal
from pathlib import Path

import pytest

from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.events import OrderAlarm
from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.order import OrderStatus, Side
from alphapulse.domain.sync import SyncKind
from alphapulse.simulator.core.order import OrderState
from alphapulse.simulator.faults.answers import OddValues, RepeatedAnswer
from alphapulse.simulator.faults.fault import Match
from alphapulse.simulator.faults.requests import Status
from alphapulse.simulator.simulator import Simulator
from tests.eventually import eventually
from tests.fixtures.trading import NO_LIMITS, Trader, trading
from tests.traps.customer import BTC, Customer, customer_of

S = OrderStatus
PERPETUAL = Symbol("BTC/USDT:USDT")

ONE_ORDER = {"binance": "*/api/v3/order", "bybit": "*/v5/order/*"}
STATUS = {"binance": ("status", "CANCELED"), "bybit": ("orderStatus", "Cancelled")}
FILLED = {
    "binance": ("executedQty", "cummulativeQuoteQty"),
    "bybit": ("cumExecQty", "cumExecValue"),
}


FILLS = {"binance": "*/api/v3/myTrades", "bybit": "*/v5/execution/list"}


def lie_that_it_was_canceled(customer: Customer) -> None:
    """Whoever asks for an order hears that it was canceled with nothing filled."""
    match = Match(venue=customer.venue, method="GET", path=ONE_ORDER[customer.venue])
    field, value = STATUS[customer.venue]
    customer.fault(OddValues(match=match, fields=(field,), value=value, count=None))
    customer.fault(OddValues(match=match, fields=FILLED[customer.venue], value="0", count=None))


async def test_t05_a_fill_after_the_end_counts_is_said_and_nothing_is_placed_again(
    customer: Customer,
) -> None:
    assert (await customer.place()).status is S.OPEN
    customer.silence_stream()
    lie_that_it_was_canceled(customer)
    trades = Match(venue=customer.venue, path=FILLS[customer.venue])
    hidden = customer.simulator.faults.add(Status(match=trades, status=503, count=None))
    customer.move_price("0.95")
    (placed,) = customer.at_venue()
    assert placed.state is OrderState.FILLED
    # The venue says that it ended and never traded, and that is all there is to believe.
    cancel = customer.sync.synchronizer.cancel_order
    assert (await cancel(customer.account, customer.names["key"])).status is S.CANCELED
    said_before = customer.alarms()

    customer.simulator.faults.remove(hidden.id)
    await customer.sync.synchronizer.sync_now(customer.account, {SyncKind.FILLS})

    late = await customer.becomes(S.FILLED)
    assert late.filled_quantity == Decimal("0.001")
    assert OrderAlarm.LATE_FILL not in said_before
    assert OrderAlarm.LATE_FILL in customer.alarms()
    assert len(customer.at_venue()) == 1


async def test_t11_a_filled_order_stays_filled_whatever_the_venue_says_later(
    customer: Customer,
) -> None:
    await customer.place()
    customer.move_price("0.95")
    filled = await customer.becomes(S.FILLED)

    lie_that_it_was_canceled(customer)
    for _ in range(3):
        await customer.reconcile()
        await customer.sync.synchronizer.sync_now(customer.account, {SyncKind.ORDERS})
    cancel = customer.sync.synchronizer.cancel_order
    assert (await cancel(customer.account, customer.names["key"])).status is S.FILLED
    again = await customer.sync.synchronizer.place_order(customer.account, customer.names["key"])

    assert (again.status, again.filled_quantity) == (S.FILLED, filled.filled_quantity)
    assert len(customer.at_venue()) == 1


@pytest.mark.parametrize("venue", ["binance"])
async def test_t11_a_list_of_before_the_fill_opens_nothing_again(customer: Customer) -> None:
    await customer.place()
    stale = Match(venue=customer.venue, method="GET", path="*/api/v3/openOrders")
    repeated = customer.simulator.faults.add(RepeatedAnswer(match=stale, count=None))
    await customer.sync.synchronizer.sync_now(customer.account, {SyncKind.ORDERS})
    customer.move_price("0.95")
    await customer.becomes(S.FILLED)

    before = repeated.struck
    await customer.reconcile()
    await customer.sync.synchronizer.sync_now(customer.account, {SyncKind.ORDERS})

    assert repeated.struck > before
    assert (await customer.order()).status is S.FILLED


def more_than_is_offered(simulator: Simulator, venue: str, symbol: Symbol) -> tuple[Decimal, ...]:
    """Price and size of the best offer, and a quantity that takes it and rests with the rest."""
    market = simulator.world.market(venue, symbol)
    ((ticks, lots), *_) = market.book.levels(Side.SELL, 1)
    offered = market.instrument.quantity(lots)
    return market.instrument.price(ticks), offered, offered + Decimal("0.01")


@pytest.mark.parametrize(("venue", "symbol"), [("bybit", BTC), ("binance", PERPETUAL)])
async def test_t12_an_amendment_after_a_partial_fill_leaves_only_what_is_left(
    venue: str, symbol: Symbol, simulator: Simulator, sqlite_settings: DatabaseSettings
) -> None:
    async with customer_of(venue, simulator, sqlite_settings) as customer:
        price, offered, quantity = more_than_is_offered(simulator, venue, symbol)
        await customer.place(symbol=symbol, quantity=quantity, limit_price=price)
        await customer.becomes(S.PARTIALLY_FILLED)
        wanted = offered + Decimal("0.004")

        amended = await customer.sync.synchronizer.amend_order(
            customer.account, customer.names["key"], wanted, None
        )

        (at_venue,) = customer.at_venue()
        assert (amended.quantity, amended.filled_quantity) == (wanted, offered)
        assert (at_venue.quantity, at_venue.remaining_quantity) == (wanted, Decimal("0.004"))
        customer.move_price("0.99", symbol)
        assert (await customer.becomes(S.FILLED)).filled_quantity == wanted
        await customer.is_sound()


async def test_t12_where_it_is_replaced_only_what_is_left_is_placed_anew(
    simulator: Simulator, sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator, NO_LIMITS) as trader:
        price, offered, quantity = more_than_is_offered(simulator, "binance", BTC)
        placed = await trader.placed(quantity=str(quantity), limit_price=str(price))
        await eventually(lambda: _is_partly_filled(trader, placed["id"]))
        wanted = offered + Decimal("0.004")

        status, _, said = await trader.ask(
            "PATCH",
            f"/api/exchange/orders/{placed['id']}",
            {"quantity": str(wanted), "limit_price": str(price)},
            key="amend",
        )

        assert status in {200, 201}, said
        orders = simulator.world.venues["binance"].accounts[trader.label].orders
        ours = [one for one in orders if one.client_order_id.startswith("ap")]
        assert [one.state for one in ours] == [OrderState.CANCELED, OrderState.NEW]
        assert ours[0].filled_quantity + ours[1].quantity == wanted


async def _is_partly_filled(trader: Trader, order_id: str) -> bool:
    return bool((await trader.load(order_id))["status"] == "partially_filled")
