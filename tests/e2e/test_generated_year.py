"""A year of three accounts, generated: what we recorded of it is what the simulator did.

Spot and perpetual, fees in the coin, in money and in the venue's own, deposits, payments between
the accounts, interest, dust, funding, a delisting. `make year` proves the lots of all of it.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial

import pytest

from alphapulse.database.rate_books import read_rate_book
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.cost_basis.figures import Figures
from alphapulse.domain.cost_basis.lots import Method
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId
from alphapulse.domain.ledger import Book
from alphapulse.domain.order import Side
from alphapulse.domain.rate_book import RateBook
from alphapulse.domain.sync import SyncKind, SyncState
from alphapulse.domain.valuation import USD
from alphapulse.exchanges.factory import ExchangeFactory
from alphapulse.exchanges.settings import ExchangesSettings
from alphapulse.pipeline.bookkeeping.bookkeeper import Bookkeeper
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
from tests.e2e.year_of_steps import DatedBasis, DatedStep, in_turn, steps_of
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


@asynccontextmanager
async def lived(days: int) -> AsyncIterator[Simulator]:
    """So long, up to now."""
    settings = SimulatorSettings(
        seed=11,
        driver=GeneratorSettings(history_minutes=2),
        accounts=ACCOUNTS,
        history_days=days,
        history_errands=True,
        enforce_limits=False,
    )
    async with Simulator.running(settings) as simulator:
        yield simulator


@asynccontextmanager
async def read(
    simulator: Simulator, days: int, database_settings: DatabaseSettings
) -> AsyncIterator[Sync]:
    """All of it."""
    factory = ExchangeFactory(ExchangesSettings(simulator_url=simulator.url), SystemClock())
    accounts = [
        make_account(one.label, exchange=ExchangeId(one.venue), label=one.label)
        for one in simulator.accounts
    ]
    settings = SyncSettings(
        reference_exchange=None,
        history_start=datetime.now(UTC) - timedelta(days=days + 2),
        history_budget_ratio=1.0,
        past_rates_interval_s=0.5,
    )
    async with running_sync(
        database_settings,
        factory,
        *accounts,
        settings=settings,
        execution=ExecutionSettings(),
        vault=KeyOfEach(simulator),
    ) as sync:
        await eventually(lambda: _is_read(sync, simulator), within_s=300)
        yield sync


async def test_every_movement_of_a_year_is_in_the_ledger(sqlite_settings: DatabaseSettings) -> None:
    async with lived(365) as year, read(year, 365, sqlite_settings) as sync:
        year.world.set_status("binance", f"{GONE}/USDT", MarketStatus.DELISTED)
        await sync.synchronizer.sync_now()
        await eventually(lambda: _is_read(sync, year), within_s=300)

        for account in ACCOUNTS:
            recorded = await _recorded(sync, AccountId(account.label))
            assert recorded == _happened(year, account), account.label


@pytest.mark.parametrize("days", [60, pytest.param(365, marks=pytest.mark.sweep)])
async def test_every_lot_costs_what_a_slow_recount_of_what_the_venues_tell_makes_of_it(
    sqlite_settings: DatabaseSettings, days: int
) -> None:
    async with lived(days) as time, read(time, days, sqlite_settings) as sync:
        await _counted(sync)
        async with sync.database.read() as tx:
            ids = [AccountId(one.label) for one in ACCOUNTS]
            entries = [one.entry for one in await tx.ledger.chronological(ids, limit=100_000)]
            figures = {one.method: one for _, one in await tx.bookkeeping.figures()}
        steps = in_turn(steps_of(time, ACCOUNTS), entries)
        assets = {Asset(name) for one in steps for name in (one.asset, one.quote, one.fee_asset)}
        book = await read_rate_book(sync.database, USD, assets, [one.at for one in steps])
        _require_true(book, steps, time)
        rates = partial(_rate, book)
        for method in Method:
            slow = DatedBasis(method.value, {}, rate=rates)
            slow.recount(steps)
            assert not _differences(figures[method], slow), method
        without_fees = DatedBasis("fifo", {}, rate=rates, ignore_fees=True)
        without_fees.recount(steps)
        assert _differences(figures[Method.FIFO], without_fees)


async def _counted(sync: Sync) -> None:
    """With every rate of the past that it takes."""
    bookkeeper = Bookkeeper(sync.database, sync.bus, sync.clock)

    async def is_done() -> bool:
        await bookkeeper.catch_up()
        async with sync.database.read() as tx:
            return not await tx.rates.want_counts(sync.clock.now())

    await eventually(is_done, within_s=600)


def _rate(book: RateBook, asset: str, at: datetime) -> Decimal | None:
    rate = book.rate(Asset(asset), at)
    return None if rate is None or not rate.quality.is_firm else rate.value


def _require_true(book: RateBook, steps: Iterable[DatedStep], simulator: Simulator) -> None:
    """Rates are what the simulator says things were worth, but for trades of the accounts that
    moved the price on one venue within that minute and not on the other."""
    off = []
    for step in steps:
        rate = _rate(book, step.asset, step.at)
        truth = simulator.usd_then(step.asset, step.at)
        if rate is not None and truth is not None:
            off.append(abs(rate / truth - 1))
    assert len(off) > 500
    assert max(off) < Decimal("0.02")
    assert sorted(off)[len(off) // 2] < Decimal("1e-9")


def _differences(figures: Figures, slow: DatedBasis) -> list[tuple[object, ...]]:
    """Figures of a place that the recount does not confirm: to the twelfth digit of a rate, over
    some hundred trades."""
    gains: defaultdict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for gain in slow.gains:
        gains[gain.account, gain.asset] += gain.gain or 0
    found: list[tuple[object, ...]] = []
    for place in figures.places:
        heaps = slow.held.get((place.account_id, place.asset), [])
        known = [heap for heap in heaps if heap.cost is not None]
        expected = {
            "known": sum((heap.quantity for heap in known), Fraction(0)),
            "cost": sum((heap.cost for heap in known if heap.cost is not None), Fraction(0)),
            "unknown": sum((h.quantity for h in heaps if h.cost is None), Fraction(0)),
            "realized": gains[place.account_id, place.asset],
        }
        found += [
            (place.account_id, place.asset, name, getattr(place, name), float(number))
            for name, number in expected.items()
            if abs(Fraction(getattr(place, name)) - number) > Fraction(1, 10**6) * (1 + abs(number))
        ]
    counted = {(one.account_id, one.asset) for one in figures.places}
    return found + [place for place, heaps in slow.held.items() if heaps and place not in counted]


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
