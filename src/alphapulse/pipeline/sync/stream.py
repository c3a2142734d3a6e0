"""Stream: keeps one connection open, and ends one that fell silent or is not believed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

from loguru import logger

from alphapulse.domain.clock import Clock
from alphapulse.errors import AlphaPulseError, StreamLost
from alphapulse.pipeline.sync.gate import Gate
from alphapulse.runtime.retry import Backoff

# A connection that lived this long was no failed try, whatever ended it.
LASTING_S = 30.0

# What waiting does not mend, a refused key say, is not tried every few seconds.
REFUSED_WAIT_S = 60.0


class Stream:
    """One stream of one exchange or account.

    ``watch`` runs the connection until it is lost; it calls `connected` when subscribed and
    `heard` for each message. ``silence_s`` is the longest time without a message, ``None`` where
    silence is normal. ``on_change`` hears each connect and each loss, ``on_refused`` the errors.
    """

    def __init__(
        self,
        name: str,
        watch: Callable[[], Awaitable[None]],
        *,
        gate: Gate,
        clock: Clock,
        backoff: Backoff,
        silence_s: float | None,
        on_change: Callable[[], None],
        on_lost: Callable[[AlphaPulseError], None],
    ) -> None:
        self.name = name
        self.is_connected = False
        self.connected_at: datetime | None = None
        self.losses = 0
        self.error: str | None = None
        self._watch = watch
        self._gate = gate
        self._clock = clock
        self._backoff = backoff
        self._silence_s = silence_s
        self._on_change = on_change
        self._on_lost = on_lost
        self._connected_at_s = 0.0
        self._heard_at_s = 0.0
        self._failures = 0
        self._limit: asyncio.Timeout | None = None
        self._is_restart = False
        self._doubt: str | None = None
        self._is_wanted = asyncio.Event()
        self._log = logger.bind(stream=name)

    @property
    def silent_s(self) -> float:
        """Seconds since the last message, or since the connection where none has come yet."""
        return self._clock.monotonic_s() - self._heard_at_s

    @property
    def has_heard(self) -> bool:
        """Whether this connection has brought a message."""
        return self._heard_at_s > self._connected_at_s

    @property
    def connected_s(self) -> float:
        return self._clock.monotonic_s() - self._connected_at_s if self.is_connected else 0.0

    def connected(self) -> None:
        """The subscription is confirmed."""
        self.is_connected = True
        self.connected_at = self._clock.now()
        self._connected_at_s = self._heard_at_s = self._clock.monotonic_s()
        if self.error is not None:
            self._log.bind(losses=self.losses).info("stream is back")
        self.error = None
        self._on_change()

    def heard(self) -> None:
        self._heard_at_s = self._clock.monotonic_s()

    def check_silence(self) -> None:
        """The watchdog's look."""
        if self.is_connected and self._silence_s is not None and self.silent_s > self._silence_s:
            self.doubt("the stream fell silent")

    def doubt(self, reason: str) -> None:
        """End a connection that cannot be believed; it is made anew."""
        self._doubt = reason
        self._end()

    def restart(self) -> None:
        """Connect anew at once: what is subscribed has changed. Not a failure."""
        self._is_restart = True
        self._is_wanted.set()
        self._end()

    async def run(self) -> None:
        """Forever: connect, watch, lose, wait, connect."""
        while True:
            await self._gate.until_quiet_ends()
            try:
                await self._connect()
            except AlphaPulseError as error:
                await self._lost(error)

    async def _connect(self) -> None:
        self._doubt, self._is_restart = None, False
        self._is_wanted.clear()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as self._limit:
                    await self._watch()
            if not self._is_restart:
                raise StreamLost(self._doubt or "the stream ended", stream=self.name)
        finally:
            self._limit = None
            self._failures = 0 if self.connected_s > LASTING_S else self._failures
            self.is_connected = False

    async def _lost(self, error: AlphaPulseError) -> None:
        if self.error is None:
            self._log.bind(error=str(error)).warning("stream lost")
        self.error = str(error)
        self.losses += 1
        self._failures += 1
        self._on_lost(error)
        self._on_change()
        wait_s = max(self._backoff.delay_s(self._failures), error.retry_after_s or 0.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s if error.retryable else REFUSED_WAIT_S):
                await self._is_wanted.wait()

    def _end(self) -> None:
        if self._limit is not None and not self._limit.expired():  # it may be on its way out
            self._limit.reschedule(asyncio.get_running_loop().time())
