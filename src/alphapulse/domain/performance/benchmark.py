"""Benchmark: what the same time would have brought with something else, and the difference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from alphapulse.domain.money import EXACT
from alphapulse.domain.performance.figures import (
    Figure,
    Formula,
    Reason,
    Unmeasurable,
    absent,
    measured,
)
from alphapulse.domain.performance.history import History, Point
from alphapulse.domain.performance.nearness import near
from alphapulse.domain.performance.returns import time_weighted

RETURN = Formula("benchmark_return", "last price / first price of the benchmark, less 1")
DIFFERENCE = Formula("benchmark_difference", "twr - benchmark return")


@dataclass(frozen=True, slots=True)
class Comparison:
    benchmark: Figure
    difference: Figure


def compared(history: History, prices: Sequence[Point] | None, within: timedelta) -> Comparison:
    """Set the time-weighted return against a benchmark's.

    Args:
        prices: of the benchmark, in the currency of the history, in the order of time; ``None``
            where nobody asked for one.
        within: how far from the history's start and end a price may be.
    """
    inputs = history.inputs
    try:
        first, last = _ends(history, prices, within)
    except Unmeasurable as lack:
        return Comparison(absent(RETURN, inputs, lack), absent(DIFFERENCE, inputs, lack))
    inputs = replace(inputs, benchmark_started_at=first.at, benchmark_ended_at=last.at)

    def benchmark() -> Decimal:
        ends = (Point(first.at, first.value), Point(last.at, last.value))
        return time_weighted(History.of(ends))

    def difference() -> Decimal:
        return EXACT.subtract(time_weighted(history), benchmark())

    return Comparison(measured(RETURN, inputs, benchmark), measured(DIFFERENCE, inputs, difference))


def _ends(
    history: History, prices: Sequence[Point] | None, within: timedelta
) -> tuple[Point, Point]:
    if prices is None:
        raise Unmeasurable(Reason.NOT_ASKED, "no benchmark was asked for")
    started_at, ended_at = history.ends
    first, last = (prices[near(prices, at, within)] for at in (started_at, ended_at))
    if first.at >= last.at:
        raise Unmeasurable(Reason.TOO_FEW_POINTS, "one price of the benchmark lies near both ends")
    return first, last
