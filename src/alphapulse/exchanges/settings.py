"""What the exchanges package can be told: where venues are, and how long they may take."""

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field


class ExchangesSettings(BaseModel):
    """Limits and addresses; the defaults talk to the real venues."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    simulator_url: str | None = None
    """Send everything of every exchange here instead, like ``http://127.0.0.1:8800``."""

    endpoints: dict[str, str] = Field(default_factory=dict)
    """The same for one exchange alone: exchange id to base URL."""

    connect_timeout_s: float = Field(default=5.0, gt=0)
    """A venue that cannot be connected to in this time is down."""

    request_timeout_s: float = Field(default=15.0, gt=0)
    """Total for one request, connecting and reading included."""

    call_timeout_s: float = Field(default=60.0, gt=0)
    """Total for one call of the `Exchange` port, which may be several requests."""

    max_answer_bytes: int = Field(default=64 * 1024 * 1024, gt=0)
    """The largest answers, lists of markets, are below 20 MB; more than this is no answer."""

    max_budget_wait_s: float = Field(default=10.0, ge=0)
    """A call that would wait longer for the rate budget is refused instead."""

    def endpoint(self, exchange: str) -> str | None:
        """Base URL that stands in for the venue's own hosts, or ``None`` for the real ones."""
        return self.endpoints.get(exchange, self.simulator_url)

    def address(self, exchange: str, url: str) -> str:
        """Where a request or stream meant for ``url`` goes.

        ``https://api.binance.com/api/v3/time`` becomes
        ``http://127.0.0.1:8800/api.binance.com/api/v3/time``: the real host is the first path
        segment, so one port can stand in for every host and checks on the host name still work.
        """
        base = self.endpoint(exchange)
        if base is None:
            return url
        wanted, found = urlsplit(url), urlsplit(base)
        secure = found.scheme in {"https", "wss"}
        scheme = ("wss" if secure else "ws") if wanted.scheme in {"ws", "wss"} else found.scheme
        path = f"{found.path.rstrip('/')}/{wanted.hostname}{wanted.path}"
        query = f"?{wanted.query}" if wanted.query else ""
        return f"{scheme}://{found.netloc}{path}{query}"
