"""Repository Pattern Implementation: orders as the exchange last described them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from sqlalchemy import select

from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.portfolio import orders
from alphapulse.domain.identifiers import AccountId, ExchangeOrderId, Symbol
from alphapulse.domain.order import Order, OrderOrigin, OrderStatus

ORDER = Rows(Order, orders)
KEY = ("account_id", "symbol", "exchange_order_id")
OPEN = [status for status in OrderStatus if status.is_open]

_Key: TypeAlias = tuple[AccountId, Symbol, ExchangeOrderId]


class Orders:
    """Every order ever seen; an order only moves forward."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def record(self, described: Sequence[Order]) -> tuple[Order, ...]:
        """Take over what is newer than what is stored; the orders that changed, as stored now.

        Filled quantity never falls and a final state never reopens (`Order.is_newer_than`).
        """
        if not described:
            return ()
        known = await self._known(described)
        changed: dict[_Key, Order] = {}
        for order in described:
            before = changed.get(_key(order)) or known.get(_key(order))
            after = order if before is None else _merged(before, order)
            if after != before:
                changed[_key(order)] = after
        await self._statements.upsert(orders, [ORDER.values(o) for o in changed.values()], key=KEY)
        return tuple(changed.values())

    async def open(self, account_id: AccountId) -> tuple[Order, ...]:
        """The account's open orders, oldest first."""
        c = orders.c
        wanted = select(*ORDER.columns).where(c.account_id == account_id, c.status.in_(OPEN))
        rows = await self._statements.rows(wanted.order_by(c.created_at, c.id))
        return tuple(ORDER.read(row) for row in rows)

    async def _known(self, described: Iterable[Order]) -> dict[_Key, Order]:
        wanted = select(*ORDER.columns).where(
            orders.c.account_id.in_({o.account_id for o in described}),
            orders.c.exchange_order_id.in_({o.exchange_order_id for o in described}),
        )
        return {_key(o): o for o in map(ORDER.read, await self._statements.rows(wanted))}


def _key(order: Order) -> _Key:
    return (order.account_id, order.symbol, order.exchange_order_id)


def _merged(known: Order, told: Order) -> Order:
    """What is to be stored: ``known`` where ``told`` brings nothing new."""
    if told == known or not told.is_newer_than(known):
        return known
    merged = replace(
        told,
        # A poll may leave out what the stream, or we ourselves, knew.
        client_order_id=told.client_order_id or known.client_order_id,
        origin=known.origin if told.origin is OrderOrigin.EXTERNAL else told.origin,
        created_at=known.created_at,
    )
    # A later look at the same order is no change.
    return known if replace(merged, updated_at=known.updated_at) == known else merged
