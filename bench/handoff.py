"""P11, thread hand-off: what crossing costs, and what a busy worker does to the main loop.

CPU per event of `Mailbox`: at most 1/30 of ``run_coroutine_threadsafe``.

The 99th percentile of a socket round trip on the main loop while a worker computes without the
interpreter lock: at most twice the idle one. On a machine that others use as well, the idle one
says little, so the same load in another process is compared too: what is above that is our doing.
The same in pure Python is the negative control.

    python -m bench.handoff
"""

import asyncio
import hashlib
import socket
import statistics
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import uvloop

from alphapulse.domain.events import AccountRemoved, Event
from alphapulse.domain.identifiers import AccountId
from alphapulse.runtime.mailbox import Mailbox
from alphapulse.runtime.worker import Worker
from bench.measure import interleave, report

EVENTS = 30_000
BURST = 50  # a busy market feed hands over this many between two turns of the reader
SETTLE_S = 0.1  # what a side leaves to do on either loop is its own cost, not the next one's
ROUND_TRIPS = 1_500
ROUNDS = 5
BUFFER = bytes(1_000_000)

Publish = Callable[[Event], object]


@asynccontextmanager
async def idle() -> AsyncIterator[None]:
    yield


async def publish_bursts(publish: Publish) -> None:
    """On the worker's loop: bursts with a turn of the loop between them."""
    event = AccountRemoved(AccountId("a"))
    for _ in range(EVENTS // BURST):
        for _ in range(BURST):
            publish(event)
        await asyncio.sleep(0)


async def through_mailbox(worker: Worker) -> int:
    inbox = Mailbox("bench", EVENTS + 1)
    publishing = asyncio.create_task(worker.call(lambda: publish_bursts(inbox.put)))
    taken = 0
    while taken < EVENTS:
        taken += len((await inbox.take()).events)
    await publishing
    await asyncio.sleep(SETTLE_S)
    return taken


async def through_coroutines(worker: Worker) -> int:
    """The ready-made way: one coroutine, one task and one future an event."""
    home = asyncio.get_running_loop()
    everything = asyncio.Event()
    taken = 0

    async def take(_: Event) -> None:
        nonlocal taken
        taken += 1
        if taken == EVENTS:
            everything.set()

    await worker.call(
        lambda: publish_bursts(lambda event: asyncio.run_coroutine_threadsafe(take(event), home))
    )
    await everything.wait()
    await asyncio.sleep(SETTLE_S)
    return taken


async def through_callbacks(worker: Worker) -> int:
    """The naive thread-safe way: one wake-up an event."""
    home = asyncio.get_running_loop()
    everything = asyncio.Event()
    taken = 0

    def take(_: Event) -> None:
        nonlocal taken
        taken += 1
        if taken == EVENTS:
            everything.set()

    await worker.call(lambda: publish_bursts(lambda event: home.call_soon_threadsafe(take, event)))
    await everything.wait()
    await asyncio.sleep(SETTLE_S)
    return taken


async def cost() -> bool:
    """Compare the ways across."""
    worker = Worker("bench", idle)
    await worker.start()
    try:
        rounds = await interleave(
            {
                "mailbox": lambda: through_mailbox(worker),
                "run_coroutine_threadsafe": lambda: through_coroutines(worker),
                "call_soon_threadsafe": lambda: through_callbacks(worker),
            },
            rounds=ROUNDS,
        )
    finally:
        await worker.stop()
    return report(
        "handoff.cpu_per_event",
        ratio=rounds.ratio("run_coroutine_threadsafe", "mailbox"),
        floor=30,
        n=rounds.operations,
        mailbox_us=rounds.median_us("mailbox"),
        run_coroutine_threadsafe_us=rounds.median_us("run_coroutine_threadsafe"),
        call_soon_threadsafe_us=rounds.median_us("call_soon_threadsafe"),
    )


async def round_trips_p99_us() -> float:
    """One byte there and back over a socket pair on this loop."""
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)

    async def echo() -> None:
        for _ in range(ROUND_TRIPS):
            await loop.sock_sendall(far, await loop.sock_recv(far, 1))

    echoing = asyncio.create_task(echo())
    times_us = []
    for _ in range(ROUND_TRIPS):
        before = time.perf_counter()
        await loop.sock_sendall(near, b"x")
        await loop.sock_recv(near, 1)
        times_us.append((time.perf_counter() - before) * 1e6)
    await echoing
    near.close()
    far.close()
    return statistics.quantiles(times_us, n=100)[98]


def hash_buffers(done: threading.Event) -> None:
    """Stands for TA-Lib, numpy and the database: computes without the interpreter lock."""
    while not done.is_set():
        hashlib.sha256(BUFFER).digest()


def count_in_python(done: threading.Event) -> None:
    number = 0
    while not done.is_set():
        for _ in range(10_000):
            number += 1


@asynccontextmanager
async def on_the_worker(
    load: Callable[[threading.Event], None], worker: Worker
) -> AsyncIterator[None]:
    done = threading.Event()

    async def work() -> None:
        load(done)

    working = asyncio.create_task(worker.call(work))
    yield
    done.set()
    await working


@asynccontextmanager
async def in_another_process() -> AsyncIterator[None]:
    program = "import hashlib\nb = bytes(1_000_000)\nwhile True: hashlib.sha256(b).digest()"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    yield
    process.kill()
    await process.wait()


async def interference() -> bool:
    """Compare the main loop's 99th percentile with and without a busy worker."""
    worker = Worker("bench", idle)
    await worker.start()
    loads: dict[str, Callable[[], AbstractAsyncContextManager[None]]] = {
        "idle": idle,
        "worker": lambda: on_the_worker(hash_buffers, worker),
        "process": in_another_process,
        "pure_python": lambda: on_the_worker(count_in_python, worker),
    }
    figures: dict[str, list[float]] = {name: [] for name in loads}
    try:
        for _ in range(ROUNDS):
            for name, load in loads.items():
                async with load():
                    await asyncio.sleep(0.1)  # until it runs
                    figures[name].append(await round_trips_p99_us())
    finally:
        await worker.stop()
    met = [
        report(
            f"handoff.main_loop_p99_to_{other}",
            ratio=_ratio(figures[other], figures["worker"]),
            floor=0.5,
            n=ROUNDS * ROUND_TRIPS,
            **{f"{name}_us": statistics.median(p99s) for name, p99s in figures.items()},
        )
        for other in ("idle", "process")
    ]
    return all(met)


def _ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))


async def main() -> int:
    goals: tuple[Callable[[], Awaitable[bool]], ...] = (cost, interference)
    met = [await goal() for goal in goals]
    return 0 if all(met) else 1


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main()))
