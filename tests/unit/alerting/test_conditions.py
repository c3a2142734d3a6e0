"""What is wrong with the system itself."""

from typing import Any

import pytest

from alphapulse.alerting.conditions import account_problem, sync_problem
from alphapulse.alerting.situation import Situation
from alphapulse.domain.account import AccountState
from alphapulse.domain.events import (
    AccountChanged,
    AccountRemoved,
    SyncStatusChanged,
    TaskFaulted,
    TaskRestarted,
)
from alphapulse.domain.sync import SyncKind, SyncState, SyncStatus
from tests.builders import ACCOUNT, BINANCE, make_account


def status(state: SyncState, kind: SyncKind = SyncKind.BALANCES, **changes: Any) -> SyncStatus:
    return SyncStatus(
        **{"exchange": BINANCE, "account_id": ACCOUNT, "kind": kind, "state": state, **changes}
    )


def problem_of(*statuses: SyncStatus) -> Any:
    return sync_problem(statuses, stale_for_s=30)


@pytest.mark.parametrize("state", [SyncState.OK, SyncState.PENDING, SyncState.PAUSED])
def test_what_is_good_new_or_paused_is_no_problem(state: SyncState) -> None:
    assert problem_of(status(state)) is None


def test_what_waiting_mends_must_last_before_it_is_told() -> None:
    problem = problem_of(status(SyncState.STALE, error_code="exchange_unavailable"))
    assert (problem.for_s, problem.code) == (30, "exchange_unavailable")


def test_what_waiting_does_not_mend_is_told_at_once() -> None:
    problem = problem_of(
        status(SyncState.STALE), status(SyncState.ERROR, SyncKind.ORDERS, error_code="x")
    )
    assert (problem.for_s, problem.code) == (0, "x")


def test_a_first_read_that_keeps_failing_is_a_problem() -> None:
    assert problem_of(status(SyncState.PENDING, failures=1)) is not None


def test_all_kinds_of_one_account_are_one_problem() -> None:
    problem = problem_of(
        status(SyncState.STALE), status(SyncState.STALE, SyncKind.ORDERS), status(SyncState.OK)
    )
    assert problem.key == f"sync:{BINANCE}:{ACCOUNT}"
    assert "balances, orders" in problem.title


def test_only_a_disabled_account_is_a_problem() -> None:
    assert account_problem(make_account()) is None
    assert account_problem(make_account(state=AccountState.PAUSED)) is None
    problem = account_problem(make_account(state=AccountState.DISABLED, state_reason="revoked"))
    assert problem is not None
    assert (problem.code, problem.detail) == ("key_invalid", "revoked")


def keys(situation: Situation) -> set[str]:
    return set(situation.problems(stale_for_s=30))


def test_a_refused_key_explains_the_account_s_stale_kinds() -> None:
    situation = Situation()
    situation.note(SyncStatusChanged(status(SyncState.STALE)))
    assert keys(situation) == {f"sync:{BINANCE}:{ACCOUNT}"}
    situation.note(AccountChanged(make_account(state=AccountState.DISABLED)))
    assert keys(situation) == {f"account:{ACCOUNT}"}
    situation.note(AccountRemoved(ACCOUNT))
    assert keys(situation) == set()


def test_a_task_is_a_problem_until_it_runs_again() -> None:
    situation = Situation()
    situation.note(TaskFaulted("exchange binance/stream", "ValueError"))
    assert keys(situation) == {"task:exchange binance/stream"}
    situation.note(TaskRestarted("exchange binance/stream"))
    assert keys(situation) == set()


def test_statuses_left_over_from_an_exchange_no_longer_in_use_are_not_believed() -> None:
    situation = Situation()
    situation.load([make_account()], [status(SyncState.STALE)], [])
    assert keys(situation) == set()
