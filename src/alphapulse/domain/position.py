"""Position: an open derivative exposure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.identifiers import AccountId, ExchangeId, Symbol
from alphapulse.domain.money import EXACT


class PositionSide(StrEnum):
    LONG = "long"
    SHORT = "short"


class MarginMode(StrEnum):
    CROSS = "cross"
    ISOLATED = "isolated"


@dataclass(frozen=True, slots=True)
class Position:
    """One open derivative position; a flat one is absent.

    ``quantity`` is positive, in contracts; prices in quote currency; money in settle currency.
    ``None`` is "the venue did not say".
    """

    account_id: AccountId
    exchange: ExchangeId
    symbol: Symbol
    side: PositionSide
    quantity: Decimal
    contract_size: Decimal
    entry_price: Decimal
    mark_price: Decimal | None
    unrealized_pnl: Decimal | None
    realized_pnl: Decimal | None
    leverage: Decimal | None
    margin_mode: MarginMode | None
    initial_margin: Decimal | None
    maintenance_margin: Decimal | None
    liquidation_price: Decimal | None
    occurred_at: datetime
    received_at: datetime

    @property
    def signed_quantity(self) -> Decimal:
        return self.quantity if self.side is PositionSide.LONG else EXACT.minus(self.quantity)


def opened_at(held: Decimal, moves: Iterable[tuple[datetime, Decimal]]) -> datetime | None:
    """When what is held last left zero, or changed its side; ``None`` where no move tells.

    Args:
        held: contracts, negative where they are short; not 0.
        moves: what changed it, the newest first, the last of which led to ``held``.
    """
    after = held
    for at, moved in moves:
        before = EXACT.subtract(after, moved)
        if before * held <= 0:
            return at
        after = before
    return None
