"""Database Adapters (SQLite): two files in one folder, one writer each, readers beside it.

Money is written with ``synchronous=FULL``: a commit that was answered survives a power cut. Prices
and candles have a file of their own with NORMAL, because one ``BEGIN IMMEDIATE`` over attached
files would lock both.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from loguru import logger
from sqlalchemy import URL, Connection, Table, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from alphapulse.database.adapters import sqlite_driver
from alphapulse.database.adapters.adapter import Store, Upsert
from alphapulse.database.adapters.folder import Folder, SqliteFiles, keep
from alphapulse.database.settings import DatabaseSettings
from alphapulse.errors import (
    AlphaPulseError,
    Conflict,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnavailable,
)

SYNCHRONOUS = {Store.MONEY: "FULL", Store.MARKET: "NORMAL"}

NO_TRANSACTION = "alphapulse_no_transaction"

# What SQLite's own error names mean to whoever runs AlphaPulse, by how they begin.
UNAVAILABLE = {
    "SQLITE_FULL": "the disk is full; free some space",
    "SQLITE_READONLY": "the database may only be read; check its permissions and its mount",
    "SQLITE_PERM": "the database may not be opened; check its permissions",
    "SQLITE_AUTH": "the database may not be opened; check its permissions",
    "SQLITE_CANTOPEN": "the database file cannot be opened; check that it and its folder are there",
    "SQLITE_IOERR": "the disk fails to read or write; check it and its free space",
    "SQLITE_CORRUPT": "the database file is damaged; restore a backup",
    "SQLITE_NOTADB": "the file is not a database; restore a backup",
    "SQLITE_PROTOCOL": "the file system does not keep locks; use a local folder",
}


class SqliteAdapter:
    """Engines for the two files of one loop: a writing connection and several reading ones."""

    engine_name = "sqlite"

    def __init__(
        self,
        settings: DatabaseSettings,
        files: SqliteFiles,
        folder: Folder,
        *,
        migrates: bool,
    ) -> None:
        self._settings = settings
        self._files = files
        self._folder = folder
        self._foreign_keys = "OFF" if migrates else "ON"
        self._writers = {store: self._engine(store, writes=True) for store in Store}
        self._readers = {store: self._engine(store, writes=False) for store in Store}

    @property
    def engines(self) -> Sequence[AsyncEngine]:
        return (*self._writers.values(), *self._readers.values())

    def writer(self, store: Store) -> AsyncEngine:
        return self._writers[store]

    def reader(self, store: Store) -> AsyncEngine:
        return self._readers[store]

    @asynccontextmanager
    async def turn(self, store: Store) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._settings.pool_timeout_s):
                    await stack.enter_async_context(self._folder.turns[store])
            except TimeoutError as error:
                raise DatabaseBusy(
                    "another unit of work of this process has been writing for too long",
                    waited_s=self._settings.pool_timeout_s,
                ) from error
            yield

    async def begin_writing(self, connection: AsyncConnection, store: Store) -> None:
        """The turn was waited for before."""

    @staticmethod
    def insert(table: Table) -> Upsert:
        return sqlite.insert(table)

    def translate(self, error: Exception) -> AlphaPulseError:
        if isinstance(error, PoolTimeout):
            return DatabaseBusy("every connection of the pool is in use")
        cause = error.orig if isinstance(error, DBAPIError) else error
        name = getattr(cause, "sqlite_errorname", None)
        if name is None:
            return DatabaseError("the database refused a statement", cause=type(cause).__name__)
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return DatabaseBusy("the database is locked by somebody else", cause=name)
        if name.startswith("SQLITE_CONSTRAINT"):
            return Conflict("it breaks a rule of the database", rule=str(cause))
        for beginning, meaning in UNAVAILABLE.items():
            if name.startswith(beginning):
                return DatabaseUnavailable(
                    meaning, cause=name, folder=str(self._files.money.parent)
                )
        return DatabaseError("the database refused a statement", cause=name)

    async def size_bytes(self, connection: AsyncConnection) -> int:
        paths = [self._files.path(store) for store in Store]
        logs = [path.with_name(f"{path.name}-wal") for path in paths]
        return sum(path.stat().st_size for path in (*paths, *logs) if path.exists())

    async def back_up(self, store: Store, revision: str) -> None:
        copy = self._files.backup(store, revision)
        part = copy.with_name(f"{copy.name}.part")
        try:
            part.unlink(missing_ok=True)
            part.touch(mode=0o600)  # SQLite fills an empty file, and leaves its permissions
            async with self._outside_transactions(store) as connection:
                await connection.exec_driver_sql("VACUUM INTO ?", (str(part),))
            keep(part, copy)
        except OSError as error:
            raise DatabaseUnavailable(
                "the database cannot be copied before its schema changes; check its folder",
                copy=str(copy),
                cause=error.strerror,
            ) from error
        finally:
            part.unlink(missing_ok=True)
        logger.bind(copy=str(copy)).info("database copied before its schema changes")

    async def checkpoint(self) -> None:
        # SQLite moves pages over by itself, but never makes the log's file smaller. Where a reader
        # is in the way, the log stays as it is until the next time.
        for store in Store:
            async with self._outside_transactions(store) as connection:
                await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    @asynccontextmanager
    async def migrating(self, connection: AsyncConnection) -> AsyncIterator[None]:
        # Foreign keys are off meanwhile: dropping the old form of a rebuilt table would otherwise
        # remove every row that refers to it.
        yield
        orphans = (await connection.exec_driver_sql("PRAGMA foreign_key_check")).all()
        if orphans:
            tables = ", ".join(sorted({row[0] for row in orphans}))
            raise DatabaseError("the migration would leave rows without a parent", tables=tables)

    async def close(self) -> None:
        for engine in self.engines:
            await engine.dispose()

    @asynccontextmanager
    async def _outside_transactions(self, store: Store) -> AsyncIterator[AsyncConnection]:
        """The writing connection, for what SQLite does not do within a transaction."""
        async with self.turn(store), self._writers[store].connect() as connection:
            yield await connection.execution_options(**{NO_TRANSACTION: True})

    def _engine(self, store: Store, *, writes: bool) -> AsyncEngine:
        path = self._files.path(store)
        engine = create_async_engine(
            # mode=rw: a database that has gone is an error, never a new empty one.
            URL.create(
                "sqlite+aiosqlite", database=f"{path.as_uri()}", query={"mode": "rw", "uri": "true"}
            ),
            connect_args={
                "async_creator_fn": sqlite_driver.connect,
                "isolation_level": None,
                "timeout": self._settings.busy_timeout_s,
            },
            pool_size=1 if writes else self._settings.pool_size,
            max_overflow=0,
            pool_timeout=self._settings.pool_timeout_s,
            # Each transaction is ended by whoever began it; a second rollback is a thread hop more.
            pool_reset_on_return=None,
            hide_parameters=True,
        )
        pragmas = [
            "PRAGMA journal_mode = WAL",
            f"PRAGMA synchronous = {SYNCHRONOUS[store]}",
            f"PRAGMA foreign_keys = {self._foreign_keys}",
            *([] if writes else ["PRAGMA query_only = ON"]),
        ]
        begin = "BEGIN IMMEDIATE" if writes else "BEGIN"

        @event.listens_for(engine.sync_engine, "connect")
        def prepare(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(pragma)
            cursor.close()
            entry.info["file"] = _identity(path)

        @event.listens_for(engine.sync_engine, "checkout")
        def check_file(
            connection: DBAPIConnection, entry: ConnectionPoolEntry, proxy: PoolProxiedConnection
        ) -> None:
            # A connection outlives its deleted or replaced file and would write into nowhere.
            if entry.info["file"] != _identity(path):
                raise DisconnectionError("the database file was removed or replaced")

        @event.listens_for(engine.sync_engine, "begin")
        def begin_transaction(connection: Connection) -> None:
            if not connection.get_execution_options().get(NO_TRANSACTION):
                connection.exec_driver_sql(begin)

        return engine


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return (status.st_dev, status.st_ino)
