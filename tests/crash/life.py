"""A life: one run of the program under test, from its start to its end or its death.

The production order path on a real database: the trading service on the main loop, the synchronizer
with its desk on the exchange worker. Only the venue is not real. The user asks for the same things
in every life, under the same keys, as one does who got no answer.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from alphapulse.database.connection import Database, open_database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain import order_states
from alphapulse.domain.identifiers import Asset, ClientOrderId, ExchangeId
from alphapulse.domain.intent import client_order_id
from alphapulse.domain.order import Order, OrderRequest, OrderStatus
from alphapulse.domain.trading import CycleOutcome
from alphapulse.errors import AlphaPulseError, OrderOutcomeUnknown, OrderRejected
from alphapulse.exchanges.port import TradingExchange
from alphapulse.pipeline.execution.settings import ExecutionSettings
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.pipeline.sync.synchronizer import Synchronizer
from alphapulse.runtime import crash_points
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.clock import SystemClock
from alphapulse.runtime.mailbox import Mailbox
from alphapulse.runtime.worker import Worker
from alphapulse.services.idempotency import Answer, IdempotentRequests, RequestKey
from alphapulse.services.live_state import LiveState
from alphapulse.services.order_amending import OrderAmender
from alphapulse.services.order_facts import OrderFacts
from alphapulse.services.order_placing import NewOrder, OrderPlacer, PlacedOrder
from alphapulse.services.order_preview import Previewer
from alphapulse.services.orders import id_of
from alphapulse.services.portfolio import PortfolioService
from alphapulse.services.trading import TradingService
from alphapulse.services.trading_settings import TradingSettings
from alphapulse.services.viewer import Caller, Viewer
from tests.builders import ACCOUNT, USER, make_intent, make_request
from tests.crash.points import Killer
from tests.crash.wire import RemoteExchange, RemoteProvider, RemoteVenue
from tests.fixtures.scripted_exchange import OneKey

S = OrderStatus

SYNC = SyncSettings(
    reference_exchange=None,
    polling_interval_s=5.0,
    price_polling_interval_s=60.0,
    stream_retry_max_s=0.1,
    probe_interval_max_s=0.05,
    first_read_within_s=0.0,
    order_grace_s=0.0,
)
EXECUTION = ExecutionSettings(
    send_timeout_s=30.0,  # the exchange itself gives up before
    ready_within_s=30.0,
    prepared_max_s=30.0,
    clock_error_s=0.0,
    look_interval_s=0.02,
    reconcile_interval_s=60.0,
    stop_s=0.1,
)
NO_LIMITS = TradingSettings(
    max_order_value=None,
    max_daily_value=None,
    orders_per_minute=None,
    price_band_pct=None,
    max_price_age_s=None,
    max_spread_pct=None,
)
UNDECIDED = {S.PREPARED, S.SENDING, S.UNKNOWN, S.CANCEL_PENDING}
CALLER = Caller(USER, USER, Viewer(Asset("USD"), None))
ROUNDS, ROUNDS_AT_LAST = 12, 1000


class Then(StrEnum):
    """What the user does after an order was placed."""

    NOTHING = "nothing"
    CANCEL = "cancel"
    AMEND = "amend"
    RELEASE = "release"
    """Before: the account is paused while the order is placed, and resumed."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One order that the user wants, under a key of his own."""

    key: str
    then: Then = Then.NOTHING

    @property
    def name(self) -> ClientOrderId:
        return client_order_id(ACCOUNT, USER, self.key)

    @property
    def request(self) -> OrderRequest:
        return make_request(quantity=Decimal(1))


class Variant(StrEnum):
    """The program as it is, and three wrong ones that the harness must convict."""

    TRUE = "true"
    SENDS_FIRST = "sends first"
    SENDS_AGAIN = "sends again"
    TAKES_SILENCE_FOR_NO = "takes silence for no"


@dataclass(frozen=True, slots=True)
class Life:
    """Where and how one life runs, and when it ends."""

    database: str
    exchange: ExchangeId
    port: int
    wishes: tuple[Wish, ...]
    patience_s: float
    point: str = ""
    unacknowledged: str = ""
    kill_after_s: float | None = None
    is_last: bool = False
    variant: Variant = Variant.TRUE


class SendingAgain(RemoteExchange):
    """Wrong: no answer is taken for no order."""

    async def create_order(self, request: OrderRequest, name: ClientOrderId) -> Order:
        for _ in range(2):
            with suppress(OrderOutcomeUnknown):
                return await self.venue.ask("create_order", request, name)  # type: ignore[no-any-return]
        raise OrderOutcomeUnknown("no answer, twice")


class TakingSilenceForNo(RemoteExchange):
    """Wrong: no answer is taken for a refusal."""

    async def create_order(self, request: OrderRequest, name: ClientOrderId) -> Order:
        try:
            return await self.venue.ask("create_order", request, name)  # type: ignore[no-any-return]
        except OrderOutcomeUnknown as error:
            raise OrderRejected(error.message) from error


EXCHANGES = {
    Variant.SENDS_AGAIN: SendingAgain,
    Variant.TAKES_SILENCE_FOR_NO: TakingSilenceForNo,
}


