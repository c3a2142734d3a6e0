"""Whatever the portfolio: what must hold of every plan."""

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal, localcontext
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse.domain.balance import Wallet
from alphapulse.domain.funds import Hold
from alphapulse.domain.identifiers import AccountId, Asset, Symbol
from alphapulse.domain.money import EXACT, ZERO, is_multiple
from alphapulse.domain.order import OrderType, Side
from alphapulse.domain.rebalance.constraints import Constraints, Style, Tolerance
from alphapulse.domain.rebalance.plan import Plan, PlanRequest, make_plan
from alphapulse.domain.rebalance.situation import Headroom, Situation
from alphapulse.domain.rebalance.targets import to_places
from alphapulse.domain.rebalance.ways import Unreached
from tests.unit.domain.rebalance.builders import USDT, account, holding, market
from tests.unit.domain.rebalance.builders import situation as world_of

ASSETS = [Asset(name) for name in ("AAA", "BBB", "CCC", "DDD", "EEE")]
EXCHANGES = ("binance", "bybit")

# The same worlds in every run; a wider sweep is a matter of another range of seeds.
SEEDS = st.integers(0, 2**32)


def number(random: Random, low: float, high: float, places: int = 2) -> Decimal:
    return Decimal(f"{random.uniform(low, high):.{places}f}")


def some(random: Random, low: float, high: float) -> Decimal | None:
    """A limit, or none."""
    return random.choice([None, number(random, low, high)])


def make_world(random: Random) -> Situation:
    """One to three accounts on two exchanges, some markets missing or halted, some units locked,
    reserved, or in a wallet that does not trade."""
    worth = {asset: number(random, 0.01, 1000) for asset in ASSETS}
    accounts = [
        account(f"a{index}", random.choice(EXCHANGES), holds=tuple(make_holds(random)))
        for index in range(random.randint(1, 3))
    ]
    holdings = [holding("USDT", number(random, 1, 500), of=one) for one in accounts]
    for one in accounts:
        for asset in random.sample(ASSETS, random.randint(0, 4)):
            wallet = random.choice([Wallet.SPOT, Wallet.SPOT, Wallet.EARN])
            locked = random.choice([ZERO, number(random, 0, 100)])
            free = number(random, 0, 500, 4)
            holdings.append(holding(asset, free, locked, of=one, wallet=wallet))
    pairs = [*((one, USDT) for one in ASSETS), (ASSETS[1], ASSETS[0])]
    markets = [
        market(
            f"{base}/{quote}",
            worth[base] / worth.get(quote, Decimal(1)),
            exchange,
            lot_size=Decimal(random.choice(["0.00001", "0.01", "1"])),
            tick_size=Decimal("0.000001"),
            min_notional=random.choice([None, Decimal(1), Decimal(20)]),
            is_active=random.random() < 0.9,
        )
        for exchange in EXCHANGES
        for base, quote in pairs
        if random.random() < 0.85
    ]
    return world_of(
        {asset: str(value) for asset, value in worth.items()},
        accounts=tuple(accounts),
        holdings=tuple(holdings),
        markets=tuple(markets),
    )


def make_holds(random: Random) -> list[Hold]:
    return [
        Hold(
            Symbol("AAA/USDT"),
            random.choice([*ASSETS, USDT]),
            number(random, 0, 200),
            is_at_venue=random.random() < 0.5,
        )
        for _ in range(random.randint(0, 2))
    ]


def make_request(random: Random, *, is_constrained: bool = True) -> PlanRequest:
    shares = {asset: Decimal(random.randint(0, 20)) for asset in [*ASSETS, USDT]}
    constraints = Constraints(
        max_turnover_pct=some(random, 0, 60),
        min_trade_value=some(random, 0, 50),
        max_fee=some(random, 0, 5),
        keep={ASSETS[0]: number(random, 0, 300)},
        allow_sell=random.random() < 0.9,
        allow_buy=random.random() < 0.9,
    )
    return PlanRequest(
        to_places(shares | {ASSETS[0]: Decimal(1)}),
        Tolerance(some(random, 0, 10), some(random, 0, 50), to_edge=random.random() < 0.5),
        constraints if is_constrained else Constraints(),
        Style(
            type=random.choice([OrderType.LIMIT, OrderType.MARKET]),
            offset_bps=number(random, 0, 50, 0),
        ),
    )


def example(seed: int) -> tuple[Situation, PlanRequest]:
    random = Random(seed)
    return make_world(random), make_request(random, is_constrained=random.random() < 0.6)


def planned(request: PlanRequest, world: Situation) -> Plan:
    plan = make_plan(request, world)
    assert isinstance(plan, Plan), plan
    return plan


