"""Repository Pattern Implementation: books of lots and disposals, counted from the ledger."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import msgspec
from sqlalchemy import ColumnElement, Table, delete, insert, select, update

from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.bookkeeping import basis_books, basis_states, disposals, lots
from alphapulse.domain.cost_basis.disposals import Disposal
from alphapulse.domain.cost_basis.figures import Figures
from alphapulse.domain.cost_basis.lots import Lot, LotId, Method
from alphapulse.domain.identifiers import Asset

IDS_AT_ONCE = 2000

Owner: TypeAlias = str
"""A user's id; empty for accounts that are nobody's."""


@dataclass(frozen=True, slots=True)
class BasisBook:
    """One owner's lots in one currency, by every method.

    ``counted_to`` is the newest entry of the ledger in it, of ``entry_count``. Its snapshots are
    as of ``settled_to``, and ``inputs`` is a digest of all but entries that they were made of.
    """

    id: int
    owner_id: Owner
    currency: Asset
    is_current: bool
    counted_to: int
    entry_count: int
    settled_to: datetime | None
    inputs: str
    counted_at: datetime


@dataclass(frozen=True, slots=True)
class BasisState:
    """``snapshot`` is JSON of the engine's; ``None`` keeps the stored one."""

    method: Method
    figures: Figures
    snapshot: str | None


BOOK = Rows(BasisBook, basis_books)


class Bookkeeping:
    """Books are counted beside the current one, which then makes room: a reader never sees half."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def books(self) -> tuple[BasisBook, ...]:
        """Also what is half counted, or no longer needed."""
        rows = await self._statements.rows(select(*BOOK.columns).order_by(basis_books.c.id))
        return tuple(BOOK.read(row) for row in rows)

    async def add(self, owner_id: Owner, currency: Asset, now: datetime) -> int:
        """Begin a book; its id."""
        values = {
            "owner_id": owner_id,
            "currency": currency,
            "is_current": False,
            "counted_to": 0,
            "entry_count": 0,
            "inputs": "",
            "counted_at": now,
        }
        added = insert(basis_books).values(values).returning(basis_books.c.id)
        row = await self._statements.row(added)  # type: ignore[arg-type]
        assert row is not None
        return int(row.id)

    async def save(self, book: BasisBook, states: Iterable[BasisState]) -> None:
        """Make a book the current one of its owner and currency, with what it adds up to."""
        c = basis_books.c
        same = (c.owner_id == book.owner_id) & (c.currency == book.currency) & (c.id != book.id)
        await self._statements.run(update(basis_books).where(same).values(is_current=False))
        await self._statements.upsert(basis_books, [BOOK.values(book)])
        for state in states:
            row = {
                "book_id": book.id,
                "method": state.method,
                "figures": msgspec.json.encode(state.figures).decode(),
            }
            if state.snapshot is not None:
                row["snapshot"] = state.snapshot
            await self._statements.upsert(basis_states, [row])

    async def snapshots(self, book_id: int) -> dict[Method, str]:
        """The engines' as of ``settled_to``, as JSON."""
        c = basis_states.c
        wanted = select(c.method, c.snapshot).where(c.book_id == book_id, c.snapshot.is_not(None))
        return {row.method: row.snapshot for row in await self._statements.rows(wanted)}

    async def figures(self) -> tuple[tuple[Owner, Figures], ...]:
        """Of every current book, by every method."""
        wanted = (
            select(basis_books.c.owner_id, basis_states.c.figures)
            .join(basis_states, basis_states.c.book_id == basis_books.c.id)
            .where(basis_books.c.is_current)
        )
        rows = await self._statements.rows(wanted)
        return tuple((row.owner_id, msgspec.json.decode(row.figures, type=Figures)) for row in rows)

    async def lots(self, book_id: int, method: Method) -> tuple[Lot, ...]:
        """All that is held."""
        c = lots.c
        wanted = select(c.lot).where(c.book_id == book_id, c.method == method)
        return tuple(lot_of(row.lot) for row in await self._statements.rows(wanted))

    async def put_lots(self, book_id: int, method: Method, changed: Iterable[Lot]) -> None:
        """Store lots that are new, or not as they were."""
        rows = [
            {
                "book_id": book_id,
                "method": method,
                "lot_id": lot.lot_id,
                "account_id": lot.account_id,
                "asset": lot.asset,
                "acquired_at": lot.acquired_at,
                "lot": msgspec.json.encode(lot).decode(),
            }
            for lot in changed
        ]
        await self._statements.upsert(lots, rows, key=("book_id", "method", "lot_id"))

    async def drop_lots(self, book_id: int, method: Method, gone: Sequence[LotId]) -> None:
        """Forget lots that are no longer held."""
        c = lots.c
        for start in range(0, len(gone), IDS_AT_ONCE):
            these = c.lot_id.in_(gone[start : start + IDS_AT_ONCE])
            mine = (c.book_id == book_id) & (c.method == method)
            await self._statements.run(delete(lots).where(mine, these))

    async def add_disposals(self, book_id: int, method: Method, made: Iterable[Disposal]) -> None:
        rows = [
            {
                "book_id": book_id,
                "method": method,
                "account_id": disposal.account_id,
                "asset": disposal.asset,
                "disposed_at": disposal.disposed_at,
                "disposal": msgspec.json.encode(disposal).decode(),
            }
            for disposal in made
        ]
        await self._statements.insert(disposals, rows)

    async def drop_disposals(self, book_id: int, after: datetime) -> None:
        """Forget those after a moment."""
        c = disposals.c
        await self._statements.run(
            delete(disposals).where(c.book_id == book_id, c.disposed_at > after)
        )

    async def clear(self, book_id: int, most: int) -> bool:
        """Remove a book, at most so many rows at a time; whether it is gone."""
        for table in (lots, disposals):
            if await self._shrink(table, table.c.book_id == book_id, most) == most:
                return False
        await self._statements.run(delete(basis_books).where(basis_books.c.id == book_id))
        return True

    async def _shrink(self, table: Table, which: ColumnElement[bool], most: int) -> int:
        some = select(table.c.id).where(which).limit(most).scalar_subquery()
        return await self._statements.run(delete(table).where(table.c.id.in_(some)))


def lot_of(text: str) -> Lot:
    """A stored lot."""
    return msgspec.json.decode(text, type=Lot)


def disposal_of(text: str) -> Disposal:
    """A stored disposal."""
    return msgspec.json.decode(text, type=Disposal)
