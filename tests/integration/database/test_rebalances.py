"""Plans, runs and target sets, on both engines."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alphapulse.database.connection import Database
from alphapulse.domain.identifiers import UserId
from alphapulse.domain.rebalance.run import RunStatus
from alphapulse.errors import Conflict, NotFound
from tests.builders import ACCOUNT, NOW, USER
from tests.integration.database.rebalances import LATER, run_record, stored_plan, target_set


@pytest.fixture
async def store(account_database: Database) -> Database:
    """With a plan and its run."""
    async with account_database.begin() as tx:
        await tx.rebalances.add_plan(stored_plan())
        await tx.rebalances.save_run(run_record())
    return account_database


async def test_a_plan_and_its_run_come_back_exactly_as_they_were(store: Database) -> None:
    async with store.read() as tx:
        assert await tx.rebalances.load_plan("plan-1") == stored_plan()
        assert await tx.rebalances.load_run("run-1") == run_record()
        assert await tx.rebalances.run_of("plan-1") == run_record()
        assert await tx.rebalances.run_of("plan-2") is None
        with pytest.raises(NotFound):
            await tx.rebalances.load_plan("plan-2")
        with pytest.raises(NotFound):
            await tx.rebalances.load_run("run-2")


async def test_a_plan_has_one_run(store: Database) -> None:
    with pytest.raises(Conflict):
        async with store.begin() as tx:
            await tx.rebalances.save_run(run_record("run-2"))


async def test_a_run_is_in_progress_in_its_accounts_until_it_ends(store: Database) -> None:
    record = run_record()
    async with store.begin() as tx:
        assert await tx.rebalances.in_progress([ACCOUNT]) == record
        assert await tx.rebalances.in_progress([]) is None
        done = replace(
            record, run=replace(record.run, status=RunStatus.DONE), updated_at=LATER, ended_at=LATER
        )
        await tx.rebalances.save_run(done)
        assert await tx.rebalances.in_progress([ACCOUNT]) is None
        assert await tx.rebalances.unfinished() == ()
        assert await tx.rebalances.newest_runs(USER, 10) == (done,)
        assert await tx.rebalances.newest_runs(UserId("another"), 10) == ()


async def test_a_plan_is_forgotten_after_its_time_unless_it_was_executed(store: Database) -> None:
    async with store.begin() as tx:
        await tx.rebalances.add_plan(stored_plan("plan-2"))
        assert await tx.rebalances.forget_plans(LATER) == 0
        assert await tx.rebalances.forget_plans(LATER + timedelta(seconds=1)) == 1
        assert await tx.rebalances.load_plan("plan-1")


async def test_target_sets_have_names_of_their_own(account_database: Database) -> None:
    async with account_database.begin() as tx:
        await tx.target_sets.add(target_set())
        assert await tx.target_sets.load("set-1") == target_set()
        proposed = replace(target_set(), version=2, proposed_plan_id="plan-1", proposed_at=NOW)
        await tx.target_sets.save(proposed)
        assert await tx.target_sets.list(USER) == (proposed,)
        assert await tx.target_sets.list(UserId("another")) == ()
    with pytest.raises(Conflict):
        async with account_database.begin() as tx:
            await tx.target_sets.add(target_set("set-2"))
    async with account_database.begin() as tx:
        await tx.target_sets.remove("set-1")
        with pytest.raises(NotFound):
            await tx.target_sets.load("set-1")
