"""Business Logic: every service, on the main loop, over one database and one live state."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from alphapulse.database.connection import Database, open_database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.clock import Clock
from alphapulse.observability.health import Health
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.mailbox import Mailbox
from alphapulse.runtime.supervisor import Supervisor
from alphapulse.runtime.worker import Worker
from alphapulse.security.cipher import Cipher
from alphapulse.security.key_file import MasterKey
from alphapulse.security.passwords import Cost, Passwords
from alphapulse.security.tokens import TokenIssuer, TokenVerifier
from alphapulse.services.accounts import AccountService, Synchronization
from alphapulse.services.basis import BasisService
from alphapulse.services.database_watch import DatabaseWatch
from alphapulse.services.day_changes import DayChanges, IndexReader
from alphapulse.services.facts import FactsService
from alphapulse.services.history import HistoryService
from alphapulse.services.idempotency import IdempotentRequests
from alphapulse.services.key_vault import KeyVault
from alphapulse.services.ledger import LedgerService
from alphapulse.services.live_state import LiveState
from alphapulse.services.lots import LotService
from alphapulse.services.manual_prices import ManualPriceService
from alphapulse.services.market import MarketService
from alphapulse.services.net_worth_recorder import NetWorthRecorder
from alphapulse.services.order_amending import OrderAmender
from alphapulse.services.order_facts import OrderFacts
from alphapulse.services.order_placing import OrderPlacer
from alphapulse.services.order_preview import Previewer
from alphapulse.services.orders import OrderService
from alphapulse.services.past_portfolio import PastPortfolio
from alphapulse.services.portfolio import PortfolioService
from alphapulse.services.rebalancing.aims import Aims
from alphapulse.services.rebalancing.executor import Executor
from alphapulse.services.rebalancing.monitor import DriftMonitor
from alphapulse.services.rebalancing.past import CandleReader, PastReader
from alphapulse.services.rebalancing.planning import Planner
from alphapulse.services.rebalancing.runs import Runs
from alphapulse.services.rebalancing.settings import RebalanceSettings
from alphapulse.services.rebalancing.situation import Gatherer
from alphapulse.services.rebalancing.target_sets import TargetSetService
from alphapulse.services.system import SyncPicture, SystemService
from alphapulse.services.trading import TradingService
from alphapulse.services.trading_control import TradingControl
from alphapulse.services.trading_desk import TradingDesk
from alphapulse.services.trading_settings import TradingSettings
from alphapulse.services.transaction_export import ExportService
from alphapulse.services.transaction_import import ImportService
from alphapulse.services.upkeep import Upkeep
from alphapulse.services.users import UserService


class Synchronizer(Synchronization, TradingDesk, CandleReader, IndexReader, Protocol):
    """The exchange worker's service, as the services see it."""

    def report(self) -> SyncPicture: ...


@dataclass(frozen=True, slots=True)
class Services:
    """What the API calls. All of it belongs to the main loop."""

    supervisor: Supervisor
    clock: Clock
    live: LiveState
    portfolio: PortfolioService
    past: PastPortfolio
    history: HistoryService
    facts: FactsService
    market: MarketService
    accounts: AccountService
    orders: OrderService
    ledger: LedgerService
    imports: ImportService
    exports: ExportService
    lots: LotService
    basis: BasisService
    manual_prices: ManualPriceService
    trading: TradingService
    control: TradingControl
    planner: Planner
    runs: Runs
    target_sets: TargetSetService
    users: UserService
    system: SystemService


