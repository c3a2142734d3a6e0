"""Gains: what the sales of a plan would realize, by the lots as they were last counted. Pure."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from alphapulse.domain.cost_basis.disposals import parts_of
from alphapulse.domain.cost_basis.lots import Lot, Method, Stock, rounded
from alphapulse.domain.cost_basis.records import Place
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.money import ZERO, total


@dataclass(frozen=True, slots=True)
class HeldLots:
    """What is held by one method, in the order it arrived; ``counted_at`` is when the books were
    last counted, and they have all that was recorded."""

    method: Method
    counted_at: datetime
    lots: Mapping[Place, tuple[Lot, ...]]


class Gains:
    """Of sales one after another: each takes, in the order of the method, what those before it
    left. The lots themselves stay as they are: those of a place are copied at its first sale.

    Args:
        held: ``None`` where nothing is counted: then no gain is known.
        currency: of the lots' costs and of every gain; it has no lots and gains nothing.
    """

    def __init__(self, held: HeldLots | None, currency: Asset) -> None:
        self._held, self._currency = held, currency
        self._stocks: dict[Place, Stock] = {}

    def of(self, place: Place, quantity: Decimal, proceeds: Decimal) -> Decimal | None:
        """What the next sale would gain; ``None`` where a lot that it takes has no known cost, or
        lots do not cover it.

        Args:
            proceeds: what it brings after fees, in the currency.
        """
        return self._sold(place, quantity, proceeds, is_kept=False)

    def sell(self, place: Place, quantity: Decimal, proceeds: Decimal) -> Decimal | None:
        """As `of`, and the sales after it take other lots."""
        return self._sold(place, quantity, proceeds, is_kept=True)

    def _sold(
        self, place: Place, quantity: Decimal, proceeds: Decimal, *, is_kept: bool
    ) -> Decimal | None:
        if self._held is None:
            return None
        if place.asset == self._currency:
            return ZERO
        if place not in self._stocks:
            self._stocks[place] = _stock(self._held, place)
        stock = self._stocks[place]
        taken, missing = stock.take(quantity)
        parts = parts_of(taken, missing, quantity, rounded(proceeds))
        if not is_kept:
            for lot in taken:
                stock.put(lot)
        gains = [part.gain for part in parts if part.gain is not None]
        return total(gains) if len(gains) == len(parts) else None


def _stock(held: HeldLots, place: Place) -> Stock:
    stock = Stock(held.method)
    for lot in held.lots.get(place, ()):
        stock.put(copy(lot))
    return stock
