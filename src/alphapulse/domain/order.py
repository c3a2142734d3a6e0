"""Orders and fills: what was asked of an exchange and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.identifiers import (
    AccountId,
    Asset,
    ClientOrderId,
    ExchangeId,
    ExchangeOrderId,
    Symbol,
)
from alphapulse.domain.money import EXACT


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"
    OTHER = "other"


class TimeInForce(StrEnum):
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    GTD = "gtd"


class OrderStatus(StrEnum):
    """The states an order passes through; orders seen at the venue use the second block."""

    PREPARED = "prepared"
    SENDING = "sending"
    UNKNOWN = "unknown"
    NOT_PLACED = "not_placed"
    WITHDRAWN = "withdrawn"
    QUARANTINED = "quarantined"

    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    CANCEL_PENDING = "cancel_pending"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def is_open(self) -> bool:
        return self in {OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED, OrderStatus.CANCEL_PENDING}

    @property
    def is_final(self) -> bool:
        return self in {
            OrderStatus.FILLED,
            OrderStatus.CANCELED,
            OrderStatus.REJECTED,
            OrderStatus.EXPIRED,
            OrderStatus.NOT_PLACED,
            OrderStatus.WITHDRAWN,
        }


class OrderOrigin(StrEnum):
    """Who placed it: we, or somebody else with the same account."""

    ALPHAPULSE = "alphapulse"
    EXTERNAL = "external"
    REBALANCE = "rebalance"


@dataclass(frozen=True, slots=True)
class Order:
    """One order as the exchange last described it.

    Quantities are in base units or contracts, prices and ``notional`` in quote currency.
    ``client_order_id`` is ``None`` only on orders that others placed without one.
    """

    account_id: AccountId
    exchange: ExchangeId
    symbol: Symbol
    exchange_order_id: ExchangeOrderId
    client_order_id: ClientOrderId | None
    side: Side
    type: OrderType
    time_in_force: TimeInForce | None
    post_only: bool
    reduce_only: bool
    quantity: Decimal
    filled_quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    average_price: Decimal | None
    status: OrderStatus
    origin: OrderOrigin
    created_at: datetime
    updated_at: datetime

    @property
    def remaining_quantity(self) -> Decimal:
        return EXACT.subtract(self.quantity, self.filled_quantity)

    def is_newer_than(self, known: "Order") -> bool:
        """Whether this description may replace ``known``.

        Filled quantity never falls and a final state never reopens, whatever the clocks say:
        streams and polls overtake each other.
        """
        if self.filled_quantity != known.filled_quantity:
            return self.filled_quantity > known.filled_quantity
        if known.status.is_final:
            return False
        return self.status.is_final or self.updated_at >= known.updated_at


@dataclass(frozen=True, slots=True)
class Fill:
    """An execution of our own order.

    Its key is (account, symbol, trade id): venues repeat fills after a reconnect. ``fee`` is
    positive when paid, negative when earned, in ``fee_asset``; both ``None`` when the venue did
    not say.
    """

    account_id: AccountId
    exchange: ExchangeId
    symbol: Symbol
    trade_id: str
    exchange_order_id: ExchangeOrderId
    client_order_id: ClientOrderId | None
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal | None
    fee_asset: Asset | None
    is_maker: bool | None
    occurred_at: datetime
