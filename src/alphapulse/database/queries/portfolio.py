"""Query Builders: orders, fills and positions in pages, newest first."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Table, select

from alphapulse.database.queries.page import Listed, Page, newest_first
from alphapulse.database.repositories.fills import FILL
from alphapulse.database.repositories.orders import ORDER
from alphapulse.database.repositories.positions import POSITION
from alphapulse.database.repositories.rows import Rows
from alphapulse.database.tables.portfolio import fills, orders, positions
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.identifiers import (
    AccountId,
    ClientOrderId,
    ExchangeId,
    ExchangeOrderId,
    Symbol,
)
from alphapulse.domain.order import Fill, Order, OrderOrigin, OrderStatus, OrderType, Side
from alphapulse.domain.position import Position

T = TypeVar("T")

Condition: TypeAlias = ColumnElement[bool] | None

DEFAULT_LIMIT = 100


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders; ``None`` means any. Created in ``start <= t < end``."""

    account_ids: Collection[AccountId] | None = None
    exchange: ExchangeId | None = None
    symbol: Symbol | None = None
    side: Side | None = None
    type: OrderType | None = None
    statuses: Collection[OrderStatus] | None = None
    origin: OrderOrigin | None = None
    id: int | None = None
    client_order_id: ClientOrderId | None = None
    exchange_order_id: ExchangeOrderId | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class FillFilter:
    """Which fills; ``None`` means any. Executed in ``start <= t < end``."""

    account_ids: Collection[AccountId] | None = None
    exchange: ExchangeId | None = None
    symbol: Symbol | None = None
    side: Side | None = None
    exchange_order_ids: Collection[ExchangeOrderId] | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class PositionFilter:
    """Which open positions; ``None`` means any."""

    account_ids: Collection[AccountId] | None = None
    exchange: ExchangeId | None = None
    symbol: Symbol | None = None


async def order_page(
    tx: UnitOfWork, wanted: OrderFilter, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
) -> Page[Order]:
    """Orders by when they were created. Raises `InvalidInput` for a broken cursor or limit."""
    c = orders.c
    conditions = [
        _among(c.account_id, wanted.account_ids),
        _equal(c.exchange, wanted.exchange),
        _equal(c.symbol, wanted.symbol),
        _equal(c.side, wanted.side),
        _equal(c.type, wanted.type),
        _among(c.status, wanted.statuses),
        _equal(c.origin, wanted.origin),
        _equal(c.id, wanted.id),
        _equal(c.client_order_id, wanted.client_order_id),
        _equal(c.exchange_order_id, wanted.exchange_order_id),
        *_within(c.created_at, wanted.start, wanted.end),
    ]
    return await _page(tx, ORDER, orders, "created_at", conditions, cursor, limit)


async def fill_page(
    tx: UnitOfWork, wanted: FillFilter, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
) -> Page[Fill]:
    """Fills by when they were executed. Raises `InvalidInput` for a broken cursor or limit."""
    c = fills.c
    conditions = [
        _among(c.account_id, wanted.account_ids),
        _equal(c.exchange, wanted.exchange),
        _equal(c.symbol, wanted.symbol),
        _equal(c.side, wanted.side),
        _among(c.exchange_order_id, wanted.exchange_order_ids),
        *_within(c.occurred_at, wanted.start, wanted.end),
    ]
    return await _page(tx, FILL, fills, "occurred_at", conditions, cursor, limit)


async def position_page(
    tx: UnitOfWork, wanted: PositionFilter, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
) -> Page[Position]:
    """Open positions by when they were first seen. Raises `InvalidInput` as above."""
    c = positions.c
    conditions = [
        _among(c.account_id, wanted.account_ids),
        _equal(c.exchange, wanted.exchange),
        _equal(c.symbol, wanted.symbol),
    ]
    return await _page(tx, POSITION, positions, "first_seen_at", conditions, cursor, limit)


def _equal(column: ColumnElement[Any], value: object | None) -> Condition:
    return None if value is None else column == value


def _among(column: ColumnElement[Any], values: Collection[object] | None) -> Condition:
    return None if values is None else column.in_(values)


def _within(
    column: ColumnElement[datetime], start: datetime | None, end: datetime | None
) -> list[Condition]:
    return [
        None if start is None else column >= start,
        None if end is None else column < end,
    ]


async def _page(
    tx: UnitOfWork,
    rows: Rows[T],
    table: Table,
    time: str,
    conditions: list[Condition],
    cursor: str | None,
    limit: int,
) -> Page[T]:
    wanted = select(*rows.columns).where(*(c for c in conditions if c is not None))
    found, next_cursor = await newest_first(
        tx.statements, wanted, time=table.c[time], id=table.c.id, cursor=cursor, limit=limit
    )
    return Page(tuple(Listed(row[-1], rows.read(row)) for row in found), next_cursor)
