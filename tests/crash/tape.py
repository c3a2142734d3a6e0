"""A tape: every transaction the product wrote to its money file while it placed orders.

The disk of `tests.crash.disk` lies under another copy of SQLite than the product's. So the product
is recorded on a real disk, and what it wrote, with its settings, is repeated on that one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event

MONEY = "money.db"


@dataclass
class Tape:
    """``settings`` are the pragmas of the connection that wrote."""

    transactions: list[list[str]] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)


class Ear:
    """Listens to one connection; only who writes begins at once."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._settings: list[str] = []

    def __call__(self, statement: str) -> None:
        if statement == "BEGIN IMMEDIATE":
            self._tape.settings = self._settings
            self._tape.transactions.append([])
        if statement.startswith("PRAGMA"):
            self._settings.append(statement)
        elif self._settings is self._tape.settings and not statement.startswith("SELECT"):
            self._tape.transactions[-1].append(statement)


@contextmanager
def recording() -> Iterator[Tape]:
    """Record every connection to a money file that is opened within the block."""
    tape = Tape()

    def listen(connection: Any, entry: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA database_list")
        (_, _, path), *_ = cursor.fetchall()
        cursor.close()
        if path.endswith(MONEY):
            connection.run_async(lambda driver: driver.set_trace_callback(Ear(tape)))

    event.listen(Engine, "connect", listen)
    try:
        yield tape
    finally:
        event.remove(Engine, "connect", listen)
