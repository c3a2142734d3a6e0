"""Runs: a user's wishes through several lives, most of them killed, and what came of it."""

import random
import signal
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from loguru import logger
from sqlalchemy import select

from alphapulse.database.connection import open_database
from alphapulse.database.repositories.orders import ORDER
from alphapulse.domain.identifiers import ExchangeId
from alphapulse.domain.order import Order, OrderStatus
from tests.builders import ACCOUNT
from tests.crash.life import Life, Then, Variant, Wish
from tests.crash.stores import Store
from tests.crash.venue import Fault, VenueServer, Weather
from tests.crash.zygote import Zygote

S = OrderStatus

BINANCE, BYBIT = ExchangeId("binance"), ExchangeId("bybit")
THENS = (Then.NOTHING, Then.NOTHING, Then.CANCEL, Then.AMEND)
LIVES_AT_RISK = 3
RANDOM_SHARE = 0.15
FAULTY_SHARE = 0.25
FAULTY_SHARE_OF_READS = 0.03
HITS_MIN = 3
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
PATIENCE_S = 0.2
PATIENCE_AT_LAST_S = 60.0


@dataclass(frozen=True, slots=True)
class Aim:
    """What leads to a point that chance would rarely find."""

    then: Then = Then.NOTHING
    faults: tuple[tuple[str, Fault], ...] = ()
    unacknowledged: str = ""


AIMS = {
    "OrderAmender._give_back": Aim(Then.AMEND, (("amend_order", Fault.REFUSED),)),
    "OrderAmender._reserve": Aim(Then.AMEND),
    "OrderCanceler._marked": Aim(Then.CANCEL),
    "OrderCanceler._unmark": Aim(Then.CANCEL, (("cancel_order", Fault.REFUSED),)),
    "OrderCanceler._not_amended": Aim(Then.AMEND, (("amend_order", Fault.REFUSED),)),
    "OrderCanceler.amend": Aim(Then.AMEND),
    "OrderPlacer._withdrawn": Aim(Then.RELEASE),
    "OrderResolver._doubt_orphans": Aim(unacknowledged="OrderSender._claim"),
    "OrderResolver._give_up": Aim(faults=(("create_order", Fault.SWALLOWED),)),
    "OrderResolver._record": Aim(faults=(("create_order", Fault.CUT),)),
    "OrderSender.withdraw": Aim(faults=(("prepare_order", Fault.FAILED_BEFORE),)),
    "amend_order": Aim(Then.AMEND),
    "cancel_order": Aim(Then.CANCEL),
    "fetch_order": Aim(faults=(("create_order", Fault.CUT),)),
    "fetch_orders_since": Aim(faults=(("create_order", Fault.SWALLOWED),)),
}


def _aim(point: str) -> Aim:
    return AIMS.get(point.partition(":")[0], Aim())


@dataclass
class Tally:
    """What a number of runs came to; ``lives`` are with the last ones, that were not killed."""

    runs: int = 0
    lives: int = 0
    kills: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    """How often a life ended at each point."""
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.runs} runs, {self.lives} lives, {self.kills} kills, {len(self.hits)} points"


