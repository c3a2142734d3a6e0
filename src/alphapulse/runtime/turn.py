"""Turn: one at a time across loops and threads, first come first served, blocking no loop."""

import asyncio
import threading
from collections import deque
from types import TracebackType
from typing import TypeAlias

_Ticket: TypeAlias = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Turn:
    """``async with turn:`` holds it; whoever waits, waits on its own loop.

    For what the whole process may do only once at a time, like writing to a SQLite file. The turn
    is handed straight to who has waited longest, so nobody starves.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held for a few instructions, never across an await
        self._is_taken = False
        self._waiting: deque[_Ticket] = deque()

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            ticket = (loop, loop.create_future())
            self._waiting.append(ticket)
        try:
            await ticket[1]
        except asyncio.CancelledError:
            self._give_back(ticket)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pass_on()

    def _give_back(self, ticket: _Ticket) -> None:
        with self._lock:
            still_waiting = ticket in self._waiting
            if still_waiting:
                self._waiting.remove(ticket)
        if not still_waiting:  # the turn was on its way to us already
            self._pass_on()

    def _pass_on(self) -> None:
        with self._lock:
            while self._waiting:
                loop, granted = self._waiting.popleft()
                try:
                    loop.call_soon_threadsafe(_grant, granted)
                except RuntimeError:  # that loop is closed, and with it whoever waited
                    continue
                return
            self._is_taken = False


def _grant(granted: "asyncio.Future[None]") -> None:
    if not granted.done():
        granted.set_result(None)
