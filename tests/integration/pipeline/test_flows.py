"""Cash flows: read to their end, resumed, recorded once, and no drift when they are known."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from alphapulse.database.connection import Database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.cash_flow import CashFlow, FlowKind
from alphapulse.domain.events import LedgerChanged
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.ledger import Book, RecordedEntry, Sum
from alphapulse.domain.sync import SyncKind, SyncState
from alphapulse.domain.trading import AssetBook, CycleOutcome, CycleReport, ResidualCause
from alphapulse.errors import ExchangeUnavailable
from alphapulse.pipeline.sync.flows import FlowSync
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.runtime.bus import EventBus
from tests.builders import ACCOUNT, make_account, make_balance
from tests.eventually import eventually
from tests.fixtures.clock import HandClock
from tests.fixtures.scripted_exchange import BINANCE, ScriptedProvider, Venue
from tests.fixtures.sync import Sync, running_sync

USDT = Asset("USDT")


def make_flow(number: int, quantity: str = "100", **changes: object) -> CashFlow:
    flow = CashFlow(
        ACCOUNT,
        BINANCE,
        f"deposit:{number}",
        FlowKind.DEPOSIT,
        USDT,
        Decimal(quantity),
        datetime.now(UTC),
    )
    return replace(flow, **changes)  # type: ignore[arg-type]


def make_venue(*flows: CashFlow) -> Venue:
    """One that tells of everything."""
    venue = Venue()
    venue.capabilities = replace(venue.capabilities, cash_flows=True)
    venue.balances = (make_balance("USDT", "1000", locked=Decimal(0)),)
    venue.flows = list(flows)
    return venue


async def entries(sync: Sync) -> list[RecordedEntry]:
    async with sync.database.read() as tx:
        return list(await tx.ledger.after(0, 1000))


async def book_of(sync: Sync, subject: str) -> AssetBook:
    async with sync.database.read() as tx:
        books = await tx.reconciliations.books(ACCOUNT)
    return next(book for book in books if book.subject == subject)


async def compare(sync: Sync, times: int = 1) -> CycleReport:
    await eventually(lambda: sync.synchronizer.takes_orders(ACCOUNT))
    for _ in range(times):
        report = await sync.synchronizer.reconcile(ACCOUNT)
    return report


@pytest.fixture
def venue() -> Venue:
    return make_venue()


@pytest.fixture
async def sync(database_settings: DatabaseSettings, venue: Venue) -> AsyncIterator[Sync]:
    """An account whose flows are read and whose books are open."""
    async with running_sync(database_settings, ScriptedProvider(venue), make_account()) as running:
        await eventually(lambda: running.status(SyncKind.FLOWS, ACCOUNT).state is SyncState.OK)
        await eventually(lambda: running.status(SyncKind.FLOWS, ACCOUNT).progress is None)
        await compare(running)
        yield running


async def test_a_history_is_read_page_by_page_and_goes_on_after_a_restart(
    database_settings: DatabaseSettings,
) -> None:
    long_ago = datetime(2024, 1, 1, tzinfo=UTC)
    flows = [make_flow(n, occurred_at=long_ago + timedelta(days=n)) for n in range(30)]
    venue = make_venue(*flows)
    venue.fills_per_page = 4
    provider = ScriptedProvider(venue)
    async with running_sync(database_settings, provider, make_account()) as sync:
        await eventually(lambda: bool(sync.bus.of(LedgerChanged)))
        assert [one.entry.key for one in await entries(sync)] == [f"flow:{f.id}" for f in flows]
        await eventually(lambda: sync.status(SyncKind.FLOWS, ACCOUNT).progress is None)

    asked = venue.calls["fetch_cash_flows"]
    venue.flows.append(make_flow(30))
    async with running_sync(database_settings, provider) as sync:

        async def is_read() -> bool:
            return len(await entries(sync)) == 31

        await eventually(is_read)
        assert venue.calls["fetch_cash_flows"] <= asked + 3, "it began anew"


async def test_a_list_that_the_venue_limits_is_left_alone_for_so_long(
    database: Database, clock: HandClock
) -> None:
    async with database.begin() as tx:
        await tx.accounts.add(make_account())
    venue = make_venue(*map(make_flow, range(1, 6)))  # three pages
    venue.flows_wait_s = 6.0
    exchange = ScriptedProvider(venue).open(BINANCE, ACCOUNT, None)
    flows = FlowSync(
        ACCOUNT, exchange, database, EventBus(), clock, SyncSettings(), on_hint=lambda: None
    )
    await flows.load()
    for pages in range(1, 4):
        assert flows.wait_s() == 0
        await flows.read()
        flows.hint_all()
        await flows.read()
        assert not await flows.catch_up()
        assert venue.calls["fetch_cash_flows"] == pages
        assert flows.wait_s() >= 6.0
        clock.advance(6.0)


async def test_a_deposit_is_no_drift(sync: Sync, venue: Venue) -> None:
    venue.flows.append(make_flow(1))
    venue.balances = (make_balance("USDT", "1100", locked=Decimal(0)),)

    report = await compare(sync, times=3)

    assert (report.outcome, report.detail) == (CycleOutcome.CLEAN, None)
    book = await book_of(sync, "USDT")
    assert [book.anchor, book.moved, book.held] == [1000, 100, 1100]
    await eventually(lambda: bool(sync.bus.of(LedgerChanged)))


async def test_a_deposit_that_nobody_tells_of_is_a_drift_with_its_cause(
    sync: Sync, venue: Venue
) -> None:
    venue.balances = (make_balance("USDT", "1100", locked=Decimal(0)),)

    report = await compare(sync, times=3)

    assert report.outcome is CycleOutcome.DRIFT
    book = await book_of(sync, "USDT")
    assert book.off_by == 100
    assert book.cause is ResidualCause.UNKNOWN_DEPOSIT
    assert book.off_since is not None

    venue.flows.append(make_flow(1))
    report = await compare(sync)
    assert (report.outcome, report.differences) == (CycleOutcome.CLEAN, 0)


async def test_an_asset_that_turns_up_must_come_from_an_entry(sync: Sync, venue: Venue) -> None:
    venue.balances = (*venue.balances, make_balance("BTC", "2", locked=Decimal(0)))
    report = await compare(sync)
    assert report.detail == "BTC 2"
    venue.flows.append(make_flow(1, "2", asset=Asset("BTC")))
    report = await compare(sync)
    assert report.detail is None
    assert (await book_of(sync, "BTC")).anchor == 0


async def test_what_happened_before_the_books_were_opened_changes_the_opening_alone(
    sync: Sync, venue: Venue
) -> None:
    venue.flows.append(make_flow(1, occurred_at=datetime(2024, 1, 1, tzinfo=UTC)))
    await sync.synchronizer.sync_now(ACCOUNT, {SyncKind.FLOWS})
    assert (await compare(sync)).outcome is CycleOutcome.CLEAN
    async with sync.database.read() as tx:
        assert (await tx.ledger.sums(ACCOUNT))[Book.VENUE, USDT] == Sum(Decimal(100), Decimal(0))


async def test_a_list_that_must_wait_for_the_venue_concludes_nothing(
    sync: Sync, venue: Venue
) -> None:
    venue.flows_wait_s = 3600.0
    await sync.synchronizer.sync_now(ACCOUNT, {SyncKind.FLOWS})
    venue.balances = (make_balance("USDT", "900", locked=Decimal(0)),)

    report = await compare(sync, times=4)
    assert report.outcome is CycleOutcome.CLEAN
    assert (await book_of(sync, "USDT")).cause is ResidualCause.UNREAD_FLOWS


async def test_flows_that_cannot_be_read_conclude_nothing(sync: Sync, venue: Venue) -> None:
    venue.failing["fetch_cash_flows"] = ExchangeUnavailable("cut")
    venue.balances = (make_balance("USDT", "1100", locked=Decimal(0)),)
    report = await compare(sync)
    assert report.outcome is CycleOutcome.VOID
    assert not (await book_of(sync, "USDT")).off_by
    venue.failing.clear()


async def test_a_venue_that_tells_of_fills_alone_opens_borrowed_assets_anew(
    database_settings: DatabaseSettings,
) -> None:
    venue = Venue()
    venue.balances = (make_balance("USDT", "1000", locked=Decimal(0), borrowed=Decimal(5)),)
    async with running_sync(database_settings, ScriptedProvider(venue), make_account()) as sync:
        assert (await compare(sync)).outcome is CycleOutcome.CLEAN
        venue.balances = (make_balance("USDT", "999", locked=Decimal(0), borrowed=Decimal(4)),)
        assert (await compare(sync, times=4)).differences == 0
        assert (await book_of(sync, "USDT")).anchor == 999
        # Once nothing is borrowed, fills alone move it again.
        venue.balances = (make_balance("USDT", "998", locked=Decimal(0)),)
        assert (await compare(sync)).detail == "USDT -1"
