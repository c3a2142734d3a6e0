"""Exchange Data Synchronizer: the exchange worker's service."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal

from alphapulse.database.connection import Database, open_database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.account import KeyCheck
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import TaskFaulted, TaskRestarted
from alphapulse.domain.identifiers import AccountId, Asset, ClientOrderId, ExchangeId, Symbol
from alphapulse.domain.market import Candle, Timeframe
from alphapulse.domain.order import Order
from alphapulse.domain.sync import SyncKind
from alphapulse.domain.trading import CycleReport
from alphapulse.errors import WorkerStopped
from alphapulse.exchanges.port import (
    Credentials,
    ExchangeProvider,
    FeeRates,
    MinuteClose,
    OrderBook,
)
from alphapulse.pipeline.execution.settings import ExecutionSettings
from alphapulse.pipeline.sync.context import CredentialVault, SyncContext
from alphapulse.pipeline.sync.groups import SyncGroups
from alphapulse.pipeline.sync.key_check import check_key
from alphapulse.pipeline.sync.past_rates import PastRates
from alphapulse.pipeline.sync.report import SyncReport, picture
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.pipeline.sync.status import StatusBoard
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.process import this_process
from alphapulse.runtime.supervisor import Supervisor

PULSE_S = 0.25  # "stale within 5 s" leaves no room for a slower look

# Adapters ask for an account id to stamp on what they read; what a key check reads is not kept.
UNSAVED = AccountId("unsaved")


class Synchronizer:
    """Keeps the database equal to the exchanges, for as long as `running` is entered.

    `report` may be read from any thread; everything else belongs to the loop of `running`, so
    other threads reach it through `Worker.call`.

    Args:
        vault: makes the vault on the loop it will be used on, from the database of that loop.
    """

    def __init__(
        self,
        settings: SyncSettings,
        database: DatabaseSettings,
        provider: ExchangeProvider,
        vault: Callable[[Database], CredentialVault],
        bus: EventBus,
        clock: Clock,
        execution: ExecutionSettings = ExecutionSettings(),  # noqa: B008 - frozen
    ) -> None:
        self._settings = settings
        self._execution = execution
        self._process = this_process()
        self._database = database
        self._provider = provider
        self._vault = vault
        self._bus = bus
        self._clock = clock
        self._groups: SyncGroups | None = None
        self._report = SyncReport(at=clock.now())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Synchronize until the block ends."""
        async with open_database(self._database, name="exchange") as database:
            board = StatusBoard(database, self._bus, self._clock)
            await board.load()
            context = SyncContext(
                self._settings,
                database,
                self._bus,
                self._clock,
                board,
                self._execution,
                self._process,
            )
            supervisor = Supervisor("synchronizer", self._clock)
            groups = SyncGroups(context, self._provider, self._vault(database), supervisor)
            try:
                async with supervisor:
                    supervisor.run("status", board.keep_saving)
                    await groups.start()
                    supervisor.run("past rates", PastRates(groups.venues, context).chore.job.run)
                    supervisor.run("pulse", lambda: self._pulse(groups, supervisor, board))
                    self._groups = groups
                    yield
            finally:
                self._groups = None
                await groups.close()

    async def check_credentials(self, exchange: ExchangeId, credentials: Credentials) -> KeyCheck:
        """Try a key that is not stored yet, step by step; it never raises what the venue says.

        Raises:
            InvalidInput: no such exchange, or it needs a field that is missing.
        """
        opened = self._provider.open(exchange, UNSAVED, credentials)
        try:
            return await check_key(opened)
        finally:
            await opened.close()

    async def adopt(self, account_id: AccountId) -> None:
        """Begin to sync an account that was created, resumed or given a new key.

        Raises:
            NotFound: no such account.
        """
        await self._running_groups().adopt(account_id)

    async def release(self, account_id: AccountId) -> None:
        """Stop to sync an account that was paused, or that is going to be removed."""
        await self._running_groups().release(account_id)

    async def sync_now(
        self,
        account_id: AccountId | None = None,
        kinds: Collection[SyncKind] = frozenset(SyncKind),
        *,
        timeout_s: float = 30.0,
    ) -> bool:
        """Read now and return when that has ended, or after ``timeout_s``; the statuses tell how.

        Returns:
            Whether it has ended, well or badly; if not, it goes on.

        Raises:
            Conflict: this account is not being synchronized.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._running_groups().sync_now(account_id, kinds)
        except TimeoutError:
            return False
        return True

    def takes_orders(self, account_id: AccountId) -> bool:
        """Whether what an earlier run left behind is known, so that new orders are sent."""
        groups = self._groups
        account = None if groups is None else groups.accounts.get(account_id)
        return account is not None and account.desk.is_open

    async def place_order(self, account_id: AccountId, name: ClientOrderId) -> Order:
        """Send a prepared order, once, however often it is asked; the order as recorded.

        Raises:
            Conflict: this account is not being synchronized; nothing was sent.
            DatabaseError: the claim was not written; nothing was sent.
        """
        return await self._running_groups().account(account_id).desk.place(name)

    async def cancel_order(self, account_id: AccountId, key: str) -> Order:
        """As `OrderCanceler.cancel`. Raises `Conflict` as above."""
        return await self._running_groups().account(account_id).desk.cancel(key)

    async def cancel_all(self, account_id: AccountId, symbol: Symbol | None) -> tuple[Order, ...]:
        """As `OrderDesk.cancel_all`. Raises `Conflict` as above."""
        return await self._running_groups().account(account_id).desk.cancel_all(symbol)

    async def amend_order(
        self,
        account_id: AccountId,
        key: str,
        quantity: Decimal | None,
        limit_price: Decimal | None,
    ) -> Order:
        """As `OrderCanceler.amend`. Raises `Conflict` as above."""
        desk = self._running_groups().account(account_id).desk
        return await desk.amend(key, quantity, limit_price)

    async def market_view(
        self, account_id: AccountId, symbol: Symbol, depth: int
    ) -> tuple[OrderBook, FeeRates]:
        """What an order would meet now, and cost. Raises `Conflict` as above."""
        exchange = self._running_groups().account(account_id).exchange
        async with asyncio.TaskGroup() as tasks:
            book = tasks.create_task(exchange.fetch_order_book(symbol, depth))
            fees = tasks.create_task(exchange.fetch_fee_rates(symbol))
        return book.result(), fees.result()

    async def fetch_candles(
        self,
        exchange: ExchangeId,
        symbol: Symbol,
        timeframe: Timeframe,
        since: datetime,
        limit: int,
    ) -> tuple[Candle, ...]:
        """One page of a market's past, as `Exchange.fetch_candles`. Raises `Conflict` when this
        exchange is not being synchronized."""
        venue = self._running_groups().venue(exchange)
        async with venue.gate.request():
            return await venue.exchange.fetch_candles(symbol, timeframe, since, limit)

    async def fetch_usd_index(
        self, exchange: ExchangeId, asset: Asset, since: datetime, limit: int
    ) -> tuple[MinuteClose, ...]:
        """As `Exchange.fetch_usd_index`, with what others leave of the rate budget. Raises
        `Conflict` as above."""
        venue = self._running_groups().venue(exchange)
        async with venue.gate.spare_request(lambda: venue.exchange.budget_used):
            return await venue.exchange.fetch_usd_index(asset, since, limit)

    async def reconcile(self, account_id: AccountId) -> CycleReport:
        """Compare an account with its venue now. Raises `Conflict` as above."""
        account = self._running_groups().account(account_id)
        return await account.settlement.reconciler.cycle("asked")

    def report(self) -> SyncReport:
        """How everything is, at most a quarter of a second ago; from any thread."""
        return self._report

    def _running_groups(self) -> SyncGroups:
        if self._groups is None:
            raise WorkerStopped("the synchronizer does not run")
        return self._groups

    async def _pulse(self, groups: SyncGroups, supervisor: Supervisor, board: StatusBoard) -> None:
        faulted: dict[str, str] = {}
        while True:
            groups.pulse()
            self._report = picture(groups, supervisor, board.statuses, self._clock)
            before, faulted = faulted, self._report.faulted
            for task in faulted.keys() - before.keys():
                self._bus.publish(TaskFaulted(task, faulted[task]))
            for task in before.keys() - faulted.keys():
                self._bus.publish(TaskRestarted(task))
            await asyncio.sleep(PULSE_S)
