"""Repository Pattern Implementation: accounts. Removing one removes everything of it."""

from typing import Any

from sqlalchemy import Row, delete, select

from alphapulse.database.statements import Statements
from alphapulse.database.tables.portfolio import accounts
from alphapulse.domain.account import Account, Permissions
from alphapulse.domain.identifiers import AccountId
from alphapulse.errors import NotFound


class Accounts:
    """Every account, whoever owns it."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def add(self, account: Account) -> None:
        """Raises `Conflict` when the id is taken."""
        await self._statements.insert(accounts, [_values(account)])

    async def save(self, account: Account) -> None:
        """Replace an account that exists; raises `NotFound`."""
        update = accounts.update().where(accounts.c.id == account.id).values(**_values(account))
        if not await self._statements.run(update):
            raise NotFound("no such account", account=account.id)

    async def load(self, account_id: AccountId) -> Account:
        row = await self._statements.row(select(accounts).where(accounts.c.id == account_id))
        if row is None:
            raise NotFound("no such account", account=account_id)
        return _account(row)

    async def list(self) -> tuple[Account, ...]:
        """The oldest first."""
        ordered = select(accounts).order_by(accounts.c.created_at, accounts.c.id)
        return tuple(_account(row) for row in await self._statements.rows(ordered))

    async def remove(self, account_id: AccountId) -> None:
        """Remove it with its key, balances, positions, orders, fills and status."""
        if not await self._statements.run(delete(accounts).where(accounts.c.id == account_id)):
            raise NotFound("no such account", account=account_id)


def _values(account: Account) -> dict[str, object]:
    may = account.permissions
    return {
        "id": account.id,
        "owner_id": account.owner_id,
        "exchange": account.exchange,
        "label": account.label,
        "state": account.state,
        "state_reason": account.state_reason,
        "is_simulated": account.is_simulated,
        "may_read": may.read,
        "may_trade": may.trade,
        "may_withdraw": may.withdraw,
        "is_ip_restricted": may.ip_restricted,
        "key_expires_at": may.expires_at,
        "permissions_checked_at": account.permissions_checked_at,
        "created_at": account.created_at,
        "updated_at": account.updated_at,
    }


def _account(row: Row[Any]) -> Account:
    return Account(
        id=row.id,
        owner_id=row.owner_id,
        exchange=row.exchange,
        label=row.label,
        state=row.state,
        state_reason=row.state_reason,
        is_simulated=row.is_simulated,
        permissions=Permissions(
            read=row.may_read,
            trade=row.may_trade,
            withdraw=row.may_withdraw,
            ip_restricted=row.is_ip_restricted,
            expires_at=row.key_expires_at,
        ),
        permissions_checked_at=row.permissions_checked_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
