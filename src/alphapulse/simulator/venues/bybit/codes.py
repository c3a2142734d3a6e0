"""Bybit's words for no: return codes and messages, by what the core refuses.

Source: exchange-wire notes 3.3 and https://bybit-exchange.github.io/docs/v5/error, 2026-11.
"""

from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.core.trigger import Crossing


class BybitError(Exception):
    """An answer with a return code; the face puts it into the envelope."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


PARAMS = 10001
TIMESTAMP = 10002
KEY = 10003
SIGN = 10004
PERMISSION = 10005
TOO_MANY = 10006
UNMATCHED_IP = 10010
ROUTE = 10017
KEY_EXPIRED = 33004
NOT_MODIFIED = 34040
MARGIN_MODE = 3_400_045

_R = RefusalReason

SPOT = {
    _R.UNKNOWN_SYMBOL: (170121, "Invalid symbol."),
    _R.MARKET_CLOSED: (170157, "The trading pair is not available for api trading."),
    _R.PRICE_FILTER: (170134, "Order price has too many decimals."),
    _R.LOT_SIZE: (170137, "Order quantity has too many decimals."),
    _R.MARKET_LOT_SIZE: (170124, "Order amount too large."),
    _R.NOTIONAL: (170140, "Order value exceeded lower limit."),
    _R.PERCENT_PRICE: (170193, "Buy order price cannot be higher than the limit."),
    _R.MAX_NUM_ORDERS: (170005, "Too many new orders; the limit of open orders is reached."),
    _R.INSUFFICIENT_BALANCE: (170131, "Insufficient balance."),
    _R.INSUFFICIENT_MARGIN: (170131, "Insufficient balance."),
    _R.WOULD_MATCH: (170218, "The LIMIT-MAKER order is rejected due to invalid price."),
    _R.WOULD_TRIGGER: (170130, "Data sent for parameter 'triggerPrice' is not valid."),
    _R.TRIGGER_INVALID: (170130, "Data sent for parameter 'triggerPrice' is not valid."),
    _R.DUPLICATE_CLIENT_ID: (170141, "Duplicate clientOrderId."),
    _R.REDUCE_ONLY: (170210, "New order rejected."),
    _R.UNKNOWN_ORDER: (170213, "Order does not exist."),
    _R.ORDER_FINAL: (170213, "Order does not exist."),
    _R.ORDER_UNCHANGED: (10001, "The order remains unchanged as the parameters entered match."),
}

LINEAR = {
    _R.UNKNOWN_SYMBOL: (10001, "params error: symbol invalid"),
    _R.MARKET_CLOSED: (110066, "Trading is currently not allowed."),
    _R.PRICE_FILTER: (10001, "price invalid, not in the price filter"),
    _R.LOT_SIZE: (10001, "The number of contracts exceeds the limit or does not fit qtyStep"),
    _R.MARKET_LOT_SIZE: (10001, "The number of contracts exceeds maximum limit allowed"),
    _R.NOTIONAL: (110094, "Order does not meet minimum order value"),
    _R.PERCENT_PRICE: (110003, "Order price exceeds the allowable range."),
    _R.MAX_NUM_ORDERS: (110020, "You cannot have more than 500 active orders."),
    _R.INSUFFICIENT_BALANCE: (110007, "ab not enough for new order"),
    _R.INSUFFICIENT_MARGIN: (110007, "ab not enough for new order"),
    _R.WOULD_MATCH: (110003, "Order price exceeds the allowable range."),
    _R.WOULD_TRIGGER: (110092, "expect Rising, but trigger_price <= current"),
    _R.TRIGGER_INVALID: (10001, "params error: triggerPrice invalid"),
    _R.DUPLICATE_CLIENT_ID: (110072, "OrderLinkedID is duplicate"),
    _R.REDUCE_ONLY: (110017, "current position is zero, cannot fix reduce-only order qty"),
    _R.UNKNOWN_ORDER: (110001, "order not exists or too late to cancel"),
    _R.ORDER_FINAL: (110001, "order not exists or too late to cancel"),
    _R.ORDER_UNCHANGED: (10001, "The order remains unchanged as the parameters entered match."),
    _R.LEVERAGE_INVALID: (10001, "leverage invalid"),
    _R.LEVERAGE_UNCHANGED: (110043, "leverage not modified"),
    _R.LEVERAGE_TOO_HIGH: (110013, "Cannot set leverage due to risk limit level"),
    _R.HAS_POSITION: (110024, "You have an existing position, so the mode cannot be switched"),
}

FALLING = (110093, "expect Falling, but trigger_price >= current")


def error_of(refused: Refused, category: Category) -> BybitError:
    """What Bybit says where the core refuses."""
    table = SPOT if category is Category.SPOT else LINEAR
    code, message = table.get(refused.reason, (PARAMS, str(refused)))
    if code == LINEAR[_R.WOULD_TRIGGER][0] and refused.detail == Crossing.FALLING:
        code, message = FALLING
    return BybitError(code, message)
