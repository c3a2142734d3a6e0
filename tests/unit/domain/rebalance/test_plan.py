"""Plans worked by hand: one account of 10,000 USDT unless a test says otherwise."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from alphapulse.domain.balance import Wallet
from alphapulse.domain.funds import Hold
from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.order import OrderType, Side
from alphapulse.domain.rebalance.constraints import Constraints, Style, Tolerance
from alphapulse.domain.rebalance.fingerprint import moved_pct
from alphapulse.domain.rebalance.plan import Plan
from alphapulse.domain.rebalance.situation import Headroom, Market, Situation
from alphapulse.domain.rebalance.trades import Phase, TradeReason
from alphapulse.domain.rebalance.ways import Unreached
from alphapulse.errors import InvalidInput
from tests.unit.domain.rebalance.builders import (
    BTC,
    ETH,
    SOL,
    USDT,
    account,
    answer,
    holding,
    market,
    plan,
    situation,
)

PRICES = {"BTC": "50000", "ETH": "2500"}
HALVES = {"BTC": "0.5", "ETH": "0.5"}


def world(**changes: object) -> Situation:
    """6,000 in BTC and 4,000 in ETH."""
    return situation(PRICES, {"BTC": "0.12", "ETH": "1.6"}, **changes)


def reasons(made: Plan) -> dict[str, str]:
    return {one.asset: one.reason.value for one in made.not_reachable}


def sides(made: Plan) -> list[tuple[str, str, str]]:
    return [(one.account_id, one.side.value, one.symbol) for one in made.trades]


def test_what_is_over_is_sold_and_what_is_short_is_bought_with_it() -> None:
    made = plan(world(), HALVES)
    sale, purchase = made.trades
    assert (sale.phase, sale.side, sale.symbol) == (Phase.SELL, Side.SELL, "BTC/USDT")
    # 1,000 USDT of BTC at 50,000, offered at the bid; 0.1 % of 999.90 is the fee.
    assert (sale.quantity, sale.limit_price) == (Decimal("0.02"), Decimal("49995.0000"))
    assert (sale.est_value, sale.est_fee) == (Decimal(1000), Decimal("0.9999"))
    assert sale.est_spread_cost == Decimal("0.1")
    # 999.90 - 0.9999 buys 998.9001 / (2500.25 * 1.001) = 0.399121 ETH, in steps of 0.00001.
    assert (purchase.side, purchase.symbol) == (Side.BUY, "ETH/USDT")
    assert (purchase.quantity, purchase.limit_price) == (Decimal("0.39912"), Decimal("2500.2500"))
    assert made.base_value == 10_000
    assert made.turnover_pct == 10
    assert made.est_total_cost == Decimal("2.19757978")
    assert made.not_reachable == ()
    assert {line.asset: line.drift for line in made.before} == {
        BTC: Decimal("0.1"),
        ETH: Decimal("-0.1"),
    }


def test_inside_its_band_nothing_trades() -> None:
    assert plan(world(), HALVES, tolerance="10").trades == ()
    assert plan(world(), HALVES, tolerance="9.99").trades != ()


def test_of_two_bands_the_narrower_counts() -> None:
    wide_and_narrow = Tolerance(Decimal(50), Decimal(19))  # 19 % of a half is 9.5 points
    assert plan(world(), HALVES, tolerance=wide_and_narrow).trades != ()


def test_to_the_edge_trades_no_more_than_that() -> None:
    to_edge = Tolerance(Decimal(6), to_edge=True)
    made = plan(world(), HALVES, tolerance=to_edge)
    # From 10 points to 95 % of 6: 4.3 points of 10,000.
    assert made.trades[0].est_value == Decimal(430)
    assert made.not_reachable == ()


def test_one_that_is_inside_helps_only_where_nobody_else_can_pay() -> None:
    prices = PRICES | {"SOL": "100"}
    held = {"BTC": "0.106", "ETH": "1", "SOL": "22"}  # 5300 / 2500 / 2200
    thirds = {"BTC": "0.45", "ETH": "0.27", "SOL": "0.28"}
    made = plan(situation(prices, held), thirds, tolerance="4")
    # BTC is 8 over and SOL 6 short; ETH, 2 short, is inside and takes only what SOL leaves.
    assert [(t.symbol, t.reason) for t in made.trades] == [
        ("BTC/USDT", TradeReason.OVERWEIGHT),
        ("SOL/USDT", TradeReason.UNDERWEIGHT),
        ("ETH/USDT", TradeReason.COUNTERPART),
    ]
    # With 6 to give, SOL takes it all.
    even = {"BTC": "0.47", "ETH": "0.25", "SOL": "0.28"}
    assert sides(plan(situation(prices, held), even, tolerance="4")) == [
        ("a", "sell", "BTC/USDT"),
        ("a", "buy", "SOL/USDT"),
    ]


def test_a_direct_market_takes_one_trade_instead_of_two() -> None:
    pair = market(
        "ETH/BTC", Decimal("0.05"), tick_size=Decimal("0.000001"), min_notional=Decimal("0.0001")
    )
    made = plan(replace(world(), markets=(*world().markets, pair)), HALVES)
    (trade,) = made.trades
    # 0.02 BTC buy 0.02 / (0.050005 * 1.001) = 0.399560 ETH.
    assert (trade.symbol, trade.side, trade.quantity) == ("ETH/BTC", Side.BUY, Decimal("0.39956"))
    assert (trade.spends, trade.gets, trade.reason) == (BTC, ETH, TradeReason.BOTH)
    assert made.not_reachable == ()


def test_money_that_is_there_pays_before_anything_is_sold() -> None:
    made = plan(situation(PRICES, {"BTC": "0.1", "USDT": "5000"}), HALVES)
    assert sides(made) == [("a", "buy", "ETH/USDT")]
    assert made.trades[0].est_value < 5000


def test_money_with_a_target_of_its_own_is_not_spent() -> None:
    made = plan(
        situation(PRICES, {"BTC": "0.1", "ETH": "1", "USDT": "2500"}),
        {"BTC": "0.5", "ETH": "0.3", "USDT": "0.2"},
    )
    cash = next(line for line in made.after if line.asset == USDT)
    assert cash.weight >= Decimal("0.1999")


def test_money_on_another_exchange_is_not_reachable_and_said_so() -> None:
    rich, poor = account("a", "binance"), account("b", "bybit")
    markets = (market("BTC/USDT", Decimal(50000)), market("ETH/USDT", Decimal(2500), "bybit"))
    there = world(
        accounts=(rich, poor),
        holdings=(holding("BTC", "0.12", of=rich), holding("ETH", "1.6", of=poor)),
        markets=markets,
    )
    made = plan(there, HALVES)
    assert made.trades == ()
    assert reasons(made) == {"BTC": "wrong_exchange", "ETH": "wrong_exchange"}
    assert [one.value for one in made.not_reachable] == [1000, 1000]


def test_each_account_buys_with_its_own_money() -> None:
    one, two = account("a", "binance"), account("b", "bybit")
    markets = tuple(
        market(f"{asset}/USDT", Decimal(price), exchange)
        for asset, price in PRICES.items()
        for exchange in ("binance", "bybit")
    )
    there = world(
        accounts=(one, two),
        holdings=(
            holding("BTC", "0.08", of=one),
            holding("BTC", "0.12", of=two),
        ),
        markets=markets,
    )
    made = plan(there, HALVES)
    # 5,000 to move: the larger account has enough of it, so the smaller one is left alone.
    assert sides(made) == [("b", "sell", "BTC/USDT"), ("b", "buy", "ETH/USDT")]


def test_locked_and_reserved_units_and_idle_wallets_are_never_sold() -> None:
    hold = Hold(Symbol("BTC/USDT"), BTC, Decimal("0.005"), is_at_venue=False)
    there = world(
        accounts=(account(holds=(hold,)),),
        holdings=(
            holding("BTC", "0.01", "0.05"),
            holding("BTC", "0.06", wallet=Wallet.EARN),
            holding("ETH", "1.6"),
        ),
    )
    made = plan(there, HALVES)
    assert made.trades[0].quantity == Decimal("0.005")
    assert reasons(made) == {"BTC": "locked", "ETH": "no_funds"}


def test_without_a_market_nothing_is_sold_for_it() -> None:
    there = world()
    closed = replace(there.markets[1].instrument, is_active=False)
    made = plan(
        replace(there, markets=(there.markets[0], Market(closed, there.markets[1].ticker))), HALVES
    )
    assert made.trades == ()
    assert reasons(made) == {"BTC": "no_market", "ETH": "no_market"}


def test_what_is_below_the_minimum_stays_and_is_named() -> None:
    made = plan(world(), {"BTC": "0.5996", "ETH": "0.4004"}, tolerance="0.01")
    assert made.trades == ()
    assert reasons(made) == {"BTC": "below_min_notional", "ETH": "below_min_notional"}


@pytest.mark.parametrize(
    ("constraints", "traded", "left"),
    [
        (Constraints(allow_sell=False), [], {"BTC": "constraint", "ETH": "no_funds"}),
        (Constraints(allow_buy=False), [], {"BTC": "constraint", "ETH": "constraint"}),
        (Constraints(keep={BTC: Decimal("0.12")}), [], {"BTC": "constraint", "ETH": "no_funds"}),
        (
            Constraints(max_spread_pct=Decimal("0.01")),
            [],
            {"BTC": "constraint", "ETH": "constraint"},
        ),
        (Constraints(max_turnover_pct=Decimal(0)), [], {"BTC": "constraint", "ETH": "constraint"}),
        (Constraints(max_fee=Decimal(0)), [], {"BTC": "constraint", "ETH": "constraint"}),
        (Constraints(max_turnover_pct=Decimal(5)), ["500", "499"], None),
        (Constraints(max_fee=Decimal(1)), ["496", "494"], None),
        (Constraints(keep={BTC: Decimal("0.11")}), ["500", "499"], None),
    ],
)
def test_constraints_bound_the_plan(
    constraints: Constraints, traded: list[str], left: dict[str, str] | None
) -> None:
    made = plan(world(), HALVES, constraints=constraints)
    assert [str(one.est_value.to_integral_value()) for one in made.trades] == traded
    assert left is None or reasons(made) == left
    assert sum(one.est_fee for one in made.trades) <= (constraints.max_fee or 10)


def test_an_excluded_asset_is_neither_counted_nor_traded() -> None:
    there = situation(PRICES | {"SOL": "100"}, {"BTC": "0.12", "ETH": "1.6", "SOL": "50"})
    made = plan(there, HALVES, constraints=Constraints(exclude=frozenset({SOL})))
    assert made.base_value == 10_000
    assert len(made.trades) == 2
    assert [(n.asset, n.reason, n.value) for n in made.not_reachable] == [
        (SOL, Unreached.EXCLUDED, Decimal(5000))
    ]


def test_an_excluded_asset_needs_no_price() -> None:
    there = replace(world(), holdings=(*world().holdings, holding("SOL", "50")))
    made = plan(there, HALVES, constraints=Constraints(exclude=frozenset({SOL})))
    assert ("excluded_unpriced", "SOL") in {(w.code, w.subject) for w in made.warnings}
    assert made.not_reachable[0].value is None


def test_a_target_cannot_be_excluded() -> None:
    with pytest.raises(InvalidInput) as refused:
        plan(world(), HALVES, constraints=Constraints(exclude=frozenset({ETH})))
    assert refused.value.facts["field"] == "constraints/exclude"


def test_a_market_order_takes_what_the_book_offers_within_the_slippage() -> None:
    there = world()
    book = ((Decimal(49995), Decimal("0.005")), (Decimal(49500), Decimal("0.005")),
            (Decimal(49000), Decimal(5)))  # fmt: skip
    asks = ((Decimal("2500.25"), Decimal(10)),)
    markets = (replace(there.markets[0], bids=book), replace(there.markets[1], asks=asks))
    made = plan(
        replace(there, markets=markets),
        HALVES,
        style=Style(OrderType.MARKET),
        constraints=Constraints(max_slippage_pct=Decimal(1)),
    )
    sale = made.trades[0]
    assert (sale.quantity, sale.limit_price) == (Decimal("0.01"), None)
    assert sale.est_price == Decimal("49747.5")
    assert reasons(made)["BTC"] == "constraint"


def test_a_resting_order_waits_on_its_own_side() -> None:
    style = Style(post_only=True, offset_bps=Decimal(10))
    sale, purchase = plan(world(), HALVES, style=style).trades
    assert sale.limit_price == Decimal("50055.0050")  # 50005 + 0.1 %
    assert purchase.limit_price == Decimal("2497.2502")  # 2499.75 - 0.1 %, rounded down


def test_slippage_bounds_how_far_a_limit_price_goes() -> None:
    style = Style(offset_bps=Decimal(500))
    limits = Constraints(max_slippage_pct=Decimal(1))
    sale, _ = plan(world(), HALVES, style=style, constraints=limits).trades
    assert sale.limit_price == Decimal("49495.0500")  # 49995 - 1 %


def test_a_debt_is_taken_off_what_is_owned() -> None:
    there = replace(world(), holdings=(holding("BTC", "0.14", borrowed="0.02"),
                                       holding("ETH", "1.6")))  # fmt: skip
    assert plan(there, HALVES).base_value == 10_000


def test_the_hash_ignores_order_and_spelling_and_sees_every_change() -> None:
    base = plan(world(), HALVES).plan_hash
    spelled = situation(PRICES, {"ETH": "1.600", "BTC": "0.12"})
    assert plan(spelled, HALVES).plan_hash == base
    changed = [
        plan(situation(PRICES, {"BTC": "0.12", "ETH": "1.60001"}), HALVES),
        plan(world(), {"BTC": "0.51", "ETH": "0.49"}),
        plan(world(), HALVES, tolerance="0.6"),
        plan(world(), HALVES, style=Style(offset_bps=Decimal(1))),
        plan(world(), HALVES, constraints=Constraints(keep={BTC: Decimal(0)})),
        plan(world(accounts=(account(fee_rate=Decimal("0.002")),)), HALVES),
    ]
    assert len({base, *(one.plan_hash for one in changed)}) == 1 + len(changed)


def test_prices_may_move_and_it_is_said_how_far() -> None:
    made = plan(world(), HALVES)
    moved = moved_pct(made.prices, {BTC: Decimal(49000), USDT: Decimal(1)})
    assert moved == {BTC: Decimal(2), ETH: None, USDT: Decimal(0)}


def test_a_portfolio_at_its_targets_needs_nothing() -> None:
    made = answer(world(), {"BTC": "0.6", "ETH": "0.4"}, tolerance="0")
    assert isinstance(made, Plan)
    assert not made.trades
    assert not made.not_reachable
    assert made.turnover_pct == 0


def with_limits(order: str | None = None, day: str | None = None, **rules: Any) -> Situation:
    """The plan to halves sells 1,000 of BTC and buys 998 of ETH."""
    room = Headroom(
        None if order is None else Decimal(order), None if day is None else Decimal(day)
    )
    markets = tuple(market(f"{asset}/USDT", Decimal(PRICES[asset]), **rules) for asset in PRICES)
    return world(accounts=(account(headroom=room),), markets=markets)


def test_what_is_above_the_limit_of_an_order_goes_in_as_few_as_fit() -> None:
    whole = plan(with_limits(), HALVES)
    made = plan(with_limits("400"), HALVES)
    sales, purchases = made.trades[:3], made.trades[3:]
    assert [one.seq for one in made.trades] == [1, 2, 3, 4, 5, 6]
    # 0.02 BTC are 2,000 steps; 396, a hundredth below the limit, are 792 of them.
    assert [one.quantity for one in sales] == list(map(Decimal, ("0.00667", "0.00667", "0.00666")))
    assert {one.phase for one in sales} == {Phase.SELL}
    assert {one.phase for one in purchases} == {Phase.BUY}
    assert all(one.est_value <= 400 for one in made.trades)
    for several, one in ((sales, whole.trades[0]), (purchases, whole.trades[1])):
        assert sum(part.quantity for part in several) == one.quantity
        assert sum(part.est_fee for part in several) == one.est_fee
        assert {part.limit_price for part in several} == {one.limit_price}
    assert (made.after, made.turnover_pct) == (whole.after, whole.turnover_pct)
    assert made.est_total_cost == whole.est_total_cost
    assert limited(made) == []


def test_one_order_is_as_large_as_the_limit_allows() -> None:
    assert len(plan(with_limits("1000"), HALVES).trades) == 2
    assert len(plan(with_limits("999"), HALVES).trades) == 3


@pytest.mark.parametrize(
    ("world_of_limits", "constraints"),
    [
        (with_limits("49"), Constraints()),  # 21 orders
        (with_limits("400", min_notional=Decimal(350)), Constraints()),
        (with_limits("400", min_quantity=Decimal("0.019")), Constraints()),
        (with_limits("400"), Constraints(min_trade_value=Decimal(350))),
        (with_limits("400", lot_size=Decimal("0.01")), Constraints()),
    ],
)
def test_what_cannot_be_split_stays_whole_and_is_warned_of(
    world_of_limits: Situation, constraints: Constraints
) -> None:
    made = plan(world_of_limits, HALVES, constraints=constraints)
    over = {one.symbol for one in made.trades if one.est_value > 400}
    assert over
    assert ("order_over_limit", sorted(over)[0]) in limited(made)
    assert len(made.trades) < 6


def test_a_market_order_that_is_split_costs_what_the_whole_one_does() -> None:
    there = with_limits("400")
    book = ((Decimal(49995), Decimal("0.01")), (Decimal(49500), Decimal("0.02")))
    there = replace(there, markets=(replace(there.markets[0], bids=book), there.markets[1]))
    made = plan(there, HALVES, style=Style(OrderType.MARKET))
    sales = [one for one in made.trades if one.phase is Phase.SELL]
    # Half at 49,995 and half at 49,500.
    assert {one.est_price for one in sales} == {Decimal("49747.5")}
    assert len(sales) == 3


def test_what_the_limit_of_a_day_will_refuse_is_said_beforehand() -> None:
    assert limited(plan(with_limits("400", "1900"), HALVES)) == [("day_over_limit", "a")]
    assert limited(plan(with_limits("400", "2100"), HALVES)) == []


def limited(made: Plan) -> list[tuple[str, str]]:
    """What is said of the limits of trading."""
    return [(one.code, one.subject) for one in made.warnings if one.code.endswith("over_limit")]
