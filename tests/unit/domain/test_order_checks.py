"""Every check of an order, by what it lets through and what it refuses."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.account import AccountState, Permissions
from alphapulse.domain.balance import Balance, Wallet
from alphapulse.domain.funds import Hold, available, left_of
from alphapulse.domain.identifiers import Asset, Symbol
from alphapulse.domain.money import ZERO, is_multiple
from alphapulse.domain.order import OrderRequest, OrderType, Side, TimeInForce, Trigger
from alphapulse.domain.order_checks.check import Check
from alphapulse.domain.order_checks.price import with_trigger
from alphapulse.domain.order_checks.run import require, run_checks
from alphapulse.domain.order_checks.situation import Allowance, OrderSituation
from alphapulse.domain.order_cost import cost_of, execution_in, slippage_pct
from alphapulse.domain.order_grid import on_grid
from alphapulse.domain.order_shape import require_one_meaning
from alphapulse.domain.position import MarginMode, PositionSide
from alphapulse.domain.trading import TradingLimits, TradingMode
from alphapulse.errors import (
    AlphaPulseError,
    BadStep,
    BelowMinimum,
    Conflict,
    InstrumentUnavailable,
    InvalidInput,
    KeyReadOnly,
    NotEnoughFree,
    OrderBudgetSpent,
    OrderNotSupported,
    OrderRefused,
    OverLimit,
    PriceNotGood,
    PriceOutOfBand,
    TradingHalted,
)
from alphapulse.exchanges.order_profiles import ORDER_PROFILES
from tests.builders import (
    NOW,
    make_account,
    make_instrument,
    make_position,
    make_request,
    make_ticker,
)

D = Decimal
PERPETUAL = "BTC/USDT:USDT"
LIMITS = TradingLimits(
    max_order_value=D(200_000),
    max_daily_value=D(500_000),
    orders_per_minute=3,
    price_band_pct=D(5),
    max_price_age_s=D(5),
    max_spread_pct=D(2),
)
SPOT_ABILITIES = ORDER_PROFILES["binance", "spot"]
MAY = Permissions(read=True, trade=True, withdraw=False, ip_restricted=None)


def situation(request: OrderRequest, **changes: Any) -> OrderSituation:
    """In which `make_request` passes every check."""
    ticker = changes.pop("ticker", make_ticker(bid=D("64000.0"), ask=D("64000.2")))
    instrument = changes.pop("instrument", make_instrument(request.symbol))
    leverage = changes.pop("leverage", request.leverage)
    limits = changes.pop("limits", LIMITS)
    cost = cost_of(
        on_grid(request, instrument), instrument, ticker, leverage=leverage, fee_rate=D("0.001")
    )
    found = OrderSituation(
        now=NOW,
        account=make_account(permissions=MAY),
        instrument=instrument,
        abilities=SPOT_ABILITIES,
        ticker=ticker,
        positions=(),
        mode=TradingMode.ACTIVE,
        allowances=(Allowance("account:account-1", limits),),
        cost=cost,
        available=D(200_000),
        value=cost.notional,
        added_value=cost.notional,
        currency="USD",
    )
    return replace(found, **changes)


def failures(request: OrderRequest, **changes: Any) -> list[Check]:
    return [one for one in run_checks(request, situation(request, **changes)) if not one.ok]


def refusal(request: OrderRequest, **changes: Any) -> AlphaPulseError:
    """The error of the only check that fails."""
    (failed,) = failures(request, **changes)
    assert failed.failure is not None
    return failed.failure


def perpetual(**changes: Any) -> OrderRequest:
    return make_request(symbol=Symbol(PERPETUAL), **changes)


def test_an_order_in_good_order_passes_every_check() -> None:
    checks = run_checks(make_request(), situation(make_request()))

    require(checks)
    named = {check.name: check for check in checks}
    assert (named["min_notional"].limit, named["min_notional"].value) == ("5", "128000.2")
    assert (named["price_band"].limit, named["price_band"].value) == ("5", "0")
    assert (named["funds"].limit, named["funds"].value) == ("200000", "128000.2")


def test_the_gravest_failure_is_the_one_that_is_raised() -> None:
    request = make_request(quantity=D("0.000001"), limit_price=D(1))
    with pytest.raises(TradingHalted):
        require(run_checks(request, situation(request, mode=TradingMode.HALTED)))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"account": make_account(state=AccountState.PAUSED, permissions=MAY)}, Conflict),
        (
            {"account": make_account(is_simulated=False, permissions=MAY), "is_paper": True},
            InvalidInput,
        ),
        (
            {"account": make_account(permissions=replace(MAY, trade=False))},
            KeyReadOnly,
        ),
        ({"mode": TradingMode.HALTED}, TradingHalted),
        ({"mode": TradingMode.REDUCING}, TradingHalted),
        ({"instrument": make_instrument(is_active=False)}, InstrumentUnavailable),
        ({"limits": replace(LIMITS, symbols=frozenset({Symbol("ETH/USDT")}))}, OverLimit),
        ({"abilities": None}, OrderNotSupported),
        ({"instrument": make_instrument(min_quantity=D(3))}, BelowMinimum),
        ({"instrument": make_instrument(max_quantity=D(1))}, OverLimit),
        ({"instrument": make_instrument(min_notional=D(128_001))}, BelowMinimum),
        ({"limits": replace(LIMITS, max_order_value=D("128000.19"))}, OverLimit),
        ({"value": None, "added_value": None}, PriceNotGood),
        ({"available": D("128000.19")}, NotEnoughFree),
        ({"available": None}, NotEnoughFree),
    ],
)
def test_what_must_not_be_is_refused_with_an_error_of_its_own(
    changes: dict[str, Any], error: type[AlphaPulseError]
) -> None:
    found = refusal(make_request(), **changes)

    assert type(found) is error
    assert found.facts["check"]


def test_a_key_of_which_nothing_is_known_may_try() -> None:
    unknown = make_account(permissions=replace(MAY, trade=None))
    checks = run_checks(make_request(), situation(make_request(), account=unknown))
    (named,) = [check for check in checks if check.name == "key_may_trade"]
    assert (named.ok, named.value) == (True, "unknown")


def test_a_sale_on_spot_makes_a_holding_smaller() -> None:
    sale = make_request(side=Side.SELL)
    assert failures(sale, mode=TradingMode.REDUCING) == []


# The grid


def test_a_quantity_off_the_grid_is_told_the_nearest_two() -> None:
    found = refusal(make_request(quantity=D("1.000015")))

    assert type(found) is BadStep
    assert (found.facts["limit"], found.facts["below"], found.facts["above"]) == (
        D("0.00001"),
        D("1.00001"),
        D("1.00002"),
    )
    assert "1.00001 or 1.00002" in found.message


def test_less_than_one_step_is_told_the_least() -> None:
    request = make_request(quantity=D("0.000001"))
    found = next(check.failure for check in failures(request) if isinstance(check.failure, BadStep))
    assert found.message.endswith("the least is 0.00001")


@given(
    quantity=st.decimals("0.00001", "9000", places=9),
    price=st.decimals("0.01", "100000", places=6),
    side=st.sampled_from(Side),
)
def test_the_grid_never_orders_more_or_at_a_worse_price(
    quantity: Decimal, price: Decimal, side: Side
) -> None:
    instrument = make_instrument()
    request = make_request(quantity=quantity, limit_price=price, side=side)
    found = on_grid(request, instrument)

    assert found.quantity is not None
    assert found.limit_price is not None
    assert found.quantity <= quantity
    assert found.limit_price <= price if side is Side.BUY else found.limit_price >= price
    assert is_multiple(found.quantity, instrument.lot_size)
    assert is_multiple(found.limit_price, instrument.tick_size)
    assert on_grid(found, instrument) == found


# Prices


def test_an_old_price_is_no_price() -> None:
    old = make_ticker(ask=D("64000.2"), received_at=NOW - timedelta(seconds=6))
    found = refusal(make_request(), ticker=old)
    assert type(found) is PriceNotGood
    assert (found.facts["limit"], found.facts["value"]) == (D(5), D(6))


@pytest.mark.parametrize("ticker", [None, make_ticker(last=None, bid=None), make_ticker(ask=None)])
def test_without_a_price_of_both_sides_nothing_is_ordered(ticker: Any) -> None:
    assert type(refusal(make_request(), ticker=ticker)) is PriceNotGood


def test_a_market_with_a_hole_in_it_is_not_traded() -> None:
    wide = make_ticker(bid=D(64_000), ask=D(66_000))
    found = refusal(make_request(), ticker=wide)
    assert type(found) is PriceNotGood
    assert found.facts["check"] == "spread"


@pytest.mark.parametrize(
    ("price", "is_within"),
    [("60800.10", True), ("60800.09", False), ("67200.10", True), ("67200.11", False)],
)
def test_a_price_may_be_so_far_from_the_last_one_and_no_further(
    price: str, is_within: bool
) -> None:
    last = make_ticker(ask=D("64000.2"))
    found = failures(make_request(quantity=D(1), limit_price=D(price)), ticker=last)
    assert [type(one.failure) for one in found] == ([] if is_within else [PriceOutOfBand])


def test_a_price_too_far_away_is_refused_in_plain_words() -> None:
    far = make_request(type=OrderType.STOP_LIMIT, limit_price=D(70000), stop_price=D(70000))
    found = failures(far, ticker=make_ticker(ask=D("64000.2")))
    assert [one.failure.message for one in found if one.failure is not None] == [
        f"the {field} price is 9.3749 % off the last price of 64000.1; 5 % are allowed"
        for field in ("limit", "stop")
    ]


def test_no_refusal_names_a_field_as_the_program_does() -> None:
    limits = TradingLimits(
        max_order_value=D(1),
        max_daily_value=D(1),
        orders_per_minute=1,
        symbols=frozenset({Symbol("ETH/USDT")}),
    )
    strange = make_request(
        quantity=D("0.000011"),
        limit_price=D("70000.003"),
        take_profit=D("60000.003"),
        stop_loss=D("90000.003"),
        time_in_force=TimeInForce.GTD,
    )
    for request in (strange, replace(strange, time_in_force=TimeInForce.GTC)):
        found = failures(request, allowances=(Allowance("account:main", limits, orders=1),))
        said = [one.failure.message for one in found if one.failure is not None]
        assert len(said) >= 8
        assert not [text for text in said if "_" in text or "account:" in text]


@pytest.mark.parametrize(("stop", "trigger"), [("65000", Trigger.RISES), ("63000", Trigger.FALLS)])
def test_a_stop_waits_on_its_side_of_the_price(stop: str, trigger: Trigger) -> None:
    request = make_request(type=OrderType.STOP, limit_price=None, stop_price=D(stop))
    assert with_trigger(request, make_ticker()).trigger is trigger


def test_a_stop_at_the_price_would_not_wait() -> None:
    request = make_request(type=OrderType.STOP, limit_price=None, stop_price=D("64000.10"))
    with pytest.raises(InvalidInput):
        with_trigger(request, make_ticker())
    with pytest.raises(PriceNotGood):
        with_trigger(request, None)


# What a venue takes


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (make_request(time_in_force=TimeInForce.GTD, expires_at=NOW), "time_in_force"),
        (make_request(take_profit=D(70_000)), "take_profit"),
    ],
)
def test_what_a_venue_has_not_is_not_sent_to_it(request_: OrderRequest, field: str) -> None:
    found = refusal(request_)
    assert type(found) is OrderNotSupported
    assert found.facts["field"] == field


def test_an_exit_lies_on_its_side_of_the_price() -> None:
    bybit = ORDER_PROFILES["bybit", "spot"]
    good = make_request(take_profit=D(70_000), stop_loss=D(60_000))
    wrong = make_request(take_profit=D(60_000))
    assert failures(good, abilities=bybit) == []
    assert refusal(wrong, abilities=bybit).facts["limit"] == "above 64000.1"


def test_reduce_only_needs_a_position_on_the_other_side() -> None:
    futures = ORDER_PROFILES["binanceusdm", "swap"]
    sale = perpetual(side=Side.SELL, reduce_only=True, quantity=D("0.5"))
    ticker = make_ticker(PERPETUAL, bid=D(64_000), ask=D("64000.2"))
    held = {"abilities": futures, "ticker": ticker, "available": D(100)}
    assert failures(sale, positions=(make_position(),), **held) == []
    short = make_position(side=PositionSide.SHORT)
    assert type(refusal(sale, positions=(short,), **held)) is OrderRefused


# Limits


def test_what_was_ordered_today_counts() -> None:
    allowance = Allowance("user:user-1", LIMITS, counted_today=D(450_000), undone_today=D(50_000))
    found = refusal(make_request(), allowances=(allowance,))
    assert type(found) is OverLimit
    assert (found.facts["limit"], found.facts["value"]) == (D(500_000), D("528000.20"))


def test_too_many_in_a_minute_are_told_when_the_next_may_come() -> None:
    allowance = Allowance("user:user-1", LIMITS, orders=3, oldest_in_s=12.5)
    found = refusal(make_request(), allowances=(allowance,))
    assert type(found) is OrderBudgetSpent
    assert found.retry_after_s == 12.5


money = st.decimals("0.01", "200000", places=2)


@given(values=st.lists(st.tuples(money, st.booleans()), max_size=30), limit=money, day=money)
def test_no_sequence_of_orders_passes_a_limit(
    values: list[tuple[Decimal, bool]], limit: Decimal, day: Decimal
) -> None:
    limits = TradingLimits(max_order_value=limit, max_daily_value=day, orders_per_minute=10)
    request, used, let_through = make_request(), ZERO, 0
    for value, comes_to_nothing in values:
        allowance = Allowance("account:1", limits, counted_today=used, orders=let_through)
        if failures(request, allowances=(allowance,), value=value, added_value=value):
            continue
        let_through += 1
        assert value <= limit
        if not comes_to_nothing:
            used += value
    assert used <= day
    assert let_through <= 10


# What it needs


@pytest.mark.parametrize(
    ("request_", "asset", "needed"),
    [
        (make_request(), "USDT", "128000.20"),
        (make_request(side=Side.SELL), "BTC", "2"),
        (make_request(type=OrderType.MARKET, limit_price=None), "USDT", "128000.4"),
        (
            make_request(type=OrderType.MARKET, limit_price=None, quantity=None,
                         quote_quantity=D(100)),
            "USDT", "100",
        ),
        (perpetual(quantity=D(1), leverage=D(10)), "USDT", "6464.0101"),
        (perpetual(quantity=D(1), reduce_only=True), "USDT", "64.0001"),
    ],
)  # fmt: skip
def test_an_order_needs_what_it_takes_and_the_fee_on_top(
    request_: OrderRequest, asset: str, needed: str
) -> None:
    cost = situation(request_).cost
    assert (cost.asset, cost.needed) == (asset, D(needed))


def test_margin_without_a_known_leverage_is_the_venues_to_say() -> None:
    assert situation(perpetual()).cost.needed is None


def test_a_walk_down_the_book_is_the_sum_of_its_levels() -> None:
    levels = [(D(100), D(1)), (D(101), D(2)), (D(110), D(5))]
    by_quantity = make_request(type=OrderType.MARKET, quantity=D(2), limit_price=None)
    found = execution_in(levels, by_quantity, make_instrument())
    assert found is not None
    assert (found.notional, found.average_price, found.is_whole) == (D(201), D("100.5"), True)
    assert slippage_pct(Side.BUY, D(100), found.average_price) == D("0.5")

    by_quote = replace(by_quantity, quantity=None, quote_quantity=D(201))
    found = execution_in(levels, by_quote, make_instrument())
    assert found is not None
    assert (found.quantity, found.is_whole) == (D(2), True)

    found = execution_in(levels, replace(by_quantity, quantity=D(9)), make_instrument())
    assert found is not None
    assert (found.quantity, found.is_whole) == (D(8), False)
    assert execution_in([], by_quantity, make_instrument()) is None


# What is free


def usdt(free: str, locked: str = "0", wallet: Wallet = Wallet.SPOT) -> Balance:
    return Balance(wallet, Asset("USDT"), D(free), D(locked), ZERO)


def hold(amount: str, *, is_at_venue: bool, symbol: str = "BTC/USDT") -> Hold:
    return Hold(Symbol(symbol), Asset("USDT"), D(amount), is_at_venue)


@pytest.mark.parametrize(
    ("balances", "holds", "free"),
    [
        ([usdt("1000")], [], "1000"),
        ([usdt("1000")], [hold("600", is_at_venue=False)], "400"),
        ([usdt("1000")], [hold("600", is_at_venue=True)], "400"),
        ([usdt("400", "600")], [hold("600", is_at_venue=True)], "400"),
        ([usdt("700", "300")], [], "700"),
        ([usdt("1000")], [hold("600", is_at_venue=False, symbol=PERPETUAL)], "1000"),
        (
            [usdt("1000", wallet=Wallet.UNIFIED)],
            [hold("600", is_at_venue=False, symbol=PERPETUAL)],
            "400",
        ),
        ([usdt("1000", wallet=Wallet.FUNDING)], [], "0"),
    ],
)
def test_what_orders_hold_is_not_free_whether_the_venue_told_it_or_not(
    balances: list[Balance], holds: list[Hold], free: str
) -> None:
    assert available(balances, holds, Asset("USDT"), for_contract=False) == D(free)


def test_what_was_filled_is_held_no_more() -> None:
    assert left_of(D(600), D(3), D(1)) == D(400)
    assert left_of(D(600), None, D(1)) == D(600)


# What is said


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"quantity": D(0)}, "quantity"),
        ({"quantity": D(-1)}, "quantity"),
        ({"quantity": D("1" * 40)}, "quantity"),
        ({"quantity": D("1e-19")}, "quantity"),
        ({"quantity": None}, "quantity"),
        ({"quote_quantity": D(1)}, "quantity"),
        ({"quantity": None, "quote_quantity": D(1)}, "quote_quantity"),
        ({"limit_price": None}, "limit_price"),
        ({"stop_price": D(1)}, "stop_price"),
        ({"type": OrderType.MARKET}, "limit_price"),
        ({"type": OrderType.MARKET, "limit_price": None}, "time_in_force"),
        ({"type": OrderType.TRAILING_STOP, "limit_price": None}, "trailing_pct"),
        ({"type": OrderType.OTHER}, "type"),
        ({"time_in_force": TimeInForce.GTD}, "expires_at"),
        ({"expires_at": NOW + timedelta(days=1)}, "expires_at"),
        ({"time_in_force": TimeInForce.GTD, "expires_at": NOW}, "expires_at"),
        ({"post_only": True, "time_in_force": TimeInForce.IOC}, "post_only"),
        ({"reduce_only": True}, "reduce_only"),
        ({"leverage": D(2)}, "leverage"),
        ({"margin_mode": MarginMode.CROSS}, "margin_mode"),
        ({"symbol": PERPETUAL, "leverage": D(0)}, "leverage"),
    ],
)
def test_a_request_that_does_not_say_one_thing_names_the_field(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        require_one_meaning(make_request(**changes), NOW)
    assert refused.value.facts["field"] == field


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"post_only": True},
        {"time_in_force": TimeInForce.GTD, "expires_at": NOW + timedelta(seconds=1)},
        {"symbol": PERPETUAL, "leverage": D("2.5"), "margin_mode": MarginMode.ISOLATED},
        {"quantity": D("99999999999999999999.999999999999999999")},
    ],
)
def test_a_request_that_says_one_thing_passes(changes: dict[str, Any]) -> None:
    require_one_meaning(make_request(**changes), NOW)
