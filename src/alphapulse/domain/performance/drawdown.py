"""Drawdown: how far below its highest point the money once was, flows apart."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.performance.figures import Formula
from alphapulse.domain.performance.history import Level

MAX_DRAWDOWN = Formula(
    "max_drawdown",
    "largest (peak - trough) / peak of the time-weighted index, the peak before the trough",
)


@dataclass(frozen=True, slots=True)
class Drawdown:
    """A fall from ``peak_at`` to ``trough_at``; both are the start where it never fell."""

    share: Decimal
    """0.25: a quarter of the peak was lost. Unrounded."""
    peak_at: datetime
    trough_at: datetime
    recovered_at: datetime | None
    """When the peak was reached again; ``None`` while it was not."""


def deepest(levels: Iterable[Level]) -> Drawdown:
    """The deepest fall of an index, the first of equals, from the last time its peak was reached.

    Args:
        levels: at least one, in the order of time, the first above zero.
    """
    peak, *others = levels
    fall = Drawdown(ZERO, peak.at, peak.at, peak.at)
    fallen_from = peak
    for level in others:
        if level.level >= peak.level:
            peak = level
        share = EXACT.divide(EXACT.subtract(peak.level, level.level), peak.level)
        if share > fall.share:
            fall, fallen_from = Drawdown(share, peak.at, level.at, None), peak
        elif fall.recovered_at is None and level.level >= fallen_from.level:
            fall = Drawdown(fall.share, fall.peak_at, fall.trough_at, level.at)
    return fall
