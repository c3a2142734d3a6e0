"""What the sales of a plan would gain, by lots worked by hand."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from alphapulse.domain.cost_basis.lots import BasisQuality, Lot, LotId, Method, Source
from alphapulse.domain.cost_basis.records import Place
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.order import Side
from alphapulse.domain.rebalance.constraints import Constraints
from alphapulse.domain.rebalance.gains import Gains, HeldLots
from alphapulse.domain.rebalance.plan import Plan
from alphapulse.domain.rebalance.situation import Situation
from alphapulse.domain.transfer_matching import EntryRef
from tests.unit.domain.rebalance.builders import (
    BTC,
    ETH,
    NOW,
    SOL,
    USDT,
    market,
    plan,
    situation,
)

A = AccountId("a")
AT_BTC = Place(A, BTC)
PRICES = {"BTC": "50000", "ETH": "2500"}
HALVES = {"BTC": "0.5", "ETH": "0.5"}


def lot(quantity: str, unit_cost: str | None, age_days: int, asset: Asset = BTC) -> Lot:
    cost = None if unit_cost is None else Decimal(quantity) * Decimal(unit_cost)
    name = f"{asset} {age_days}"
    return Lot(
        lot_id=LotId(name),
        account_id=A,
        asset=asset,
        acquired_at=NOW - timedelta(days=age_days),
        source=Source.ARRIVAL if cost is None else Source.TRADE,
        entry=EntryRef(A, name),
        order=1000 - age_days,
        quantity=Decimal(quantity),
        left=Decimal(quantity),
        cost=cost,
        unit_cost=None if unit_cost is None else Decimal(unit_cost),
        fee_share=None,
        quality=BasisQuality.UNKNOWN if cost is None else BasisQuality.COMPLETE,
    )


def held(*lots: Lot, method: Method = Method.FIFO) -> HeldLots:
    places = {Place(one.account_id, one.asset) for one in lots}
    return HeldLots(
        method,
        NOW,
        {place: tuple(one for one in lots if one.asset == place.asset) for place in places},
    )


def world(lots: HeldLots | None) -> Situation:
    """6,000 in BTC and 4,000 in ETH; the plan to halves sells 0.02 BTC at 49,995, and a thousandth
    of that is its fee, so it brings 998.9001."""
    return situation(PRICES, {"BTC": "0.12", "ETH": "1.6"}, lots=lots)


def warned(made: Plan) -> list[tuple[str, str]]:
    return [(one.code, one.subject) for one in made.warnings]


@pytest.mark.parametrize(
    ("method", "gain"),
    [
        (Method.FIFO, "25000"),  # 75,000 less 20,000 and half of 60,000
        (Method.LIFO, "5000"),  # less 40,000 and half of 60,000
        (Method.HIFO, "-5000"),  # less 60,000 and half of 40,000
        (Method.AVERAGE, "15000"),  # less one and a half times 40,000
    ],
)
def test_a_sale_takes_the_lots_in_the_order_of_the_method(method: Method, gain: str) -> None:
    lots = (lot("1", "20000", 30), lot("1", "60000", 20), lot("1", "40000", 10))
    gains = Gains(held(*lots, method=method), USDT)
    assert gains.of(AT_BTC, Decimal("1.5"), Decimal(75_000)) == Decimal(gain)


@pytest.mark.parametrize("method", [Method.FIFO, Method.LIFO, Method.HIFO])
def test_asking_twice_says_the_same_and_leaves_the_lots_as_they_are(method: Method) -> None:
    lots = held(lot("1", "20000", 30), lot("1", "60000", 20), method=method)
    gains = Gains(lots, USDT)
    first = gains.of(AT_BTC, Decimal("1.5"), Decimal(75_000))
    assert gains.of(AT_BTC, Decimal("1.5"), Decimal(75_000)) == first
    assert [one.left for one in lots.lots[AT_BTC]] == [1, 1]


def test_the_next_sale_takes_what_the_one_before_left() -> None:
    gains = Gains(held(lot("1", "20000", 30), lot("1", "60000", 20)), USDT)
    assert gains.sell(AT_BTC, Decimal("0.5"), Decimal(25_000)) == 15_000
    # Half of the first at 20,000 and half of the second at 60,000, for 50,000.
    assert gains.of(AT_BTC, Decimal(1), Decimal(50_000)) == 10_000


@pytest.mark.parametrize(
    ("lots", "sold"),
    [
        (held(lot("1", "20000", 30), lot("1", None, 20)), "1.5"),
        (held(lot("1", "20000", 30)), "1.5"),
        (held(), "1.5"),
        (None, "1.5"),
    ],
)
def test_a_gain_is_unknown_where_one_lot_has_no_cost_or_is_missing(
    lots: HeldLots | None, sold: str
) -> None:
    assert Gains(lots, USDT).of(AT_BTC, Decimal(sold), Decimal(75_000)) is None


def test_the_lot_of_unknown_cost_does_not_matter_while_others_go_first() -> None:
    lots = (lot("1", "20000", 30), lot("1", None, 40))
    by_cost = Gains(held(*lots, method=Method.HIFO), USDT)
    by_age = Gains(held(*lots, method=Method.FIFO), USDT)
    assert by_cost.of(AT_BTC, Decimal(1), Decimal(50_000)) == 30_000
    assert by_age.of(AT_BTC, Decimal(1), Decimal(50_000)) is None


def test_the_currency_itself_gains_nothing() -> None:
    assert Gains(held(), USDT).of(Place(A, USDT), Decimal(10), Decimal(10)) == 0


def test_a_sale_shows_its_gain_after_its_fee_and_a_purchase_shows_none() -> None:
    made = plan(world(held(lot("0.12", "30000", 30))), HALVES)
    sale, purchase = made.trades
    assert (sale.side, sale.quantity) == (Side.SELL, Decimal("0.02"))
    assert sale.est_realized_pnl == Decimal("398.9001")  # 998.9001 - 0.02 x 30,000
    assert purchase.est_realized_pnl is None
    assert made.lots_counted_at == NOW
    assert made.warnings == ()


def test_a_sale_above_the_limit_of_the_gain_is_left_out() -> None:
    there = world(held(lot("0.12", "30000", 30)))
    enough = Constraints(avoid_gain_above=Decimal("398.9001"))
    low = Constraints(avoid_gain_above=Decimal("398.9"))
    assert len(plan(there, HALVES, constraints=enough).trades) == 2
    made = plan(there, HALVES, constraints=low)
    assert made.trades == ()
    assert {one.asset: one.reason.value for one in made.not_reachable} == {
        "BTC": "constraint",
        "ETH": "no_funds",
    }


def test_a_loss_makes_room_for_a_gain() -> None:
    """BTC lost 600 and more, and goes first, being worth more; ETH gained less than 1,000."""
    there = situation(
        PRICES | {"SOL": "100"},
        {"BTC": "0.06", "ETH": "1"},
        lots=held(lot("0.06", "60000", 30), lot("1", "1500", 30, ETH)),
    )
    limits = Constraints(avoid_gain_above=Decimal(600))
    sales = [one for one in plan(there, {"SOL": "1"}, constraints=limits).trades][:2]
    gains = [one.est_realized_pnl for one in sales]
    assert gains[0] is not None
    assert gains[1] is not None
    assert gains[0] < -600
    assert gains[1] > 600


def test_a_sale_of_unknown_gain_is_warned_of_and_left_out_under_a_limit() -> None:
    flipped = {"BTC": "0.7", "ETH": "0.3"}
    there = world(held(lot("0.12", "30000", 30)))
    assert warned(plan(there, flipped)) == [("gain_unknown", "ETH")]
    limit = Constraints(avoid_gain_above=Decimal(1_000_000))
    made = plan(there, flipped, constraints=limit)
    assert made.trades == ()
    assert warned(made) == [("gain_unknown", "ETH")]


def test_lots_that_are_not_counted_are_another_warning() -> None:
    made = plan(world(None), HALVES)
    assert (made.trades[0].est_realized_pnl, made.lots_counted_at) == (None, None)
    assert warned(made) == [("gain_not_counted", "BTC")]


def test_two_sales_of_one_asset_share_its_lots() -> None:
    """BTC pays for SOL in a market of their own, and for ETH over dollars."""
    prices = PRICES | {"SOL": "100"}
    there = situation(
        prices, {"BTC": "0.2"}, lots=held(lot("0.1", "10000", 30), lot("0.1", "40000", 20))
    )
    direct = market(
        "SOL/BTC", Decimal("0.002"), min_notional=Decimal("0.0001"), tick_size=Decimal("1e-8")
    )
    there = replace(there, markets=(*there.markets, direct))
    made = plan(there, {"SOL": "0.4", "ETH": "0.6"})
    one, other = (trade for trade in made.trades if trade.spends == BTC)
    whole = [trade.est_realized_pnl for trade in (one, other)]
    proceeds = sum(trade.got * made.prices[trade.gets] for trade in (one, other))
    spent = one.spent + other.spent - Decimal("0.1")
    assert {one.gets, other.gets} == {SOL, USDT}
    assert sum(gain for gain in whole if gain is not None) == pytest.approx(
        proceeds - 1_000 - spent * 40_000, abs=Decimal("1e-9")
    )


def test_lots_are_a_part_of_the_hash_only_where_they_decide() -> None:
    cheap, dear = world(held(lot("0.12", "30000", 30))), world(held(lot("0.12", "40000", 30)))
    limit = Constraints(avoid_gain_above=Decimal(1_000_000))
    assert plan(cheap, HALVES).plan_hash == plan(dear, HALVES).plan_hash
    assert (
        plan(cheap, HALVES, constraints=limit).plan_hash
        != plan(dear, HALVES, constraints=limit).plan_hash
    )
