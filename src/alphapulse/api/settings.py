"""FastAPI Application: its settings."""

from ipaddress import ip_address
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


class ApiSettings(BaseModel):
    """Where the API listens, to which names it answers, and how much it takes from one caller."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    """Loopback unless a TLS proxy stands in front."""
    port: int = Field(default=8000, ge=0, le=65535)
    """0 takes a free one."""
    allowed_hosts: tuple[str, ...] = LOOPBACK_NAMES
    """Names without port that a request may address, which keeps foreign names that resolve to
    this machine (DNS rebinding) out."""
    is_behind_tls_proxy: bool = False
    """Believe the proxy on this machine about the client's address and that it speaks HTTPS."""
    body_bytes_max: int = Field(default=1_000_000, ge=1_000)
    """No body of this API comes near it; a larger one is refused unread."""
    import_bytes_max: int = Field(default=4_000_000, ge=1_000)
    """Of a body that holds a file of transactions, at most 5,000."""
    request_timeout_s: float = Field(default=30.0, gt=0)
    """The longest is a key check, which asks the exchange six things."""
    requests_per_minute: int = Field(default=6000, ge=1)
    """Per user, and per address of the callers that are not logged in."""
    writes_per_minute: int = Field(default=120, ge=1)
    """Of these, the ones that change something."""

    @model_validator(mode="after")
    def _is_not_open_to_the_network(self) -> Self:
        is_loopback = self.host == "localhost" or (
            _is_address(self.host) and ip_address(self.host).is_loopback
        )
        has_own_names = not set(self.allowed_hosts) <= set(LOOPBACK_NAMES)
        if not is_loopback and not (self.is_behind_tls_proxy and has_own_names):
            raise ValueError(
                "listening beyond this machine needs is_behind_tls_proxy and the server's own"
                " names in allowed_hosts"
            )
        return self


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
