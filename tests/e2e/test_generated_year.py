"""A year of three accounts, generated: what we recorded of it is what the simulator did.

Spot and perpetual, fees in the coin, in money and in the venue's own, deposits, payments between
the accounts, interest, dust, funding, a delisting.
"""

from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.identifiers import AccountId, ExchangeId
from alphapulse.domain.ledger import Book
from alphapulse.domain.order import Side
from alphapulse.domain.sync import SyncKind, SyncState
from alphapulse.exchanges.factory import ExchangeFactory
from alphapulse.exchanges.settings import ExchangesSettings
from alphapulse.pipeline.execution.settings import ExecutionSettings
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.runtime.clock import SystemClock
from alphapulse.simulator.core.events import Cause
from alphapulse.simulator.core.instrument import Category, MarketStatus
from alphapulse.simulator.settings import (
    GeneratorSettings,
    SimulatedAccountSettings,
    SimulatorSettings,
)
from alphapulse.simulator.simulator import Simulator
from tests.builders import make_account
from tests.eventually import eventually
from tests.fixtures.sync import KeyOfEach, Sync, running_sync

BOOKS = {
    Cause.DEPOSIT: Book.EXTERNAL,
    Cause.WITHDRAWAL: Book.EXTERNAL,
    Cause.TRANSFER: Book.TRANSIT,
    Cause.CONVERSION: Book.TRADES,
    Cause.REWARD: Book.INCOME,
    Cause.INTEREST: Book.INCOME,
    Cause.FUNDING: Book.FUNDING,
}
"""Where what came in came from."""

YEAR = timedelta(days=365)
GONE = "ADA"
COINS = {
    "USDT": Decimal(20_000),
    "BTC": Decimal("0.5"),
    "ETH": Decimal(5),
    "BNB": Decimal(20),
    GONE: Decimal(5_000),
    "LTC": Decimal("0.00000731"),
}
# Binance tells what happened to futures for three months only: there it is spot that is proved.
ACCOUNTS = (
    SimulatedAccountSettings(venue="binance", label="one", deposits=COINS, fee_asset="BNB"),
    SimulatedAccountSettings(venue="binance", label="two", deposits=COINS),
    SimulatedAccountSettings(
        venue="bybit",
        label="three",
        deposits={**COINS, "USDT": Decimal(60_000)},
        positions={"BTCUSDT": Decimal("0.05"), "ETHUSDT": Decimal("-0.5")},
    ),
)


@pytest.fixture
async def year() -> AsyncIterator[Simulator]:
    settings = SimulatorSettings(
        seed=11,
        driver=GeneratorSettings(history_minutes=2),
        accounts=ACCOUNTS,
        history_days=YEAR.days,
        history_errands=True,
        enforce_limits=False,
    )
    async with Simulator.running(settings) as simulator:
        yield simulator


async def test_every_movement_of_a_year_is_in_the_ledger(
    year: Simulator, sqlite_settings: DatabaseSettings
) -> None:
    factory = ExchangeFactory(ExchangesSettings(simulator_url=year.url), SystemClock())
    accounts = [
        make_account(one.label, exchange=ExchangeId(one.venue), label=one.label)
        for one in year.accounts
    ]
    settings = SyncSettings(
        reference_exchange=None,
        history_start=datetime.now(UTC) - YEAR - timedelta(days=2),
        history_budget_ratio=1.0,
    )
    async with running_sync(
        sqlite_settings,
        factory,
        *accounts,
        settings=settings,
        execution=ExecutionSettings(),
        vault=KeyOfEach(year),
    ) as sync:
        await eventually(lambda: _is_read(sync, year), within_s=300)
        year.world.set_status("binance", f"{GONE}/USDT", MarketStatus.DELISTED)
        await sync.synchronizer.sync_now()
        await eventually(lambda: _is_read(sync, year), within_s=300)

        for account in ACCOUNTS:
            recorded = await _recorded(sync, AccountId(account.label))
            assert recorded == _happened(year, account), account.label


def _is_read(sync: Sync, simulator: Simulator) -> bool:
    statuses = [
        sync.status(kind, AccountId(one.label), ExchangeId(one.venue))
        for one in simulator.accounts
        for kind in (SyncKind.FILLS, SyncKind.FLOWS)
    ]
    return all(one.state is SyncState.OK and one.progress is None for one in statuses)


Sums = dict[tuple[Book, str], Decimal]


async def _recorded(sync: Sync, account_id: AccountId) -> Sums:
    async with sync.database.read() as tx:
        sums = await tx.ledger.sums(account_id)
    return {place: one.quantity for place, one in sums.items() if one.quantity}


def _happened(simulator: Simulator, settings: SimulatedAccountSettings) -> Sums:
    """The same sums, counted from the venue's own books: what is there now, every fill, and what
    moved without one."""
    venue = simulator.world.venues[settings.venue]
    account = venue.accounts[settings.label]
    sums: defaultdict[tuple[Book, str], Decimal] = defaultdict(Decimal)
    books = simulator.books(settings.label)
    for part in (books, books.futures):
        for asset, held in ({} if part is None else part.balances).items():
            sums[Book.VENUE, asset] += held.total
    for position in books.positions:
        sums[Book.VENUE, position.symbol] += position.quantity
    for fill in account.fills:
        sign = 1 if fill.side is Side.BUY else -1
        sums[Book.FEES, fill.fee_asset] += fill.fee
        if fill.instrument.category is Category.SPOT:
            sums[Book.TRADES, fill.instrument.base] -= sign * fill.quantity
            sums[Book.TRADES, fill.instrument.quote] += sign * fill.notional
        else:
            sums[Book.TRADES, fill.instrument.unified] -= sign * fill.quantity
            sums[Book.PROFIT, fill.instrument.quote] -= fill.realized_pnl
    for entry in venue.ledger.all_entries(settings.label):
        fee = Decimal(0) if entry.movement is None else entry.movement.fee
        sums[BOOKS[entry.cause], entry.asset] -= entry.amount + fee
        sums[Book.FEES, entry.asset] += fee
    return {place: quantity for place, quantity in sums.items() if quantity}
