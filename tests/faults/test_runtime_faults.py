"""Faults of threads and loops: each is noticed, said, survived, and leaves nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from alphapulse.domain.events import AccountRemoved, BalancesChanged, Event
from alphapulse.domain.identifiers import AccountId
from alphapulse.errors import WorkerStopped
from alphapulse.observability.health import Health
from alphapulse.runtime import worker as worker_module
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.clock import SystemClock
from alphapulse.runtime.mailbox import Mailbox
from alphapulse.runtime.retry import Backoff
from alphapulse.runtime.supervisor import Supervisor, TaskState
from alphapulse.runtime.watchdog import watching
from alphapulse.runtime.worker import Worker, WorkerState
from tests.eventually import LIMIT_S, eventually

pytestmark = pytest.mark.usefixtures("loop_debug")


async def here() -> str:
    return threading.current_thread().name


async def forever() -> None:
    await asyncio.Event().wait()


class Reader:
    """A service that takes events until it is told to break."""

    def __init__(self, inbox: Mailbox) -> None:
        self.inbox = inbox
        self.taken: list[Event] = []
        self.breaks = threading.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read())
            breaking = tasks.create_task(self._break())
            yield
            reading.cancel()
            breaking.cancel()

    async def _read(self) -> None:
        while True:
            self.taken += (await self.inbox.take()).events

    async def _break(self) -> None:
        while not self.breaks.is_set():
            await asyncio.sleep(0.005)
        raise ConnectionResetError("the database went away")


async def test_when_a_worker_dies_its_events_wait_and_its_calls_fail_at_once() -> None:
    """Error Handler -> Fallback to Thread-safe Operations."""
    bus, inbox = EventBus(), Mailbox("alerting", 100)
    bus.subscribe(inbox, AccountRemoved, BalancesChanged)
    reader = Reader(inbox)
    worker = Worker("alerting", reader.running)
    await worker.start()
    bus.publish(AccountRemoved(AccountId("before")))
    await eventually(lambda: len(reader.taken) == 1)

    call = asyncio.create_task(worker.call(forever))
    await asyncio.sleep(0)
    reader.breaks.set()
    with pytest.raises(WorkerStopped):
        await asyncio.wait_for(call, LIMIT_S)
    await eventually(lambda: worker.error == "ConnectionResetError: the database went away")
    with pytest.raises(WorkerStopped) as refusal:
        await worker.call(here)
    assert "the database went away" in str(refusal.value)

    for number in range(3):
        bus.publish(AccountRemoved(AccountId(str(number))))
    await worker.stop()
    reader.breaks.clear()
    await worker.start()
    await eventually(lambda: len(reader.taken) == 4)
    assert await worker.call(here) == "alphapulse-alerting"
    await worker.stop()


async def test_a_task_killed_again_and_again_turns_health_red_and_green_again() -> None:
    kills = 0
    killing = True

    async def victim() -> None:
        nonlocal kills
        while True:
            await asyncio.sleep(0.001)
            if killing:
                kills += 1
                raise RuntimeError("killed")

    health = Health()
    quick = Backoff(first_s=0.002, max_s=0.01)
    async with Supervisor("sync", SystemClock(), backoff=quick, steady_after_s=0.1) as supervisor:
        health.register("sync", supervisor.health)
        supervisor.run("balances", victim)
        await eventually(lambda: health.status == "down")
        assert kills >= 3
        assert supervisor.tasks[0].state is not TaskState.FAULTED
        killing = False
        await eventually(lambda: health.status == "ok")


async def test_a_blocked_worker_is_red_while_the_main_loop_turns_and_its_callers_time_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "STUCK_S", 0.2)
    release = threading.Event()

    @asynccontextmanager
    async def service() -> AsyncIterator[None]:
        yield

    async def block() -> None:
        release.wait(LIMIT_S)

    worker = Worker("processing", service)
    await worker.start()
    with watching([worker.heartbeat]):
        blocking = asyncio.create_task(worker.call(block))
        await eventually(lambda: worker.health().status == "down")
        assert "stuck" in (worker.health().detail or "")

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await worker.call(here)
        assert not blocking.done()

        release.set()
        await blocking
        await eventually(lambda: worker.health().status == "ok")
    await worker.stop()


async def test_an_exit_raised_inside_a_worker_is_a_fault_and_ends_nobody_else() -> None:
    async def leave() -> None:
        sys.exit(3)

    @asynccontextmanager
    async def service() -> AsyncIterator[None]:
        yield

    worker = Worker("exchange", service)
    await worker.start()
    with pytest.raises(WorkerStopped):
        await worker.call(leave)
    await eventually(lambda: worker.error == "SystemExit: 3")
    assert worker.state is WorkerState.FAULTED
    await worker.stop()


async def test_a_flood_from_one_worker_is_conflated_and_the_main_loop_turns() -> None:
    names = [AccountId(str(number)) for number in range(100)]
    bus, inbox, too_small = EventBus(), Mailbox("browser", 100), Mailbox("too small", 99)
    bus.subscribe(inbox, BalancesChanged)
    bus.subscribe(too_small, BalancesChanged)
    published = 0

    @asynccontextmanager
    async def service() -> AsyncIterator[None]:
        async def flood() -> None:
            nonlocal published
            while True:
                for name in names:
                    bus.publish(BalancesChanged(name))
                published += len(names)
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as tasks:
            flooding = tasks.create_task(flood())
            yield
            flooding.cancel()

    worker = Worker("exchange", service)
    await worker.start()
    # Nobody reads: what does not conflate would overflow.
    await eventually(lambda: published >= 10_000)
    assert inbox.depth <= 100
    before = published
    batches = [await inbox.take() for _ in range(50)]
    await eventually(lambda: published > before)
    await worker.stop()

    assert all(0 < len(batch.events) <= 100 and not batch.overflowed for batch in batches)
    assert inbox.overflows == 0
    assert too_small.overflows > 0


async def test_starting_and_stopping_many_times_leaks_neither_threads_nor_files() -> None:
    @asynccontextmanager
    async def service() -> AsyncIterator[None]:
        yield

    async def cycle() -> None:
        worker = Worker("test", service)
        await worker.start()
        await worker.call(here)
        await worker.stop()

    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    await cycle()
    threads, files = threading.active_count(), open_files()
    for _ in range(20):
        await cycle()
    assert (threading.active_count(), open_files()) == (threads, files)


PROGRAM = '''
"""Three workers with calls in flight, events on the way and a task that always fails."""
import asyncio, signal, sys, threading
from contextlib import asynccontextmanager
from alphapulse.domain.events import AccountRemoved
from alphapulse.domain.identifiers import AccountId
from alphapulse.runtime.clock import SystemClock
from alphapulse.runtime.heartbeat import Heartbeat
from alphapulse.runtime.mailbox import Mailbox
from alphapulse.runtime.supervisor import Supervisor
from alphapulse.runtime.watchdog import watching
from alphapulse.runtime.worker import Worker

inbox = Mailbox("inbox", 100)

@asynccontextmanager
async def service():
    async def put():
        while True:
            inbox.put(AccountRemoved(AccountId("a")))
            await asyncio.sleep(0.001)
    async def fail():
        raise OSError("never works")
    async with Supervisor("service", SystemClock()) as tasks:
        tasks.run("put", put)
        tasks.run("fail", fail)
        yield
        await asyncio.sleep(0.1)  # closing takes time

async def main():
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    heartbeat = Heartbeat("main")
    workers = [Worker(name, service) for name in ("alerting", "processing", "exchange")]
    with heartbeat.beating(), watching([heartbeat, *(w.heartbeat for w in workers)]):
        for worker in workers:
            await worker.start()
        calls = [asyncio.create_task(w.call(lambda: asyncio.sleep(1000))) for w in workers]
        reader = asyncio.create_task(inbox.take())
        print("up", flush=True)
        await ended.wait()
        for worker in reversed(workers):
            await worker.stop()
        reader.cancel()
        await asyncio.gather(*calls, reader, return_exceptions=True)
    print([t.name for t in threading.enumerate()], flush=True)

asyncio.run(main())
'''


def running_program(tmp_path: Path) -> subprocess.Popen[str]:
    """The program, up; what it logs goes into the file ``said``."""
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    with said(tmp_path).open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", file], stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def said(tmp_path: Path) -> Path:
    return tmp_path / "said"


def test_sigterm_ends_the_process_with_no_thread_left(tmp_path: Path) -> None:
    process = running_program(tmp_path)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=LIMIT_S)
    log = said(tmp_path).read_text()
    assert process.returncode == 0, log
    assert out == "['MainThread']\n"
    assert "never retrieved" not in log


async def test_a_process_that_was_frozen_says_that_it_stood_still(tmp_path: Path) -> None:
    process = running_program(tmp_path)
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(0.8)
    process.send_signal(signal.SIGCONT)
    await eventually(lambda: "process stood still" in said(tmp_path).read_text())
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
