"""Figures: what one owner's lots add up to by one method, small enough to be kept in memory."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import msgspec

from alphapulse.domain.cost_basis.books import LotBooks
from alphapulse.domain.cost_basis.lots import BasisQuality, Lot, Method
from alphapulse.domain.cost_basis.records import FlowTotal, Place, Realized, Unexplained
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.money import EXACT, ZERO


class PlaceFigures(msgspec.Struct, frozen=True, gc=False):
    """One asset in one account. ``cost`` is of ``known``; ``unknown`` has none."""

    account_id: AccountId
    asset: Asset
    known: Decimal = ZERO
    cost: Decimal = ZERO
    unknown: Decimal = ZERO
    is_estimated: bool = False
    """A part of the cost was made with a rate that is not of the very moment."""
    realized: Decimal = ZERO
    realized_unknown: Decimal = ZERO
    """The quantity disposed of whose gain is not known."""
    held_since: datetime | None = None
    """When the earliest lot was acquired; ``None`` where nobody knows."""


class Missing(msgspec.Struct, frozen=True, gc=False):
    """A quantity, held or disposed of, whose basis is unknown, and why."""

    account_id: AccountId
    asset: Asset
    quantity: Decimal
    reason: Unexplained


class Figures(msgspec.Struct, frozen=True):
    """All of one owner, in the book currency. ``taken_to``: up to which movement."""

    currency: Asset
    method: Method
    taken_to: datetime | None
    places: tuple[PlaceFigures, ...]
    flows: tuple[FlowTotal, ...]
    missing: tuple[Missing, ...]


def place_figures(
    place: Place, lots: Iterable[Lot], realized: Realized | None, held_since: datetime | None
) -> PlaceFigures:
    """What the lots of one place add up to."""
    known = cost = unknown = ZERO
    is_estimated = False
    for lot in lots:
        if lot.cost is None:
            unknown = EXACT.add(unknown, lot.left)
        else:
            known, cost = EXACT.add(known, lot.left), EXACT.add(cost, lot.cost)
            is_estimated = is_estimated or lot.quality is BasisQuality.ESTIMATED
    gains = realized or Realized(place)
    return PlaceFigures(
        *place, known, cost, unknown, is_estimated, gains.gain, gains.unknown, held_since
    )


def missing_of(books: LotBooks) -> tuple[Missing, ...]:
    """The holes, by account, asset and reason."""
    sums: dict[tuple[AccountId, Asset, Unexplained], Decimal] = {}
    for hole in books.unknown():
        key = (hole.place.account_id, hole.place.asset, hole.reason)
        sums[key] = EXACT.add(sums.get(key, ZERO), hole.quantity)
    return tuple(
        Missing(account_id, asset, quantity, reason)
        for (account_id, asset, reason), quantity in sorted(sums.items())
    )
