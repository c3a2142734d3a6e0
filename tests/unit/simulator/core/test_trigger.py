"""Triggers: when an order that waits for a price comes to life.

The scenarios are those of the venue's own questions and answers,
https://github.com/binance/binance-spot-api-docs/blob/master/faqs/trailing-stop-faq.md.
"""

from decimal import Decimal

import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.core.listing import spot_instruments
from alphapulse.simulator.core.trigger import (
    Crossing,
    PriceKind,
    Trail,
    Trigger,
    TriggerRequest,
    trigger_of,
)

BTC = next(i for i in spot_instruments() if i.name == "BTCUSDT")


def made(side: Side, now: int, **request: object) -> Trigger:
    asked = TriggerRequest(**request)  # type: ignore[arg-type]
    return trigger_of(asked, BTC, side, BTC.ticks(Decimal(now)))


def walk(trigger: Trigger, *prices: str) -> list[str]:
    """The prices at which it would have fired."""
    fired = []
    for price in prices:
        ticks = BTC.ticks(Decimal(price))
        trigger = trigger.seen(ticks)
        if trigger.is_reached(ticks):
            fired.append(price)
    return fired


def test_plain_stop_fires_at_its_price_and_beyond() -> None:
    stop = made(Side.SELL, 40_000, price=Decimal(39_000))

    assert stop.crossing is Crossing.FALLING
    assert walk(stop, "39500", "39000.01") == []
    assert walk(stop, "39000") == ["39000"]
    assert walk(stop, "38000") == ["38000"]


def test_direction_can_be_said_where_the_price_leaves_it_open() -> None:
    profit = made(Side.SELL, 40_000, price=Decimal(41_000), crossing=Crossing.RISING)

    assert walk(profit, "40999.99", "41000", "41500") == ["41000", "41500"]


@pytest.mark.parametrize(
    ("side", "start", "crossing", "bips", "path", "fires_at"),
    [
        (Side.BUY, 44_000, Crossing.RISING, 500, "37000 44000 45000 46000 42000", "44100"),
        (Side.SELL, 39_000, Crossing.FALLING, 1000, "41500 39000 37000 41000", "36900"),
        (Side.BUY, 38_000, Crossing.FALLING, 850, "42000 38000 37000 39000 38000", "40145"),
        (Side.SELL, 42_000, Crossing.RISING, 750, "41500 39000 42000 45000 44000 46500", "43012.5"),
        (Side.SELL, None, None, 700, "42000 39500 45500", "42315"),
    ],
    ids=["A stop loss buy", "B stop loss sell", "C profit buy", "D profit sell", "E no stop price"],
)
def test_trailing_orders_fire_where_the_venue_says(
    side: Side, start: int | None, crossing: Crossing | None, bips: int, path: str, fires_at: str
) -> None:
    price = None if start is None else Decimal(start)
    trail = made(side, 40_000, price=price, crossing=crossing, trail=Trail(bips))
    just_before = Decimal(fires_at) + (Decimal("-0.01") if side is Side.BUY else Decimal("0.01"))

    assert walk(trail, *path.split(), str(just_before), fires_at) == [fires_at]


def test_trail_by_distance_follows_the_best_price() -> None:
    trail = made(Side.SELL, 40_000, trail=Trail(distance=Decimal(500)), by=PriceKind.MARK)

    assert trail.stop_ticks == BTC.ticks(Decimal(39_500))
    assert walk(trail, "41000", "40500.01", "40500") == ["40500"]


def test_trail_that_is_not_followed_yet_has_no_stop_price() -> None:
    trail = made(Side.SELL, 40_000, price=Decimal(42_000), trail=Trail(100))

    assert trail.stop_ticks == 0
    assert walk(trail, "1", "41999") == []
