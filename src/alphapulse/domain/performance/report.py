"""Report: every figure of one history, by one set of terms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from alphapulse.domain.money import ZERO
from alphapulse.domain.performance.benchmark import compared
from alphapulse.domain.performance.drawdown import MAX_DRAWDOWN, Drawdown, deepest
from alphapulse.domain.performance.figures import (
    YEAR,
    Figure,
    Unmeasurable,
    absent,
    measured,
    rounded,
)
from alphapulse.domain.performance.history import History, Point, ratio
from alphapulse.domain.performance.returns import (
    MWR,
    MWR_ANNUALIZED,
    TWR,
    TWR_ANNUALIZED,
    annualized,
    money_weighted,
    time_weighted,
)
from alphapulse.domain.performance.risk import (
    SHARPE,
    SORTINO,
    VOLATILITY,
    Returns,
    periodic_returns,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """How to measure.

    Raises:
        ValueError: no period, a risk-free rate of -1 or less, fewer than two returns, or less than
            a day made a year.
    """

    period: timedelta = timedelta(days=1)
    """Between two of the returns that risk is measured by."""
    risk_free_rate: Decimal = ZERO
    """A year."""
    returns_min: int = 10
    """For volatility, Sharpe and Sortino."""
    gap_share_max: Decimal = Decimal("0.1")
    """For these three and the drawdown."""
    annualized_from: timedelta = timedelta(days=30)
    benchmark_within: timedelta = timedelta(hours=1)
    """How far from start and end a price of the benchmark may be."""

    def __post_init__(self) -> None:
        is_sound = self.period > timedelta() and self.risk_free_rate > -1
        if not is_sound or self.returns_min < 2 or self.annualized_from < timedelta(days=1):
            raise ValueError(f"nothing can be measured by {self}")


@dataclass(frozen=True, slots=True)
class Performance:
    """The figures, each with its formula and inputs."""

    twr: Figure
    twr_annualized: Figure
    mwr: Figure
    mwr_annualized: Figure
    max_drawdown: Figure
    drawdown: Drawdown | None
    """The dates of ``max_drawdown``."""
    volatility: Figure
    sharpe: Figure
    sortino: Figure
    benchmark: Figure
    benchmark_difference: Figure


_DEFAULT = Terms()


def performance_of(
    points: Sequence[Point],
    terms: Terms = _DEFAULT,
    benchmark: Sequence[Point] | None = None,
) -> Performance:
    """Measure a history.

    Args:
        points: net worth in one currency, in the order of time.
        benchmark: prices in the same currency, in the order of time.

    Raises:
        ValueError: points are not in the order of time.
    """
    history = History.of(points)
    inputs = history.inputs

    def twr() -> Decimal:
        return time_weighted(history)

    def mwr() -> Decimal:
        return money_weighted(history)

    def a_year(measure: Callable[[], Decimal]) -> Callable[[], Decimal]:
        return lambda: annualized(measure(), history.span, terms.annualized_from)

    def drawdown() -> Drawdown:
        history.require_watched(terms.gap_share_max)
        return deepest(history.levels)

    max_drawdown = measured(MAX_DRAWDOWN, inputs, lambda: drawdown().share)
    volatility, sharpe, sortino = _risks(history, terms)
    comparison = compared(history, benchmark, terms.benchmark_within)
    return Performance(
        twr=measured(TWR, inputs, twr),
        twr_annualized=measured(TWR_ANNUALIZED, inputs, a_year(twr)),
        mwr=measured(MWR, inputs, mwr),
        mwr_annualized=measured(MWR_ANNUALIZED, inputs, a_year(mwr)),
        max_drawdown=max_drawdown,
        drawdown=None if max_drawdown.value is None else drawdown(),
        volatility=volatility,
        sharpe=sharpe,
        sortino=sortino,
        benchmark=comparison.benchmark,
        benchmark_difference=comparison.difference,
    )


def _risks(history: History, terms: Terms) -> tuple[Figure, Figure, Figure]:
    """Volatility, Sharpe and Sortino."""
    inputs = replace(
        history.inputs,
        period=terms.period,
        periods_per_year=rounded(ratio(YEAR, terms.period)),
    )
    priced = replace(inputs, risk_free_rate=terms.risk_free_rate)
    try:
        history.require_watched(terms.gap_share_max)
        counted = periodic_returns(history.levels, terms.period)
        returns = Returns(counted, terms.period, terms.risk_free_rate)
        returns.require(terms.returns_min)
    except Unmeasurable as lack:
        return (
            absent(VOLATILITY, inputs, lack),
            absent(SHARPE, priced, lack),
            absent(SORTINO, priced, lack),
        )
    inputs, priced = (replace(each, returns=len(counted)) for each in (inputs, priced))
    return (
        measured(VOLATILITY, inputs, returns.volatility),
        measured(SHARPE, priced, returns.sharpe),
        measured(SORTINO, priced, returns.sortino),
    )
