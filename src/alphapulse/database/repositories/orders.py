"""Repository Pattern Implementation: orders as they move, and every move of them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, or_, select

from alphapulse.database.repositories.fills import FILL, RecordedFills
from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.portfolio import fills, order_events, orders
from alphapulse.domain import order_states
from alphapulse.domain.identifiers import AccountId, ClientOrderId, ExchangeOrderId, Symbol
from alphapulse.domain.order import Fill, Order, OrderOrigin, OrderStatus
from alphapulse.errors import NotFound

ORDER = Rows(Order, orders)
OPEN = [status for status in OrderStatus if status.is_open]
UNSETTLED = [status for status in OrderStatus if not status.is_final]
UNCERTAIN = [status for status in OrderStatus if status.is_uncertain]
NOTHING_CAME = [status for status in OrderStatus if status.came_to_nothing]

# Made once: each order asks these, and to put one together takes longer than to run it.
_OURS = orders.c.origin != OrderOrigin.EXTERNAL
_BY_NAME = select(*ORDER.columns).where(
    orders.c.account_id == bindparam("account_id"),
    orders.c.client_order_id == bindparam("name"),
    _OURS,
)
_BY_NUMBER = select(*ORDER.columns).where(
    orders.c.account_id == bindparam("account_id"),
    orders.c.symbol == bindparam("symbol"),
    orders.c.exchange_order_id == bindparam("number"),
)
_BY_NUMBERS_OR_NAMES = select(*ORDER.columns, orders.c.id).where(
    orders.c.account_id.in_(bindparam("account_ids")),
    or_(
        orders.c.exchange_order_id.in_(bindparam("numbers")),
        _OURS & orders.c.client_order_id.in_(bindparam("names")),
    ),
)
_FILLS = select(*FILL.columns).where(
    fills.c.account_id.in_(bindparam("account_ids")),
    or_(
        fills.c.exchange_order_id.in_(bindparam("numbers")),
        fills.c.client_order_id.in_(bindparam("names")),
    ),
)


@dataclass(frozen=True, slots=True)
class OrderChange:
    """One order before and after; ``before`` is ``None`` for one that was not known."""

    before: Order | None
    after: Order


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """A step in the life of one order."""

    at: datetime
    status: OrderStatus
    filled_quantity: Decimal
    detail: str | None


class Orders:
    """Every order ever seen; an order only moves as `alphapulse.domain.order_states` lets it."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def add(self, order: Order) -> None:
        """An order of ours that was not sent yet."""
        await self._write([OrderChange(None, order)], {})

    async def save(self, order: Order, *, detail: str | None = None) -> None:
        """The next step of an order that is known by its `Order.key`.

        Raises:
            NotFound: no such order.
        """
        stored = await self._stored([order])
        before = _find(stored, order)
        if before is None:
            raise NotFound("no such order", order=order.key)
        await self._write([OrderChange(before, order)], stored, detail=detail)

    async def record(self, described: Sequence[Order], at: datetime) -> tuple[OrderChange, ...]:
        """Take over what the venue says, as far as it is news; what changed.

        A description finds its order by the venue's id, or by the name that we gave it.

        Args:
            described: by the venue, in the order they were told.
            at: now, on our clock.
        """
        if not described:
            return ()
        stored = await self._stored(described)
        known = _Known(order for _, order in stored.values())
        changes: dict[str, OrderChange] = {}
        for order in described:
            for before, after in _taken(known, order, at):
                if after != before:
                    if before is not None and before.exchange_order_id is None:
                        # Its fills may have been told before it.
                        mine = await self._fills_of([after])
                        after = order_states.filled(after, mine, at)
                    first = changes.get(after.key)
                    changes[after.key] = OrderChange(first.before if first else before, after)
                    known.put(after)
        await self._write(changes.values(), stored)
        return tuple(changes.values())

    async def count_in(self, told: RecordedFills, at: datetime) -> tuple[OrderChange, ...]:
        """Let orders follow their fills, which may be told before, or long after, their end.

        An order of which one fill was told in two ways is quarantined.
        """
        stored = await self._of_fills((*told.new, *told.contradicted))
        found = [order for _, order in stored.values()]
        every = await self._fills_of(found)
        changes = []
        for order in found:
            mine = [one for one in every if _belongs(one, order)]
            after = order_states.filled(order, mine, at)
            disputed = (one.trade_id for one in told.contradicted if _belongs(one, order))
            if (trade_id := next(disputed, None)) is not None:
                after = order_states.disputed(after, trade_id, at)
            if after != order:
                changes.append(OrderChange(order, after))
        await self._write(changes, stored)
        return tuple(changes)

    async def load(self, account_id: AccountId, key: str) -> Order:
        """One order by its `Order.key`. Raises `NotFound`."""
        symbol, is_venues, number = key.partition("#")
        row = await (
            self._statements.row(_BY_NUMBER, account_id=account_id, symbol=symbol, number=number)
            if is_venues
            else self._statements.row(_BY_NAME, account_id=account_id, name=key)
        )
        if row is None:
            raise NotFound("no such order", order=key)
        return ORDER.read(row)

    async def open(self, account_id: AccountId) -> tuple[Order, ...]:
        """The account's open orders, oldest first."""
        return await self._in(account_id, orders.c.status.in_(OPEN))

    async def external_in_doubt(self, account_id: AccountId) -> tuple[Order, ...]:
        """Others' orders in the account whose fate is unknown, oldest first."""
        return await self._in(account_id, ~_OURS & orders.c.status.in_(UNCERTAIN))

    async def unsettled(self, account_id: AccountId) -> tuple[Order, ...]:
        """Ours that have not ended for certain: on their way, open, unknown or quarantined."""
        return await self._in(account_id, _OURS & orders.c.status.in_(UNSETTLED))

    async def ours_since(
        self, account_id: AccountId, symbol: Symbol, moment: datetime
    ) -> tuple[Order, ...]:
        """Ours in one market that were made since then."""
        c = orders.c
        mine = _OURS & (c.symbol == symbol) & (c.created_at >= moment)
        return await self._in(account_id, mine)

    async def uncertain(self) -> tuple[Order, ...]:
        """Those of every account whose fate is unknown, oldest first."""
        which = orders.c.status.in_(UNCERTAIN)
        wanted = select(*ORDER.columns).where(which)
        rows = await self._statements.rows(wanted.order_by(orders.c.created_at, orders.c.id))
        return tuple(ORDER.read(row) for row in rows)

    async def quarantined(self) -> tuple[Order, ...]:
        """Those of every account that contradict themselves."""
        mine = select(*ORDER.columns).where(orders.c.status == OrderStatus.QUARANTINED)
        return tuple(ORDER.read(row) for row in await self._statements.rows(mine))

    async def named(
        self, account_id: AccountId, names: Iterable[ClientOrderId]
    ) -> tuple[Order, ...]:
        """Ours with these names."""
        return await self._in(account_id, _OURS & orders.c.client_order_id.in_(set(names)))

    async def events(
        self, account_id: AccountId, keys: Iterable[str]
    ) -> dict[str, list[OrderEvent]]:
        """The steps of some orders, oldest first, by `Order.key`."""
        c = order_events.c
        wanted = select(order_events).where(c.account_id == account_id, c.order_key.in_(set(keys)))
        found: dict[str, list[OrderEvent]] = {}
        for row in await self._statements.rows(wanted.order_by(c.id)):
            event = OrderEvent(row.at, row.status, row.filled_quantity, row.detail)
            found.setdefault(row.order_key, []).append(event)
        return found

    async def _in(self, account_id: AccountId, which: ColumnElement[bool]) -> tuple[Order, ...]:
        c = orders.c
        wanted = select(*ORDER.columns).where(c.account_id == account_id, which)
        rows = await self._statements.rows(wanted.order_by(c.created_at, c.id))
        return tuple(ORDER.read(row) for row in rows)

    async def _stored(self, described: Sequence[Order]) -> "dict[str, _Stored]":
        return await self._find_all(
            {o.account_id for o in described},
            {o.exchange_order_id for o in described if o.exchange_order_id},
            {o.client_order_id for o in described if o.client_order_id},
        )

    async def _of_fills(self, new: Sequence[Fill]) -> "dict[str, _Stored]":
        if not new:
            return {}
        found = await self._find_all(
            {one.account_id for one in new},
            {one.exchange_order_id for one in new},
            {one.client_order_id for one in new if one.client_order_id},
        )
        return {
            key: stored
            for key, stored in found.items()
            if any(_belongs(one, stored[1]) for one in new)
        }

    async def _find_all(
        self,
        account_ids: Collection[AccountId],
        numbers: Collection[ExchangeOrderId],
        names: Collection[ClientOrderId],
    ) -> "dict[str, _Stored]":
        rows = await self._statements.rows(
            _BY_NUMBERS_OR_NAMES, account_ids=account_ids, numbers=numbers, names=names
        )
        return {order.key: (row_id, order) for row_id, order in map(_read, rows)}

    async def _fills_of(self, found: Sequence[Order]) -> list[Fill]:
        if not found:
            return []
        rows = await self._statements.rows(
            _FILLS,
            account_ids={order.account_id for order in found},
            numbers={o.exchange_order_id for o in found},
            names={o.client_order_id for o in found if o.is_ours},
        )
        every = [FILL.read(row) for row in rows]
        return [one for one in every if any(_belongs(one, order) for order in found)]

    async def _write(
        self,
        changes: Iterable[OrderChange],
        stored: "dict[str, _Stored]",
        *,
        detail: str | None = None,
    ) -> None:
        changes = list(changes)
        ids = {key: row_id for key, (row_id, _) in stored.items()}
        new = [ORDER.values(c.after) for c in changes if c.after.key not in ids]
        old = [ORDER.values(c.after, id=ids[c.after.key]) for c in changes if c.after.key in ids]
        await self._statements.insert(orders, new)
        await self._statements.upsert(orders, old, key=("id",))
        await self._statements.insert(
            order_events, [_event(c, detail) for c in changes if detail or _is_step(c)]
        )


