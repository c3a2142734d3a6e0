"""Query Builders: lots and disposals in pages, newest first."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Column, Table, select

from alphapulse.database.queries.page import Listed, Page, newest_first
from alphapulse.database.repositories.bookkeeping import disposal_of, lot_of
from alphapulse.database.tables.bookkeeping import disposals, lots
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.cost_basis.disposals import Disposal
from alphapulse.domain.cost_basis.lots import Lot, LotId, Method
from alphapulse.domain.identifiers import AccountId, Asset

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LotFilter:
    """Of which books, by which method, in which accounts; ``asset`` ``None`` means any."""

    book_ids: Collection[int]
    method: Method
    account_ids: Collection[AccountId]
    asset: Asset | None = None


async def lot_page(
    tx: UnitOfWork, wanted: LotFilter, *, cursor: str | None = None, limit: int
) -> Page[Lot]:
    """What is held, by when it was acquired. Raises `InvalidInput` for a broken cursor or limit."""
    c = lots.c
    return await _page(tx, wanted, lots, c.lot, c.acquired_at, lot_of, cursor, limit)


async def disposal_page(
    tx: UnitOfWork, wanted: LotFilter, *, cursor: str | None = None, limit: int
) -> Page[Disposal]:
    """What is gone, by when it went. Raises `InvalidInput` for a broken cursor or limit."""
    c = disposals.c
    return await _page(tx, wanted, disposals, c.disposal, c.disposed_at, disposal_of, cursor, limit)


async def held_lots(tx: UnitOfWork, wanted: LotFilter) -> tuple[Lot, ...]:
    """All that is held, within one account and asset in the order it was stored."""
    c = lots.c
    query = select(c.lot).where(
        c.book_id.in_(wanted.book_ids),
        c.method == wanted.method,
        c.account_id.in_(wanted.account_ids),
    )
    return tuple(lot_of(row.lot) for row in await tx.statements.rows(query.order_by(c.id)))


async def lacks_basis(tx: UnitOfWork, wanted: LotFilter, lot_id: LotId) -> bool:
    """Whether a lot of unknown cost is held under this name, or went into a disposal."""
    c = lots.c
    held = select(c.lot).where(c.book_id.in_(wanted.book_ids), c.lot_id == lot_id)
    rows = await tx.statements.rows(held.where(c.account_id.in_(wanted.account_ids)).limit(1))
    if rows:
        return lot_of(rows[0].lot).cost is None
    d = disposals.c
    gone = select(d.disposal).where(
        d.book_id.in_(wanted.book_ids),
        d.account_id.in_(wanted.account_ids),
        d.disposal.contains(lot_id, autoescape=True),
    )
    parts = [part for row in await tx.statements.rows(gone) for part in disposal_of(row[0]).parts]
    return any(part.lot_id == lot_id and part.cost is None for part in parts)


async def _page(
    tx: UnitOfWork,
    wanted: LotFilter,
    table: Table,
    content: Column[str],
    time: Column[datetime],
    read: Callable[[str], T],
    cursor: str | None,
    limit: int,
) -> Page[T]:
    c = table.c
    columns: list[Column[Any]] = [content, c.id]
    query = select(*columns).where(
        c.book_id.in_(wanted.book_ids),
        c.method == wanted.method,
        c.account_id.in_(wanted.account_ids),
    )
    if wanted.asset is not None:
        query = query.where(c.asset == wanted.asset)
    rows, next_cursor = await newest_first(
        tx.statements, query, time=time, id=c.id, cursor=cursor, limit=limit
    )
    listed = [Listed(row_id, read(text)) for text, row_id, *_ in map(tuple, rows)]
    return Page(tuple(listed), next_cursor)
