"""Views of orders."""

from collections.abc import Iterable
from datetime import UTC, datetime

from alphapulse.api.schemas.base import not_available_yet
from alphapulse.api.schemas.exchange import (
    Coverage,
    FillView,
    OrderMeta,
    OrderPage,
    OrdersQuery,
    OrderView,
)
from alphapulse.api.views.positions import dashed
from alphapulse.database.queries.portfolio import OrderFilter
from alphapulse.domain.identifiers import (
    AccountId,
    ClientOrderId,
    ExchangeId,
    ExchangeOrderId,
    symbol,
)
from alphapulse.domain.money import EXACT
from alphapulse.domain.order import Fill, Order, OrderStatus
from alphapulse.services.orders import OrdersPage, key_of

LATER = (
    "fee", "status_reason", "sent_at", "acknowledged_at", "latency_ms", "uncertain_since",
    "events", "coverage.from", "coverage.to",
)  # fmt: skip

_STATUSES = {
    "open": frozenset(status for status in OrderStatus if status.is_open),
    "closed": frozenset(status for status in OrderStatus if status.is_final),
    "filled": frozenset({OrderStatus.FILLED}),
    "canceled": frozenset({OrderStatus.CANCELED, OrderStatus.EXPIRED}),
    "rejected": frozenset({OrderStatus.REJECTED}),
    "unknown": frozenset({OrderStatus.UNKNOWN, OrderStatus.SENDING, OrderStatus.QUARANTINED}),
    "all": None,
}


def filter_of(query: OrdersQuery) -> OrderFilter:
    """What ``query`` asks the database for."""
    account_ids: list[AccountId] | None = [AccountId(one) for one in query.account] or None
    exchange_order_id = None
    if query.id is not None:
        account, _, rest = query.id.partition(".")
        account_ids = [AccountId(account)]
        exchange_order_id = ExchangeOrderId(rest.rpartition(".")[2])
    return OrderFilter(
        account_ids=account_ids,
        exchange=None if query.exchange is None else ExchangeId(query.exchange),
        symbol=None if query.symbol is None else symbol(query.symbol),
        side=query.side,
        type=query.type,
        statuses=_STATUSES[query.status],
        origin=query.origin,
        client_order_id=None
        if query.client_order_id is None
        else ClientOrderId(query.client_order_id),
        exchange_order_id=exchange_order_id,
        start=_utc(query.from_),
        end=_utc(query.to),
    )


def page_of(page: OrdersPage, now: datetime, request_id: str) -> OrderPage:
    """A page of orders with what is known about their executions."""
    coverage = (
        Coverage(
            account=account,
            symbol=one.cursor.symbol,
            from_=None,
            to=None,
            complete=one.complete,
        )
        for account, cursors in page.cursors.items()
        for one in cursors
    )
    return OrderPage(
        meta=OrderMeta(
            request_id=request_id,
            as_of=now,
            warnings=(not_available_yet(*LATER),),
            coverage=tuple(coverage),
        ),
        items=[
            order_view(order, None if page.fills is None else page.fills.get(key_of(order), []))
            for order in page.orders
        ],
        next_cursor=page.next_cursor,
    )


def order_id(order: Order) -> str:
    """Ours: the intent's name, or, for what others placed, the venue's number in its symbol."""
    if order.is_ours:
        return f"{order.account_id}.{order.key}"
    return f"{order.account_id}.{dashed(order.symbol)}.{order.exchange_order_id}"


def order_view(order: Order, fills: Iterable[Fill] | None = None) -> OrderView:
    """One order; with its fills when they were asked for."""
    average = order.average_price
    return OrderView(
        id=order_id(order),
        client_order_id=order.client_order_id,
        exchange_order_id=order.exchange_order_id,
        account_id=order.account_id,
        exchange=order.exchange,
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        time_in_force=order.time_in_force,
        post_only=order.post_only,
        reduce_only=order.reduce_only,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        quantity=order.quantity,
        quote_quantity=order.quote_quantity,
        filled_quantity=order.filled_quantity,
        remaining_quantity=order.remaining_quantity,
        average_price=average,
        notional=None if average is None else EXACT.multiply(order.filled_quantity, average),
        status=order.status,
        origin=order.origin,
        created_at=order.created_at,
        updated_at=order.updated_at,
        closed_at=order.updated_at if order.status.is_final else None,
        fills=None if fills is None else [FillView.of(fill) for fill in fills],
    )


def _utc(moment: datetime | None) -> datetime | None:
    """A time without an offset is UTC, as every time of this API is."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)
