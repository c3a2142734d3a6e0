"""Algo routes: orders that wait for a price outside of the book.

The core keeps one order through its life; here it has two names. While it waits only the algo
service knows it; once triggered it is also an order of the book, under the same number.
"""

from collections.abc import Iterable

from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.order import Order, OrderState
from alphapulse.simulator.core.refusal import Refused
from alphapulse.simulator.venues.binance.codes import BinanceError, no_such_order
from alphapulse.simulator.venues.binance.market_rows import Row
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance.routes import Caller, Private, Window
from alphapulse.simulator.venues.binance_usdm import asks, codes, rows
from alphapulse.simulator.venues.binance_usdm.market import MarketRoutes
from alphapulse.simulator.venues.binance_usdm.orders import DONE, week


class AlgoRoutes:
    """Conditional orders of one account."""

    def __init__(self, venue: Venue, markets: MarketRoutes) -> None:
        self._venue = venue
        self._market = markets.market

    @property
    def reads(self) -> dict[tuple[str, str], Private]:
        """By method and path."""
        return {
            ("GET", "/fapi/v1/algoOrder"): self._query,
            ("GET", "/fapi/v1/openAlgoOrders"): self._open_orders,
            ("GET", "/fapi/v1/allAlgoOrders"): self._all_orders,
        }

    @property
    def writes(self) -> dict[tuple[str, str], Private]:
        """By method and path; they need a key that may trade."""
        return {
            ("POST", "/fapi/v1/algoOrder"): self._place,
            ("DELETE", "/fapi/v1/algoOrder"): self._cancel,
            ("DELETE", "/fapi/v1/algoOpenOrders"): self._cancel_all,
        }

    def _place(self, params: Params, caller: Caller) -> Row:
        market = self._market(params.symbol())
        now_ms = self._venue.clock.now_ms()
        request = asks.conditional_order(params, caller.account, market, now_ms)
        try:
            order = self._venue.place(caller.account, market, request)
        except Refused as refused:
            raise codes.order_refusal(refused, market.instrument, request.side) from None
        return rows.algo_order(order)

    def _query(self, params: Params, caller: Caller) -> Row:
        order = _find(params, caller.account)
        if order is None:
            raise no_such_order()
        market = self._venue.markets[order.instrument.key]
        try:
            seen = self._venue.sight.order(caller.account, market, order_id=order.id)
        except Refused:
            raise no_such_order() from None
        return rows.algo_order(seen)

    def _open_orders(self, params: Params, caller: Caller) -> list[Row]:
        market = self._market(params.symbol()) if params.has("symbol") else None
        return [
            rows.algo_order(order)
            for order in _waiting(self._venue.sight.open_orders(caller.account))
            if market is None or order.instrument is market.instrument
        ]

    def _all_orders(self, params: Params, caller: Caller) -> list[Row]:
        market = self._market(params.symbol())
        window = week(Window.of(params))
        first_id = params.integer("algoId")
        known = (
            order
            for order in self._venue.sight.orders(caller.account)
            if order.instrument is market.instrument and rows.is_conditional(order)
        )
        picked = Window(first_id, window.start_ms, window.end_ms, window.limit).pick(
            known, lambda o: o.id, lambda o: o.created_ms
        )
        return [rows.algo_order(order) for order in picked]

    def _cancel(self, params: Params, caller: Caller) -> Row:
        order = _find(params, caller.account)
        if order is None or order.state is not OrderState.UNTRIGGERED:
            raise BinanceError(-2011, "Unknown order sent.")
        done = self._venue.cancel(caller.account, order)
        return {
            "algoId": done.id,
            "clientAlgoId": done.client_order_id,
            "code": "200",
            "msg": "success",
        }

    def _cancel_all(self, params: Params, caller: Caller) -> Row:
        market = self._market(params.symbol())
        for order in _waiting(caller.account.open_orders.values()):
            if order.instrument is market.instrument:
                self._venue.cancel(caller.account, order)
        return DONE


def _waiting(orders: Iterable[Order]) -> list[Order]:
    return [
        order
        for order in orders
        if order.state is OrderState.UNTRIGGERED and order.instrument.settle is not None
    ]


def _find(params: Params, account: Account) -> Order | None:
    """The conditional order that a request names by either id; the symbol is not asked for."""
    algo_id, client_id = params.integer("algoId"), params.optional("clientAlgoId")
    if algo_id is None and client_id is None:
        raise BinanceError(
            -1102, "Param 'clientalgoid' or 'algoid' must be sent, but both were empty/null!"
        )
    if algo_id is not None:
        order = account.orders_by_id.get(algo_id)
    else:
        order = account.orders_by_client_id.get(client_id or "")
    is_known = order is not None and rows.is_conditional(order)
    return order if is_known and order is not None and order.instrument.settle else None
