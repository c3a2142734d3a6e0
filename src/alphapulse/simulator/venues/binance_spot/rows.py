"""Rows: the core's orders in Binance spot's JSON, and what of a market only spot tells."""

from alphapulse.domain.order import Side
from alphapulse.simulator.core.instrument import Instrument
from alphapulse.simulator.core.market import AggregateTrade, Market, PublicTrade
from alphapulse.simulator.core.order import Fill, Order, OrderKind, OrderState, TimeInForce
from alphapulse.simulator.core.trigger import Crossing
from alphapulse.simulator.venues.binance import market_rows
from alphapulse.simulator.venues.binance.market_rows import SIDES, ZERO, Row, text

STATES = {
    OrderState.UNTRIGGERED: "NEW",
    OrderState.NEW: "NEW",
    OrderState.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderState.FILLED: "FILLED",
    OrderState.CANCELED: "CANCELED",
    OrderState.EXPIRED: "EXPIRED",
    OrderState.REJECTED: "REJECTED",
}
_TIMES_IN_FORCE = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.POST_ONLY: "GTC",
}


def order_type(order: Order) -> str:
    if order.trigger is not None:
        is_loss = (order.trigger.crossing is Crossing.RISING) == (order.side is Side.BUY)
        name = "STOP_LOSS" if is_loss else "TAKE_PROFIT"
        return f"{name}_LIMIT" if order.kind is OrderKind.LIMIT else name
    if order.kind is OrderKind.MARKET:
        return "MARKET"
    return "LIMIT_MAKER" if order.time_in_force is TimeInForce.POST_ONLY else "LIMIT"


def time_in_force(order: Order) -> str:
    return "GTC" if order.kind is OrderKind.MARKET else _TIMES_IN_FORCE[order.time_in_force]


def status(order: Order) -> str:
    """A stop that is refused when its price comes has expired, in the venue's words."""
    is_late = order.state is OrderState.REJECTED and order.triggered_ms > 0
    return "EXPIRED" if is_late else STATES[order.state]


def working_ms(order: Order) -> int:
    """Since when it may trade; -1 while it waits for its price."""
    if order.trigger is None:
        return order.created_ms
    return order.triggered_ms or -1


def _stop(order: Order) -> Row:
    """What only an order with a trigger has, where others have nothing."""
    return {} if order.trigger is None else {"stopPrice": text(order.stop_price), **_trail(order)}


def _trail(order: Order) -> Row:
    trigger = order.trigger
    return {} if trigger is None or trigger.trail is None else {"trailingDelta": trigger.trail.bips}


def _order_state(order: Order) -> Row:
    """What every view of an order has."""
    return {
        "price": text(order.limit_price),
        "origQty": text(order.quantity),
        "executedQty": text(order.filled_quantity),
        "origQuoteOrderQty": text(order.quote_quantity),
        "cummulativeQuoteQty": text(order.filled_notional),
        "status": status(order),
        "timeInForce": time_in_force(order),
        "type": order_type(order),
        "side": SIDES[order.side],
        "selfTradePreventionMode": "NONE",
    }


def _order_identity(order: Order) -> Row:
    return {
        "symbol": order.instrument.name,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
    }


def order(order: Order) -> Row:
    """An order as queries show it."""
    return {
        **_order_identity(order),
        **_order_state(order),
        "stopPrice": text(order.stop_price),
        **_trail(order),
        "icebergQty": ZERO,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": order.state is not OrderState.UNTRIGGERED,
        "workingTime": working_ms(order),
    }


def placed(order: Order, kind: str) -> Row:
    """The answer to a new order, as much of it as ``newOrderRespType`` asks for."""
    row = {**_order_identity(order), "transactTime": order.updated_ms}
    if kind == "ACK":
        return row
    row |= {**_order_state(order), **_stop(order), "workingTime": working_ms(order)}
    return row if kind == "RESULT" else row | {"fills": [placed_fill(f) for f in order.fills]}


def placed_fill(fill: Fill) -> Row:
    return {
        "price": text(fill.price),
        "qty": text(fill.quantity),
        "commission": text(fill.fee),
        "commissionAsset": fill.fee_asset,
        "tradeId": fill.trade_id,
    }


def canceled(order: Order, cancel_id: str) -> Row:
    """The answer to a cancel: the client id is the cancel's own."""
    return {
        **_order_identity(order),
        "clientOrderId": cancel_id,
        "origClientOrderId": order.client_order_id,
        "transactTime": order.updated_ms,
        **_order_state(order),
        **_stop(order),
    }


def amended(order: Order, name_before: str) -> Row:
    """The answer to an amend: the order has another client id."""
    return {
        "transactTime": order.updated_ms,
        "executionId": execution_id(order),
        "amendedOrder": {
            **_order_identity(order),
            "origClientOrderId": name_before,
            "price": text(order.limit_price),
            "qty": text(order.quantity),
            "executedQty": text(order.filled_quantity),
            "preventedQty": ZERO,
            "quoteOrderQty": text(order.quote_quantity),
            "cumulativeQuoteQty": text(order.filled_notional),
            "status": status(order),
            "timeInForce": time_in_force(order),
            "type": order_type(order),
            "side": SIDES[order.side],
            **_stop(order),
            "workingTime": working_ms(order),
            "selfTradePreventionMode": "NONE",
        },
    }


def execution_id(order: Order, fill: Fill | None = None) -> int:
    """Rises with every report of an order."""
    return order.id * 1000 + len(order.fills) + (0 if fill is None else 1)


def fill(fill: Fill) -> Row:
    """A trade of the account."""
    return {
        "symbol": fill.instrument.name,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": text(fill.price),
        "qty": text(fill.quantity),
        "quoteQty": text(fill.notional),
        "commission": text(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.at_ms,
        "isBuyer": fill.side is Side.BUY,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def trade(trade: PublicTrade, instrument: Instrument) -> Row:
    return {**market_rows.trade(trade, instrument), "isBestMatch": True}


def aggregate(trade: AggregateTrade, instrument: Instrument) -> Row:
    return {**market_rows.aggregate(trade, instrument), "M": True}


def day_of(market: Market, now_ms: int) -> Row:
    """The last 24 hours, with best bid and ask."""
    day = market_rows.day_of(market, now_ms)
    return {**day, **market_rows.best(market), "prevClosePrice": day["openPrice"]}
