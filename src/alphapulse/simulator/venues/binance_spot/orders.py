"""Order routes: placing, asking and canceling, with the venue's checks in the venue's order."""

from collections.abc import Callable
from uuid import uuid4

from alphapulse.domain.order import Side
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import Order, OrderKind, OrderRequest, TimeInForce
from alphapulse.simulator.core.refusal import Refused
from alphapulse.simulator.venues.binance import codes
from alphapulse.simulator.venues.binance.codes import BinanceError
from alphapulse.simulator.venues.binance.market_rows import ZERO, Row, text
from alphapulse.simulator.venues.binance.params import CLIENT_ID, Params
from alphapulse.simulator.venues.binance.routes import Caller, Private, Window
from alphapulse.simulator.venues.binance_spot import rows
from alphapulse.simulator.venues.binance_spot.codes import nothing_to_cancel, refusal
from alphapulse.simulator.venues.binance_spot.listing import check_ceilings
from alphapulse.simulator.venues.binance_spot.market import MarketRoutes

DAY_MS = 86_400_000

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
TIMES_IN_FORCE = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
RESPONSES = ("ACK", "RESULT", "FULL")


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

    def _query(self, params: Params, caller: Caller) -> Row:
        order = self._find(params, caller, "orderId", "origClientOrderId")
        if order is None:
            raise codes.no_such_order()
        return rows.order(order)

    def _open_orders(self, params: Params, caller: Caller) -> list[Row]:
        market = self._market(params.symbol()) if params.has("symbol") else None
        return [
            rows.order(order)
            for order in caller.account.open_orders.values()
            if order.instrument.category is Category.SPOT
            and (market is None or order.instrument is market.instrument)
        ]

    def _all_orders(self, params: Params, caller: Caller) -> list[Row]:
        market = self._market(params.symbol())
        first_id = params.integer("orderId")
        window = Window.of(params)
        _check_day(window)
        of_market = (o for o in caller.account.orders if o.instrument is market.instrument)
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
            for fill in caller.account.fills
            if fill.instrument is market.instrument and order_id in (None, fill.order_id)
        )
        picked = _one_day(window).pick(fills, lambda f: f.trade_id, lambda f: f.at_ms)
        return [rows.fill(fill) for fill in picked]

    def _cancel(self, params: Params, caller: Caller) -> Row:
        cancel_id = params.matching("newClientOrderId", CLIENT_ID) or _invented_id()
        order = self._find(params, caller, "orderId", "origClientOrderId")
        return self._cancel_one(caller, order, cancel_id)

    def _cancel_all(self, params: Params, caller: Caller) -> list[Row]:
        market = self._market(params.symbol())
        mine = list(caller.account.open_orders.values())
        orders = [order for order in mine if order.instrument is market.instrument]
        if not orders:
            raise nothing_to_cancel()
        return [self._cancel_one(caller, order, _invented_id()) for order in orders]

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
        cancel_id = params.matching("cancelNewClientOrderId", CLIENT_ID) or _invented_id()
        order = self._find(params, caller, "cancelOrderId", "cancelOrigClientOrderId")
        return self._cancel_one(caller, order, cancel_id)

    def _find(
        self, params: Params, caller: Caller, id_name: str, client_id_name: str
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
            order = self._venue.order(
                caller.account, market, order_id=order_id, client_order_id=client_id
            )
        except Refused:
            return None
        is_other = client_id is not None and order.client_order_id != client_id
        return None if is_other else order

    def _request(self, params: Params) -> tuple[Market, OrderRequest, str]:
        """What a new order asks for, and how much of it the answer should tell."""
        market = self._market(params.symbol())
        side = SIDES.get(params.text("side"))
        if side is None:
            raise BinanceError(-1117, "Invalid side.")
        kind = params.text("type")
        if kind == "MARKET":
            request = _market_request(params, side)
        elif kind in {"LIMIT", "LIMIT_MAKER"}:
            request = _limit_request(params, side, kind)
        else:
            raise BinanceError(-1116, "Invalid orderType.")
        response = params.optional("newOrderRespType") or "FULL"
        if response not in RESPONSES:
            raise BinanceError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
        return market, request, response


def _market_request(params: Params, side: Side) -> OrderRequest:
    for name in ("price", "timeInForce"):
        if params.has(name):
            raise codes.not_required(name)
    quantity, quote = params.decimal("quantity"), params.decimal("quoteOrderQty")
    if quantity is not None and quote is not None:
        raise codes.bad_combination()
    if quantity is None and quote is None:
        raise codes.missing("quantity")
    return OrderRequest(
        side=side,
        kind=OrderKind.MARKET,
        quantity=quantity,
        quote_quantity=quote,
        client_order_id=_client_id(params),
    )


def _limit_request(params: Params, side: Side, kind: str) -> OrderRequest:
    if params.has("quoteOrderQty"):
        raise codes.not_required("quoteOrderQty")
    if kind == "LIMIT_MAKER":
        if params.has("timeInForce"):
            raise codes.not_required("timeInForce")
        time_in_force = TimeInForce.POST_ONLY
    else:
        known = TIMES_IN_FORCE.get(params.text("timeInForce"))
        if known is None:
            raise BinanceError(-1115, "Invalid timeInForce.")
        time_in_force = known
    params.text("quantity")
    params.text("price")
    return OrderRequest(
        side=side,
        kind=OrderKind.LIMIT,
        quantity=params.decimal("quantity"),
        limit_price=params.decimal("price"),
        time_in_force=time_in_force,
        client_order_id=_client_id(params),
    )


def _client_id(params: Params) -> str:
    return params.matching("newClientOrderId", CLIENT_ID) or _invented_id()


def _invented_id() -> str:
    return uuid4().hex[:22]


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
