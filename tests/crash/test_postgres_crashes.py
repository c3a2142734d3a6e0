"""PostgreSQL ends at once while orders are prepared: what was acknowledged is there afterwards."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Iterator

import asyncpg
import pytest

from alphapulse.database.connection import Database, open_database
from alphapulse.database.migrations import schema
from alphapulse.database.settings import DatabaseSettings
from alphapulse.errors import DatabaseError
from tests.builders import ACCOUNT, make_account, make_intent, make_own_order, make_user
from tests.fixtures.database import MIGRATED
from tests.fixtures.postgres import SMALL, PostgresServer, execute, run_beside, url

CRASHES, CRASHES_OF_SWEEP = 5, 50
WRITERS = 4
COMMITS_MAX = 40


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """With the settings a server is installed with, as far as they are about what is durable."""
    server = PostgresServer(SMALL)
    try:
        server.start()
        execute(server.folder, f"CREATE DATABASE {MIGRATED}")
        run_beside(schema.upgrade(DatabaseSettings(url=url(server.folder, MIGRATED))))
        run_beside(_prepare(DatabaseSettings(url=url(server.folder, MIGRATED))))
        yield server
    finally:
        server.remove()


async def _prepare(settings: DatabaseSettings) -> None:
    async with open_database(settings, name="test") as database, database.begin() as tx:
        await tx.users.add(make_user(), "hash")
        await tx.accounts.add(make_account())


def test_no_acknowledged_intent_is_lost(server: PostgresServer) -> None:
    run_beside(expect_nothing_lost(server, CRASHES))


@pytest.mark.sweep
def test_no_acknowledged_intent_is_lost_in_many_crashes(server: PostgresServer) -> None:
    run_beside(expect_nothing_lost(server, CRASHES_OF_SWEEP))


def test_commits_that_do_not_wait_for_the_disk_are_convicted(server: PostgresServer) -> None:
    execute(server.folder, "CREATE TABLE careless (key text)", database=MIGRATED)

    async def lost_at_last() -> bool:
        for round_ in range(10):
            if await lost_without_waiting(server, f"careless {round_}"):
                return True
        return False

    assert run_beside(lost_at_last())


async def expect_nothing_lost(server: PostgresServer, times: int) -> None:
    """Intents and orders, written as the product does."""
    settings = DatabaseSettings(url=url(server.folder, MIGRATED))
    for number in range(times):
        async with open_database(settings, name="test") as database:

            async def write(key: str, database: Database = database) -> None:
                async with database.begin() as tx:
                    await tx.orders.add(make_own_order(key))
                    await tx.intents.add(make_intent(key))

            acknowledged = await until_crash(server, f"{times} {number}", write)
        await asyncio.to_thread(server.start)
        names = {make_intent(key).client_order_id for key in acknowledged}
        async with open_database(settings, name="test") as database, database.read() as tx:
            assert names <= (await tx.intents.named(names)).keys()
            kept = await tx.orders.unsettled(ACCOUNT)
        assert names <= {order.client_order_id for order in kept}


async def lost_without_waiting(server: PostgresServer, name: str) -> set[str]:
    """The same for a session that asks PostgreSQL to answer before it has written."""
    place = url(server.folder, MIGRATED)
    careless = await asyncpg.connect(place, server_settings={"synchronous_commit": "off"})

    one_at_a_time = asyncio.Lock()

    async def write(key: str) -> None:
        async with one_at_a_time:
            await careless.execute("INSERT INTO careless VALUES ($1)", key)

    acknowledged = await until_crash(server, name, write)
    careless.terminate()
    await asyncio.to_thread(server.start)
    connection = await asyncpg.connect(place)
    kept = {row["key"] for row in await connection.fetch("SELECT key FROM careless")}
    await connection.close()
    return acknowledged - kept


async def until_crash(
    server: PostgresServer, name: str, write: Callable[[str], Awaitable[None]]
) -> set[str]:
    """Write side by side until the server ends; what was acknowledged."""
    acknowledged: set[str] = set()
    enough = random.Random(name).randint(1, COMMITS_MAX)

    async def write_on(writer: int) -> None:
        for number in itertools.count():
            key = f"{name} {writer} {number}"
            try:
                await write(key)
            except (DatabaseError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                return
            acknowledged.add(key)
            if len(acknowledged) == enough:
                await asyncio.to_thread(server.stop_at_once)

    await asyncio.gather(*map(write_on, range(WRITERS)))
    return acknowledged
