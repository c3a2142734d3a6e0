"""Repository Pattern Implementation: balances as last reported."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, tuple_

from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.portfolio import balances
from alphapulse.domain.balance import Balance, BalanceReport
from alphapulse.domain.identifiers import AccountId

BALANCE = Rows(Balance, balances)


@dataclass(frozen=True, slots=True)
class StoredBalance:
    """A balance and when it became so; that it is *still* so is the sync status's to say."""

    account_id: AccountId
    balance: Balance
    occurred_at: datetime
    received_at: datetime


class Balances:
    """One balance per account, wallet and asset; none where there is nothing."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def replace(self, report: BalanceReport) -> bool:
        """Make the stored balances what ``report`` says; whether anything differed.

        Of a full report an asset that is absent from one of its wallets is removed; a partial one
        only adds and replaces. Equal balances are not written again.
        """
        mine = balances.c.account_id == report.account_id
        rows = await self._statements.rows(select(*BALANCE.columns).where(mine))
        known = {(b.wallet, b.asset): b for b in map(BALANCE.read, rows)}
        told = {(b.wallet, b.asset): b for b in report.balances}

        changed = [balance for key, balance in told.items() if known.get(key) != balance]
        gone = []
        if not report.is_partial:
            gone = [key for key in known if key[0] in report.wallets and key not in told]

        if gone:
            key = tuple_(balances.c.wallet, balances.c.asset)
            await self._statements.run(delete(balances).where(mine, key.in_(gone)))
        times = {"occurred_at": report.occurred_at, "received_at": report.received_at}
        await self._statements.upsert(
            balances,
            [BALANCE.values(b, account_id=report.account_id, **times) for b in changed],
        )
        return bool(changed or gone)

    async def list(self, account_id: AccountId | None = None) -> tuple[StoredBalance, ...]:
        """Of one account, or of all."""
        c = balances.c
        wanted = select(*BALANCE.columns, c.account_id, c.occurred_at, c.received_at)
        if account_id is not None:
            wanted = wanted.where(c.account_id == account_id)
        rows = await self._statements.rows(wanted.order_by(c.account_id, c.wallet, c.asset))
        return tuple(
            StoredBalance(row.account_id, BALANCE.read(row), row.occurred_at, row.received_at)
            for row in rows
        )
