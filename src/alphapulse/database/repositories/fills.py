"""Repository Pattern Implementation: fills, and how far each account's fills have been read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import TypeAlias

from loguru import logger
from sqlalchemy import func, select

from alphapulse.database.repositories.ledger import Ledger
from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.portfolio import HAS_NO_FEE, fill_cursors, fills
from alphapulse.domain.identifiers import AccountId, Symbol
from alphapulse.domain.ledger import entry_of_fill, late_fee_of
from alphapulse.domain.order import Fill
from alphapulse.domain.sync import FillCursor

FILL = Rows(Fill, fills)
KEY = ("account_id", "symbol", "trade_id")

# A stream may leave these out where REST tells them.
BLANKS = ("client_order_id", "fee", "fee_asset", "is_maker")

_Key: TypeAlias = tuple[AccountId, Symbol, str]


@dataclass(frozen=True, slots=True)
class RecordedFills:
    """What was told: ``new`` ones, and ``contradicted`` ones that were told differently before."""

    new: tuple[Fill, ...] = ()
    contradicted: tuple[Fill, ...] = ()


class Fills:
    """Each fill once, however often and in whatever order it is told, and its ledger entry."""

    def __init__(self, statements: Statements, ledger: Ledger) -> None:
        self._statements = statements
        self._ledger = ledger

    async def record(self, told: Sequence[Fill], now: datetime) -> RecordedFills:
        """Store what is not there yet; the new fills, in the order they were told.

        What a stored fill left blank is filled in. A fill that is told *differently* is not
        believed: the first version stays, and the contradiction is logged.
        """
        if not told:
            return RecordedFills()
        known = await self._known(told)
        new: dict[_Key, Fill] = {}
        completed: dict[_Key, Fill] = {}
        contradicted: list[Fill] = []
        for fill in told:
            key = _key(fill)
            before = new.get(key) or completed.get(key) or known.get(key)
            after = fill if before is None else _completed(before, fill)
            if after is None:
                contradicted.append(fill)
                continue
            if before is None or key in new:
                new[key] = after
            elif after != before:
                completed[key] = after
        rows = [FILL.values(fill) for fill in (*new.values(), *completed.values())]
        await self._statements.upsert(fills, rows, key=KEY)
        late = [fill for key, fill in completed.items() if known[key].fee is None and fill.fee]
        entries = [*map(entry_of_fill, new.values()), *map(late_fee_of, late)]
        await self._ledger.record(entries, now)
        return RecordedFills(tuple(new.values()), tuple(contradicted))

    async def since(self, account_id: AccountId, moment: datetime) -> tuple[Fill, ...]:
        """The account's fills from that moment of the venue's clock on, oldest first."""
        c = fills.c
        mine = select(*FILL.columns).where(c.account_id == account_id, c.occurred_at >= moment)
        rows = await self._statements.rows(mine.order_by(c.occurred_at, c.id))
        return tuple(FILL.read(row) for row in rows)

    async def is_fee_in_doubt(self, account_id: AccountId, after: datetime) -> bool:
        """Whether the venue has yet to tell the fee of a fill executed after that moment."""
        c = fills.c
        mine = select(c.id).where(c.account_id == account_id, c.occurred_at > after)
        return bool(await self._statements.rows(mine.where(HAS_NO_FEE).limit(1)))

    async def symbols(self, account_id: AccountId) -> tuple[Symbol, ...]:
        """Every symbol in which the account ever had a fill."""
        mine = select(fills.c.symbol).where(fills.c.account_id == account_id).distinct()
        return tuple(row.symbol for row in await self._statements.rows(mine.order_by("symbol")))

    async def last_trades(self) -> dict[tuple[AccountId, Symbol], datetime]:
        """When each account last traded in each market."""
        c = fills.c
        wanted = select(c.account_id, c.symbol, func.max(c.occurred_at).label("last_at"))
        rows = await self._statements.rows(wanted.group_by(c.account_id, c.symbol))
        return {(row.account_id, row.symbol): row.last_at for row in rows}

    async def _known(self, told: Iterable[Fill]) -> dict[_Key, Fill]:
        wanted = select(*FILL.columns).where(
            fills.c.account_id.in_({f.account_id for f in told}),
            fills.c.symbol.in_({f.symbol for f in told}),
            fills.c.trade_id.in_({f.trade_id for f in told}),
        )
        return {_key(f): f for f in map(FILL.read, await self._statements.rows(wanted))}


def _key(fill: Fill) -> _Key:
    return (fill.account_id, fill.symbol, fill.trade_id)


def _completed(known: Fill, told: Fill) -> Fill | None:
    """``known`` with what it left blank; ``None`` when they contradict each other."""
    if told == known:
        return known
    blanks = {n: getattr(told, n) for n in BLANKS if getattr(known, n) is None}
    completed = replace(known, **blanks)
    silent = {n: getattr(completed, n) for n in BLANKS if getattr(told, n) is None}
    if replace(told, occurred_at=known.occurred_at, **silent) == completed:
        return completed
    differing = [f.name for f in fields(Fill) if getattr(told, f.name) != getattr(known, f.name)]
    logger.bind(account_id=known.account_id, symbol=known.symbol, trade_id=known.trade_id).warning(
        "the exchange tells a fill differently than before; the first version stays: {}", differing
    )
    return None


@dataclass(frozen=True, slots=True)
class StoredCursor:
    """Where a reading stands, and whether it has reached the end once."""

    cursor: FillCursor
    complete: bool


class FillCursors:
    """One cursor per account, or per account and symbol, as the venue needs."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def save(self, account_id: AccountId, cursor: FillCursor, complete: bool) -> None:
        """Move a cursor; in the same unit of work as the fills before it."""
        row = {
            "account_id": account_id,
            "symbol": cursor.symbol or "",
            "position": cursor.position,
            "is_complete": complete,
        }
        await self._statements.upsert(fill_cursors, [row])

    async def list(self, account_id: AccountId) -> tuple[StoredCursor, ...]:
        """All of the account's, by symbol."""
        c = fill_cursors.c
        wanted = select(fill_cursors).where(c.account_id == account_id).order_by(c.symbol)
        return tuple(
            StoredCursor(FillCursor(row.symbol or None, row.position), row.is_complete)
            for row in await self._statements.rows(wanted)
        )
