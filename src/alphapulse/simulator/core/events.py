"""Events of the core: one ordered stream that each venue renders in its own format.

Listeners are called synchronously, in the order of subscription, while the change is fresh: what a
listener reads from the venue belongs to the event it holds. Orders in events are copies.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.order import Side
from alphapulse.simulator.core.candles import Candle
from alphapulse.simulator.core.instrument import Category, Instrument
from alphapulse.simulator.core.order import Fill, Order
from alphapulse.simulator.core.position import Position, PositionSide


@dataclass(frozen=True, slots=True)
class CoreEvent:
    """``at_ms`` is the market's clock."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class TradePrinted(CoreEvent):
    """A public trade. Several of one taker order follow each other directly.

    ``buyer_order_id`` and ``seller_order_id`` are 0 for the venue's own background flow.
    """

    instrument: Instrument
    trade_id: int
    ticks: int
    lots: int
    taker_side: Side
    buyer_order_id: int
    seller_order_id: int

    @property
    def price(self) -> Decimal:
        return self.instrument.price(self.ticks)

    @property
    def quantity(self) -> Decimal:
        return self.instrument.quantity(self.lots)


@dataclass(frozen=True, slots=True)
class AggregatePrinted(CoreEvent):
    """Everything one taker order traded at one price; follows its trades."""

    instrument: Instrument
    aggregate_id: int
    ticks: int
    lots: int
    taker_side: Side
    first_trade_id: int
    last_trade_id: int

    @property
    def price(self) -> Decimal:
        return self.instrument.price(self.ticks)

    @property
    def quantity(self) -> Decimal:
        return self.instrument.quantity(self.lots)


@dataclass(frozen=True, slots=True)
class DepthChanged(CoreEvent):
    """What one operation did to a book: new totals of levels, 0 where a level is gone.

    ``first_id`` .. ``last_id`` are the book's update numbers it covers; the next event of the same
    instrument starts at ``last_id + 1``. Keys are ticks, values lots.
    """

    instrument: Instrument
    first_id: int
    last_id: int
    bids: dict[int, int]
    asks: dict[int, int]


@dataclass(frozen=True, slots=True)
class BestChanged(CoreEvent):
    """Best bid or ask, or what is offered there, changed. Ticks, lots; 0 on an empty side."""

    instrument: Instrument
    update_id: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int


@dataclass(frozen=True, slots=True)
class CandleClosed(CoreEvent):
    """A candle of one interval will not change any more. Each is told exactly once.

    Of a market with a deferred past only minutes are told until somebody looks back.
    """

    instrument: Instrument
    interval: str
    candle: Candle


@dataclass(frozen=True, slots=True)
class MarketStatusChanged(CoreEvent):
    instrument: Instrument


@dataclass(frozen=True, slots=True)
class BooksRestarted(CoreEvent):
    """The service that streams this book started anew; it counts from the beginning again."""

    instrument: Instrument


@dataclass(frozen=True, slots=True)
class UserStreamEnded(CoreEvent):
    """The venue ends an account's own streams and leaves their sockets open."""

    account_id: str


class Happening(StrEnum):
    """What befell an order."""

    PLACED = "placed"
    TRIGGERED = "triggered"
    """Its price came; it works as any other order from here on, or is rejected next."""
    FILLED = "filled"
    """Partly or wholly; ``fill`` says how much."""
    CANCELED = "canceled"
    AMENDED = "amended"
    EXPIRED = "expired"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class OrderChanged(CoreEvent):
    account_id: str
    order: Order
    happening: Happening
    fill: Fill | None = None
    cancel_id: str | None = None
    """Client id of the request that canceled or amended it, where there was one."""


class Cause(StrEnum):
    """Why balances changed."""

    ORDER = "order"
    """Locked, unlocked or traded."""
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    GIVEN_BACK = "given_back"
    """A withdrawal that failed."""
    TRANSFER = "transfer"
    """Between two wallets of the account."""
    CONVERSION = "conversion"
    REWARD = "reward"
    INTEREST = "interest"
    FUNDING = "funding"
    MARGIN = "margin"
    """Moved between the wallet and an isolated position; the total is the same."""
    LIQUIDATION = "liquidation"
    """The fee of a liquidation; its profit or loss comes with the fills."""
    INSURANCE = "insurance"
    """What a bankrupt position owed, paid by the insurance fund."""


@dataclass(frozen=True, slots=True)
class Movement:
    """What a change of a balance belongs to."""

    reference: str
    """Of a crossing its txid; shared by both halves of a transfer or a conversion."""
    note: str = ""
    """Of a reward what for; of a conversion the other asset."""
    fee: Decimal = Decimal(0)
    """What of the change, or beside what came, was charged; the asset's units."""


@dataclass(frozen=True, slots=True)
class BalancesChanged(CoreEvent):
    """The wallet differs in ``assets``; read the new values from the account."""

    account_id: str
    assets: tuple[str, ...]
    cause: Cause
    delta: Decimal | None = None
    """Change of the only asset, for everything but orders."""
    category: Category = Category.SPOT
    """Whose wallet it is, where perpetuals have one of their own."""
    movement: Movement | None = None
    """What the treasury knows of it; ``None`` where trading was the cause."""


@dataclass(frozen=True, slots=True)
class CrossingChanged(CoreEvent):
    """A deposit or a withdrawal was announced, or ended."""

    account_id: str


@dataclass(frozen=True, slots=True)
class PositionChanged(CoreEvent):
    """``position`` is ``None`` when it was closed."""

    account_id: str
    instrument: Instrument
    position: Position | None
    side: PositionSide = PositionSide.BOTH


@dataclass(frozen=True, slots=True)
class LeverageChanged(CoreEvent):
    account_id: str
    instrument: Instrument
    leverage: Decimal


@dataclass(frozen=True, slots=True)
class ForcedClose(CoreEvent):
    """The venue closed a position or a part of it: a liquidation or auto-deleveraging.

    ``position`` is as it was before, ``order`` as it is now; its ``origin`` says why it was made.
    ``fee`` comes on top of the fills' own, settle currency.
    """

    account_id: str
    position: Position
    order: Order
    fee: Decimal

    @property
    def instrument(self) -> Instrument:
        return self.position.instrument


@dataclass(frozen=True, slots=True)
class FundingCharged(CoreEvent):
    """``amount`` is what the account received; negative when it paid. Settle currency."""

    account_id: str
    instrument: Instrument
    signed_quantity: Decimal
    mark_price: Decimal
    rate: Decimal
    amount: Decimal
    trade_id: int


@dataclass(frozen=True, slots=True)
class FundingSettled(CoreEvent):
    """A funding time passed for an instrument, positions or not."""

    instrument: Instrument
    rate: Decimal
    mark_price: Decimal


@dataclass(frozen=True, slots=True)
class Pulse(CoreEvent):
    """Ten times a real second: when venues send what they gather (depth, tickers, open candles)."""

    number: int
