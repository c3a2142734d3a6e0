"""What a venue lets its customers see: late, or with lies, and never a change to the truth."""

from decimal import Decimal

import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.core.clock import VirtualMarketClock
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.listing import spot_instruments
from alphapulse.simulator.core.order import Order, OrderKind, OrderRequest, OrderState
from alphapulse.simulator.core.profile import PROFILES, VenueProfile
from alphapulse.simulator.core.refusal import Refused


class Scene:
    """One customer with one resting and one filled order."""

    def __init__(self, profile: VenueProfile) -> None:
        self.clock = VirtualMarketClock(1_700_000_000_000)
        self.venue = Venue("test", spot_instruments()[:1], self.clock)
        self.btc = self.venue.market(Category.SPOT, "BTCUSDT")
        self.venue.set_price(self.btc, Decimal(30_000))
        self.ann = self.venue.open_account("ann", {"USDT": Decimal(10_000)})
        self.resting = self.buy(OrderKind.LIMIT, Decimal(29_000))
        self.filled = self.buy(OrderKind.MARKET, None)
        self.venue.profile = profile

    def buy(self, kind: OrderKind, price: Decimal | None) -> Order:
        request = OrderRequest(Side.BUY, kind, Decimal("0.1"), limit_price=price)
        return self.venue.place(self.ann, self.btc, request)

    def asked(self, order: Order) -> OrderState | None:
        """What a question says; ``None``: there is no such order."""
        try:
            return self.venue.sight.order(self.ann, self.btc, order_id=order.id).state
        except Refused:
            return None


def test_honest_venue_tells_everything_at_once() -> None:
    scene = Scene(PROFILES["honest"])
    sight = scene.venue.sight

    assert scene.asked(scene.resting) is OrderState.NEW
    assert [o.id for o in sight.open_orders(scene.ann)] == [scene.resting.id]
    assert [o.id for o in sight.orders(scene.ann)] == [scene.resting.id, scene.filled.id]
    assert [f.order_id for f in sight.fills(scene.ann)] == [scene.filled.id]


def test_nothing_is_seen_before_the_lag_is_over() -> None:
    scene = Scene(PROFILES["visibility_lag"])
    sight, lag_ms = scene.venue.sight, PROFILES["visibility_lag"].visibility_lag_ms
    scene.clock.move_to(scene.clock.now_ms() + lag_ms - 1)
    early = (
        scene.asked(scene.resting),
        sight.open_orders(scene.ann),
        sight.orders(scene.ann),
        sight.final_orders(scene.ann),
        sight.fills(scene.ann),
    )
    scene.clock.move_to(scene.clock.now_ms() + 1)

    assert early == (None, [], [], [], [])
    assert scene.asked(scene.resting) is OrderState.NEW
    assert len(sight.fills(scene.ann)) == 1


def test_what_is_not_seen_yet_can_be_canceled() -> None:
    scene = Scene(PROFILES["visibility_lag"])
    known = scene.venue.order(scene.ann, scene.btc, order_id=scene.resting.id)

    assert scene.venue.cancel(scene.ann, known).state is OrderState.CANCELED


def test_liar_denies_contradicts_and_leaves_out() -> None:
    scene = Scene(VenueProfile(lie_share=0.5))
    told = [scene.asked(scene.filled) for _ in range(100)]
    lists = [len(scene.venue.sight.open_orders(scene.ann)) for _ in range(100)]

    assert set(told) == {None, OrderState.FILLED, OrderState.CANCELED}
    assert set(lists) == {0, 1}


def test_liar_changes_nothing_but_his_words() -> None:
    scene = Scene(VenueProfile(lie_share=1.0))
    for _ in range(20):
        scene.asked(scene.filled)
        scene.venue.sight.orders(scene.ann)

    order = scene.ann.orders_by_id[scene.filled.id]
    assert (order.state, order.filled_quantity) == (OrderState.FILLED, Decimal("0.1"))
    assert len(order.fills) == 1


def test_same_questions_get_the_same_lies() -> None:
    first, second = (Scene(VenueProfile(lie_share=0.5)) for _ in range(2))

    assert [first.asked(first.resting) for _ in range(50)] == [
        second.asked(second.resting) for _ in range(50)
    ]


@pytest.mark.parametrize("name", PROFILES)
def test_every_named_profile_can_be_traded_with(name: str) -> None:
    scene = Scene(PROFILES[name])

    assert scene.buy(OrderKind.MARKET, None).state is OrderState.FILLED
