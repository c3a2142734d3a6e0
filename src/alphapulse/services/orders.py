"""Orders: what was placed at the exchanges and what came of it, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from alphapulse.database.connection import Database
from alphapulse.database.queries.portfolio import FillFilter, OrderFilter, fill_page, order_page
from alphapulse.database.repositories.fills import StoredCursor
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.account import Account
from alphapulse.domain.identifiers import AccountId, ExchangeOrderId, Symbol
from alphapulse.domain.order import Fill, Order

FILLS_MAX = 500
"""Of one page of orders; the newest. More come with a smaller page."""

OrderKey = tuple[AccountId, Symbol, ExchangeOrderId | None]


@dataclass(frozen=True, slots=True)
class OrdersPage:
    """``fills`` is ``None`` when they were not asked for; ``cursors`` say how far back the fills
    of each account are known."""

    orders: tuple[Order, ...]
    fills: dict[OrderKey, list[Fill]] | None
    cursors: dict[AccountId, tuple[StoredCursor, ...]]
    next_cursor: str | None


class OrderService:
    """Reads the database; live orders are in the live state."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        accounts: Sequence[Account],
        wanted: OrderFilter,
        *,
        with_fills: bool,
        cursor: str | None,
        limit: int,
    ) -> OrdersPage:
        """Orders of ``accounts``, newest first; ``wanted`` may name some of them, never others.

        Raises:
            InvalidInput: a cursor that is not ours.
        """
        allowed = {account.id for account in accounts}
        asked = wanted.account_ids
        account_ids = allowed if asked is None else allowed & set(asked)
        wanted = replace(wanted, account_ids=account_ids)
        async with self._database.read() as unit:
            page = await order_page(unit, wanted, cursor=cursor, limit=limit)
            orders = tuple(listed.item for listed in page.items)
            return OrdersPage(
                orders=orders,
                fills=await _fills_of(unit, orders) if with_fills else None,
                cursors={one: await unit.fill_cursors.list(one) for one in sorted(allowed)},
                next_cursor=page.next_cursor,
            )


def key_of(one: Order | Fill) -> OrderKey:
    """What ties a fill to its order: venues number orders per symbol."""
    return one.account_id, one.symbol, one.exchange_order_id


async def _fills_of(unit: UnitOfWork, orders: Sequence[Order]) -> dict[OrderKey, list[Fill]]:
    wanted = FillFilter(
        account_ids={order.account_id for order in orders},
        exchange_order_ids={o.exchange_order_id for o in orders if o.exchange_order_id},
    )
    found: dict[OrderKey, list[Fill]] = {}
    for listed in (await fill_page(unit, wanted, limit=FILLS_MAX)).items:
        found.setdefault(key_of(listed.item), []).append(listed.item)
    return found
