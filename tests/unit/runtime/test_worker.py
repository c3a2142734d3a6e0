"""Worker: Background Thread, Thread Event Loop, Loop Detection and Thread-safe Alternative."""

import asyncio
import contextvars
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest

from alphapulse.errors import NotFound, WorkerStopped
from alphapulse.runtime.worker import SWITCH_INTERVAL_S, Worker, WorkerState
from tests.eventually import LIMIT_S, eventually

pytestmark = pytest.mark.usefixtures("loop_debug")

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="none")


@asynccontextmanager
async def idle() -> AsyncIterator[None]:
    """A service that does nothing but be up."""
    yield


@asynccontextmanager
async def working(
    service: Callable[[], AbstractAsyncContextManager[None]] = idle,
) -> AsyncIterator[Worker]:
    worker = Worker("test", service, start_timeout_s=LIMIT_S, stop_timeout_s=LIMIT_S)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


def state_of(worker: Worker) -> WorkerState:
    return worker.state


async def thread_name() -> str:
    return threading.current_thread().name


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_started_worker_runs_its_service_on_a_thread_and_loop_of_its_own() -> None:
    seen: list[tuple[str, asyncio.AbstractEventLoop]] = []

    @asynccontextmanager
    async def service() -> AsyncIterator[None]:
        seen.append((threading.current_thread().name, asyncio.get_running_loop()))
        yield
        seen.append((threading.current_thread().name, asyncio.get_running_loop()))

    async with working(service) as worker:
        assert state_of(worker) is WorkerState.RUNNING
        thread = next(t for t in threading.enumerate() if t.name == "alphapulse-test")
        assert not thread.daemon

    assert state_of(worker) is WorkerState.STOPPED
    assert [name for name, _ in seen] == ["alphapulse-test"] * 2
    assert seen[0][1] is seen[1][1] is not asyncio.get_running_loop()
    assert not thread.is_alive()


async def test_the_main_event_loop_turns_while_a_worker_is_busy_starting_and_stopping() -> None:
    release = threading.Event()

    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        release.wait(LIMIT_S)  # blocks its own loop, and nobody else's
        yield
        release.wait(LIMIT_S)

    worker = Worker("test", slow)
    starting = asyncio.create_task(worker.start())
    await eventually(lambda: state_of(worker) is WorkerState.STARTING)
    await asyncio.sleep(0.05)
    assert not starting.done()
    release.set()
    await starting

    release.clear()
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0.05)
    assert not stopping.done()
    release.set()
    await stopping


async def test_start_raises_what_kept_the_service_from_coming_up_and_leaves_no_thread() -> None:
    def open_file() -> None:
        raise NotFound("no such file", path="x")

    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        open_file()
        yield

    worker = Worker("test", broken)
    with pytest.raises(NotFound):
        await worker.start()

    assert state_of(worker) is WorkerState.FAULTED
    assert worker.error == "NotFound: no such file (path=x)"


async def test_start_gives_up_after_its_limit_and_cancels_what_hangs() -> None:
    canceled = threading.Event()

    @asynccontextmanager
    async def hanging() -> AsyncIterator[None]:
        try:
            await forever()
        finally:
            canceled.set()
        yield

    worker = Worker("test", hanging, start_timeout_s=0.05)

    async def gives_up() -> bool:
        """Whether the service was canceled; on a busy machine it may not even have begun."""
        with pytest.raises(TimeoutError, match="not up within"):
            await worker.start()
        return canceled.is_set()

    await eventually(gives_up)


async def test_canceling_start_takes_the_thread_down_again() -> None:
    @asynccontextmanager
    async def hanging() -> AsyncIterator[None]:
        await forever()
        yield

    worker = Worker("test", hanging)
    starting = asyncio.create_task(worker.start())
    await eventually(lambda: worker.heartbeat.thread_id is not None)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert state_of(worker) is WorkerState.STOPPED


async def test_a_stopped_worker_starts_again() -> None:
    worker = Worker("test", idle)
    for _ in range(3):
        await worker.start()
        assert await worker.call(thread_name) == "alphapulse-test"
        await worker.stop()


async def test_stop_without_start_and_a_second_stop_do_nothing() -> None:
    worker = Worker("test", idle)
    await worker.stop()
    await worker.start()
    await asyncio.gather(worker.stop(), worker.stop())
    await worker.stop()


async def test_call_from_another_loop_is_handed_over() -> None:
    async with working() as worker:
        assert await worker.call(thread_name) == "alphapulse-test"
        assert await thread_name() == "MainThread"


async def test_call_from_the_workers_own_loop_is_simply_awaited() -> None:
    async with working() as worker:

        async def same_task() -> bool:
            outer = asyncio.current_task()

            async def inner() -> bool:
                return asyncio.current_task() is outer

            return await worker.call(inner)

        assert await worker.call(same_task)


async def test_context_variables_travel_with_a_call_and_changes_do_not_come_back() -> None:
    async def read_and_change() -> str:
        seen = request_id.get()
        request_id.set("changed")
        return seen

    async with working() as worker:
        request_id.set("r-1")
        assert await worker.call(read_and_change) == "r-1"
        assert request_id.get() == "r-1"


async def test_an_error_comes_back_as_itself() -> None:
    async def fail() -> None:
        raise NotFound("no such account")

    async with working() as worker:
        with pytest.raises(NotFound, match="no such account"):
            await worker.call(fail)


