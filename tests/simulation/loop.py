"""A loop without a clock or a choice of its own: a seed picks what runs next, time jumps.

Everything ready may run next, so each seed is another interleaving of the same tasks. There are no
sockets and no threads. A task and what it schedules belong to the run of the program that began
it; what belongs to a killed one never runs again.
"""

import asyncio
import heapq
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextvars import Context, ContextVar, copy_context
from itertools import count
from random import Random
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")

RESOLUTION_S = 1e-6
WAYS_OUT = 50


class Run:
    """One run of the program, from its start to its stop or its crash."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.tasks: list[SeededTask[Any]] = []

    def kill(self) -> None:
        """As a power cut: nothing of it runs any more, and nothing it undoes reaches anybody."""
        self.is_dead = True
        for task in self.tasks:
            task.bury()


RUN: ContextVar[Run | None] = ContextVar("run", default=None)


@coroutine
def others_turn(random: Random | None = None) -> Generator[None, None, None]:
    """As ``asyncio.sleep(0)``; by chance nothing at all, where there is ``random``."""
    if random is None or random.random() < 0.5:
        yield


class Violated(AssertionError):
    """A promise was broken."""


class _Buried(BaseException):
    """Thrown into what will never run again."""


class Call:
    """What the loop is to run; asyncio asks of a handle no more than this."""

    __slots__ = ("args", "context", "do", "is_canceled")

    def __init__(
        self, do: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> None:
        self.do = do
        self.args = args
        self.context = copy_context() if context is None else context
        self.is_canceled = False

    def cancel(self) -> None:
        self.is_canceled = True


class SeededTask(asyncio.Task[T]):
    """Hashed by its number: sets of tasks are walked alike in every process."""

    _numbers = count()

    def __init__(
        self,
        work: Coroutine[Any, Any, T],
        *,
        loop: "SeededLoop",
        name: str,
        context: Context,
    ) -> None:
        self._number = next(self._numbers)
        self._context_of_work = context
        super().__init__(work, loop=loop, name=name, context=context)

    def __hash__(self) -> int:
        return self._number

    def bury(self) -> None:
        """End it without running it on: what its blocks do on their way out stays in its run."""
        self._log_destroy_pending = False
        for _ in range(WAYS_OUT):
            if self.done():
                return
            try:
                # Again and again: a block may want to wait on its way out.
                self._context_of_work.run(self.get_coro().throw, _Buried())
            except BaseException:  # noqa: BLE001 - it is out
                return


class SeededLoop(asyncio.BaseEventLoop):
    """Runs in `run_until_done`; ``steps`` counts the callbacks that ran."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random
        self._now_s = 0.0
        self._able: list[Call] = []
        self._timers: list[tuple[float, int, Call]] = []
        self._order = count()
        self._tasks: list[SeededTask[Any]] = []
        self.steps = 0
        self.broken: list[str] = []
        """What ended a callback, or was said to the loop's exception handler, or by a referee."""
        self.interruptions: list[tuple[int, Callable[[], object]]] = []
        """What is done between two steps, and before which step: the nearest one last."""

    def time(self) -> float:
        return self._now_s

    def run_until_done(
        self, story: "asyncio.Task[object]", *, limit_s: float, limit_steps: int
    ) -> bool:
        """Step until it is done or something broke (True), or until one of the limits (False)."""
        asyncio._set_running_loop(self)
        try:
            while not story.done():
                if self.interruptions and self.steps >= self.interruptions[-1][0]:
                    self.interruptions.pop()[1]()
                if self.broken:
                    return True
                if self._now_s > limit_s or self.steps > limit_steps:
                    return False
                self._step()
            return True
        finally:
            asyncio._set_running_loop(None)

    def bury(self, runs: Iterable[Run]) -> None:
        """End of the world: nothing runs any more."""
        self.call_exception_handler = lambda context: None  # type: ignore[method-assign]
        asyncio._set_running_loop(self)
        for run in runs:
            run.kill()
        for task in self._tasks:
            task.bury()
        asyncio._set_running_loop(None)
        self._able.clear()
        self._timers.clear()
        self.close()

    def _step(self) -> None:
        able = self._able
        if not able:
            self._advance()
        i = int(self._random.random() * len(able)) if len(able) > 1 else 0
        call = able[i]
        able[i] = able[-1]
        able.pop()
        if call.is_canceled:
            return
        run = call.context.get(RUN)
        if run is not None and run.is_dead:
            return
        self.steps += 1
        try:
            call.context.run(call.do, *call.args)
        except Exception as error:  # noqa: BLE001 - as every loop does
            self.broken.append(repr(error))

    def _advance(self) -> None:
        timers, able = self._timers, self._able
        while not able:
            if not timers:
                raise Violated("nothing will ever happen again")
            when_s = timers[0][0]
            # A clock never stands still, or a wait of nothing would last for ever.
            self._now_s = max(self._now_s + RESOLUTION_S, when_s)
            when_s = self._now_s
            while timers and timers[0][0] <= when_s:
                call = heapq.heappop(timers)[2]
                if not call.is_canceled:
                    able.append(call)

    # What asyncio asks of a loop.

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Call:
        call = Call(callback, args, context)
        self._able.append(call)
        return call

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Call:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Call:
        call = Call(callback, args, context)
        heapq.heappush(self._timers, (when, next(self._order), call))
        return call

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        context = copy_context() if context is None else context
        task = SeededTask(coro, loop=self, name=str(name or "task"), context=context)
        run = RUN.get()
        (self._tasks if run is None else run.tasks).append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.is_closed():
            self.broken.append(repr(context.get("exception") or context.get("message")))

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> Any:
        raise Violated(f"{func} left the loop for a thread")

    def _process_events(self, event_list: object) -> None:
        """There are no sockets."""

    def _write_to_self(self) -> None:
        """There are no other threads."""
