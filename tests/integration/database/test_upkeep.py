"""What keeps a database small: logins that ended long ago, dead codes, the write-ahead log."""

import sqlite3
from datetime import timedelta

import pytest

from alphapulse.database.adapters.adapter import Store
from alphapulse.database.adapters.folder import SqliteFiles
from alphapulse.database.connection import Database, open_database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.errors import DatabaseBusy
from alphapulse.services.upkeep import SESSION_KEPT, Upkeep
from tests.builders import NOW, USER, make_account, make_session, make_ticker, make_user
from tests.fixtures.clock import HandClock

LONG_AGO = NOW - SESSION_KEPT - timedelta(seconds=1)
RECENTLY = NOW - SESSION_KEPT + timedelta(seconds=1)


async def test_logins_that_ended_long_ago_are_forgotten_and_no_others(database: Database) -> None:
    logins = (
        make_session("live"),
        make_session("expired", expires_at=RECENTLY),
        make_session("expired long ago", expires_at=LONG_AGO),
        make_session("ended", revoked_at=RECENTLY),
        make_session("ended long ago", revoked_at=LONG_AGO),
    )
    async with database.begin() as tx:
        await tx.users.add(make_user(), "hash")
        for session in logins:
            await tx.sessions.add(session, f"token of {session.id}")

    await Upkeep(database, HandClock(NOW)).do()

    async with database.read() as tx:
        assert {s.id for s in await tx.sessions.list(USER)} == {"live", "expired", "ended"}
        assert await tx.sessions.by_hash("token of live")
        assert await tx.sessions.by_hash("token of expired long ago") is None


async def test_a_code_nobody_can_use_any_more_is_forgotten(database: Database) -> None:
    async with database.begin() as tx:
        await tx.setup_codes.add("good", NOW + timedelta(minutes=1))
        await tx.setup_codes.add("late", NOW)

    await Upkeep(database, HandClock(NOW)).do()

    # At a time when either would still have been good.
    before = NOW - timedelta(minutes=1)
    async with database.begin() as tx:
        assert await tx.setup_codes.spend("good", before)
        assert not await tx.setup_codes.spend("late", before)


async def test_the_write_ahead_logs_of_sqlite_are_cut(sqlite_settings: DatabaseSettings) -> None:
    files = SqliteFiles.of(sqlite_settings.url)
    logs = [files.path(store).with_name(f"{files.path(store).name}-wal") for store in Store]
    async with open_database(sqlite_settings, name="test") as database:
        async with database.begin() as tx:
            await tx.accounts.add(make_account())
        async with database.begin_market() as market:
            await market.tickers.save([make_ticker()])
        assert all(log.stat().st_size > 0 for log in logs)

        await Upkeep(database, HandClock(NOW)).do()

        assert [log.stat().st_size for log in logs] == [0, 0]
        async with database.read() as tx:
            assert len(await tx.accounts.list()) == 1


async def test_a_log_that_somebody_reads_is_left_for_the_next_time(
    sqlite_settings: DatabaseSettings,
) -> None:
    impatient = sqlite_settings.model_copy(update={"busy_timeout_s": 0.1})
    async with open_database(impatient, name="test") as database:
        async with database.begin() as tx:
            await tx.accounts.add(make_account())
        async with database.read() as reader:
            assert len(await reader.accounts.list()) == 1
            async with database.begin() as tx:
                await tx.accounts.add(make_account("account-2"))
            await database.checkpoint()
            assert len(await reader.accounts.list()) == 1
        await database.checkpoint()

        async with database.read() as tx:
            assert len(await tx.accounts.list()) == 2


async def test_upkeep_of_a_locked_database_is_busy_and_works_when_it_is_free(
    sqlite_settings: DatabaseSettings,
) -> None:
    impatient = sqlite_settings.model_copy(update={"busy_timeout_s": 0.1})
    async with open_database(impatient, name="test") as database:
        holder = sqlite3.connect(SqliteFiles.of(impatient.url).money, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy):
            await Upkeep(database, HandClock(NOW)).do()
        holder.close()
        await Upkeep(database, HandClock(NOW)).do()
