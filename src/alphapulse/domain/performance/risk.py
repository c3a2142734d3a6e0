"""Risk: how much the returns of equal periods differ, and what they paid for it.

Periods lie on a grid that begins at midnight UTC. A period's return is counted where the index is
known in it and in the one before; what began before or is not over yet is not a period.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from alphapulse.domain.money import EXACT, ZERO, total
from alphapulse.domain.performance.figures import YEAR, Formula, Reason, Unmeasurable
from alphapulse.domain.performance.history import Level, ratio

VOLATILITY = Formula(
    "volatility",
    "sample standard deviation (n - 1) of the periods' returns * sqrt(periods per year)",
)
SHARPE = Formula(
    "sharpe",
    "mean of (return - risk-free) / sample standard deviation of the returns "
    "* sqrt(periods per year); risk-free = (1 + rate) ^ (1 / periods per year) - 1",
)
SORTINO = Formula(
    "sortino",
    "mean of (return - risk-free) / sqrt(mean of min(return - risk-free, 0) ^ 2) "
    "* sqrt(periods per year); risk-free = (1 + rate) ^ (1 / periods per year) - 1",
)

# Below it returns differ by what their division rounded.
_RISK_MIN = Decimal("1e-12")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE = Decimal(1)


def periodic_returns(levels: Sequence[Level], period: timedelta) -> tuple[Decimal, ...]:
    """The returns of whole periods, each from the last level known by one border of the grid to
    the last known by the next.

    Raises:
        Unmeasurable: all was lost, and nothing can be gained on nothing.
    """
    by_border: dict[int, Decimal] = {}
    for level in levels:
        by_border[-((_EPOCH - level.at) // period)] = level.level
    last = (levels[-1].at - _EPOCH) // period
    pairs = [
        (by_border[border - 1], level)
        for border, level in by_border.items()
        if border <= last and border - 1 in by_border
    ]
    if any(before == 0 for before, _ in pairs):
        raise Unmeasurable(Reason.NO_CAPITAL, "all was lost")
    return tuple(EXACT.subtract(EXACT.divide(after, before), _ONE) for before, after in pairs)


@dataclass(frozen=True, slots=True)
class Returns:
    """Returns of equal periods, and what a year of them is measured against."""

    returns: tuple[Decimal, ...]
    period: timedelta
    risk_free_rate: Decimal
    """A year; above -1."""

    @property
    def periods_per_year(self) -> Decimal:
        return ratio(YEAR, self.period)

    def require(self, count_min: int) -> None:
        """Raises:
        Unmeasurable: too few to tell a spread from chance.
        """
        if len(self.returns) < count_min:
            detail = f"{len(self.returns)} returns of {self.period}, {count_min} are needed"
            raise Unmeasurable(Reason.TOO_FEW_RETURNS, detail)

    def volatility(self) -> Decimal:
        return EXACT.multiply(_deviation(self.returns), EXACT.sqrt(self.periods_per_year))

    def sharpe(self) -> Decimal:
        """Raises:
        Unmeasurable: no return differed from another.
        """
        return self._per_risk(_deviation(self.returns), "no return differed from another")

    def sortino(self) -> Decimal:
        """Raises:
        Unmeasurable: no return was below the risk-free one.
        """
        losses = [min(excess, ZERO) for excess in self._excesses()]
        risk = EXACT.sqrt(_mean([EXACT.multiply(loss, loss) for loss in losses]))
        return self._per_risk(risk, "no return was below the risk-free one")

    def _excesses(self) -> list[Decimal]:
        growth = EXACT.add(_ONE, self.risk_free_rate)
        exponent = EXACT.divide(_ONE, self.periods_per_year)
        risk_free = EXACT.subtract(EXACT.power(growth, exponent), _ONE)
        return [EXACT.subtract(each, risk_free) for each in self.returns]

    def _per_risk(self, risk: Decimal, without: str) -> Decimal:
        if risk < _RISK_MIN:
            raise Unmeasurable(Reason.NO_RISK, without)
        reward = EXACT.divide(_mean(self._excesses()), risk)
        return EXACT.multiply(reward, EXACT.sqrt(self.periods_per_year))


def _mean(numbers: Sequence[Decimal]) -> Decimal:
    return EXACT.divide(total(tuple(numbers)), Decimal(len(numbers)))


def _deviation(numbers: Sequence[Decimal]) -> Decimal:
    mean = _mean(numbers)
    squares = [EXACT.power(EXACT.subtract(number, mean), 2) for number in numbers]
    return EXACT.sqrt(EXACT.divide(total(squares), Decimal(len(numbers) - 1)))
