"""What the cost basis is told beside the ledger, what it adds up, and its state as plain data."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from alphapulse.domain.cost_basis.lots import Lot, LotId, Method
from alphapulse.domain.identifiers import AccountId, Asset, Symbol
from alphapulse.domain.ledger import EntryKind
from alphapulse.domain.money import EXACT, ZERO, total
from alphapulse.domain.transfer_matching import EntryRef


@dataclass(frozen=True, slots=True)
class Opening:
    """What an account held that its known history does not explain; negative is less than that.

    Its date orders it among the lots, so what was there before history is dated before it.
    """

    account_id: AccountId
    asset: Asset
    quantity: Decimal
    at: datetime
    cost: Decimal | None = None
    """Of all of it, in the book currency; ``None`` is unknown."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What a person says a lot of unknown basis cost, all of it, and when it was acquired."""

    cost: Decimal
    acquired_at: datetime | None = None


class Place(NamedTuple):
    account_id: AccountId
    asset: Asset


class LastTaken(NamedTuple):
    """How far the ledger was taken."""

    occurred_at: datetime
    entry: EntryRef


class FlowKey(NamedTuple):
    account_id: AccountId
    kind: EntryKind
    """Profit, funding, fee, reward or interest."""
    symbol: Symbol | None
    asset: Asset
    in_gains: bool
    """Of a fee: a cost or proceeds contain it already, so it must not be taken off again."""


@dataclass(slots=True)
class FlowTotal:
    """What came in, signed: fees are negative. ``value`` adds up what had a rate when it came."""

    key: FlowKey
    quantity: Decimal = ZERO
    value: Decimal = ZERO
    unvalued: Decimal = ZERO
    """How much of the quantity came, and went, without a known rate, unsigned."""

    def add(self, quantity: Decimal, value: Decimal | None) -> None:
        self.quantity = EXACT.add(self.quantity, quantity)
        if value is None:
            self.unvalued = EXACT.add(self.unvalued, abs(quantity))
        else:
            self.value = EXACT.add(self.value, value)


@dataclass(frozen=True, slots=True)
class ContractResult:
    """What a contract brought so far, in units of ``asset``. Its profit is without fees and
    funding; paid is positive."""

    account_id: AccountId
    symbol: Symbol
    asset: Asset
    realized_pnl: Decimal
    funding_paid: Decimal
    fees_paid: Decimal


@dataclass(slots=True)
class Realized:
    """Gains of one asset in one account, in the book currency."""

    place: Place
    gain: Decimal = ZERO
    """Of all whose gain is known."""
    unknown: Decimal = ZERO
    """The quantity disposed of whose gain is not."""


class Unexplained(StrEnum):
    """Why a gain or a basis is unknown, and so what would help."""

    ORIGIN = "origin"
    """It came in without a cost: say what it cost, or where it was sent from."""
    RATE = "rate"
    """Nobody knows a rate of when it came in or, where no lot is named, of when it went."""
    NOT_HELD = "not_held"
    """More was disposed of than was known to be there: history or an opening is missing."""


@dataclass(slots=True)
class UnknownBasis:
    """A hole: ``quantity`` held or disposed of. ``lot_id`` names the lot to repair, if any."""

    place: Place
    quantity: Decimal
    since: datetime
    reason: Unexplained
    lot_id: LotId | None = None


@dataclass(slots=True)
class Parcel:
    """Lots that left an account without being sold. A later arrival may claim them."""

    entry: EntryRef
    asset: Asset
    left_at: datetime
    lots: list[Lot]
    missing: Decimal
    """What was sent and has no lot: not known to be there, or the book currency itself."""

    def take(self, quantity: Decimal) -> tuple[list[Lot], Decimal]:
        """As of a stock: the lots, and what of ``quantity`` none of them covers."""
        taken = []
        missing = quantity
        emptied = 0
        for lot in self.lots:
            if not missing:
                break
            if lot.left <= missing:
                emptied += 1
                taken.append(lot)
            else:
                taken.append(lot.split(missing))
            missing = EXACT.subtract(missing, taken[-1].left)
        del self.lots[:emptied]
        return taken, missing

    @property
    def quantity(self) -> Decimal:
        return total([self.missing, *(lot.left for lot in self.lots)])


@dataclass(slots=True)
class Ahead:
    """How much of a transfer arrived before the entry that sent it."""

    entry: EntryRef
    asset: Asset
    quantity: Decimal


@dataclass(slots=True)
class State:
    """All that a cost basis remembers."""

    method: Method
    currency: Asset
    taken_to: LastTaken | None = None
    acquisitions: int = 0
    lots: list[Lot] = field(default_factory=list)
    """Within one place in the order they arrived."""
    parcels: list[Parcel] = field(default_factory=list)
    ahead: list[Ahead] = field(default_factory=list)
    flows: list[FlowTotal] = field(default_factory=list)
    realized: list[Realized] = field(default_factory=list)
    unknown: list[UnknownBasis] = field(default_factory=list)
    """Of what was disposed of; what is held and unknown is among the lots."""
