"""Effects: what fills do to balances and positions, counted apart from the product's ledger."""

from collections.abc import Iterable
from decimal import Decimal
from typing import TypeAlias

from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.order import Fill, Side

Effects: TypeAlias = dict[str, Decimal]
"""By asset in units of it, and by symbol of a contract in contracts; signed."""


def effects_of(fills: Iterable[Fill]) -> Effects:
    """The sum of what ``fills`` moved, fees included.

    Of a contract only the position moves here, and the fee: profit is settled by the venue at
    times of its own.
    """
    moved: Effects = {}
    for fill in fills:
        sign = 1 if fill.side is Side.BUY else -1
        quantity = EXACT.multiply(fill.quantity, Decimal(sign))
        if ":" in fill.symbol:
            _add(moved, fill.symbol, quantity)
        else:
            base, quote = fill.symbol.split("/")
            _add(moved, base, quantity)
            _add(moved, quote, EXACT.minus(EXACT.multiply(quantity, fill.price)))
        if fill.fee is not None and fill.fee_asset is not None:
            _add(moved, fill.fee_asset, EXACT.minus(fill.fee))
    return moved


def _add(moved: Effects, subject: str, amount: Decimal) -> None:
    moved[subject] = EXACT.add(moved.get(subject, ZERO), amount)
