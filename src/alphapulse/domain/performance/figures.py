"""Figures: a number with its formula and what it was made of, or the reason why there is none.

Every figure is rounded to 8 places, half even, once, at the end. Returns and shares are fractions:
0.05 is five percent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from alphapulse.domain.money import EXACT

YEAR = timedelta(days=365)
"""Crypto markets never close, so each day counts; XIRR's year, too."""

_STEP = Decimal("1e-8")

# Beyond it nothing was measured: the start was dust, or a period of days was made a year's.
_DIGITS_MAX = 40


class Formula(NamedTuple):
    name: str
    text: str
    """For a person who checks the figure by hand."""


class Reason(StrEnum):
    """Why there is no figure."""

    TOO_FEW_POINTS = "too_few_points"
    TOO_FEW_RETURNS = "too_few_returns"
    TOO_SHORT = "too_short"
    """Annualized, a few days would be a fantasy."""
    TOO_MANY_GAPS = "too_many_gaps"
    UNKNOWN_FLOW = "unknown_flow"
    """Money came or went, and nobody knows what it was worth."""
    UNKNOWN_AT_FLOW = "unknown_at_flow"
    """Money came or went while nobody knew what the rest was worth."""
    NO_CAPITAL = "no_capital"
    """Nothing was there to gain or lose, or less than nothing."""
    NO_SINGLE_RATE = "no_single_rate"
    """No money-weighted rate fits, or several may."""
    NO_RISK = "no_risk"
    """It would be divided by: no return differed, or none was below the risk-free one."""
    NO_POINT_NEAR = "no_point_near"
    NOT_ASKED = "not_asked"
    BEYOND_MEASURE = "beyond_measure"


class Unmeasurable(Exception):
    """The data do not allow the figure."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a figure was made of; what it had no use for is ``None``."""

    started_at: datetime | None
    """The first known value with capital, which may be later than what was asked for."""
    ended_at: datetime | None
    """The last known value."""
    points: int
    """Known and unknown ones, from start to end."""
    unknown_points: int
    gaps: int
    """Stretches between known values that nobody watched, or not in full."""
    gap_share: Decimal | None
    """Of the time from start to end."""
    flows: int
    net_flow: Decimal | None
    """Paid in less taken out; ``None`` where a flow has no known value."""
    period: timedelta | None = None
    """Between two of the returns that risk is measured by."""
    periods_per_year: Decimal | None = None
    returns: int | None = None
    risk_free_rate: Decimal | None = None
    """A year."""
    benchmark_started_at: datetime | None = None
    benchmark_ended_at: datetime | None = None
    """When the two prices of the benchmark were known that were compared."""


@dataclass(frozen=True, slots=True)
class Figure:
    """``value``, or why there is none: ``reason`` for programs, ``detail`` for people."""

    value: Decimal | None
    formula: Formula
    inputs: Inputs
    reason: Reason | None = None
    detail: str | None = None


def measured(formula: Formula, inputs: Inputs, measure: Callable[[], Decimal]) -> Figure:
    """The figure, or the figure's absence with its reason."""
    try:
        return Figure(rounded(measure()), formula, inputs)
    except Unmeasurable as lack:
        return absent(formula, inputs, lack)


def absent(formula: Formula, inputs: Inputs, lack: Unmeasurable) -> Figure:
    return Figure(None, formula, inputs, lack.reason, str(lack))


def rounded(number: Decimal) -> Decimal:
    """To 8 places, half even.

    Raises:
        Unmeasurable: too large to mean anything.
    """
    if number.adjusted() > _DIGITS_MAX:
        raise Unmeasurable(Reason.BEYOND_MEASURE, f"more than {_DIGITS_MAX} digits")
    return EXACT.quantize(number, _STEP)
