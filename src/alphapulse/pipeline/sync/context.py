"""What every part of the synchronizer is given: the one database, bus, clock and settings."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from alphapulse.database.connection import Database
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId
from alphapulse.exchanges.port import Credentials
from alphapulse.pipeline.execution.settings import ExecutionSettings
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.pipeline.sync.status import StatusBoard
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.process import is_gone
from alphapulse.runtime.retry import Backoff


class CredentialVault(Protocol):
    """Where an account's key comes from; `alphapulse.exchanges.credentials` is one."""

    async def load(self, account_id: AccountId) -> Credentials:
        """Raises `NotFound` or `SecretUnreadable`."""
        ...


@dataclass(frozen=True, slots=True)
class SyncContext:
    """Made and used on the exchange worker's loop."""

    settings: SyncSettings
    database: Database
    bus: EventBus
    clock: Clock
    board: StatusBoard
    execution: ExecutionSettings = field(default_factory=ExecutionSettings)
    process: str = "this process"
    """Names this run of the program, so that no other one sends what it claimed."""
    is_gone: Callable[[str], bool] = is_gone
    """Whether the run of that name has surely ended."""

    @property
    def read_backoff(self) -> Backoff:
        return Backoff(max_s=self.settings.probe_interval_max_s)

    @property
    def stream_backoff(self) -> Backoff:
        return Backoff(max_s=self.settings.stream_retry_max_s)
