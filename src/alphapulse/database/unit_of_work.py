"""Database Layer: a unit of work is one transaction and every repository in it.

The block is the transaction: what it wrote is durable when the block has ended without an error,
and gone when it ended with one. Answer, publish and send only after the block.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from alphapulse.database.adapters.adapter import DatabaseAdapter, Store
from alphapulse.database.repositories.accounts import Accounts
from alphapulse.database.repositories.alerts import Alerts
from alphapulse.database.repositories.balances import Balances
from alphapulse.database.repositories.basis_words import Repairs, Transfers
from alphapulse.database.repositories.bookkeeping import Bookkeeping
from alphapulse.database.repositories.candles import Candles
from alphapulse.database.repositories.credentials import StoredCredentials
from alphapulse.database.repositories.fills import FillCursors, Fills
from alphapulse.database.repositories.idempotency import IdempotencyKeys
from alphapulse.database.repositories.imports import Imports
from alphapulse.database.repositories.instruments import Instruments
from alphapulse.database.repositories.intents import Intents
from alphapulse.database.repositories.ledger import FlowCursors, Ledger
from alphapulse.database.repositories.manual_prices import ManualPrices
from alphapulse.database.repositories.net_worth import NetWorth
from alphapulse.database.repositories.orders import Orders
from alphapulse.database.repositories.positions import Positions
from alphapulse.database.repositories.rates import StoredRates
from alphapulse.database.repositories.rebalances import Rebalances, TargetSets
from alphapulse.database.repositories.reconciliations import Reconciliations
from alphapulse.database.repositories.sessions import Sessions
from alphapulse.database.repositories.sync_status import SyncStatuses
from alphapulse.database.repositories.tickers import Tickers
from alphapulse.database.repositories.trading import Leases, Limits, Switches
from alphapulse.database.repositories.users import SetupCodes, Users
from alphapulse.database.statements import Statements, translated
from alphapulse.runtime import crash_points


class UnitOfWork:
    """The repositories of the money store, in one transaction."""

    def __init__(self, statements: Statements) -> None:
        self.statements = statements
        self.accounts = Accounts(statements)
        self.credentials = StoredCredentials(statements)
        self.balances = Balances(statements)
        self.positions = Positions(statements)
        self.orders = Orders(statements)
        self.intents = Intents(statements)
        self.idempotency_keys = IdempotencyKeys(statements)
        self.leases = Leases(statements)
        self.switches = Switches(statements)
        self.limits = Limits(statements)
        self.reconciliations = Reconciliations(statements)
        self.rebalances = Rebalances(statements)
        self.target_sets = TargetSets(statements)
        self.ledger = Ledger(statements)
        self.net_worth = NetWorth(statements, self.ledger)
        self.imports = Imports(statements, self.ledger)
        self.fills = Fills(statements, self.ledger)
        self.fill_cursors = FillCursors(statements)
        self.flow_cursors = FlowCursors(statements)
        self.rates = StoredRates(statements)
        self.manual_prices = ManualPrices(statements)
        self.repairs = Repairs(statements)
        self.transfers = Transfers(statements)
        self.bookkeeping = Bookkeeping(statements)
        self.sync_status = SyncStatuses(statements)
        self.instruments = Instruments(statements)
        self.users = Users(statements)
        self.sessions = Sessions(statements)
        self.setup_codes = SetupCodes(statements)
        self.alerts = Alerts(statements)


class MarketUnitOfWork:
    """The repositories of the market store, in one transaction."""

    def __init__(self, statements: Statements) -> None:
        self.statements = statements
        self.tickers = Tickers(statements)
        self.candles = Candles(statements)


@asynccontextmanager
async def writing(adapter: DatabaseAdapter, store: Store) -> AsyncIterator[Statements]:
    """A transaction that is committed when the block ends well.

    Raises:
        DatabaseBusy: no turn, connection or lock within the time allowed; nothing was written.
        DatabaseUnavailable: the database is gone, full or refuses us.
        Conflict: a rule of the tables would be broken.
    """
    crash_points.reached("before")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(adapter.turn(store))
        with translated(adapter):
            # Closing gives the connection back, and takes back what was not committed.
            connection = await stack.enter_async_context(adapter.writer(store).connect())
            await connection.begin()
            await adapter.begin_writing(connection, store)
        yield Statements(connection, adapter)
        crash_points.reached("in")
        with translated(adapter):
            await connection.commit()
        crash_points.reached("after")


@asynccontextmanager
async def reading(adapter: DatabaseAdapter, store: Store) -> AsyncIterator[Statements]:
    """One snapshot, read-only."""
    async with AsyncExitStack() as stack:
        with translated(adapter):
            connection = await stack.enter_async_context(adapter.reader(store).connect())
            await connection.begin()
        yield Statements(connection, adapter)
