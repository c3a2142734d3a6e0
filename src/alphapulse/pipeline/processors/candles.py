"""Candles: the grid they lie on, and what is missing from it. Pure."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from alphapulse.domain.market import Timeframe


def open_times(timeframe: Timeframe, since: datetime, until: datetime) -> list[datetime]:
    """Open times of the candles that lie wholly within ``since <= t <= until``, oldest first."""
    step = timeframe.duration
    first = _floor(since, step)
    if first < since:
        first += step
    count = max(0, (until - first) // step)
    return [first + n * step for n in range(count)]


def missing(
    present: Collection[datetime], timeframe: Timeframe, since: datetime, until: datetime
) -> list[datetime]:
    """Open times within the bounds that are not ``present``, oldest first."""
    there = set(present)
    return [t for t in open_times(timeframe, since, until) if t not in there]


def _floor(moment: datetime, step: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + ((moment - epoch) // step) * step
