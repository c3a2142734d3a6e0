"""Bodies of the system routes."""

from typing import Literal

from pydantic import Field

from alphapulse.api.schemas.base import Body, Dec, Timestamp, View
from alphapulse.api.schemas.exchange import ErrorView
from alphapulse.domain.trading import TradingMode

StatusWord = Literal["ok", "degraded", "down"]


class Clock(View):
    """Ours, and how far each exchange's is from it (theirs minus ours)."""

    local: Timestamp
    offset_ms: dict[str, int | None]


class Pool(View):
    """Database connections of the main loop."""

    size: int
    used: int
    waiting: int


class DatabaseView(View):
    """The database as the main loop sees it."""

    engine: str
    schema_: str | None = Field(serialization_alias="schema")
    expected_schema: str | None
    latency_ms: float
    pool: Pool
    size_bytes: int | None
    last_backup_at: Timestamp | None = None


class ExchangeView(View):
    """One kind of data of one exchange or account."""

    id: str
    account: str | None
    kind: str
    status: str
    last_ok_at: Timestamp | None
    lag_s: float | None
    stream: Literal["connected", "polling", "down"] | None
    budget_used_pct: Dec | None
    error: ErrorView | None
    failures: int
    circuit: str | None = None


class JobView(View):
    """One task that is kept running."""

    name: str
    state: str
    since: Timestamp
    restarts: int
    error: str | None


class QueueView(View):
    """Events on their way to a loop."""

    name: str
    depth: int
    capacity: int
    oldest_s: float


class ComponentView(View):
    """One part of the product."""

    name: str
    status: StatusWord
    detail: str | None
    since: Timestamp | None


class Incident(View):
    """Something a person should know, while it lasts."""

    id: str
    cause: str
    since: Timestamp
    affected: str | None
    fix: str | None


class WebSockets(View):
    """Connected clients, and how often one was too slow since the start."""

    clients: int
    dropped: int


class Resources(View):
    """What this process uses."""

    rss_bytes: int
    loop_lag_ms: float


class SystemStatusBody(Body):
    """Everything about every part, each with its cause when it is not well."""

    status: StatusWord
    version: str
    commit: str | None = None
    started_at: Timestamp
    uptime_s: int
    mode: Literal["live", "paper", "demo"]
    trading: TradingMode | None
    unknown_orders: list[str] | None = Field(
        description="Ids of orders whose fate is unknown; should be empty within a minute."
    )
    clock: Clock
    database: DatabaseView | None
    exchanges: list[ExchangeView]
    jobs: list[JobView]
    queues: list[QueueView]
    components: list[ComponentView]
    alerts: dict[str, int | None]
    websockets: WebSockets
    incidents: list[Incident]
    resources: Resources
    config_warnings: list[str] | None = None


class Version(View):
    """The short form, for everyone."""

    status: StatusWord
    version: str


class Liveness(View):
    """The loop turns."""

    status: Literal["ok"] = "ok"


class Readiness(View):
    """Whether requests can be served; ``reasons`` name the parts that are not well."""

    status: StatusWord
    reasons: list[ComponentView]
