"""Repository Pattern Implementation: the sealed keys of accounts. Plaintext never comes here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, select

from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.portfolio import credentials
from alphapulse.domain.identifiers import AccountId


@dataclass(frozen=True, slots=True)
class SealedField:
    """One encrypted secret: which (``api_key``), its bytes, and which master key sealed it."""

    name: str
    key_version: int
    sealed: bytes = field(repr=False)
    saved_at: datetime


SEALED = Rows(SealedField, credentials)


class StoredCredentials:
    """The sealed fields of each account."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def save(self, account_id: AccountId, sealed: Sequence[SealedField]) -> None:
        """Replace all of the account's fields by these."""
        await self.remove(account_id)
        rows = [SEALED.values(one, account_id=account_id) for one in sealed]
        await self._statements.insert(credentials, rows)

    async def load(self, account_id: AccountId) -> tuple[SealedField, ...]:
        """Its fields by name; empty when it has none."""
        wanted = select(*SEALED.columns).where(credentials.c.account_id == account_id)
        rows = await self._statements.rows(wanted.order_by(credentials.c.name))
        return tuple(SEALED.read(row) for row in rows)

    async def remove(self, account_id: AccountId) -> None:
        await self._statements.run(
            delete(credentials).where(credentials.c.account_id == account_id)
        )
