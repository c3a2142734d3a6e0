"""Rows: a file line by line, and what is wrong with each. Pure."""

import csv
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, NamedTuple, NoReturn

from alphapulse.domain.ledger import Entry
from alphapulse.errors import BadRows, InvalidInput

ENTRIES_MAX = 5_000
"""One file is one transaction of the database, and an order waits no longer than 5 s for its own:
as many take 2 s of a processor on SQLite (2026-11-23)."""

FLAWS_MAX = 50
"""So many bad rows are named; the rest is counted."""


class Row(NamedTuple):
    """``line`` is where it begins, the first line of the file is 1; in JSON the number of the
    item, from 1. ``cells`` are by column."""

    line: int
    cells: Mapping[str, str]


class BadRow(NamedTuple):
    """``column`` is ``None`` where the row as a whole is wrong."""

    line: int
    column: str | None
    reason: str


class ReadEntry(NamedTuple):
    """An entry, and the line where it began."""

    line: int
    entry: Entry


@dataclass
class Flaws:
    """The bad rows of one file."""

    rows: list[BadRow] = field(default_factory=list)
    count: int = 0

    def add(self, line: int, error: InvalidInput) -> None:
        """``error`` names the column as its field."""
        column = error.facts.get("field")
        self.count += 1
        if len(self.rows) < FLAWS_MAX:
            name = None if column is None else str(column)
            self.rows.append(BadRow(line, name, error.message))

    def refuse(self) -> None:
        """Raises `BadRows` if there is any."""
        if self.count:
            raise BadRows(
                f"{self.count} rows cannot be read, nothing was imported",
                rows=tuple(self.rows),
                count=self.count,
            )


def csv_rows(
    content: str,
    flaws: Flaws,
    *,
    delimiter: str = ",",
    needed: Collection[str],
    known: Collection[str] | None = None,
) -> Iterator[Row]:
    """The rows below the header, bad ones left out.

    Args:
        content: the text of the file.
        flaws: takes what is wrong.
        delimiter: between cells.
        needed: columns that must be there.
        known: columns that may be there; ``None`` for any others.
    """
    reader = csv.reader(
        StringIO(content.removeprefix("\ufeff"), newline=""), delimiter=delimiter, strict=True
    )
    header: Sequence[str] | None = None
    line = 1
    try:
        for cells in reader:
            if header is None:
                header = _header(cells, needed, known)
            elif len(cells) == len(header):
                yield Row(line, dict(zip(header, cells, strict=True)))
            elif cells:
                reason = f"has {len(cells)} cells, and the header {len(header)}"
                flaws.add(line, InvalidInput(reason))
            line = reader.line_num + 1
    except csv.Error as error:
        # Where a quote is not closed nobody can tell where the next row begins.
        flaws.add(line, InvalidInput(f"is not CSV from here on: {error}"))
    except InvalidInput as error:
        flaws.add(line, error)
    if header is None and not flaws.count:
        flaws.add(1, InvalidInput("there is no header"))


def json_items(content: str, flaws: Flaws, *, name: str) -> Iterator[tuple[int, Any]]:
    """The items under ``name``, numbered from 1. Numbers come as the text they were written as."""
    try:
        document = json.loads(
            content.removeprefix("\ufeff"),
            parse_float=str,
            parse_int=str,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError):
        flaws.add(1, InvalidInput("this is not JSON"))
        return
    items = document.get(name) if isinstance(document, dict) else None
    if not isinstance(items, list):
        flaws.add(1, InvalidInput("there is no such list", field=name))
        return
    yield from enumerate(items, 1)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _header(
    cells: Sequence[str], needed: Collection[str], known: Collection[str] | None
) -> Sequence[str]:
    header = [cell.strip() for cell in cells]
    wanted = set(needed) if known is None else set(known)
    for column in header:
        if column in wanted and header.count(column) > 1:
            raise InvalidInput("comes twice", field=column)
        if known is not None and column not in wanted:
            raise InvalidInput("is no column of this format", field=column[:60])
    for column in needed:
        if column not in header:
            raise InvalidInput("is missing", field=column)
    return header
