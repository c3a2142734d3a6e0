"""Bodies of the portfolio routes."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from alphapulse.api.schemas.base import (
    Body,
    Cursor,
    DayChangeView,
    Dec,
    Input,
    Limit,
    Page,
    PriceView,
    Timestamp,
    View,
)
from alphapulse.api.schemas.history import (
    HistoryQuery,
    PerformanceQuery,
    PerformanceView,
    SampleView,
)
from alphapulse.domain.cost_basis.lots import Method

PositionType = Literal["spot", "margin", "perp", "future", "earn"]


Part = Literal["performance", "allocation", "accounts", "history", "risk"]


AsOf = Annotated[
    datetime | None,
    Field(
        description="What was held then, by the ledger, at the prices of that minute; what the "
        "ledger does not tell is null. A price that is not known yet is fetched: ask again."
    ),
]


class SummaryQuery(PerformanceQuery, HistoryQuery):
    """Which accounts, in which currency, and what besides the figures of now.

    `range`, or `from` and `to`, is the span of `performance`, `history` and `net_deposits`.
    """

    include: tuple[Part, ...] = Field(
        default=(),
        description="`performance` (its figures of risk are `risk`, too) and `history` are null "
        "without; `allocation` and `accounts` are always there.",
    )
    min_value: Dec | None = Field(
        default=None, description="Leaves shares that are worth less out of `allocation`."
    )
    max_age_s: int | None = Field(
        default=None,
        ge=0,
        description="Accounts that were read longer ago are read again soon; nothing waits.",
    )
    method: Method = Field(default=Method.FIFO, description="Which lots are sold first.")
    as_of: AsOf = None


class Share(View):
    """One part of the whole; ``weight`` is its share of ``total_value``, 0 to 1."""

    key: str
    kind: Literal["asset", "exchange", "account", "type"]
    value: Dec
    weight: Dec | None


class AccountLine(View):
    """One account in the summary; ``stale`` values are the last good ones."""

    id: str
    exchange: str
    label: str
    value: Dec | None
    weight: Dec | None
    status: Literal["ok", "stale", "error", "disabled"]
    as_of: Timestamp | None
    stale: bool
    last_error: str | None


class UnpricedLine(View):
    """Held, and in no total, because nothing says what it is worth.

    Of a contract without a price ``asset`` is the settle currency, and ``quantity`` its profit in
    it: null when nobody knows that.
    """

    asset: str
    quantity: Dec | None
    accounts: list[str]
    reason: str


class ResidualLine(View):
    """What an exchange holds beyond what the ledger explains; see /api/portfolio/reconcile."""

    account: str
    asset: str
    quantity: Dec


class ChangeView(View):
    """How the value moved over a time, apart from what came in and went out, up to the moment that
    was recorded last. `pct` 5 is five percent. `reason` says why one of them is null."""

    abs: Dec | None
    pct: Dec | None
    reason: str | None


class Summary(Body):
    """What everything is worth now.

    ``total_value = total_assets - total_debt``, and ``total_assets`` is the sum of quantity times
    price of every position listed by /api/portfolio/positions, exactly as printed there. What has
    no price is in neither, and listed as ``unpriced``; when nothing has one, both are null.

    ``cost_basis`` and the profits sum up what is known; what is not is listed as
    ``missing_basis``, held or sold already. ``total_pnl`` is realized and unrealized profit,
    funding and income, less the fees that no cost contains.
    """

    total_value: Dec | None
    total_assets: Dec | None
    total_debt: Dec | None
    cash_value: Dec | None
    invested_value: Dec | None
    cost_basis: Dec | None = None
    realized_pnl: Dec | None = None
    unrealized_pnl: Dec | None = Field(
        default=None, description="Of what has a basis and a price, and of open contracts."
    )
    total_pnl: Dec | None = None
    total_pnl_pct: Dec | None = Field(
        default=None,
        description="`total_pnl / (total_value - total_pnl) * 100`: 5 is five percent of what was "
        "put in, at cost, less what was taken out. Null, and named in the warnings, where a price "
        "or a basis of any part is unknown, and where not more was put in than taken out.",
    )
    fees_paid: Dec | None = None
    funding_paid: Dec | None = None
    income: Dec | None = None
    net_deposits: Dec | None = Field(
        default=None, description="Over the span that is asked for; null without one."
    )
    change: dict[Literal["1h", "24h", "7d"], ChangeView] | None = None
    performance: PerformanceView | None = None
    allocation: list[Share]
    accounts: list[AccountLine]
    history: list[SampleView] | None = None
    unpriced: list[UnpricedLine]
    missing_basis: list[UnpricedLine] | None = None
    residuals: list[ResidualLine] | None = None
    position_count: int
    open_order_count: int | None
    first_activity_at: Timestamp | None = None
    facts_as_of: Timestamp | None = Field(
        default=None,
        description="When `residuals`, `first_activity_at` and what `change` is made of were read. "
        "Where that is too long ago there is a warning, and `complete` is false.",
    )


class PositionsQuery(Input):
    """Which positions, how grouped and sorted."""

    currency: str | None = Field(default=None, max_length=40, description="Your own by default.")
    account: list[str] = Field(default=[], max_length=100)
    exchange: str | None = None
    asset: str | None = None
    type: PositionType | None = None
    group_by: Literal["asset", "account", "none"] = "none"
    method: Method = Field(default=Method.FIFO, description="Which lots are sold first.")
    min_value: Dec | None = Field(
        default=None, description="Leaves out what is worth less; unpriced lines stay."
    )
    include_zero: bool = False
    as_of: AsOf = None
    sort: Literal["id", "-value", "value", "-change_24h", "change_24h"] = Field(
        default="id", description="By change: in percent; what is not known comes last."
    )
    cursor: Cursor = None
    limit: Limit = 100


class PositionView(View):
    """One asset in one wallet, or several of them grouped.

    ``value = quantity x price.value``, to the last digit. ``debt`` is what is borrowed, in units
    of the asset; it is not netted off ``quantity``. What grouping mixes is null.

    ``cost_basis`` and ``unrealized_pnl`` are of ``quantity`` without ``missing_quantity``, whose
    basis is unknown. Lots lie in an account: several wallets share them by quantity. A contract
    has no lots; its ``average_entry`` and profits are in quote currency, fees and funding in yours.
    """

    id: str
    account_id: str | None
    exchange: str | None
    wallet: str | None
    type: PositionType | None
    asset: str | None
    symbol: str | None
    side: Literal["long", "short"] | None
    quantity: Dec | None
    available: Dec | None
    locked: Dec | None
    debt: Dec | None
    price: PriceView | None
    value: Dec | None
    weight: Dec | None
    average_entry: Dec | None = None
    cost_basis: Dec | None = None
    basis_quality: Literal["complete", "partial", "unknown"] | None = None
    missing_quantity: Dec | None = None
    realized_pnl: Dec | None = None
    unrealized_pnl: Dec | None = None
    unrealized_pnl_pct: Dec | None = None
    fees_paid: Dec | None = None
    funding_paid: Dec | None = None
    change_24h: DayChangeView | None = Field(
        default=None,
        description="Of a contract: what it gained by its market in that time, if it was held, at "
        "today's value of its settle currency. What is null is named in a warning.",
    )
    opened_at: Timestamp | None = Field(
        default=None,
        description="Of an asset: when the earliest of its lots that are still there was acquired "
        "(`method` says which are gone), null where one was there before the known history, and "
        "of your own currency, which has no lots. Of a contract: when it last left zero or changed "
        "its side by the ledger, null where that was before the known history, while the ledger "
        "does not add up to it, and where both sides are held.",
    )
    last_trade_at: Timestamp | None = Field(
        default=None, description="When it was last one side of a trade of the account."
    )
    as_of: Timestamp
    stale: bool


class DerivativeView(PositionView):
    """One open contract. Prices in quote currency, margins in settle currency.

    ``value`` is the unrealized profit converted by ``price``: the collateral is among the
    balances. ``quantity`` is in contracts.
    """

    contracts: Dec
    contract_size: Dec
    notional: Dec | None
    mark_price: Dec | None
    leverage: Dec | None
    margin_mode: Literal["cross", "isolated"] | None
    initial_margin: Dec | None
    maintenance_margin: Dec | None
    liquidation_price: Dec | None
    liquidation_distance_pct: Dec | None
    funding_rate: Dec | None
    next_funding_at: Timestamp | None
    reduce_only_orders: int


class PositionPage(Page[DerivativeView | PositionView]):
    """Positions, one line each."""


class PortfolioRow(View):
    """The summary as the WebSocket sends it: one row that is replaced as a whole."""

    id: str
    as_of: Timestamp
    currency: str | None
    complete: bool
    total_value: Dec | None
    total_assets: Dec | None
    total_debt: Dec | None
    cash_value: Dec | None
    invested_value: Dec | None
    unrealized_pnl: Dec | None
    accounts: list[AccountLine]
    unpriced: list[UnpricedLine]
    position_count: int
    open_order_count: int | None

    @classmethod
    def of(cls, summary: Summary) -> "PortfolioRow":
        meta, shared = summary.meta, cls.model_fields.keys() & Summary.model_fields.keys()
        return cls(
            id="portfolio",
            as_of=meta.as_of,
            currency=meta.currency,
            complete=meta.complete,
            **{name: getattr(summary, name) for name in shared},
        )
