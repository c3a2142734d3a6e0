"""Bodies of orders and fills: what is asked for, and what is known of them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from alphapulse.api.schemas.base import (
    Body,
    Cursor,
    Dec,
    Input,
    Limit,
    Meta,
    Page,
    Timestamp,
    View,
)
from alphapulse.domain.order import (
    Fill,
    OrderOrigin,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from alphapulse.domain.position import MarginMode

_ACCOUNT = Field(max_length=100, examples=["binance-1a2b3c4d"])
_SYMBOL = Field(max_length=80, examples=["BTC/USDT"])


class NewOrderBody(Input):
    """An order: exactly one of `quantity` and `quote_quantity`, and the prices of its type.

    A market order has no price, `limit` and `stop_limit` have a `limit_price`, `stop` and
    `stop_limit` a `stop_price`, `trailing_stop` a `trailing_pct`. Every number must lie on the
    exchange's grid; `validate_only` shows the nearest that does.
    """

    account_id: str = _ACCOUNT
    symbol: str = _SYMBOL
    side: Side
    type: Literal["market", "limit", "stop", "stop_limit", "trailing_stop"]
    quantity: Dec | None = Field(default=None, description="Base units, or contracts.")
    quote_quantity: Dec | None = Field(
        default=None, description="What to spend or receive by a market order, quote currency."
    )
    limit_price: Dec | None = None
    stop_price: Dec | None = Field(
        default=None, description="Where it waits; above or below the price as that is now."
    )
    trailing_pct: Dec | None = Field(
        default=None, description="How far the price may come back, per cent."
    )
    time_in_force: TimeInForce | None = Field(
        default=None, description="`gtc` where an order has one and none is given."
    )
    expires_at: datetime | None = Field(default=None, description="Of a `gtd` order.")
    post_only: bool = False
    reduce_only: bool = False
    leverage: Dec | None = Field(default=None, description="Set before the order is sent.")
    margin_mode: MarginMode | None = None
    take_profit: Dec | None = None
    stop_loss: Dec | None = None
    max_slippage_pct: Dec | None = Field(
        default=None, description="Refused when the book says that it would slip further."
    )
    paper: bool = Field(default=False, description="Refuse it on an account with real money.")
    allow_duplicate: bool = Field(
        default=False, description="Place it although an equal one was placed moments ago."
    )
    validate_only: bool = Field(default=False, description="Only show what it would be and cost.")


class AmendBody(Input):
    """What to change; what is left out stays."""

    quantity: Dec | None = Field(
        default=None, description="The new total, what was filled of it included."
    )
    limit_price: Dec | None = None


class CancelAllBody(Input):
    """Which orders to cancel: of one account or of all, in one market or in all."""

    account_id: str | None = Field(default=None, max_length=100)
    symbol: str | None = Field(default=None, max_length=80)


class CheckView(View):
    """One thing that must hold before an order is sent: `value` was found, `limit` is allowed."""

    name: str
    ok: bool
    limit: str | None
    value: str | None
    detail: str | None = Field(description="Why it failed.")


class FillView(View):
    """One execution of an order. ``fee`` is negative when earned."""

    trade_id: str
    price: Dec
    quantity: Dec
    fee: Dec | None
    fee_asset: str | None
    is_maker: bool | None
    at: Timestamp

    @classmethod
    def of(cls, fill: Fill) -> "FillView":
        return cls(
            trade_id=fill.trade_id,
            price=fill.price,
            quantity=fill.quantity,
            fee=fill.fee,
            fee_asset=fill.fee_asset,
            is_maker=fill.is_maker,
            at=fill.occurred_at,
        )


class FeeView(View):
    """What was paid in one asset; negative when earned."""

    asset: str
    amount: Dec
    value: Dec | None = None


class EventView(View):
    """One step in the life of an order."""

    at: Timestamp
    status: OrderStatus
    filled_quantity: Dec
    detail: str | None


class LatencyView(View):
    """Milliseconds: from the request to the send, and from there to the exchange's word."""

    submit: int | None
    ack: int | None


