"""Order routes: placing, asking and canceling, with the venue's checks in the venue's order."""

from collections.abc import Callable

from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import Order, OrderRequest, OrderState
from alphapulse.simulator.core.refusal import Refused
from alphapulse.simulator.venues.binance import codes
from alphapulse.simulator.venues.binance.codes import BinanceError
from alphapulse.simulator.venues.binance.market_rows import ZERO, Row, text
from alphapulse.simulator.venues.binance.params import CLIENT_ID, Params
from alphapulse.simulator.venues.binance.routes import Caller, Private, Window
from alphapulse.simulator.venues.binance_spot import rows
from alphapulse.simulator.venues.binance_spot.codes import (
    amend_refused,
    nothing_to_cancel,
    refusal,
    too_many_stops,
)
from alphapulse.simulator.venues.binance_spot.listing import MAX_STOPS, check_ceilings
from alphapulse.simulator.venues.binance_spot.market import MarketRoutes
from alphapulse.simulator.venues.binance_spot.requests import (
    invented_id,
    order_request,
    response_kind,
)

DAY_MS = 86_400_000

# The venue's words for an amend that is none.
NO_CHANGE = "The requested action would change no state; rejecting."
NO_INCREASE = "Order amend (quantity increase) is not supported."


class OrderRoutes:
    """Orders of one account on one venue's spot markets."""

    def __init__(self, venue: Venue, markets: MarketRoutes) -> None:
        self._venue = venue
        self._market = markets.market

    @property
    def reads(self) -> dict[tuple[str, str], Private]:
        """By method and path."""
        return {
            ("GET", "/api/v3/order"): self._query,
            ("GET", "/api/v3/openOrders"): self._open_orders,
            ("GET", "/api/v3/allOrders"): self._all_orders,
            ("GET", "/api/v3/myTrades"): self._my_trades,
        }

    @property
    def writes(self) -> dict[tuple[str, str], Private]:
        """By method and path; they need a key that may trade."""
        return {
            ("POST", "/api/v3/order"): self._place,
            ("POST", "/api/v3/order/test"): self._test,
            ("POST", "/api/v3/order/cancelReplace"): self._cancel_replace,
            ("PUT", "/api/v3/order/amend/keepPriority"): self._amend,
            ("DELETE", "/api/v3/order"): self._cancel,
            ("DELETE", "/api/v3/openOrders"): self._cancel_all,
        }

    def _place(self, params: Params, caller: Caller) -> Row:
        market, request, kind = self._request(params)
        try:
            self._check(caller, market, request)
            order = self._venue.place(caller.account, market, request)
        except Refused as refused:
            raise refusal(refused) from None
        return rows.placed(order, kind)

    def _test(self, params: Params, caller: Caller) -> Row:
        market, request, _ = self._request(params)
        try:
            self._check(caller, market, request)
        except Refused as refused:
            raise refusal(refused) from None
        if params.optional("computeCommissionRates") != "true":
            return {}
        rates = caller.account.fees[Category.SPOT]
        return {
            "standardCommissionForOrder": {
                "maker": text(rates.maker),
                "taker": text(rates.taker),
            },
            "specialCommissionForOrder": {"maker": ZERO, "taker": ZERO},
            "taxCommissionForOrder": {"maker": ZERO, "taker": ZERO},
            "discount": {
                "enabledForAccount": caller.account.fee_asset is not None,
                "enabledForSymbol": True,
                "discountAsset": "BNB",
                "discount": "0.25000000",
            },
        }

    def _check(self, caller: Caller, market: Market, request: OrderRequest) -> None:
        self._venue.check(caller.account, market, request)
        check_ceilings(request)
        waiting = (o for o in caller.account.open_orders.values() if _is_stop(o, market))
        if request.trigger is not None and sum(1 for _ in waiting) >= MAX_STOPS:
            raise too_many_stops()

    def _query(self, params: Params, caller: Caller) -> Row:
        look = self._venue.sight.order
        order = self._find(params, caller, "orderId", "origClientOrderId", look)
        if order is None:
            raise codes.no_such_order()
        return rows.order(order)

    def _open_orders(self, params: Params, caller: Caller) -> list[Row]:
        market = self._market(params.symbol()) if params.has("symbol") else None
        return [
            rows.order(order)
            for order in self._venue.sight.open_orders(caller.account)
            if order.instrument.category is Category.SPOT
            and (market is None or order.instrument is market.instrument)
        ]

    def _all_orders(self, params: Params, caller: Caller) -> list[Row]:
        market = self._market(params.symbol())
        first_id = params.integer("orderId")
        window = Window.of(params)
        _check_day(window)
        seen = self._venue.sight.orders(caller.account)
        of_market = (o for o in seen if o.instrument is market.instrument)
        picked = Window(first_id, window.start_ms, window.end_ms, window.limit).pick(
            of_market, lambda o: o.id, lambda o: o.created_ms
        )
        return [rows.order(order) for order in picked]

    def _my_trades(self, params: Params, caller: Caller) -> list[Row]:
        market = self._market(params.symbol())
        order_id = params.integer("orderId")
        window = Window.of(params)
        is_timed = window.start_ms is not None or window.end_ms is not None
        if is_timed and (order_id is not None or window.from_id is not None):
            raise codes.bad_combination()
        _check_day(window)
        fills = (
            fill
            for fill in self._venue.sight.fills(caller.account)
            if fill.instrument is market.instrument and order_id in (None, fill.order_id)
        )
        picked = _one_day(window).pick(fills, lambda f: f.trade_id, lambda f: f.at_ms)
        return [rows.fill(fill) for fill in picked]

    def _cancel(self, params: Params, caller: Caller) -> Row:
        cancel_id = params.matching("newClientOrderId", CLIENT_ID) or invented_id()
        order = self._find(params, caller, "orderId", "origClientOrderId")
        return self._cancel_one(caller, order, cancel_id)

    def _cancel_all(self, params: Params, caller: Caller) -> list[Row]:
        market = self._market(params.symbol())
        mine = list(caller.account.open_orders.values())
        orders = [order for order in mine if order.instrument is market.instrument]
        if not orders:
            raise nothing_to_cancel()
        return [self._cancel_one(caller, order, invented_id()) for order in orders]

    def _cancel_one(self, caller: Caller, order: Order | None, cancel_id: str) -> Row:
        if order is None:
            raise nothing_to_cancel()
        try:
            done = self._venue.cancel(caller.account, order, cancel_id=cancel_id)
        except Refused:
            raise nothing_to_cancel() from None
        return rows.canceled(done, cancel_id)

    def _cancel_replace(self, params: Params, caller: Caller) -> Row:
        """Both legs, as the mode asks; a failure of either is told with what the other did."""
        mode = params.text("cancelReplaceMode")
        if mode not in {"STOP_ON_FAILURE", "ALLOW_FAILURE"}:
            raise BinanceError(-1138, "Invalid cancelReplaceMode.")
        self._request(params)
        canceled, cancel_response = _attempt(lambda: self._cancel_leg(params, caller))
        replaced: bool | None = None
        new_response: object = None
        if canceled or mode == "ALLOW_FAILURE":
            replaced, new_response = _attempt(lambda: self._place(params, caller))
        row: Row = {
            "cancelResult": _result(canceled),
            "newOrderResult": _result(replaced),
            "cancelResponse": cancel_response,
            "newOrderResponse": new_response,
        }
        if canceled and replaced:
            return row
        if canceled or replaced:
            message = "Order cancel-replace partially failed."
            raise BinanceError(-2021, message, status=409, data=row)
        raise BinanceError(-2022, "Order cancel-replace failed.", data=row)

    def _cancel_leg(self, params: Params, caller: Caller) -> Row:
        cancel_id = params.matching("cancelNewClientOrderId", CLIENT_ID) or invented_id()
        order = self._find(params, caller, "cancelOrderId", "cancelOrigClientOrderId")
        return self._cancel_one(caller, order, cancel_id)

    def _amend(self, params: Params, caller: Caller) -> Row:
        """Take some of an order's quantity away; its place in the queue stays."""
        name = params.matching("newClientOrderId", CLIENT_ID) or invented_id()
        params.text("newQty")
        quantity = params.decimal("newQty")
        order = self._find(params, caller, "orderId", "origClientOrderId")
        if order is None or not order.state.is_open:
            raise codes.no_such_order()
        before = order.client_order_id
        if quantity is not None and quantity >= order.quantity:
            is_same = quantity == order.quantity
            raise amend_refused(NO_CHANGE if is_same else NO_INCREASE)
        try:
            amended = self._venue.amend(
                caller.account, order, quantity=quantity, client_order_id=name
            )
        except Refused as refused:
            raise refusal(refused) from None
        return rows.amended(amended, before)

    def _find(
        self,
        params: Params,
        caller: Caller,
        id_name: str,
        client_id_name: str,
        look: Callable[..., Order] | None = None,
    ) -> Order | None:
        """The order a request means; both ids must agree when both are sent."""
        market = self._market(params.symbol())
        order_id = params.integer(id_name)
        client_id = params.optional(client_id_name)
        if order_id is None and client_id is None:
            raise BinanceError(
                -1102,
                f"Param '{client_id_name}' or '{id_name}' must be sent, but both were empty/null!",
            )
        try:
            order = (look or self._venue.order)(
                caller.account, market, order_id=order_id, client_order_id=client_id
            )
        except Refused:
            return None
        is_other = client_id is not None and order.client_order_id != client_id
        return None if is_other else order

    def _request(self, params: Params) -> tuple[Market, OrderRequest, str]:
        """What a new order asks for, and how much of it the answer should tell."""
        market = self._market(params.symbol())
        return market, order_request(params), response_kind(params)


def _attempt(leg: Callable[[], Row]) -> tuple[bool, object]:
    """Whether a leg succeeded, and its answer either way."""
    try:
        return True, leg()
    except BinanceError as refused:
        return False, refused.body


def _result(succeeded: bool | None) -> str:
    if succeeded is None:
        return "NOT_ATTEMPTED"
    return "SUCCESS" if succeeded else "FAILURE"


def _is_stop(order: Order, market: Market) -> bool:
    is_here = order.instrument is market.instrument
    return is_here and order.state is OrderState.UNTRIGGERED


def _check_day(window: Window) -> None:
    start_ms, end_ms = window.start_ms, window.end_ms
    if start_ms is not None and end_ms is not None and end_ms - start_ms > DAY_MS:
        raise BinanceError(-1127, "More than 24 hours between startTime and endTime.")


def _one_day(window: Window) -> Window:
    """A window with one end reaches a day from it, as the longest that both may span."""
    start_ms, end_ms = window.start_ms, window.end_ms
    if start_ms is not None and end_ms is None:
        end_ms = start_ms + DAY_MS
    elif end_ms is not None and start_ms is None:
        start_ms = end_ms - DAY_MS
    return Window(window.from_id, start_ms, end_ms, window.limit)
