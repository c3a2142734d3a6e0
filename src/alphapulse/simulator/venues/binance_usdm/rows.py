"""Rows: the core's orders and fills in the futures' JSON. Prices and quantities lie on the grid
of the contract, money has eight decimals."""

from decimal import Decimal

from alphapulse.domain.order import Side
from alphapulse.simulator.core.order import Fill, Order, OrderKind, OrderState, TimeInForce
from alphapulse.simulator.core.trigger import Crossing, PriceKind, Trigger
from alphapulse.simulator.venues.binance.market_rows import SIDES, Row, eight, text

STATES = {
    OrderState.UNTRIGGERED: "NEW",
    OrderState.NEW: "NEW",
    OrderState.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderState.FILLED: "FILLED",
    OrderState.CANCELED: "CANCELED",
    OrderState.EXPIRED: "EXPIRED",
    OrderState.REJECTED: "REJECTED",
}
TIMES_IN_FORCE = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.POST_ONLY: "GTX",
    TimeInForce.GTD: "GTD",
}
WORKING_TYPES = {PriceKind.LAST: "CONTRACT_PRICE", PriceKind.MARK: "MARK_PRICE"}


def grid(number: Decimal) -> str:
    """With the decimals of its grid."""
    return format(number, "f")


def is_conditional(order: Order) -> bool:
    """Whether an order was made by the algo service."""
    return order.trigger is not None


def is_in_book_family(order: Order) -> bool:
    """Whether ``/order`` knows it: an algo order is known there once it was triggered and taken."""
    is_refused = order.state is OrderState.REJECTED
    return order.trigger is None or (order.triggered_ms > 0 and not is_refused)


def algo_type(order: Order) -> str:
    """``STOP``, ``TAKE_PROFIT_MARKET`` .. of an order that has a trigger."""
    if order.trigger is None:
        return order_type(order)
    if order.trigger.trail is not None:
        return "TRAILING_STOP_MARKET"
    is_stop = (order.trigger.fires is Crossing.RISING) == (order.side is Side.BUY)
    kind = "STOP" if is_stop else "TAKE_PROFIT"
    return kind if order.kind is OrderKind.LIMIT else f"{kind}_MARKET"


def order_type(order: Order) -> str:
    return "LIMIT" if order.kind is OrderKind.LIMIT else "MARKET"


def time_in_force(order: Order) -> str:
    return "GTC" if order.kind is OrderKind.MARKET else TIMES_IN_FORCE[order.time_in_force]


def average_price(order: Order) -> str:
    """With one decimal more than the grid has, cut there."""
    step = order.instrument.tick_size.scaleb(-1)
    return format(order.average_price.quantize(step), "f")


def working_type(trigger: Trigger | None) -> str:
    return WORKING_TYPES[trigger.by if trigger else PriceKind.LAST]


def order(order: Order) -> Row:
    """An order as queries show it."""
    return {**placed(order), "time": order.created_ms}


def placed(order: Order) -> Row:
    """The answer to a new, changed or canceled order."""
    return {
        "orderId": order.id,
        "symbol": order.instrument.name,
        "status": STATES[order.state],
        "clientOrderId": order.client_order_id,
        "price": grid(order.limit_price),
        "avgPrice": average_price(order),
        "origQty": grid(order.quantity),
        "executedQty": grid(order.filled_quantity),
        "cumQuote": text(order.filled_notional),
        "timeInForce": time_in_force(order),
        "type": order_type(order),
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": SIDES[order.side],
        "positionSide": order.position_side.upper(),
        "stopPrice": grid(order.stop_price),
        "workingType": working_type(order.trigger),
        "priceProtect": False,
        "origType": algo_type(order),
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": order.expires_ms,
        "updateTime": order.updated_ms,
    }


def acknowledged(order: Order) -> Row:
    """The answer to a new order that only says that it was taken: nothing is filled yet."""
    row = placed(order) | {
        "status": "NEW",
        "avgPrice": grid(order.instrument.price(0)),
        "executedQty": grid(order.instrument.quantity(0)),
        "cumQuote": text(Decimal(0)),
        "updateTime": order.created_ms,
    }
    return {**row, "cumQty": row["executedQty"]}


def changed(order: Order) -> Row:
    """The answer to a change or a cancel."""
    return {**placed(order), "cumQty": grid(order.filled_quantity)}


def fill(fill: Fill) -> Row:
    """A trade of the account."""
    is_buy = fill.side is Side.BUY
    return {
        "symbol": fill.instrument.name,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": SIDES[fill.side],
        "price": grid(fill.price),
        "qty": grid(fill.quantity),
        "realizedPnl": eight(fill.realized_pnl),
        "quoteQty": text(fill.notional),
        "commission": text(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.at_ms,
        "positionSide": fill.position_side.upper(),
        "buyer": is_buy,
        "maker": fill.is_maker,
    }


def algo_status(order: Order) -> str:
    """Where an algo order stands: before its trigger, on its way, or over."""
    if order.state is OrderState.REJECTED:
        return "REJECTED"
    if not order.triggered_ms:
        return STATES[order.state]
    return "TRIGGERED" if order.state.is_open else "FINISHED"


def algo_order(order: Order) -> Row:
    """An order of the algo service, as it shows it."""
    was_taken = is_in_book_family(order)
    return {
        "algoId": order.id,
        "clientAlgoId": order.client_order_id,
        "algoType": "CONDITIONAL",
        "orderType": algo_type(order),
        "symbol": order.instrument.name,
        "side": SIDES[order.side],
        "positionSide": order.position_side.upper(),
        "timeInForce": time_in_force(order),
        "quantity": grid(order.quantity),
        "algoStatus": algo_status(order),
        "actualOrderId": str(order.id) if was_taken else "",
        "actualPrice": average_price(order),
        "triggerPrice": grid(order.stop_price),
        "price": grid(order.limit_price),
        "icebergQuantity": None,
        "selfTradePreventionMode": "NONE",
        "workingType": working_type(order.trigger),
        "priceMatch": "NONE",
        "closePosition": order.close_position,
        "priceProtect": False,
        "reduceOnly": order.reduce_only,
        "createTime": order.created_ms,
        "updateTime": order.updated_ms,
        "triggerTime": order.triggered_ms,
        "goodTillDate": order.expires_ms,
        **_trail(order),
    }


def callback_rate(order: Order) -> Decimal:
    """Per cent that a trailing order lets the price turn back; zero of any other."""
    trail = order.trigger.trail if order.trigger else None
    return Decimal(trail.bips) / 100 if trail else Decimal(0)


def _trail(order: Order) -> Row:
    if order.trigger is None or order.trigger.trail is None:
        return {}
    return {"activatePrice": grid(order.stop_price), "callbackRate": str(callback_rate(order))}
