"""A table that is locked, a folder that vanishes: the synchronizer says so and catches up."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url

from alphapulse.database.adapters.folder import SqliteFiles
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.sync import SyncKind, SyncState
from tests.builders import ACCOUNT, BTC, make_account, make_balance, make_instrument, make_ticker
from tests.eventually import eventually
from tests.fixtures.scripted_exchange import ScriptedProvider, Venue
from tests.fixtures.sync import Sync, running_sync

IMPATIENT: dict[str, Any] = {"busy_timeout_s": 0.1, "pool_timeout_s": 0.5, "connect_timeout_s": 0.5}


@pytest.fixture
def venue() -> Venue:
    venue = Venue()
    venue.instruments = (make_instrument(BTC),)
    venue.balances = (make_balance("BTC"),)
    venue.tickers = {BTC: make_ticker(received_at=datetime.now(UTC))}
    return venue


@asynccontextmanager
async def locked_table(settings: DatabaseSettings) -> AsyncIterator[None]:
    """Somebody changes the table of balances in a transaction that does not end."""
    at = make_url(settings.url)
    holder = await asyncpg.connect(host=at.query["host"], user=at.username, database=at.database)
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE balances IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await holder.close()


@asynccontextmanager
async def vanished_folder(settings: DatabaseSettings) -> AsyncIterator[None]:
    """The disk is gone, and comes back as it was."""
    folder = SqliteFiles.of(settings.url).money.parent
    away = folder.with_name("away")
    folder.rename(away)
    try:
        yield
    finally:
        away.rename(folder)


async def test_a_locked_table_is_said_and_written_when_it_is_free(
    postgres_settings: DatabaseSettings, venue: Venue
) -> None:
    fault = locked_table(postgres_settings)
    await said_and_made_up_for(postgres_settings, venue, fault, "database_busy")


async def test_a_vanished_folder_is_said_and_written_when_it_is_back(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    fault = vanished_folder(sqlite_settings)
    await said_and_made_up_for(sqlite_settings, venue, fault, "database_unavailable")


async def said_and_made_up_for(
    settings: DatabaseSettings, venue: Venue, fault: AbstractAsyncContextManager[None], code: str
) -> None:
    """What cannot be stored meanwhile has a status that names the cause, and is stored later."""
    impatient = settings.model_copy(update=IMPATIENT)
    async with running_sync(impatient, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: balances_are(sync, SyncState.OK, None))

        async with fault:
            venue.balances = (make_balance("BTC", "7"),)
            await eventually(lambda: balances_are(sync, SyncState.STALE, code))
            assert sync.status(SyncKind.BALANCES, ACCOUNT).error_fix

        await eventually(lambda: balances_are(sync, SyncState.OK, None))
        await eventually(lambda: has_btc(sync, "7.25"))


def balances_are(sync: Sync, state: SyncState, code: str | None) -> bool:
    status = sync.status(SyncKind.BALANCES, ACCOUNT)
    return (status.state, status.error_code) == (state, code)


async def has_btc(sync: Sync, total: str) -> bool:
    return await sync.totals(ACCOUNT) == {"BTC": Decimal(total)}
