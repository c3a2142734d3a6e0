"""Alert: something a person should know, from when it began until it ended."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alphapulse.domain.identifiers import AccountId, ExchangeId


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Alert:
    """One raised instance.

    ``key`` names what is wrong (``sync:binance:prices``); of one key at most one alert is firing.
    ``code`` is a code of `alphapulse.errors` where an error is the cause.
    """

    id: str
    key: str
    severity: Severity
    title: str
    detail: str | None
    fix: str | None
    code: str | None
    exchange: ExchangeId | None
    account_id: AccountId | None
    started_at: datetime
    resolved_at: datetime | None = None

    @property
    def is_firing(self) -> bool:
        return self.resolved_at is None
