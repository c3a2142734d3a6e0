"""Swaps: one asset given for another, by a fill or a conversion, and what both sides were worth."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from alphapulse.domain.cost_basis.lots import share
from alphapulse.domain.cost_basis.movements import Movement
from alphapulse.domain.cost_basis.values import NOTHING, UNKNOWN, Value, Valuer
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.ledger import Book, Entry
from alphapulse.domain.money import EXACT
from alphapulse.domain.valuation import parts


class Swap(NamedTuple):
    """Both sides of an exchange of two assets."""

    given: Movement
    got: Movement
    main: Asset
    """The side that is priced in terms of the other."""
    withheld: list[Movement]
    """Fees taken in what was bought: units that never came."""
    paid: list[Movement]
    """All other fees."""

    @property
    def is_purchase(self) -> bool:
        """Of ``main``; else its sale."""
        return self.got.asset == self.main

    @property
    def received(self) -> Decimal:
        """What came in and stayed."""
        quantity = self.got.quantity
        for fee in self.withheld:
            quantity = EXACT.add(quantity, fee.quantity)
        return quantity


class Terms(NamedTuple):
    """What a swap was worth, and each of its fees, in their order and negative when paid."""

    value: Value
    withheld: list[Value]
    """By the price of the swap."""
    paid: list[Value]

    @property
    def fees(self) -> Value:
        """Beside what was withheld."""
        return _sum(self.paid)

    @property
    def fee_share(self) -> Value:
        """How much of the cost of a purchase was fees."""
        return _sum((*self.withheld, *self.paid)).negated()


def swap_of(entry: Entry, movements: Iterable[Movement], currency: Asset) -> Swap | None:
    """The exchange that an entry tells in full.

    Of a fill the base is ``main``; of a conversion it is what was given, for dust is swept into
    coins with a good market. But the book currency never is: it has neither cost nor gain.
    """
    trades = []
    fees = []
    for movement in movements:
        if movement.book is Book.TRADES:
            trades.append(movement)
        elif movement.book is Book.FEES:
            fees.append(movement)
    if len(trades) != 2:
        return None
    given, got = trades if trades[0].quantity < 0 else reversed(trades)
    if given.quantity > 0 or got.quantity < 0:
        return None
    main = parts(entry.symbol)[0] if entry.symbol else given.asset
    if main == currency:
        main = got.asset if given.asset == main else given.asset
    withheld = [fee for fee in fees if _is_withheld(fee, got, main)]
    paid = [fee for fee in fees if fee not in withheld] if withheld else fees
    return Swap(given, got, main, withheld, paid)


def terms_of(swap: Swap, at: datetime, values: Valuer) -> Terms:
    """Both sides are worth what ``main`` was priced at, or what ``main`` itself is worth where
    nobody knows a rate of that."""
    value = _fair_value(swap, at, values)
    return Terms(
        value,
        [_part_of(value, fee.quantity, swap.got) for fee in swap.withheld],
        [values.value(fee.asset, fee.quantity, at) for fee in swap.paid],
    )


def _fair_value(swap: Swap, at: datetime, values: Valuer) -> Value:
    price, main = swap.given, swap.got
    if not swap.is_purchase:
        price, main = main, price
    value = values.value(price.asset, abs(price.quantity), at)
    return values.value(main.asset, abs(main.quantity), at) if value.amount is None else value


def _part_of(value: Value, fee: Decimal, got: Movement) -> Value:
    if value.amount is None:
        return UNKNOWN
    return Value(share(value.amount, fee, got.quantity))


def _sum(values: Iterable[Value]) -> Value:
    result = NOTHING
    for value in values:
        result = result.plus(value)
    return result


def _is_withheld(fee: Movement, got: Movement, main: Asset) -> bool:
    return fee.asset == got.asset == main and EXACT.minus(fee.quantity) < got.quantity
