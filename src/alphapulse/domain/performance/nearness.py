"""Nearness: the known point of a series that lies closest to a moment."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import attrgetter

from alphapulse.domain.performance.figures import Reason, Unmeasurable
from alphapulse.domain.performance.history import Point


def near(points: Sequence[Point], at: datetime, within: timedelta) -> int:
    """The index of the closest known point, of two equally close ones the earlier.

    Args:
        points: in the order of time.

    Raises:
        Unmeasurable: none lies within ``within`` of ``at``.
    """
    start = bisect_left(points, at - within, key=attrgetter("at"))
    candidates: list[tuple[timedelta, int]] = []
    for index in range(start, len(points)):
        if points[index].at > at + within:
            break
        if points[index].value is not None:
            candidates.append((abs(points[index].at - at), index))
    if not candidates:
        detail = f"no known value within {within} of {at:%Y-%m-%d %H:%M}"
        raise Unmeasurable(Reason.NO_POINT_NEAR, detail)
    return min(candidates)[1]
