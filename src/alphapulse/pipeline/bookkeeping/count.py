"""Count: the engines of every method side by side, and what of their books is not stored yet."""

from collections.abc import Iterable, Mapping
from copy import copy
from datetime import datetime
from typing import TypeAlias

import msgspec

from alphapulse.database.repositories.bookkeeping import BasisState
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.cost_basis.disposals import Disposal
from alphapulse.domain.cost_basis.engine import CostBasis
from alphapulse.domain.cost_basis.figures import (
    Figures,
    PlaceFigures,
    missing_of,
    place_figures,
)
from alphapulse.domain.cost_basis.lots import Lot, LotId, Method
from alphapulse.domain.cost_basis.records import Place
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.ledger import Entry
from alphapulse.domain.rates import Rates
from alphapulse.domain.transfer_matching import EntryRef
from alphapulse.pipeline.bookkeeping.inputs import Inputs

Shelf: TypeAlias = dict[Place, dict[LotId, Lot]]
"""Lots as they were stored last, of one method."""


def shelf_of(lots: Iterable[Lot]) -> Shelf:
    """What a database holds."""
    shelf: Shelf = {}
    for lot in lots:
        shelf.setdefault(Place(lot.account_id, lot.asset), {})[lot.lot_id] = lot
    return shelf


class _Side:
    """One method."""

    def __init__(self, basis: CostBasis, stored: Shelf) -> None:
        self.basis = basis
        self.stored = stored
        self.disposals: list[Disposal] = []
        self.figures: dict[Place, PlaceFigures] = {}

    def places(self) -> set[Place]:
        books = self.basis.books
        held = {Place(lot.account_id, lot.asset) for lot in books.lots()}
        return held | self.stored.keys() | {gains.place for gains in books.realized()}


class Count:
    """Takes entries in the order of time, and openings before the first entry they precede.

    Args:
        inputs: the openings are those after ``since`` that were not taken yet.
        rates: must know about an entry before it is taken.
        snapshots: to go on from; without, it begins with nothing.
        stored: what the database holds of each method.
        since: when the snapshots were made.
    """

    def __init__(
        self,
        inputs: Inputs,
        rates: Rates,
        *,
        snapshots: Mapping[Method, str] | None = None,
        stored: Mapping[Method, Shelf] | None = None,
        since: datetime | None = None,
    ) -> None:
        self._currency = inputs.currency
        self._openings = [one for one in inputs.openings if since is None or one.at > since]
        self._sources = {
            (match.incoming, match.asset): match.outgoing.account_id for match in inputs.matches
        }
        self._sides: dict[Method, _Side] = {}
        for method in Method:
            snapshot = None if snapshots is None else snapshots[method]
            basis = _engine(method, inputs, rates, snapshot)
            self._sides[method] = _Side(basis, {} if stored is None else stored.get(method, {}))
        self._touched = {place for side in self._sides.values() for place in side.places()}

    @property
    def taken_to(self) -> datetime | None:
        """When the last entry occurred; the same for every method."""
        last = self._sides[Method.FIFO].basis.taken_to
        return None if last is None else last.occurred_at

    def take(self, entry: Entry) -> None:
        """By every method."""
        self.pass_to(entry.occurred_at)
        self._touch(entry)
        for side in self._sides.values():
            side.disposals += side.basis.take(entry)

    def pass_to(self, at: datetime | None) -> None:
        """Take the openings up to a moment, or all."""
        while self._openings and (at is None or self._openings[0].at <= at):
            opening = self._openings.pop(0)
            self._touched.add(Place(opening.account_id, opening.asset))
            for side in self._sides.values():
                side.basis.open(opening)

    def snapshots(self) -> dict[Method, str]:
        """All the engines remember, to be gone on from."""
        return {
            method: msgspec.json.encode(side.basis.snapshot()).decode()
            for method, side in self._sides.items()
        }

    async def save(self, tx: UnitOfWork, book_id: int) -> None:
        """Store what changed since the last time."""
        for method, side in self._sides.items():
            changed, gone = self._changes(side)
            await tx.bookkeeping.drop_lots(book_id, method, gone)
            await tx.bookkeeping.put_lots(book_id, method, changed)
            await tx.bookkeeping.add_disposals(book_id, method, side.disposals)
            side.disposals = []
        self._touched = set()

    def states(self, snapshots: Mapping[Method, str] | None) -> list[BasisState]:
        """What the books add up to; call it after `save`."""
        return [
            BasisState(
                method,
                Figures(
                    self._currency,
                    method,
                    self.taken_to,
                    tuple(figures for _, figures in sorted(side.figures.items())),
                    tuple(side.basis.books.flows()),
                    missing_of(side.basis.books),
                ),
                None if snapshots is None else snapshots[method],
            )
            for method, side in self._sides.items()
        ]

    def _touch(self, entry: Entry) -> None:
        ref = EntryRef(entry.account_id, entry.key)
        for posting in entry.postings:
            asset = Asset(posting.subject)
            self._touched.add(Place(entry.account_id, asset))
            source = self._sources.get((ref, asset))
            if source is not None:
                self._touched.add(Place(source, asset))

    def _changes(self, side: _Side) -> tuple[list[Lot], list[LotId]]:
        changed: list[Lot] = []
        gone: list[LotId] = []
        realized = {gains.place: gains for gains in side.basis.books.realized()}
        for place in self._touched:
            lots = list(side.basis.books.lots(place))
            before, after = side.stored.pop(place, {}), {lot.lot_id: copy(lot) for lot in lots}
            changed += [lot for lot in lots if before.get(lot.lot_id) != after[lot.lot_id]]
            gone += [lot_id for lot_id in before if lot_id not in after]
            if after:
                side.stored[place] = after
            if lots or place in realized:
                since = side.basis.books.held_since(place)
                side.figures[place] = place_figures(place, lots, realized.get(place), since)
            else:
                side.figures.pop(place, None)
        return changed, gone


def _engine(method: Method, inputs: Inputs, rates: Rates, snapshot: str | None) -> CostBasis:
    if snapshot is None:
        return CostBasis(
            inputs.currency, method, rates, transfers=inputs.matches, repairs=inputs.repairs
        )
    return CostBasis.restored(
        msgspec.json.decode(snapshot), rates, transfers=inputs.matches, repairs=inputs.repairs
    )
