"""Exchange: what AlphaPulse asks of a venue, whichever it is.

Two kinds implement it: the named adapters (Binance, Bybit) and the generic one (Others). An
exchange object belongs to the loop it was made on. Every method raises only errors of
`alphapulse.errors`, with a total time limit, and never returns a value the venue did not send.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol

from alphapulse.domain.account import Permissions
from alphapulse.domain.balance import BalanceReport
from alphapulse.domain.cash_flow import CashFlow, FlowCursor
from alphapulse.domain.identifiers import (
    AccountId,
    Asset,
    ClientOrderId,
    ExchangeId,
    ExchangeOrderId,
    Symbol,
)
from alphapulse.domain.instrument import Instrument
from alphapulse.domain.market import Candle, MarketSubscription, Ticker, Timeframe, Trade
from alphapulse.domain.order import Fill, Order, OrderRequest, OrderType
from alphapulse.domain.position import Position
from alphapulse.domain.sync import FillCursor as FillCursor


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signs a request. Never printed, never logged, never sent anywhere but to the venue."""

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an exchange can do through us; the factory's table of these is shown to users."""

    spot: bool
    perpetual: bool
    market_stream: bool
    private_stream: bool
    """False: REST polling is all there is."""
    positions: bool
    fills_without_symbol: bool
    """False: fills are asked per symbol, so the pairs that matter must be found."""
    orders_without_symbol: bool
    permissions: bool
    """The venue tells what a key may do."""
    trading: bool = False
    """Orders can be sent through us; `OrderProfile` says which."""
    cash_flows: bool = False
    """The venue tells *everything* that moves balances besides fills: books can be exact."""
    usd_index: frozenset[Asset] = frozenset()
    """Assets of which the venue publishes a past in US dollars; see `fetch_usd_index`."""


@dataclass(frozen=True, slots=True)
class FillPage:
    """One complete page, oldest first. ``next_cursor`` is where the next page starts.

    ``is_last`` is true when the venue had nothing newer at the time of asking; the cursor then
    still moves past what was read, overlapping what may share its last millisecond.
    """

    fills: tuple[Fill, ...]
    next_cursor: FillCursor
    is_last: bool
    read_until: datetime | None = None
    """Up to when everything is read now, where the venue pages by time; it tells the progress."""


@dataclass(frozen=True, slots=True)
class FlowPage:
    """As `FillPage`, of one list of cash flows."""

    flows: tuple[CashFlow, ...]
    next_cursor: FlowCursor
    is_last: bool
    read_until: datetime | None = None
    wait_s: float = 0.0
    """So long the next page of this list would have to wait for the venue; others need not."""


class MinuteClose(NamedTuple):
    """What one unit of an asset was worth when a minute ended; the currency is in the question."""

    open_time: datetime
    close: Decimal


class MarketSink(Protocol):
    """Takes each market message as it comes, on the exchange loop; it must not block or raise."""

    def on_ticker(self, ticker: Ticker) -> None: ...

    def on_trade(self, trade: Trade) -> None: ...

    def on_candle(self, candle: Candle) -> None: ...


@dataclass(frozen=True, slots=True)
class PrivateUpdate:
    """What one private message said; most say one thing."""

    orders: tuple[Order, ...] = ()
    fills: tuple[Fill, ...] = ()
    balances: BalanceReport | None = None
    positions: tuple[Position, ...] = ()
    """Changed positions; quantity 0 means closed."""


class Exchange(Protocol):
    """One account on one venue, or, without credentials, its public side."""

    @property
    def id(self) -> ExchangeId: ...

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def clock_offset_ms(self) -> int | None:
        """Venue clock minus ours, as last measured; ``None`` before."""
        ...

    @property
    def budget_used(self) -> Decimal:
        """Share 0..1 of the rate budget in use now."""
        ...

    async def load_instruments(self) -> tuple[Instrument, ...]:
        """Every instrument of the market types we serve, active or not."""
        ...

    async def measure_clock(self) -> int:
        """Venue clock minus ours, ms, from several probes; later requests are signed with it."""
        ...

    async def fetch_permissions(self) -> Permissions: ...

    async def fetch_balances(self) -> BalanceReport: ...

    async def fetch_positions(self) -> tuple[Position, ...]:
        """Open positions, complete: one that is absent is flat. Empty on a spot-only exchange."""
        ...

    async def fetch_open_orders(self) -> tuple[Order, ...]:
        """Every open order of every market type; one that is absent is no longer open."""
        ...

    async def fetch_order(
        self,
        symbol: Symbol,
        *,
        exchange_order_id: ExchangeOrderId | None = None,
        client_order_id: ClientOrderId | None = None,
    ) -> Order:
        """One order, open or not. Raises `NotFound` only when the venue says it has none."""
        ...

    async def fetch_fills(self, cursor: FillCursor) -> FillPage: ...

    def first_fill_cursors(
        self, symbols: Sequence[Symbol], since: datetime
    ) -> tuple[FillCursor, ...]:
        """Where to start reading a history that begins at ``since``; one cursor where the venue
        needs no symbol."""
        ...

    def first_flow_cursors(self, since: datetime) -> tuple[FlowCursor, ...]:
        """One for each list of cash flows the venue has, to be read from ``since`` on; none where
        it tells of none through us."""
        ...

    async def fetch_cash_flows(self, cursor: FlowCursor) -> FlowPage: ...

    async def fetch_tickers(self, symbols: Sequence[Symbol]) -> tuple[Ticker, ...]: ...

    async def fetch_candles(
        self, symbol: Symbol, timeframe: Timeframe, since: datetime, limit: int
    ) -> tuple[Candle, ...]:
        """Those of ``limit`` intervals from ``since`` on, oldest first, the open one included and
        marked. One without a trade may be missing."""
        ...

    async def fetch_usd_index(
        self, asset: Asset, since: datetime, limit: int
    ) -> tuple[MinuteClose, ...]:
        """Closed minutes of what an asset was worth in US dollars: those of ``limit`` minutes from
        ``since`` on, oldest first; the venue may lack some.

        Raises:
            InvalidInput: `Capabilities.usd_index` lacks the asset, or ``limit`` is not 1..1000.
        """
        ...

    async def watch_market(
        self,
        subscription: MarketSubscription,
        sink: MarketSink,
        *,
        on_connected: Callable[[], None],
    ) -> None:
        """Hand every market message to ``sink`` until canceled. Loses none while connected.

        Raises:
            StreamLost: ended, silent for too long, or a message is missing; call again.
        """
        ...

    async def watch_private(
        self,
        sink: Callable[[PrivateUpdate], Awaitable[None]],
        *,
        on_connected: Callable[[], Awaitable[None]],
    ) -> None:
        """Hand every order, fill, balance and position message of this account to ``sink``, in
        the venue's order, until canceled.

        ``on_connected`` is awaited after each (re)connect, when the subscription is confirmed and
        before the first message is handed out: that is when the caller reconciles over REST.

        Raises:
            StreamLost: ended or silent for too long; call again.
        """
        ...

    async def close(self) -> None: ...


