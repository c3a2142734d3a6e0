"""Orders: what was placed at the exchanges and what came of it, page by page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from alphapulse.database.connection import Database
from alphapulse.database.queries.page import MAX_LIMIT
from alphapulse.database.queries.portfolio import FillFilter, OrderFilter, fill_page, order_page
from alphapulse.database.repositories.orders import OrderEvent
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.account import Account
from alphapulse.domain.identifiers import AccountId, ExchangeOrderId, Symbol
from alphapulse.domain.order import Fill, Order
from alphapulse.errors import NotFound

FILL_PAGES_MAX = 20
"""Of `MAX_LIMIT` each. More belong to no page of orders; of those that have more, fills and fees
are then not known."""

OrderKey = tuple[AccountId, Symbol, ExchangeOrderId | None]


@dataclass(frozen=True, slots=True)
class KnownFills:
    """Whether all fills of an account, or of one symbol of it, have been read."""

    symbol: Symbol | None
    is_complete: bool


@dataclass(frozen=True, slots=True)
class OrderDetails:
    """What else is known of some orders; ``None`` where it was not read."""

    fills: dict[OrderKey, list[Fill]] | None
    events: dict[tuple[AccountId, str], list[OrderEvent]] | None = None

    def fills_of(self, order: Order) -> list[Fill] | None:
        """Its fills, the newest first."""
        return None if self.fills is None else self.fills.get(key_of(order), [])

    def events_of(self, order: Order) -> list[OrderEvent] | None:
        """Its steps, the oldest first."""
        if self.events is None:
            return None
        return self.events.get((order.account_id, order.key), [])


@dataclass(frozen=True, slots=True)
class OrdersPage:
    """``known`` says of each account whether all of its fills are there."""

    orders: tuple[Order, ...]
    details: OrderDetails
    known: dict[AccountId, list[KnownFills]]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class FillsPage:
    """As `OrdersPage`."""

    fills: tuple[Fill, ...]
    known: dict[AccountId, list[KnownFills]] = field(default_factory=dict)
    next_cursor: str | None = None


class OrderService:
    """Reads the database; live orders are in the live state."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        accounts: Sequence[Account],
        wanted: OrderFilter,
        *,
        with_events: bool,
        cursor: str | None,
        limit: int,
    ) -> OrdersPage:
        """Orders of ``accounts``, newest first; ``wanted`` may name some of them, never others.

        Raises:
            InvalidInput: a cursor that is not ours.
        """
        wanted = replace(wanted, account_ids=_among(accounts, wanted.account_ids))
        async with self._database.read() as unit:
            page = await order_page(unit, wanted, cursor=cursor, limit=limit)
            orders = tuple(listed.item for listed in page.items)
            return OrdersPage(
                orders=orders,
                details=await _details(unit, orders, with_events=with_events),
                known=await _known(unit, accounts),
                next_cursor=page.next_cursor,
            )

    async def details(self, order: Order) -> OrderDetails:
        """All that is known of one order."""
        async with self._database.read() as unit:
            return await _details(unit, [order], with_events=True)

    async def fills(
        self,
        accounts: Sequence[Account],
        wanted: FillFilter,
        *,
        cursor: str | None,
        limit: int,
    ) -> FillsPage:
        """Fills of ``accounts``, newest first, as `page`."""
        wanted = replace(wanted, account_ids=_among(accounts, wanted.account_ids))
        async with self._database.read() as unit:
            page = await fill_page(unit, wanted, cursor=cursor, limit=limit)
            fills = tuple(listed.item for listed in page.items)
            return FillsPage(fills, await _known(unit, accounts), page.next_cursor)


def id_of(order: Order) -> str:
    """Its name in the API: our own name of it, or, for what others placed, the venue's number in
    its symbol."""
    if order.is_ours:
        return f"{order.account_id}.{order.key}"
    return f"{order.account_id}.{dashed(order.symbol)}.{order.exchange_order_id}"


async def load_order(unit: UnitOfWork, order_id: str) -> Order:
    """One order by its `id_of`. Raises `NotFound`."""
    account, _, rest = order_id.partition(".")
    symbol, _, number = rest.rpartition(".")
    if not symbol:
        return await unit.orders.load(AccountId(account), rest)
    wanted = OrderFilter(
        account_ids=[AccountId(account)], exchange_order_id=ExchangeOrderId(number)
    )
    for listed in (await order_page(unit, wanted)).items:
        if dashed(listed.item.symbol) == symbol:
            return listed.item
    raise NotFound("no such order", order=order_id)


def dashed(symbol: Symbol) -> str:
    """A symbol as a part of an id, which may stand in a path."""
    return symbol.replace("/", "-").replace(":", "-")


def key_of(one: Order | Fill) -> OrderKey:
    """What ties a fill to its order: venues number orders per symbol."""
    return one.account_id, one.symbol, one.exchange_order_id


def _among(accounts: Sequence[Account], asked: Iterable[AccountId] | None) -> set[AccountId]:
    allowed = {account.id for account in accounts}
    return allowed if asked is None else allowed & set(asked)


async def _known(
    unit: UnitOfWork, accounts: Sequence[Account]
) -> dict[AccountId, list[KnownFills]]:
    return {
        account.id: [
            KnownFills(one.cursor.symbol, one.complete)
            for one in await unit.fill_cursors.list(account.id)
        ]
        for account in accounts
    }


async def _details(unit: UnitOfWork, orders: Sequence[Order], *, with_events: bool) -> OrderDetails:
    fills = await fills_of(unit, orders)
    if not with_events:
        return OrderDetails(fills)
    events = {}
    for account_id in {order.account_id for order in orders}:
        keys = [order.key for order in orders if order.account_id == account_id]
        for key, steps in (await unit.orders.events(account_id, keys)).items():
            events[account_id, key] = steps
    return OrderDetails(fills, events)


async def fills_of(unit: UnitOfWork, orders: Sequence[Order]) -> dict[OrderKey, list[Fill]] | None:
    """The fills of some orders by `key_of`, the newest first; ``None`` when there are too many."""
    wanted = FillFilter(
        account_ids={order.account_id for order in orders},
        exchange_order_ids={o.exchange_order_id for o in orders if o.exchange_order_id},
    )
    found: dict[OrderKey, list[Fill]] = {}
    cursor: str | None = None
    for _ in range(FILL_PAGES_MAX):
        page = await fill_page(unit, wanted, cursor=cursor, limit=MAX_LIMIT)
        for listed in page.items:
            found.setdefault(key_of(listed.item), []).append(listed.item)
        if (cursor := page.next_cursor) is None:
            return found
    return None
