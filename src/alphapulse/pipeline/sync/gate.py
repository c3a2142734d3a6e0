"""Gate: one exchange's way in for all sync tasks - its circuit breaker and its bulkhead."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.clock import Clock
from alphapulse.errors import AlphaPulseError, RateLimited
from alphapulse.pipeline.sync.fallback import classify
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.runtime.retry import Backoff

BUDGET_WAIT_S = 1.0
"""Between two looks whether there is a request to spare."""


class CircuitState(StrEnum):
    CLOSED = "closed"
    """Requests flow."""
    SILENT = "silent"
    """The venue asked us to wait; nothing is sent."""
    OPEN = "open"
    """The venue does not answer; single probes look whether it does again."""


class Gate:
    """Lets requests through: few at once, none while the venue asked for silence, and only single
    probes while it does not answer.

    After an outage the waiting tasks come through the same few slots, so a recovered venue meets
    no herd.
    """

    def __init__(self, settings: SyncSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._backoff = Backoff(max_s=settings.probe_interval_max_s)
        self._slots = asyncio.Semaphore(settings.requests_at_once)
        self._probe = asyncio.Lock()
        self._failures = 0
        self._silent_until_s = 0.0
        self._probe_at_s = 0.0

    @property
    def state(self) -> CircuitState:
        if self._silent_until_s > self._clock.monotonic_s():
            return CircuitState.SILENT
        return CircuitState.OPEN if self._is_tripped else CircuitState.CLOSED

    @property
    def opens_in_s(self) -> float:
        """Seconds until the next request may be sent; 0 when it may now."""
        opens_at_s = self._silent_until_s
        if self._is_tripped:
            opens_at_s = max(opens_at_s, self._probe_at_s)
        return max(0.0, opens_at_s - self._clock.monotonic_s())

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Around one read of the venue: waits for its turn, learns from how it ends."""
        async with self._slots, self._turn():
            try:
                yield
            except AlphaPulseError as error:
                self.learn(error)
                raise
            self._failures = 0

    @asynccontextmanager
    async def spare_request(self, budget_used: Callable[[], Decimal]) -> AsyncIterator[None]:
        """As `request`, for what can wait while others use up the rate budget.

        Args:
            budget_used: the share of it that is in use now.
        """
        while float(budget_used()) >= self._settings.history_budget_ratio:  # noqa: ASYNC110
            await asyncio.sleep(BUDGET_WAIT_S)
        async with self.request():
            yield

    def silence(self, seconds: float) -> None:
        """Let nothing through for so long; a shorter wish never shortens a longer one."""
        self._silent_until_s = max(self._silent_until_s, self._clock.monotonic_s() + seconds)

    async def until_quiet_ends(self) -> None:
        """Return when the venue no longer asks for silence; streams need no more than that."""
        await self._wait(lambda: self._silent_until_s - self._clock.monotonic_s())

    def learn(self, error: AlphaPulseError) -> None:
        """Take what a request met into account, also one that did not come through here."""
        if isinstance(error, RateLimited):
            self.silence(error.retry_after_s or self._settings.rate_limit_wait_s)
        elif classify(error).blames_venue:
            self._failures += 1
            probes = max(1, self._failures - self._settings.failures_until_open + 1)
            self._probe_at_s = self._clock.monotonic_s() + self._backoff.delay_s(probes)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._is_tripped:
            async with self._probe:
                await self._wait(lambda: self.opens_in_s)
                if self._is_tripped:
                    yield
                    return
        await self._wait(lambda: self.opens_in_s)
        yield

    @staticmethod
    async def _wait(left_s: Callable[[], float]) -> None:
        # Another task may prolong the wait meanwhile; time itself sets no event.
        while (wait_s := left_s()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(wait_s)

    @property
    def _is_tripped(self) -> bool:
        return self._failures >= self._settings.failures_until_open
