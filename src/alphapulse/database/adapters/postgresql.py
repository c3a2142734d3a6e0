"""Database Adapters (PostgreSQL): one asyncpg pool per loop, both stores in one schema."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import Table, event, func, make_url, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from alphapulse.database.adapters.adapter import Store, Upsert
from alphapulse.database.settings import DatabaseSettings
from alphapulse.errors import (
    AlphaPulseError,
    Conflict,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnavailable,
)

MIGRATION_LOCK = 0x616C7068  # "alph"; only has to differ from other programs' in this database

# Any table of the money store would do.
ONE_WRITER = text("LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE")

# SQLSTATE classes and codes (postgresql.org/docs/18/errcodes-appendix.html, 2026-11-23), most
# specific first.
BUSY = {
    "40001": "two units of work collided; the later one may run again",
    "40P01": "two units of work waited for each other; this one may run again",
    "55P03": "a row is locked by somebody else",
    "57014": "a statement took too long and was canceled",
    "25P03": "a unit of work did nothing for too long and was ended",
}
UNAVAILABLE = {
    "25006": "the server may only be read; connect to the primary",
    "28": "the server refuses our login; check user and password",
    "3D": "the server has no such database; create it",
    "42501": "our user may not do this; grant it the rights",
    "53100": "the server's disk is full; free some space",
    "53": "the server has no connection or memory left for us",
    "57P": "the server is starting or stopping",
    "58": "the server's disk fails; check it",
    "08": "the connection broke",
    "XX": "the server reports damaged data or a fault of its own; see its log",
}


class PostgresqlAdapter:
    """The engine of one loop; a session the server ended is replaced by the pool."""

    engine_name = "postgresql"

    def __init__(self, settings: DatabaseSettings, *, name: str, migrates: bool) -> None:
        ms = 1000
        self._engine = create_async_engine(
            make_url(settings.url).set(drivername="postgresql+asyncpg"),
            pool_size=settings.pool_size,
            max_overflow=0,
            pool_timeout=settings.pool_timeout_s,
            # What a unit of work has read is still so when it writes: money has one writer at a
            # time, as on SQLite; of two that collide over prices the later one fails as a whole.
            # A migration that waited for another must see what that one did.
            isolation_level="READ COMMITTED" if migrates else "REPEATABLE READ",
            hide_parameters=True,
            connect_args={
                "timeout": settings.connect_timeout_s,
                # The server enforces its own limit; this one ends the wait for a silent server.
                "command_timeout": settings.statement_timeout_s + settings.connect_timeout_s,
                "server_settings": {
                    "application_name": f"alphapulse-{name}",
                    "synchronous_commit": "on",
                    "timezone": "UTC",
                    "lock_timeout": f"{settings.busy_timeout_s * ms:.0f}",
                    "statement_timeout": f"{settings.statement_timeout_s * ms:.0f}",
                    "idle_in_transaction_session_timeout": (
                        f"{settings.idle_in_transaction_timeout_s * ms:.0f}"
                    ),
                },
            },
        )
        self._migrates = migrates
        self._reader = self._engine.execution_options(postgresql_readonly=True)
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)

    @property
    def engines(self) -> Sequence[AsyncEngine]:
        return (self._engine,)

    def writer(self, store: Store) -> AsyncEngine:
        return self._engine

    def reader(self, store: Store) -> AsyncEngine:
        return self._reader

    @asynccontextmanager
    async def turn(self, store: Store) -> AsyncIterator[None]:
        yield  # `begin_writing` waits for it in the server, where other processes stand in line too

    async def begin_writing(self, connection: AsyncConnection, store: Store) -> None:
        # A statement without a snapshot, so that what is read after the wait is what the one
        # before us wrote (postgresql.org/docs/18/explicit-locking.html). Readers do not wait.
        if store is Store.MONEY and not self._migrates:
            await connection.execute(ONE_WRITER)

    @staticmethod
    def insert(table: Table) -> Upsert:
        return postgresql.insert(table)

    def translate(self, error: Exception) -> AlphaPulseError:
        if isinstance(error, PoolTimeout):
            return DatabaseBusy("every connection of the pool is in use")
        if isinstance(error, OSError | asyncpg.InterfaceError):
            return DatabaseUnavailable("the server cannot be reached", cause=type(error).__name__)
        cause = error.orig if isinstance(error, DBAPIError) else error
        state = getattr(cause, "sqlstate", None)
        if state is None:
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                return DatabaseUnavailable("the connection broke")
            return DatabaseError("the database refused a statement", cause=type(cause).__name__)
        return verdict(state, getattr(cause, "constraint_name", None))

    async def size_bytes(self, connection: AsyncConnection) -> int:
        size = await connection.scalar(select(func.pg_database_size(func.current_database())))
        return int(size or 0)

    async def checkpoint(self) -> None:
        """The server does it by itself."""

    async def back_up(self, store: Store, revision: str) -> None:
        """Backups of a server are its administrator's; a migration that fails is taken back."""

    @asynccontextmanager
    async def migrating(self, connection: AsyncConnection) -> AsyncIterator[None]:
        await connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        yield

    async def close(self) -> None:
        await self._engine.dispose()


def _refuse_closed(
    connection: DBAPIConnection, entry: ConnectionPoolEntry, proxy: PoolProxiedConnection
) -> None:
    # asyncpg has noticed when the server went; the pool then makes a new connection. This costs
    # nothing, where SQLAlchemy's own ping costs three round trips for each unit of work.
    server_session = entry.driver_connection
    if server_session is not None and server_session.is_closed():
        raise DisconnectionError("the server ended this session")


def verdict(state: str, constraint: str | None) -> AlphaPulseError:
    """What a SQLSTATE means to whoever runs AlphaPulse."""
    if state in BUSY:
        return DatabaseBusy(BUSY[state], cause=state)
    if state.startswith("23"):
        return Conflict("it breaks a rule of the database", rule=constraint)
    for beginning, meaning in UNAVAILABLE.items():
        if state.startswith(beginning):
            return DatabaseUnavailable(meaning, cause=state)
    return DatabaseError("the database refused a statement", cause=state)