async def test_canceling_the_caller_cancels_the_coroutine_on_the_worker() -> None:
    started, canceled = threading.Event(), threading.Event()

    async def wait_for_ever() -> None:
        started.set()
        try:
            await forever()
        finally:
            canceled.set()

    async with working() as worker:
        call = asyncio.create_task(worker.call(wait_for_ever))
        await eventually(started.is_set)
        assert not canceled.is_set()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await eventually(canceled.is_set)


async def test_a_coroutine_that_cancels_itself_looks_the_same_as_awaited_here() -> None:
    async def cancel_itself() -> None:
        raise asyncio.CancelledError

    async with working() as worker:
        with pytest.raises(asyncio.CancelledError):
            await worker.call(cancel_itself)


async def test_calls_to_a_worker_that_never_ran_or_has_stopped_say_so() -> None:
    worker = Worker("test", idle)
    with pytest.raises(WorkerStopped):
        await worker.call(thread_name)
    await worker.start()
    await worker.stop()
    with pytest.raises(WorkerStopped):
        await worker.call(thread_name)


async def test_calls_in_flight_at_stop_are_canceled_and_awaited_before_the_service_closes() -> None:
    begun: list[None] = []
    order: list[str] = []

    @asynccontextmanager
    async def service() -> AsyncIterator[None]:
        yield
        order.append("service closed")

    async def in_flight() -> None:
        begun.append(None)
        try:
            await forever()
        finally:
            await asyncio.sleep(0.02)
            order.append("call ended")

    async with working(service) as worker:
        calls = [asyncio.create_task(worker.call(in_flight)) for _ in range(3)]
        await eventually(lambda: len(begun) == 3)

    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(answer, WorkerStopped) for answer in answers)
    assert order == ["call ended"] * 3 + ["service closed"]


async def test_a_worker_whose_task_group_fails_is_faulted_with_the_cause() -> None:
    fail = threading.Event()

    @asynccontextmanager
    async def service() -> AsyncIterator[None]:
        async def part() -> None:
            while not fail.is_set():
                await asyncio.sleep(0.01)
            raise ValueError("bad frame")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(part())
            yield

    async with working(service) as worker:
        call = asyncio.create_task(worker.call(forever))
        fail.set()
        with pytest.raises(WorkerStopped):
            await call
        await eventually(lambda: worker.error is not None)
        assert state_of(worker) is WorkerState.FAULTED
        assert worker.error == "ValueError: bad frame"
        assert worker.health().status == "down"
        assert worker.health().detail == "ValueError: bad frame"


async def test_a_worker_whose_loop_is_stopped_from_inside_is_faulted() -> None:
    async def end_the_loop() -> None:
        asyncio.get_running_loop().stop()
        await forever()

    async with working() as worker:
        with pytest.raises(WorkerStopped):
            await worker.call(end_the_loop)
        await eventually(lambda: worker.error is not None)
        assert state_of(worker) is WorkerState.FAULTED


async def test_stop_raises_what_the_service_raised_while_closing() -> None:
    @asynccontextmanager
    async def service() -> AsyncIterator[None]:
        yield
        raise OSError("disk full")

    worker = Worker("test", service)
    await worker.start()
    with pytest.raises(OSError, match="disk full"):
        await worker.stop()
    assert state_of(worker) is WorkerState.FAULTED


async def test_a_service_that_does_not_close_is_canceled_within_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("alphapulse.runtime.worker.PATIENT_SHARE", 0.001)

    @asynccontextmanager
    async def service() -> AsyncIterator[None]:
        yield
        await forever()

    worker = Worker("test", service, stop_timeout_s=LIMIT_S)
    await worker.start()
    await worker.stop()
    assert state_of(worker) is WorkerState.STOPPED


async def test_stop_raises_and_names_the_line_when_the_thread_lives_on() -> None:
    is_there, release = threading.Event(), threading.Event()

    def the_blocking_line() -> None:
        is_there.set()
        release.wait(LIMIT_S)

    async def block() -> None:
        the_blocking_line()

    worker = Worker("test", idle, stop_timeout_s=0.2)
    await worker.start()
    call = asyncio.create_task(worker.call(block))
    await eventually(is_there.is_set)

    with pytest.raises(TimeoutError, match="the_blocking_line"):
        await worker.stop()

    release.set()
    await eventually(lambda: _stops(worker))
    with suppress(WorkerStopped):
        await call


async def _stops(worker: Worker) -> bool:
    """On a busy machine it may take longer than this worker is given."""
    with suppress(TimeoutError):
        await worker.stop()
        return True
    return False


async def test_health_names_every_state() -> None:
    worker = Worker("test", idle)
    assert worker.health().status == "down"
    await worker.start()
    assert worker.health().status == "ok"
    await worker.stop()
    assert (worker.health().status, worker.health().detail) == ("down", "stopped")


async def test_the_heart_beats_while_the_worker_runs() -> None:
    async with working() as worker:
        await eventually(lambda: worker.lag_s > 0 and worker.heartbeat_age_s < 1)
    assert worker.heartbeat_age_s == 0


async def test_a_worker_shortens_the_interpreters_switch_interval() -> None:
    async with working():
        assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)
