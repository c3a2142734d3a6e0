"""Net worth by the day, for tests: a value, or what one holds and what was paid in or taken out."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from alphapulse.domain.performance.history import Point

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def day(number: float) -> datetime:
    """Counted from 0."""
    return START + number * DAY


def daily(*values: str | None) -> list[Point]:
    """One point a day; ``None`` is unknown."""
    return [
        Point(day(index), None if value is None else Decimal(value))
        for index, value in enumerate(values)
    ]


def point(at: float, value: str | None, flow: str | None = "0", is_gap: bool = False) -> Point:
    """At a day counted from 0."""
    value_then = None if value is None else Decimal(value)
    return Point(day(at), value_then, None if flow is None else Decimal(flow), is_gap)


def by_hour(points: Iterable[tuple[float, str]]) -> list[Point]:
    """Points without flows, at hours counted from 0."""
    return [Point(START + hour * timedelta(hours=1), Decimal(value)) for hour, value in points]
