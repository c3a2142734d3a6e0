"""Asks: what a client wants of an order, read and checked as the futures do it."""

from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

from alphapulse.domain.money import EXACT, is_multiple
from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.instrument import Instrument
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import OrderKind, OrderRequest, TimeInForce
from alphapulse.simulator.core.position import PositionSide
from alphapulse.simulator.core.trigger import Crossing, PriceKind, Trail, TriggerRequest
from alphapulse.simulator.venues.binance.codes import BinanceError, missing, not_required
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance_usdm import codes
from alphapulse.simulator.venues.binance_usdm.listing import (
    HIGHEST_PRICE,
    PERCENT_DOWN,
    PERCENT_UP,
)

CLIENT_ID_LENGTH = 36
CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
POSITION_SIDES = {side.upper(): side for side in PositionSide}
TIMES_IN_FORCE = {
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
    "GTX": TimeInForce.POST_ONLY,
    "GTD": TimeInForce.GTD,
}
CONDITIONAL = frozenset(
    {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}
)
_WATCHED = {"CONTRACT_PRICE": PriceKind.LAST, "MARK_PRICE": PriceKind.MARK}

# A GTD order lives ten minutes at least.
SHORTEST_LIFE_MS = 600_000


def client_id(params: Params, name: str) -> str:
    """The client's own id, or one that the venue invents."""
    value = params.optional(name)
    if value is None:
        return uuid4().hex[:22]
    if len(value) > CLIENT_ID_LENGTH:
        raise BinanceError(
            -4015, f"Client order id length should be less than {CLIENT_ID_LENGTH} chars"
        )
    params.matching(name, CLIENT_ID)
    return value


def plain_order(params: Params, account: Account, market: Market, now_ms: int) -> OrderRequest:
    """A ``LIMIT`` or ``MARKET`` order.

    Raises:
        BinanceError: what is missing, malformed, off the grid or not for this endpoint.
    """
    kind = params.text("type")
    if kind in CONDITIONAL:
        raise codes.wrong_endpoint()
    if kind not in {"LIMIT", "MARKET"}:
        raise BinanceError(-1116, "Invalid orderType.")
    params.text("quantity")
    request = replace(
        _common(params, account, market.instrument),
        client_order_id=client_id(params, "newClientOrderId"),
    )
    if kind == "MARKET":
        for name in ("price", "timeInForce"):
            if params.has(name):
                raise not_required(name)
        return request
    return _limited(params, market, request, params.text("timeInForce"), now_ms)


def conditional_order(
    params: Params, account: Account, market: Market, now_ms: int
) -> OrderRequest:
    """An order of the algo service.

    Raises:
        BinanceError: as `plain_order`.
    """
    if params.text("algoType") != "CONDITIONAL":
        raise BinanceError(-1116, "Invalid algoType.")
    kind = params.text("type")
    if kind not in CONDITIONAL:
        raise BinanceError(-1116, "Invalid orderType.")
    closes = params.optional("closePosition") == "true"
    request = replace(
        _common(params, account, market.instrument),
        client_order_id=client_id(params, "clientAlgoId"),
        close_position=closes,
        trigger=_trigger(params, kind, market.instrument),
    )
    if closes:
        _check_closing(params, kind)
    elif request.quantity is None:
        raise missing("quantity")
    if kind in {"STOP", "TAKE_PROFIT"}:
        return _limited(params, market, request, params.optional("timeInForce") or "GTC", now_ms)
    return request


def _common(params: Params, account: Account, instrument: Instrument) -> OrderRequest:
    side = SIDES.get(params.text("side"))
    if side is None:
        raise BinanceError(-1117, "Invalid side.")
    position_side = POSITION_SIDES.get(params.optional("positionSide") or "BOTH")
    if position_side is None or (position_side is PositionSide.BOTH) == account.is_hedged:
        raise codes.wrong_position_side()
    if account.is_hedged and params.has("reduceOnly"):
        raise not_required("reduceonly")
    if (params.optional("priceMatch") or "NONE") != "NONE":
        raise BinanceError(-5037, "Invalid price match")
    return OrderRequest(
        side=side,
        kind=OrderKind.MARKET,
        quantity=_quantity(params, instrument),
        reduce_only=params.optional("reduceOnly") == "true" or _closes(side, position_side),
        position_side=position_side,
    )


