"""Error Handler: restarts a failed task, backs off, and gives up loudly."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import TracebackType
from typing import Self

from loguru import logger

from alphapulse.domain.clock import Clock
from alphapulse.observability import error_tracking
from alphapulse.observability.health import ComponentHealth, Status, worst
from alphapulse.runtime.retry import Backoff

FAILURES_UNTIL_DOWN = 3  # fewer is an ordinary hiccup of a network
CANCEL_AGAIN_S = 1.0  # a task that swallowed its cancellation is told once more


class TaskState(StrEnum):
    RUNNING = "running"
    BACKING_OFF = "backing_off"
    FINISHED = "finished"
    FAULTED = "faulted"


@dataclass(frozen=True, slots=True)
class TaskHealth:
    """How one supervised task is.

    ``restarts`` counts since it was first run, ``failures`` in a row; ``error`` is the last one,
    gone once the task has held out. ``since`` is when ``state`` began.
    """

    name: str
    state: TaskState
    since: datetime
    restarts: int = 0
    failures: int = 0
    error: str | None = None

    @property
    def status(self) -> Status:
        if self.state is TaskState.FAULTED or self.failures >= FAILURES_UNTIL_DOWN:
            return "down"
        return "degraded" if self.failures else "ok"


def health_of(name: str, tasks: Iterable[TaskHealth]) -> ComponentHealth:
    """The worst of ``tasks``, with the causes."""
    ailing = [task for task in tasks if task.status != "ok"]
    return ComponentHealth(
        name,
        worst(task.status for task in ailing),
        "; ".join(f"{task.name} {task.state}: {task.error}" for task in ailing) or None,
        min((task.since for task in ailing), default=None),
    )


class Supervisor:
    """Keeps the tasks of one service alive; an async context manager that leaves none behind.

    A task that fails is run again after a growing pause. After ``give_up_after`` failures in a row
    it is FAULTED for good and health is down. ``steady_after_s`` without a failure forgives the
    earlier ones.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
        give_up_after: int = 20,  # with the default back-off: about seven minutes of trying
        steady_after_s: float = 60.0,
    ) -> None:
        self.name = name
        self._clock = clock
        self._backoff = backoff
        self._give_up_after = give_up_after
        self._steady_after_s = steady_after_s
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._tasks: dict[str, TaskHealth] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await _end(set(self._keepers.values()))
        self._keepers.clear()

    @property
    def tasks(self) -> tuple[TaskHealth, ...]:
        """Every task that was run and not canceled; safe to read from any thread."""
        return tuple(self._tasks.values())

    def health(self) -> ComponentHealth:
        """How the tasks are, taken together; safe to call from any thread."""
        return health_of(self.name, self.tasks)

    def run(self, name: str, make: Callable[[], Awaitable[None]]) -> None:
        """Keep what ``make`` makes running under ``name`` until it returns or is canceled."""
        keeper = self._keepers.get(name)
        assert keeper is None or keeper.done(), f"{self.name} already runs {name}"
        self._put(TaskHealth(name, TaskState.RUNNING, self._clock.now()))
        self._keepers[name] = asyncio.create_task(
            self._keep(name, make), name=f"{self.name}/{name}"
        )

    async def cancel(self, name: str) -> None:
        """End ``name`` and forget it; nothing happens when it is not there."""
        keeper = self._keepers.pop(name, None)
        if keeper is not None:
            await _end({keeper})
            self._tasks = {n: task for n, task in self._tasks.items() if n != name}

    async def _keep(self, name: str, make: Callable[[], Awaitable[None]]) -> None:
        with logger.contextualize(task=f"{self.name}/{name}"):
            while (failure := await self._outcome(name, make)) is not None:
                failures = self._record(name, failure)
                if failures >= self._give_up_after:
                    return
                await asyncio.sleep(self._backoff.delay_s(failures))
                task = self._tasks[name]
                self._put(replace(task, restarts=task.restarts + 1), TaskState.RUNNING)
            task = replace(self._tasks[name], failures=0, error=None)
            self._put(task, TaskState.FINISHED)

    async def _outcome(
        self, name: str, make: Callable[[], Awaitable[None]]
    ) -> BaseException | None:
        """Run it once; what it died of, or None when it returned."""
        steady = asyncio.get_running_loop().call_later(self._steady_after_s, self._forgive, name)
        try:
            await make()
        except asyncio.CancelledError as canceled:
            if _is_asked_to_end():
                raise
            return canceled  # canceled by itself: without this the task would be gone in silence
        except Exception as error:  # noqa: BLE001 - one of the four edges
            return error
        finally:
            steady.cancel()
        return None

    def _record(self, name: str, failure: BaseException) -> int:
        """Say it where people look, once per outage; return the failures in a row."""
        error_tracking.count(failure)
        task = self._tasks[name]
        failures = task.failures + 1
        gives_up = failures >= self._give_up_after
        self._put(
            replace(task, failures=failures, error=error_tracking.describe(failure)),
            TaskState.FAULTED if gives_up else TaskState.BACKING_OFF,
        )
        log = logger.opt(exception=failure).bind(failures=failures)
        if gives_up:
            log.error("task given up")
        elif failures == 1:
            log.warning("task failed; it is started again")
        return failures

    def _forgive(self, name: str) -> None:
        if self._tasks[name].failures:
            self._put(replace(self._tasks[name], failures=0, error=None))
            logger.bind(task=f"{self.name}/{name}").info("task runs steadily again")

    def _put(self, task: TaskHealth, state: TaskState | None = None) -> None:
        if state is not None:
            task = replace(task, state=state, since=self._clock.now())
        # A new dict each time: who reads on another thread holds an old one that stays as it is.
        self._tasks = {**self._tasks, task.name: task}


def _is_asked_to_end() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel them until none is left, also when this wait is itself told to end once more."""
    told: asyncio.CancelledError | None = None
    while tasks:
        for task in tasks:
            task.cancel()
        try:
            _, tasks = await asyncio.wait(tasks, timeout=CANCEL_AGAIN_S)
        except asyncio.CancelledError as again:
            told = again
            tasks = {task for task in tasks if not task.done()}
    if told is not None:
        raise told
