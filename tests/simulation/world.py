"""One seed: people, programs, a disk and a venue through a storm, and the quiet after it."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any, TypeVar

from alphapulse.domain.identifiers import ClientOrderId
from alphapulse.domain.intent import client_order_id
from alphapulse.domain.order import OrderRequest, OrderType, Side, TimeInForce
from alphapulse.domain.trading import TradingMode, TradingSwitch
from alphapulse.errors import AlphaPulseError, DatabaseUnavailable
from alphapulse.runtime import chance
from tests.simulation.disk import FULL, GOOD, CommitFate, Disk
from tests.simulation.knobs import Knobs, draw
from tests.simulation.loop import SeededLoop, Violated
from tests.simulation.program import USER, AlarmBus, Program
from tests.simulation.referee import Referee
from tests.simulation.venue import ACCOUNT, PERPETUAL, PRICE, SPOT, Venue

T = TypeVar("T")

LIMIT_STEPS = 60_000
"""Of one seed: beyond it something runs in circles."""
STEPS_PER_S = 12
"""Of the virtual time, about: crashes come within the storm."""
ANSWER_S = 15.0
"""How long people wait for an answer before they ask again."""
CYCLES_S = 200.0
"""Of reconciliation, which find what streams and hints did not bring, or alarm."""
LOST = DatabaseUnavailable("the connection to the database broke")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one seed; ``broken`` is the promise that was not kept."""

    seed: int
    broken: str | None
    steps: int
    virtual_s: float
    trace: tuple[tuple[object, ...], ...]

    @property
    def trace_hash(self) -> str:
        return hashlib.blake2b(repr(self.trace).encode(), digest_size=16).hexdigest()


def simulate(seed: int, change: Callable[[Knobs], Knobs] = lambda knobs: knobs) -> Outcome:
    """Live through one seed."""
    random = Random(seed)
    knobs = change(draw(random))
    loop = SeededLoop(random)
    world = _World(knobs, random, loop)
    with chance.drawn_from(random):
        broken = world.live()
    outcome = Outcome(seed, broken, loop.steps, loop.time(), tuple(world.referee.trace))
    world.end()
    return outcome


