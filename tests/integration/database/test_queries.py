"""Query builders: every row once, newest first, while others are written; on both engines."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest

from alphapulse.database.connection import Database
from alphapulse.database.queries.market import CandleColumns, candle_columns
from alphapulse.database.queries.page import Page
from alphapulse.database.queries.portfolio import (
    FillFilter,
    OrderFilter,
    PositionFilter,
    fill_page,
    order_page,
    position_page,
)
from alphapulse.domain.identifiers import AccountId, ExchangeOrderId, Symbol
from alphapulse.domain.order import OrderStatus, Side
from alphapulse.domain.position import PositionSide
from alphapulse.errors import InvalidInput
from tests.builders import (
    ACCOUNT,
    BINANCE,
    BTC,
    NOW,
    make_account,
    make_candle,
    make_fill,
    make_order,
    make_position,
)

T = TypeVar("T")

SECOND = timedelta(seconds=1)
MAX_PAGES = 20


async def _all(fetch: Callable[[str | None], Awaitable[Page[T]]]) -> list[T]:
    items, cursor = [], None
    for _ in range(MAX_PAGES):
        page = await fetch(cursor)
        items += [listed.item for listed in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return items
    raise AssertionError("the pages have no end")


async def test_pages_hold_every_order_once_and_newest_first(account_database: Database) -> None:
    # Three share each microsecond, as orders of one batch do.
    orders = [make_order(n, created_at=NOW + timedelta(microseconds=n // 3)) for n in range(10)]
    async with account_database.begin() as tx:
        await tx.orders.record(orders, NOW)

    async with account_database.read() as tx:
        found = await _all(lambda cursor: order_page(tx, OrderFilter(), cursor=cursor, limit=4))
    assert (
        found == sorted(orders, key=lambda o: (o.created_at, int(o.exchange_order_id or 0)))[::-1]
    )


async def test_new_rows_between_two_pages_repeat_and_hide_nothing(
    account_database: Database,
) -> None:
    async with account_database.begin() as tx:
        await tx.fills.record([make_fill(n) for n in range(4)], NOW)
    async with account_database.read() as tx:
        first = await fill_page(tx, FillFilter(), limit=2)
    async with account_database.begin() as tx:
        await tx.fills.record([make_fill(n) for n in range(4, 8)], NOW)
    async with account_database.read() as tx:
        second = await fill_page(tx, FillFilter(), cursor=first.next_cursor, limit=2)

    shown = [listed.item for listed in (*first.items, *second.items)]
    assert shown == [make_fill(n) for n in (3, 2, 1, 0)]
    assert second.next_cursor is None


async def test_a_changing_position_keeps_its_place(account_database: Database) -> None:
    long, short = make_position(), make_position(side=PositionSide.SHORT)
    async with account_database.begin() as tx:
        await tx.positions.upsert([long])
        await tx.positions.upsert([replace(short, received_at=NOW + SECOND)])
        moved = replace(long, mark_price=long.entry_price, received_at=NOW + 2 * SECOND)
        await tx.positions.upsert([moved])

    async with account_database.read() as tx:
        page = await position_page(tx, PositionFilter(symbol=long.symbol))
    assert [listed.item for listed in page.items] == [
        replace(short, received_at=NOW + SECOND),
        moved,
    ]


async def test_filters_of_orders_combine(account_database: Database) -> None:
    other = AccountId("account-2")
    wanted = make_order(1, side=Side.SELL, status=OrderStatus.CANCELED)
    async with account_database.begin() as tx:
        await tx.accounts.add(make_account(other))
        await tx.orders.record(
            [
                wanted,
                make_order(2, side=Side.SELL),
                make_order(3, status=OrderStatus.CANCELED),
                make_order(4, side=Side.SELL, status=OrderStatus.CANCELED, account_id=other),
                make_order(5, side=Side.SELL, status=OrderStatus.CANCELED, created_at=NOW + SECOND),
            ],
            NOW,
        )
    closed = [status for status in OrderStatus if status.is_final]
    filter_ = OrderFilter(
        account_ids=[ACCOUNT], side=Side.SELL, statuses=closed, start=NOW, end=NOW + SECOND
    )
    async with account_database.read() as tx:
        page = await order_page(tx, filter_)
        (listed,) = page.items
        assert listed.item == wanted
        assert (await order_page(tx, OrderFilter(id=listed.id))).items == page.items
        assert (await order_page(tx, OrderFilter(account_ids=[]))).items == ()


async def test_the_fills_of_an_order_are_found_by_its_number(account_database: Database) -> None:
    fill = make_fill(2, exchange_order_id=ExchangeOrderId("77"))
    async with account_database.begin() as tx:
        await tx.fills.record([make_fill(1), fill], NOW)
    async with account_database.read() as tx:
        page = await fill_page(tx, FillFilter(exchange_order_ids=[ExchangeOrderId("77")]))
    assert [listed.item for listed in page.items] == [fill]


@pytest.mark.parametrize("limit", [0, 501, -1])
async def test_a_limit_out_of_bounds_is_refused(database: Database, limit: int) -> None:
    async with database.read() as tx:
        with pytest.raises(InvalidInput, match="limit"):
            await order_page(tx, OrderFilter(), limit=limit)


async def test_a_broken_cursor_is_refused(database: Database) -> None:
    async with database.read() as tx:
        with pytest.raises(InvalidInput, match="cursor"):
            await fill_page(tx, FillFilter(), cursor="broken")


async def test_candles_come_as_columns_of_numbers(database: Database) -> None:
    candles = [make_candle(0), make_candle(1, is_closed=False)]
    async with database.begin_market() as tx:
        await tx.candles.upsert(candles)
    async with database.read_market() as tx:
        columns = await candle_columns(
            tx,
            BINANCE,
            BTC,
            candles[0].timeframe,
            start=candles[0].open_time,
            end=NOW + timedelta(hours=1),
            limit=10,
        )
        nothing = await candle_columns(
            tx, BINANCE, Symbol("A/B"), candles[0].timeframe, start=NOW, end=NOW, limit=10
        )
    assert columns == CandleColumns(
        open_time_ms=(1795435200000, 1795435260000),
        open=(64000.1,) * 2,
        high=(64010.2,) * 2,
        low=(63990.3,) * 2,
        close=(64005.4,) * 2,
        volume=(12.345678,) * 2,
        is_closed=(True, False),
    )
    assert nothing == CandleColumns((), (), (), (), (), (), ())
