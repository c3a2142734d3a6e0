"""Order routes of the matching engine: placing, changing, asking and canceling."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import Order, OrderRequest, Origin, TimeInForce
from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.venues.binance.codes import BinanceError, illegal, no_such_order
from alphapulse.simulator.venues.binance.market_rows import Row
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance.routes import Caller, Private, Window
from alphapulse.simulator.venues.binance_usdm import asks, codes, rows
from alphapulse.simulator.venues.binance_usdm.market import MarketRoutes

WEEK_MS = 7 * 86_400_000
BATCH_MAX = 5
CANCEL_BATCH_MAX = 10

_BATCH = msgspec.json.Decoder(list[dict[str, str | int | float | bool]])
_IDS = msgspec.json.Decoder(list[str | int])

_T = TypeVar("_T")

DONE: Row = {"code": 200, "msg": "The operation of cancel all open order is done."}


class OrderRoutes:
    """Orders of one account that work in the book, or did."""

    def __init__(self, venue: Venue, markets: MarketRoutes) -> None:
        self._venue = venue
        self._market = markets.market

    @property
    def reads(self) -> dict[tuple[str, str], Private]:
        """By method and path."""
        return {
            ("GET", "/fapi/v1/order"): self._query,
            ("GET", "/fapi/v1/openOrder"): self._query_open,
            ("GET", "/fapi/v1/openOrders"): self._open_orders,
            ("GET", "/fapi/v1/allOrders"): self._all_orders,
            ("GET", "/fapi/v1/forceOrders"): self._forced_orders,
        }

    @property
    def writes(self) -> dict[tuple[str, str], Private]:
        """By method and path; they need a key that may trade."""
        return {
            ("POST", "/fapi/v1/order"): self._place,
            ("POST", "/fapi/v1/order/test"): self._test,
            ("PUT", "/fapi/v1/order"): self._amend,
            ("DELETE", "/fapi/v1/order"): self._cancel,
            ("DELETE", "/fapi/v1/allOpenOrders"): self._cancel_all,
            ("POST", "/fapi/v1/batchOrders"): self._place_batch,
            ("DELETE", "/fapi/v1/batchOrders"): self._cancel_batch,
        }

    def cancel_everything(self, account: Account, market: Market) -> None:
        """Cancel every order of a market that works in the book."""
        for order in _working(account.open_orders.values()):
            if order.instrument is market.instrument:
                self._venue.cancel(account, order)

    def _place(self, params: Params, caller: Caller) -> Row:
        market, request = self._request(params, caller)
        response = params.optional("newOrderRespType") or "ACK"
        if response not in {"ACK", "RESULT"}:
            raise BinanceError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
        self._check_fillable(market, request)
        try:
            order = self._venue.place(caller.account, market, request)
        except Refused as refused:
            raise codes.order_refusal(refused, market.instrument, request.side) from None
        return rows.acknowledged(order) if response == "ACK" else rows.changed(order)

    def _test(self, params: Params, caller: Caller) -> Row:
        market, request = self._request(params, caller)
        try:
            self._venue.check(caller.account, market, request)
        except Refused as refused:
            raise codes.order_refusal(refused, market.instrument, request.side) from None
        return {}

    def _request(self, params: Params, caller: Caller) -> tuple[Market, OrderRequest]:
        market = self._market(params.symbol())
        now_ms = self._venue.clock.now_ms()
        return market, asks.plain_order(params, caller.account, market, now_ms)

    def _check_fillable(self, market: Market, request: OrderRequest) -> None:
        """The futures refuse a fill-or-kill order that spot would take and expire."""
        if request.time_in_force is not TimeInForce.FOK or request.quantity is None:
            return
        instrument = market.instrument
        lots = instrument.lots(request.quantity)
        limit = instrument.ticks(request.limit_price) if request.limit_price else None
        if market.book.fillable(request.side, limit, lots)[0] < lots:
            raise codes.unfillable()

    def _amend(self, params: Params, caller: Caller) -> Row:
        order = self._find(params, caller)
        if order is None:
            raise no_such_order()
        market = self._market(params.symbol())
        if asks.SIDES.get(params.text("side")) is not order.side:
            raise BinanceError(-1117, "Invalid side.")
        params.text("quantity")
        price = asks.on_grid(params, "price", market.instrument)
        asks.check_band(market, order.side, price)
        try:
            changed = self._venue.amend(
                caller.account, order, quantity=params.decimal("quantity"), limit_price=price
            )
        except Refused as refused:
            if refused.reason is RefusalReason.ORDER_FINAL:
                raise no_such_order() from None
            raise codes.order_refusal(refused, market.instrument, order.side) from None
        return rows.changed(changed)

    def _query(self, params: Params, caller: Caller) -> Row:
        order = self._find(params, caller, self._venue.sight.order)
        if order is None:
            raise no_such_order()
        return rows.order(order)

    def _query_open(self, params: Params, caller: Caller) -> Row:
        order = self._find(params, caller, self._venue.sight.order)
        if order is None or not order.state.is_open:
            raise no_such_order()
        return rows.order(order)

    def _open_orders(self, params: Params, caller: Caller) -> list[Row]:
        market = self._market(params.symbol()) if params.has("symbol") else None
        return [
            rows.order(order)
            for order in _working(self._venue.sight.open_orders(caller.account))
            if market is None or order.instrument is market.instrument
        ]

    def _all_orders(self, params: Params, caller: Caller) -> list[Row]:
        market = self._market(params.symbol())
        window = week(Window.of(params))
        first_id = params.integer("orderId")
        known = (
            order
            for order in self._venue.sight.orders(caller.account)
            if order.instrument is market.instrument and rows.is_in_book_family(order)
        )
        picked = Window(first_id, window.start_ms, window.end_ms, window.limit).pick(
            known, lambda o: o.id, lambda o: o.created_ms
        )
        return [rows.order(order) for order in picked]

    def _forced_orders(self, params: Params, caller: Caller) -> list[Row]:
        """Orders that the venue itself made to close a position."""
        market = self._market(params.symbol()) if params.has("symbol") else None
        forced = (
            order
            for order in caller.account.orders
            if order.origin is not Origin.CLIENT
            and (market is None or order.instrument is market.instrument)
        )
        picked = Window.of(params).pick(forced, lambda o: o.id, lambda o: o.created_ms)
        return [rows.order(order) for order in picked]

    def _cancel(self, params: Params, caller: Caller) -> Row:
        order = self._find(params, caller)
        if order is None:
            raise codes.refusal(Refused(RefusalReason.ORDER_FINAL))
        try:
            return rows.changed(self._venue.cancel(caller.account, order))
        except Refused as refused:
            raise codes.refusal(refused) from None

    def _cancel_all(self, params: Params, caller: Caller) -> Row:
        self.cancel_everything(caller.account, self._market(params.symbol()))
        return DONE

    def _place_batch(self, params: Params, caller: Caller) -> list[object]:
        asked = _listed(params, "batchOrders", _BATCH, BATCH_MAX)
        return [_attempt(self._place, Params(_texts(one)), caller) for one in asked]

    def _cancel_batch(self, params: Params, caller: Caller) -> list[object]:
        name = "orderIdList" if params.has("orderIdList") else "origClientOrderIdList"
        single = "orderId" if name == "orderIdList" else "origClientOrderId"
        symbol = params.symbol()
        asked = _listed(params, name, _IDS, CANCEL_BATCH_MAX)
        return [
            _attempt(self._cancel, Params({"symbol": symbol, single: str(one)}), caller)
            for one in asked
        ]

    def _find(
        self, params: Params, caller: Caller, look: Callable[..., Order] | None = None
    ) -> Order | None:
        """The order that a request names by either id."""
        market = self._market(params.symbol())
        order_id, client_id = params.integer("orderId"), params.optional("origClientOrderId")
        if order_id is None and client_id is None:
            raise BinanceError(
                -1102,
                "Param 'origClientOrderId' or 'orderid' must be sent, but both were empty/null!",
            )
        try:
            order = (look or self._venue.order)(
                caller.account, market, order_id=order_id, client_order_id=client_id
            )
        except Refused:
            return None
        return order if rows.is_in_book_family(order) else None


def week(window: Window) -> Window:
    """A window of a week at most; with one end it reaches a week from it.

    Raises:
        BinanceError: -4166, for a longer one.
    """
    start_ms, end_ms = window.start_ms, window.end_ms
    if start_ms is not None and end_ms is not None and end_ms - start_ms > WEEK_MS:
        raise BinanceError(-4166, "Search window is restricted to recent 7 days only.")
    if start_ms is not None and end_ms is None:
        end_ms = start_ms + WEEK_MS
    elif end_ms is not None and start_ms is None:
        start_ms = end_ms - WEEK_MS
    return Window(window.from_id, start_ms, end_ms, window.limit)


def _working(orders: Iterable[Order]) -> list[Order]:
    return [
        order
        for order in orders
        if order.instrument.category is Category.LINEAR and rows.is_in_book_family(order)
    ]


def _attempt(route: Private, params: Params, caller: Caller) -> object:
    """One of a batch; its failure is its answer."""
    try:
        return route(params, caller)
    except BinanceError as refused:
        return refused.body


def _listed(
    params: Params, name: str, decoder: msgspec.json.Decoder[list[_T]], most: int
) -> list[_T]:
    text = params.text(name)
    try:
        listed = decoder.decode(text)
    except msgspec.MsgspecError:
        raise illegal(name, "a JSON list") from None
    if len(listed) > most:
        raise BinanceError(-4082, "Invalid number of batch place orders.")
    return listed


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
    }
