"""Call: one coroutine on its way to another loop, and its answer on the way back."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from alphapulse.errors import WorkerStopped

T = TypeVar("T")


class Call(Generic[T]):
    """Made on the caller's loop, which alone touches ``answer``; run on the worker's loop.

    Each crossing is one ``call_soon_threadsafe``, which also carries the context variables.
    """

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._home = asyncio.get_running_loop()
        self._refusal: WorkerStopped | None = None
        self.answer: asyncio.Future[T] = self._home.create_future()
        self.task: asyncio.Task[T] | None = None

    def begin(self) -> None:
        """Start it; on the worker's loop."""
        if self._refusal is None:
            self.task = asyncio.create_task(self._run())
            self.task.add_done_callback(self._bring_home)

    def cancel(self) -> None:
        """The caller waits no longer; on the worker's loop."""
        if self.task is not None:
            self.task.cancel()

    def refuse(self, refusal: WorkerStopped) -> None:
        """The worker ends: cancel what runs and tell the caller why; on the worker's loop."""
        self._refusal = refusal
        if self.task is None:
            self._send_home(self._settle)
        else:
            self.task.cancel()

    async def _run(self) -> T:
        return await self._make()

    def _bring_home(self, task: "asyncio.Task[T]") -> None:
        if not task.cancelled():
            task.exception()  # seen, even if the caller has gone
        self._send_home(self._settle)

    def _send_home(self, callback: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the caller's loop is closed: nobody waits
            self._home.call_soon_threadsafe(callback)

    def _settle(self) -> None:
        if self.answer.done():
            return
        task, refusal = self.task, self._refusal
        if task is None or (task.cancelled() and refusal is not None):
            assert refusal is not None
            self.answer.set_exception(refusal)
        elif task.cancelled():
            self.answer.cancel()
        elif (error := task.exception()) is None:
            self.answer.set_result(task.result())
        elif isinstance(error, Exception):
            self.answer.set_exception(error)
        else:  # an exit ends the loop it was raised on, not ours
            stopped = WorkerStopped("the call ended its worker", cause=repr(error))
            self.answer.set_exception(stopped)
