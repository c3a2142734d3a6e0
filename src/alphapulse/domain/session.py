"""Session: one place a user is logged in from, until it expires or is revoked."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alphapulse.domain.identifiers import UserId


class SessionKind(StrEnum):
    BROWSER = "browser"
    """Held by a cookie; one token for its whole life."""
    API = "api"
    """Held by a refresh token that is exchanged for a new one each time."""


@dataclass(frozen=True, slots=True)
class Session:
    """``ip`` and ``agent`` are what the login came with, for the user to recognize it by."""

    id: str
    user_id: UserId
    kind: SessionKind
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    ip: str | None = None
    agent: str | None = None

    def is_live(self, at: datetime) -> bool:
        return self.revoked_at is None and at < self.expires_at