class Campaign:
    """Runs over one store, one after the other, until every point was hit and enough was killed."""

    def __init__(
        self,
        store: Store,
        zygote: Zygote,
        points: tuple[str, ...],
        *,
        seed: int,
        variant: Variant = Variant.TRUE,
    ) -> None:
        self._store = store
        self._zygote = zygote
        self._points = points
        self._chance = random.Random(seed)
        self._variant = variant
        self.tally = Tally()

    async def kill(self, times: int) -> None:
        """At least so often, and at each point at least `HITS_MIN` times, if that is possible."""
        tally = self.tally
        while (tally.kills < times or self.missing) and tally.runs < times:
            await self.run()
        logger.bind(missing=self.missing).info(f"{tally}")

    @property
    def missing(self) -> list[str]:
        """Points where not enough lives have ended."""
        return [point for point in self._points if self.tally.hits[point] < HITS_MIN]

    async def run(self) -> None:
        """One user, one venue, one database: lives that are killed, and a last one that is not.

        The user asks for one thing more in each life, and for all the others again.
        """
        tally, chance = self.tally, self._chance
        tally.runs += 1
        exchange = chance.choice((BINANCE, BYBIT, BYBIT))
        await self._store.renew(exchange)
        weather = Weather(chance, FAULTY_SHARE, FAULTY_SHARE_OF_READS)
        venue = VenueServer(exchange, weather, self._store.is_claimed)
        wishes: list[Wish] = []
        async with venue.listening():
            for number in range(LIVES_AT_RISK):
                point, aim = self._target(exchange)
                wishes.append(Wish(f"{tally.runs}-{number}", aim.then))
                weather.next = dict(aim.faults)
                life = self._life(venue, wishes, PATIENCE_S)
                await self._risk(replace(life, unacknowledged=aim.unacknowledged), point)
            # From now on the venue behaves, and everything must come to rest.
            weather.calm()
            calm = replace(self._life(venue, wishes, PATIENCE_AT_LAST_S), is_last=True)
            assert await self._zygote.live(calm) == 0
            tally.lives += 1
        tally.violations += [f"run {tally.runs}: {one}" for one in await self._judge(venue)]

    def _life(self, venue: VenueServer, wishes: list[Wish], patience_s: float) -> Life:
        url, exchange = self._store.settings.url, venue.venue.exchange
        return Life(url, exchange, venue.port, tuple(wishes), patience_s, variant=self._variant)

    async def _risk(self, life: Life, point: str) -> None:
        """One life that is to end at ``point``, or at a random moment."""
        tally = self.tally
        if self._chance.random() < RANDOM_SHARE:
            dying = replace(life, kill_after_s=self._chance.uniform(0.02, 0.5))
        else:
            dying = replace(life, point=point)
        ended = await self._zygote.live(dying)
        tally.lives += 1
        if ended:
            assert ended == signal.SIGKILL
            tally.kills += 1
            tally.hits[dying.point] += 1
            if not await self._store.is_whole():
                tally.violations.append(f"run {tally.runs}: the database is damaged")

    def _target(self, exchange: ExchangeId) -> tuple[str, Aim]:
        """A point that is still missing, else any, and what leads there."""
        for points in (self.missing, self._points):
            possible = [one for one in points if _aim(one).then is not Then.AMEND]
            if exchange == BYBIT:  # the one that changes orders in place
                possible = list(points)
            if possible:
                point = self._chance.choice(possible)
                aim = _aim(point)
                then = aim.then if aim.then is not Then.NOTHING else self._chance.choice(THENS)
                return point, replace(aim, then=then)
        raise AssertionError("there are no points")

    async def _judge(self, venue: VenueServer) -> list[str]:
        """What must not be, by the venue's memory and the database."""
        settings = self._store.settings
        async with open_database(settings, name="judge") as database, database.read() as tx:
            known = [ORDER.read(row) for row in await tx.statements.rows(select(*ORDER.columns))]
            fills = await tx.fills.since(ACCOUNT, LONG_AGO)
            intents = await tx.intents.named(venue.arrived)
            books = await tx.reconciliations.books(ACCOUNT)
        wrong = [f"{name} was sent before it was durable" for name in venue.premature]
        wrong += [f"{name} was sent {n} times" for name, n in venue.arrived.items() if n > 1]
        wrong += [f"{name} has no intent" for name in venue.arrived.keys() - intents.keys()]
        wrong += _compared(venue.venue.orders.values(), known, venue.refused)
        wrong += [f"{book.subject} is off by {book.off_by}" for book in books if book.off_by]
        if {one.trade_id for one in fills} != {one.trade_id for one in venue.venue.fills}:
            wrong.append(f"{len(fills)} fills are known of {len(venue.venue.fills)}")
        return wrong


def _compared(
    there: Collection[Order], known: Collection[Order], refused: Collection[str]
) -> list[str]:
    """Where the orders of the venue and ours are not the same ones."""
    wrong = []
    by_name = {order.client_order_id: order for order in known if order.is_ours}
    doubled = Counter(order.client_order_id for order in there)
    wrong += [f"{name} is {n} orders" for name, n in doubled.items() if n > 1]
    wrong += [f"{order.key} is foreign to us" for order in known if not order.is_ours]
    for order in there:
        ours = by_name.pop(order.client_order_id, None)
        if ours is None:
            wrong.append(f"{order.client_order_id} is lost")
        elif (ours.status, ours.filled_quantity) != (order.status, order.filled_quantity):
            wrong.append(f"{ours.key} is {ours.status} here and {order.status} there")
    for name, ours in by_name.items():
        ends = {S.WITHDRAWN, S.NOT_PLACED} | ({S.REJECTED} if name in refused else set())
        if ours.status not in ends:
            wrong.append(f"{name} is {ours.status} here and does not exist there")
    return wrong
