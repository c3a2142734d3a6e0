"""The unit of work: all of a block, or nothing of it, on both engines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from alphapulse.database.connection import Database, open_database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.sync import FillCursor
from alphapulse.errors import Conflict, DatabaseBusy, DatabaseUnavailable
from alphapulse.runtime.worker import Worker
from tests.builders import (
    ACCOUNT,
    BTC,
    NOW,
    USER,
    make_account,
    make_fill,
    make_ticker,
    make_user,
)
from tests.eventually import LIMIT_S, eventually

pytestmark = pytest.mark.usefixtures("loop_debug")


async def test_a_block_that_ends_well_is_there_for_the_next_one(database: Database) -> None:
    async with database.begin() as tx:
        await tx.accounts.add(make_account())
    async with database.read() as tx:
        assert await tx.accounts.load(ACCOUNT) == make_account()


async def test_of_a_block_that_fails_nothing_is_left(database: Database) -> None:
    async def write_and_fail() -> None:
        async with database.begin() as tx:
            await tx.accounts.add(make_account())
            raise ConnectionResetError("the venue hung up")

    with pytest.raises(ConnectionResetError):
        await write_and_fail()
    async with database.read() as tx:
        assert await tx.accounts.list() == ()


async def test_of_a_canceled_block_nothing_is_left_and_the_next_one_may_write(
    database: Database,
) -> None:
    written = asyncio.Event()

    async def write_and_wait() -> None:
        async with database.begin() as tx:
            await tx.accounts.add(make_account())
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write_and_wait())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with database.begin() as tx:
        assert await tx.accounts.list() == ()
        await tx.accounts.add(make_account())


async def test_fills_and_their_cursor_move_together_or_not_at_all(
    account_database: Database,
) -> None:
    async def write_and_fail() -> None:
        async with account_database.begin() as tx:
            await tx.fills.record([make_fill()], NOW)
            await tx.fill_cursors.save(ACCOUNT, FillCursor(BTC, "2"), complete=False)
            raise ConnectionResetError("the venue hung up")

    with pytest.raises(ConnectionResetError):
        await write_and_fail()
    async with account_database.begin() as tx:
        assert await tx.fill_cursors.list(ACCOUNT) == ()
        assert (await tx.fills.record([make_fill()], NOW)).new == (make_fill(),)


async def test_a_reader_sees_one_moment(account_database: Database) -> None:
    async with account_database.read() as before:
        assert len(await before.accounts.list()) == 1
        async with account_database.begin() as tx:
            await tx.accounts.add(make_account("account-2"))
        assert len(await before.accounts.list()) == 1
    async with account_database.read() as after:
        assert len(await after.accounts.list()) == 2


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with database.read() as tx:
            await tx.accounts.add(make_account())
    with pytest.raises(DatabaseUnavailable):
        async with database.read_market() as market:
            await market.tickers.save([make_ticker()])


async def test_what_breaks_a_rule_of_the_tables_is_a_conflict(account_database: Database) -> None:
    with pytest.raises(Conflict):
        async with account_database.begin() as tx:
            await tx.accounts.add(make_account())
    with pytest.raises(Conflict):
        async with account_database.begin() as tx:
            await tx.accounts.add(make_account("account-2", owner_id=USER))


async def test_prices_are_written_while_money_is(database: Database) -> None:
    async with database.begin() as tx:
        await tx.accounts.add(make_account())
        async with database.begin_market() as market:
            await market.tickers.save([make_ticker()])


async def test_two_loops_lose_no_update(database_settings: DatabaseSettings) -> None:
    """Each reads a number and writes the next one; on SQLite they take turns, on PostgreSQL the
    later of two that collide is told to try again."""
    rounds = 20

    async def count_up(database: Database) -> None:
        for _ in range(rounds):
            while True:
                try:
                    async with database.begin() as tx:
                        user = await tx.users.load(USER)
                        await tx.users.save(replace(user, version=user.version + 1))
                    break
                except DatabaseBusy:
                    continue

    async with open_database(database_settings, name="main") as here:
        async with here.begin() as tx:
            await tx.users.add(make_user(version=0), "hash")

        @asynccontextmanager
        async def running() -> AsyncIterator[None]:
            async with open_database(database_settings, name="worker") as there:
                counting = asyncio.create_task(count_up(there))
                yield
                await counting

        worker = Worker("counter", running)
        await worker.start()
        await count_up(here)
        await worker.stop()

        async with here.read() as tx:
            assert (await tx.users.load(USER)).version == 2 * rounds


async def test_a_database_is_refused_on_another_loop(database: Database) -> None:
    async def use() -> None:
        async with database.read():
            pass

    with pytest.raises(AssertionError, match="one loop"):
        await asyncio.to_thread(asyncio.run, use())


async def test_who_waits_for_a_connection_is_counted_and_not_kept_for_ever(
    database_settings: DatabaseSettings,
) -> None:
    async def read(database: Database) -> None:
        async with database.read() as tx:
            await tx.users.count()

    tight = database_settings.model_copy(update={"pool_size": 1, "pool_timeout_s": LIMIT_S})
    async with open_database(tight, name="test") as database:
        async with database.read() as tx:
            await tx.users.count()
            waiting = asyncio.create_task(read(database))
            await eventually(lambda: database.pool.waiting == 1)
            assert database.pool.used == 1
            assert _in_use() == 1
        await waiting
        assert database.pool.waiting == database.pool.used == 0
        assert _in_use() == 0

    impatient = tight.model_copy(update={"pool_timeout_s": 0.1})
    async with open_database(impatient, name="test") as database, database.read() as tx:
        await tx.users.count()
        with pytest.raises(DatabaseBusy):
            await read(database)


def _in_use() -> float | None:
    return REGISTRY.get_sample_value("alphapulse_db_pool_in_use", {"pool": "test"})
