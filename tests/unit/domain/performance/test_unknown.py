"""What the data do not allow is no figure, and says why. Never a zero."""

from datetime import timedelta
from decimal import Decimal

import pytest

from alphapulse.domain.performance.history import Point
from alphapulse.domain.performance.report import Performance, Terms, performance_of
from tests.net_worth import daily, day, point

FEW = Terms(returns_min=2)


def lacks(told: Performance) -> dict[str, str]:
    figures = ("twr", "mwr", "max_drawdown", "volatility", "sharpe", "sortino")
    return {
        name: str(getattr(told, name).reason)
        for name in figures
        if getattr(told, name).value is None
    }


def everything(reason: str) -> dict[str, str]:
    return dict.fromkeys(("twr", "mwr", "max_drawdown", "volatility", "sharpe", "sortino"), reason)


@pytest.mark.parametrize(
    "points",
    [
        [],
        daily("100"),
        daily(None, None, None),
        daily("100", None),
        daily("0", "0", "0"),
    ],
)
def test_too_few_known_values(points: list[Point]) -> None:
    told = performance_of(points)
    assert lacks(told) == everything("too_few_points")
    assert told.drawdown is None


def test_what_is_unknown_at_the_ends_shortens_the_time_and_says_so() -> None:
    told = performance_of(daily(None, "100", "110", None))
    assert told.twr.value == Decimal("0.10000000")
    inputs = told.twr.inputs
    assert (inputs.started_at, inputs.ended_at, inputs.points) == (day(1), day(2), 2)


def test_an_unknown_value_between_hides_the_risk_and_not_the_return() -> None:
    told = performance_of(daily("100", "104", "103", None, "110", "121"), FEW)
    assert told.twr.value == Decimal("0.21000000")
    assert lacks(told) == dict.fromkeys(
        ("max_drawdown", "volatility", "sharpe", "sortino"), "too_many_gaps"
    )
    assert told.max_drawdown.detail == "40.0% of the time is gaps, 10.0% is allowed"


def test_a_gap_that_is_small_enough_hides_nothing() -> None:
    """An hour of 20 days."""
    values = [point(number, str(100 + number % 3)) for number in range(21)]
    points = sorted([*values, point(20 + 1 / 24, "103", is_gap=True)])
    told = performance_of(points, FEW)
    assert lacks(told) == {}
    assert told.max_drawdown.inputs.gaps == 1


@pytest.mark.parametrize(
    "points",
    [
        [point(0, "100"), point(1, None, "50"), point(2, "160")],
        [point(0, "100"), point(1, None), point(2, "160", "50")],
        [point(0, "100"), point(2, "160", "50", is_gap=True)],
        # They cancel out, and yet what was between them may have earned.
        [point(0, "100"), point(1, None, "50"), point(2, "110", "-50")],
    ],
)
def test_a_value_unknown_at_a_flow(points: list[Point]) -> None:
    told = performance_of(points, Terms(returns_min=2, gap_share_max=Decimal(1)))
    assert lacks(told) == {
        name: reason for name, reason in everything("unknown_at_flow").items() if name != "mwr"
    }
    assert told.twr.detail is not None
    assert "value unknown at the flow of 2026-01-0" in told.twr.detail


def test_a_flow_of_unknown_value() -> None:
    told = performance_of([point(0, "100"), point(1, "160", None), point(2, "160")])
    assert lacks(told) == everything("unknown_flow")
    assert told.twr.inputs.flows == 1
    assert told.twr.inputs.net_flow is None


def test_the_flow_of_the_first_point_belongs_to_the_time_before() -> None:
    told = performance_of([point(0, "100", None), point(1, "110")])
    assert told.twr.value == Decimal("0.10000000")
    assert told.twr.inputs.flows == 0


@pytest.mark.parametrize(
    "points",
    [
        [point(0, "-5"), point(1, "10")],
        [point(0, "5"), point(1, "-10"), point(2, "-3")],
        [point(0, "5"), point(1, "0"), point(2, "3")],
    ],
)
def test_nothing_can_be_gained_on_nothing(points: list[Point]) -> None:
    assert performance_of(points).twr.reason == "no_capital"


def test_nor_after_all_was_lost() -> None:
    points = [*daily("100", "50", "0"), point(3, "10", "10"), point(4, "20"), point(5, "10")]
    told = performance_of(points, FEW)
    assert told.twr.value == Decimal(-1)
    assert told.volatility.reason == "no_capital"


def test_too_few_returns_for_a_spread() -> None:
    told = performance_of(daily("100", "101", "103"))
    assert lacks(told) == dict.fromkeys(("volatility", "sharpe", "sortino"), "too_few_returns")
    assert told.sharpe.detail == "2 returns of 1 day, 0:00:00, 10 are needed"


def test_a_return_over_two_days_is_no_return_of_a_day() -> None:
    """Nobody looked on day 2: days 1 and 4 have a return, days 2 and 3 have none."""
    points = [point(0, "100"), point(1, "101"), point(3, "103"), point(4, "104")]
    told = performance_of(points, FEW)
    assert told.volatility.inputs.returns == 2


@pytest.mark.parametrize(
    ("values", "without"),
    [
        (["100", "100", "100", "100"], {"sharpe", "sortino"}),
        (["1", "1.01", "1.0201", "1.030301"], {"sharpe", "sortino"}),
        (["100", "101", "103"], {"sortino"}),
        # A third each day, which no decimal holds: the returns differ in what was rounded.
        (["81", "27", "9", "3", "1"], {"sharpe"}),
    ],
)
def test_where_nothing_was_risked_no_reward_is_divided_by_it(
    values: list[str], without: set[str]
) -> None:
    assert lacks(performance_of(daily(*values), FEW)) == dict.fromkeys(without, "no_risk")


def test_days_are_not_made_a_year() -> None:
    told = performance_of(daily("100", "105", "110"))
    assert told.twr.value is not None
    assert told.mwr.value is not None
    assert told.twr_annualized.reason == told.mwr_annualized.reason == "too_short"


def test_a_number_that_means_nothing_is_not_told() -> None:
    terms = Terms(annualized_from=timedelta(days=1))
    told = performance_of(daily("0.000001", "1000"), terms)
    assert told.twr.value == Decimal(999_999_999)
    assert told.twr_annualized.reason == "beyond_measure"


@pytest.mark.parametrize("order", [[1, 0], [0, 0]])
def test_points_out_of_order_are_a_mistake(order: list[int]) -> None:
    with pytest.raises(ValueError, match="order of time"):
        performance_of([point(number, "1") for number in order])
