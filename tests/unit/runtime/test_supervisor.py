"""Supervisor: a failed task comes back, and a hopeless one is given up loudly."""

import asyncio

import pytest

from alphapulse.errors import ExchangeUnavailable
from alphapulse.runtime.retry import Backoff
from alphapulse.runtime.supervisor import Supervisor, TaskState
from tests.eventually import eventually
from tests.fixtures.clock import HandClock

AT_ONCE = Backoff(first_s=0.001, max_s=0.001)


def supervisor(clock: HandClock, **options: float) -> Supervisor:
    return Supervisor(
        "sync",
        clock,
        backoff=AT_ONCE,
        give_up_after=int(options.get("give_up_after", 20)),
        steady_after_s=options.get("steady_after_s", 60.0),
    )


async def forever() -> None:
    await asyncio.Event().wait()


class FailsFirst:
    """Fails a number of times, then runs for ever."""

    def __init__(self, times: int) -> None:
        self.runs = 0
        self._times = times

    async def __call__(self) -> None:
        self.runs += 1
        if self.runs <= self._times:
            raise ExchangeUnavailable("gone", attempt=self.runs)
        await forever()


async def test_a_failed_task_is_run_again_and_says_so_in_health(clock: HandClock) -> None:
    task = FailsFirst(2)
    async with supervisor(clock) as tasks:
        tasks.run("balances", task)
        await eventually(lambda: task.runs == 3)

        (health,) = tasks.tasks
        assert health.state is TaskState.RUNNING
        assert (health.restarts, health.failures) == (2, 2)
        assert health.error == "ExchangeUnavailable: gone (attempt=2)"
        assert tasks.health().status == "degraded"


async def test_three_failures_in_a_row_turn_health_red(clock: HandClock) -> None:
    task = FailsFirst(3)
    async with supervisor(clock) as tasks:
        tasks.run("balances", task)
        await eventually(lambda: task.runs == 4)
        assert tasks.health().status == "down"
        assert "balances" in (tasks.health().detail or "")


async def test_a_task_that_holds_out_is_forgiven(clock: HandClock) -> None:
    task = FailsFirst(3)
    async with supervisor(clock, steady_after_s=0.05) as tasks:
        tasks.run("balances", task)
        await eventually(lambda: task.runs == 4)
        await eventually(lambda: tasks.health().status == "ok")

        (health,) = tasks.tasks
        assert (health.restarts, health.failures, health.error) == (3, 0, None)


async def test_a_task_that_always_fails_is_given_up_and_health_stays_red(clock: HandClock) -> None:
    task = FailsFirst(1000)
    async with supervisor(clock, give_up_after=4) as tasks:
        tasks.run("balances", task)
        await eventually(lambda: tasks.tasks[0].state is TaskState.FAULTED)
        assert task.runs == 4
        assert tasks.health().status == "down"
        assert tasks.health().since == clock.now()


async def test_a_task_that_cancels_itself_is_not_gone_in_silence(clock: HandClock) -> None:
    runs = 0

    async def cancels_itself() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise asyncio.CancelledError
        await forever()

    async with supervisor(clock) as tasks:
        tasks.run("balances", cancels_itself)
        await eventually(lambda: runs == 2)
        assert tasks.tasks[0].error == "CancelledError"


async def test_a_task_that_returns_is_finished_and_may_be_run_again(clock: HandClock) -> None:
    async def once() -> None:
        await asyncio.sleep(0)

    async with supervisor(clock) as tasks:
        for _ in range(2):
            tasks.run("history", once)
            await eventually(lambda: tasks.tasks[0].state is TaskState.FINISHED)
        assert tasks.health().status == "ok"


async def test_one_name_runs_once(clock: HandClock) -> None:
    async with supervisor(clock) as tasks:
        tasks.run("balances", forever)
        with pytest.raises(AssertionError):
            tasks.run("balances", forever)


async def test_cancel_ends_and_forgets_one_task_and_leaves_the_others(clock: HandClock) -> None:
    ended: list[str] = []

    def task(name: str) -> None:
        async def run() -> None:
            try:
                await forever()
            finally:
                ended.append(name)

        tasks.run(name, run)

    async with supervisor(clock) as tasks:
        task("a")
        task("b")
        await asyncio.sleep(0)
        await tasks.cancel("a")
        await tasks.cancel("never there")

        assert ended == ["a"]
        assert [health.name for health in tasks.tasks] == ["b"]


async def test_cancel_also_ends_a_task_that_waits_for_its_next_try(clock: HandClock) -> None:
    task = FailsFirst(1000)
    async with Supervisor("sync", clock, backoff=Backoff(first_s=60)) as tasks:
        tasks.run("balances", task)
        await eventually(lambda: tasks.tasks[0].state is TaskState.BACKING_OFF)
        await tasks.cancel("balances")
        assert tasks.tasks == ()


async def test_leaving_ends_every_task_even_one_that_swallows_its_first_cancellation(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alphapulse.runtime.supervisor.CANCEL_AGAIN_S", 0.01)

    async def stubborn() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            await forever()

    async with supervisor(clock) as tasks:
        tasks.run("stubborn", stubborn)
        await asyncio.sleep(0)


async def test_leaving_that_is_canceled_meanwhile_still_leaves_no_task_behind(
    clock: HandClock,
) -> None:
    closing, ended = asyncio.Event(), asyncio.Event()

    async def closes_slowly() -> None:
        try:
            await forever()
        finally:
            closing.set()
            try:
                await forever()  # a goodbye that nobody answers, until told again
            finally:
                await asyncio.sleep(0.01)
                ended.set()

    async def serve() -> None:
        async with supervisor(clock) as tasks:
            tasks.run("slow", closes_slowly)
            await asyncio.sleep(0)

    serving = asyncio.create_task(serve())
    await closing.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert ended.is_set()


async def test_a_snapshot_does_not_change_afterwards(clock: HandClock) -> None:
    async with supervisor(clock) as tasks:
        tasks.run("a", forever)
        snapshot = tasks.tasks
        tasks.run("b", forever)
        assert [health.name for health in snapshot] == ["a"]
