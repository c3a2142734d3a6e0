"""Alert Conditions: what is wrong with the system itself. Pure: no clock, no I/O."""

from collections.abc import Iterable
from dataclasses import dataclass

from alphapulse.domain.account import Account, AccountState
from alphapulse.domain.alert import Severity
from alphapulse.domain.identifiers import AccountId, ExchangeId
from alphapulse.domain.sync import SyncState, SyncStatus
from alphapulse.errors import AuthenticationFailed


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a person should know if it lasts for ``for_s``."""

    key: str
    severity: Severity
    title: str
    detail: str | None
    fix: str | None
    code: str | None
    for_s: float
    exchange: ExchangeId | None = None
    account_id: AccountId | None = None


def sync_problem(statuses: Iterable[SyncStatus], *, stale_for_s: float) -> Problem | None:
    """What is wrong with the kinds of one account, or of one exchange's public side, if anything.

    What waiting mends is worth a word only when it lasts; an error that it does not mend is told
    at once.
    """
    ailing = [status for status in statuses if _is_ailing(status)]
    if not ailing:
        return None
    worst = next((s for s in ailing if s.state is SyncState.ERROR), ailing[0])
    is_error = worst.state is SyncState.ERROR
    kinds = ", ".join(status.kind for status in ailing)
    return Problem(
        key=f"sync:{worst.exchange}:{worst.account_id or 'public'}",
        severity=Severity.WARNING,
        title=f"{worst.exchange}: {kinds} cannot be read"
        if is_error
        else f"{worst.exchange}: {kinds} out of date",
        detail=worst.error_message,
        fix=worst.error_fix,
        code=worst.error_code,
        for_s=0.0 if is_error else stale_for_s,
        exchange=worst.exchange,
        account_id=worst.account_id,
    )


def account_problem(account: Account) -> Problem | None:
    """A key that the exchange refuses is told at once."""
    if account.state is not AccountState.DISABLED:
        return None
    return Problem(
        key=f"account:{account.id}",
        severity=Severity.CRITICAL,
        title=f"{account.label}: {account.exchange} refuses the key",
        detail=account.state_reason,
        fix=AuthenticationFailed.fix,
        code=AuthenticationFailed.code,
        for_s=0.0,
        exchange=account.exchange,
        account_id=account.id,
    )


def task_problem(task: str, error: str) -> Problem:
    """A task that is no longer restarted."""
    return Problem(
        key=f"task:{task}",
        severity=Severity.CRITICAL,
        title=f"{task} has stopped",
        detail=error,
        fix="Restart AlphaPulse and report the error.",
        code=None,
        for_s=0.0,
    )


def _is_ailing(status: SyncStatus) -> bool:
    if status.state is SyncState.PENDING:
        return status.failures > 0
    return status.state in {SyncState.STALE, SyncState.ERROR}