async def live(life: Life) -> None:
    """Do what the user wants, let everything settle, and stop; or die on the way."""
    killer = Killer(life.point, life.unacknowledged)
    crash_points.on_reached = killer.in_transaction
    venue = RemoteVenue(life.port, life.patience_s, killer.in_request)
    provider = RemoteProvider(EXCHANGES.get(life.variant, RemoteExchange), venue)
    settings, clock, bus = DatabaseSettings(url=life.database), SystemClock(), EventBus()
    synchronizer = Synchronizer(SYNC, settings, provider, lambda _: OneKey(), bus, clock, EXECUTION)
    worker = Worker("exchange", synchronizer.running)
    async with open_database(settings, name="api") as database:
        await worker.start()
        try:
            async with _trading(database, synchronizer, worker, bus) as trading:
                exchange = provider.open(life.exchange, ACCOUNT, None)
                user = User(life, database, synchronizer, worker, trading, exchange)
                await asyncio.gather(*map(user.fulfil, life.wishes))
                await user.until_settled()
        finally:
            await worker.stop()


@asynccontextmanager
async def _trading(
    database: Database, synchronizer: Synchronizer, worker: Worker, bus: EventBus
) -> AsyncIterator[TradingService]:
    """Put together as `BusinessLogic` does it."""
    clock = SystemClock()
    live_state = LiveState(Mailbox("crash", 1000), database)
    await live_state.load()
    facts = OrderFacts(live_state, synchronizer, worker, clock, NO_LIMITS)
    requests = IdempotentRequests(database, "crash")
    placer = OrderPlacer(database, facts, requests, synchronizer, worker, bus, clock, NO_LIMITS)
    trading = TradingService(
        database,
        facts,
        placer,
        OrderAmender(database, facts, placer, synchronizer, worker),
        Previewer(facts, live_state, PortfolioService(live_state, clock)),
        requests,
        synchronizer,
        worker,
    )
    async with trading.running():
        yield trading


class User:
    """Asks for everything again in each life."""

    def __init__(
        self,
        life: Life,
        database: Database,
        synchronizer: Synchronizer,
        worker: Worker,
        trading: TradingService,
        exchange: TradingExchange,
    ) -> None:
        self._life = life
        self._exchange = exchange
        self._database = database
        self._synchronizer = synchronizer
        self._worker = worker
        self._trading = trading

    async def fulfil(self, wish: Wish) -> None:
        """One order and what follows; what is refused is said to the user, who lives with it."""
        with suppress(AlphaPulseError):
            if wish.then is Then.RELEASE:
                await self._worker.call(lambda: self._synchronizer.release(ACCOUNT))
            await self._place(wish)
        with suppress(AlphaPulseError):
            await self._do_then(wish)

    async def until_settled(self) -> None:
        """Until nothing is left undecided and the books are right; not for ever, while the venue
        misbehaves."""
        for _ in range(ROUNDS_AT_LAST if self._life.is_last else ROUNDS):
            if self._synchronizer.takes_orders(ACCOUNT):
                report = await self._worker.call(lambda: self._synchronizer.reconcile(ACCOUNT))
                is_right = report.outcome is CycleOutcome.CLEAN and not report.differences
                if is_right and not await self._is_undecided():
                    return
            await asyncio.sleep(0.02)

    async def _place(self, wish: Wish) -> None:
        if self._life.variant is Variant.SENDS_FIRST:
            await self._send_first(wish)
        else:
            wanted = NewOrder(wish.request, allow_duplicate=True)
            await self._trading.place(CALLER, wanted, _key(wish.key), _composed)

    async def _do_then(self, wish: Wish) -> None:
        order_id = f"{ACCOUNT}.{wish.name}"
        if wish.then is Then.CANCEL:
            await self._trading.cancel(CALLER, order_id)
        elif wish.then is Then.AMEND:
            await self._trading.amend(
                CALLER,
                order_id,
                quantity=Decimal("1.5"),
                limit_price=Decimal(64001),
                key=_key(f"{wish.key} amended"),
                compose=_composed,
            )
        elif wish.then is Then.RELEASE:
            await self._worker.call(lambda: self._synchronizer.adopt(ACCOUNT))

    async def _is_undecided(self) -> bool:
        async with self._database.read() as tx:
            return any(o.status in UNDECIDED for o in await tx.orders.unsettled(ACCOUNT))

    async def _send_first(self, wish: Wish) -> None:
        """Wrong: what was sent is written down afterwards."""
        async with self._database.read() as tx:
            if wish.name in await tx.intents.named([wish.name]):
                return
        described = await self._exchange.create_order(wish.request, wish.name)
        now = SystemClock().now()
        order = order_states.prepared(wish.request, self._life.exchange, wish.name, now)
        async with self._database.begin() as tx:
            await tx.orders.add(order_states.moved(order, S.SENDING, now))
            await tx.intents.add(make_intent(wish.key, request=wish.request))
            await tx.orders.record([described], now)


def _key(key: str) -> RequestKey:
    return RequestKey(USER, key, "hash")


def _composed(placed: PlacedOrder) -> Answer:
    return Answer(201, "{}", id_of(placed.order))
