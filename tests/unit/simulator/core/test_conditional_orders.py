"""Orders that wait: for a price, for a position, or for their end."""

from decimal import Decimal
from typing import Any

import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.clock import VirtualMarketClock
from alphapulse.simulator.core.events import CoreEvent, Happening, OrderChanged
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category, MarketStatus
from alphapulse.simulator.core.listing import linear_instruments, spot_instruments
from alphapulse.simulator.core.order import (
    Order,
    OrderKind,
    OrderRequest,
    OrderState,
    TimeInForce,
)
from alphapulse.simulator.core.profile import ClientIds, VenueProfile
from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.core.trigger import Crossing, PriceKind, Trail, TriggerRequest

START_MS = 1_700_000_000_000


class Scene:
    """A venue with a spot market and a perpetual at 30,000, and one customer."""

    def __init__(self) -> None:
        self.clock = VirtualMarketClock(START_MS)
        spot = [i for i in spot_instruments() if i.name == "BTCUSDT"]
        self.venue = Venue("test", [*spot, linear_instruments()[0]], self.clock)
        self.btc = self.venue.market(Category.SPOT, "BTCUSDT")
        self.perpetual = self.venue.market(Category.LINEAR, "BTCUSDT")
        self.ann = self.account("ann")
        self.events: list[OrderChanged] = []
        self.move(30_000)
        self.venue.subscribe(self._hear)

    def account(self, name: str) -> Account:
        return self.venue.open_account(name, {"USDT": Decimal(10_000), "BTC": Decimal(1)})

    def _hear(self, event: CoreEvent) -> None:
        if isinstance(event, OrderChanged):
            self.events.append(event)

    def move(self, price: int) -> None:
        self.venue.set_price(self.btc, Decimal(price))
        self.venue.set_price(self.perpetual, Decimal(price))

    def spot(self, side: Side, quantity: str, **more: Any) -> Order:
        return self.venue.place(self.ann, self.btc, request(side, quantity, **more))

    def linear(self, side: Side, quantity: str | None, **more: Any) -> Order:
        return self.venue.place(self.ann, self.perpetual, request(side, quantity, **more))

    def now(self, order: Order) -> Order:
        return self.ann.orders_by_id[order.id]

    def told(self, order: Order) -> list[Happening]:
        return [event.happening for event in self.events if event.order.id == order.id]


def request(
    side: Side,
    quantity: str | None,
    *,
    price: int | None = None,
    stop: int | None = None,
    locks: bool = False,
    ends: bool = False,
    trail: Trail | None = None,
    by: PriceKind = PriceKind.LAST,
    **more: Any,
) -> OrderRequest:
    trigger = None
    if stop is not None or trail is not None:
        at = None if stop is None else Decimal(stop)
        trigger = TriggerRequest(at, None, by, trail, locks_funds=locks, ends_with_position=ends)
    return OrderRequest(
        side,
        OrderKind.MARKET if price is None else OrderKind.LIMIT,
        None if quantity is None else Decimal(quantity),
        limit_price=None if price is None else Decimal(price),
        trigger=trigger,
        **more,
    )


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_stop_waits_outside_of_the_book_and_then_sells_at_the_market(scene: Scene) -> None:
    order = scene.spot(Side.SELL, "0.1", stop=29_000, locks=True)
    locked = scene.ann.wallet.locked("BTC")
    asks = dict(scene.btc.book.levels(Side.SELL, 1000))
    scene.move(29_001)
    state_before = scene.now(order).state
    scene.move(28_900)

    assert order.state is OrderState.UNTRIGGERED
    assert locked == Decimal("0.1")
    assert order.id not in asks
    assert state_before is OrderState.UNTRIGGERED
    assert scene.now(order).state is OrderState.FILLED
    assert scene.now(order).triggered_ms == START_MS
    assert scene.ann.wallet.locked("BTC") == 0
    assert scene.told(order)[:3] == [Happening.PLACED, Happening.TRIGGERED, Happening.FILLED]


def test_stop_limit_rests_at_its_limit_once_triggered(scene: Scene) -> None:
    order = scene.spot(Side.SELL, "0.1", price=29_500, stop=29_000, locks=True)
    scene.move(28_900)

    assert scene.now(order).state is OrderState.NEW
    assert scene.btc.book.lots_of(order.id) == order.lots
    assert scene.told(order) == [Happening.PLACED, Happening.TRIGGERED]


