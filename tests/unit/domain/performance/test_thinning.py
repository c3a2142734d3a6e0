"""Thinning: what stays of a history when it grows old."""

from datetime import timedelta
from decimal import Decimal

from alphapulse.domain.performance.history import Point
from alphapulse.domain.performance.thinning import thinned
from tests.net_worth import START

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
OLD = timedelta(days=3)
ANCIENT = timedelta(days=61)


def minutes(*values: str | None) -> list[Point]:
    return [
        Point(START + index * MINUTE, None if value is None else Decimal(value))
        for index, value in enumerate(values)
    ]


def kept(points: list[Point], age: timedelta) -> list[str | None]:
    left = thinned(points, points[-1].at + age)
    assert set(left) <= set(points)
    return [None if each.value is None else str(each.value) for each in left]


def test_of_a_bucket_the_first_the_lowest_the_highest_and_the_last_stay() -> None:
    points = minutes("5", "6", "3", "7", "9", "8", "5", "5", "5", "5")
    assert kept(points, MINUTE) == ["5", "6", "3", "9", "8", "5", "5"]


def test_and_both_ends_of_the_deepest_fall() -> None:
    """From 90 to 30 is deeper than any between the first 10, the lowest, and the last 100."""
    points = minutes("10", "70", "60", "90", "30", "50", "100")
    assert kept(points, ANCIENT) == ["10", "90", "30", "100"]


def test_the_older_the_fewer() -> None:
    points = [Point(START + index * 5 * MINUTE, Decimal(index)) for index in range(24 * 12)]
    assert len(kept(points, HOUR)) == 288
    assert len(kept(points, OLD)) == 48
    assert len(kept(points, ANCIENT)) == 2


def test_both_sides_of_a_flow_stay() -> None:
    points = minutes("1", "1", "1", "1", "1", "1", "1")
    points[3] = points[3]._replace(flow=Decimal("0.5"))
    assert [each.at for each in thinned(points, START + ANCIENT)] == [
        START + minute * MINUTE for minute in (0, 2, 3, 6)
    ]


def test_an_unknown_flow_stays() -> None:
    points = minutes("1", "1", "1", "1")
    points[2] = points[2]._replace(flow=None)
    assert points[2] in thinned(points, START + ANCIENT)


def test_a_gap_stays_a_gap_between_the_same_points() -> None:
    points = minutes("1", "1", "1", "1", "1", "1", "1")
    points[4] = points[4]._replace(is_gap=True)
    left = thinned(points, START + ANCIENT)
    assert [each.at - START for each in left] == [0 * MINUTE, 3 * MINUTE, 4 * MINUTE, 6 * MINUTE]
    assert [each.is_gap for each in left] == [False, False, True, False]


def test_what_was_unknown_stays_unknown_from_its_first_to_its_last_minute() -> None:
    points = minutes("1", "1", "1", None, None, None, "1", "1", "1")
    assert [each.at - START for each in thinned(points, START + ANCIENT)] == [
        minute * MINUTE for minute in (0, 2, 3, 5, 6, 8)
    ]


def test_nothing_is_left_of_nothing() -> None:
    assert thinned([], START) == ()
