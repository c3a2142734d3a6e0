"""Menu: everything that can go wrong, in the words of whoever orders it, with the fault for it.

A fault serves more than one purpose; the menu is the way to find it. The documentation's tables
are made of it, and a test walks it.
"""

from dataclasses import dataclass

from alphapulse.simulator.core.instrument import MarketStatus
from alphapulse.simulator.faults.answers import (
    ExtraFields,
    Mislabeled,
    MissingFields,
    OddValues,
    RepeatedAnswer,
    RepeatedRows,
    ShuffledRows,
    StaleRead,
)
from alphapulse.simulator.faults.fault import Match, When
from alphapulse.simulator.faults.requests import (
    BadSignature,
    ClosedPort,
    CutConnection,
    Garbled,
    Latency,
    Maintenance,
    Reset,
    Status,
    Timeout,
    Truncated,
    VenueError,
)
from alphapulse.simulator.faults.script import Fault
from alphapulse.simulator.faults.streams import (
    ClosedStream,
    DelayedFrame,
    ForeignFrame,
    FrozenStream,
    HugeFrame,
    LostFrame,
    LostMessage,
    RefusedMessage,
    ReorderedFrame,
    RepeatedFrame,
    RotatedStream,
    SlowConsumer,
)
from alphapulse.simulator.faults.world import (
    ChangedFilters,
    ChangedPermissions,
    EndedUserStream,
    HaltedSymbol,
    RefusedOrder,
    RejectedOrder,
    RestartedBooks,
    RevokedKey,
    SkewedClock,
    TradeBurst,
)


@dataclass(frozen=True, slots=True)
class Dish:
    """One thing that goes wrong, and an example of the fault that does it."""

    what: str
    fault: Fault


HANDSHAKES = Match(method="WS")
ORDERS = Match(method="POST", path="*/order*")
OPEN_ORDERS = Match(path="*/openOrders")
HISTORY = Match(path="/v5/execution/list")
BINANCE_TRADES = Match(path="*/myTrades")
BINANCE_ORDERS = Match(venue="binance", method="POST", path="*/order")
EXECUTIONS = Match(topic="execution*")
BOOKS = Match(topic="orderbook*")
TRADES = Match(topic="*rade*")

CONNECTIONS = (
    Dish("connection refused: no byte was sent", ClosedPort(for_s=2)),
    Dish("connection accepted, then reset", CutConnection(how="reset")),
    Dish("connection accepted, then closed", CutConnection(how="close")),
    Dish("connection accepted, never answered", CutConnection(how="silence")),
)

REQUESTS = (
    Dish("latency, fixed", Latency(delay_s=0.5)),
    Dish("latency, long tail", Latency(delay_s=0.05, tail_s=0.1, probability=0.5, count=5)),
    Dish("timeout before execution", Timeout(match=ORDERS)),
    Dish("timeout after execution", Timeout(match=ORDERS, when=When.AFTER)),
    Dish("reset before execution", Reset(match=ORDERS)),
    Dish("reset after execution", Reset(match=ORDERS, when=When.AFTER)),
    Dish("truncated body", Truncated(match=ORDERS)),
    Dish("200 with HTML", Garbled(body="html")),
    Dish("200 with nothing", Garbled(body="empty")),
    Dish("200 with `null`", Garbled(body="null")),
    Dish("200 with `{}`", Garbled(body="object")),
    Dish("wrong content type", Mislabeled(content_type="text/plain")),
    Dish("403 of a firewall", Garbled(body="html", status=403)),
    Dish("418, banned", Status(status=418, retry_after_s=120)),
    Dish("429, slow down", Status(status=429, retry_after_s=7)),
    Dish("451, wrong country", Status(status=451, body="<h1>Unavailable</h1>")),
    Dish("5xx with HTML", Status(status=502, body="<h1>Bad Gateway</h1>", when=When.AFTER)),
    Dish("5xx with JSON", Status(status=500, body='{"code":-1000,"msg":"Unknown error"}')),
    Dish(
        "503, backend timed out, fate unknown",
        VenueError(
            match=BINANCE_ORDERS, code=-1007, message="Timeout.", status=503, when=When.AFTER
        ),
    ),
    Dish(
        "408, backend timed out, fate unknown",
        VenueError(match=BINANCE_ORDERS, code=-1007, message="Timeout.", status=408),
    ),
    Dish("any code of the venue", VenueError(code=10016, message="Server error.")),
    Dish("clock skew", SkewedClock(offset_s=-30)),
    Dish("signature failure", BadSignature()),
    Dish("key revoked in mid-run", RevokedKey(match=Match(account="bybit-unified"))),
    Dish("IP changed", ChangedPermissions(ip_refused=True)),
    Dish("permission removed", ChangedPermissions(trade=False)),
    Dish("permission to withdraw appears", ChangedPermissions(withdraw=True)),
    Dish("maintenance window", Maintenance(match=Match(venue="binance"), count=50)),
    Dish("handshake refused with 401", Status(match=HANDSHAKES, status=401)),
    Dish("handshake refused with 429", Status(match=HANDSHAKES, status=429, retry_after_s=1)),
    Dish("handshake refused with 503", Status(match=HANDSHAKES, status=503)),
    Dish(
        "listenKey unknown on keep-alive",
        VenueError(
            match=Match(method="PUT", path="*/listenKey"),
            code=-1125,
            message="This listenKey does not exist.",
        ),
    ),
)

