"""Values: amounts of the book currency, with the rates they were made with."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from alphapulse.domain.cost_basis.lots import rounded
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.rates import Rate, Rates


class Value(NamedTuple):
    """``amount`` is ``None`` where a rate is unknown."""

    amount: Decimal | None
    rates: tuple[Rate, ...] = ()

    @property
    def is_firm(self) -> bool:
        return all([rate.quality.is_firm for rate in self.rates])

    def plus(self, other: "Value") -> "Value":
        rates = _both(self.rates, other.rates)
        if self.amount is None or other.amount is None:
            return Value(None, rates)
        return Value(EXACT.add(self.amount, other.amount), rates)

    def minus(self, other: "Value") -> "Value":
        return self.plus(other.negated())

    def negated(self) -> "Value":
        return self if self.amount is None else Value(EXACT.minus(self.amount), self.rates)


def _both(left: tuple[Rate, ...], right: tuple[Rate, ...]) -> tuple[Rate, ...]:
    return left + tuple([rate for rate in right if rate not in left]) if right else left


NOTHING = Value(ZERO)
UNKNOWN = Value(None)


class Valuer:
    """Values in one currency. The currency itself needs no rate."""

    def __init__(self, currency: Asset, rates: Rates) -> None:
        self._currency = currency
        self._rates = rates

    def value(self, asset: Asset, quantity: Decimal, at: datetime) -> Value:
        """Of ``quantity``, with its sign.

        Raises:
            ValueError: the rate that came is of another asset or in another currency.
        """
        if asset == self._currency:
            return Value(rounded(quantity))
        rate = self._rates.rate(asset, at)
        if rate is None:
            return UNKNOWN
        return Value(rounded(rate.worth(asset, quantity, self._currency)), (rate,))
