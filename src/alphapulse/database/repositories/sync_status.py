"""Repository Pattern Implementation: how fresh each kind of each account is."""

from sqlalchemy import select

from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.system import sync_status
from alphapulse.domain.sync import SyncStatus

STATUS = Rows(SyncStatus, sync_status)


class SyncStatuses:
    """The last word on each (exchange, account, kind)."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def save(self, status: SyncStatus) -> None:
        row = STATUS.values(status, subject=status.account_id or "")
        await self._statements.upsert(sync_status, [row])

    async def list(self) -> tuple[SyncStatus, ...]:
        c = sync_status.c
        ordered = select(*STATUS.columns).order_by(c.exchange, c.subject, c.kind)
        return tuple(STATUS.read(row) for row in await self._statements.rows(ordered))
