"""Our own format of transactions: one row for each movement, exact, and nothing lost on the way.

`docs/transactions-format.md` describes it. A row says what came into the account (negative: left
it) out of which book; rows of equal account and key that follow each other are one entry. Pure.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from io import StringIO
from itertools import groupby
from typing import TypeVar

from alphapulse.domain.cost_basis.movements import Movement
from alphapulse.domain.identifiers import AccountId, Asset, Symbol
from alphapulse.domain.ledger import Book, Entry, EntryKind, Posting
from alphapulse.domain.money import EXACT, plain
from alphapulse.domain.transaction_files.cells import (
    escaped,
    moment_of,
    moment_text,
    name_of,
    number_of,
    text_of,
    unescaped,
)
from alphapulse.domain.transaction_files.rows import (
    Flaws,
    ReadEntry,
    Row,
    csv_rows,
    json_items,
)
from alphapulse.errors import InvalidInput

ENTRY_COLUMNS = ("account", "key", "kind", "at", "symbol")
MOVEMENT_COLUMNS = ("book", "asset", "quantity")
NOTE_COLUMNS = ("reference", "note")
COLUMNS = (*ENTRY_COLUMNS, *MOVEMENT_COLUMNS, *NOTE_COLUMNS)

JSON_BEGIN = '{"format":"alphapulse-transactions","version":1,"transactions":[\n'
JSON_END = '\n],"count":%d}\n'

_Choice = TypeVar("_Choice", bound=StrEnum)


def movements_of(entry: Entry) -> list[Movement]:
    """What came into the account, by the book it came from."""
    return [
        Movement(one.book, Asset(one.subject), EXACT.minus(one.quantity))
        for one in entry.postings
        if one.book is not Book.VENUE
    ]


def postings_of(movements: Iterable[Movement]) -> tuple[Posting, ...]:
    """Both sides of each."""
    return tuple(
        posting
        for book, asset, quantity in movements
        for posting in (
            Posting(Book.VENUE, asset, quantity),
            Posting(book, asset, EXACT.minus(quantity)),
        )
    )


def csv_header() -> str:
    return ",".join(COLUMNS) + "\r\n"


def csv_text(entries: Iterable[Entry]) -> str:
    """The rows of entries, without the header. Text is escaped, numbers and times need not be."""
    out = StringIO(newline="")
    writer = csv.writer(out)
    for entry in entries:
        names = (entry.account_id, entry.key, entry.kind, moment_text(entry.occurred_at))
        before = (*map(escaped, names), escaped(entry.symbol or ""))
        after = (escaped(entry.reference or ""), escaped(entry.note or ""))
        moved = [_movement_cells(one) for one in movements_of(entry)] or [("", "", "")]
        writer.writerows((*before, *cells, *after) for cells in moved)
    return out.getvalue()


def _movement_cells(movement: Movement) -> tuple[str, str, str]:
    return movement.book.value, escaped(movement.asset), plain(movement.quantity)


def json_text(entries: Iterable[Entry]) -> str:
    """The entries as items of the list, with a comma between."""
    return ",\n".join(json.dumps(_item(entry), ensure_ascii=False) for entry in entries)


@dataclass
class OwnFile:
    """Reads the entries of one account out of a file, as those of ``account_id``."""

    account_id: AccountId
    only: str | None
    """The account of the file that is read; ``None`` where it has but one."""
    latest: datetime
    """No movement is later."""
    flaws: Flaws
    skipped: int = 0
    """Entries of other accounts."""
    _keys: set[str] = field(default_factory=set)
    _is_told: bool = False

    def read_csv(self, content: str) -> Iterator[ReadEntry]:
        rows = csv_rows(content, self.flaws, needed=COLUMNS, known=COLUMNS)
        plainly = (
            Row(line, {name: unescaped(cell) for name, cell in cells.items()})
            for line, cells in rows
        )
        for _, same in groupby(plainly, lambda row: (row.cells["account"], row.cells["key"])):
            yield from self._read(list(same))

    def read_json(self, content: str) -> Iterator[ReadEntry]:
        """A line is the number of the transaction."""
        for number, item in json_items(content, self.flaws, name="transactions"):
            try:
                rows = [Row(number, cells) for cells in _cells_of(item)]
            except InvalidInput as error:
                self.flaws.add(number, error)
            else:
                yield from self._read(rows)

    def _read(self, rows: Sequence[Row]) -> Iterator[ReadEntry]:
        line, cells = rows[0]
        if not self._is_wanted(line, cells["account"]):
            self.skipped += 1
            return
        before = self.flaws.count
        movements: list[Movement] = []
        for row in rows:
            try:
                _require_alike(row.cells, cells)
                movements += _movement(row.cells)
            except InvalidInput as error:
                self.flaws.add(row.line, error)
        try:
            entry = self._entry(cells, movements)
        except InvalidInput as error:
            self.flaws.add(line, error)
        if self.flaws.count == before:
            yield ReadEntry(line, entry)

    def _is_wanted(self, line: int, account: str) -> bool:
        if self.only is None:
            self.only, self._is_told = account, True
        if account != self.only and self._is_told:
            self._is_told = False  # once is enough
            reason = "is a second account; say with from_account which one is meant"
            self.flaws.add(line, InvalidInput(reason, field="account"))
        return account == self.only

    def _entry(self, cells: Mapping[str, str], movements: list[Movement]) -> Entry:
        key = name_of(cells["key"], "key")
        if key in self._keys:
            raise InvalidInput("comes again in another place of the file", field="key")
        self._keys.add(key)
        symbol = name_of(cells["symbol"], "symbol") if cells["symbol"] else None
        return Entry(
            account_id=self.account_id,
            kind=choice_of(EntryKind, cells["kind"], "kind"),
            key=key,
            occurred_at=moment_of(cells["at"], "at", self.latest),
            postings=postings_of(movements),
            symbol=None if symbol is None else Symbol(symbol),
            reference=text_of(cells["reference"], "reference"),
            note=text_of(cells["note"], "note"),
        )


def choice_of(kind: type[_Choice], cell: str, column: str) -> _Choice:
    """The member that ``cell`` names. Raises `InvalidInput`."""
    try:
        return kind(cell)
    except ValueError:
        raise InvalidInput(f"is none of {', '.join(kind)}", field=column) from None


def _require_alike(cells: Mapping[str, str], first: Mapping[str, str]) -> None:
    for name in (*ENTRY_COLUMNS, *NOTE_COLUMNS):
        if cells[name] != first[name]:
            reason = "is another than in the row before, which has the same key"
            raise InvalidInput(reason, field=name)


def _movement(cells: Mapping[str, str]) -> list[Movement]:
    if not any(cells[name] for name in MOVEMENT_COLUMNS):
        return []  # an entry that moved nothing, such as a fee of zero
    book = choice_of(Book, cells["book"], "book")
    if book is Book.VENUE:
        raise InvalidInput("names where it came from, which is never the account", field="book")
    asset = Asset(name_of(cells["asset"], "asset"))
    return [Movement(book, asset, number_of(cells["quantity"], "quantity"))]


def _item(entry: Entry) -> dict[str, object]:
    return {
        "account": entry.account_id,
        "key": entry.key,
        "kind": entry.kind,
        "at": moment_text(entry.occurred_at),
        "symbol": entry.symbol,
        "reference": entry.reference,
        "note": entry.note,
        "movements": [
            {"book": one.book, "asset": one.asset, "quantity": plain(one.quantity)}
            for one in movements_of(entry)
        ],
    }


def _cells_of(item: object) -> list[dict[str, str]]:
    names = (*ENTRY_COLUMNS, *NOTE_COLUMNS)
    head = _texts(item, names, more=("movements",))
    movements = item["movements"]  # type: ignore[index]  # `_texts` has looked
    if not isinstance(movements, list):
        raise InvalidInput("is not a list", field="movements")
    nothing = dict.fromkeys(MOVEMENT_COLUMNS, "")
    return [
        head | moved
        for moved in ([_texts(one, MOVEMENT_COLUMNS) for one in movements] or [nothing])
    ]


def _texts(item: object, names: Iterable[str], more: Iterable[str] = ()) -> dict[str, str]:
    wanted = set(names)
    if not isinstance(item, dict) or set(item) != wanted | set(more):
        raise InvalidInput(f"does not have the fields {', '.join(sorted(wanted | set(more)))}")
    found: dict[str, str] = {}
    for name in names:
        value = item[name]
        if value is not None and not isinstance(value, str):
            raise InvalidInput("is not text", field=name)
        found[name] = value or ""
    return found
