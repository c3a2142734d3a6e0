"""Change: by hand, in the last hour, day and week."""

from datetime import timedelta
from decimal import Decimal

import pytest

from alphapulse.domain.performance.change import Change, changes
from alphapulse.domain.performance.history import Point
from tests.net_worth import START, by_hour, day, point

HOUR = timedelta(hours=1)


def change(points: list[Point], window: timedelta, hours: float) -> Change:
    (told,) = changes(points, START + hours * HOUR, [window])
    return told


def test_an_hour_a_day_and_a_week() -> None:
    points = by_hour([(0, "80"), (144, "100"), (167, "125"), (168, "120")])
    hour, day_, week = changes(points, START + 168 * HOUR)
    assert (hour.absolute.value, hour.percent.value) == (Decimal(-5), Decimal(-4))
    assert (day_.absolute.value, day_.percent.value) == (Decimal(20), Decimal(20))
    assert (week.absolute.value, week.percent.value) == (Decimal(40), Decimal(50))


def test_what_was_paid_in_is_no_gain() -> None:
    """100 -> 110, 90 come in, 200 -> 190: gained 0 in money, and 1.1 * 0.95 - 1 in percent."""
    points = [point(0, "100"), point(0.5, "110"), point(0.5001, "200", "90"), point(1, "190")]
    told = change(points, timedelta(days=1), 24)
    assert told.absolute.value == 0
    assert told.percent.value == Decimal("4.50000000")


@pytest.mark.parametrize(("hour", "is_told"), [(0.89, False), (0.9, True), (1.1, True), (1.11, 0)])
def test_a_point_near_enough_is_a_tenth_of_the_window_away(hour: float, is_told: bool) -> None:
    told = change(by_hour([(hour, "100"), (2, "101")]), HOUR, 2)
    assert (told.absolute.value == 1) is (told.percent.value == 1) is bool(is_told)
    assert told.absolute.reason == (None if is_told else "no_point_near")


def test_the_nearest_known_point_counts() -> None:
    points = by_hour([(0.95, "90"), (0.99, "100"), (1.05, "80"), (2, "110")])
    told = change(points, HOUR, 2)
    assert told.absolute.value == 10
    assert told.absolute.inputs.started_at == points[1].at


def test_an_old_last_point_is_not_now() -> None:
    points = by_hour([(0, "100"), (1, "101")])
    assert change(points, HOUR, 1.2).absolute.reason == "no_point_near"


def test_an_unknown_value_is_not_near() -> None:
    points = [point(0, "100"), point(1, None)]
    assert change(points, timedelta(days=1), 24).percent.reason == "no_point_near"


def test_an_unknown_flow_leaves_the_change_unknown() -> None:
    told = change([point(0, "100"), point(1, "110", None)], timedelta(days=1), 24)
    assert (told.absolute.value, told.absolute.reason) == (None, "unknown_flow")
    assert (told.percent.value, told.percent.reason) == (None, "unknown_flow")


def test_a_flow_in_a_gap_leaves_the_percent_unknown_alone() -> None:
    told = change([point(0, "100"), point(1, "115", "10", is_gap=True)], timedelta(days=1), 24)
    assert told.absolute.value == 5
    assert told.percent.reason == "unknown_at_flow"


def test_nothing_stays_nothing() -> None:
    told = change([point(0, "0"), point(1, "0")], timedelta(days=1), 24)
    assert told.absolute.value == 0
    assert (told.percent.value, told.percent.reason) == (None, "too_few_points")
    assert day(1) - day(0) == told.window