class IdUniqueness(StrEnum):
    """For how long a venue refuses a second order of the same name."""

    OPEN = "open"
    """While the first one is open: a repeat of a filled one is a second order."""
    WINDOW = "window"
    FOREVER = "forever"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class OrderProfile:
    """What sending orders to a venue must know; data, each with its source and test."""

    client_id_form: str = "{}"
    """The venue's form of our name."""
    id_uniqueness: IdUniqueness = IdUniqueness.NONE
    receive_window_s: float | None = None
    """After this a signed request is refused on arrival; ``None``: it may arrive at any time."""
    late_arrival_s: float = 60.0
    """How long a request may be on its way where no receive window ends it."""
    visibility_lag_s: float = 5.0
    """How long after acceptance queries may not show an order."""
    amends_in_place: bool = False
    """The venue changes an order and keeps its id; else it is canceled and placed anew."""
    types: frozenset[OrderType] = frozenset({OrderType.MARKET, OrderType.LIMIT})
    has_quote_quantity: bool = False
    has_attached_exits: bool = False
    """Take profit and stop loss come with the order that opens a position."""
    has_gtd: bool = False


@dataclass(frozen=True, slots=True)
class FeeRates:
    """Shares of the notional; negative is a rebate."""

    maker: Decimal
    taker: Decimal


@dataclass(frozen=True, slots=True)
class BookSide:
    """Price levels, best first: (price in quote currency, quantity in base units or contracts)."""

    levels: tuple[tuple[Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True)
class OrderBook:
    symbol: Symbol
    bids: BookSide
    asks: BookSide
    received_at: datetime


class OrderGateway(Protocol):
    """The trading half of an exchange. It sends each request once; nothing below it repeats one."""

    @property
    def order_profile(self) -> OrderProfile:
        """What holds in every kind of market here: names, times and what all of them have."""
        ...

    def order_profile_of(self, symbol: Symbol) -> OrderProfile:
        """What holds in the market of that symbol: spot and perpetuals differ."""
        ...

    async def prepare_order(self, request: OrderRequest) -> None:
        """Set leverage and margin mode as the request wants them; nothing where it wants none.

        Raises:
            ExchangeError: not set, or not known; the order must not be sent.
        """
        ...

    async def create_order(self, request: OrderRequest, client_order_id: ClientOrderId) -> Order:
        """Send one order, once, and say what the venue acknowledged.

        Raises:
            OrderRejected: refused for good, by the venue's definitive list; it does not exist.
            OrderNotSent: no byte of it left.
            OrderOutcomeUnknown: everything else, whatever it was.
        """
        ...

    async def cancel_order(self, order: Order) -> None:
        """Ask the venue to end an order; what became of it is read afterwards.

        Raises:
            NotFound: the venue has no such open order: it ended meanwhile, or never was.
            ExchangeError: refused, or unknown; asking again is harmless.
        """
        ...

    async def amend_order(
        self, order: Order, *, quantity: Decimal | None, limit_price: Decimal | None
    ) -> None:
        """Change an open order in place; ``quantity`` is the new total, filled part included.

        Raises:
            OrderNotSupported: this venue changes no order in place.
            OrderRejected: refused; the order is as it was.
            ExchangeError: unknown; the order is read afterwards.
        """
        ...

    async def fetch_orders_since(self, symbol: Symbol, since: datetime) -> tuple[Order, ...]:
        """Every order of a symbol created since then, ended ones included; complete or an error."""
        ...

    async def fetch_fills_since(self, symbol: Symbol, since: datetime) -> tuple[Fill, ...]:
        """Every fill of a symbol since then; complete or an error."""
        ...

    async def fetch_order_book(self, symbol: Symbol, depth: int) -> OrderBook: ...

    async def fetch_fee_rates(self, symbol: Symbol) -> FeeRates: ...


class TradingExchange(Exchange, OrderGateway, Protocol):
    """One account on one venue that may also trade."""


class ExchangeProvider(Protocol):
    """What makes exchanges; the factory."""

    def is_simulated(self, exchange: ExchangeId) -> bool:
        """Whether what is opened there is a simulated venue, and not the real one."""
        ...

    def open(
        self, exchange: ExchangeId, account_id: AccountId | None, credentials: Credentials | None
    ) -> TradingExchange: ...

    def hold(self, exchange: ExchangeId, seconds: float) -> None:
        """Send nothing to an exchange for so long, whoever asks."""
        ...
