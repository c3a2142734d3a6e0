"""Repository Pattern Implementation: what each reconciliation found, and the books it compares."""

from collections.abc import Sequence

from sqlalchemy import delete, select

from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.trading import asset_books, reconciliations
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.trading import AssetBook, CycleReport

REPORT = Rows(CycleReport, reconciliations)
BOOK = Rows(AssetBook, asset_books)

REPORTS_KEPT = 2000
"""Of each account: more than a day of cycles; differences stay in the alerts."""


class Reconciliations:
    """A row for each cycle, and a book for each asset and position."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def add(self, report: CycleReport) -> None:
        await self._statements.insert(reconciliations, [REPORT.values(report)])

    async def list(self, account_id: AccountId, limit: int) -> tuple[CycleReport, ...]:
        """The newest first."""
        c = reconciliations.c
        wanted = select(*REPORT.columns).where(c.account_id == account_id)
        rows = await self._statements.rows(wanted.order_by(c.id.desc()).limit(limit))
        return tuple(REPORT.read(row) for row in rows)

    async def prune(self, account_id: AccountId) -> None:
        """Forget the oldest beyond `REPORTS_KEPT`."""
        c = reconciliations.c
        kept = select(c.id).where(c.account_id == account_id).order_by(c.id.desc())
        row = await self._statements.row(kept.offset(REPORTS_KEPT).limit(1))
        if row is not None:
            old = (c.account_id == account_id) & (c.id <= row.id)
            await self._statements.run(delete(reconciliations).where(old))

    async def books(self, account_id: AccountId) -> tuple[AssetBook, ...]:
        wanted = select(*BOOK.columns).where(asset_books.c.account_id == account_id)
        return tuple(BOOK.read(row) for row in await self._statements.rows(wanted))

    async def replace_books(self, account_id: AccountId, books: Sequence[AssetBook]) -> None:
        """All of the account's; one that is not among them is closed."""
        mine = asset_books.c.account_id == account_id
        kept = asset_books.c.subject.in_({book.subject for book in books})
        await self._statements.run(delete(asset_books).where(mine, ~kept))
        await self._statements.upsert(asset_books, [BOOK.values(book) for book in books])
