"""What holds for every history: flows are no performance, and independent libraries agree."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.performance.figures import Figure, Reason
from alphapulse.domain.performance.history import Point
from alphapulse.domain.performance.report import Performance, Terms, performance_of
from alphapulse.domain.performance.thinning import thinned
from tests.net_worth import DAY, START, day

TERMS = Terms(returns_min=2, annualized_from=DAY, risk_free_rate=Decimal("0.03"))
LAST_DIGIT = Decimal("1e-8")


class Step(NamedTuple):
    """A day: money comes in at its start, grows, and goes out at its end."""

    growth: Decimal
    deposit: Decimal = ZERO
    withdrawn: Decimal = ZERO
    """The share of what is there."""


growths = st.integers(850, 1200).map(lambda thousandths: Decimal(thousandths) / 1000)
rising = st.integers(1000, 1200).map(lambda thousandths: Decimal(thousandths) / 1000)
deposits = st.one_of(
    st.just(ZERO), st.integers(1, 10**14).map(lambda units: Decimal(units).scaleb(-4))
)
shares = st.sampled_from([Decimal(text) for text in ("0", "0", "0.001", "0.5", "0.75", "1")])
some = st.sampled_from([Decimal(text) for text in ("0", "0", "0.001", "0.25", "0.5")])


def days(
    growth: st.SearchStrategy[Decimal] = growths,
    deposit: st.SearchStrategy[Decimal] = deposits,
    withdrawn: st.SearchStrategy[Decimal] = some,
    least: int = 3,
) -> st.SearchStrategy[list[Step]]:
    steps = st.builds(Step, growth, deposit, withdrawn)
    return st.lists(steps, min_size=least, max_size=40)


def history(steps: Sequence[Step], start: Decimal = Decimal(1000)) -> list[Point]:
    """Deposits are made where the value is known before, withdrawals where it is known after."""
    points = [Point(START, start)]
    for number, step in enumerate(steps, 1):
        value = points[-1].value
        assert value is not None
        grown = EXACT.multiply(EXACT.add(value, step.deposit), step.growth)
        taken = EXACT.multiply(grown, step.withdrawn)
        flow = EXACT.subtract(step.deposit, taken)
        points.append(Point(day(number), EXACT.subtract(grown, taken), flow))
    return points


def valued_at_flows(steps: Sequence[Step]) -> list[Point]:
    """The same, with a value right before each flow and right after it."""
    second = DAY / 86400
    value = Decimal(1000)
    points = [Point(START, value)]
    for number, step in enumerate(steps, 1):
        value = EXACT.multiply(value, step.growth)
        points.append(Point(day(number), value))
        flow = EXACT.subtract(step.deposit, EXACT.multiply(value, step.withdrawn))
        value = EXACT.add(value, flow)
        points.append(Point(day(number) + second, value, flow))
    return points


def known(figure: Figure) -> Decimal:
    assert figure.value is not None, figure.detail
    return figure.value


def without_flows(steps: Sequence[Step]) -> list[Point]:
    return history([Step(step.growth) for step in steps])


@given(days(withdrawn=some))
def test_no_deposit_and_no_withdrawal_changes_the_time_weighted_return(steps: list[Step]) -> None:
    expected = performance_of(without_flows(steps), TERMS)
    told = performance_of(only_one_way(steps), TERMS)
    assert told.twr.value == known(expected.twr)
    assert told.twr_annualized.value == known(expected.twr_annualized)
    assert told.max_drawdown.value == known(expected.max_drawdown)
    assert told.volatility.value == known(expected.volatility)
    assert (told.sharpe.value, told.sortino.value) == (
        expected.sharpe.value,
        expected.sortino.value,
    )


def only_one_way(steps: Sequence[Step]) -> list[Point]:
    """A day has a deposit or a withdrawal: of both in one stretch only the net is told."""
    return history([step._replace(withdrawn=ZERO) if step.deposit else step for step in steps])


@given(days(withdrawn=shares))
def test_nor_where_the_value_is_known_on_both_sides_of_both(steps: list[Step]) -> None:
    steps[-1] = steps[-1]._replace(withdrawn=ZERO)
    refilled = [
        step._replace(deposit=Decimal(5)) if step.withdrawn == 1 and not step.deposit else step
        for step in steps
    ]
    expected = performance_of(without_flows(steps), TERMS)
    assert performance_of(valued_at_flows(refilled), TERMS).twr.value == known(expected.twr)


@given(growths, growths, deposits, some)
def test_inside_a_stretch_a_flow_of_any_size_stays_within_what_grew(
    before: Decimal, after: Decimal, deposit: Decimal, share: Decimal
) -> None:
    """Nothing is known at the flow itself: the return told is that of a part, or of the whole."""
    grown = 1000 * before
    flow = deposit or -grown * share
    told = performance_of(
        [Point(START, Decimal(1000)), Point(day(1), (grown + flow) * after, flow)]
    )
    whole, part = before * after, after if flow > 0 else before
    told_growth = 1 + known(told.twr)
    assert min(whole, part) - LAST_DIGIT <= told_growth <= max(whole, part) + LAST_DIGIT


@given(days(growth=rising))
def test_what_only_rises_has_no_drawdown(steps: list[Step]) -> None:
    assert known(performance_of(only_one_way(steps)).max_drawdown) == 0


@given(days(deposit=st.just(ZERO), withdrawn=st.just(ZERO)))
def test_without_flows_both_returns_are_one(steps: list[Step]) -> None:
    told = performance_of(history(steps), TERMS)
    assert is_near(known(told.mwr), float(known(told.twr)))
    if told.twr_annualized.value is not None and told.twr_annualized.value < 10**6:
        assert is_near(known(told.mwr_annualized), float(told.twr_annualized.value))


@given(days())
def test_thinning_changes_neither_return_nor_drawdown(steps: list[Step]) -> None:
    """Points of 4 hours, in buckets of a day."""
    points = [point._replace(at=START + (point.at - START) / 6) for point in only_one_way(steps)]
    thin = thinned(points, points[-1].at + 100 * DAY)
    before, after = performance_of(points, TERMS), performance_of(thin, TERMS)
    assert (after.twr.value, after.mwr.value) == (before.twr.value, before.mwr.value)
    assert after.max_drawdown.value == before.max_drawdown.value
    assert fall_of(after) == fall_of(before)
    assert sum(point.flow or 0 for point in thin) == sum(point.flow or 0 for point in points)
    assert thinned(thin, points[-1].at + 100 * DAY) == thin
    soon = thinned(points, points[-1].at + 3 * DAY)
    assert thinned(soon, points[-1].at + 100 * DAY) == thin


def fall_of(told: Performance) -> tuple[datetime, datetime]:
    assert told.drawdown is not None
    return told.drawdown.peak_at, told.drawdown.trough_at


def is_near(ours: Decimal, theirs: float) -> bool:
    return abs(float(ours) - theirs) <= 2e-8 + 1e-9 * abs(theirs)


def returns_of(steps: Sequence[Step]) -> list[float]:
    return [float(step.growth) - 1 for step in steps]


@given(days(least=5))
@settings(max_examples=60)
def test_empyrical_agrees(steps: list[Step]) -> None:
    import empyrical
    import numpy

    returns = numpy.array(returns_of(steps))
    assume(returns.std() > 1e-6)
    told = performance_of(only_one_way(steps), TERMS)
    risk_free = 1.03 ** (1 / 365) - 1
    assert is_near(known(told.twr), empyrical.cum_returns_final(returns))
    assert is_near(known(told.max_drawdown), -empyrical.max_drawdown(returns))
    assert is_near(known(told.volatility), empyrical.annual_volatility(returns, annualization=365))
    sharpe = empyrical.sharpe_ratio(returns, risk_free, annualization=365)
    assert is_near(known(told.sharpe), sharpe)
    if (returns < risk_free).any():
        sortino = empyrical.sortino_ratio(returns, risk_free, annualization=365)
        assert is_near(known(told.sortino), sortino)
    a_year = empyrical.annual_return(returns, annualization=365)
    if told.twr_annualized.value is not None:
        assert abs(float(told.twr_annualized.value) - a_year) <= 1e-8 + 1e-9 * abs(a_year)


@given(days())
@settings(max_examples=60)
def test_pyxirr_agrees(steps: list[Step]) -> None:
    import pyxirr

    points = only_one_way([step._replace(growth=1 + (step.growth - 1) / 10) for step in steps])
    told = performance_of(points, TERMS)
    assume(told.mwr.reason is not Reason.NO_SINGLE_RATE)
    payments = [(START, -1000.0)]
    for before, point in pairwise(points):
        assert point.flow is not None
        payments.append((before.at if point.flow > 0 else point.at, -float(point.flow)))
    assert points[-1].value is not None
    payments.append((points[-1].at, float(points[-1].value)))
    theirs = pyxirr.xirr(payments)
    assert theirs is not None
    # It stops where the value now is within 1e-10 or so of zero, not at a digit of the rate.
    assert abs(float(known(told.mwr_annualized)) - theirs) <= 1e-6 * (1 + abs(theirs))


@given(days())
def test_the_rate_told_makes_of_the_flows_what_is_there(steps: list[Step]) -> None:
    """Slowly: an account that grows evenly, day by day, at 60 digits."""
    points = only_one_way(steps)
    told = performance_of(points, TERMS)
    # A withdrawal that an even account could not have paid, and a great deposit after it.
    assume(told.mwr.reason is not Reason.NO_SINGLE_RATE)
    a_day = EXACT.power(1 + known(told.mwr), Decimal(1) / len(steps))
    balance = Decimal(1000)
    largest = balance
    for point in points[1:]:
        flow = point.flow or ZERO
        balance = EXACT.multiply(balance + max(flow, ZERO), a_day) + min(flow, ZERO)
        largest = max(largest, balance)
    assert points[-1].value is not None
    assert abs(balance - points[-1].value) <= largest * Decimal("1e-7")


Measure = Callable[[list[Point]], Decimal]


def _ends(points: list[Point]) -> tuple[Decimal, Decimal, Decimal]:
    start, end = points[0].value, points[-1].value
    assert start is not None
    assert end is not None
    return start, end, sum((point.flow or ZERO for point in points[1:]), ZERO)


def simple(points: list[Point]) -> Decimal:
    start, end, _ = _ends(points)
    return end / start - 1


def gain_on_start(points: list[Point]) -> Decimal:
    start, end, flows = _ends(points)
    return (end - flows) / start - 1


def gain_on_all_paid_in(points: list[Point]) -> Decimal:
    start, end, flows = _ends(points)
    return end / (start + flows) - 1


def added_up(points: list[Point]) -> Decimal:
    told = ZERO
    for before, point in pairwise(points):
        assert before.value is not None
        assert point.value is not None
        told += (point.value - (point.flow or ZERO)) / before.value - 1
    return told


STEPS = [
    Step(Decimal("1.1")),
    Step(Decimal("0.9"), deposit=Decimal(700)),
    Step(Decimal("1.2")),
    Step(Decimal("0.95"), withdrawn=Decimal("0.25")),
    Step(Decimal("1.05")),
]


def ours(points: list[Point]) -> Decimal:
    return known(performance_of(points).twr)


def is_unmoved_by_flows(measure: Measure) -> bool:
    return abs(measure(history(STEPS)) - measure(without_flows(STEPS))) <= LAST_DIGIT


def agrees_with_empyrical(measure: Measure) -> bool:
    import empyrical
    import numpy

    return is_near(
        measure(history(STEPS)), empyrical.cum_returns_final(numpy.array(returns_of(STEPS)))
    )


@pytest.mark.parametrize("wrong", [simple, gain_on_start, gain_on_all_paid_in, added_up])
def test_a_wrong_formula_is_found_out(wrong: Measure) -> None:
    assert is_unmoved_by_flows(ours)
    assert agrees_with_empyrical(ours)
    assert not is_unmoved_by_flows(wrong)
    assert not agrees_with_empyrical(wrong)
