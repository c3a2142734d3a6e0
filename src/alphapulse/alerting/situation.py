"""Situation: the last word on every account, status and task, and what of it is wrong."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from alphapulse.alerting.conditions import (
    Problem,
    account_problem,
    order_problem,
    sync_problem,
    task_problem,
)
from alphapulse.domain.account import Account, AccountState
from alphapulse.domain.events import (
    AccountChanged,
    AccountRemoved,
    Event,
    OrderAlarm,
    OrderAlarmed,
    SyncStatusChanged,
    TaskFaulted,
    TaskRestarted,
)
from alphapulse.domain.identifiers import AccountId, ExchangeId
from alphapulse.domain.order import Order
from alphapulse.domain.sync import SyncKind, SyncStatus


class Situation:
    """What the events have said so far."""

    EVENTS: tuple[type[Event], ...] = (
        SyncStatusChanged,
        AccountChanged,
        AccountRemoved,
        TaskFaulted,
        TaskRestarted,
        OrderAlarmed,
    )

    def __init__(self) -> None:
        self._accounts: dict[AccountId, Account] = {}
        self._statuses: dict[tuple[ExchangeId, AccountId | None, SyncKind], SyncStatus] = {}
        self._faults: dict[str, str] = {}
        self._alarms: dict[str, OrderAlarmed] = {}

    def load(
        self,
        accounts: Iterable[Account],
        statuses: Iterable[SyncStatus],
        quarantined: Iterable[Order],
    ) -> None:
        """Begin with what is stored. Of statuses only those heard of before: others may be left
        over from exchanges that are no longer in use."""
        self._accounts = {account.id: account for account in accounts}
        for status in statuses:
            if status.key in self._statuses:
                self._statuses[status.key] = status
        for order in quarantined:
            reason = order.status_reason or "it contradicts itself"
            self.note(OrderAlarmed(OrderAlarm.QUARANTINED, order.account_id, order.key, reason))

    def note(self, event: Event) -> None:
        match event:
            case SyncStatusChanged(status=status):
                self._statuses[status.key] = status
            case AccountChanged(account=account):
                self._accounts[account.id] = account
            case AccountRemoved(account_id=account_id):
                self._accounts.pop(account_id, None)
                self._statuses = {k: s for k, s in self._statuses.items() if k[1] != account_id}
                self._alarms = {k: a for k, a in self._alarms.items() if a.account_id != account_id}
            case TaskFaulted(task=task, error=error):
                self._faults[task] = error
            case TaskRestarted(task=task):
                self._faults.pop(task, None)
            case OrderAlarmed():
                key = order_problem(event).key
                if event.is_over:
                    self._alarms.pop(key, None)
                else:
                    self._alarms[key] = event

    def problems(self, *, stale_for_s: float) -> dict[str, Problem]:
        """Everything that is wrong now, by key."""
        return {problem.key: problem for problem in self._problems(stale_for_s)}

    def _problems(self, stale_for_s: float) -> Iterator[Problem]:
        for account in self._accounts.values():
            if (problem := account_problem(account)) is not None:
                yield problem
        for task, error in self._faults.items():
            yield task_problem(task, error)
        for alarm in self._alarms.values():
            yield order_problem(alarm)
        for statuses in self._by_subject().values():
            if (found := sync_problem(statuses, stale_for_s=stale_for_s)) is not None:
                yield found

    def _by_subject(self) -> dict[tuple[ExchangeId, AccountId | None], list[SyncStatus]]:
        """Statuses by exchange or account, without accounts whose refused key explains them."""
        groups = defaultdict(list)
        for (exchange, account_id, _), status in self._statuses.items():
            account = None if account_id is None else self._accounts.get(account_id)
            if account is None or account.state is AccountState.ACTIVE:
                groups[exchange, account_id].append(status)
        return groups
