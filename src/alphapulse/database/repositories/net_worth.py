"""Repository Pattern Implementation: net worth over time."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, exists, func, select

from alphapulse.database.repositories.ledger import ENTRY_COLUMNS, Ledger
from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.ledger import ledger_entries
from alphapulse.database.tables.net_worth import net_worth, net_worth_flows
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.ledger import RecordedEntry
from alphapulse.domain.net_worth import FLOW_KINDS, Worth, WorthFlow

WORTH = Rows(Worth, net_worth)
FLOW = Rows(WorthFlow, net_worth_flows)

ENTRIES_AT_ONCE = 1000
MOMENTS_AT_ONCE = 5000

_W = net_worth.c
_F = net_worth_flows.c
_E = ledger_entries.c


class NetWorth:
    """One line per account, currency and moment; one per flow and currency."""

    def __init__(self, statements: Statements, ledger: Ledger) -> None:
        self._statements = statements
        self._ledger = ledger

    async def add(self, worths: Sequence[Worth]) -> None:
        """Store lines; those of accounts that were removed meanwhile must not be among them."""
        rows = [WORTH.values(one) | {"unpriced": " ".join(one.unpriced)} for one in worths]
        await self._statements.upsert(net_worth, rows)

    async def add_flows(self, flows: Sequence[WorthFlow]) -> None:
        await self._statements.upsert(net_worth_flows, [FLOW.values(one) for one in flows])

    async def unsettled(self, after_id: int) -> tuple[RecordedEntry, ...]:
        """Entries recorded after a row that may have brought something into an account since its
        first moment, and of which that is not stored yet; in the order of recording."""
        is_known = exists().where(_F.entry_id == _E.id)
        first_at = select(func.min(_W.at)).where(_W.account_id == _E.account_id).scalar_subquery()
        wanted = (
            select(*ENTRY_COLUMNS)
            .where(_E.id > after_id, _E.kind.in_(FLOW_KINDS), _E.occurred_at > first_at, ~is_known)
            .order_by(_E.id)
            .limit(ENTRIES_AT_ONCE)
        )
        return await self._ledger.with_postings(await self._statements.rows(wanted))

    async def worths(
        self, account_ids: Collection[AccountId], start: datetime, end: datetime
    ) -> tuple[Worth, ...]:
        """In every currency, of ``start <= t < end``, in the order of time."""
        wanted = select(*WORTH.columns).where(_W.account_id.in_(account_ids))
        return await self._worths(wanted.where(_W.at >= start, _W.at < end))

    async def series(
        self, account_ids: Collection[AccountId], currency: Asset, start: datetime, end: datetime
    ) -> tuple[tuple[Worth, ...], tuple[WorthFlow, ...]]:
        """Lines and flows of ``start <= t < end`` in one currency, each in the order of time."""
        mine = _W.account_id.in_(account_ids) & (_W.currency == currency)
        worths = select(*WORTH.columns).where(mine, _W.at >= start, _W.at < end)
        flows = select(*FLOW.columns).where(
            _F.account_id.in_(account_ids), _F.currency == currency, _F.at >= start, _F.at < end
        )
        rows = await self._statements.rows(flows.order_by(_F.at, _F.entry_id))
        return await self._worths(worths), tuple(FLOW.read(row) for row in rows)

    async def began_at(
        self, account_ids: Collection[AccountId], currency: Asset
    ) -> datetime | None:
        """The first moment of any of the accounts."""
        wanted = select(func.min(_W.at))
        wanted = wanted.where(_W.account_id.in_(account_ids), _W.currency == currency)
        row = await self._statements.row(wanted)
        return None if row is None else row[0]

    async def forget(self, moments: Iterable[datetime]) -> None:
        """Every line of these moments."""
        every = list(moments)
        for start in range(0, len(every), MOMENTS_AT_ONCE):
            some = every[start : start + MOMENTS_AT_ONCE]
            await self._statements.run(delete(net_worth).where(_W.at.in_(some)))

    async def _worths(self, wanted: Select[Any]) -> tuple[Worth, ...]:
        rows = await self._statements.rows(wanted.order_by(_W.at, _W.account_id))
        return tuple(_worth(row) for row in rows)


def _worth(row: Row[Any]) -> Worth:
    return replace(WORTH.read(row), unpriced=tuple(row.unpriced.split()))
