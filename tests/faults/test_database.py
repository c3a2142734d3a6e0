"""The database locked, gone, full or damaged: a clear error, and recovery without a restart."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import func, make_url, select

from alphapulse.database.adapters import folder
from alphapulse.database.adapters.folder import SqliteFiles
from alphapulse.database.connection import Database, open_database
from alphapulse.database.migrations import schema
from alphapulse.database.settings import DatabaseSettings
from alphapulse.errors import (
    AlphaPulseError,
    ConfigurationInvalid,
    DatabaseBusy,
    DatabaseUnavailable,
)
from tests.builders import ACCOUNT, make_account, make_ticker, make_user
from tests.eventually import LIMIT_S, eventually
from tests.fixtures.postgres import PostgresServer, url

IMPATIENT = {"busy_timeout_s": 0.3, "pool_timeout_s": 1.0}


async def _write(database: Database, account_id: str = ACCOUNT) -> None:
    async with database.begin() as tx:
        await tx.accounts.add(make_account(account_id))


async def _accounts(database: Database) -> int:
    async with database.read() as tx:
        return len(await tx.accounts.list())


@pytest.fixture
async def sqlite_database(sqlite_settings: DatabaseSettings) -> AsyncIterator[Database]:
    impatient = sqlite_settings.model_copy(update=IMPATIENT)
    async with open_database(impatient, name="test") as database:
        yield database


@pytest.fixture
def money_file(sqlite_settings: DatabaseSettings) -> Path:
    return SqliteFiles.of(sqlite_settings.url).money


# Locked


async def test_sqlite_locked_by_somebody_reads_on_and_writes_again_when_free(
    sqlite_database: Database, money_file: Path
) -> None:
    await _write(sqlite_database)
    holder = sqlite3.connect(money_file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusy) as busy:
        await _write(sqlite_database, "account-2")
    assert busy.value.retryable
    assert await _accounts(sqlite_database) == 1

    holder.close()
    await _write(sqlite_database, "account-2")


async def test_a_writer_that_takes_too_long_keeps_others_waiting_only_so_long(
    sqlite_database: Database,
) -> None:
    async with sqlite_database.begin():
        with pytest.raises(DatabaseBusy, match="writing for too long"):
            await _write(sqlite_database)
    await _write(sqlite_database)


async def test_a_canceled_wait_for_a_lock_does_not_take_it_later(
    sqlite_settings: DatabaseSettings, money_file: Path
) -> None:
    patient = sqlite_settings.model_copy(update={"busy_timeout_s": 5.0})
    async with open_database(patient, name="test") as database:
        await _write(database)
        holder = sqlite3.connect(money_file, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await _write(database, "account-2")
        holder.close()
        await _write(database, "account-3")
        assert await _accounts(database) == 2


async def test_a_locked_row_on_postgresql_is_busy_until_it_is_free(
    postgres_settings: DatabaseSettings,
) -> None:
    impatient = postgres_settings.model_copy(update=IMPATIENT)
    async with open_database(impatient, name="test") as database:
        await _write(database)
        at = make_url(postgres_settings.url)
        holder = await asyncpg.connect(
            host=at.query["host"], user=at.username, database=at.database
        )
        async with holder.transaction():
            await holder.execute("SELECT * FROM accounts FOR UPDATE")
            with pytest.raises(DatabaseBusy, match="locked by somebody else"):
                async with database.begin() as tx:
                    await tx.accounts.save(make_account(label="Renamed"))
        await holder.close()
        async with database.begin() as tx:
            await tx.accounts.save(make_account(label="Renamed"))


async def test_units_of_work_that_wait_for_each_other_end_with_one_of_them_told_to_retry(
    postgres_settings: DatabaseSettings,
) -> None:
    # Prices; money has one writer at a time, so that none of them waits for another there.
    both_hold_one = asyncio.Barrier(2)

    async def write(database: Database, first: str, second: str) -> None:
        async with database.begin_market() as tx:
            await tx.tickers.save([make_ticker(first)])
            await both_hold_one.wait()
            await tx.tickers.save([make_ticker(second)])

    async with open_database(postgres_settings, name="test") as database, asyncio.timeout(LIMIT_S):
        one = write(database, "BTC/USDT", "ETH/USDT")
        other = write(database, "ETH/USDT", "BTC/USDT")
        outcomes = await asyncio.gather(one, other, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DatabaseBusy", "NoneType"]


async def test_a_statement_that_takes_too_long_is_ended(
    postgres_settings: DatabaseSettings,
) -> None:
    impatient = postgres_settings.model_copy(update={"statement_timeout_s": 0.2})
    async with open_database(impatient, name="test") as database:
        with pytest.raises(DatabaseBusy, match="took too long"):
            async with database.read() as tx:
                await tx.statements.rows(select(func.pg_sleep(30)))

        async def is_free() -> bool:
            """Whether the connection works; on a busy machine even this may take too long."""
            with suppress(DatabaseBusy):
                return await _accounts(database) == 0
            return False

        await eventually(is_free)


# A second process


HOLD = """
import asyncio, sys
from alphapulse.database.connection import open_database
from alphapulse.database.settings import DatabaseSettings

