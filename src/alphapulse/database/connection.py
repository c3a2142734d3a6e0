"""Connection Pool Management: one open database per loop, its figures and its health."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.pool import QueuePool

from alphapulse.database.adapters.adapter import DatabaseAdapter, Store
from alphapulse.database.adapters.opening import open_adapter
from alphapulse.database.migrations import schema
from alphapulse.database.settings import DatabaseSettings
from alphapulse.database.statements import Statements, translated
from alphapulse.database.unit_of_work import MarketUnitOfWork, UnitOfWork, reading, writing
from alphapulse.observability.metrics import DB_POOL_IN_USE

Work = TypeVar("Work", UnitOfWork, MarketUnitOfWork)


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """Connections of one loop: how many it may have, uses now, and how many ask for one."""

    size: int
    used: int
    waiting: int


@dataclass(frozen=True, slots=True)
class DatabaseHealth:
    """What the status page shows. ``schema`` differs from ``expected_schema`` before an upgrade."""

    engine: str
    schema: str
    expected_schema: str
    latency_ms: float
    pool: PoolFigures
    size_bytes: int


class Database:
    """The database as one loop sees it; it belongs to the loop it was opened on."""

    def __init__(self, adapter: DatabaseAdapter, *, name: str) -> None:
        self.name = name
        self._adapter = adapter
        self._loop = asyncio.get_running_loop()
        self._waiting = 0
        self._in_use = DB_POOL_IN_USE.labels(name)

    def begin(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Write money; committed when the block ends well, else as if it had never been."""
        return self._unit(UnitOfWork, writing(self._adapter, Store.MONEY))

    def read(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Read money in one snapshot; writing in it is refused."""
        return self._unit(UnitOfWork, reading(self._adapter, Store.MONEY))

    def begin_market(self) -> AbstractAsyncContextManager[MarketUnitOfWork]:
        """Write prices and candles."""
        return self._unit(MarketUnitOfWork, writing(self._adapter, Store.MARKET))

    def read_market(self) -> AbstractAsyncContextManager[MarketUnitOfWork]:
        """Read prices and candles in one snapshot."""
        return self._unit(MarketUnitOfWork, reading(self._adapter, Store.MARKET))

    @property
    def pool(self) -> PoolFigures:
        """Safe to read from another thread."""
        pools = [engine.pool for engine in self._adapter.engines]
        queues = [pool for pool in pools if isinstance(pool, QueuePool)]
        return PoolFigures(
            size=sum(pool.size() for pool in queues),
            used=sum(pool.checkedout() for pool in queues),
            waiting=self._waiting,
        )

    async def ping(self) -> DatabaseHealth:
        """Ask the database something, and how it is.

        Raises:
            DatabaseError: it does not answer; the class says why.
        """
        began_s = time.perf_counter()
        async with reading(self._adapter, Store.MONEY) as statements:
            money = await schema.revision_of(statements, Store.MONEY)
        latency_ms = (time.perf_counter() - began_s) * 1000
        async with reading(self._adapter, Store.MARKET) as statements:
            market = await schema.revision_of(statements, Store.MARKET)
            size_bytes = await statements.size_bytes()
        return DatabaseHealth(
            engine=self._adapter.engine_name,
            schema=schema.describe({Store.MONEY: money, Store.MARKET: market}),
            expected_schema=schema.describe({store: schema.expected(store) for store in Store}),
            latency_ms=latency_ms,
            pool=self.pool,
            size_bytes=size_bytes,
        )

    async def checkpoint(self) -> None:
        """Cut the write-ahead log, which is otherwise as large as it ever had to be.

        Raises:
            DatabaseError: not now.
        """
        with translated(self._adapter):
            await self._adapter.checkpoint()

    @asynccontextmanager
    async def _unit(
        self,
        make: Callable[[Statements], Work],
        transaction: AbstractAsyncContextManager[Statements],
    ) -> AsyncIterator[Work]:
        assert asyncio.get_running_loop() is self._loop, "a database belongs to one loop"
        async with AsyncExitStack() as stack:
            self._waiting += 1
            try:
                statements = await stack.enter_async_context(transaction)
            finally:
                self._waiting -= 1
            with self._in_use.track_inprogress():
                yield make(statements)


@asynccontextmanager
async def open_database(settings: DatabaseSettings, *, name: str) -> AsyncIterator[Database]:
    """The database for the loop that runs now; closed with the block.

    PostgreSQL may be down meanwhile: each unit of work says so until it is back.

    Args:
        settings: where it is.
        name: the loop's, for figures and for the server's list of sessions.

    Raises:
        DatabaseBusy: another process has the SQLite folder.
        DatabaseUnavailable: the SQLite folder is missing or may not be written.
    """
    async with open_adapter(settings, name=name) as adapter:
        yield Database(adapter, name=name)
