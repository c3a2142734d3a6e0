"""Disposals: what left an account for something of value, from which lots, and what it gained."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NewType

import msgspec

from alphapulse.domain.cost_basis.lots import Lot, LotId, share
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.money import EXACT, ZERO, total
from alphapulse.domain.rates import Rate
from alphapulse.domain.transfer_matching import EntryRef

DisposalId = NewType("DisposalId", str)
"""Made of the entry and the asset, so the same whenever it is counted anew."""


class Reason(StrEnum):
    """Why it left."""

    TRADE = "trade"
    FEE = "fee"
    NETWORK_FEE = "network_fee"
    """Of a transfer: what was sent and did not arrive."""
    CHARGE = "charge"
    """Funding, a loss of a contract, interest owed."""


class Part(msgspec.Struct, frozen=True, gc=False):
    """What one lot gave to a disposal. Without a lot it is what the account was not known to hold.

    ``None`` is unknown.
    """

    lot_id: LotId | None
    quantity: Decimal
    acquired_at: datetime | None
    cost: Decimal | None
    proceeds: Decimal | None
    gain: Decimal | None


class Disposal(msgspec.Struct, frozen=True, gc=False):
    """Values are in the book currency; ``None`` is unknown.

    ``proceeds`` are what it brought after ``fees``, shared among the parts by quantity.
    """

    id: DisposalId
    account_id: AccountId
    entry: EntryRef
    asset: Asset
    reason: Reason
    disposed_at: datetime
    quantity: Decimal
    proceeds: Decimal | None
    fees: Decimal | None
    rates: tuple[Rate, ...]
    """What the proceeds and fees were made with; none for the book currency itself."""
    parts: tuple[Part, ...]

    @property
    def gain(self) -> Decimal | None:
        """``None`` where that of any part is unknown."""
        gain = ZERO
        for part in self.parts:
            if part.gain is None:
                return None
            gain = EXACT.add(gain, part.gain)
        return gain

    @property
    def missing(self) -> Decimal:
        """What the account was not known to hold."""
        return total([part.quantity for part in self.parts if part.lot_id is None])


def disposal_id(ref: EntryRef, asset: Asset, reason: Reason) -> DisposalId:
    return DisposalId(f"{ref.account_id}|{ref.key}|{asset}|{reason}")


def parts_of(
    taken: list[Lot], missing: Decimal, quantity: Decimal, proceeds: Decimal | None
) -> tuple[Part, ...]:
    """Share proceeds among the lots; the last part takes what rounding leaves."""
    parts = []
    left = proceeds
    last = len(taken) - (not missing)
    for index, lot in enumerate(taken):
        if proceeds is None or left is None or index == last:
            brought = left
        else:
            brought = share(proceeds, lot.left, quantity)
            left = EXACT.subtract(left, brought)
        gain = None if brought is None or lot.cost is None else EXACT.subtract(brought, lot.cost)
        parts.append(Part(lot.lot_id, lot.left, lot.acquired_at, lot.cost, brought, gain))
    if missing:
        parts.append(Part(None, missing, None, None, left, None))
    return tuple(parts)
