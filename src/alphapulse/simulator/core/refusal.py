"""Refusals: why the core would not do something; each venue has its own words for them."""

from enum import StrEnum


class RefusalReason(StrEnum):
    UNKNOWN_SYMBOL = "unknown_symbol"
    MARKET_CLOSED = "market_closed"
    PRICE_FILTER = "price_filter"
    LOT_SIZE = "lot_size"
    MARKET_LOT_SIZE = "market_lot_size"
    NOTIONAL = "notional"
    PERCENT_PRICE = "percent_price"
    MAX_NUM_ORDERS = "max_num_orders"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    INSUFFICIENT_MARGIN = "insufficient_margin"
    WOULD_MATCH = "would_match"
    """Post-only, and it would have taken liquidity."""
    WOULD_TRIGGER = "would_trigger"
    """A trigger that the market has already reached."""
    TRIGGER_INVALID = "trigger_invalid"
    """No price, or no sensible distance, to wait for."""
    EXPIRY_INVALID = "expiry_invalid"
    """GTD without a moment in the future."""
    DUPLICATE_CLIENT_ID = "duplicate_client_id"
    REDUCE_ONLY = "reduce_only"
    """Reduce-only, and there is nothing, or not enough, to reduce."""
    UNKNOWN_ORDER = "unknown_order"
    """Never existed."""
    ORDER_FINAL = "order_final"
    """Existed and is already filled, canceled or expired."""
    ORDER_UNCHANGED = "order_unchanged"
    LEVERAGE_INVALID = "leverage_invalid"
    LEVERAGE_UNCHANGED = "leverage_unchanged"
    LEVERAGE_TOO_HIGH = "leverage_too_high"
    """The position is, or would be, worth more than its leverage allows."""
    MARGIN_MODE_UNCHANGED = "margin_mode_unchanged"
    POSITION_MODE_UNCHANGED = "position_mode_unchanged"
    HAS_OPEN_ORDERS = "has_open_orders"
    """A mode cannot change while there are some."""
    HAS_POSITION = "has_position"
    """A mode cannot change while there is one."""
    MARGIN_NOT_ISOLATED = "margin_not_isolated"
    CROSSING_ENDED = "crossing_ended"
    """A deposit or withdrawal that is no longer under way."""


class Refused(Exception):
    """The core's only error towards a client; nothing has changed when it is raised."""

    def __init__(self, reason: RefusalReason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail
