"""Simulator: the whole simulated exchange in one object, for demos, paper trading and tests."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from decimal import Decimal
from typing import Self

from alphapulse.domain.clock import Clock
from alphapulse.runtime.clock import SystemClock
from alphapulse.simulator.control import ControlApi
from alphapulse.simulator.core.clock import RealMarketClock, VirtualMarketClock
from alphapulse.simulator.core.instrument import Instrument
from alphapulse.simulator.core.listing import (
    linear_instruments,
    recorded_instrument,
    spot_instruments,
)
from alphapulse.simulator.drivers.candles import CandleReplay, grid_of, read_candles
from alphapulse.simulator.drivers.conductor import Conductor
from alphapulse.simulator.drivers.frames import FrameReplay
from alphapulse.simulator.drivers.generator import PriceGenerator
from alphapulse.simulator.drivers.step import Driver
from alphapulse.simulator.far_past import FarPast
from alphapulse.simulator.faults.script import Fault, FaultScript
from alphapulse.simulator.opening import open_world, settle_in
from alphapulse.simulator.server import SimulatorServer
from alphapulse.simulator.settings import (
    CandleReplaySettings,
    FrameReplaySettings,
    GeneratorSettings,
    SimulatorSettings,
)
from alphapulse.simulator.state_file import StateKeeper
from alphapulse.simulator.tls import LocalAuthority
from alphapulse.simulator.upheaval import Upheaval
from alphapulse.simulator.venues.binance.limits import RateLimits as BinanceLimits
from alphapulse.simulator.venues.binance_spot.face import BinanceSpotFace
from alphapulse.simulator.venues.binance_spot.limits import QUOTA as SPOT_QUOTA
from alphapulse.simulator.venues.binance_usdm.face import BinanceUsdmFace
from alphapulse.simulator.venues.binance_usdm.limits import QUOTA as USDM_QUOTA
from alphapulse.simulator.venues.bybit.face import BybitFace
from alphapulse.simulator.venues.bybit.limits import RateLimits as BybitLimits
from alphapulse.simulator.world import Books, SimulatedAccount, World


class Simulator:
    """Real sockets, fake money. Made by `running`; everything in it belongs to that loop.

    ``faults`` is the fault script, ``world`` everything that can be read or done by hand.
    """

    def __init__(
        self,
        world: World,
        faults: FaultScript,
        server: SimulatorServer,
        conductor: Conductor,
        authority: LocalAuthority | None,
        limits: Mapping[str, Sequence[BinanceLimits | BybitLimits]],
    ) -> None:
        self.world = world
        self.faults = faults
        self.authority = authority
        self._server = server
        self._conductor = conductor
        self._limits = limits
        self._host = ""
        self.port = 0
        self.tls_port: int | None = None

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        settings: SimulatorSettings | None = None,
        *,
        clock: Clock | None = None,
        faults: Iterable[Fault] = (),
    ) -> AsyncIterator[Self]:
        """Serve until the block ends; then every connection is dropped and no task is left."""
        settings = settings or SimulatorSettings()
        simulator = cls._build(settings, clock or SystemClock(), faults)
        keeper = None
        if settings.state_file is not None:
            keeper = StateKeeper(settings.state_file, simulator.world)
            keeper.write()
        tasks = [asyncio.create_task(simulator._conductor.run(), name="simulator-conductor")]
        if keeper is not None:
            tasks.append(asyncio.create_task(keeper.run(), name="simulator-state-keeper"))
        try:
            await simulator._listen(settings)
            yield simulator
        finally:
            await simulator._server.stop()
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            if keeper is not None:
                keeper.write()

    @property
    def url(self) -> str:
        """Where clients put the venue's host and path: ``{url}/api.bybit.com/v5/market/time``."""
        return f"http://{self._host}:{self.port}"

    @property
    def accounts(self) -> tuple[SimulatedAccount, ...]:
        """Every account with its key, in the order of the settings."""
        return self.world.accounts

    def account(self, label: str) -> SimulatedAccount:
        """One account.

        Raises:
            KeyError: there is none.
        """
        for account in self.accounts:
            if account.label == label:
                return account
        raise KeyError(label)

    def books(self, label: str) -> Books:
        """Exactly what an account has now, and every price of its venue."""
        return self.world.books(label)

    def usd_then(self, asset: str, at: datetime, venue: str = "bybit") -> Decimal | None:
        """What an asset was worth in US dollars; see `World.usd_then`."""
        return self.world.usd_then(venue, asset, at)

    @property
    def orders_seen(self) -> int:
        """Orders that the venues acknowledged since the start."""
        return self.world.orders_seen

    @property
    def stream_count(self) -> int:
        """Open WebSockets."""
        return self._server.stream_count

    @property
    def late_requests(self) -> int:
        """Requests that are under way and have not arrived."""
        return self._server.late_requests

    def refusals(self, venue: str) -> int:
        """Requests that a venue refused since the start because they came too fast."""
        return sum(limits.refusals for limits in self._limits[venue])

    def stop_venue(self, venue: str) -> None:
        """The venue is gone: connections are aborted, new ones cut without an answer."""
        self._server.stop_venue(venue)

    def start_venue(self, venue: str) -> None:
        """The venue is back, as if it had never been away; the market went on meanwhile."""
        self._server.start_venue(venue)

    def close_port(self) -> None:
        """No venue can be reached: open connections are reset, new ones refused, so that their
        clients have sent nothing."""
        self._server.close_port()

    async def open_port(self) -> None:
        """Every venue can be reached again."""
        await self._server.open_port()

    def pause(self) -> None:
        """Let prices stand still; orders, streams and the pulse go on."""
        self._conductor.pause()

    def resume(self) -> None:
        """Let prices move again."""
        self._conductor.resume()

    @classmethod
    def _build(cls, settings: SimulatorSettings, clock: Clock, faults: Iterable[Fault]) -> Self:
        """Make everything, start nothing."""
        driver, recorded = _driver(settings, clock)
        virtual = _virtual_clock(settings, driver)
        world = open_world(settings, clock, virtual or RealMarketClock(clock), recorded)
        script = FaultScript(settings.seed, faults)
        binance, futures, bybit = _faces(world, settings)
        upheaval = Upheaval(world, script)
        server = SimulatorServer(
            (binance, futures, bybit), script, upheaval, late_s=world.late_s, seed=settings.seed
        )
        conductor = Conductor(
            tuple(world.venues.values()),
            driver,
            clock,
            market_clock=virtual,
            speed=settings.speed,
            relay=binance.relay,
            drained=server.drained,
        )
        if world.walk is not None and driver.past is not None:
            FarPast(world.walk, driver.past, world.venues.values()).tell()
        conductor.step()
        settle_in(world, settings)
        upheaval.begin()
        if settings.is_paused:
            conductor.pause()
        server.add_routes(ControlApi(world, script, server, conductor).routes)
        authority = None
        if settings.tls_port is not None:
            authority = LocalAuthority.create(
                binance.hosts | futures.hosts | bybit.hosts, clock.now()
            )
        limits: dict[str, Sequence[BinanceLimits | BybitLimits]] = {
            "binance": (binance.limits, futures.limits),
            "bybit": (bybit.limits,),
        }
        return cls(world, script, server, conductor, authority, limits)

    async def _listen(self, settings: SimulatorSettings) -> None:
        self._host = settings.host
        self.port = await self._server.start(settings.host, settings.port)
        if self.authority is not None and settings.tls_port is not None:
            self.tls_port = await self._server.start(
                settings.host, settings.tls_port, self.authority.server
            )