async def hold():
    async with open_database(DatabaseSettings(url=sys.argv[1]), name="other"):
        print("open", flush=True)
        await asyncio.Event().wait()

asyncio.run(hold())
"""


@contextmanager
def _other_process(script: str, database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs ``script`` from its first line of output to the end of the block."""
    process = subprocess.Popen([sys.executable, "-c", script, database_url], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), "the other process did not come up"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def test_a_second_process_is_refused_until_the_first_is_gone(
    sqlite_settings: DatabaseSettings,
) -> None:
    with _other_process(HOLD, sqlite_settings.url) as other:
        with pytest.raises(DatabaseBusy, match="another process"):
            async with open_database(sqlite_settings, name="test"):
                pass
        with pytest.raises(DatabaseBusy, match="another process"):
            await schema.upgrade(sqlite_settings)
        other.send_signal(signal.SIGKILL)
        other.wait()
        async with open_database(sqlite_settings, name="test") as database:
            await _write(database)


WRITE = """
import asyncio, sys
from alphapulse.database.connection import open_database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.sync import FillCursor
from tests.builders import ACCOUNT, BTC, NOW, make_account, make_fill

async def write():
    async with open_database(DatabaseSettings(url=sys.argv[1]), name="other") as database:
        async with database.begin() as tx:
            await tx.accounts.add(make_account())
            await tx.fills.record([make_fill(1)], NOW)
            await tx.fill_cursors.save(ACCOUNT, FillCursor(BTC, "1"), complete=False)
        async with database.begin() as tx:
            await tx.fills.record([make_fill(2)], NOW)
            await tx.fill_cursors.save(ACCOUNT, FillCursor(BTC, "2"), complete=True)
            print("written", flush=True)
            await asyncio.Event().wait()

asyncio.run(write())
"""


async def test_killed_in_a_unit_of_work_the_one_before_is_whole_and_this_one_is_not(
    database_settings: DatabaseSettings,
) -> None:
    with _other_process(WRITE, database_settings.url):
        pass  # killed between the rows and the commit

    async with open_database(database_settings, name="test") as database:

        async def position() -> str:
            async with database.read() as tx:
                (stored,) = await tx.fill_cursors.list(ACCOUNT)
                assert not stored.complete
                return stored.cursor.position

        assert await position() == "1"
        # PostgreSQL ends the dead session when it notices; until then its rows are locked.
        await eventually(lambda: _can_save(database))


async def _can_save(database: Database) -> bool:
    with suppress(DatabaseBusy):
        async with database.begin() as tx:
            await tx.accounts.save(make_account())
        return True
    return False


# Gone, full, read-only, damaged


async def test_a_sqlite_folder_that_goes_and_comes_back(
    sqlite_database: Database, money_file: Path
) -> None:
    await _write(sqlite_database)
    away = money_file.parent.with_name("away")
    money_file.parent.rename(away)
    for use in (_write, _accounts):
        with pytest.raises(DatabaseUnavailable, match="cannot be opened"):
            await use(sqlite_database)

    away.rename(money_file.parent)
    assert await _accounts(sqlite_database) == 1
    await _write(sqlite_database, "account-2")


