"""The disk: what was committed, and nothing else, outlives a crash."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Self

from alphapulse.errors import DatabaseBusy, DatabaseError, DatabaseUnavailable
from tests.simulation.loop import RUN, others_turn

Rows = dict[Any, Any]
Tables = Mapping[str, Rows]

TABLES = (
    *("orders", "events", "fills", "cursors", "intents", "keys", "leases", "switches", "limits"),
    *("usage", "reports", "books", "balances", "positions", "entries", "sums"),
)


class Transaction:
    """One unit of work: it sees the tables as they were when it began, and its own changes.

    It is committed when its block ends well, if it changed anything.
    """

    def __init__(self, disk: "Disk", *, may_write: bool) -> None:
        self._disk = disk
        self._may_write = may_write
        self._before: Tables = {}
        self.changed: dict[str, Rows] = {}
        self.next_id = disk.next_id

    async def __aenter__(self) -> Self:
        disk = self._disk
        if self._may_write:
            await disk.take_turn()
        else:
            await others_turn(disk.random)
        self._before = disk.tables
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        if self._may_write:
            try:
                if kind is None and self.changed:
                    await self._disk.commit(self)
            finally:
                self._disk.turn.release()

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
    random: Random | None = None
    tables: Tables = field(default_factory=lambda: {name: {} for name in TABLES})
    _ids: Any = field(default_factory=lambda: count(1))
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def next_id(self) -> int:
        return int(next(self._ids))

    async def take_turn(self) -> None:
        """To write; whoever takes it must release it."""
        try:
            # Also when it is free: it may have been given to one who died before he took it.
            async with asyncio.timeout(self.busy_after_s):
                await self.turn.acquire()
        except TimeoutError:
            raise DatabaseBusy("another writer is at it") from None
        try:
            await others_turn(self.random)
        except BaseException:
            self.turn.release()
            raise

    async def commit(self, transaction: Transaction) -> None:
        """Make it durable, as its fate will have it."""
        fate = self.fate()
        if fate.wait_s:
            await asyncio.sleep(fate.wait_s)
        run = RUN.get()
        assert run is None or not run.is_dead, "a dead run commits"
        if fate.is_durable:
            before = self.tables
            self.tables = {**before, **transaction.changed}
            self.on_commit(before, self.tables)
            await others_turn()  # a crash may come before the caller hears of it
        if fate.error is not None:
            raise fate.error
