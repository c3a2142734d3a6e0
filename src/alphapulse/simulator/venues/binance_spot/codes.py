"""Codes: what Binance spot says when the core refuses an order.

Source: https://developers.binance.com/docs/binance-spot-api-docs/errors and /filters, 2026-11;
texts as CCXT 4.5.90 matches them.
"""

from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.venues.binance.codes import BinanceError

_REFUSALS = {
    RefusalReason.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
    RefusalReason.MARKET_CLOSED: (-1013, "Market is closed."),
    RefusalReason.PRICE_FILTER: (-1013, "Filter failure: PRICE_FILTER"),
    RefusalReason.PERCENT_PRICE: (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    RefusalReason.LOT_SIZE: (-1013, "Filter failure: LOT_SIZE"),
    RefusalReason.MARKET_LOT_SIZE: (-1013, "Filter failure: MARKET_LOT_SIZE"),
    RefusalReason.NOTIONAL: (-1013, "Filter failure: NOTIONAL"),
    RefusalReason.MAX_NUM_ORDERS: (-1013, "Filter failure: MAX_NUM_ORDERS"),
    RefusalReason.INSUFFICIENT_BALANCE: (
        -2010,
        "Account has insufficient balance for requested action.",
    ),
    RefusalReason.WOULD_MATCH: (-2010, "Order would immediately match and take."),
    RefusalReason.WOULD_TRIGGER: (-2010, "Stop price would trigger immediately."),
    RefusalReason.TRIGGER_INVALID: (-1013, "Filter failure: TRAILING_DELTA"),
    RefusalReason.DUPLICATE_CLIENT_ID: (-2010, "Duplicate order sent."),
}


def refusal(refused: Refused) -> BinanceError:
    """What the venue says when an order is refused."""
    return BinanceError(*_REFUSALS[refused.reason])


def too_many_stops() -> BinanceError:
    return BinanceError(-1013, "Filter failure: MAX_NUM_ALGO_ORDERS")


def amend_refused(message: str) -> BinanceError:
    return BinanceError(-2038, message)


def nothing_to_cancel() -> BinanceError:
    """No such open order, for whatever reason."""
    return BinanceError(-2011, "Unknown order sent.")
