"""Repository Pattern Implementation: intents, durable before anything is sent."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, bindparam, func, select

from alphapulse.database.repositories.orders import NOTHING_CAME, UNSETTLED
from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.portfolio import orders
from alphapulse.database.tables.trading import intents
from alphapulse.domain.funds import Hold, left_of
from alphapulse.domain.identifiers import AccountId, Asset, ClientOrderId, UserId
from alphapulse.domain.intent import Intent
from alphapulse.domain.money import total
from alphapulse.domain.order import OrderRequest
from alphapulse.errors import NotFound

INTENT = Rows(Intent, intents)

_BY_NAME = select(*INTENT.columns).where(intents.c.client_order_id == bindparam("name"))


class Intents:
    """One for each order of ours."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def add(self, intent: Intent) -> None:
        """Raises `Conflict` when there is one of this name."""
        await self._statements.insert(intents, [_values(intent)])

    async def save(self, intent: Intent) -> None:
        """The next step of its sending."""
        await self._statements.upsert(intents, [_values(intent)])

    async def load(self, client_order_id: ClientOrderId) -> Intent:
        """Raises `NotFound`."""
        row = await self._statements.row(_BY_NAME, name=client_order_id)
        if row is None:
            raise NotFound("no such intent", order=client_order_id)
        return _read(row)

    async def named(self, names: Iterable[ClientOrderId]) -> dict[ClientOrderId, Intent]:
        """Those of these names, by name."""
        wanted = select(*INTENT.columns).where(intents.c.client_order_id.in_(set(names)))
        found = map(_read, await self._statements.rows(wanted))
        return {intent.client_order_id: intent for intent in found}

    async def watched(self, account_id: AccountId, now: datetime) -> tuple[Intent, ...]:
        """Those that were found not placed and are still looked for."""
        mine = select(*INTENT.columns).where(
            intents.c.account_id == account_id, intents.c.watched_until > now
        )
        return tuple(map(_read, await self._statements.rows(mine)))

    async def holds(self, account_id: AccountId) -> tuple[Hold, ...]:
        """What orders that have not ended for certain hold back, one for each."""
        live = (orders.c.account_id == account_id) & orders.c.status.in_(UNSETTLED)
        o, c = orders.c, intents.c
        quantity = func.coalesce(o.amending_to, o.quantity).label("quantity")
        rows = await self._statements.rows(
            select(o.symbol, o.status, quantity, o.filled_quantity, c.reserved_asset, c.reserved)
            .join(orders, _SAME)
            .where(live, c.reserved_asset.is_not(None))
        )
        return tuple(
            Hold(
                row.symbol,
                Asset(row.reserved_asset),
                left_of(row.reserved, row.quantity, row.filled_quantity),
                is_at_venue=row.status.is_open,
            )
            for row in rows
        )

    async def paced(
        self,
        moment: datetime,
        *,
        account_id: AccountId | None = None,
        user_id: UserId | None = None,
    ) -> tuple[int, datetime | None]:
        """How many were made since then for one account or one user, and when the oldest was."""
        c = intents.c
        figures: list[ColumnElement[Any]] = [
            func.count().label("n"),
            func.min(c.created_at).label("oldest"),
        ]
        row = await self._statements.row(
            select(*figures).where(c.created_at >= moment, *_of(account_id, user_id))
        )
        return (0, None) if row is None else (int(row.n), row.oldest)

    async def value_undone(
        self,
        since: datetime,
        *,
        account_id: AccountId | None = None,
        user_id: UserId | None = None,
    ) -> Decimal:
        """The value of those made since then of which nothing came: it is free to use again."""
        came_to_nothing = orders.c.status.in_(NOTHING_CAME) & (orders.c.created_at >= since)
        rows = await self._statements.rows(
            select(intents.c.value)
            .join(orders, _SAME)
            .where(came_to_nothing, intents.c.value.is_not(None), *_of(account_id, user_id))
        )
        return total([row.value for row in rows])


_SAME = (orders.c.account_id == intents.c.account_id) & (
    orders.c.client_order_id == intents.c.client_order_id
)


def _of(account_id: AccountId | None, user_id: UserId | None) -> Iterator[ColumnElement[bool]]:
    if account_id is not None:
        yield intents.c.account_id == account_id
    if user_id is not None:
        yield intents.c.user_id == user_id


def _values(intent: Intent) -> dict[str, object]:
    request = msgspec.json.encode(intent.request).decode()
    return INTENT.values(intent, request=request)


def _read(row: Row[Any]) -> Intent:
    stored = INTENT.read(row)
    request = msgspec.json.decode(str(stored.request), type=OrderRequest)
    return replace(stored, request=request)
