"""Requests: what a new order asks for, parameter by parameter, in the venue's order of checks.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints and
/faqs/trailing-stop-faq, 2026-11.
"""

from decimal import Decimal
from uuid import uuid4

from alphapulse.domain.order import Side
from alphapulse.simulator.core.order import OrderKind, OrderRequest, TimeInForce
from alphapulse.simulator.core.trigger import Crossing, Trail, TriggerRequest
from alphapulse.simulator.venues.binance import codes
from alphapulse.simulator.venues.binance.codes import BinanceError
from alphapulse.simulator.venues.binance.params import CLIENT_ID, Params

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
TIMES_IN_FORCE = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
RESPONSES = ("ACK", "RESULT", "FULL")

# A stop loss waits for the price to go against its side, a take profit for it to come.
_STOPS = {
    "STOP_LOSS": (OrderKind.MARKET, True),
    "STOP_LOSS_LIMIT": (OrderKind.LIMIT, True),
    "TAKE_PROFIT": (OrderKind.MARKET, False),
    "TAKE_PROFIT_LIMIT": (OrderKind.LIMIT, False),
}


def order_request(params: Params) -> OrderRequest:
    """A new order, of any type.

    Raises:
        BinanceError: a parameter is missing, malformed or not required.
    """
    side = SIDES.get(params.text("side"))
    if side is None:
        raise BinanceError(-1117, "Invalid side.")
    kind = params.text("type")
    if kind == "MARKET":
        return _market(params, side)
    if kind in {"LIMIT", "LIMIT_MAKER"}:
        _refuse(params, "quoteOrderQty")
        return _limit(params, side, is_maker=kind == "LIMIT_MAKER", trigger=None)
    if kind in _STOPS:
        return _stop(params, side, *_STOPS[kind])
    raise BinanceError(-1116, "Invalid orderType.")


def response_kind(params: Params) -> str:
    """How much the answer to a new order should tell; stops tell little unless asked."""
    is_plain = params.optional("type") in {"MARKET", "LIMIT"}
    response = params.optional("newOrderRespType") or ("FULL" if is_plain else "ACK")
    if response not in RESPONSES:
        raise BinanceError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    return response


def invented_id() -> str:
    """A client id where the client gave none."""
    return uuid4().hex[:22]


def _market(params: Params, side: Side) -> OrderRequest:
    _refuse(params, "price", "timeInForce")
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


def _limit(
    params: Params, side: Side, *, is_maker: bool, trigger: TriggerRequest | None
) -> OrderRequest:
    if is_maker:
        _refuse(params, "timeInForce")
        time_in_force = TimeInForce.POST_ONLY
    else:
        known = TIMES_IN_FORCE.get(params.text("timeInForce"))
        if known is None:
            raise BinanceError(-1115, "Invalid timeInForce.")
        time_in_force = known
    return OrderRequest(
        side=side,
        kind=OrderKind.LIMIT,
        quantity=_needed(params, "quantity"),
        limit_price=_needed(params, "price"),
        time_in_force=time_in_force,
        client_order_id=_client_id(params),
        trigger=trigger,
    )


def _stop(params: Params, side: Side, kind: OrderKind, is_loss: bool) -> OrderRequest:
    _refuse(params, "quoteOrderQty")
    bips = params.integer("trailingDelta")
    if bips is None and not params.has("stopPrice"):
        raise BinanceError(
            -1102,
            "Param 'stopPrice' or 'trailingDelta' must be sent, but both were empty/null!",
        )
    is_rising = (side is Side.BUY) == is_loss
    trigger = TriggerRequest(
        price=params.decimal("stopPrice"),
        crossing=Crossing.RISING if is_rising else Crossing.FALLING,
        trail=None if bips is None else Trail(bips),
        locks_funds=True,
    )
    if kind is OrderKind.LIMIT:
        return _limit(params, side, is_maker=False, trigger=trigger)
    _refuse(params, "price", "timeInForce")
    return OrderRequest(
        side=side,
        kind=OrderKind.MARKET,
        quantity=_needed(params, "quantity"),
        client_order_id=_client_id(params),
        trigger=trigger,
    )


def _needed(params: Params, name: str) -> Decimal | None:
    params.text(name)
    return params.decimal(name)


def _refuse(params: Params, *names: str) -> None:
    for name in names:
        if params.has(name):
            raise codes.not_required(name)


def _client_id(params: Params) -> str:
    return params.matching("newClientOrderId", CLIENT_ID) or invented_id()
