"""Our own format: what is written is read again, and a broken file is refused row by row."""

import csv
import io
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.cost_basis.movements import Movement
from alphapulse.domain.identifiers import AccountId, Asset, Symbol
from alphapulse.domain.ledger import Book, Entry, EntryKind
from alphapulse.domain.transaction_files.own_format import (
    COLUMNS,
    JSON_BEGIN,
    JSON_END,
    csv_header,
    csv_text,
    json_text,
    postings_of,
)
from alphapulse.domain.transaction_files.reading import FileFormat, ReadFile, Upload, read_file
from alphapulse.domain.transaction_files.rows import ENTRIES_MAX
from alphapulse.errors import BadRows, InvalidInput

ACCOUNT = AccountId("binance-main")
LATEST = datetime(2100, 1, 1, tzinfo=UTC)

hostile = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
names = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
quantities = st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**20),
                         max_value=10**20)  # fmt: skip
movements = st.builds(
    Movement,
    book=st.sampled_from([book for book in Book if book is not Book.VENUE]),
    asset=names.map(Asset),
    quantity=quantities,
)
entries = st.builds(
    Entry,
    account_id=st.just(ACCOUNT),
    kind=st.sampled_from(EntryKind),
    key=names,
    occurred_at=st.datetimes(datetime(1970, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC)),
    postings=st.lists(movements, max_size=4).map(postings_of),
    symbol=st.none() | names.map(Symbol),
    reference=hostile.map(lambda text: text or None),
    note=hostile.map(lambda text: text or None),
)
histories = st.lists(entries, max_size=8, unique_by=lambda entry: entry.key)


def read(content: str, form: FileFormat = FileFormat.CSV) -> ReadFile:
    return read_file(Upload(ACCOUNT, "file", content, form), LATEST)


def as_csv(history: list[Entry]) -> str:
    return csv_header() + csv_text(history)


def as_json(history: list[Entry]) -> str:
    return JSON_BEGIN + json_text(history) + JSON_END % len(history)


@pytest.mark.parametrize(("write", "form"), [(as_csv, FileFormat.CSV), (as_json, FileFormat.JSON)])
@given(history=histories)
def test_what_is_written_is_read_again(
    write: Callable[[list[Entry]], str], form: FileFormat, history: list[Entry]
) -> None:
    assert [one.entry for one in read(write(history), form).entries] == history


@given(histories)
def test_no_cell_of_text_is_a_formula_and_each_number_is_one(history: list[Entry]) -> None:
    for row in csv.DictReader(io.StringIO(as_csv(history), newline="")):
        for name in COLUMNS:
            if name == "quantity":
                assert row[name] == "" or Decimal(row[name]).is_finite()
            else:
                assert not row[name].startswith(("=", "+", "-", "@", "\t", "\r"))


@given(st.text(max_size=300) | st.text('abc,"\n\r\t\\;=', max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    for content in (text, csv_header() + text, JSON_BEGIN + text):
        for form in FileFormat:
            with suppress(InvalidInput):
                read(content, form)


GOOD = "binance,k1,deposit,2026-01-01T00:00:00Z,,external,USDT,5,,"


@pytest.mark.parametrize(
    ("rows", "line", "column"),
    [
        (["binance,k1,deposit,2026-01-01T00:00:00Z,,venue,USDT,5,,"], 2, "book"),
        (["binance,k1,deposit,2026-01-01T00:00:00Z,,external,,5,,"], 2, "asset"),
        (["binance,,deposit,2026-01-01T00:00:00Z,,external,USDT,5,,"], 2, "key"),
        ([GOOD, "binance,k2,deposit,2026-01-01T00:00:00Z,,external,USDT,5,"], 3, None),
        ([GOOD, GOOD.replace("deposit", "reward")], 3, "kind"),
        ([GOOD, GOOD.replace("k1", "k2"), GOOD], 4, "key"),
        ([GOOD, GOOD.replace("binance", "bybit").replace("k1", "k2")], 3, "account"),
        ([GOOD, '"binance'], 3, None),
        ([GOOD, GOOD.replace("k1", "k2") + "\0"], 3, "note"),
        ([GOOD, GOOD.replace("k1", "k2") + "x" * 1_000_000], 3, None),
        (['binance,k1,deposit,2026-01-01T00:00:00Z,,external,USDT,5,,"a\nb"',
          GOOD.replace("k1", "k2").replace(",5,", ",five,")], 4, "quantity"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_by_line_and_column(
    rows: list[str], line: int, column: str | None
) -> None:
    with pytest.raises(BadRows) as refused:
        read(csv_header() + "\n".join(rows))
    found = refused.value.facts["rows"]
    assert [(one.line, one.column) for one in found] == [(line, column)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "header", ["", "account,key", ",".join((*COLUMNS, "more")), ",".join((*COLUMNS, "note"))]
)
def test_a_header_that_is_not_ours_is_refused(header: str) -> None:
    with pytest.raises(BadRows):
        read(header)


@pytest.mark.parametrize(
    "item",
    [1, None, {}, {"account": "a"}, {"movements": 5}, {"movements": [5]}, {"key": 5}],
)
def test_an_item_that_is_no_transaction_is_refused(item: object) -> None:
    good = json.loads(as_json([]))
    good["transactions"] = [item]
    with pytest.raises(BadRows):
        read(json.dumps(good), FileFormat.JSON)


def test_a_file_from_a_spreadsheet_has_a_byte_order_mark() -> None:
    assert len(read("\ufeff" + csv_header() + GOOD).entries) == 1


def test_a_file_with_too_many_transactions_is_to_be_sent_in_parts() -> None:
    rows = (GOOD.replace("k1", f"k{number}") for number in range(ENTRIES_MAX + 1))
    with pytest.raises(InvalidInput, match="in parts"):
        read(csv_header() + "\n".join(rows))
