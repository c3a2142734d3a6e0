"""Repository Pattern Implementation: imports of transactions, and the entries of each."""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import literal, select, update

from alphapulse.database.repositories.ledger import ENTRY_COLUMNS, Ledger
from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.ledger import import_entries, imports, ledger_entries
from alphapulse.domain.identifiers import AccountId, UserId
from alphapulse.domain.ledger import RecordedEntry
from alphapulse.domain.transaction_files.imports import Import, undone_prefix
from alphapulse.errors import NotFound

_IMPORT = Rows(Import, imports)
_E = ledger_entries.c
_L = import_entries.c


class Imports:
    """What came from files. An import that was undone stays, with its entries."""

    def __init__(self, statements: Statements, ledger: Ledger) -> None:
        self._statements = statements
        self._ledger = ledger

    async def add(self, one: Import) -> None:
        await self._statements.insert(imports, [_IMPORT.values(one)])

    async def link(self, import_id: str, entry_ids: Iterable[int]) -> None:
        """Note which entries came with an import."""
        rows = [{"import_id": import_id, "entry_id": entry_id} for entry_id in entry_ids]
        await self._statements.insert(import_entries, rows)

    async def load(self, import_id: str) -> Import:
        """Raises `NotFound`."""
        wanted = select(*_IMPORT.columns).where(imports.c.id == import_id)
        row = await self._statements.row(wanted)
        if row is None:
            raise NotFound("no such import", import_id=import_id)
        return _IMPORT.read(row)

    async def list(self, account_ids: Collection[AccountId], *, limit: int) -> tuple[Import, ...]:
        """Those of the accounts, the newest first."""
        c = imports.c
        wanted = select(*_IMPORT.columns).where(c.account_id.in_(account_ids))
        rows = await self._statements.rows(wanted.order_by(c.imported_at.desc(), c.id).limit(limit))
        return tuple(_IMPORT.read(row) for row in rows)

    async def entries(
        self, import_id: str, *, after: int = 0, limit: int
    ) -> tuple[RecordedEntry, ...]:
        """What came with an import, in the order of recording, after an id."""
        wanted = (
            select(*ENTRY_COLUMNS)
            .join(import_entries, _L.entry_id == _E.id)
            .where(_L.import_id == import_id, _E.id > after)
        )
        rows = await self._statements.rows(wanted.order_by(_E.id).limit(limit))
        return await self._ledger.with_postings(rows)

    async def mark_undone(self, import_id: str, by: UserId, at: datetime) -> None:
        """Free the keys of its entries, whose reversals are recorded."""
        prefix = literal(undone_prefix(import_id), _E.key.type)
        mine = select(_L.entry_id).where(_L.import_id == import_id)
        renamed = update(ledger_entries).where(_E.id.in_(mine))
        await self._statements.run(renamed.values(key=prefix.concat(_E.key)))
        undone = update(imports).where(imports.c.id == import_id)
        await self._statements.run(undone.values(undone_at=at, undone_by=by))