class BusinessLogic:
    """Makes the services when the main loop runs, and closes them with it.

    Args:
        inbox: the mailbox subscribed to `LiveState.EVENTS`.
        synchronizer: lives on ``exchange_worker`` and is called only through it.
        mailboxes: all of them, for the status page.
        is_simulated: accounts connected now live on the simulated exchange.
    """

    EVENTS = LiveState.EVENTS

    def __init__(
        self,
        *,
        database: DatabaseSettings,
        inbox: Mailbox,
        synchronizer: Synchronizer,
        exchange_worker: Worker,
        bus: EventBus,
        health: Health,
        mailboxes: tuple[Mailbox, ...],
        master_key: MasterKey,
        clock: Clock,
        is_simulated: bool,
        trading: TradingSettings = TradingSettings(),  # noqa: B008 - frozen
        rebalance: RebalanceSettings = RebalanceSettings(),  # noqa: B008 - frozen
        password_cost: Cost = Cost(),  # noqa: B008 - frozen
    ) -> None:
        self._settings = database
        self._inbox = inbox
        self._synchronizer = synchronizer
        self._worker = exchange_worker
        self._bus = bus
        self._health = health
        self._mailboxes = mailboxes
        self._master_key = master_key
        self._clock = clock
        self._is_simulated = is_simulated
        self._trading = trading
        self._rebalance = rebalance
        self._password_cost = password_cost

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Services]:
        """The services, until the block ends."""
        clock = self._clock
        async with (
            open_database(self._settings, name="api") as database,
            Supervisor("api", clock) as supervisor,
        ):
            live = LiveState(self._inbox, database)
            watch = DatabaseWatch(database, clock)
            users = UserService(
                database,
                TokenIssuer(self._master_key, clock),
                TokenVerifier(self._master_key, clock),
                Passwords(self._password_cost),
                clock,
            )
            await users.load()
            portfolio = PortfolioService(live, clock)
            recorder = NetWorthRecorder(database, live, portfolio, clock)
            live.listen(recorder.on_changes)
            requests = IdempotentRequests(database, secrets.token_hex(8))
            facts = OrderFacts(live, self._synchronizer, self._worker, clock, self._trading)
            trading = self._trading_service(database, live, facts, portfolio, requests)
            executor = Executor(database, trading, users, self._bus, clock, self._rebalance)
            lots = LotService(database, self._bus, clock)
            gatherer = self._gatherer(database, live, facts, portfolio, lots)
            past = PastReader(self._synchronizer, self._worker, clock, self._rebalance)
            aims = Aims(gatherer, past)
            planner = Planner(database, gatherer, aims, portfolio, clock, self._rebalance)
            runs = Runs(database, planner, requests, self._bus, clock, executor.wake)
            sets = TargetSetService(database, planner, aims, portfolio, clock)
            monitor = DriftMonitor(
                database, sets, planner, runs, users, self._bus, clock, self._rebalance
            )
            services = Services(
                supervisor=supervisor,
                clock=clock,
                live=live,
                portfolio=portfolio,
                past=PastPortfolio(database, live, portfolio, clock),
                history=HistoryService(database, live, clock),
                facts=FactsService(database, recorder, clock),
                market=MarketService(live, clock),
                accounts=AccountService(
                    database,
                    KeyVault(database, Cipher(self._master_key), clock),
                    self._synchronizer,
                    self._worker,
                    self._bus,
                    clock,
                    is_simulated=self._is_simulated,
                ),
                orders=OrderService(database),
                ledger=LedgerService(database, requests, self._bus, clock),
                imports=ImportService(database, requests, self._bus, clock),
                exports=ExportService(database),
                lots=lots,
                basis=BasisService(live),
                manual_prices=ManualPriceService(database, live, self._bus, clock),
                trading=trading,
                control=TradingControl(
                    database, facts, self._synchronizer, self._worker, clock, self._trading
                ),
                planner=planner,
                runs=runs,
                target_sets=sets,
                users=users,
                system=SystemService(
                    live,
                    database,
                    watch,
                    self._health,
                    self._synchronizer.report,
                    self._mailboxes,
                    clock,
                    is_simulated=self._is_simulated,
                ),
            )
            self._health.register(supervisor.name, supervisor.health)
            self._health.register("database", watch.health)
            supervisor.run("live state", live.run)
            supervisor.run("database watch", watch.run)
            live.listen(executor.on_changes)
            supervisor.run("upkeep", Upkeep(database, clock).run)
            supervisor.run("net worth", recorder.run)
            supervisor.run("facts", services.facts.run)
            day_changes = DayChanges(live, self._synchronizer, self._worker, clock)
            supervisor.run("day changes", day_changes.run)
            with services.system.heartbeat.beating():
                async with trading.running():
                    supervisor.run("rebalances", executor.run)
                    supervisor.run("drift", monitor.run)
                    try:
                        yield services
                    finally:
                        # Before the requests that are under way are waited for.
                        await supervisor.cancel("drift")
                        await supervisor.cancel("rebalances")

    def _trading_service(
        self,
        database: Database,
        live: LiveState,
        facts: OrderFacts,
        portfolio: PortfolioService,
        requests: IdempotentRequests,
    ) -> TradingService:
        settings, clock, desk, worker = (
            self._trading,
            self._clock,
            self._synchronizer,
            self._worker,
        )
        placer = OrderPlacer(database, facts, requests, desk, worker, self._bus, clock, settings)
        return TradingService(
            database,
            facts,
            placer,
            OrderAmender(database, facts, placer, desk, worker),
            Previewer(facts, live, portfolio),
            requests,
            desk,
            worker,
        )

    def _gatherer(
        self,
        database: Database,
        live: LiveState,
        facts: OrderFacts,
        portfolio: PortfolioService,
        lots: LotService,
    ) -> Gatherer:
        settings, clock, reader = self._rebalance, self._clock, self._synchronizer
        return Gatherer(
            database, live, facts, portfolio, lots, reader, self._worker, clock, settings
        )
