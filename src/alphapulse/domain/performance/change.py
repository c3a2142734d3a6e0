"""Change: what net worth gained or lost in the last hour, day and week, flows apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from alphapulse.domain.money import EXACT
from alphapulse.domain.performance.figures import (
    Figure,
    Formula,
    Unmeasurable,
    absent,
    measured,
)
from alphapulse.domain.performance.history import History, Point, net
from alphapulse.domain.performance.nearness import near
from alphapulse.domain.performance.returns import time_weighted

WINDOWS = (timedelta(hours=1), timedelta(hours=24), timedelta(days=7))

ABSOLUTE = Formula("change", "end - start - net flow")
PERCENT = Formula("change_percent", "time-weighted return from start to end * 100")

# A change over 66 minutes may pass for one over an hour; one over two hours may not.
_NEAR = 10

_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Change:
    """Over ``window``; the inputs say from when to when exactly."""

    window: timedelta
    absolute: Figure
    """In the currency of the series."""
    percent: Figure
    """5 is five percent."""


def changes(
    points: Sequence[Point], now: datetime, windows: Sequence[timedelta] = WINDOWS
) -> tuple[Change, ...]:
    """The change up to ``now`` over each window.

    Both ends are known points that lie within a tenth of the window of where they should.

    Raises:
        ValueError: the points are not in the order of time.
    """
    return tuple(_change(points, now, window) for window in windows)


def _change(points: Sequence[Point], now: datetime, window: timedelta) -> Change:
    try:
        start = near(points, now - window, window / _NEAR)
        end = near(points, now, window / _NEAR)
    except Unmeasurable as lack:
        nothing = History.of(()).inputs
        return Change(window, absent(ABSOLUTE, nothing, lack), absent(PERCENT, nothing, lack))
    used = points[start : end + 1]
    history = History.of(used)
    return Change(
        window,
        measured(ABSOLUTE, history.inputs, lambda: _gain(used[0], used[-1], history)),
        measured(PERCENT, history.inputs, lambda: EXACT.multiply(time_weighted(history), _HUNDRED)),
    )


def _gain(start: Point, end: Point, history: History) -> Decimal:
    assert start.value is not None, "only known points are near"
    assert end.value is not None, "only known points are near"
    return EXACT.subtract(EXACT.subtract(end.value, start.value), net(history.flows))
