"""Repository Pattern Implementation: which requests were made, and what was answered."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update

from alphapulse.database.repositories.orders import UNSETTLED
from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.portfolio import orders
from alphapulse.database.tables.trading import idempotency_keys
from alphapulse.domain.identifiers import UserId


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """One request under its key.

    ``process`` took it and may still be at it while ``status`` is ``None``; ``subject`` names what
    it made (an order, as ``account.key``), for when the answer itself was never written.
    """

    user_id: UserId
    key: str
    request_hash: str
    process: str
    created_at: datetime
    subject: str | None = None
    status: int | None = None
    body: str | None = None


REQUEST = Rows(StoredRequest, idempotency_keys)


class IdempotencyKeys:
    """Keys are the caller's; two callers may use the same."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def add(self, request: StoredRequest) -> None:
        """Raises `Conflict` when the caller used the key before."""
        await self._statements.insert(idempotency_keys, [REQUEST.values(request)])

    async def find(self, user_id: UserId, key: str) -> StoredRequest | None:
        c = idempotency_keys.c
        wanted = select(*REQUEST.columns).where(c.user_id == user_id, c.key == key)
        row = await self._statements.row(wanted)
        return None if row is None else REQUEST.read(row)

    async def save(self, request: StoredRequest) -> None:
        """With its answer, or taken over by another process."""
        await self._statements.upsert(idempotency_keys, [REQUEST.values(request)])

    async def answer(self, user_id: UserId, key: str, status: int, body: str) -> None:
        """Keep what was said; nothing happens where no such request was made durable."""
        c = idempotency_keys.c
        mine = update(idempotency_keys).where(c.user_id == user_id, c.key == key)
        await self._statements.run(mine.values(status=status, body=body))

    async def forget_before(self, moment: datetime) -> int:
        """Those made earlier, but for orders that have not ended; how many there were."""
        c = idempotency_keys.c
        name = orders.c.account_id + "." + orders.c.client_order_id
        live = select(name).where(orders.c.status.in_(UNSETTLED), name.is_not(None))
        old = (c.created_at < moment) & (c.subject.is_(None) | c.subject.not_in(live))
        return await self._statements.run(delete(idempotency_keys).where(old))
