"""Scheduler Trigger: runs one thing again and again - when it is due, and at once when asked."""

import asyncio
from collections.abc import Awaitable, Callable

from alphapulse.runtime import chance

# Intervals are shortened by up to this share, so that what began together drifts apart.
JITTER = 0.1


class Job:
    """One repeated piece of work; it never overlaps itself.

    ``work`` returns how many seconds to wait until its next run. Durations are the loop's own,
    which never jump.
    """

    def __init__(
        self, work: Callable[[], Awaitable[float]], *, first_within_s: float = 0.0
    ) -> None:
        self._work = work
        self._first_within_s = first_within_s
        self._is_wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []

    def trigger(self) -> None:
        """Run as soon as the run that may be under way has ended."""
        self._is_wanted.set()

    async def now(self) -> None:
        """Return when a run that began after this call has ended, well or badly."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(ended)
        self.trigger()
        await ended

    async def run(self) -> None:
        """Forever: wait, work. An error of ``work`` ends it; its supervisor starts it again."""
        try:
            await self._wait(self._first_within_s * chance.share())
            while True:
                wait_s = await self._run_once()
                await self._wait(wait_s * (1 - JITTER * chance.share()))
        finally:
            # Nobody waits for a run that will not come.
            self._release(self._waiting)

    async def _run_once(self) -> float:
        self._is_wanted.clear()
        waiting, self._waiting = self._waiting, []
        try:
            return await self._work()
        finally:
            self._release(waiting)

    async def _wait(self, seconds: float) -> None:
        timer = asyncio.get_running_loop().call_later(seconds, self.trigger)
        try:
            await self._is_wanted.wait()
        finally:
            timer.cancel()

    @staticmethod
    def _release(waiting: list["asyncio.Future[None]"]) -> None:
        for ended in waiting:
            if not ended.done():
                ended.set_result(None)
