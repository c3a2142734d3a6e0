"""The disk: what was committed, and nothing else, outlives a crash."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from alphapulse.errors import DatabaseBusy, DatabaseError, DatabaseUnavailable
from tests.simulation.loop import RUN

Rows = dict[Any, Any]
Tables = Mapping[str, Rows]

TABLES = (
    *("orders", "events", "fills", "cursors", "intents", "keys", "leases", "switches", "limits"),
    *("usage", "reports", "books", "balances", "positions"),
)


class Transaction:
    """What one unit of work sees: the tables as they were when it began, and its own changes."""

    def __init__(self, disk: "Disk", *, may_write: bool) -> None:
        self._before = disk.tables
        self._may_write = may_write
        self.changed: dict[str, Rows] = {}
        self.next_id = disk.next_id

    def rows(self, table: str) -> Rows:
        """To read only."""
        mine = self.changed.get(table)
        return self._before[table] if mine is None else mine

    def own(self, table: str) -> Rows:
        """To write."""
        assert self._may_write, f"a reading block writes {table}"
        if table not in self.changed:
            self.changed[table] = dict(self._before[table])
        return self.changed[table]


@dataclass(frozen=True, slots=True)
class CommitFate:
    """How one commit goes. ``is_durable`` with an error: done, and the answer was lost."""

    wait_s: float = 0.0
    is_durable: bool = True
    error: DatabaseError | None = None


GOOD = CommitFate()
FULL = CommitFate(is_durable=False, error=DatabaseUnavailable("the disk is full"))


@dataclass(slots=True)
class Disk:
    """One writer at a time, as on both databases; committed tables are never changed in place.

    ``on_commit`` is told the tables before and after each commit.
    """

    fate: Callable[[], CommitFate] = lambda: GOOD
    on_commit: Callable[[Tables, Tables], None] = lambda before, after: None
    busy_after_s: float = 5.0
    tables: Tables = field(default_factory=lambda: {name: {} for name in TABLES})
    _ids: Any = field(default_factory=lambda: count(1))
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def next_id(self) -> int:
        return int(next(self._ids))

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        await self._take_turn()
        try:
            await asyncio.sleep(0)
            transaction = Transaction(self, may_write=True)
            yield transaction
            if transaction.changed:
                await self._commit(transaction)
        finally:
            self._turn.release()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        await asyncio.sleep(0)
        yield Transaction(self, may_write=False)

    async def _take_turn(self) -> None:
        if not self._turn.locked():
            await self._turn.acquire()
            return
        try:
            async with asyncio.timeout(self.busy_after_s):
                await self._turn.acquire()
        except TimeoutError:
            raise DatabaseBusy("another writer is at it") from None

    async def _commit(self, transaction: Transaction) -> None:
        fate = self.fate()
        if fate.wait_s:
            await asyncio.sleep(fate.wait_s)
        run = RUN.get()
        assert run is None or not run.is_dead, "a dead run commits"
        if fate.is_durable:
            before = self.tables
            self.tables = {**before, **transaction.changed}
            self.on_commit(before, self.tables)
            await asyncio.sleep(0)  # a crash may come before the caller hears of it
        if fate.error is not None:
            raise fate.error