def test_trigger_without_funds_of_its_own_is_refused_when_it_finds_none(scene: Scene) -> None:
    order = scene.spot(Side.BUY, "0.3", stop=31_000)
    scene.spot(Side.BUY, "0.2")
    scene.move(31_100)

    final = scene.now(order)
    assert (final.state, final.reject_reason) == (OrderState.REJECTED, "insufficient_balance")
    assert scene.told(order) == [Happening.PLACED, Happening.TRIGGERED, Happening.REJECTED]
    assert scene.ann.wallet.locked("USDT") == 0


def test_post_only_stop_that_would_take_is_refused_when_it_triggers(scene: Scene) -> None:
    order = scene.spot(
        Side.SELL, "0.1", price=28_000, stop=29_000, time_in_force=TimeInForce.POST_ONLY
    )
    scene.move(28_900)

    assert scene.now(order).reject_reason == "would_match"


def test_stop_that_the_market_has_reached_is_refused(scene: Scene) -> None:
    trigger = TriggerRequest(Decimal(31_000), Crossing.FALLING)
    asked = OrderRequest(Side.SELL, OrderKind.MARKET, Decimal("0.1"), trigger=trigger)

    with pytest.raises(Refused) as refused:
        scene.venue.place(scene.ann, scene.btc, asked)

    assert refused.value.reason is RefusalReason.WOULD_TRIGGER
    assert not scene.ann.open_orders


def test_mark_price_and_last_price_trigger_apart(scene: Scene) -> None:
    by_mark = scene.linear(Side.SELL, "0.01", stop=29_990, by=PriceKind.MARK)
    by_last = scene.linear(Side.SELL, "0.01", stop=29_990)
    # A large order walks down the book; the driver's price, which is the mark, stays.
    seller = scene.venue.open_account("whale", {"USDT": Decimal(10_000_000)})
    scene.venue.place(seller, scene.perpetual, request(Side.SELL, "20"))

    assert scene.now(by_last).state is OrderState.FILLED
    assert scene.now(by_mark).state is OrderState.UNTRIGGERED


def test_orders_met_on_the_way_do_not_hide_where_the_market_went(scene: Scene) -> None:
    scene.spot(Side.SELL, "0.1", price=30_500)
    order = scene.spot(Side.BUY, "0.1", stop=31_000, locks=True)
    scene.move(31_000)

    assert scene.now(order).state is OrderState.FILLED


def test_one_stop_triggers_the_next(scene: Scene) -> None:
    whale = scene.venue.open_account("whale", {"BTC": Decimal(100)})
    scene.venue.place(whale, scene.btc, request(Side.SELL, "10", stop=29_900, locks=True))
    behind = scene.spot(Side.SELL, "0.1", stop=29_880, locks=True)
    scene.move(29_900)

    assert scene.now(behind).state is OrderState.FILLED


def test_trailing_stop_follows_and_then_sells(scene: Scene) -> None:
    order = scene.spot(Side.SELL, "0.1", trail=Trail(bips=100), locks=True)
    scene.move(32_000)
    scene.move(31_700)
    state_between = scene.now(order).state
    scene.move(31_680)

    assert state_between is OrderState.UNTRIGGERED
    assert scene.now(order).state is OrderState.FILLED


def test_close_position_takes_whatever_there_is_then(scene: Scene) -> None:
    scene.linear(Side.BUY, "0.1")
    order = scene.linear(Side.SELL, None, stop=29_000, close_position=True)
    scene.linear(Side.BUY, "0.05")
    scene.move(28_900)

    assert scene.now(order).filled_quantity == Decimal("0.15")
    assert scene.ann.position("BTCUSDT") is None


def test_close_position_with_none_left_is_refused_when_it_triggers(scene: Scene) -> None:
    order = scene.linear(Side.SELL, None, stop=29_000, close_position=True)
    scene.move(28_900)

    assert scene.now(order).reject_reason == "reduce_only"


def test_what_protects_a_position_ends_with_it(scene: Scene) -> None:
    scene.linear(Side.BUY, "0.1")
    order = scene.linear(Side.SELL, None, stop=29_000, close_position=True, ends=True)
    scene.linear(Side.SELL, "0.1")

    assert scene.now(order).state is OrderState.CANCELED


def test_reduce_only_orders_shrink_with_the_position(scene: Scene) -> None:
    scene.linear(Side.BUY, "0.1")
    older = scene.linear(Side.SELL, "0.06", price=31_000, reduce_only=True)
    newer = scene.linear(Side.SELL, "0.1", price=31_500, reduce_only=True)
    scene.linear(Side.SELL, "0.02")
    left = scene.now(older).remaining_quantity, scene.now(newer).remaining_quantity
    scene.move(32_000)

    assert left == (Decimal("0.06"), Decimal("0.02"))
    assert scene.ann.position("BTCUSDT") is None
    assert not scene.ann.open_orders