async def test_a_damaged_sqlite_file_is_named_as_such(
    sqlite_settings: DatabaseSettings, money_file: Path
) -> None:
    money_file.write_bytes(b"not a database" * 1000)
    async with open_database(sqlite_settings, name="test") as database:
        with pytest.raises(DatabaseUnavailable, match="not a database"):
            await _accounts(database)


async def test_opening_a_folder_that_is_not_there_is_an_error_and_makes_none(
    tmp_path: Path,
) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(DatabaseUnavailable, match="missing"):
        async with open_database(DatabaseSettings(url=f"sqlite:///{missing}"), name="test"):
            pass
    assert not missing.exists()


async def _write_many(database: Database) -> None:
    for n in range(100):
        await _write(database, f"account-{n}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root may mount a disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


async def test_a_full_disk_stops_writing_and_frees_itself(small_disk: Path) -> None:
    settings = DatabaseSettings(url=f"sqlite:///{small_disk / 'database'}")
    await schema.upgrade(settings)
    async with open_database(settings, name="test") as database:
        await _write(database)
        ballast = small_disk / "ballast"
        with pytest.raises(OSError, match="No space"):
            ballast.write_bytes(bytes(4_000_000))

        with pytest.raises(DatabaseUnavailable, match="space"):
            await _write_many(database)
        stored = await _accounts(database)

        ballast.unlink()
        await _write(database, "after")
        assert await _accounts(database) == stored + 1


async def test_a_read_only_disk_is_named_as_such(small_disk: Path) -> None:
    settings = DatabaseSettings(url=f"sqlite:///{small_disk / 'database'}")
    await schema.upgrade(settings)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(DatabaseUnavailable, match="may not be written"):
        async with open_database(settings, name="test"):
            pass


async def test_sqlite_on_a_network_file_system_is_refused(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/home {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(folder, "MOUNTS", mounts)
    with pytest.raises(ConfigurationInvalid, match="network"):
        async with open_database(sqlite_settings, name="test"):
            pass


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that may be stopped."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def test_a_postgresql_server_that_stops_and_starts_again(own_server: PostgresServer) -> None:
    settings = DatabaseSettings(url=url(own_server.folder, "postgres"))
    await schema.upgrade(settings)
    async with open_database(settings, name="test") as database:
        await _write(database)
        async with database.read() as tx:
            await asyncio.to_thread(own_server.stop)
            with pytest.raises(DatabaseUnavailable):
                await tx.accounts.list()
        with pytest.raises(DatabaseUnavailable):
            await database.ping()

        await asyncio.to_thread(own_server.start)
        assert await _accounts(database) == 1
        await _write(database, "account-2")
        assert (await database.ping()).pool.used == 0


@pytest.mark.parametrize(
    ("address", "meaning"),
    [
        ("postgresql://anna:pa55word@127.0.0.1:1/alphapulse", "cannot be reached"),
        ("postgresql://anna:pa55word@/alphapulse?host={folder}", "login|no such database"),
        ("postgresql://postgres:pa55word@/missing?host={folder}", "no such database"),
    ],
)
async def test_a_server_that_does_not_let_us_in_is_unavailable_and_no_password_is_told(
    postgres_server: PostgresServer, address: str, meaning: str
) -> None:
    settings = DatabaseSettings(url=address.format(folder=postgres_server.folder))
    assert "pa55word" not in repr(settings)
    async with open_database(settings, name="test") as database:
        with pytest.raises(DatabaseUnavailable, match=meaning) as refused:
            await database.ping()
    assert "pa55word" not in "".join(traceback.format_exception(refused.value))


async def test_an_error_tells_no_values(database: Database) -> None:
    secret = "argon2-hash-of-anna"
    async with database.begin() as tx:
        await tx.users.add(make_user(), secret)
    with pytest.raises(AlphaPulseError) as error:
        async with database.begin() as tx:
            await tx.users.add(make_user(username="Otto"), secret)
    assert secret not in "".join(traceback.format_exception(error.value))


async def test_a_url_of_another_engine_is_refused_without_repeating_it() -> None:
    for wrong in ("mysql://anna:pa55word@host/name", "pa55word", "sqlite://"):
        with pytest.raises(ValueError, match="database URL") as refused:
            DatabaseSettings(url=wrong)
        assert "pa55word" not in str(refused.value)
