"""Repository Pattern Implementation: open positions as last reported."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import ColumnElement, delete, select, tuple_

from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.portfolio import positions
from alphapulse.domain.identifiers import AccountId, ExchangeId, Symbol
from alphapulse.domain.position import Position, PositionSide

POSITION = Rows(Position, positions)
KEY = ("account_id", "symbol", "side")

_Key: TypeAlias = tuple[AccountId, Symbol, PositionSide]


class Positions:
    """One position per account, symbol and side; a closed one is absent."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def replace(
        self,
        account_id: AccountId,
        exchange: ExchangeId,
        open_now: Sequence[Position],
        received_at: datetime,
    ) -> bool:
        """Make ``open_now`` all that the account has; whether anything differed."""
        mine = (positions.c.account_id == account_id) & (positions.c.exchange == exchange)
        known = await self._known(mine)
        told = {_key(p): replace(p, received_at=received_at) for p in open_now if p.quantity}
        return await self._write(known, told, gone=[key for key in known if key not in told])

    async def upsert(self, changed: Sequence[Position]) -> bool:
        """Take over single positions; one of quantity 0 is closed. Whether anything differed."""
        if not changed:
            return False
        known = await self._known(positions.c.account_id.in_({p.account_id for p in changed}))
        told = {_key(p): p for p in changed}
        closed = [key for key, p in told.items() if not p.quantity and key in known]
        still_open = {key: p for key, p in told.items() if p.quantity}
        return await self._write(known, still_open, gone=closed)

    async def list(self, account_id: AccountId | None = None) -> tuple[Position, ...]:
        """Of one account, or of all."""
        c = positions.c
        wanted = select(*POSITION.columns).order_by(c.account_id, c.symbol, c.side)
        if account_id is not None:
            wanted = wanted.where(c.account_id == account_id)
        return tuple(POSITION.read(row) for row in await self._statements.rows(wanted))

    async def _known(self, which: ColumnElement[bool]) -> dict[_Key, Position]:
        rows = await self._statements.rows(select(*POSITION.columns).where(which))
        return {_key(p): p for p in map(POSITION.read, rows)}

    async def _write(
        self, known: dict[_Key, Position], told: dict[_Key, Position], *, gone: Iterable[_Key]
    ) -> bool:
        gone = list(gone)
        if gone:
            key = tuple_(*(positions.c[name] for name in KEY))
            await self._statements.run(delete(positions).where(key.in_(gone)))
        changed = [p for key, p in told.items() if key not in known or _differs(p, known[key])]
        await self._statements.upsert(
            positions,
            [POSITION.values(p, first_seen_at=p.received_at) for p in changed],
            key=KEY,
            keep=["first_seen_at"],
        )
        return bool(changed or gone)


def _key(position: Position) -> _Key:
    return (position.account_id, position.symbol, position.side)


def _differs(told: Position, known: Position) -> bool:
    # A later look at the same position is no change.
    return replace(told, occurred_at=known.occurred_at, received_at=known.received_at) != known