def _closes(side: Side, position_side: PositionSide) -> bool:
    """In hedge mode selling a long, or buying a short, can only reduce it."""
    closing = {PositionSide.LONG: Side.SELL, PositionSide.SHORT: Side.BUY}
    return closing.get(position_side) is side


def _limited(
    params: Params, market: Market, request: OrderRequest, life: str, now_ms: int
) -> OrderRequest:
    """With its limit price, and how long it lives."""
    params.text("price")
    time_in_force = TIMES_IN_FORCE.get(life)
    if time_in_force is None:
        raise BinanceError(-1115, "Invalid timeInForce.")
    price = on_grid(params, "price", market.instrument)
    check_band(market, request.side, price)
    return replace(
        request,
        kind=OrderKind.LIMIT,
        limit_price=price,
        time_in_force=time_in_force,
        expires_ms=_expiry(params, now_ms) if time_in_force is TimeInForce.GTD else 0,
    )


def _expiry(params: Params, now_ms: int) -> int:
    until_ms = params.integer("goodTillDate")
    if until_ms is None:
        raise missing("goodtilldate")
    # The venue counts whole seconds.
    until_ms = until_ms // 1000 * 1000
    if until_ms <= now_ms + SHORTEST_LIFE_MS:
        raise codes.too_short_lived()
    return until_ms


def _trigger(params: Params, kind: str, instrument: Instrument) -> TriggerRequest:
    watched = _WATCHED.get(params.optional("workingType") or "CONTRACT_PRICE")
    if watched is None:
        raise BinanceError(-4105, "Invalid working type.")
    if kind == "TRAILING_STOP_MARKET":
        price = on_grid(params, "activatePrice", instrument) if _activates(params) else None
        return TriggerRequest(price=price, by=watched, trail=Trail(bips=_callback_bips(params)))
    params.text("triggerPrice")
    is_buy, is_stop = params.text("side") == "BUY", kind.startswith("STOP")
    return TriggerRequest(
        price=on_grid(params, "triggerPrice", instrument),
        crossing=Crossing.RISING if is_buy == is_stop else Crossing.FALLING,
        by=watched,
    )


def _activates(params: Params) -> bool:
    return params.has("activatePrice")


def _callback_bips(params: Params) -> int:
    rate = params.decimal("callbackRate")
    if rate is None:
        raise missing("callbackrate")
    # A tenth of a per cent to ten, in hundredths.
    if not Decimal("0.1") <= rate <= 10 or not is_multiple(rate, Decimal("0.01")):
        raise BinanceError(-2007, "Invalid callBack rate.")
    return int(rate * 100)


def _check_closing(params: Params, kind: str) -> None:
    if kind not in {"STOP_MARKET", "TAKE_PROFIT_MARKET"}:
        raise BinanceError(-4136, "Target strategy invalid for orderType, closePosition.")
    for name in ("quantity", "reduceOnly"):
        if params.has(name):
            raise not_required(name.lower())


def _quantity(params: Params, instrument: Instrument) -> Decimal | None:
    quantity = params.decimal("quantity")
    if quantity is None:
        return None
    if quantity <= 0:
        raise BinanceError(-4003, "Quantity less than or equal to zero.")
    if not is_multiple(quantity, instrument.lot_size):
        raise codes.too_precise()
    if quantity < instrument.min_quantity:
        raise BinanceError(-4004, "Quantity less than min quantity.")
    if quantity > instrument.max_quantity:
        raise BinanceError(-4005, "Quantity greater than max quantity.")
    return quantity


def on_grid(params: Params, name: str, instrument: Instrument) -> Decimal:
    """A price that is sent, lies on the grid and within the price filter."""
    price = params.decimal(name)
    if price is None:
        raise missing(name)
    if price <= 0:
        raise BinanceError(-4001, "Price less than or equal to zero.")
    if price > HIGHEST_PRICE:
        raise BinanceError(-4002, "Price greater than max price.")
    if not is_multiple(price, instrument.tick_size):
        raise BinanceError(-4014, "Price not increased by tick size.")
    return price


def check_band(market: Market, side: Side, price: Decimal) -> None:
    """A buy must not pay much more than the mark price, a sell not take much less."""
    highest = EXACT.multiply(market.mark_price, PERCENT_UP)
    lowest = EXACT.multiply(market.mark_price, PERCENT_DOWN)
    if side is Side.BUY and price > highest:
        raise codes.beyond_band(side, highest, market.instrument)
    if side is Side.SELL and price < lowest:
        raise codes.beyond_band(side, lowest, market.instrument)
