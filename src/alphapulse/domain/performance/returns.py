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
from decimal import Context, Decimal
from typing import NamedTuple

from alphapulse.domain.money import EXACT, ZERO, total
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

# Growth is sought by its logarithm, from nothing, even over ten years, to more than anything.
_LOWEST, _HIGHEST = Decimal(-700), Decimal(28)
_STEP = Decimal("0.125")

# Ridders' method halves the bracket at least, and doubles the right digits near the root.
_ROUNDS_MAX = 100
_NO_STEP = Decimal("1e-24")

# Enough for 8 places of the largest growth, in half the time that 60 digits take.
_SEARCH = Context(prec=40)

# A balance that everything was taken out of is zero but for what was rounded.
_SLACK = Decimal("1e-15")


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
    root = _root(account)
    if not account.stays_positive(root):
        raise Unmeasurable(Reason.NO_SINGLE_RATE, "several rates may fit these flows")
    return EXACT.subtract(_SEARCH.exp(root), _ONE)


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
    """An account that grows evenly: by ``exp(rate)`` over the whole time."""

    moves: list[tuple[Decimal, Decimal]]
    """The share of the time that is left, and what came in then or went out, in order."""
    end: Decimal

    def excess(self, rate: Decimal) -> Decimal:
        """What would be there at the end beyond what is."""
        excess = _SEARCH.minus(self.end)
        for left, amount in self.moves:
            excess = _SEARCH.fma(amount, _SEARCH.exp(_SEARCH.multiply(rate, left)), excess)
        return excess

    def stays_positive(self, rate: Decimal) -> bool:
        """Whether no balance is below zero."""
        slack = _SEARCH.multiply(_SLACK, max(abs(amount) for _, amount in self.moves))
        balance, before = ZERO, _ONE
        for left, amount in self.moves:
            growth = _SEARCH.exp(_SEARCH.multiply(rate, _SEARCH.subtract(before, left)))
            balance, before = _SEARCH.fma(balance, growth, amount), left
            if balance < -slack:
                return False
        return True


def _even_account(history: History) -> _EvenAccount:
    span = history.span
    first, last = history.stretches[0], history.stretches[-1]
    moves = {first.started_at: first.start}
    for flow in history.flows:
        at = flow.after if flow.known() > 0 else flow.at
        moves[at] = EXACT.add(moves.get(at, ZERO), flow.known())
    lefts = {at: _SEARCH.plus(ratio(last.ended_at - at, span)) for at in moves}
    return _EvenAccount([(lefts[at], moves[at]) for at in sorted(moves)], last.end)


def _root(account: _EvenAccount) -> Decimal:
    """A rate with no excess; where nothing at all is left, the lowest.

    Raises:
        Unmeasurable: there is none, or an even number of them.
    """
    low = high = ZERO
    step = _STEP
    if account.excess(ZERO) < 0:
        while account.excess(high) < 0:
            low, high, step = high, high + step, step * 2
            if low > _HIGHEST:
                raise Unmeasurable(Reason.NO_SINGLE_RATE, "no rate that means anything fits")
        return _between(account.excess, low, high)
    while account.excess(low) >= 0:
        low, high, step = low - step, low, step * 2
        if high < _LOWEST:
            return _nothing_left(account)
    return _between(account.excess, low, high)


def _nothing_left(account: _EvenAccount) -> Decimal:
    if total([amount for left, amount in account.moves if left == 0]) > account.end:
        raise Unmeasurable(Reason.NO_SINGLE_RATE, "no rate fits these flows, or more than one")
    return _LOWEST


def _between(excess: Callable[[Decimal], Decimal], low: Decimal, high: Decimal) -> Decimal:
    """Where ``excess`` crosses zero, below it at ``low`` and not at ``high``: Ridders' method."""
    below, above = excess(low), excess(high)
    found = high
    for _ in range(_ROUNDS_MAX):
        middle = _SEARCH.divide(_SEARCH.add(low, high), Decimal(2))
        here = excess(middle)
        bend = _SEARCH.sqrt(_SEARCH.fma(here, here, _SEARCH.multiply(_SEARCH.minus(below), above)))
        last, found = found, middle
        if bend:
            reach = _SEARCH.multiply(_SEARCH.subtract(middle, low), here)
            found = _SEARCH.subtract(middle, _SEARCH.divide(reach, bend))
        if abs(_SEARCH.subtract(found, last)) <= _NO_STEP:
            break
        for rate in sorted((middle, found)):
            there = excess(rate)
            if there < 0:
                low, below = rate, there
            else:
                high, above = rate, there
                break
    return found