class OrderView(View):
    """One order: ours from before it was sent, others' as the exchange describes them.

    Quantities in base units or contracts. `exchange_order_id` is null until the exchange named
    one, `quantity` while a market order by quote quantity is not executed, `fee` where the
    executions of it are not all known. While `status` is `sending` or `unknown` it may exist at
    the exchange or not; it is looked up until that is certain.
    """

    id: str
    client_order_id: str | None
    exchange_order_id: str | None
    account_id: str
    exchange: str
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce | None
    post_only: bool
    reduce_only: bool
    limit_price: Dec | None
    stop_price: Dec | None
    quantity: Dec | None
    quote_quantity: Dec | None = None
    filled_quantity: Dec
    remaining_quantity: Dec | None
    average_price: Dec | None
    notional: Dec | None = Field(description="Filled quantity times average price, quote currency.")
    fee: list[FeeView] | None = None
    status: OrderStatus
    status_reason: str | None = None
    origin: OrderOrigin
    created_at: Timestamp
    expires_at: Timestamp | None = None
    sent_at: Timestamp | None = None
    acknowledged_at: Timestamp | None = None
    updated_at: Timestamp
    closed_at: Timestamp | None
    latency_ms: LatencyView | None = None
    uncertain_since: Timestamp | None = None
    fills: list[FillView] | None = None
    events: list[EventView] | None = None


class OrderBody(OrderView):
    """One order, with what is to be known about the answer."""

    meta: Meta


class PlacedBody(OrderView):
    """An order as recorded after it was sent, with every check it passed.

    `poll` is where to ask again while it is not certain what became of it; `replaced_id` the order
    that it stands in for.
    """

    checks: list[CheckView]
    poll: str | None
    replaced_id: str | None = None
    meta: Meta


class NormalizedView(View):
    """The order on the exchange's grid: quantities rounded down, prices never for the worse."""

    quantity: Dec | None
    quote_quantity: Dec | None
    price: Dec | None
    stop_price: Dec | None


class AssetAmount(View):
    """So much of one asset."""

    asset: str
    free: Dec


class PreviewBody(Body):
    """What the order would be, cost and change, and whether it would be let through.

    Cost and fee are in quote currency. What cannot be estimated is null; a warning says why.
    """

    ok: bool = Field(description="Every check holds; it may still be refused by the exchange.")
    normalized: NormalizedView
    est_cost: Dec | None
    est_fee: Dec | None
    est_average_price: Dec | None
    est_slippage_pct: Dec | None
    balance_after: list[AssetAmount]
    weight_after: Dec | None
    checks: list[CheckView]


class CanceledBody(Body):
    """The orders that were open, as they are after the cancel."""

    items: list[OrderView]


class OrdersQuery(Input):
    """Which orders, newest first."""

    account: list[str] = Field(default=[], max_length=100)
    exchange: str | None = None
    symbol: str | None = None
    side: Side | None = None
    type: OrderType | None = None
    status: Literal["open", "closed", "filled", "canceled", "rejected", "unknown", "all"] = "all"
    origin: OrderOrigin | None = None
    from_: datetime | None = Field(default=None, alias="from")
    to: datetime | None = None
    id: str | None = None
    client_order_id: str | None = None
    include: tuple[Literal["fills", "events"], ...] = ()
    cursor: Cursor = None
    limit: Limit = 100


class Coverage(View):
    """How far back the fills of one account are known."""

    account: str
    symbol: str | None
    from_: Timestamp | None = Field(serialization_alias="from")
    to: Timestamp | None = Field(description="When they were last read to their end.")
    complete: bool


class CoveredMeta(Meta):
    """With how far back the executions of each account are known."""

    coverage: tuple[Coverage, ...] = ()


class OrderPage(Page[OrderView]):
    """Orders, newest first."""

    meta: CoveredMeta


class TradesQuery(Input):
    """Which fills, newest first; `order` is the id of one order."""

    account: list[str] = Field(default=[], max_length=100)
    exchange: str | None = None
    symbol: str | None = None
    side: Side | None = None
    order: Annotated[str | None, Field(max_length=250)] = None
    from_: datetime | None = Field(default=None, alias="from")
    to: datetime | None = None
    cursor: Cursor = None
    limit: Limit = 100


class TradeView(View):
    """One execution of an order of the account, whoever placed it.

    `notional` is price times quantity: of a contract, times its size too to be in quote currency.
    """

    id: str
    order_id: str
    account_id: str
    exchange: str
    symbol: str
    trade_id: str
    exchange_order_id: str
    client_order_id: str | None
    side: Side
    price: Dec
    quantity: Dec
    notional: Dec
    fee: Dec | None
    fee_asset: str | None
    is_maker: bool | None
    at: Timestamp


class TradePage(Page[TradeView]):
    """Fills, newest first."""

    meta: CoveredMeta
