"""Binance frames: the shapes of the combined streams' messages, only the fields that are read."""

import msgspec


class BookData(msgspec.Struct, gc=False):
    """``bookTicker``; its quantities are not read, and msgspec skips them unparsed."""

    u: int
    s: str
    b: str
    a: str


class DayData(msgspec.Struct, gc=False):
    """``24hrTicker``, without the bid and ask that ``bookTicker`` brings sooner."""

    E: int
    s: str
    c: str
    o: str
    h: str
    l: str  # noqa: E741 - the venue's name
    v: str
    q: str


class TradeData(msgspec.Struct, gc=False):
    """``trade``; ``m`` says that the buyer was the maker."""

    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class MarkData(msgspec.Struct, gc=False):
    """``markPriceUpdate``, of futures."""

    E: int
    s: str
    mark: str = msgspec.field(name="p")
    index: str = msgspec.field(name="i")
    funding_rate: str = msgspec.field(name="r")
    next_funding_ms: int = msgspec.field(name="T")


class BarData(msgspec.Struct, gc=False):
    i: str
    open_ms: int = msgspec.field(name="t")
    open: str = msgspec.field(name="o")
    high: str = msgspec.field(name="h")
    low: str = msgspec.field(name="l")
    close: str = msgspec.field(name="c")
    volume: str = msgspec.field(name="v")
    is_closed: bool = msgspec.field(name="x")
    trades: int | None = msgspec.field(name="n")


class KlineData(msgspec.Struct, gc=False):
    E: int
    s: str
    k: BarData


class BookFrame(msgspec.Struct, gc=False):
    data: BookData


class DayFrame(msgspec.Struct, gc=False):
    data: DayData


class TradeFrame(msgspec.Struct, gc=False):
    data: TradeData


class KlineFrame(msgspec.Struct, gc=False):
    data: KlineData


class MarkFrame(msgspec.Struct, gc=False):
    data: MarkData


class RefusalData(msgspec.Struct):
    code: int
    msg: str


class OtherFrame(msgspec.Struct):
    """An answer to a request, or a word about the connection."""

    id: int | str | None = None
    error: RefusalData | None = None
    e: str = ""
