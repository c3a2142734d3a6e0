"""The conductor: speed, pauses, backpressure and the pulse."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any

from alphapulse.runtime.clock import SystemClock
from alphapulse.simulator.core.clock import VirtualMarketClock
from alphapulse.simulator.core.events import CoreEvent, Pulse
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.listing import spot_instruments
from alphapulse.simulator.drivers.conductor import Conductor
from alphapulse.simulator.drivers.step import USDT_USD, Move, RawFrame, Step
from tests.eventually import eventually

START_MS = 1_700_000_000_000


class Ladder:
    """Bitcoin rises by a dollar each second of the market."""

    start_ms = START_MS
    past = None

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def steps(self) -> Iterator[Step]:
        for second in range(self._steps):
            move = Move("BTC/USDT", Decimal(30_000 + second))
            yield Step(START_MS + second * 1000, (move, Move(USDT_USD, Decimal("0.999"))))


class Stage:
    """A venue, its clock and what it was told."""

    def __init__(self) -> None:
        self.clock = VirtualMarketClock(START_MS)
        self.venue = Venue("test", spot_instruments()[:1], self.clock)
        self.market = self.venue.market(Category.SPOT, "BTCUSDT")
        self.events: list[CoreEvent] = []
        self.venue.subscribe(self.events.append)

    @property
    def price(self) -> Decimal | None:
        return self.market.reference_price

    def conductor(self, steps: int, **more: Any) -> Conductor:
        return Conductor(
            [self.venue], Ladder(steps), SystemClock(), market_clock=self.clock, **more
        )


@asynccontextmanager
async def running(conductor: Conductor) -> AsyncIterator[None]:
    task = asyncio.create_task(conductor.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_recording_plays_to_its_end_as_fast_as_it_can() -> None:
    stage = Stage()
    conductor = stage.conductor(600, speed=None)
    async with running(conductor):
        await eventually(lambda: conductor.is_finished)

    assert stage.price == 30_599
    assert stage.clock.now_ms() == START_MS + 599_000
    assert stage.venue.usd_per_usdt == Decimal("0.999")


async def test_speed_is_market_seconds_in_a_real_one() -> None:
    stage = Stage()
    conductor = stage.conductor(1_000_000, speed=100)
    async with running(conductor):
        before = asyncio.get_running_loop().time()
        await eventually(lambda: stage.clock.now_ms() >= START_MS + 40_000)
        took_s = asyncio.get_running_loop().time() - before

    assert took_s >= 0.35
    assert not conductor.is_finished


async def test_nothing_moves_before_the_readers_are_there() -> None:
    stage = Stage()
    ready = asyncio.Event()

    async def drained() -> None:
        await ready.wait()

    conductor = stage.conductor(50, speed=None, drained=drained)
    async with running(conductor):
        await eventually(lambda: any(isinstance(event, Pulse) for event in stage.events))
        waiting = stage.price
        ready.set()
        await eventually(lambda: conductor.is_finished)

    assert waiting is None
    assert stage.price == 30_049


async def test_paused_prices_stand_while_the_pulse_goes_on() -> None:
    stage = Stage()
    conductor = stage.conductor(1_000_000, speed=1_000)
    async with running(conductor):
        await eventually(lambda: stage.price is not None)
        conductor.pause()
        await asyncio.sleep(0)
        frozen, heard = stage.price, len(stage.events)
        await eventually(lambda: len(stage.events) >= heard + 3)
        still = stage.price
        resumed_ms = stage.clock.now_ms()
        conductor.resume()
        await eventually(lambda: stage.price != frozen)

    assert still == frozen
    assert {type(event) for event in stage.events[heard : heard + 3]} == {Pulse}
    assert stage.clock.now_ms() < resumed_ms + 60_000


def test_recorded_frames_go_to_the_relay_untouched() -> None:
    class Frames(Ladder):
        def steps(self) -> Iterator[Step]:
            yield Step(START_MS, frames=(RawFrame("btcusdt@trade", b'{ "x":1}', b"1"),))

    relayed: list[object] = []
    stage = Stage()
    conductor = Conductor(
        [stage.venue], Frames(1), SystemClock(), market_clock=stage.clock, relay=relayed.append
    )

    assert conductor.step()
    assert not conductor.step()
    assert relayed == [RawFrame("btcusdt@trade", b'{ "x":1}', b"1")]