_Stored = tuple[int, Order]
"""The row's id, and the order in it."""


def _read(row: Row[Any]) -> _Stored:
    return row[-1], ORDER.read(row)


def _find(known: dict[str, _Stored], order: Order) -> Order | None:
    found = known.get(order.key)
    return None if found is None else found[1]


class _Known:
    """Orders that a description may be about. An account may have thousands open, and each list of
    them describes every one."""

    def __init__(self, found: Iterable[Order]) -> None:
        self._numbered: dict[tuple[object, ...], Order] = {}
        self._named: dict[tuple[object, ...], Order] = {}
        for order in found:
            self.put(order)

    def put(self, order: Order) -> None:
        if order.exchange_order_id is not None:
            self._numbered[order.account_id, order.symbol, order.exchange_order_id] = order
        if order.is_ours:
            self._named[order.account_id, order.client_order_id] = order

    def numbered_as(self, order: Order) -> Order | None:
        """The one with the venue's number of ``order``."""
        return self._numbered.get((order.account_id, order.symbol, order.exchange_order_id))

    def named_as(self, order: Order) -> Order | None:
        """The one to which we gave the name of ``order``."""
        return self._named.get((order.account_id, order.client_order_id))


def _taken(known: _Known, order: Order, at: datetime) -> list[tuple[Order | None, Order]]:
    """What is to be kept after the venue described ``order``: before and after, of one or two."""
    if (same := known.numbered_as(order)) is not None:
        return [(same, order_states.told(same, order, at))]
    named = known.named_as(order)
    if order.client_order_id is None or named is None:
        return [(None, order)]
    after = order_states.told(named, order, at)
    if named.exchange_order_id is None:
        return [(named, after)]
    # A second order at the venue under the name of the first: both are real.
    return [(named, after), (None, replace(order, origin=OrderOrigin.EXTERNAL))]


def _belongs(fill: Fill, order: Order) -> bool:
    if (fill.account_id, fill.symbol) != (order.account_id, order.symbol):
        return False
    if order.exchange_order_id is None:
        return order.is_ours and fill.client_order_id == order.client_order_id
    return fill.exchange_order_id == order.exchange_order_id


def _is_step(change: OrderChange) -> bool:
    before, after = change.before, change.after
    return before is None or (before.status, before.filled_quantity, before.limit_price) != (
        after.status,
        after.filled_quantity,
        after.limit_price,
    )


def _event(change: OrderChange, detail: str | None) -> dict[str, object]:
    order = change.after
    return {
        "account_id": order.account_id,
        "order_key": order.key,
        "at": order.updated_at,
        "status": order.status,
        "filled_quantity": order.filled_quantity,
        "detail": detail or order.status_reason,
    }
