"""Database Adapters (SQLite): aiosqlite, with one trip to its thread for each statement.

SQLAlchemy makes a cursor, runs it, fetches every row and closes it. aiosqlite takes each of these
steps to the connection's thread and back, and each way waits for the interpreter.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

import aiosqlite


def connect(database: str, **options: Any) -> "OneTripConnection":
    """What SQLAlchemy awaits for a connection; ``options`` are those of `sqlite3.connect`."""
    connection = OneTripConnection(partial(sqlite3.connect, database, **options), 64)
    connection._thread.daemon = True  # as SQLAlchemy has it for one that it makes itself
    return connection


class OneTripConnection(aiosqlite.Connection):
    """Its cursors run, fetch and close at once."""

    def cursor(self) -> "OneTripCursor":  # type: ignore[override]  # aiosqlite makes a trip for it
        return OneTripCursor(self)


class OneTripCursor:
    """What SQLAlchemy uses of a cursor of aiosqlite."""

    description: Any = None
    rowcount = -1
    lastrowid: int | None = None
    arraysize = 1

    def __init__(self, connection: OneTripConnection) -> None:
        self._connection = connection
        self._rows: Sequence[Any] = ()

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        await self._visit(lambda: self._connection._conn.execute(sql, values))

    async def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        await self._visit(lambda: self._connection._conn.executemany(sql, rows))

    async def fetchall(self) -> Sequence[Any]:
        return self._rows

    async def close(self) -> None:
        """It was closed where it ran."""

    async def _visit(self, run: Callable[[], sqlite3.Cursor]) -> None:
        await self._connection._execute(lambda: self._take(run()))  # type: ignore[no-untyped-call]

    def _take(self, ran: sqlite3.Cursor) -> None:
        try:
            self._rows = ran.fetchall()
            self.description = ran.description
            self.rowcount = ran.rowcount
            self.lastrowid = ran.lastrowid
        finally:
            ran.close()
