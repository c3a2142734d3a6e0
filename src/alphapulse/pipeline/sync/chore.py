"""Chore: repeated work that has no status of its own; its failures are logged and tried again."""

from collections.abc import Awaitable, Callable

from loguru import logger

from alphapulse.errors import AlphaPulseError
from alphapulse.pipeline.sync.scheduler import Job
from alphapulse.runtime.retry import Backoff


class Chore:
    """Does ``work`` every ``interval_s``; logs once when it breaks and once when it heals."""

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        *,
        interval_s: float,
        backoff: Backoff,
    ) -> None:
        self.name = name
        self.job = Job(self._run)
        self._work = work
        self._interval_s = interval_s
        self._backoff = backoff
        self._failures = 0

    async def _run(self) -> float:
        try:
            await self._work()
        except AlphaPulseError as error:
            if not self._failures:
                logger.bind(chore=self.name, error=str(error)).warning("will be tried again")
            self._failures += 1
            return max(self._backoff.delay_s(self._failures), error.retry_after_s or 0.0)
        if self._failures:
            logger.bind(chore=self.name).info("works again")
        self._failures = 0
        return self._interval_s