def free_of(world: Situation) -> dict[tuple[AccountId, Asset], Decimal]:
    """What each account may spend, worked out anew: never more than is free, nor than what is
    left after its own orders."""
    free: dict[tuple[AccountId, Asset], Decimal] = defaultdict(Decimal)
    there: dict[tuple[AccountId, Asset], Decimal] = defaultdict(Decimal)
    for one in world.holdings:
        if one.balance.wallet is Wallet.SPOT:
            key = (one.account_id, one.balance.asset)
            free[key] += one.balance.free
            there[key] += one.balance.free + one.balance.locked
    for owner in world.accounts:
        for hold in owner.holds:
            there[owner.id, hold.asset] -= hold.amount
            free[owner.id, hold.asset] -= ZERO if hold.is_at_venue else hold.amount
    return {key: max(ZERO, min(free[key], there[key])) for key in there}


def assert_never_short(plan: Plan, world: Situation) -> None:
    """Every trade in its order, with fees: nothing that is spent was not free or brought."""
    left = free_of(world)
    rates = {one.id: one.fee_rate or ZERO for one in world.accounts}
    for trade in plan.trades:
        base, _, quote = trade.symbol.partition("/")
        notional, fee = trade.quantity * trade.est_price, rates[trade.account_id]
        if trade.side is Side.SELL:
            spent, got = (base, trade.quantity), (quote, notional * (1 - fee))
        else:
            spent, got = (quote, notional * (1 + fee)), (base, trade.quantity)
        left[trade.account_id, Asset(spent[0])] = (
            left.get((trade.account_id, Asset(spent[0])), ZERO) - spent[1]
        )
        assert left[trade.account_id, Asset(spent[0])] >= 0, trade
        key = (trade.account_id, Asset(got[0]))
        left[key] = left.get(key, ZERO) + got[1]


@settings(max_examples=100, derandomize=True)
@given(SEEDS)
def test_no_trade_takes_what_is_not_free_and_money_never_goes_below_zero(seed: int) -> None:
    world, request = example(seed)
    with localcontext(EXACT):
        assert_never_short(planned(request, world), world)


@settings(max_examples=100, derandomize=True)
@given(SEEDS)
def test_every_trade_is_on_its_grid_and_above_its_minimums(seed: int) -> None:
    world, request = example(seed)
    rules = {(m.instrument.exchange, m.instrument.symbol): m.instrument for m in world.markets}
    for trade in planned(request, world).trades:
        rule = rules[trade.exchange, trade.symbol]
        assert rule.is_active
        assert trade.quantity > 0
        assert is_multiple(trade.quantity, rule.lot_size)
        assert trade.limit_price is None or is_multiple(trade.limit_price, rule.tick_size)
        assert trade.quantity * trade.est_price >= (rule.min_notional or 0)
        assert trade.quantity >= (rule.min_quantity or 0)
        assert trade.est_value >= (request.constraints.min_trade_value or 0)


@settings(max_examples=100, derandomize=True)
@given(SEEDS)
def test_what_stays_outside_its_band_has_a_reason_and_nothing_else_has(seed: int) -> None:
    world, request = example(seed)
    plan = planned(request, world)
    base = sum(line.value for line in plan.after)
    off = set()
    with localcontext(EXACT):
        for line in plan.after:
            gap = abs(line.value - request.weights.get(line.asset, ZERO) * base)
            if gap > request.tolerance.band(line.target) * base:
                off.add(line.asset)
    assert off == {one.asset for one in plan.not_reachable}
    for one in plan.not_reachable:
        assert_is_true(one.asset, one.reason, world, request)


def assert_is_true(asset: Asset, reason: Unreached, world: Situation, request: PlanRequest) -> None:
    constraints = request.constraints
    if reason is Unreached.CONSTRAINT:
        assert constraints != Constraints()
    if reason is Unreached.WRONG_EXCHANGE:
        assert len(world.accounts) > 1
    if reason is Unreached.LOCKED:
        held = [one.balance for one in world.holdings if one.balance.asset == asset]
        holds = [hold for one in world.accounts for hold in one.holds if hold.asset == asset]
        is_idle = any(one.locked or one.wallet is not Wallet.SPOT for one in held)
        assert holds or is_idle


@settings(max_examples=100, derandomize=True)
@given(SEEDS)
def test_turnover_is_at_most_selling_everything_and_within_its_limits(seed: int) -> None:
    world, request = example(seed)
    plan = planned(request, world)
    limit = request.constraints.max_turnover_pct
    assert plan.turnover_pct <= (100 if limit is None else limit)
    fees = sum(trade.est_fee for trade in plan.trades)
    assert request.constraints.max_fee is None or fees <= request.constraints.max_fee
    kept = {line.asset: line.value for line in plan.after}
    had = {line.asset: line.value for line in plan.before}
    for asset, quantity in request.constraints.keep.items():
        floor = min(had.get(asset, ZERO), quantity * plan.prices[asset]) if asset in kept else ZERO
        assert kept.get(asset, ZERO) >= floor