def _driver(settings: SimulatorSettings, clock: Clock) -> tuple[Driver, tuple[Instrument, ...]]:
    """Where prices come from, and what must be listed for it besides the usual."""
    listed = {one.unified for one in (*spot_instruments(), *linear_instruments())}
    match settings.driver:
        case CandleReplaySettings(files=files):
            recordings = {symbol: read_candles(path) for symbol, path in files.items()}
            unlisted = [
                recorded_instrument(symbol, grid_of(candles))
                for symbol, candles in recordings.items()
                if symbol not in listed
            ]
            return CandleReplay(recordings), tuple(unlisted)
        case FrameReplaySettings(file=file, symbol=symbol):
            return FrameReplay(file, symbol), ()
        case GeneratorSettings(history_minutes=minutes):
            start_ms = RealMarketClock(clock).now_ms()
            generator = PriceGenerator(settings.seed, start_ms, history_minutes=minutes)
            return generator, ()


def _virtual_clock(settings: SimulatorSettings, driver: Driver) -> VirtualMarketClock | None:
    """``None`` when the market lives in real time."""
    is_live = isinstance(settings.driver, GeneratorSettings) and settings.speed == 1
    return None if is_live else VirtualMarketClock(driver.start_ms)


def _faces(
    world: World, settings: SimulatorSettings
) -> tuple[BinanceSpotFace, BinanceUsdmFace, BybitFace]:
    venues, clocks, is_strict = world.venues, world.auth_clocks, settings.enforce_limits
    return (
        BinanceSpotFace(
            venues["binance"], clocks["binance"], BinanceLimits(SPOT_QUOTA, is_enforced=is_strict)
        ),
        BinanceUsdmFace(
            venues["binance"], clocks["binance"], BinanceLimits(USDM_QUOTA, is_enforced=is_strict)
        ),
        BybitFace(venues["bybit"], clocks["bybit"], BybitLimits(is_enforced=is_strict)),
    )
