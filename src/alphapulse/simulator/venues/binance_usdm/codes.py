"""Codes: what Binance USD-M futures says when the core refuses something.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code, 2026-11;
texts as CCXT 4.5.90 lists them.
"""

from decimal import Decimal

from alphapulse.domain.money import plain
from alphapulse.domain.order import Side
from alphapulse.simulator.core.instrument import Instrument
from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.venues.binance.codes import BinanceError

_REFUSALS = {
    RefusalReason.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
    RefusalReason.MARKET_CLOSED: (-4140, "Invalid symbol status for opening position."),
    RefusalReason.PRICE_FILTER: (-4014, "Price not increased by tick size."),
    RefusalReason.LOT_SIZE: (-4023, "Qty not increased by step size."),
    RefusalReason.MARKET_LOT_SIZE: (-4005, "Quantity greater than max quantity."),
    RefusalReason.MAX_NUM_ORDERS: (-2025, "Reach max open order limit."),
    RefusalReason.INSUFFICIENT_BALANCE: (-2018, "Balance is insufficient."),
    RefusalReason.INSUFFICIENT_MARGIN: (-2019, "Margin is insufficient."),
    RefusalReason.WOULD_MATCH: (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
    ),
    RefusalReason.WOULD_TRIGGER: (-2021, "Order would immediately trigger."),
    RefusalReason.TRIGGER_INVALID: (-4007, "Stop price is not valid."),
    RefusalReason.EXPIRY_INVALID: (
        -5040,
        "The goodTillDate timestamp must be greater than the current time plus 600 seconds and "
        "smaller than 253402300799000 (UTC 9999-12-31 23:59:59)",
    ),
    RefusalReason.DUPLICATE_CLIENT_ID: (-4116, "ClientOrderId is duplicated."),
    RefusalReason.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    RefusalReason.UNKNOWN_ORDER: (-2013, "Order does not exist."),
    RefusalReason.ORDER_FINAL: (-2011, "Unknown order sent."),
    RefusalReason.ORDER_UNCHANGED: (-5027, "No need to modify the order."),
    RefusalReason.LEVERAGE_TOO_HIGH: (
        -2027,
        "Exceeded the maximum allowable position at current leverage.",
    ),
    RefusalReason.MARGIN_MODE_UNCHANGED: (-4046, "No need to change margin type."),
    RefusalReason.POSITION_MODE_UNCHANGED: (-4059, "No need to change position side."),
    RefusalReason.MARGIN_NOT_ISOLATED: (-4051, "Isolated balance insufficient."),
}

_TOO_LOW = "Price less than min price."
_TOO_HIGH = "Price greater than max price."

_MARGIN_MODE = {
    RefusalReason.HAS_OPEN_ORDERS: (
        -4047,
        "Margin type cannot be changed if there exists open orders.",
    ),
    RefusalReason.HAS_POSITION: (-4048, "Margin type cannot be changed if there exists position."),
}
_POSITION_MODE = {
    RefusalReason.HAS_OPEN_ORDERS: (
        -4067,
        "Position side cannot be changed if there exists open orders.",
    ),
    RefusalReason.HAS_POSITION: (
        -4068,
        "Position side cannot be changed if there exists position.",
    ),
}
_LEVERAGE = {
    RefusalReason.LEVERAGE_TOO_HIGH: (
        -2028,
        "Leverage is smaller than permitted: insufficient margin balance",
    ),
    RefusalReason.INSUFFICIENT_MARGIN: (
        -2028,
        "Leverage is smaller than permitted: insufficient margin balance",
    ),
    RefusalReason.HAS_POSITION: (
        -4161,
        "Leverage reduction is not supported in Isolated Margin Mode with open positions.",
    ),
}


def refusal(refused: Refused) -> BinanceError:
    """What the venue says of an order."""
    return BinanceError(*_REFUSALS[refused.reason])


def order_refusal(refused: Refused, instrument: Instrument, side: Side) -> BinanceError:
    """What it says of a new order, with the limit in it where there is one."""
    if refused.reason is RefusalReason.NOTIONAL:
        return too_small(instrument)
    if refused.reason is RefusalReason.PERCENT_PRICE:
        # Beyond what the core takes at all; `asks.check_band` knows the venue's own bounds.
        is_buy = side is Side.BUY
        return BinanceError(*((-4013, _TOO_LOW) if is_buy else (-4002, _TOO_HIGH)))
    return refusal(refused)


def beyond_band(side: Side, bound: Decimal, instrument: Instrument) -> BinanceError:
    """A limit price too far on the wrong side of the mark price."""
    code, word = (-4016, "higher") if side is Side.BUY else (-4024, "lower")
    price = instrument.price(instrument.ticks(bound))
    return BinanceError(code, f"Limit price can't be {word} than {price}.")


def too_short_lived() -> BinanceError:
    return refusal(Refused(RefusalReason.EXPIRY_INVALID))


def too_small(instrument: Instrument) -> BinanceError:
    least = plain(instrument.min_notional)
    return BinanceError(
        -4164, f"Order's notional must be no smaller than {least} (unless you choose reduce only)."
    )


def margin_mode_refusal(refused: Refused) -> BinanceError:
    return BinanceError(*(_MARGIN_MODE | _REFUSALS)[refused.reason])


def position_mode_refusal(refused: Refused) -> BinanceError:
    return BinanceError(*(_POSITION_MODE | _REFUSALS)[refused.reason])


def leverage_refusal(refused: Refused) -> BinanceError:
    return BinanceError(*(_REFUSALS | _LEVERAGE)[refused.reason])


def too_precise() -> BinanceError:
    return BinanceError(-1111, "Precision is over the maximum defined for this asset.")


def wrong_position_side() -> BinanceError:
    return BinanceError(-4061, "Order's position side does not match user's setting.")


def unfillable() -> BinanceError:
    return BinanceError(
        -5021,
        "Due to the order could not be filled immediately, the FOK order has been rejected. "
        "The order will not be recorded in the order history",
    )


def wrong_endpoint() -> BinanceError:
    return BinanceError(
        -4120,
        "Order type not supported for this endpoint. "
        "Please use the Algo Order API endpoints instead.",
    )


def no_such_listen_key() -> BinanceError:
    return BinanceError(-1125, "This listenKey does not exist.")
