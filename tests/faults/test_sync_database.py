"""What a locked or missing database does to the synchronizer: it says so, and loses nothing."""

import asyncio
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alphapulse.database.adapters.folder import SqliteFiles
from alphapulse.database.connection import open_database
from alphapulse.database.migrations import schema
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.account import AccountState
from alphapulse.domain.events import CandleClosed, FillReceived, TickerUpdated
from alphapulse.domain.market import Timeframe
from alphapulse.domain.sync import SyncKind, SyncState
from alphapulse.errors import AuthenticationFailed, SecretUnreadable
from alphapulse.exchanges.port import PrivateUpdate
from alphapulse.pipeline.processors.processing import Processing
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.clock import SystemClock
from alphapulse.runtime.mailbox import Mailbox
from tests.builders import (
    ACCOUNT,
    BINANCE,
    BTC,
    make_account,
    make_balance,
    make_candle,
    make_fill,
    make_instrument,
    make_report,
    make_ticker,
)
from tests.eventually import eventually
from tests.fixtures.postgres import PostgresServer, url
from tests.fixtures.scripted_exchange import ScriptedProvider, Venue
from tests.fixtures.sync import Sync, running_sync

# Whoever holds the lock holds it long; all other waits are as patient as in the product.
IMPATIENT: dict[str, Any] = {"busy_timeout_s": 0.1}


@pytest.fixture
def venue() -> Venue:
    venue = Venue()
    venue.instruments = (make_instrument(BTC),)
    venue.balances = (make_balance("BTC"),)
    venue.tickers = {BTC: make_ticker(received_at=datetime.now(UTC))}
    return venue


@pytest.fixture
def locked_settings(sqlite_settings: DatabaseSettings) -> DatabaseSettings:
    return sqlite_settings.model_copy(update=IMPATIENT)


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One of our own, to stop and start."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def lock(file: Path) -> sqlite3.Connection:
    """Hold a database file as another process would; ends with `close`."""

    def hold() -> sqlite3.Connection:
        holder = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        holder.execute("BEGIN IMMEDIATE")
        return holder

    # Beside the loop: whoever writes at this moment must be able to end.
    return await asyncio.to_thread(hold)


def balances_are(sync: Sync, state: SyncState, code: str | None) -> bool:
    status = sync.status(SyncKind.BALANCES, ACCOUNT)
    return (status.state, status.error_code) == (state, code)


async def has_btc(sync: Sync, total: str) -> bool:
    return await sync.totals(ACCOUNT) == {"BTC": Decimal(total)}


async def speak(venue: Venue, number: int) -> None:
    """The stream tells a fill and a balance."""
    assert venue.private is not None
    now = datetime.now(UTC)
    balances = make_report(make_balance("BTC", str(number)), is_partial=True, received_at=now)
    fill = make_fill(number, occurred_at=now)
    await venue.private(PrivateUpdate(fills=(fill,), balances=balances))


async def test_a_locked_database_is_said_and_nothing_of_the_stream_is_lost(
    locked_settings: DatabaseSettings, venue: Venue
) -> None:
    async with running_sync(locked_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: balances_are(sync, SyncState.OK, None) and venue.private)

        holder = await lock(SqliteFiles.of(locked_settings.url).money)
        venue.balances = (make_balance("BTC", "7"),)
        for number in (5, 6, 7):
            await speak(venue, number)
        await eventually(lambda: balances_are(sync, SyncState.STALE, "database_busy"))
        assert await sync.totals(ACCOUNT) == {"BTC": Decimal("1.75")}
        assert not sync.bus.of(FillReceived)
        await eventually(lambda: sync.status(SyncKind.PRICES).state is SyncState.OK)

        holder.close()
        await eventually(lambda: has_btc(sync, "7.25"))
        await eventually(lambda: balances_are(sync, SyncState.OK, None))
        await eventually(lambda: len(sync.bus.of(FillReceived)) == 3)
        assert [e.fill.trade_id for e in sync.bus.of(FillReceived)] == ["5", "6", "7"]
        # What the stream had said before REST was asked does not come back.
        assert await has_btc(sync, "7.25")


async def test_a_database_that_is_gone_is_said_and_everything_is_written_when_it_is_back(
    server: PostgresServer, venue: Venue
) -> None:
    settings = DatabaseSettings(url=url(server.folder, "postgres"), **IMPATIENT)
    await schema.upgrade(settings)
    async with running_sync(settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: balances_are(sync, SyncState.OK, None) and venue.private)

        await asyncio.to_thread(server.stop)
        venue.balances = (make_balance("BTC", "9"),)
        await speak(venue, 9)
        await eventually(lambda: balances_are(sync, SyncState.STALE, "database_unavailable"))

        await asyncio.to_thread(server.start)
        await eventually(lambda: balances_are(sync, SyncState.OK, None))
        await eventually(lambda: len(sync.bus.of(FillReceived)) == 1)
        assert await sync.totals(ACCOUNT) == {"BTC": Decimal("9.25")}

        async def is_status_saved() -> bool:
            async with sync.database.read() as tx:
                stored = {s.key: s for s in await tx.sync_status.list()}
            return stored[BINANCE, ACCOUNT, SyncKind.BALANCES].state is SyncState.OK

        await eventually(is_status_saved)


async def test_a_key_refused_while_the_database_is_locked_is_written_when_it_is_free(
    locked_settings: DatabaseSettings, venue: Venue
) -> None:
    async with running_sync(locked_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: balances_are(sync, SyncState.OK, None))
        holder = await lock(SqliteFiles.of(locked_settings.url).money)
        venue.failing["*"] = AuthenticationFailed("revoked")
        await eventually(lambda: balances_are(sync, SyncState.ERROR, "key_invalid"))

        holder.close()

        async def is_disabled() -> bool:
            return (await sync.stored(ACCOUNT)).state is AccountState.DISABLED

        await eventually(is_disabled)


async def test_a_key_that_cannot_be_read_is_said_and_others_go_on(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    async with running_sync(sqlite_settings, ScriptedProvider(venue)) as sync:
        sync.vault.error = SecretUnreadable("another master key")
        async with sync.database.begin() as tx:
            await tx.accounts.add(make_account())
        await sync.synchronizer.adopt(ACCOUNT)

        await eventually(lambda: balances_are(sync, SyncState.ERROR, "secret_unreadable"))
        await eventually(lambda: sync.status(SyncKind.PRICES).state is SyncState.OK)

        sync.vault.error = None
        await sync.synchronizer.adopt(ACCOUNT)
        await eventually(lambda: balances_are(sync, SyncState.OK, None))


async def test_closed_candles_wait_for_a_locked_market_file(
    locked_settings: DatabaseSettings,
) -> None:
    mailbox = Mailbox("processing", 10_000)
    candles = [make_candle(n) for n in range(500)]
    async with Processing(mailbox, locked_settings, EventBus(), SystemClock()).running():
        holder = await lock(SqliteFiles.of(locked_settings.url).market)
        for candle in candles:
            mailbox.put(CandleClosed(candle))
        mailbox.put(TickerUpdated(make_ticker()))
        await eventually(lambda: mailbox.depth == 0)
        holder.close()
    # Leaving the block writes what still waits.
    start, end = candles[0].open_time, candles[-1].open_time + timedelta(minutes=1)
    async with (
        open_database(locked_settings, name="test") as database,
        database.read_market() as tx,
    ):
        stored = await tx.candles.range(BINANCE, BTC, Timeframe.M1, start, end, limit=1000)
        assert len(await tx.tickers.list()) == 1
    assert [c.open_time for c in stored] == [c.open_time for c in candles]
