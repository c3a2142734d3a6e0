"""Repository Pattern Implementation: intents, durable before anything is sent."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, func, select

from alphapulse.database.repositories.orders import UNSETTLED
from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.portfolio import orders
from alphapulse.database.tables.trading import intents
from alphapulse.domain.identifiers import AccountId, Asset, ClientOrderId, UserId
from alphapulse.domain.intent import Intent
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.order import OrderRequest
from alphapulse.errors import NotFound

INTENT = Rows(Intent, intents)


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
        wanted = select(*INTENT.columns).where(intents.c.client_order_id == client_order_id)
        row = await self._statements.row(wanted)
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

    async def reserved(self, account_id: AccountId) -> dict[Asset, Decimal]:
        """What orders that have not ended for certain hold back, by asset."""
        live = (orders.c.account_id == account_id) & orders.c.status.in_(UNSETTLED)
        rows = await self._statements.rows(
            select(intents.c.reserved_asset, intents.c.reserved)
            .join(orders, orders.c.client_order_id == intents.c.client_order_id)
            .where(live, intents.c.reserved_asset.is_not(None))
        )
        held: dict[Asset, Decimal] = {}
        for row in rows:
            asset = Asset(row.reserved_asset)
            held[asset] = EXACT.add(held.get(asset, ZERO), row.reserved)
        return held

    async def count_since(
        self,
        moment: datetime,
        *,
        account_id: AccountId | None = None,
        user_id: UserId | None = None,
    ) -> int:
        """How many were made since then, for one account or one user."""
        c = intents.c
        which: ColumnElement[bool] = c.created_at >= moment
        if account_id is not None:
            which &= c.account_id == account_id
        if user_id is not None:
            which &= c.user_id == user_id
        row = await self._statements.row(select(func.count().label("n")).where(which))
        return 0 if row is None else int(row.n)


def _values(intent: Intent) -> dict[str, object]:
    request = msgspec.json.encode(intent.request).decode()
    return INTENT.values(intent, request=request)


def _read(row: Row[Any]) -> Intent:
    stored = INTENT.read(row)
    request = msgspec.json.decode(str(stored.request), type=OrderRequest)
    return replace(stored, request=request)
