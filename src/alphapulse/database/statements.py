"""Database Layer: the statements of one transaction, and the only door to the driver.

Repositories and queries run everything through `Statements`, so that a driver's error becomes
ours in one place.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, Row, Select, Table, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from alphapulse.database.adapters.adapter import DatabaseAdapter, Upsert
from alphapulse.database.tables.base import stored_moment

Values = Mapping[str, object]
"""One row to be written, by column name."""


@contextmanager
def translated(adapter: DatabaseAdapter) -> Iterator[None]:
    """Raise the adapter's reading of a driver error instead of the error itself."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise adapter.translate(error) from error


class Statements:
    """Runs statements in one open transaction."""

    def __init__(self, connection: AsyncConnection, adapter: DatabaseAdapter) -> None:
        self._connection = connection
        self._adapter = adapter

    # Rows are typed by the tables, which SQLAlchemy's own types cannot follow through a join.
    async def rows(self, select: Select[Any], **values: object) -> Sequence[Row[Any]]:
        """``values`` are those that a statement made beforehand leaves open."""
        with translated(self._adapter):
            result = await self._connection.execute(select, values)
            rows: Sequence[Row[Any]] = result.all()
            return rows

    async def row(self, select: Select[Any], **values: object) -> Row[Any] | None:
        """The only row, or ``None``; ``values`` as in `rows`."""
        with translated(self._adapter):
            result = await self._connection.execute(select, values)
            row: Row[Any] | None = result.one_or_none()
            return row

    async def run(self, statement: Executable) -> int:
        """How many rows it touched."""
        with translated(self._adapter):
            return (await self._connection.execute(statement)).rowcount

    async def run_sync(self, work: Callable[[Connection], None]) -> None:
        """Let code that knows no ``await`` (Alembic) work in this transaction."""
        with translated(self._adapter):
            await self._connection.run_sync(work)

    @asynccontextmanager
    async def migrating(self) -> AsyncIterator[None]:
        """Held around a change of the schema."""
        with translated(self._adapter):
            async with self._adapter.migrating(self._connection):
                yield

    async def has_table(self, name: str) -> bool:
        with translated(self._adapter):
            return await self._connection.run_sync(lambda c: inspect(c).has_table(name))

    async def size_bytes(self) -> int:
        """How much room the whole database takes."""
        with translated(self._adapter):
            return await self._adapter.size_bytes(self._connection)

    async def insert(self, table: Table, rows: Sequence[Values]) -> None:
        with translated(self._adapter):
            if rows:
                await self._connection.execute(table.insert(), rows)

    async def upsert(
        self,
        table: Table,
        rows: Sequence[Values],
        *,
        key: Sequence[str] | None = None,
        keep: Iterable[str] = (),
    ) -> None:
        """Insert, or replace the row of the same key, in one batch.

        Args:
            table: where to.
            rows: all with the same columns.
            key: the columns that identify a row; the primary key unless given.
            keep: columns whose first value stays.
        """
        if not rows:
            return
        identity = tuple(key or (column.name for column in table.primary_key))
        replaced = tuple(c for c in rows[0] if c not in identity and c not in keep)
        upsert = _upsert(self._adapter.insert, table, identity, replaced)
        with translated(self._adapter):
            await self._connection.execute(upsert, rows)

    async def upsert_stored(
        self,
        table: Table,
        rows: Sequence[tuple[object, ...]],
        *,
        where: Callable[[Upsert], ColumnElement[bool]],
    ) -> None:
        """As `upsert`, for what comes by the thousand.

        SQLAlchemy's work on each value takes several times what SQLite takes to write the row, so
        these go to the driver as they are.

        Args:
            table: where to.
            rows: whole rows in the order of the table, each value as the driver takes it.
            where: when the row of the same key may be replaced.
        """
        if not rows:
            return
        names = [column.name for column in table.columns]
        identity = [column.name for column in table.primary_key]
        insert = self._adapter.insert(table)
        upsert = insert.on_conflict_do_update(
            index_elements=identity,
            set_={name: insert.excluded[name] for name in names if name not in identity},
            where=where(insert),
        )
        sql = str(upsert.compile(dialect=self._connection.dialect, column_keys=names))
        with translated(self._adapter):
            await self._connection.exec_driver_sql(sql, list(rows))

    def stored_moment(self, at: datetime) -> datetime | int:
        """A time as the driver takes it."""
        return stored_moment(at, self._connection.dialect)


@cache
def _upsert(
    insert: Callable[[Table], Upsert],
    table: Table,
    identity: tuple[str, ...],
    replaced: tuple[str, ...],
) -> Upsert:
    """Made once: to describe it to SQLAlchemy takes several times what running it does."""
    into = insert(table)
    if not replaced:
        return into.on_conflict_do_nothing(index_elements=identity)
    return into.on_conflict_do_update(
        index_elements=identity, set_={name: into.excluded[name] for name in replaced}
    )
