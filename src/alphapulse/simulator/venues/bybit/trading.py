"""Orders of Bybit: place, amend, cancel and ask for them, over REST and the trade socket."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from decimal import Decimal

from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import Order, OrderKind, OrderRequest, TimeInForce
from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.core.trigger import TriggerRequest
from alphapulse.simulator.venues.bybit import codes, ids
from alphapulse.simulator.venues.bybit.call import Batch, Caller, Private
from alphapulse.simulator.venues.bybit.codes import BybitError, error_of
from alphapulse.simulator.venues.bybit.conditional import (
    order_filter,
    stop_kind,
    trigger_by,
    trigger_request,
)
from alphapulse.simulator.venues.bybit.params import Params, page, window
from alphapulse.simulator.venues.bybit.rows import (
    KINDS,
    SIDES,
    TIMES_IN_FORCE,
    Row,
    order_row,
    status,
)

SIDE_OF = {text: side for side, text in SIDES.items()}
KIND_OF = {text: kind for kind, text in KINDS.items()}
TIME_IN_FORCE_OF = {text: time for time, text in TIMES_IN_FORCE.items()}

LINK_ID_MAX = 36
CLOSED_SHOWN = 500
BATCH_MAX = 20

# Stops are set on positions here; dropping them silently would be worse than a refusal.
UNSUPPORTED = ("takeProfit", "stopLoss", "trailingStop")


class TradingRoutes:
    """Everything about orders. Writing needs a key that may trade."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.reads: dict[str, Private] = {
            "/v5/order/realtime": self._realtime,
            "/v5/order/history": self._history,
        }
        self.writes: dict[str, Private] = {
            "/v5/order/create": self.create,
            "/v5/order/amend": self.amend,
            "/v5/order/cancel": self.cancel,
            "/v5/order/cancel-all": self._cancel_all,
            "/v5/order/create-batch": lambda p, c: _batch(self.create, p, c),
            "/v5/order/amend-batch": lambda p, c: _batch(self.amend, p, c),
            "/v5/order/cancel-batch": lambda p, c: _batch(self.cancel, p, c),
        }

    def create(self, params: Params, caller: Caller) -> Row:
        """Accept an order; what becomes of it is told on the private stream."""
        category = self._category(params)
        request = _order_request(params, category)
        try:
            market = self._venue.market(category, params.text("symbol"))
            order = self._place(caller.account, market, request)
        except Refused as refused:
            raise error_of(refused, category) from refused
        return {"orderId": ids.order_id(order), "orderLinkId": request.client_order_id or ""}

    def _place(self, account: Account, market: Market, request: OrderRequest) -> Order:
        try:
            return self._venue.place(account, market, request)
        except Refused as refused:
            # A contract's post-only order is acknowledged and rejected afterwards.
            is_late = refused.reason is RefusalReason.WOULD_MATCH
            if not is_late or market.instrument.category is Category.SPOT:
                raise
            why = "EC_PostOnlyWillTakeLiquidity"
            return self._venue.reject(account, market, request, why)

    def amend(self, params: Params, caller: Caller) -> Row:
        """Change price or quantity of an open order."""
        category = self._category(params)
        _refuse_unsupported(params)
        try:
            order = self._find(params, caller.account, category)
            self._venue.amend(
                caller.account,
                order,
                quantity=params.decimal("qty"),
                limit_price=params.decimal("price"),
                trigger=_changed_trigger(params, order),
            )
        except Refused as refused:
            raise error_of(refused, category) from refused
        return _receipt(order)

    def cancel(self, params: Params, caller: Caller) -> Row:
        """Cancel one open order."""
        category = self._category(params)
        try:
            order = self._find(params, caller.account, category)
            self._venue.cancel(caller.account, order)
        except Refused as refused:
            raise error_of(refused, category) from refused
        return _receipt(order)

    def _cancel_all(self, params: Params, caller: Caller) -> Row:
        category = self._category(params)
        scope = ("symbol", "baseCoin", "settleCoin")
        if category is Category.LINEAR and not any(params.optional(name) for name in scope):
            raise BybitError(codes.PARAMS, "params error: symbol or settleCoin is required")
        orders = _chosen(params, list(caller.account.open_orders.values()), category)
        for order in orders:
            # One cancel may end others: what protects a position that is gone.
            if order.state.is_open:
                self._venue.cancel(caller.account, order)
        return {"list": [_receipt(order) for order in orders], "success": "1"}

    def _category(self, params: Params) -> Category:
        category = params.category()
        if category is None:
            raise BybitError(codes.PARAMS, "Not supported symbols")
        return category

    def _find(self, params: Params, account: Account, category: Category) -> Order:
        market = self._venue.market(category, params.text("symbol"))
        text = params.optional("orderId")
        if text is None:
            return self._venue.order(account, market, client_order_id=params.text("orderLinkId"))
        number = ids.order_number(text)
        if number is None:
            raise Refused(RefusalReason.UNKNOWN_ORDER)
        return self._venue.order(account, market, order_id=number)

    def _realtime(self, params: Params, caller: Caller) -> Row:
        category = params.category()
        account = caller.account
        scope = ("symbol", "baseCoin", "settleCoin", "orderId", "orderLinkId")
        if category is Category.LINEAR and not any(params.optional(name) for name in scope):
            raise BybitError(
                codes.PARAMS, "Missing some parameters that must be filled in, symbol or settleCoin"
            )
        sight = self._venue.sight
        if _is_one(params):
            return _listing(params, self._one(params, account, category))
        if params.optional("openOnly") == "1":
            orders = sight.final_orders(account)[-CLOSED_SHOWN:]
        else:
            orders = sight.open_orders(account)
        return _listing(params, _chosen(params, orders, category))

    def _one(self, params: Params, account: Account, category: Category | None) -> list[Order]:
        """The order of an id, open or among those that closed lately."""
        recent = list(account.final_orders)[-CLOSED_SHOWN:]
        found = _chosen(params, [*account.open_orders.values(), *recent], category)
        seen: list[Order] = []
        for order in found:
            market = self._venue.markets[order.instrument.key]
            with suppress(Refused):  # An empty list is how this venue says that there is none.
                seen.append(self._venue.sight.order(account, market, order_id=order.id))
        return seen

    def _history(self, params: Params, caller: Caller) -> Row:
        start, end = window(params, self._venue.clock.now_ms())
        final = self._venue.sight.final_orders(caller.account)
        orders = _chosen(params, final, params.category())
        return _listing(params, [order for order in orders if start <= order.created_ms <= end])


