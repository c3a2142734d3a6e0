"""Retry: trying again as data. Commands that move money are never given to it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from alphapulse.errors import AlphaPulseError
from alphapulse.runtime import chance

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after the nth failure in a row.

    ``jitter`` is the share of each delay that is left to chance, 0..1, so that what failed
    together does not come back together.
    """

    first_s: float = 0.5
    factor: float = 2.0
    max_s: float = 30.0
    jitter: float = 0.5

    def delay_s(self, failures: int) -> float:
        """Seconds to wait after ``failures`` in a row, 1 or more."""
        try:
            longest = min(self.first_s * self.factor ** (failures - 1), self.max_s)
        except OverflowError:  # a thousand failures in a row is too large a power, not an error
            longest = self.max_s
        return longest * (1 - self.jitter * chance.share())


@dataclass(frozen=True, slots=True)
class Retry:
    """What is worth another try, how many tries, and how long in all.

    No try begins later than ``total_s`` after the first one; how long one try may take is for the
    operation to limit.
    """

    on: type[Exception] | tuple[type[Exception], ...]
    attempts: int = 5
    total_s: float = 30.0
    first_s: float = 0.5
    factor: float = 2.0
    jitter: float = 0.5

    def wait_s(self, failures: int, error: Exception) -> float:
        """Seconds before the next try; never less than the other side asked for."""
        backoff = Backoff(self.first_s, self.factor, jitter=self.jitter)
        asked_s = error.retry_after_s if isinstance(error, AlphaPulseError) else None
        return max(backoff.delay_s(failures), asked_s or 0.0)


async def retry(policy: Retry, make: Callable[[], Awaitable[T]]) -> T:
    """Await what ``make`` makes until it succeeds; raise its last error when the policy ends."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + policy.total_s
    failures = 0
    while True:
        try:
            return await make()
        except policy.on as error:
            failures += 1
            wait_s = policy.wait_s(failures, error)
            if failures >= policy.attempts or loop.time() + wait_s > deadline:
                raise
        await asyncio.sleep(wait_s)
