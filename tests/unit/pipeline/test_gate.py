"""The gate in front of one exchange."""

import asyncio
from contextlib import suppress

import pytest

from alphapulse.errors import AlphaPulseError, ExchangeUnavailable, PermissionMissing, RateLimited
from alphapulse.pipeline.sync.gate import CircuitState, Gate
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.runtime.clock import SystemClock
from tests.fixtures.clock import HandClock

SETTINGS = SyncSettings(
    failures_until_open=3, probe_interval_max_s=0.1, requests_at_once=2, rate_limit_wait_s=0.2
)


@pytest.fixture
def gate() -> Gate:
    return Gate(SETTINGS, SystemClock())


async def ask(gate: Gate, error: AlphaPulseError | None = None) -> None:
    async with gate.request():
        if error is not None:
            raise error


async def fail(gate: Gate, times: int) -> None:
    for _ in range(times):
        with suppress(ExchangeUnavailable):
            await ask(gate, ExchangeUnavailable("down"))


async def test_few_requests_are_out_at_once(gate: Gate) -> None:
    now, most = 0, 0

    async def hold() -> None:
        nonlocal now, most
        async with gate.request():
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.01)
            now -= 1

    await asyncio.gather(*(hold() for _ in range(10)))
    assert most == 2


async def test_nothing_is_sent_for_as_long_as_the_venue_asked(clock: HandClock) -> None:
    gate = Gate(SETTINGS, clock)
    with pytest.raises(RateLimited):
        await ask(gate, RateLimited("slow down", retry_after_s=0.02))
    state = gate.state
    assert state is CircuitState.SILENT

    asking = [asyncio.create_task(ask(gate)) for _ in range(5)]
    clock.advance(0.019)
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in asking)

    clock.advance(0.002)
    await asyncio.gather(*asking)
    assert gate.state is CircuitState.CLOSED


async def test_a_shorter_wait_does_not_end_a_longer_one(clock: HandClock) -> None:
    gate = Gate(SETTINGS, clock)
    may_end = [asyncio.Event(), asyncio.Event()]

    async def refused(may_end: asyncio.Event, wait_s: float) -> None:
        with suppress(RateLimited):
            async with gate.request():
                await may_end.wait()
                raise RateLimited("slow down", retry_after_s=wait_s)

    under_way = [asyncio.create_task(refused(may_end[n], (20, 1)[n])) for n in range(2)]
    await asyncio.sleep(0)
    for event, task in zip(may_end, under_way, strict=True):
        event.set()
        await task
    assert gate.opens_in_s == pytest.approx(20)


async def test_a_refusal_without_a_time_waits_for_the_set_one(clock: HandClock) -> None:
    gate = Gate(SETTINGS, clock)
    with pytest.raises(RateLimited):
        await ask(gate, RateLimited("slow down"))
    assert gate.opens_in_s == pytest.approx(SETTINGS.rate_limit_wait_s)


async def test_a_venue_that_does_not_answer_gets_single_probes(gate: Gate) -> None:
    await fail(gate, 3)
    assert gate.state is CircuitState.OPEN

    out, most = 0, 0

    async def probe() -> None:
        nonlocal out, most
        async with gate.request():
            out += 1
            most = max(most, out)
            await asyncio.sleep(0.01)
            out -= 1
            raise ExchangeUnavailable("still down")

    await asyncio.gather(*(probe() for _ in range(3)), return_exceptions=True)
    assert most == 1


async def test_one_good_probe_opens_the_gate(gate: Gate) -> None:
    await fail(gate, 4)
    await ask(gate)
    assert gate.state is CircuitState.CLOSED
    assert gate.opens_in_s == 0


async def test_errors_that_say_nothing_about_the_venue_do_not_trip_it(gate: Gate) -> None:
    for _ in range(10):
        with pytest.raises(PermissionMissing):
            await ask(gate, PermissionMissing("not this"))
    assert gate.state is CircuitState.CLOSED


async def test_a_caller_that_gives_up_leaves_its_place(gate: Gate) -> None:
    await fail(gate, 3)
    waiting = [asyncio.create_task(ask(gate)) for _ in range(4)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await ask(gate)