def _batch(do: Private, params: Params, caller: Caller) -> Batch:
    """One after the other; what one refuses stops none of the others."""
    category = params.text("category")
    requests = params.objects("request", BATCH_MAX)
    rows: list[Row] = []
    outcomes: list[tuple[int, str]] = []
    for request in requests:
        done: Row = {"orderId": "", "orderLinkId": str(request.get("orderLinkId", ""))}
        try:
            done = do(Params({**request, "category": category}), caller)
            outcomes.append((0, "OK"))
        except BybitError as refused:
            outcomes.append((refused.code, refused.message))
        rows.append({"category": category, "symbol": str(request.get("symbol", "")), **done})
    return Batch(rows, outcomes)


def _listing(params: Params, orders: list[Order]) -> Row:
    keyed = [((order.created_ms, order.id), order) for order in orders]
    chosen, cursor = page(keyed, params.optional("cursor"), params.limit(20, 50))
    return {
        "category": params.text("category"),
        "list": [order_row(order) for order in chosen],
        "nextPageCursor": cursor,
    }


def _chosen(params: Params, orders: Iterable[Order], category: Category | None) -> list[Order]:
    """Those that every filter of the request lets through."""
    wanted: dict[str, Callable[[Order], str | None]] = {
        "symbol": lambda order: order.instrument.name,
        "baseCoin": lambda order: order.instrument.base,
        "settleCoin": lambda order: order.instrument.settle,
        "orderId": ids.order_id,
        "orderLinkId": lambda order: order.client_order_id,
        "orderStatus": status,
        "orderFilter": order_filter,
        "stopOrderType": stop_kind,
    }
    given = [(read, params.optional(name)) for name, read in wanted.items()]
    filters = [(read, value) for read, value in given if value is not None]
    return [
        order
        for order in orders
        if order.instrument.category is category
        and all(read(order) == value for read, value in filters)
    ]