def test_order_until_a_date_expires_on_it(scene: Scene) -> None:
    until_ms = START_MS + 90_000
    order = scene.spot(
        Side.BUY, "0.1", price=29_000, time_in_force=TimeInForce.GTD, expires_ms=until_ms
    )
    scene.clock.move_to(until_ms - 1)
    scene.venue.advance()
    state_before = scene.now(order).state
    scene.clock.move_to(until_ms)
    scene.venue.advance()

    assert state_before is OrderState.NEW
    assert scene.now(order).state is OrderState.EXPIRED
    assert scene.ann.wallet.free("USDT") == 10_000
    assert scene.told(order) == [Happening.PLACED, Happening.EXPIRED]


@pytest.mark.parametrize("expires_ms", [0, START_MS, START_MS - 1])
def test_order_until_no_date_in_the_future_is_refused(scene: Scene, expires_ms: int) -> None:
    with pytest.raises(Refused) as refused:
        scene.spot(
            Side.BUY, "0.1", price=29_000, time_in_force=TimeInForce.GTD, expires_ms=expires_ms
        )

    assert refused.value.reason is RefusalReason.EXPIRY_INVALID


def test_amended_stop_fires_at_its_new_price(scene: Scene) -> None:
    order = scene.spot(Side.SELL, "0.1", price=28_000, stop=29_000, locks=True)
    scene.venue.amend(
        scene.ann,
        order,
        quantity=Decimal("0.2"),
        limit_price=Decimal(27_500),
        trigger=TriggerRequest(Decimal(28_500), locks_funds=True),
    )
    locked = scene.ann.wallet.locked("BTC")
    scene.move(28_900)
    state_between = scene.now(order).state
    scene.move(28_400)

    assert locked == Decimal("0.2")
    assert state_between is OrderState.UNTRIGGERED
    assert scene.now(order).filled_quantity == Decimal("0.2")


def test_canceled_stop_gives_back_what_it_had_locked(scene: Scene) -> None:
    order = scene.spot(Side.BUY, "0.1", price=31_500, stop=31_000, locks=True)
    locked = scene.ann.wallet.locked("USDT")
    scene.venue.cancel(scene.ann, order)
    scene.move(31_200)

    assert locked == 3_150
    assert scene.ann.wallet.free("USDT") == 10_000
    assert scene.now(order).state is OrderState.CANCELED


def test_halted_market_triggers_nothing_until_it_trades_again(scene: Scene) -> None:
    order = scene.spot(Side.SELL, "0.1", stop=29_000, locks=True)
    scene.venue.set_status(scene.btc, MarketStatus.HALT)
    scene.move(28_000)
    state_halted = scene.now(order).state
    scene.venue.set_status(scene.btc, MarketStatus.TRADING)
    scene.move(28_000)

    assert state_halted is OrderState.UNTRIGGERED
    assert scene.now(order).state is OrderState.FILLED


@pytest.mark.parametrize(
    ("rule", "is_taken_open", "is_taken_soon", "is_taken_later"),
    [
        (ClientIds.OPEN, True, False, False),
        (ClientIds.WINDOW, True, True, False),
        (ClientIds.FOREVER, True, True, True),
        (ClientIds.NONE, False, False, False),
    ],
)
def test_client_id_belongs_to_one_order_for_as_long_as_the_profile_says(
    scene: Scene,
    rule: ClientIds,
    is_taken_open: bool,
    is_taken_soon: bool,
    is_taken_later: bool,
) -> None:
    scene.venue.profile = VenueProfile(client_ids=rule, client_id_window_ms=60_000)

    def is_taken() -> bool:
        try:
            order = scene.spot(Side.BUY, "0.01", price=29_000, client_order_id="mine")
        except Refused as refused:
            return refused.reason is RefusalReason.DUPLICATE_CLIENT_ID
        scene.venue.cancel(scene.ann, order)
        return False

    first = scene.spot(Side.BUY, "0.01", price=29_000, client_order_id="mine")
    taken = [is_taken()]
    scene.venue.cancel(scene.ann, first)
    taken.append(is_taken())
    scene.clock.move_to(START_MS + 61_000)
    taken.append(is_taken())

    assert taken == [is_taken_open, is_taken_soon, is_taken_later]
