"""Views of orders and fills."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from alphapulse.api.schemas.base import not_available_yet
from alphapulse.api.schemas.orders import (
    Coverage,
    CoveredMeta,
    EventView,
    FeeView,
    FillView,
    LatencyView,
    OrderPage,
    OrdersQuery,
    OrderView,
    TradePage,
    TradesQuery,
    TradeView,
)
from alphapulse.database.queries.portfolio import FillFilter, OrderFilter
from alphapulse.domain.identifiers import (
    AccountId,
    Asset,
    ClientOrderId,
    ExchangeId,
    ExchangeOrderId,
    symbol,
)
from alphapulse.domain.intent import is_our_name
from alphapulse.domain.money import EXACT, ZERO, add
from alphapulse.domain.order import Fill, Order, OrderStatus
from alphapulse.services.orders import (
    FillsPage,
    KnownFills,
    OrderDetails,
    OrdersPage,
    dashed,
    id_of,
)

LATER = ("coverage.from", "fee.value")

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
    client_order_id = query.client_order_id
    if query.id is not None:
        account, _, rest = query.id.partition(".")
        account_ids = [AccountId(account)]
        number = rest.rpartition(".")[2]
        if is_our_name(number):
            client_order_id = number
        else:
            exchange_order_id = ExchangeOrderId(number)
    return OrderFilter(
        account_ids=account_ids,
        exchange=None if query.exchange is None else ExchangeId(query.exchange),
        symbol=None if query.symbol is None else symbol(query.symbol),
        side=query.side,
        type=query.type,
        statuses=_STATUSES[query.status],
        origin=query.origin,
        client_order_id=None if client_order_id is None else ClientOrderId(client_order_id),
        exchange_order_id=exchange_order_id,
        start=utc(query.from_),
        end=utc(query.to),
    )


def trades_filter_of(query: TradesQuery, order: Order | None) -> FillFilter:
    """What ``query`` asks the database for; ``order`` is the one it names."""
    account_ids: list[AccountId] | None = [AccountId(one) for one in query.account] or None
    numbers = None
    market = None if query.symbol is None else symbol(query.symbol)
    if order is not None:
        account_ids, market = [order.account_id], order.symbol
        numbers = [] if order.exchange_order_id is None else [order.exchange_order_id]
    return FillFilter(
        account_ids=account_ids,
        exchange=None if query.exchange is None else ExchangeId(query.exchange),
        symbol=market,
        side=query.side,
        exchange_order_ids=numbers,
        start=utc(query.from_),
        end=utc(query.to),
    )


def page_of(
    page: OrdersPage,
    read_at: Mapping[AccountId, datetime | None],
    now: datetime,
    request_id: str,
    *,
    with_fills: bool,
) -> OrderPage:
    """A page of orders with what is known about their executions.

    Args:
        read_at: when the fills of each account were last read to their end.
    """
    details = page.details
    return OrderPage(
        meta=_meta(page.known, read_at, now, request_id),
        items=[order_view(order, details, with_fills=with_fills) for order in page.orders],
        next_cursor=page.next_cursor,
    )


def trades_of(
    page: FillsPage, read_at: Mapping[AccountId, datetime | None], now: datetime, request_id: str
) -> TradePage:
    """A page of fills."""
    return TradePage(
        meta=_meta(page.known, read_at, now, request_id),
        items=[trade_view(fill) for fill in page.fills],
        next_cursor=page.next_cursor,
    )


def order_view(
    order: Order, details: OrderDetails | None = None, *, with_fills: bool = False
) -> OrderView:
    """One order; with its fee, and if wanted its fills and events, where these were read."""
    return OrderView.model_validate(order_fields(order, details, with_fills=with_fills))


def order_fields(
    order: Order, details: OrderDetails | None = None, *, with_fills: bool = False
) -> dict[str, object]:
    """The fields of `OrderView`, for a body that has more."""
    average = order.average_price
    fills = None if details is None else details.fills_of(order)
    events = None if details is None else details.events_of(order)
    return {
        "id": id_of(order),
        "client_order_id": order.client_order_id,
        "exchange_order_id": order.exchange_order_id,
        "account_id": order.account_id,
        "exchange": order.exchange,
        "symbol": order.symbol,
        "side": order.side,
        "type": order.type,
        "time_in_force": order.time_in_force,
        "post_only": order.post_only,
        "reduce_only": order.reduce_only,
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "quantity": order.quantity,
        "quote_quantity": order.quote_quantity,
        "filled_quantity": order.filled_quantity,
        "remaining_quantity": order.remaining_quantity,
        "average_price": average,
        "notional": None if average is None else EXACT.multiply(order.filled_quantity, average),
        "fee": _fees(order, fills),
        "status": order.status,
        "status_reason": order.status_reason,
        "origin": order.origin,
        "created_at": order.created_at,
        "expires_at": order.expires_at,
        "sent_at": order.sent_at,
        "acknowledged_at": order.acknowledged_at,
        "updated_at": order.updated_at,
        "closed_at": order.updated_at if order.status.is_final else None,
        "latency_ms": _latency(order),
        "uncertain_since": order.uncertain_since,
        "fills": [FillView.of(one) for one in fills] if with_fills and fills is not None else None,
        "events": None
        if events is None
        else [
            EventView(
                at=event.at,
                status=event.status,
                filled_quantity=event.filled_quantity,
                detail=event.detail,
            )
            for event in events
        ],
    }


def trade_view(fill: Fill) -> TradeView:
    """One fill."""
    number = f"{fill.account_id}.{dashed(fill.symbol)}"
    is_ours = is_our_name(fill.client_order_id)
    return TradeView(
        id=f"{number}.{fill.trade_id}",
        order_id=f"{fill.account_id}.{fill.client_order_id}"
        if is_ours
        else f"{number}.{fill.exchange_order_id}",
        account_id=fill.account_id,
        exchange=fill.exchange,
        symbol=fill.symbol,
        trade_id=fill.trade_id,
        exchange_order_id=fill.exchange_order_id,
        client_order_id=fill.client_order_id,
        side=fill.side,
        price=fill.price,
        quantity=fill.quantity,
        notional=EXACT.multiply(fill.price, fill.quantity),
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        is_maker=fill.is_maker,
        at=fill.occurred_at,
    )


def _meta(
    known: Mapping[AccountId, Sequence[KnownFills]],
    read_at: Mapping[AccountId, datetime | None],
    now: datetime,
    request_id: str,
) -> CoveredMeta:
    coverage = tuple(
        Coverage(
            account=account,
            symbol=one.symbol,
            from_=None,
            to=read_at.get(account) if one.is_complete else None,
            complete=one.is_complete,
        )
        for account, parts in known.items()
        for one in parts
    )
    return CoveredMeta(
        request_id=request_id,
        as_of=now,
        warnings=(not_available_yet(*LATER),),
        coverage=coverage,
    )


def _fees(order: Order, fills: Iterable[Fill] | None) -> list[FeeView] | None:
    """What was paid by asset; ``None`` unless every execution and its fee is known."""
    if fills is None:
        return None
    paid: dict[Asset, Decimal] = {}
    filled = ZERO
    for fill in fills:
        if fill.fee is None or fill.fee_asset is None:
            return None
        paid[fill.fee_asset] = add(paid.get(fill.fee_asset, ZERO), fill.fee)
        filled = add(filled, fill.quantity)
    if filled != order.filled_quantity:
        return None
    return [FeeView(asset=asset, amount=amount) for asset, amount in sorted(paid.items())]


def _latency(order: Order) -> LatencyView | None:
    if order.sent_at is None:
        return None
    ack = None if order.acknowledged_at is None else order.acknowledged_at - order.sent_at
    return LatencyView(
        submit=(order.sent_at - order.created_at) // timedelta(milliseconds=1),
        ack=None if ack is None else ack // timedelta(milliseconds=1),
    )


def utc(moment: datetime | None) -> datetime | None:
    """A time without an offset is UTC, as every time of this API is."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)
