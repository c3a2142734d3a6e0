"""Openings: since when each contract is held, read beside the requests and only when it moved."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from alphapulse.database.queries.ledger import contracts_moved, moves
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.ledger import Book, Subject
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.position import Position, opened_at
from alphapulse.services.net_worth_recorder import OVERLAP

MOVES_MAX = 10_000
"""What was moved more often since it was opened is not followed back: so many, among 100 000
entries, are read in 0.2 s from SQLite and in 0.4 s from PostgreSQL."""

_Contract: TypeAlias = tuple[AccountId, Subject]


@dataclass(frozen=True, slots=True)
class _Opening:
    """``held`` is signed. Whoever holds both sides of a contract has none: the ledger tells of
    both together."""

    held: Decimal
    opened_at: datetime | None


class Openings:
    """By the ledger: no venue says it. Bybit's ``createdTime`` is of the slot, and Binance tells
    none."""

    def __init__(self) -> None:
        self._known: dict[_Contract, _Opening] = {}
        self._read_to = 0

    def of(self, position: Position) -> datetime | None:
        """When it last left zero; ``None`` where that was before the known history, or the ledger
        does not add up to it."""
        known = self._known.get((position.account_id, position.symbol))
        if known is None or known.held * position.signed_quantity <= 0:
            return None
        return known.opened_at

    async def refresh(self, unit: UnitOfWork) -> None:
        """Read again what may have changed."""
        newest_id = await unit.ledger.newest_id()
        moved = set()
        if self._known and newest_id != self._read_to:
            moved = await contracts_moved(unit, self._read_to - OVERLAP)
        found = {}
        for key, held in (await _held(unit)).items():
            before = self._known.get(key)
            if before is None or before.held != held or key in moved:
                before = await _read(unit, key, held, before)
            found[key] = before
        self._known, self._read_to = found, newest_id


async def _held(unit: UnitOfWork) -> dict[_Contract, Decimal]:
    """What each account holds of each contract on one side, where the ledger adds up to it."""
    sides: dict[AccountId, dict[Subject, list[Decimal]]] = {}
    for position in await unit.positions.list():
        mine = sides.setdefault(position.account_id, {})
        mine.setdefault(position.symbol, []).append(position.signed_quantity)
    held = {}
    for account_id, contracts in sides.items():
        expected = await _expected(unit, account_id)
        for subject, quantities in contracts.items():
            if quantities == [expected.get(subject)]:
                held[account_id, subject] = quantities[0]
    return held


async def _expected(unit: UnitOfWork, account_id: AccountId) -> dict[Subject, Decimal]:
    """What was there when the books were opened, nothing of what has none yet, and what moved."""
    anchors = {one.subject: one.anchor for one in await unit.reconciliations.books(account_id)}
    if not anchors:
        return {}
    return {
        subject: EXACT.add(anchors.get(subject, ZERO), moved.after_opening)
        for (book, subject), moved in (await unit.ledger.sums(account_id)).items()
        if book is Book.VENUE
    }


async def _read(
    unit: UnitOfWork, key: _Contract, held: Decimal, before: _Opening | None
) -> _Opening:
    found = None
    if before is not None and before.opened_at is not None:
        # Most moves only change what was held already: what came before need not be read again.
        since = before.opened_at
        found = opened_at(held, await moves(unit, *key, since=since, limit=MOVES_MAX))
    if found is None:
        found = opened_at(held, await moves(unit, *key, since=None, limit=MOVES_MAX))
    return _Opening(held, found)
