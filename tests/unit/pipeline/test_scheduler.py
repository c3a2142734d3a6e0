"""Jobs: repeated work that never overlaps itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from alphapulse.pipeline.sync.scheduler import Job
from tests.eventually import LIMIT_S, eventually


@asynccontextmanager
async def running(job: Job) -> AsyncIterator[None]:
    task = asyncio.create_task(job.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Work:
    """Counts runs; tells when two overlap."""

    def __init__(self, wait_s: float = 60.0) -> None:
        self.wait_s = wait_s
        self.begun = 0
        self.ended = 0
        self.step: Callable[[], Awaitable[None]] = self._nothing

    async def _nothing(self) -> None:
        await asyncio.sleep(0)

    async def __call__(self) -> float:
        assert self.begun == self.ended, "overlaps itself"
        self.begun += 1
        await self.step()
        self.ended += 1
        return self.wait_s


async def test_runs_again_and_again() -> None:
    work = Work(wait_s=0.01)
    async with running(Job(work)):
        await eventually(lambda: work.ended >= 3)


async def test_runs_at_once_when_asked_however_long_the_interval() -> None:
    work = Work(wait_s=3600)
    job = Job(work)
    async with running(job):
        await eventually(lambda: work.ended == 1)
        job.trigger()
        await eventually(lambda: work.ended == 2)


async def test_now_waits_for_a_run_that_began_after_it_was_asked() -> None:
    work, may_end = Work(), asyncio.Event()
    work.step = may_end.wait  # type: ignore[assignment]
    job = Job(work)
    async with running(job):
        await eventually(lambda: work.begun == 1)
        asked = asyncio.create_task(job.now())
        await asyncio.sleep(0.01)
        may_end.set()
        await asked
        assert work.ended == 2


async def test_nobody_waits_for_a_job_that_was_ended() -> None:
    work = Work()
    work.step = asyncio.Event().wait  # type: ignore[assignment]
    job = Job(work)
    async with running(job):
        await eventually(lambda: work.begun == 1)
        asked = asyncio.create_task(job.now())
        await asyncio.sleep(0)
    await asyncio.wait_for(asked, LIMIT_S)


async def test_an_error_ends_it_for_its_supervisor_to_see() -> None:
    async def broken() -> float:
        raise ValueError("a bug")

    job = Job(broken)
    task = asyncio.create_task(job.run())
    with pytest.raises(ValueError, match="a bug"):
        await task
