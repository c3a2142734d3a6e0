"""Returns: how the money did (time-weighted), and how its owner did with it (money-weighted).

The money-weighted rate is the one at which every deposit, put into an account that grows evenly,
would have become what was taken out and what is left. It is sought as the growth ``x`` over the
whole period, which stays near 1 however short that is; a year's rate follows from it.

Where every balance of that even account is at or above zero, no other rate fits: a higher one makes
the end higher, for all balances are; and seen from the end, a lower one makes the beginning dearer.
Where one is below zero, several rates may fit, and none is told.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from math import exp, log, pow
from typing import NamedTuple

from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.performance.figures import YEAR, Formula, Reason, Unmeasurable
from alphapulse.domain.performance.history import History, ratio

TWR = Formula(
    "time_weighted_return",
    "product over the stretches between known values of "
    "(end + withdrawals) / (start + deposits), less 1",
)
TWR_ANNUALIZED = Formula("time_weighted_return_annualized", "(1 + twr) ^ (365 d / time), less 1")
MWR = Formula(
    "money_weighted_return",
    "x - 1, where the sum of flow * x ^ (share of the time that is left), with the first value as "
    "a flow, is the last value",
)
MWR_ANNUALIZED = Formula("xirr", "(1 + mwr) ^ (365 d / time), less 1")

_ONE = Decimal(1)

# From nothing, even over ten years, to more than anything. Their logarithms are 719 apart; 64
# halvings leave less of that than a float can tell.
_GROWTH_MIN, _GROWTH_MAX = 1e-300, 1e12
_HALVINGS_MAX = 64

# A balance that everything was taken out of is zero but for the rounding of a float.
_SLACK = 1e-9


def time_weighted(history: History) -> Decimal:
    """Of the whole period.

    Raises:
        Unmeasurable: see `Stretch.growth`.
    """
    return EXACT.subtract(history.levels[-1].level, _ONE)


def money_weighted(history: History) -> Decimal:
    """Of the whole period.

    Raises:
        Unmeasurable: a flow has no known value, or not exactly one rate is sure to fit.
    """
    account = _even_account(history)
    growth = _root(account)
    if min(account.balances(growth)) < -_SLACK:
        raise Unmeasurable(Reason.NO_SINGLE_RATE, "several rates may fit these flows")
    return EXACT.subtract(Decimal(growth), _ONE)


def annualized(period_return: Decimal, span: timedelta, shortest: timedelta) -> Decimal:
    """What the same growth comes to in a year.

    Raises:
        Unmeasurable: ``span`` is shorter than ``shortest``, or the year's growth is immense.
    """
    if span < shortest:
        raise Unmeasurable(Reason.TOO_SHORT, f"only {span} long, {shortest} is needed")
    growth = EXACT.add(_ONE, period_return)
    return EXACT.subtract(EXACT.power(growth, ratio(YEAR, span)), _ONE)


class _EvenAccount(NamedTuple):
    """What came in and went out, in the order of time, as shares of the largest sum."""

    moves: list[tuple[float, float]]
    """The share of the time that is left, and the amount."""
    end: float

    def excess(self, growth: float) -> float:
        """What would be there at the end beyond what is."""
        return sum(amount * pow(growth, left) for left, amount in self.moves) - self.end

    def balances(self, growth: float) -> list[float]:
        balance, time_left = 0.0, 1.0
        balances = []
        for left, amount in self.moves:
            balance = balance * pow(growth, time_left - left) + amount
            time_left = left
            balances.append(balance)
        return balances


def _even_account(history: History) -> _EvenAccount:
    span = history.span
    first, last = history.stretches[0], history.stretches[-1]
    moves = {first.started_at: first.start}
    for flow in history.flows:
        at = flow.after if flow.known() > 0 else flow.at
        moves[at] = EXACT.add(moves.get(at, ZERO), flow.known())
    scale = max(abs(amount) for amount in (*moves.values(), last.end))
    return _EvenAccount(
        [
            ((last.ended_at - at) / span, float(EXACT.divide(moves[at], scale)))
            for at in sorted(moves)
        ],
        float(EXACT.divide(last.end, scale)),
    )


def _root(account: _EvenAccount) -> float:
    is_below_max = account.excess(_GROWTH_MAX) > 0
    if is_below_max and account.excess(_GROWTH_MIN) < 0:
        return _halved(account.excess)
    if is_below_max and account.excess(0.0) <= 0:
        return 0.0
    raise Unmeasurable(Reason.NO_SINGLE_RATE, "no rate fits these flows, or more than one")


def _halved(excess: Callable[[float], float]) -> float:
    low, high = log(_GROWTH_MIN), log(_GROWTH_MAX)
    for _ in range(_HALVINGS_MAX):
        middle = (low + high) / 2
        if excess(exp(middle)) < 0:
            low = middle
        else:
            high = middle
    return exp((low + high) / 2)
