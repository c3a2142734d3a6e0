"""Rows that REST and the private stream share: orders and executions, field by field.

Field names and types as recorded from the venue; ccxt tells a contract's order from a spot one by
``tpslMode`` and a contract's execution by ``createType``, so spot rows carry neither.
"""

from decimal import Decimal

from alphapulse.domain.money import EXACT, plain
from alphapulse.domain.order import Side
from alphapulse.simulator.core.instrument import Category, amount_of
from alphapulse.simulator.core.order import (
    Fill,
    Order,
    OrderKind,
    OrderState,
    Origin,
    TimeInForce,
)
from alphapulse.simulator.core.refusal import RefusalReason
from alphapulse.simulator.venues.bybit import ids
from alphapulse.simulator.venues.bybit.conditional import (
    stop_kind,
    trigger_fields,
    was_never_triggered,
)

Row = dict[str, object]

SIDES = {Side.BUY: "Buy", Side.SELL: "Sell"}
KINDS = {OrderKind.LIMIT: "Limit", OrderKind.MARKET: "Market"}
TIMES_IN_FORCE = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.POST_ONLY: "PostOnly",
}
STATUSES = {
    OrderState.UNTRIGGERED: "Untriggered",
    OrderState.NEW: "New",
    OrderState.PARTIALLY_FILLED: "PartiallyFilled",
    OrderState.FILLED: "Filled",
    OrderState.CANCELED: "Cancelled",
    OrderState.EXPIRED: "Cancelled",
    OrderState.REJECTED: "Rejected",
}


_CREATED_BY = {
    Origin.CLIENT: "CreateByUser",
    Origin.LIQUIDATION: "CreateByLiq",
    Origin.ADL: "CreateByAdl_PassThrough",
}
EXECUTED_BY = {Origin.CLIENT: "Trade", Origin.LIQUIDATION: "BustTrade", Origin.ADL: "AdlTrade"}

_REJECTS = {
    "": "EC_NoError",
    RefusalReason.WOULD_MATCH: "EC_PostOnlyWillTakeLiquidity",
    RefusalReason.INSUFFICIENT_BALANCE: "EC_NoEnoughBalance",
    RefusalReason.INSUFFICIENT_MARGIN: "EC_NoEnoughBalance",
}


def status(order: Order) -> str:
    """Spot has a name of its own for an order that ended in the middle, and both have one for a
    trigger that ended before its price came."""
    if was_never_triggered(order):
        return "Deactivated"
    is_ended = order.state in {OrderState.CANCELED, OrderState.EXPIRED}
    if is_ended and order.filled_lots and order.instrument.category is Category.SPOT:
        return "PartiallyFilledCanceled"
    return STATUSES[order.state]


def _cancel_type(order: Order) -> str:
    if order.state is OrderState.CANCELED:
        return "CancelByUser"
    return "CancelByPrepareEnd" if order.state is OrderState.EXPIRED else "UNKNOWN"


def fees_of(order: Order) -> dict[str, Decimal]:
    """What an order has paid so far, by asset."""
    fees: dict[str, Decimal] = {}
    for fill in order.fills:
        fees[fill.fee_asset] = EXACT.add(fees.get(fill.fee_asset, Decimal(0)), fill.fee)
    return fees


def is_by_quote(order: Order) -> bool:
    """A market order for an amount of quote currency."""
    return order.quote_atoms > 0


def _quantity(order: Order) -> Decimal:
    return order.quote_quantity if is_by_quote(order) else order.quantity


def _leaves(order: Order) -> Decimal:
    return order.remaining_quantity if order.state.is_open else Decimal(0)


