"""Positions that their margin does not carry, and what the venue does with them."""

from decimal import Decimal

import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.clock import VirtualMarketClock
from alphapulse.simulator.core.events import BalancesChanged, Cause, CoreEvent, ForcedClose
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category, atoms_of
from alphapulse.simulator.core.liquidation import LIQUIDATION_FEE
from alphapulse.simulator.core.listing import linear_instruments
from alphapulse.simulator.core.order import Order, OrderKind, OrderRequest, OrderState, Origin
from alphapulse.simulator.core.position import Position


class Scene:
    """A perpetual at 30,000 and a customer who is long one coin with a tenth of its price."""

    def __init__(self) -> None:
        self.venue = Venue("test", linear_instruments()[:2], VirtualMarketClock(1_700_000_000_000))
        self.btc = self.venue.market(Category.LINEAR, "BTCUSDT")
        self.eth = self.venue.market(Category.LINEAR, "ETHUSDT")
        self.venue.set_price(self.btc, Decimal(30_000))
        self.venue.set_price(self.eth, Decimal(2_000))
        self.ann = self.venue.open_account("ann", {"USDT": Decimal(4_000)})
        self.events: list[CoreEvent] = []
        self.venue.subscribe(self.events.append)

    def buy(self, quantity: str = "1", account: Account | None = None) -> Order:
        request = OrderRequest(Side.BUY, OrderKind.MARKET, Decimal(quantity))
        return self.venue.place(account or self.ann, self.btc, request)

    def move(self, price: int) -> None:
        self.venue.set_price(self.btc, Decimal(price))

    def closed(self) -> list[ForcedClose]:
        return [event for event in self.events if isinstance(event, ForcedClose)]

    def position(self, account: Account | None = None) -> Position:
        found = (account or self.ann).position("BTCUSDT")
        assert found is not None
        return found

    def atoms(self) -> int:
        everybody = [*self.venue.accounts.values(), self.venue.house]
        held = sum(a.wallet["USDT"].total for a in everybody)
        return held + self.venue.fees["USDT"].total


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_cross_position_is_liquidated_where_its_price_said(scene: Scene) -> None:
    scene.buy()
    equity = scene.ann.wallet.total("USDT")
    price = scene.position().liquidation_price(equity)
    assert price is not None
    scene.move(int(price) + 1)
    is_held_above = scene.ann.position("BTCUSDT") is not None
    scene.move(int(price))

    assert is_held_above
    assert scene.ann.position("BTCUSDT") is None
    (close,) = scene.closed()
    assert (close.order.origin, close.order.state) == (Origin.LIQUIDATION, OrderState.FILLED)
    assert close.order.client_order_id.startswith("autoclose-")
    assert {fill.origin for fill in close.order.fills} == {Origin.LIQUIDATION}
    assert close.position.quantity == 1
    assert scene.ann.wallet.total("USDT") >= 0


def test_liquidation_costs_a_fee_while_there_is_margin_left(scene: Scene) -> None:
    scene.buy()
    before = scene.venue.fees.total("USDT")
    order = scene.venue.liquidate(scene.ann, scene.position())

    fee = order.filled_notional * LIQUIDATION_FEE
    assert scene.closed()[0].fee == fee
    trading = sum(fill.fee for fill in order.fills)
    assert scene.venue.fees.total("USDT") - before == fee + trading


def test_bankrupt_customer_owes_nothing_and_the_house_pays(scene: Scene) -> None:
    scene.buy()
    scene.move(20_000)

    told = [e for e in scene.events if isinstance(e, BalancesChanged)]
    covered = [e.delta for e in told if e.cause is Cause.INSURANCE]
    assert scene.ann.wallet.total("USDT") == 0
    assert len(covered) == 1
    assert covered[0] is not None
    assert covered[0] > 5_000
    # Nobody holds anything any more, so all profit is booked and nothing was made or lost.
    assert scene.venue.house.positions == {}
    assert scene.atoms() == atoms_of(Decimal(4_000))


def test_orders_are_canceled_before_a_position_is_touched(scene: Scene) -> None:
    scene.buy()
    resting = scene.venue.place(
        scene.ann,
        scene.eth,
        OrderRequest(Side.BUY, OrderKind.LIMIT, Decimal(1), limit_price=Decimal(1_500)),
    )
    scene.move(26_000)

    assert scene.ann.orders_by_id[resting.id].state is OrderState.CANCELED
    assert scene.ann.position("BTCUSDT") is None


def test_isolated_position_loses_no_more_than_its_own_margin(scene: Scene) -> None:
    scene.venue.terms.set_isolated(scene.ann, scene.btc.instrument, is_isolated=True)
    order = scene.buy()
    margin = scene.position().isolated_margin
    before = scene.ann.wallet.total("USDT")
    scene.move(20_000)

    assert order.state is OrderState.FILLED
    assert scene.ann.position("BTCUSDT") is None
    assert before - scene.ann.wallet.total("USDT") == margin


def test_whole_position_is_closed_even_where_the_book_is_too_thin(scene: Scene) -> None:
    whale = scene.venue.open_account("whale", {"USDT": Decimal(30_000_000)})
    for price in (30_000, 30_001, 30_000):
        scene.move(price)
        scene.buy("100", whale)
    offered = sum(lots for _, lots in scene.btc.book.levels(Side.BUY, 100))
    assert scene.position(whale).lots > offered
    scene.venue.liquidate(whale, scene.position(whale))

    assert whale.position("BTCUSDT") is None


def test_winner_is_deleveraged_at_the_mark_price(scene: Scene) -> None:
    scene.buy()
    scene.move(33_000)
    order = scene.venue.deleverage(scene.ann, scene.position(), Decimal("0.4"))

    assert order.origin is Origin.ADL
    assert order.average_price == scene.btc.mark_price
    assert scene.position().quantity == Decimal("0.6")
    assert scene.closed()[0].fee == 0


def test_funding_can_be_the_last_straw(scene: Scene) -> None:
    scene.buy()
    scene.move(26_200)
    assert scene.ann.position("BTCUSDT") is not None
    scene.btc.funding_rate = Decimal("0.01")
    scene.venue.settle_funding(scene.btc)

    assert scene.ann.position("BTCUSDT") is None
