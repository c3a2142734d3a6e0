"""Performance Metrics: every Prometheus metric of the product, declared once, unit in its name.

No user, account label or symbol is ever a label: they are unbounded, and not the scraper's to know.
"""

from collections.abc import Iterator
from importlib.metadata import version

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Info
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class HotAnswers(Collector):
    """Counts the reads that are answered before the framework is asked.

    Plain integers, read when somebody scrapes: a histogram would cost a tenth of such an answer,
    to say each time that it took no time.
    """

    def __init__(self) -> None:
        self.by_route: dict[str, int] = {}

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "alphapulse_http_hot_answers", "Answers of the fast path, by route.", labels=["route"]
        )
        for route, count in self.by_route.items():
            family.add_metric([route], count)
        yield family


# Synchronization

SYNC_LAG = Gauge(
    "alphapulse_sync_lag_seconds",
    "Age of the oldest last good read of an exchange, by kind.",
    ["exchange", "kind"],
)
SYNC_RUNS = Counter(
    "alphapulse_sync_runs_total",
    "Reads of an exchange by the synchronizer, by how they ended: ok or an error code.",
    ["result"],
)

# Exchanges

EXCHANGE_REQUESTS = Counter(
    "alphapulse_exchange_requests_total",
    "Calls to an exchange, by how they ended: ok or an error code.",
    ["exchange", "class"],
)
EXCHANGE_BUDGET_USED = Gauge(
    "alphapulse_exchange_budget_used_ratio",
    "Largest share of a rate budget in use, per exchange.",
    ["exchange"],
)
CLOCK_OFFSET = Gauge(
    "alphapulse_clock_offset_seconds",
    "Clock of an exchange minus ours.",
    ["exchange"],
)

# Market data

TICKERS_REFUSED = Counter(
    "alphapulse_tickers_refused_total",
    "Market messages that cannot be true and were not taken, by why.",
    ["reason"],
)
CANDLES_STORED = Counter(
    "alphapulse_candles_stored_total",
    "Closed candles written to the market database.",
)

# Threads and loops

EVENT_LOOP_LAG = Histogram(
    "alphapulse_event_loop_lag_seconds",
    "How late a loop ran what was due.",
    ["loop"],
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0),
)
EVENT_LOOP_HEARTBEAT = Gauge(
    "alphapulse_event_loop_heartbeat_timestamp_seconds",
    "When a loop last beat, in Unix time.",
    ["loop"],
)
MAILBOX_DEPTH = Gauge(
    "alphapulse_mailbox_depth_events",
    "Events that wait for their reader.",
    ["mailbox"],
)
MAILBOX_OVERFLOWS = Counter(
    "alphapulse_mailbox_overflows_total",
    "Times a reader was too slow and loaded its state again.",
    ["mailbox"],
)
# Orders

ORDERS_UNKNOWN = Gauge(
    "alphapulse_orders_unknown",
    "Orders whose fate at the exchange is unknown.",
    ["exchange"],
)
ORDERS_UNKNOWN_AGE = Gauge(
    "alphapulse_orders_unknown_age_seconds",
    "How long the oldest of them has been unknown.",
    ["exchange"],
)
BOOKS_OFF = Gauge(
    "alphapulse_reconciliation_drift_subjects",
    "Assets and positions in which fills and exchange disagree.",
    ["exchange"],
)
LEDGER_CONTRADICTIONS = Counter(
    "alphapulse_ledger_contradictions_total",
    "Movements that an exchange told differently than before; the first version stays.",
)
RECONCILIATIONS_VOID = Counter(
    "alphapulse_reconciliations_void_total",
    "Reconciliations in which something could not be read, so nothing was concluded.",
    ["exchange"],
)
ORDER_STAGE = Histogram(
    "alphapulse_order_stage_seconds",
    "How long each stage of placing an order took.",
    ["stage"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)

# API

HTTP_REQUEST = Histogram(
    "alphapulse_http_request_seconds",
    "Time until the answer began, by the route's template.",
    ["route", "method", "status"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
HOT_ANSWERS = HotAnswers()
REGISTRY.register(HOT_ANSWERS)
WS_CLIENTS = Gauge(
    "alphapulse_ws_clients",
    "WebSocket connections that are authenticated.",
)
WS_DROPPED = Counter(
    "alphapulse_ws_dropped_total",
    "Times a WebSocket client was too slow for a channel.",
)

# Everything

DB_POOL_IN_USE = Gauge(
    "alphapulse_db_pool_in_use",
    "Database connections at work.",
    ["pool"],
)
ERRORS = Counter(
    "alphapulse_errors_total",
    "Errors handled at an edge, by code.",
    ["class"],
)
BUILD = Info("alphapulse_build", "Which build this is.")
BUILD.info({"version": version("alphapulse")})
