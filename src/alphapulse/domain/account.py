"""Account: one set of credentials on one exchange, and what they may do."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alphapulse.domain.identifiers import AccountId, ExchangeId, UserId


class AccountState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    """By the user."""
    DISABLED = "disabled"
    """By us: the venue refuses the key."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """What the venue says the key may do; ``None`` where it does not say."""

    read: bool | None
    trade: bool | None
    withdraw: bool | None
    ip_restricted: bool | None
    expires_at: datetime | None = None


UNKNOWN_PERMISSIONS = Permissions(read=None, trade=None, withdraw=None, ip_restricted=None)


@dataclass(frozen=True, slots=True)
class Account:
    """``is_simulated`` marks one that lives on the simulated exchange, wherever it is shown."""

    id: AccountId
    owner_id: UserId | None
    exchange: ExchangeId
    label: str
    state: AccountState
    state_reason: str | None
    is_simulated: bool
    permissions: Permissions
    permissions_checked_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class KeyStep:
    """``name`` is one of reach, clock, permissions, balances, positions, orders.

    ``detail`` says what was found, or what went wrong; ``fix`` what to do about it.
    """

    name: str
    is_ok: bool
    detail: str
    error_code: str | None = None
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """What a venue says about a key. ``permissions.withdraw`` true is for the caller to refuse."""

    steps: tuple[KeyStep, ...]
    permissions: Permissions
    clock_offset_ms: int | None

    @property
    def is_ok(self) -> bool:
        return all(step.is_ok for step in self.steps)
