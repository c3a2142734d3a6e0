"""Mapping: how another program's columns are read as ours. Pure.

One row is one transaction: what was received, what was sent, and a fee. What a row says is all
there is of it, so its name in the ledger is made from that: the same row is known when it comes
again, and of equal rows in one file each is one of its own.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from alphapulse.domain.cost_basis.movements import Movement
from alphapulse.domain.identifiers import AccountId, Asset, Symbol
from alphapulse.domain.identifiers import asset as asset_code
from alphapulse.domain.identifiers import symbol as symbol_name
from alphapulse.domain.ledger import Book, Entry, EntryKind, other_side
from alphapulse.domain.money import EXACT, ZERO, plain
from alphapulse.domain.transaction_files.cells import moment_text, number_of, text_of, within
from alphapulse.domain.transaction_files.own_format import postings_of
from alphapulse.domain.transaction_files.rows import Flaws, ReadEntry, Row, csv_rows
from alphapulse.errors import InvalidInput

_EXPONENT = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?[eE][+-]?[0-9]{1,2}", re.ASCII)


class Field(StrEnum):
    """What a column may be to us."""

    AT = "at"
    KIND = "kind"
    RECEIVED = "received"
    RECEIVED_ASSET = "received_asset"
    SENT = "sent"
    SENT_ASSET = "sent_asset"
    AMOUNT = "amount"
    """Instead of the four above: signed, negative was sent."""
    ASSET = "asset"
    FEE = "fee"
    FEE_ASSET = "fee_asset"
    SYMBOL = "symbol"
    REFERENCE = "reference"
    NOTE = "note"


class FeeRule(StrEnum):
    """Whether the amounts of a row are before its fee or after it."""

    ON_TOP = "on_top"
    """The fee left the account beside what was sent and received."""
    INCLUDED = "included"
    """``sent`` is what left in all, ``received`` what was left of it; a fee in a third asset is
    not a movement of this row."""


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """How to read a file. Words of kinds and assets are compared without regard to case.

    ``date_format`` is that of `datetime.strptime`, ``None`` for ISO 8601; a time without an offset
    is in ``timezone``, and of one that a clock showed twice the first is meant. A kind that is
    empty, or has no column, follows from the amounts.
    """

    columns: Mapping[Field, str]
    kinds: Mapping[str, EntryKind] = field(default_factory=dict)
    assets: Mapping[str, str] = field(default_factory=dict)
    """Their names of assets that are not ours."""
    date_format: str | None = None
    timezone: tzinfo = UTC
    decimal_separator: str = "."
    group_separator: str | None = None
    delimiter: str = ","
    fee: FeeRule = FeeRule.ON_TOP


class Side(NamedTuple):
    """An amount, never negative, of an asset."""

    quantity: Decimal
    asset: Asset


class Statement(NamedTuple):
    """One row, read."""

    at: datetime
    kind: EntryKind | None
    received: Side | None
    sent: Side | None
    fee: Side | None
    symbol: Symbol | None
    reference: str | None
    note: str | None


def read_mapped(
    content: str, mapping: ColumnMapping, account_id: AccountId, latest: datetime, flaws: Flaws
) -> Iterator[ReadEntry]:
    """The rows of a file as entries of ``account_id``; ``flaws`` takes those that are not."""
    rows = csv_rows(
        content, flaws, delimiter=mapping.delimiter, needed=set(mapping.columns.values())
    )
    entries = Entries(account_id)
    for row in rows:
        try:
            yield ReadEntry(row.line, entries.entry_of(_RowReader(row, mapping).statement(latest)))
        except InvalidInput as error:
            flaws.add(row.line, error)


class Entries:
    """Makes entries of the statements of one file."""

    def __init__(self, account_id: AccountId) -> None:
        self._account_id = account_id
        self._seen: Counter[str] = Counter()

    def entry_of(self, told: Statement) -> Entry:
        """Raises `InvalidInput`: the amounts do not fit the kind."""
        kind = told.kind or _kind_of(told)
        movements = list(_movements(told, other_side(kind)))
        if not movements:
            raise InvalidInput("moves nothing")
        said = [kind, moment_text(told.at), told.symbol, told.reference, _said(movements)]
        text = json.dumps(said)
        self._seen[text] += 1
        name = hashlib.sha256(f"{text}{self._seen[text]}".encode()).hexdigest()[:32]
        return Entry(
            account_id=self._account_id,
            kind=kind,
            key=f"import:{name}",
            occurred_at=told.at,
            postings=postings_of(movements),
            symbol=told.symbol,
            reference=told.reference,
            note=told.note,
        )


class _RowReader:
    """One row through the eyes of a mapping."""

    def __init__(self, row: Row, mapping: ColumnMapping) -> None:
        self._cells = row.cells
        self._mapping = mapping

    def statement(self, latest: datetime) -> Statement:
        received = self._side(Field.RECEIVED, Field.RECEIVED_ASSET)
        sent = self._side(Field.SENT, Field.SENT_ASSET)
        if Field.AMOUNT in self._mapping.columns:
            received, sent = self._signed()
        fee = self._side(Field.FEE, Field.FEE_ASSET)
        if self._mapping.fee is FeeRule.INCLUDED:
            received, sent, fee = _fee_taken_out(received, sent, fee)
        symbol = self._cell(Field.SYMBOL)
        return Statement(
            at=self._moment(latest),
            kind=self._kind(),
            received=received,
            sent=sent,
            fee=fee,
            symbol=symbol_name(symbol, self._column(Field.SYMBOL)) if symbol else None,
            reference=text_of(self._cell(Field.REFERENCE), self._column(Field.REFERENCE)),
            note=text_of(self._cell(Field.NOTE), self._column(Field.NOTE)),
        )

    def _column(self, name: Field) -> str:
        return self._mapping.columns.get(name, name)

    def _cell(self, name: Field) -> str:
        column = self._mapping.columns.get(name)
        return "" if column is None else self._cells[column].strip()

    def _kind(self) -> EntryKind | None:
        word = self._cell(Field.KIND)
        if not word:
            return None
        kinds = {said.casefold(): kind for said, kind in self._mapping.kinds.items()}
        if word.casefold() not in kinds:
            raise InvalidInput(
                "is a kind that the mapping does not name", field=self._column(Field.KIND)
            )
        return kinds[word.casefold()]

    def _moment(self, latest: datetime) -> datetime:
        column, cell = self._column(Field.AT), self._cell(Field.AT)
        form = self._mapping.date_format
        try:
            if form is None:
                moment = datetime.fromisoformat(cell.replace(" UTC", "+00:00"))
            else:
                moment = datetime.strptime(cell, form)  # noqa: DTZ007 - its zone comes below
        except ValueError:
            form = "ISO 8601" if form is None else form
            raise InvalidInput(f"is not a time of the form {form}", field=column) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._mapping.timezone)
        try:
            return within(moment.astimezone(UTC), column, latest)
        except OverflowError:
            raise InvalidInput("is before 1970 or in the future", field=column) from None

    def _side(self, amount: Field, asset: Field) -> Side | None:
        number = self._number(amount)
        if not number:
            return None
        if number < 0:
            raise InvalidInput("is negative", field=self._column(amount))
        return Side(number, self._asset(asset))

    def _signed(self) -> tuple[Side | None, Side | None]:
        """What an amount with a sign says was received, or sent."""
        number = self._number(Field.AMOUNT)
        if not number:
            return None, None
        side = Side(abs(number), self._asset(Field.ASSET))
        return (side, None) if number > 0 else (None, side)

    def _number(self, name: Field) -> Decimal:
        return mapped_number(self._cell(name), self._mapping, self._column(name))

    def _asset(self, name: Field) -> Asset:
        said = self._cell(name)
        if not said:
            raise InvalidInput("is missing", field=self._column(name))
        return mapped_asset(said, self._mapping, self._column(name))


def mapped_number(cell: str, mapping: ColumnMapping, column: str) -> Decimal:
    """Zero for an empty cell. Raises `InvalidInput`."""
    if not cell:
        return ZERO
    group, decimal = mapping.group_separator, mapping.decimal_separator
    if group is not None and group in cell:
        whole = re.escape(group).join((r"[+-]?[0-9]{1,3}(", r"[0-9]{3})+"))
        if not re.fullmatch(rf"{whole}({re.escape(decimal)}[0-9]+)?", cell):
            raise InvalidInput("is not a number grouped by thousands", field=column)
        cell = cell.replace(group, "")
    if decimal != ".":
        if "." in cell:
            raise InvalidInput(f"has another decimal separator than {decimal}", field=column)
        cell = cell.replace(decimal, ".")
    if _EXPONENT.fullmatch(cell):
        cell = format(Decimal(cell), "f")
    return number_of(cell.removeprefix("+"), column)


def mapped_asset(said: str, mapping: ColumnMapping, column: str) -> Asset:
    """Raises `InvalidInput`."""
    names = {theirs.casefold(): ours for theirs, ours in mapping.assets.items()}
    try:
        return asset_code(names.get(said.casefold(), said.upper()))
    except InvalidInput as error:
        raise InvalidInput(error.message, field=column) from None


def _kind_of(told: Statement) -> EntryKind:
    if told.received and told.sent:
        return EntryKind.FILL
    if told.received:
        return EntryKind.DEPOSIT
    return EntryKind.WITHDRAWAL if told.sent else EntryKind.FEE


def _movements(told: Statement, book: Book) -> Iterator[Movement]:
    if book is Book.TRADES and (told.received is None or told.sent is None):
        raise InvalidInput("is a trade, and has not both what was received and what was sent")
    if told.received is not None:
        yield Movement(book, told.received.asset, told.received.quantity)
    if told.sent is not None:
        yield Movement(book, told.sent.asset, EXACT.minus(told.sent.quantity))
    if told.fee is not None:
        yield Movement(Book.FEES, told.fee.asset, EXACT.minus(told.fee.quantity))


def _fee_taken_out(
    received: Side | None, sent: Side | None, fee: Side | None
) -> tuple[Side | None, Side | None, Side | None]:
    """What moved beside a fee that the amounts contain."""
    if fee is None:
        return received, sent, None
    if sent is not None and sent.asset == fee.asset:
        rest = EXACT.subtract(sent.quantity, fee.quantity)
        if rest < 0:
            raise InvalidInput("the fee is more than what was sent")
        return received, Side(rest, sent.asset) if rest else None, fee
    if received is not None and received.asset == fee.asset:
        whole = EXACT.add(received.quantity, fee.quantity)
        return Side(whole, received.asset), sent, fee
    return received, sent, None


def _said(movements: Iterable[Movement]) -> list[tuple[str, str, str]]:
    return [(one.book, one.asset, plain(one.quantity)) for one in movements]
