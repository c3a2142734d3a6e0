"""Database Adapters: what an engine must offer, whichever it is."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alphapulse.errors import AlphaPulseError

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

Upsert: TypeAlias = "sqlite.Insert | postgresql.Insert"
"""An insert that knows what to do on conflict; both engines spell it alike."""


class Store(StrEnum):
    """The two logical databases; what may not be lost, and what can be fetched again."""

    MONEY = "money"
    MARKET = "market"


class DatabaseAdapter(Protocol):
    """One open database of one loop. Its engines are made and closed on that loop."""

    @property
    def engine_name(self) -> str: ...

    @property
    def engines(self) -> Sequence[AsyncEngine]:
        """Every engine with a pool of its own, for figures and for closing."""
        ...

    def writer(self, store: Store) -> AsyncEngine: ...

    def reader(self, store: Store) -> AsyncEngine:
        """Its transactions see one snapshot and cannot write."""
        ...

    def turn(self, store: Store) -> AbstractAsyncContextManager[None]:
        """Held around each writing transaction."""
        ...

    async def begin_writing(self, connection: AsyncConnection, store: Store) -> None:
        """First in each writing transaction: money is written by one at a time, so that what a
        unit of work read is still so when it writes."""
        ...

    def insert(self, table: Table) -> Upsert: ...

    def translate(self, error: Exception) -> AlphaPulseError:
        """What a driver's error means, without its statement, its values or its address."""
        ...

    async def size_bytes(self, connection: AsyncConnection) -> int: ...

    async def checkpoint(self) -> None:
        """Fold the write-ahead log into the database and cut it, where that is ours to do."""
        ...

    async def back_up(self, store: Store, revision: str) -> None:
        """Keep a copy of the store as it is at ``revision``, where that is ours to do."""
        ...

    def migrating(self, connection: AsyncConnection) -> AbstractAsyncContextManager[None]:
        """Held around a change of the schema, within its transaction."""
        ...

    async def close(self) -> None: ...
