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
class KeyCheckStep:
    """One named thing that was tried with a key. ``code`` and ``fix`` say why it failed."""

    name: str
    """``connect``, ``clock``, ``permissions`` or ``balances``."""
    ok: bool
    detail: str
    code: str | None = None
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """What a venue answered to a key, step by step, in the order tried; stops at a failure."""

    steps: tuple[KeyCheckStep, ...]
    permissions: Permissions
    clock_offset_ms: int | None

    @property
    def ok(self) -> bool:
        return all(step.ok for step in self.steps)
