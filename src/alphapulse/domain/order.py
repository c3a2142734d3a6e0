"""Orders and fills: what was asked of an exchange and what came of it.

How an order moves from state to state is in `alphapulse.domain.order_states`.
"""

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
from alphapulse.domain.position import MarginMode


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


class Trigger(StrEnum):
    """On which side of the price a stop waits: a stop loss falls for a sell and rises for a buy,
    a take profit the other way round."""

    RISES = "rises"
    """To the stop price or above it."""
    FALLS = "falls"
    """To the stop price or below it."""


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
    def is_uncertain(self) -> bool:
        """It may exist at the venue, and we do not know: it holds its funds and blocks automation
        on its symbol."""
        return self in {OrderStatus.SENDING, OrderStatus.UNKNOWN}

    @property
    def came_to_nothing(self) -> bool:
        """It ended, and never was at the venue: what it would have used is free again."""
        return self in {OrderStatus.REJECTED, OrderStatus.NOT_PLACED, OrderStatus.WITHDRAWN}

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
class OrderRequest:
    """What somebody wants done, before anything is known of it at the venue.

    Either ``quantity`` (base units or contracts) or, for a market order, ``quote_quantity``
    (quote currency to spend or receive). Prices are in quote currency.
    """

    account_id: AccountId
    symbol: Symbol
    side: Side
    type: OrderType
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trigger: Trigger | None = None
    """Of a stop; from the price at the time of the checks."""
    trailing_pct: Decimal | None = None
    """Of a trailing stop: how far the price may come back, per cent."""
    time_in_force: TimeInForce | None = None
    """``None`` for a market order."""
    expires_at: datetime | None = None
    """Of a GTD order."""
    post_only: bool = False
    reduce_only: bool = False
    leverage: Decimal | None = None
    """Of a perpetual, set before the order is sent; ``None`` leaves it."""
    margin_mode: MarginMode | None = None
    take_profit: Decimal | None = None
    """Price at which the position that this order opens is closed with a profit."""
    stop_loss: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One order as we track it: ours from before it was sent, others' since we first saw them.

    Quantities are in base units or contracts, prices and ``notional`` in quote currency.
    ``exchange_order_id`` is ``None`` until the venue named one, ``client_order_id`` only on orders
    that others placed without one, ``quantity`` while a market order by ``quote_quantity`` has
    not been executed. The moments from ``sent_at`` on are on our clock.
    """

    account_id: AccountId
    exchange: ExchangeId
    symbol: Symbol
    exchange_order_id: ExchangeOrderId | None
    client_order_id: ClientOrderId | None
    side: Side
    type: OrderType
    time_in_force: TimeInForce | None
    post_only: bool
    reduce_only: bool
    quantity: Decimal | None
    filled_quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    average_price: Decimal | None
    status: OrderStatus
    origin: OrderOrigin
    created_at: datetime
    updated_at: datetime
    quote_quantity: Decimal | None = None
    expires_at: datetime | None = None
    status_reason: str | None = None
    sent_at: datetime | None = None
    acknowledged_at: datetime | None = None
    """When we first knew that the venue has it."""
    uncertain_since: datetime | None = None
    """Since when its fate is unknown; ``None`` when it is known."""
    amending_to: Decimal | None = None
    """The venue was asked to raise ``quantity`` to this, and has not said yet whether it did."""

    @property
    def is_ours(self) -> bool:
        return self.origin is not OrderOrigin.EXTERNAL

    @property
    def key(self) -> str:
        """Its name within the account, the same for as long as it is known: ours is that of its
        intent; venues number the others per symbol."""
        if self.is_ours and self.client_order_id is not None:
            return self.client_order_id
        return f"{self.symbol}#{self.exchange_order_id}"

    @property
    def quantity_max(self) -> Decimal | None:
        """The most that may be filled of it."""
        return self.amending_to or self.quantity

    @property
    def remaining_quantity(self) -> Decimal | None:
        if self.quantity is None:
            return None
        return EXACT.subtract(self.quantity, self.filled_quantity)


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
