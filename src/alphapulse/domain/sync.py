"""Synchronization: how fresh each kind of each account is, and why if it is not."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alphapulse.domain.identifiers import AccountId, ExchangeId, Symbol


class SyncKind(StrEnum):
    BALANCES = "balances"
    POSITIONS = "positions"
    ORDERS = "orders"
    FILLS = "fills"
    FLOWS = "flows"
    """Cash flows: deposits, withdrawals, funding."""
    PRICES = "prices"
    INSTRUMENTS = "instruments"


class SyncState(StrEnum):
    PENDING = "pending"
    """Never succeeded yet."""
    OK = "ok"
    STALE = "stale"
    """Last good value is too old; it is shown, marked."""
    ERROR = "error"
    """The last try failed for a reason that waiting does not mend."""
    PAUSED = "paused"


class StreamState(StrEnum):
    CONNECTED = "connected"
    POLLING = "polling"
    """The stream is down and REST stands in."""
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """One row per (account, kind); prices and instruments belong to the exchange, account ``None``.

    ``error_code`` is the code of `alphapulse.errors`; ``error_fix`` the next step for a person.
    ``progress`` is 0..1 while a history is being read, else ``None``.
    """

    exchange: ExchangeId
    account_id: AccountId | None
    kind: SyncKind
    state: SyncState
    last_ok_at: datetime | None = None
    last_tried_at: datetime | None = None
    next_try_at: datetime | None = None
    failing_since: datetime | None = None
    failures: int = 0
    error_code: str | None = None
    error_message: str | None = None
    error_fix: str | None = None
    stream: StreamState | None = None
    progress: float | None = None

    @property
    def key(self) -> tuple[ExchangeId, AccountId | None, SyncKind]:
        return (self.exchange, self.account_id, self.kind)


@dataclass(frozen=True, slots=True)
class FillCursor:
    """Where the reading of one account's fills stands; opaque outside the adapter.

    ``symbol`` is ``None`` where the venue lists fills without one. ``position`` is the adapter's
    own text (an id, a time, a page mark) and durable: it is stored with the fills it follows.
    """

    symbol: Symbol | None
    position: str
