"""Orders and fills of the simulated exchange, in lots and ticks, with their decimal readings."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.money import EXACT
from alphapulse.domain.order import Side
from alphapulse.simulator.core.instrument import Instrument, amount_of
from alphapulse.simulator.core.position import PositionSide
from alphapulse.simulator.core.trigger import Trigger, TriggerRequest


class OrderKind(StrEnum):
    LIMIT = "limit"
    MARKET = "market"


class TimeInForce(StrEnum):
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    GTD = "gtd"
    """Until ``expires_ms``."""
    POST_ONLY = "post_only"

    @property
    def can_rest(self) -> bool:
        return self not in {TimeInForce.IOC, TimeInForce.FOK}


class Origin(StrEnum):
    """Who wanted an order."""

    CLIENT = "client"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    """Auto-deleveraging: the venue closes a winner against a loser that went bankrupt."""


class OrderState(StrEnum):
    UNTRIGGERED = "untriggered"
    """Waits for a price, outside of the book."""
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    """The venue ended it: nothing (more) to match for a market, IOC or FOK order, or its time."""
    REJECTED = "rejected"
    """At its entry, or when it was triggered."""

    @property
    def is_open(self) -> bool:
        return self in {OrderState.UNTRIGGERED, OrderState.NEW, OrderState.PARTIALLY_FILLED}


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What a client asks for.

    A limit order has ``quantity`` and ``limit_price``; a market order ``quantity`` or, on spot,
    ``quote_quantity`` (quote currency to spend or receive). One that closes a position when it
    triggers has no quantity.
    """

    side: Side
    kind: OrderKind
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    limit_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    client_order_id: str | None = None
    """``None``: the venue invents one."""
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.BOTH
    """Of a hedged account: which position it is about."""
    trigger: TriggerRequest | None = None
    close_position: bool = False
    """With a trigger: all of the position that there is then."""
    close_on_trigger: bool = False
    """Bybit's wish that other orders make room for it; closing needs none here, so it is kept
    only to be told again."""
    expires_ms: int = 0
    """End of a GTD order, on the market's clock."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of one order. ``fee_atoms`` is positive when paid, negative when earned."""

    trade_id: int
    order_id: int
    client_order_id: str
    instrument: Instrument
    side: Side
    ticks: int
    lots: int
    fee_atoms: int
    fee_asset: str
    fee_rate: Decimal
    is_maker: bool
    realized_atoms: int
    """Profit realized by this fill, settle currency; 0 on spot."""
    closed_lots: int
    """How much of it reduced a position."""
    at_ms: int
    position_side: PositionSide = PositionSide.BOTH
    origin: Origin = Origin.CLIENT

    @property
    def price(self) -> Decimal:
        return self.instrument.price(self.ticks)

    @property
    def quantity(self) -> Decimal:
        return self.instrument.quantity(self.lots)

    @property
    def notional(self) -> Decimal:
        return amount_of(self.instrument.notional_atoms(self.ticks, self.lots))

    @property
    def realized_pnl(self) -> Decimal:
        return amount_of(self.realized_atoms)

    @property
    def fee(self) -> Decimal:
        return amount_of(self.fee_atoms)


@dataclass(slots=True)
class Order:
    """An order as the venue keeps it. Only the core changes one; events carry a copy.

    ``lots`` is 0 for a market order by quote quantity until it has matched, and for one that
    closes a position until it is triggered. ``ticks`` is 0 for a market order. ``locked_atoms`` of
    ``locked_asset`` are set aside for what may still be filled.
    """

    id: int
    client_order_id: str
    account_id: str
    """Empty for the liquidity maker's own."""
    instrument: Instrument
    side: Side
    kind: OrderKind
    time_in_force: TimeInForce
    ticks: int
    lots: int
    created_ms: int
    updated_ms: int
    quote_atoms: int = 0
    """Quote currency a market order by quote quantity may use."""
    reduce_only: bool = False
    close_position: bool = False
    close_on_trigger: bool = False
    expires_ms: int = 0
    origin: Origin = Origin.CLIENT
    trigger: Trigger | None = None
    triggered_ms: int = 0
    """0: not yet, or it has no trigger."""
    state: OrderState = OrderState.NEW
    filled_lots: int = 0
    filled_quote_atoms: int = 0
    locked_asset: str = ""
    locked_atoms: int = 0
    reject_reason: str = ""
    position_side: PositionSide = PositionSide.BOTH
    fills: list[Fill] = field(default_factory=list)

    @property
    def open_lots(self) -> int:
        return self.lots - self.filled_lots

    @property
    def limit_price(self) -> Decimal:
        """Zero for a market order."""
        return self.instrument.price(self.ticks)

    @property
    def stop_price(self) -> Decimal:
        """Where it triggers; of a trail the price that starts it. Zero without one."""
        return self.instrument.price(self.trigger.ticks if self.trigger else 0)

    @property
    def quantity(self) -> Decimal:
        return self.instrument.quantity(self.lots)

    @property
    def filled_quantity(self) -> Decimal:
        return self.instrument.quantity(self.filled_lots)

    @property
    def remaining_quantity(self) -> Decimal:
        return self.instrument.quantity(self.open_lots)

    @property
    def filled_notional(self) -> Decimal:
        return amount_of(self.filled_quote_atoms)

    @property
    def quote_quantity(self) -> Decimal:
        return amount_of(self.quote_atoms)

    @property
    def average_price(self) -> Decimal:
        """Zero while nothing is filled."""
        if not self.filled_lots:
            return Decimal(0)
        return EXACT.divide(self.filled_notional, self.filled_quantity)
