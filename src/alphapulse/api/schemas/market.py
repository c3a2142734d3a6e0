"""Bodies of the market routes."""

from typing import Literal

from pydantic import Field

from alphapulse.api.schemas.base import Cursor, Dec, Input, Limit, Page, Timestamp, View


class PricesQuery(Input):
    """Which markets."""

    symbols: list[str] = Field(default=[], max_length=200, examples=[["BTC/USDT"]])
    assets: list[str] = Field(default=[], max_length=200, description="Every market of these.")
    exchange: str = Field(default="any", max_length=30)
    currency: str | None = Field(default=None, max_length=40)
    max_age_s: float | None = Field(
        default=None, gt=0, description="Leaves out what is older, and lists it as not found."
    )
    cursor: Cursor = None
    limit: Limit = 100


class Converted(View):
    """The same price in the caller's currency, and the path of markets it took."""

    currency: str
    value: Dec
    path: str


class PriceLine(View):
    """One market of one exchange; prices in its quote currency."""

    id: str
    symbol: str
    exchange: str
    last: Dec | None
    bid: Dec | None
    ask: Dec | None
    mid: Dec | None
    spread_pct: Dec | None
    mark: Dec | None
    index: Dec | None
    open_24h: Dec | None
    high_24h: Dec | None
    low_24h: Dec | None
    change_24h_pct: Dec | None
    base_volume_24h: Dec | None
    quote_volume_24h: Dec | None
    funding_rate: Dec | None
    converted: Converted | None
    as_of: Timestamp
    received_at: Timestamp
    age_ms: int
    source: str
    quality: Literal["live", "delayed", "stale", "manual", "estimated"]


class Disagreement(View):
    """Exchanges that differ on one symbol by more than a percent."""

    symbol: str
    spread_pct: Dec


class PricePage(Page[PriceLine]):
    """Markets by symbol and exchange."""

    not_found: tuple[str, ...] = ()
    sources_disagree: tuple[Disagreement, ...] = ()


class CandleRow(View):
    """One candle of one exchange on the WebSocket; ``t`` is its opening in epoch ms."""

    id: str
    t: int
    o: Dec
    h: Dec
    l: Dec  # noqa: E741 - what every chart calls it
    c: Dec
    v: Dec
    closed: bool
