"""Users: who may see and do what."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alphapulse.domain.identifiers import UserId


class Role(StrEnum):
    VIEWER = "viewer"
    TRADER = "trader"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class User:
    """``version`` rises with each change of the settings, so that a lost update is noticed."""

    id: UserId
    username: str
    role: Role
    currency: str
    timezone: str
    version: int
    is_disabled: bool
    created_at: datetime
    last_login_at: datetime | None
