"""Bybit frames: the shapes of the v5 public messages, only the fields that are read."""

import msgspec


class TickerData(msgspec.Struct, gc=False):
    """``tickers``: ``None`` is "not in this frame", empty is "there is none"."""

    last: str | None = msgspec.field(name="lastPrice", default=None)
    bid: str | None = msgspec.field(name="bid1Price", default=None)
    ask: str | None = msgspec.field(name="ask1Price", default=None)
    mark: str | None = msgspec.field(name="markPrice", default=None)
    index: str | None = msgspec.field(name="indexPrice", default=None)
    index_price_usd: str | None = msgspec.field(name="usdIndexPrice", default=None)
    open_24h: str | None = msgspec.field(name="prevPrice24h", default=None)
    high_24h: str | None = msgspec.field(name="highPrice24h", default=None)
    low_24h: str | None = msgspec.field(name="lowPrice24h", default=None)
    base_volume_24h: str | None = msgspec.field(name="volume24h", default=None)
    quote_volume_24h: str | None = msgspec.field(name="turnover24h", default=None)
    funding_rate: str | None = msgspec.field(name="fundingRate", default=None)
    next_funding_at: str | None = msgspec.field(name="nextFundingTime", default=None)


class BookData(msgspec.Struct, gc=False):
    """``orderbook``: levels of price and quantity; quantity 0 takes the level away."""

    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: int


class TradeData(msgspec.Struct, gc=False):
    """One of ``publicTrade``; ``S`` is the taker's side."""

    T: int
    s: str
    S: str
    v: str
    p: str
    i: str


class BarData(msgspec.Struct, gc=False):
    timestamp: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    open_ms: int = msgspec.field(name="start")
    is_closed: bool = msgspec.field(name="confirm")
    trades: int | None = None
    """Never said."""


class TickerFrame(msgspec.Struct, gc=False):
    topic: str
    type: str
    ts: int
    data: TickerData
    cs: int = 0


class BookFrame(msgspec.Struct, gc=False):
    topic: str
    type: str
    ts: int
    data: BookData


class TradeFrame(msgspec.Struct, gc=False):
    topic: str
    data: list[TradeData]


class KlineFrame(msgspec.Struct, gc=False):
    topic: str
    data: list[BarData]


class OtherFrame(msgspec.Struct):
    """An answer to a request of ours, or to a ping."""

    op: str = ""
    success: bool = True
    ret_msg: str = ""
    req_id: str = ""