ANSWERS = (
    Dish("stale read: missing from the open orders", StaleRead(match=OPEN_ORDERS, for_ms=60_000)),
    Dish("stale read: order unknown", StaleRead(match=Match(path="*/order"), for_ms=60_000)),
    Dish("stale snapshot of a book", RepeatedAnswer(match=Match(path="*/depth"))),
    Dish("cursor that loops", RepeatedAnswer(match=HISTORY, count=2)),
    Dish("row repeated on a page", RepeatedRows(match=BINANCE_TRADES)),
    Dish("history out of order", ShuffledRows(match=HISTORY)),
    Dish("unknown fields", ExtraFields(count=3)),
    Dish("missing fields", MissingFields(match=BINANCE_TRADES, fields=("commissionAsset",))),
    Dish("huge numbers", OddValues(fields=("qty", "execQty"), value="123456789012345678901.5")),
    Dish("dust", OddValues(match=Match(path="*/account"), fields=("free",), value="0.00000001")),
)

MARKETS_AND_ORDERS = (
    Dish("symbol halted", HaltedSymbol(symbol="BTCUSDT")),
    Dish("symbol in a break", HaltedSymbol(symbol="BTCUSDT", status=MarketStatus.BREAK)),
    Dish("symbol delisted", HaltedSymbol(symbol="BTCUSDT", status=MarketStatus.DELISTED)),
    Dish("filters changed in mid-run", ChangedFilters(symbol="BTCUSDT", tick_times=10)),
    Dish("order refused, whatever the reason", RefusedOrder()),
    Dish("cancel-replace done by half (409)", RefusedOrder(match=Match(venue="binance"))),
    Dish("accepted, then rejected on the stream", RejectedOrder(match=Match(venue="bybit"))),
)

STREAMS = (
    Dish("close 1000", ClosedStream(code=1000)),
    Dish("close 1001", ClosedStream(code=1001)),
    Dish("close 1006, abort", ClosedStream(code=1006)),
    Dish("close 1008", ClosedStream(code=1008, reason="policy")),
    Dish("close 1011", ClosedStream(code=1011)),
    Dish("half-open: frozen", FrozenStream(match=BOOKS)),
    Dish("no pong", LostMessage(match=Match(topic="ping"))),
    Dish("subscription refused", RefusedMessage(match=Match(topic="[sS][uU][bB]*"))),
    Dish("slow consumer disconnected", SlowConsumer()),
    Dish("gap", LostFrame(match=BOOKS)),
    Dish("reply lost, request executed", LostFrame(match=Match(topic=""))),
    Dish("request lost on a socket", LostMessage(match=Match(topic="order.*"))),
    Dish("duplicate frame", RepeatedFrame(match=BOOKS)),
    Dish("reordering", ReorderedFrame(match=BOOKS)),
    Dish("delayed frame", DelayedFrame(match=BOOKS, delay_s=0.3)),
    Dish("stale snapshot on a stream", LostFrame(match=BOOKS, skip=1, count=3)),
    Dish("re-snapshot of Bybit (u = 1)", RestartedBooks(symbol="BTCUSDT")),
    Dish("rotation after 24 h", RotatedStream(notice_s=1)),
    Dish("listenKey expired, eventStreamTerminated", EndedUserStream()),
    Dish("private event lost across a reconnect", ClosedStream(match=EXECUTIONS, code=1006)),
    Dish("duplicated fill", RepeatedFrame(match=EXECUTIONS)),
    Dish("fill before the answer", Latency(match=ORDERS, when=When.AFTER, delay_s=0.5)),
    Dish("fill after the answer", DelayedFrame(match=EXECUTIONS, delay_s=0.5)),
    Dish("frame of more than 10 MiB", HugeFrame(match=TRADES)),
    Dish("frame that is no JSON", ForeignFrame(match=TRADES)),
    Dish("burst of a hundred times the rate", TradeBurst(symbol="BTCUSDT", trades=1_000)),
)

MENU = {
    "Connections": CONNECTIONS,
    "Requests and answers": REQUESTS,
    "What answers hold": ANSWERS,
    "Markets and orders": MARKETS_AND_ORDERS,
    "WebSockets": STREAMS,
}
"""By chapter."""
