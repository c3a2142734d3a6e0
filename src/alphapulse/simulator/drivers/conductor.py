"""Conductor: plays a driver to the venues at its speed, and beats their pulse."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from alphapulse.domain.clock import Clock
from alphapulse.simulator.core.candles import MINUTE_MS
from alphapulse.simulator.core.clock import VirtualMarketClock
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.drivers.step import (
    USDT_USD,
    DepthSnapshot,
    Driver,
    Move,
    RawFrame,
    Step,
)

PULSE_S = 0.1

# After a pause of the machine the story goes on from where it was instead of catching up.
LAG_MAX_S = 2.0

# How long steps run before sockets are served, while they need not wait for their time.
TURN_S = 0.005

Relay = Callable[[RawFrame | DepthSnapshot], None]
Drained = Callable[[], Awaitable[None]]


class Conductor:
    """Owns the passing of market time.

    Args:
        market_clock: a virtual clock to move; ``None`` when the market lives in real time.
        speed: market seconds per real second; ``None`` is as fast as subscribers read.
        relay: takes recorded frames; needed for a frame replay only.
        drained: returns when every subscriber has room for more; asked whenever a market on a
            virtual clock does not have to wait for its time, so that no frame is lost.
    """

    def __init__(
        self,
        venues: Sequence[Venue],
        driver: Driver,
        clock: Clock,
        *,
        market_clock: VirtualMarketClock | None,
        speed: float | None = 1.0,
        relay: Relay | None = None,
        drained: Drained | None = None,
    ) -> None:
        self._venues = venues
        self._driver = driver
        self._clock = clock
        self._market_clock = market_clock
        self._speed = speed
        self._relay = relay
        self._drained = drained
        self._steps: Iterator[Step] = driver.steps()
        self._markets: dict[str, list[tuple[Venue, Market]]] = {}
        self._turn_ends_s = 0.0
        self._may_go = asyncio.Event()
        self._may_go.set()
        self.is_finished = False
        """The recording is over; a generator never is."""
        self._tell_past()

    async def run(self) -> None:
        """Play until canceled; a recording that ended leaves the pulse beating."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._play())
            tasks.create_task(self._beat())

    @property
    def is_paused(self) -> bool:
        return not self._may_go.is_set()

    def pause(self) -> None:
        """Freeze prices; orders, streams and the pulse go on."""
        self._may_go.clear()

    def resume(self) -> None:
        """Go on from where it was."""
        self._may_go.set()

    def step(self) -> bool:
        """Do the next step now, whatever the speed; false when there is none."""
        step = next(self._steps, None)
        if step is None:
            self.is_finished = True
            return False
        self._do(step)
        return True

    async def _play(self) -> None:
        origin_s, origin_ms = self._clock.monotonic_s(), self._driver.start_ms
        for step in self._steps:
            if self._speed is None:
                await self._make_room()
            else:
                due_s = origin_s + (step.at_ms - origin_ms) / 1000 / self._speed
                wait_s = due_s - self._clock.monotonic_s()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                else:
                    await self._make_room()
                if wait_s < -LAG_MAX_S:
                    origin_s -= wait_s
            # Asked last, because a pause may come while the step waits for its time.
            origin_s += await self._sit_out_pause()
            self._do(step)
        self.is_finished = True

    async def _sit_out_pause(self) -> float:
        """Wait for `resume`; how long that took, in seconds."""
        if not self.is_paused:
            return 0.0
        paused_s = self._clock.monotonic_s()
        await self._may_go.wait()
        return self._clock.monotonic_s() - paused_s

    async def _make_room(self) -> None:
        """Let sockets be served; market time that is ours to bend waits for those behind."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._turn_ends_s:
            return
        await asyncio.sleep(0)
        if self._drained is not None and self._market_clock is not None:
            await self._drained()
        self._turn_ends_s = loop.time() + TURN_S

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(PULSE_S)
            for venue in self._venues:
                venue.advance()
                venue.pulse()

    def _do(self, step: Step) -> None:
        self._move_clock(step.at_ms)
        for move in step.moves:
            self._apply(move)
        if self._relay is not None:
            if step.snapshot is not None:
                self._relay(step.snapshot)
            for frame in step.frames:
                self._relay(frame)

    def _move_clock(self, at_ms: int) -> None:
        """Stop at each minute on the way, so that candles close exactly on it."""
        clock = self._market_clock
        if clock is not None:
            boundary_ms = (clock.now_ms() // MINUTE_MS + 1) * MINUTE_MS
            if boundary_ms <= at_ms:
                clock.move_to(boundary_ms)
                self._advance()
            clock.move_to(at_ms)
        self._advance()

    def _advance(self) -> None:
        for venue in self._venues:
            venue.advance()

    def _apply(self, move: Move) -> None:
        if move.symbol == USDT_USD:
            for venue in self._venues:
                venue.usd_per_usdt = move.price
            return
        for venue, market in self._listed(move.symbol):
            if move.funding_rate is not None:
                market.funding_rate = move.funding_rate
            if move.bar is not None:
                venue.record_minute(market, move.bar)
            venue.set_price(market, move.price)
            for side, quantity in move.trades:
                if move.bar is not None:
                    venue.print_cross(market, side, quantity)
                else:
                    venue.trade_flow(market, side, quantity)

    def _listed(self, symbol: str) -> list[tuple[Venue, Market]]:
        """The venues that trade it, and where."""
        known = self._markets.get(symbol)
        if known is None:
            found = ((venue, venue.find_market(symbol)) for venue in self._venues)
            known = [(venue, market) for venue, market in found if market is not None]
            self._markets[symbol] = known
        return known

    def _tell_past(self) -> None:
        past = self._driver.past
        if past is not None:
            for venue in self._venues:
                for market in venue.charted:
                    market.remember(past)
