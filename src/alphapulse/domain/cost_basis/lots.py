"""Lots: quantities of one asset in one account, each with its own cost, and who goes first.

Costs are kept to 18 decimals of the book currency. A lot that is split gives away a rounded share
of its cost and keeps the rest, so that nothing is lost or made by splitting.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from heapq import heappop, heappush
from typing import NewType, TypeAlias

import msgspec

from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.transfer_matching import EntryRef, Match

LotId = NewType("LotId", str)
"""Made of the entry that brought the lot, so the same whenever it is counted anew."""

_STEP = Decimal("1e-18")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rounded(amount: Decimal) -> Decimal:
    """To 18 decimals of the book currency, half even."""
    return EXACT.quantize(amount, _STEP)


def share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """``part`` of ``whole`` of ``amount``, to 18 decimals."""
    return rounded(EXACT.divide(EXACT.multiply(amount, part), whole))


def lot_id(ref: EntryRef, asset: Asset, part: str = "") -> LotId:
    """The lot of ``asset`` that an entry brought; ``part`` tells several of one entry apart."""
    name = f"{ref.account_id}|{ref.key}|{asset}"
    return LotId(f"{name}|{part}" if part else name)


class Method(StrEnum):
    """Which lot goes first. Lots of unknown cost go by their date in FIFO and LIFO; in HIFO and
    AVERAGE, which go by cost, they go last."""

    FIFO = "fifo"
    LIFO = "lifo"
    HIFO = "hifo"
    """The dearest per unit first."""
    AVERAGE = "average"
    """All of known cost are one pool, with one cost per unit."""


class BasisQuality(StrEnum):
    COMPLETE = "complete"
    ESTIMATED = "estimated"
    """Made with a rate that is not of the very moment."""
    UNKNOWN = "unknown"


class Source(StrEnum):
    """What brought a lot into being."""

    TRADE = "trade"
    INCOME = "income"
    """Rewards, interest, rebates, funding, profit of contracts."""
    ARRIVAL = "arrival"
    """A deposit or another movement that does not say what it cost."""
    OPENING = "opening"
    """There before the known history."""


class Lot(msgspec.Struct, gc=False):
    """A quantity with one cost; ``None`` is unknown.

    In the AVERAGE method a pool is one lot: named and dated by its first purchase, ``quantity`` all
    that ever came into it, ``unit_cost`` that of now, and it tells no transfers.
    """

    lot_id: LotId
    account_id: AccountId
    """Where it is now."""
    asset: Asset
    acquired_at: datetime
    """When it was first acquired, in whichever account."""
    source: Source
    entry: EntryRef
    """What first brought it, in whichever account."""
    order: int
    """Counts acquisitions; decides between equal dates."""
    quantity: Decimal
    """When it came to be, here."""
    left: Decimal
    cost: Decimal | None
    """Of what is left, fees included."""
    unit_cost: Decimal | None
    fee_share: Decimal | None
    """How much of the cost of ``quantity`` was fees."""
    quality: BasisQuality
    transfers: tuple[Match, ...] = ()

    def split(self, quantity: Decimal) -> "Lot":
        """Take off a part smaller than what is left."""
        cost = None if self.cost is None else share(self.cost, quantity, self.left)
        part = Lot(
            self.lot_id,
            self.account_id,
            self.asset,
            self.acquired_at,
            self.source,
            self.entry,
            self.order,
            self.quantity,
            quantity,
            cost,
            self.unit_cost,
            self.fee_share,
            self.quality,
            self.transfers,
        )
        self.left = EXACT.subtract(self.left, quantity)
        if self.cost is not None and cost is not None:
            self.cost = EXACT.subtract(self.cost, cost)
        return part

    def moved(self, to: EntryRef, part: str, by: Match) -> "Lot":
        """As it arrives in another account: same date, same cost, a name of its own."""
        fees = self.fee_share
        return Lot(
            lot_id(to, self.asset, part),
            to.account_id,
            self.asset,
            self.acquired_at,
            self.source,
            self.entry,
            self.order,
            self.left,
            self.left,
            self.cost,
            self.unit_cost,
            None if fees is None else share(fees, self.left, self.quantity),
            self.quality,
            (*self.transfers, by),
        )

    def pool(self, other: "Lot") -> None:
        """Take another lot of known cost in."""
        assert self.cost is not None
        assert other.cost is not None
        self.quantity = EXACT.add(self.quantity, other.left)
        self.left = EXACT.add(self.left, other.left)
        self.cost = EXACT.add(self.cost, other.cost)
        self.unit_cost = rounded(EXACT.divide(self.cost, self.left))
        self.fee_share = EXACT.add(self.fee_share or ZERO, other.fee_share or ZERO)
        self.acquired_at = min(self.acquired_at, other.acquired_at)
        if other.quality is BasisQuality.ESTIMATED:
            self.quality = other.quality
        self.transfers = ()


_Rank: TypeAlias = tuple[Decimal, timedelta, int, int, Lot]
"""By cost, by date, by acquisition; the arrival here ends every tie before the lot is looked at."""

_FIRST, _LAST = Decimal(0), Decimal(1)


class Stock:
    """The lots of one asset in one account, in the order the method takes them: O(log n) each."""

    def __init__(self, method: Method) -> None:
        self.quantity = ZERO
        self._method = method
        self._heap: list[_Rank] = []
        self._arrivals = 0

    def __iter__(self) -> Iterator[Lot]:
        """In the order they arrived here."""
        return (rank[-1] for rank in sorted(self._heap, key=lambda rank: abs(rank[-2])))

    def put(self, lot: Lot) -> None:
        self.quantity = EXACT.add(self.quantity, lot.left)
        pool = self._heap[0][-1] if self._method is Method.AVERAGE and self._heap else None
        if pool is not None and pool.cost is not None and lot.cost is not None:
            pool.pool(lot)
            return
        self._arrivals += 1
        heappush(self._heap, self._rank(lot))

    def take(self, quantity: Decimal) -> tuple[list[Lot], Decimal]:
        """Take lots, the last one split if need be; also what of ``quantity`` no lot covers."""
        taken = []
        missing = quantity
        while missing and self._heap:
            lot = self._heap[0][-1]
            if lot.left <= missing:
                heappop(self._heap)
            else:
                lot = lot.split(missing)
            taken.append(lot)
            missing = EXACT.subtract(missing, lot.left)
        self.quantity = EXACT.subtract(self.quantity, EXACT.subtract(quantity, missing))
        return taken, missing

    def _rank(self, lot: Lot) -> _Rank:
        age = lot.acquired_at - _EPOCH
        cost = _FIRST
        if self._method is Method.LIFO:
            return (cost, -age, -lot.order, -self._arrivals, lot)
        if self._method is Method.HIFO:
            # A cost per unit is never negative, so 1 comes after all of them.
            cost = _LAST if lot.unit_cost is None else -lot.unit_cost
        elif self._method is Method.AVERAGE:
            cost = _LAST if lot.cost is None else _FIRST
        return (cost, age, lot.order, self._arrivals, lot)
