"""Thinning: the older a history, the fewer of its points are kept, and none that means something.

Of every bucket of time the first and the last point stay, and, so that the greatest drawdown never
shrinks, the highest, the lowest, and both ends of the deepest fall. A bucket is cut at every flow,
at every gap, and where knowing and not knowing meet, so the points at both sides of these stay,
too, and no flow or gap is ever lost.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from alphapulse.domain.performance.drawdown import deepest
from alphapulse.domain.performance.history import Level, Point


class Tier(NamedTuple):
    """Points younger than ``age`` are kept in buckets of ``step``; ``None`` is for ever."""

    age: timedelta | None
    step: timedelta


TIERS = (
    Tier(timedelta(days=2), timedelta(minutes=5)),
    Tier(timedelta(days=60), timedelta(hours=1)),
    Tier(None, timedelta(days=1)),
)
"""Each step is a multiple of the one before, so thinning again later loses nothing more than
thinning later at once."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def thinned(
    points: Iterable[Point], now: datetime, tiers: Sequence[Tier] = TIERS
) -> tuple[Point, ...]:
    """The points to keep, in the order of time.

    Args:
        points: in the order of time.
        tiers: youngest first; the last is for ever.
    """
    kept: list[Point] = []
    for _, run in groupby(_cut(points), key=lambda pair: pair[0]):
        for _, bucket in groupby((point for _, point in run), key=lambda p: _bucket(p, now, tiers)):
            kept += _marking(tuple(bucket))
    return tuple(kept)


def _cut(points: Iterable[Point]) -> Iterator[tuple[int, Point]]:
    """Number the runs of points with nothing but time between them."""
    run, was_known = 0, None
    for point in points:
        is_known = point.value is not None
        if point.flow != 0 or point.is_gap or is_known is not was_known:
            run += 1
        was_known = is_known
        yield run, point


def _bucket(point: Point, now: datetime, tiers: Sequence[Tier]) -> tuple[timedelta, int]:
    age = now - point.at
    step = next(tier.step for tier in tiers if tier.age is None or age < tier.age)
    return step, (point.at - _EPOCH) // step


def _marking(bucket: Sequence[Point]) -> list[Point]:
    marking = {bucket[0].at, bucket[-1].at}
    levels = [Level(point.at, point.value) for point in bucket if point.value is not None]
    if levels:
        highest = max(reversed(levels), key=attrgetter("level"))  # the last, for falls begin there
        marking |= {highest.at, min(levels, key=attrgetter("level")).at}
    if levels and levels[0].level > 0:
        fall = deepest(levels)
        marking |= {fall.peak_at, fall.trough_at}
    return [point for point in bucket if point.at in marking]