@settings(max_examples=100, derandomize=True)
@given(SEEDS)
def test_nothing_is_taken_past_its_target(seed: int) -> None:
    """What was over stays at its target or above it, what was short stays below; the money of an
    account keeps what steps and minimums left over."""
    world, request = example(seed)
    plan = planned(request, world)
    after = {line.asset: line.value for line in plan.after}
    with localcontext(EXACT):
        for line in plan.before:
            target = line.target * plan.base_value
            if line.asset == USDT:
                continue
            low, high = sorted((line.value, target))
            assert low <= after.get(line.asset, ZERO) <= high


@settings(max_examples=100, derandomize=True)
@given(SEEDS)
def test_the_order_of_the_inputs_changes_nothing(seed: int) -> None:
    world, request = example(seed)
    random = Random(seed + 1)

    def shuffled(things: tuple[object, ...]) -> tuple[object, ...]:
        mixed = list(things)
        random.shuffle(mixed)
        return tuple(mixed)

    mixed = replace(
        world,
        accounts=shuffled(world.accounts),  # type: ignore[arg-type]
        holdings=shuffled(world.holdings),  # type: ignore[arg-type]
        markets=shuffled(world.markets),  # type: ignore[arg-type]
        prices=dict(shuffled(tuple(world.prices.items()))),  # type: ignore[arg-type]
    )
    again = replace(request, weights=dict(shuffled(tuple(request.weights.items()))))  # type: ignore[arg-type]
    assert make_plan(again, mixed) == make_plan(request, world)


@settings(max_examples=100, derandomize=True)
@given(SEEDS)
def test_where_nothing_stands_in_the_way_every_asset_comes_into_its_band(seed: int) -> None:
    """One account, every market, small steps: one point of tolerance is always met."""
    random = Random(seed)
    worth = {asset: number(random, 0.5, 100) for asset in ASSETS}
    held = {asset: str(number(random, 0, 100_000) / price) for asset, price in worth.items()}
    world = world_of({asset: str(value) for asset, value in worth.items()}, held | {"USDT": "1000"})
    request = replace(make_request(random, is_constrained=False), tolerance=Tolerance(Decimal(1)))
    assert planned(request, world).not_reachable == ()


@settings(max_examples=100, derandomize=True)
@given(SEEDS)
def test_a_limit_of_an_order_splits_trades_and_changes_nothing_else(seed: int) -> None:
    world, request = example(seed)
    whole = planned(request, world)
    limit = number(Random(seed), 20, 20_000)
    owners = tuple(replace(one, headroom=Headroom(order=limit)) for one in world.accounts)
    split = planned(request, replace(world, accounts=owners))
    rules = {(m.instrument.exchange, m.instrument.symbol): m.instrument for m in world.markets}
    with localcontext(EXACT):
        assert whole_of(split) == whole_of(whole)
        assert_never_short(split, world)
        for trade in split.trades:
            rule = rules[trade.exchange, trade.symbol]
            assert is_multiple(trade.quantity, rule.lot_size)
            assert trade.quantity * trade.est_price >= (rule.min_notional or 0)
            assert trade.est_value >= (request.constraints.min_trade_value or 0)
            is_warned = ("order_over_limit", trade.symbol) in {
                (one.code, one.subject) for one in split.warnings
            }
            assert trade.est_value <= limit or is_warned


def whole_of(plan: Plan) -> dict[tuple[object, ...], Decimal]:
    """What is traded in each market by each account, in the order it begins."""
    sums: dict[tuple[object, ...], Decimal] = defaultdict(Decimal)
    for one in plan.trades:
        sums[one.account_id, one.symbol, one.side, one.phase, one.reason] += one.quantity
    return sums


def spoiled(name: str, plan: Plan) -> Plan:
    """The plan as a planner with one mistake would make it."""
    sale, purchase = plan.trades
    step = purchase.lot_size
    trades = {
        "sells_locked_units": (replace(sale, quantity=sale.quantity + step), purchase),
        "buys_before_it_sells": (purchase, sale),
        "forgets_fees": (sale, replace(purchase, quantity=purchase.quantity * Decimal("1.002"))),
        "rounds_up": (sale, replace(purchase, quantity=purchase.quantity + step)),
    }
    return replace(plan, trades=trades[name])


@pytest.mark.parametrize(
    "mistake", ["sells_locked_units", "buys_before_it_sells", "forgets_fees", "rounds_up"]
)
def test_a_planner_with_a_mistake_would_be_caught(mistake: str) -> None:
    world = replace(
        world_of({"AAA": "10", "BBB": "20"}),
        holdings=(holding("AAA", "100", "50"), holding("BBB", "1")),
    )
    request = PlanRequest({ASSETS[0]: Decimal("0.1"), ASSETS[1]: Decimal("0.9")})
    plan = planned(request, world)
    assert_never_short(plan, world)
    with pytest.raises(AssertionError):
        assert_never_short(spoiled(mistake, plan), world)
