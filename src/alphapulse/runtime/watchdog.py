"""Watchdog: notices from outside when an event loop stands still, and says where."""

import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from loguru import logger

from alphapulse.runtime.heartbeat import Heartbeat

BLOCKED_S = 0.25  # a user notices; for the log, as the first import of CCXT takes longer
STUCK_S = 5.0  # it will hardly come back; health is down from here on
LOOK_EVERY_S = 0.05
STACK_FRAMES = 12  # enough to pass from the loop's own frames into ours


def stack_of(thread_id: int | None) -> str:
    """Where that thread is right now, innermost call last; empty when it has ended."""
    frame = sys._current_frames().get(thread_id) if thread_id is not None else None
    return "".join(traceback.format_stack(frame)[-STACK_FRAMES:]) if frame else ""


@contextmanager
def watching(heartbeats: Sequence[Heartbeat]) -> Iterator[None]:
    """Watch these loops from a thread of its own until the block ends.

    A loop that stands still for longer than `BLOCKED_S` is logged once with the stack of its
    thread, once more as an error after `STUCK_S`, and once when it moves again. A call into C that
    keeps the interpreter lock stops this thread too, as does a process that is stopped as a whole:
    that shows in this thread's own lateness, because the loops may beat again before it looks.
    """
    done = threading.Event()
    watches = [_Watch(heartbeat) for heartbeat in heartbeats]

    def look() -> None:
        looked_s = time.monotonic()
        while not done.wait(LOOK_EVERY_S):
            before_s, looked_s = looked_s, time.monotonic()
            if looked_s - before_s > BLOCKED_S + LOOK_EVERY_S:
                still_s = round(looked_s - before_s, 3)
                logger.bind(stood_still_s=still_s).info("process stood still")
            for watch in watches:
                watch.look()

    thread = threading.Thread(target=look, name="alphapulse-watchdog")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class _Watch:
    """One loop under watch, and what was already said about it."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat
        self._blocked_s = 0.0

    def look(self) -> None:
        before_s, now_s = self._blocked_s, self._heartbeat.overdue_s
        self._blocked_s = now_s if now_s >= BLOCKED_S else 0.0
        log = logger.bind(loop=self._heartbeat.name, blocked_s=round(max(now_s, before_s), 3))
        if before_s < BLOCKED_S <= now_s:
            stack = stack_of(self._heartbeat.thread_id)
            log.bind(stack=stack).info("event loop blocked")
        elif before_s < STUCK_S <= now_s:
            stack = stack_of(self._heartbeat.thread_id)
            log.bind(stack=stack).error("event loop stuck")
        elif before_s and not self._blocked_s:
            log.info("event loop moves again")
