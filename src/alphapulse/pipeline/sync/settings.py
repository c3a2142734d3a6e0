"""Settings of the synchronizer: how often, how old is too old, how much of the budget."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from alphapulse.domain.identifiers import ExchangeId, Symbol


class SyncSettings(BaseModel):
    """Defaults keep well below the rate budgets of Binance and Bybit with ten accounts each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference_exchange: ExchangeId | None = ExchangeId("bybit")
    """Watched even without an account: its BTC/USDT ticker carries a US dollar index."""
    watch_symbols: dict[ExchangeId, tuple[Symbol, ...]] = {}
    """Prices and candles wanted beyond what is held, per exchange."""

    balances_interval_s: float = Field(default=60.0, gt=0)
    """The private stream tells changes at once; this finds what it kept back."""
    positions_interval_s: float = Field(default=60.0, gt=0)
    """The stream tells changes at once; profit at the mark price moves in between."""
    orders_interval_s: float = Field(default=30.0, gt=0)
    """The stream tells changes at once; one that it kept back shows here first."""
    fills_interval_s: float = Field(default=60.0, gt=0)
    """Where the exchange lists the fills of all symbols at once: one request or two."""
    fills_sweep_interval_s: float = Field(default=3600.0, gt=0)
    """How often each symbol is asked for fills although nothing hints at one."""
    flows_interval_s: float = Field(default=300.0, gt=0)
    """Deposits, funding and the like; a balance that no fill explains makes it look at once."""
    polling_interval_s: float = Field(default=5.0, gt=0)
    """Replaces the intervals above, but that of flows, while the private stream is down."""
    instruments_interval_s: float = Field(default=3600.0, gt=0)
    """Steps and listings change rarely; a refused symbol makes it look at once."""
    clock_interval_s: float = Field(default=600.0, gt=0)
    """Exchanges refuse a clock that is seconds off; none drifts that fast."""
    price_polling_interval_s: float = Field(default=2.0, gt=0)
    """REST tickers while the public stream is down."""

    price_silence_s: float = Field(default=3.0, gt=0)
    """Prices are stale, and their stream is given up, after this long without any message; the
    busiest symbols of a venue send several each second."""
    quiet_symbol_s: float = Field(default=30.0, gt=0)
    """A symbol silent for this long on a living stream is asked for over REST."""
    late_margin_s: float = Field(default=20.0, gt=0)
    """A read is late when its interval and this have passed: the request's own time limit."""
    deaf_margin_s: float = Field(default=10.0, gt=0)
    """A fill that REST shows and a connected stream kept back this long proves it deaf."""

    stream_retry_max_s: float = Field(default=8.0, gt=0)
    """Longest wait between two tries at a lost stream; prices are polled meanwhile."""
    probe_interval_max_s: float = Field(default=8.0, gt=0)
    """Longest wait between two tries at a venue that does not answer."""
    failures_until_open: int = Field(default=5, ge=1)
    """Failed requests in a row after which a venue gets single probes only."""
    rate_limit_wait_s: float = Field(default=30.0, gt=0)
    """For a refusal that names no time."""
    requests_at_once: int = Field(default=4, ge=1)
    """Per exchange; also what keeps a recovered venue from being stormed."""
    first_read_within_s: float = Field(default=1.0, ge=0)
    """The first reads of all accounts are spread over this long."""

    history_start: datetime = datetime(2017, 7, 1, tzinfo=UTC)
    """Before the first exchange we serve opened."""
    history_budget_ratio: float = Field(default=0.5, gt=0, le=1)
    """History is read only while less than this share of the address's rate budget is used."""
    order_grace_s: float = Field(default=5.0, ge=0)
    """An order younger than this may be missing from a list that was made before it."""
    order_lookups_per_read: int = Field(default=20, ge=1)
    """Orders that left the open ones are looked up one by one; the rest waits for the next read."""

    past_rates_interval_s: float = Field(default=15.0, gt=0)
    """How often it is looked whether the books lack prices of the past."""
    candle_refetch_s: float = Field(default=6 * 3600.0, gt=0)
    """How far back a hole in the 1m candles is refilled after a reconnect."""
    candle_settle_s: float = Field(default=5.0, ge=0)
    """How long after a connect holes are looked for: by then what the stream brought is written,
    and what just closed has been sent."""

    @property
    def exchanges(self) -> frozenset[ExchangeId]:
        """Those watched whether or not there is an account."""
        reference = () if self.reference_exchange is None else (self.reference_exchange,)
        return frozenset((*self.watch_symbols, *reference))
