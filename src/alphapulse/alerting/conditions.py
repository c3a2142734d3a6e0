"""Alert Conditions: what is wrong with the system itself. Pure: no clock, no I/O."""

from collections.abc import Iterable
from dataclasses import dataclass

from alphapulse.domain.account import Account, AccountState
from alphapulse.domain.alert import Severity
from alphapulse.domain.events import OrderAlarm, OrderAlarmed
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


_ALARMS: dict[OrderAlarm, tuple[Severity, str, str]] = {
    OrderAlarm.LATE_FILL: (
        Severity.WARNING,
        "an order was filled after it had ended",
        "Its position moved: check that you still want it.",
    ),
    OrderAlarm.QUARANTINED: (
        Severity.CRITICAL,
        "an order contradicts itself",
        "Look at it at the exchange; nothing of it is believed here until you did.",
    ),
    OrderAlarm.LOST_INTENT: (
        Severity.CRITICAL,
        "the exchange has an order of ours that has no record here",
        "Was the database restored from a backup? Check the order, and report this otherwise.",
    ),
    OrderAlarm.PLACED_AFTER_ALL: (
        Severity.CRITICAL,
        "an order arrived that had been proved absent",
        "It is tracked again: check that you did not place it a second time.",
    ),
    OrderAlarm.UNRESOLVED: (
        Severity.CRITICAL,
        "the fate of an order is unknown",
        "It is looked for until the exchange answers; do not place it again.",
    ),
    OrderAlarm.DRIFT: (
        Severity.CRITICAL,
        "the exchange shows something that no fill explains",
        "A deposit or withdrawal does this: accept the difference, or find what is missing.",
    ),
}


def order_problem(event: OrderAlarmed) -> Problem:
    """What about an order, or the books of an account, a person must know at once."""
    severity, title, fix = _ALARMS[event.alarm]
    return Problem(
        key=f"order:{event.alarm}:{event.account_id}:{event.subject}",
        severity=severity,
        title=f"{event.subject}: {title}",
        detail=event.detail,
        fix=fix,
        code=event.alarm,
        for_s=0.0,
        account_id=event.account_id,
    )


def _is_ailing(status: SyncStatus) -> bool:
    if status.state is SyncState.PENDING:
        return status.failures > 0
    return status.state in {SyncState.STALE, SyncState.ERROR}
