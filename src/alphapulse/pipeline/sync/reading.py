"""Reading: one kind of data read again and again, through error, fallback and status.

The document's flow in one class: Operation -> Try-Except -> Error Classification -> Fallback
Strategy -> Status Update.
"""

from collections.abc import Awaitable, Callable

from alphapulse.domain.clock import Clock
from alphapulse.errors import AlphaPulseError
from alphapulse.observability import metrics
from alphapulse.pipeline.sync.fallback import Reaction, Verdict, classify
from alphapulse.pipeline.sync.gate import Gate
from alphapulse.pipeline.sync.scheduler import Job
from alphapulse.pipeline.sync.status import Track
from alphapulse.runtime.retry import Backoff

# What waiting does not mend is asked again only this rarely, in case a person mended it.
GIVEN_UP_INTERVAL_S = 60.0

Mend = Callable[[Verdict, AlphaPulseError], Awaitable[None]]
"""Does what the verdict asks beyond waiting: measure a clock, confirm a key. Never raises."""


class Reading:
    """``read`` asks the venue once and stores the answer; ``interval_s`` says when again.

    ``is_due`` is asked first where there may be nothing to read.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[None]],
        *,
        interval_s: Callable[[], float],
        track: Track,
        gate: Gate,
        mend: Mend,
        backoff: Backoff,
        late_margin_s: float,
        clock: Clock,
        first_within_s: float = 0.0,
        is_due: Callable[[], bool] | None = None,
    ) -> None:
        self._read = read
        self._interval_s = interval_s
        self._gate = gate
        self._mend = mend
        self._backoff = backoff
        self._late_margin_s = late_margin_s
        self._clock = clock
        self._is_due = is_due
        self._due_s = clock.monotonic_s()
        self._failures = 0
        self.track = track
        self.job = Job(self._work, first_within_s=first_within_s)

    @property
    def is_failing(self) -> bool:
        return self._failures > 0

    def check_age(self) -> None:
        """The watchdog's look: a request that hangs makes the value stale as an error does."""
        if self._clock.monotonic_s() > self._due_s + self._late_margin_s:
            self.track.late()

    async def _work(self) -> float:
        if self._is_due is not None and not self._is_due():
            return self._rest_s()
        self._due_s = min(self._due_s, self._clock.monotonic_s())
        try:
            async with self._gate.request():
                await self._read()
        except AlphaPulseError as error:
            return await self._fall_back(error)
        wait_s = self._next_in_s()
        self._failures = 0
        self.track.succeeded(next_in_s=wait_s)
        metrics.SYNC_RUNS.labels(result="ok").inc()
        return wait_s

    def _rest_s(self) -> float:
        """Nothing is asked, so nothing is claimed; but a silence that another reading was asked
        for, and that all were told of, is over when it is over."""
        if self.track.is_limited and not self.is_failing:
            if self._gate.opens_in_s > 0:
                return self._gate.opens_in_s
            self.track.released()
        return self._next_in_s()

    def _next_in_s(self) -> float:
        wait_s = self._interval_s()
        self._due_s = self._clock.monotonic_s() + wait_s
        return wait_s

    async def _fall_back(self, error: AlphaPulseError) -> float:
        verdict = classify(error)
        self._failures += 1
        wait_s = max(self._wait_s(verdict), self._gate.opens_in_s)
        self.track.failed(error, verdict.state, next_in_s=wait_s)
        metrics.SYNC_RUNS.labels(result=error.code).inc()
        await self._mend(verdict, error)
        return wait_s

    def _wait_s(self, verdict: Verdict) -> float:
        if verdict.reaction is Reaction.WAIT:
            return self._gate.opens_in_s
        if verdict.reaction is Reaction.GIVE_UP:
            return max(self._interval_s(), GIVEN_UP_INTERVAL_S)
        return self._backoff.delay_s(self._failures)