class _World:
    def __init__(self, knobs: Knobs, random: Random, loop: SeededLoop) -> None:
        self.knobs = knobs
        self.random = random
        self.loop = loop
        self.disk = Disk(fate=self._commit_fate, random=random)
        self.bus = AlarmBus()
        self.referee = Referee(self.disk, self.bus, wanted=knobs.orders)
        self.venue = Venue(knobs, random, loop, self._guard(self.referee.on_accept))
        self.referee.venue = self.venue
        self.disk.on_commit = self._guard(self.referee.on_commit)
        self.programs: list[Program] = []
        self._is_full = False

    def live(self) -> str | None:
        """What was broken, or ``None``."""
        last = 100 + int(STEPS_PER_S * self.knobs.storm_s)
        crashes = sorted(self.random.randint(20, last) for _ in range(self.knobs.crashes))
        self.loop.interruptions = [(step, self._crash) for step in reversed(crashes)]
        try:
            story = self.loop.create_task(self._story())
            ended = self.loop.run_until_done(story, limit_s=600.0, limit_steps=LIMIT_STEPS)
        except Violated as violation:
            return str(violation)
        if story.done():
            story.result()  # a mistake of ours
        if self.loop.broken:
            return self.loop.broken[0]
        return None if ended else f"no end after {self.loop.steps} steps"

    def end(self) -> None:
        self.loop.bury(program.run for program in self.programs)

    def _guard(self, judge: Callable[..., None]) -> Callable[..., None]:
        """Production catches much; what the referee finds must not be caught."""

        def judged(*args: Any) -> None:
            try:
                judge(*args)
            except Violated as violation:
                self.loop.broken.append(str(violation))

        return judged

    # The story.

    async def _story(self) -> None:
        self._boot()
        if self.knobs.is_doubled:
            self._later(self.random.random() * self.knobs.storm_s, self._double)
        people = [self.loop.create_task(work) for work in self._people()]
        people += [self.loop.create_task(work) for work in self._weather()]
        await asyncio.sleep(self.knobs.storm_s)
        self.venue.calm_down()
        self.loop.interruptions.clear()
        self._is_full = False
        await asyncio.gather(*people)
        await self._set_mode(TradingMode.ACTIVE)
        if not self._alive():
            self._boot()
        await self._quiet()
        self._judge_end()

    async def _quiet(self) -> None:
        """First everything uncertain must become known, then books and venue must agree, also
        after everything was read again; neither may take for ever."""
        calm_s, knobs = self.loop.time(), self.knobs
        while not self.referee.is_certain():
            await asyncio.sleep(2.0)
            if self.loop.time() > max(calm_s, self.venue.changed_s) + knobs.quiet_s:
                return
        while self.loop.time() < max(calm_s, self.venue.changed_s) + knobs.quiet_s + CYCLES_S:
            if self.referee.is_settled():
                await self._ask(lambda program: program.read_all())
                if self.referee.is_settled():
                    return
            await asyncio.sleep(2.0)

    def _judge_end(self) -> None:
        self._guard(self.referee.judge_end)(self.programs)

    def _people(self) -> "list[Coroutine[Any, Any, None]]":
        return [self._customer(number) for number in range(self.knobs.orders)] + [
            self._stranger() for _ in range(self.knobs.external)
        ]

    async def _customer(self, number: int) -> None:
        """Wants one order, and does not give up until there is an answer."""
        draw, knobs = self.random, self.knobs
        key, request = f"key-{number}", self._request()
        await asyncio.sleep(draw.random() * knobs.storm_s)
        posts = [self._post(key, request)]
        if draw.random() < knobs.double_post:
            posts.append(self._post(key, request, after_s=draw.random() * 5))
        await asyncio.gather(*posts)
        name = client_order_id(ACCOUNT, USER, key)
        if draw.random() < knobs.amend:
            quantity = Decimal(draw.randint(1, 9))
            price = PRICE + draw.randint(-3, 3)
            await self._ask(lambda program: program.amend(name, quantity, price))
        if draw.random() < knobs.cancel:
            await asyncio.sleep(draw.random() * 5)
            await self._ask(
                (lambda program: program.cancel_all())
                if draw.random() < 0.2
                else (lambda program: program.cancel(name))
            )

    def _request(self) -> OrderRequest:
        draw = self.random
        is_limit = draw.random() < 0.7
        return OrderRequest(
            account_id=ACCOUNT,
            symbol=PERPETUAL if self.knobs.is_perpetual and draw.random() < 0.5 else SPOT,
            side=draw.choice([Side.BUY, Side.SELL]),
            type=OrderType.LIMIT if is_limit else OrderType.MARKET,
            quantity=Decimal(draw.randint(1, 6)),
            limit_price=PRICE if is_limit else None,
            time_in_force=TimeInForce.GTC if is_limit else None,
        )

    async def _post(self, key: str, request: OrderRequest, after_s: float = 0.0) -> None:
        await asyncio.sleep(after_s)
        for _ in range(4):
            if await self._ask(lambda program: program.post(key, request)) is not None:
                return
            await asyncio.sleep(1.0 + self.random.random())

    async def _stranger(self) -> None:
        """Trades with the same account, not through us."""
        await asyncio.sleep(self.random.random() * self.knobs.storm_s)
        order = self.venue.create(self._request(), None, self.loop.time())
        await asyncio.sleep(self.random.random() * 10)
        if self.random.random() < 0.5:
            self.venue.end(order, order.status.CANCELED)

    async def _ask(self, make: Callable[[Program], Coroutine[Any, Any, T]]) -> T | None:
        """Ask one of the running programs; ``None``: no answer, or an error."""
        if not (alive := self._alive()):
            await asyncio.sleep(1.0)
            return None
        program = self.random.choice(alive)
        task = program.start(_heard(make, program))
        await asyncio.wait({task}, timeout=ANSWER_S)
        return task.result() if task.done() else None

    # Trouble.

    def _weather(self) -> "list[Coroutine[Any, Any, None]]":
        knobs, draw = self.knobs, self.random
        trouble = [self._outage(draw.uniform(1, 40)) for _ in range(knobs.outages)]
        trouble += [self._ban(draw.uniform(1, 10)) for _ in range(knobs.bans)]
        trouble += [self._stop() for _ in range(knobs.stops)]
        if knobs.full_disk:
            trouble.append(self._fill_disk(draw.uniform(1, 8)))
        if draw.random() < knobs.halt * 10:
            trouble.append(self._halt())
        return trouble

    async def _sometime(self) -> None:
        await asyncio.sleep(self.random.random() * self.knobs.storm_s)

    async def _outage(self, seconds: float) -> None:
        await self._sometime()
        if self.venue.is_stormy:
            self.venue.go_down(seconds)

    async def _ban(self, seconds: float) -> None:
        await self._sometime()
        if self.venue.is_stormy:
            self.venue.banned_until_s = self.loop.time() + seconds

    async def _fill_disk(self, seconds: float) -> None:
        await self._sometime()
        self._is_full = self.venue.is_stormy
        await asyncio.sleep(seconds)
        self._is_full = False

    async def _halt(self) -> None:
        await self._sometime()
        await self._set_mode(TradingMode.HALTED)
        await asyncio.sleep(self.random.random() * 10)
        await self._set_mode(TradingMode.ACTIVE)

    async def _set_mode(self, mode: TradingMode) -> None:
        switch = TradingSwitch(None, mode, "simulated", None, self.venue.now())

        async def save(program: Program) -> bool:
            async with program.database.begin() as tx:
                await tx.switches.save(switch)
            return True

        while await self._ask(save) is None:
            await asyncio.sleep(0.5)

    async def _stop(self) -> None:
        """A restart in good order."""
        await self._sometime()
        if alive := self._alive():
            program = self.random.choice(alive)
            task = program.start(program.stop())
            await asyncio.wait({task}, timeout=20.0)
            program.run.kill()
            self._later(self.random.random() * 3, self._boot_again)

    def _crash(self) -> None:
        if alive := self._alive():
            self.referee.note("crash")
            self.random.choice(alive).run.kill()
            wait_s = self.random.random() * (0.1 if self.random.random() < 0.5 else 10.0)
            self._later(wait_s, self._boot_again)

    def _boot_again(self) -> None:
        if not self._alive():
            self._boot()

    def _double(self) -> None:
        """Somebody starts the program a second time; one of the two ends a while later."""
        self._boot()
        self._later(self.random.random() * 20, self._undouble)

    def _undouble(self) -> None:
        if len(alive := self._alive()) > 1:
            self.random.choice(alive).run.kill()

    def _boot(self) -> None:
        self.referee.note("boot")
        name = f"run-{len(self.programs)}"
        program = Program(
            name, self.loop, self.disk, self.venue, self.bus, self._on_send, self._is_gone
        )
        self.programs.append(program)
        program.boot()

    def _on_send(self, program: Program, name: ClientOrderId) -> None:
        self._guard(self.referee.on_send)(program, name)

    def _is_gone(self, name: str) -> bool:
        if self.knobs.is_on_two_machines:
            return False
        return all(one.run.name != name or not one.is_alive for one in self.programs)

    def _alive(self) -> list[Program]:
        return [program for program in self.programs if program.is_alive]

    def _later(self, delay_s: float, do: Callable[[], object]) -> None:
        self.venue.later(delay_s, do)

    def _commit_fate(self) -> CommitFate:
        knobs, draw, venue = self.knobs, self.random, self.venue
        if self._is_full:
            return FULL
        wait_s = draw.random() * 3 if venue.chance(knobs.slow_commit) else 0.0
        if venue.chance(knobs.failed_commit):
            return CommitFate(wait_s, is_durable=False, error=LOST)
        if venue.chance(knobs.unheard_commit):
            return CommitFate(wait_s, error=LOST)
        return CommitFate(wait_s) if wait_s else GOOD


async def _heard(make: Callable[[Program], Coroutine[Any, Any, T]], program: Program) -> T | None:
    try:
        return await make(program)
    except AlphaPulseError:
        return None
