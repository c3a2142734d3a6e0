"""Query Builders: pages that neither repeat nor skip while rows are added.

A page ends at a (time, id) and the next one begins below it, so a page costs the same however
deep it lies. The cursor is opaque to clients: it may change with any version.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, Row, Select, literal, tuple_

from alphapulse.database.statements import Statements
from alphapulse.database.tables.base import EPOCH, MICROSECOND
from alphapulse.errors import InvalidInput

T = TypeVar("T")

MAX_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """A thing and the id it is listed under."""

    id: int
    item: T


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Newest first; ``next_cursor`` is ``None`` on the last page."""

    items: tuple[Listed[T], ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Between two rows: the next page begins below this (time, id)."""

    at: datetime
    id: int

    def encode(self) -> str:
        microseconds = (self.at - EPOCH) // MICROSECOND
        return urlsafe_b64encode(f"{microseconds}.{self.id}".encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, cursor: str) -> "Place":
        """Raises `InvalidInput` for anything that `encode` did not make."""
        try:
            text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
            microseconds, row_id = map(int, text.split("."))
            place = cls(EPOCH + microseconds * MICROSECOND, row_id)
        except (binascii.Error, ValueError, OverflowError):
            place = None
        if place is None or place.encode() != cursor or place.id.bit_length() > 63:
            raise InvalidInput("not a cursor of ours", field="cursor", value=cursor[:60])
        return place


async def newest_first(
    statements: Statements,
    wanted: Select[Any],
    *,
    time: Column[datetime],
    id: Column[int],
    cursor: str | None,
    limit: int,
) -> tuple[Sequence[Row[Any]], str | None]:
    """The rows of one page, each ending in its time and id, and the cursor of the next.

    Args:
        statements: of the open snapshot.
        wanted: what to select, unordered.
        time: never changes once written.
        id: breaks the tie of equal times.
        cursor: of the page before; ``None`` for the first.
        limit: rows, 1 <= limit <= 500.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"limit must be 1 to {MAX_LIMIT}", field="limit", value=limit)
    if cursor is not None:
        place = Place.decode(cursor)
        below = tuple_(literal(place.at, time.type), literal(place.id, id.type))
        wanted = wanted.where(tuple_(time, id) < below)
    wanted = wanted.add_columns(time, id).order_by(time.desc(), id.desc())
    # One more row than asked tells whether there is a next page.
    rows = await statements.rows(wanted.limit(limit + 1))
    if len(rows) <= limit:
        return rows, None
    *_, at, row_id = tuple(rows[limit - 1])
    return rows[:limit], Place(at, row_id).encode()
