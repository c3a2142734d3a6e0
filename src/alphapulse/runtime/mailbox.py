"""Mailbox: the bounded, conflating hand-over of events to one loop.

The Thread-safe Alternative to touching another loop: any thread puts, one loop takes. What is
taken is always a subsequence of what was put: a newer event of the same ``latest_only_key`` takes
the place in the line of the newer one, so nothing is ever heard before what happened earlier.
"""

import asyncio
import threading
import time
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from loguru import logger

from alphapulse.domain.events import Event
from alphapulse.observability import metrics

_Reader: TypeAlias = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Merge(StrEnum):
    """What happens to a waiting event when a newer one of the same key comes."""

    REPLACE = "replace"
    """For screens: only the newest counts."""
    FOLD = "fold"
    """For rules and candles: the newest counts, and the extremes of the ones it stands for."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that waited, oldest first.

    ``overflowed``: state events were dropped before these; the reader drops what it knows, loads
    it again, and then goes on with ``events``.
    """

    events: list[Event]
    overflowed: bool


class Mailbox:
    """Events on their way to the one loop that takes them.

    ``name`` labels its metrics, so mailboxes are few and named for their readers.

    When it is full the state events in it are dropped, because a reload gives them back, and the
    reader is told once. Latest-only events stay, because nothing gives their extremes back; only
    when they alone fill the box do they go as well.
    """

    def __init__(self, name: str, capacity_events: int, *, merge: Merge = Merge.REPLACE) -> None:
        assert capacity_events > 0
        self.name = name
        self.capacity_events = capacity_events
        self.overflows = 0
        """Episodes since the start; one lasts from the first dropped event to the next take."""
        self._folds = merge is Merge.FOLD
        self._lock = threading.Lock()  # held for a few instructions, never across an await
        self._waiting: dict[Hashable, Event] = {}
        self._waiting_since_s: float | None = None
        self._has_overflowed = False
        self._reader: _Reader | None = None
        metrics.MAILBOX_DEPTH.labels(name).set_function(lambda: self.depth)

    @property
    def depth(self) -> int:
        """Events waiting now."""
        return len(self._waiting)

    @property
    def oldest_age_s(self) -> float:
        """Seconds since something first waited for the next take; 0 when nothing does."""
        since_s = self._waiting_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def put(self, event: Event) -> None:
        """Leave ``event`` for the reader, from any thread; never waits for it, never raises.

        The reader's loop is woken only when the reader sleeps, so a burst costs one wake-up.
        """
        key = event.latest_only_key
        # One frame, and no `with`: each would cost a tenth of the whole, once a market message.
        self._lock.acquire()
        try:
            waiting = self._waiting
            if self._waiting_since_s is None:
                self._waiting_since_s = time.monotonic()
            if key is not None and (older := waiting.pop(key, None)) is not None:
                event = event.folding(older) if self._folds else event.replacing(older)
            elif len(waiting) >= self.capacity_events:
                self._overflow()
            if key is not None:
                waiting[key] = event
            elif not self._has_overflowed:  # else the reload that is due contains it
                waiting[object()] = event
            reader, self._reader = self._reader, None
        finally:
            self._lock.release()
        if reader is not None:
            loop, woken = reader
            # A loop closed this very moment leaves the event to whoever reads next.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_wake, woken)

    async def take(self) -> Batch:
        """Wait for at least one event or an overflow, and take all there is.

        Other tasks get their turn even when events already wait. A canceled take takes nothing.
        """
        if self._waiting_since_s is None:
            await self._sleep_until_put()
        else:
            await asyncio.sleep(0)
        with self._lock:
            taken, self._waiting = self._waiting, {}
            has_overflowed, self._has_overflowed = self._has_overflowed, False
            self._waiting_since_s = None
        if has_overflowed:
            metrics.MAILBOX_OVERFLOWS.labels(self.name).inc()
            logger.bind(mailbox=self.name, capacity_events=self.capacity_events).warning(
                "mailbox overflowed; its reader loads its state again"
            )
        return Batch(list(taken.values()), has_overflowed)

    def _overflow(self) -> None:
        self.overflows += not self._has_overflowed
        self._has_overflowed = True
        merging = {k: e for k, e in self._waiting.items() if e.latest_only_key is not None}
        self._waiting.clear()
        if len(merging) < self.capacity_events:
            self._waiting.update(merging)

    async def _sleep_until_put(self) -> None:
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if self._waiting_since_s is not None:
                return
            assert self._reader is None, f"mailbox {self.name} has two readers"
            self._reader = (loop, woken)
        try:
            await woken
        finally:
            with self._lock:
                self._reader = None


def _wake(woken: "asyncio.Future[None]") -> None:
    if not woken.done():
        woken.set_result(None)