def order_row(order: Order) -> Row:
    """One order; the stream adds ``category``."""
    leaves = _leaves(order)
    fees = fees_of(order)
    row: Row = {
        "orderId": ids.order_id(order),
        "orderLinkId": ids.link_id(order.client_order_id, order.id),
        "blockTradeId": "",
        "symbol": order.instrument.name,
        "price": plain(order.limit_price),
        "qty": plain(_quantity(order)),
        "side": SIDES[order.side],
        "isLeverage": "0",
        "positionIdx": 0,
        "orderStatus": status(order),
        "cancelType": _cancel_type(order),
        "rejectReason": _reject_reason(order),
        "avgPrice": plain(order.average_price) if order.filled_lots else "",
        "leavesQty": plain(leaves),
        "leavesValue": plain(EXACT.multiply(leaves, order.limit_price)),
        "cumExecQty": plain(order.filled_quantity),
        "cumExecValue": plain(order.filled_notional),
        "cumExecFee": plain(next(iter(fees.values()), Decimal(0))),
        "cumFeeDetail": {asset: plain(fee) for asset, fee in fees.items()},
        "timeInForce": TIMES_IN_FORCE[order.time_in_force],
        "orderType": KINDS[order.kind],
        "stopOrderType": stop_kind(order),
        "orderIv": "",
        "marketUnit": _market_unit(order),
        "takeProfit": "0",
        "stopLoss": "0",
        "tpTriggerBy": "",
        "slTriggerBy": "",
        **trigger_fields(order),
        "lastPriceOnCreated": "",
        "reduceOnly": order.reduce_only or order.close_position,
        "closeOnTrigger": order.close_on_trigger or order.close_position,
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "tpLimitPrice": "0",
        "slLimitPrice": "0",
        "placeType": "order",
        "createdTime": str(order.created_ms),
        "updatedTime": str(order.updated_ms),
    }
    if order.instrument.category is Category.LINEAR:
        row |= {"tpslMode": _tpsl_mode(order), "createType": _create_type(order)}
    return row


def _tpsl_mode(order: Order) -> str:
    if order.trigger is None or not order.trigger.ends_with_position:
        return ""
    return "Full" if order.close_position else "Partial"


def _create_type(order: Order) -> str:
    if order.trigger is not None and order.trigger.ends_with_position:
        return f"CreateBy{stop_kind(order)}"
    return _CREATED_BY[order.origin]


def _reject_reason(order: Order) -> str:
    reason = order.reject_reason
    return reason if reason.startswith("EC_") else _REJECTS.get(reason, "EC_Others")


def _market_unit(order: Order) -> str:
    if order.instrument.category is not Category.SPOT or order.kind is not OrderKind.MARKET:
        return ""
    return "quoteCoin" if is_by_quote(order) else "baseCoin"


def stream_order_row(order: Order, *, has_triggered: bool = False) -> Row:
    """As the private stream tells it; an order whose price has just come says so."""
    asset = next(iter(fees_of(order)), order.instrument.settle or order.instrument.quote)
    told = {"orderStatus": "Triggered"} if has_triggered else {}
    return order_row(order) | {
        **told,
        "category": str(order.instrument.category),
        "feeCurrency": asset,
    }


def execution_row(fill: Fill, order: Order | None, mark_price: Decimal) -> Row:
    """One execution; ``order`` is ``None`` when the venue has forgotten it."""
    instrument = fill.instrument
    row: Row = {
        "symbol": instrument.name,
        "orderId": ids.order_id_of(instrument.category, fill.order_id),
        "orderLinkId": ids.link_id(fill.client_order_id, fill.order_id),
        "side": SIDES[fill.side],
        "orderPrice": plain(order.limit_price if order else fill.price),
        "orderQty": plain(_quantity(order) if order else fill.quantity),
        "leavesQty": plain(_left_after(fill, order)),
        "orderType": KINDS[order.kind] if order else "UNKNOWN",
        "stopOrderType": (stop_kind(order) if order else "") or "UNKNOWN",
        "execFee": plain(fill.fee),
        "execId": ids.execution_id(fill),
        "execPrice": plain(fill.price),
        "execQty": plain(fill.quantity),
        "execType": EXECUTED_BY[fill.origin],
        "execValue": plain(fill.notional),
        "execTime": str(fill.at_ms),
        "feeCurrency": fill.fee_asset,
        "isMaker": fill.is_maker,
        "feeRate": plain(fill.fee_rate),
        "tradeIv": "",
        "markIv": "",
        "markPrice": plain(mark_price) if instrument.category is Category.LINEAR else "",
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": plain(instrument.quantity(fill.closed_lots)),
        "seq": fill.trade_id,
    }
    if instrument.category is Category.LINEAR:
        created = _create_type(order) if order else _CREATED_BY[fill.origin]
        row |= {"createType": created, "execPnl": plain(amount_of(fill.realized_atoms))}
    return row


def _left_after(fill: Fill, order: Order | None) -> Decimal:
    if order is None:
        return Decimal(0)
    filled = sum(known.lots for known in order.fills if known.trade_id <= fill.trade_id)
    return fill.instrument.quantity(max(0, order.lots - filled))


def stream_execution_row(fill: Fill, order: Order | None, mark_price: Decimal) -> Row:
    """As the private stream tells it."""
    return execution_row(fill, order, mark_price) | {
        "category": str(fill.instrument.category),
        "isLeverage": "0",
    }