def _order_request(params: Params, category: Category) -> OrderRequest:
    _refuse_unsupported(params)
    if params.optional("positionIdx") not in {None, "0"}:
        raise BybitError(codes.PARAMS, "position idx not match position mode")
    link = params.optional("orderLinkId")
    if link is not None and len(link) > LINK_ID_MAX:
        raise BybitError(codes.PARAMS, "params error: OrderLinkId length exceed 36")
    kind = params.choice("orderType", KIND_OF)
    side = params.choice("side", SIDE_OF)
    is_closing = _is_closing(params, category)
    quantity = None if is_closing else _positive(params, "qty")
    is_by_quote = kind is OrderKind.MARKET and category is Category.SPOT and _is_quote(params, side)
    return OrderRequest(
        side=side,
        kind=kind,
        quantity=None if is_by_quote else quantity,
        quote_quantity=quantity if is_by_quote else None,
        limit_price=_positive(params, "price") if kind is OrderKind.LIMIT else None,
        time_in_force=_time_in_force(params, kind),
        client_order_id=link,
        reduce_only=category is Category.LINEAR and params.flag("reduceOnly") and not is_closing,
        trigger=trigger_request(params, category),
        close_position=is_closing,
        close_on_trigger=category is Category.LINEAR and params.flag("closeOnTrigger"),
    )


def _refuse_unsupported(params: Params) -> None:
    for name in UNSUPPORTED:
        if params.optional(name) not in {None, "0"}:
            raise BybitError(codes.PARAMS, f"params error: {name} is not simulated")


def _is_closing(params: Params, category: Category) -> bool:
    """A contract's order for no quantity that may only close: for all of the position."""
    flags = params.flag("reduceOnly") and params.flag("closeOnTrigger")
    return category is Category.LINEAR and flags and params.decimal("qty") == 0


def _changed_trigger(params: Params, order: Order) -> TriggerRequest | None:
    price, trigger = params.decimal("triggerPrice"), order.trigger
    if not price or trigger is None:
        return None
    is_said = params.optional("triggerBy") is not None
    return TriggerRequest(
        price=price,
        crossing=trigger.crossing,
        by=trigger_by(params, "triggerBy") if is_said else trigger.by,
        trail=trigger.trail,
        locks_funds=trigger.locks_funds,
        ends_with_position=trigger.ends_with_position,
    )


def _is_one(params: Params) -> bool:
    return any(params.optional(name) is not None for name in ("orderId", "orderLinkId"))


def _positive(params: Params, name: str) -> Decimal:
    value = params.decimal(name)
    if value is None or value <= 0:
        raise BybitError(codes.PARAMS, f"params error: {name} invalid")
    return value


def _is_quote(params: Params, side: Side) -> bool:
    """A spot market order to buy is for quote currency unless it says otherwise."""
    unit = params.optional("marketUnit")
    return unit == "quoteCoin" or (unit is None and side is Side.BUY)


def _time_in_force(params: Params, kind: OrderKind) -> TimeInForce:
    if kind is OrderKind.MARKET:
        return TimeInForce.IOC
    if params.optional("timeInForce") is None:
        return TimeInForce.GTC
    return params.choice("timeInForce", TIME_IN_FORCE_OF)


def _receipt(order: Order) -> Row:
    return {
        "orderId": ids.order_id(order),
        "orderLinkId": ids.link_id(order.client_order_id, order.id),
    }
