"""Cells: what is written into one cell of a file, and what is read out of it, exactly or not at
all. Pure."""

import re
from datetime import UTC, datetime
from decimal import Decimal

from alphapulse.domain.money import decimal_of
from alphapulse.errors import InvalidInput

TEXT_LENGTH_MAX = 1000
"""No name or note that an exchange tells comes near it."""

WHOLE_DIGITS_MAX = 24
FRACTION_DIGITS_MAX = 30
"""Together they leave room for the sum of 100,000 rows within the 60 digits of our decimals."""

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)

# A cell that begins so is a formula to a spreadsheet; the wide ones are to some of them.
# Source: OWASP, "CSV Injection" (2026-11-23).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_ESCAPE = "'"
_PLAIN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_UTC_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)


def escaped(text: str) -> str:
    """Text that no spreadsheet takes for a formula; `unescaped` gives it back."""
    return _ESCAPE + text if text.startswith((*_FORMULA, _ESCAPE)) else text


def unescaped(cell: str) -> str:
    is_escaped = cell.startswith(_ESCAPE) and cell[1:].startswith((*_FORMULA, _ESCAPE))
    return cell[1:] if is_escaped else cell


def text_of(cell: str, column: str) -> str | None:
    """Any text that both databases can keep; ``None`` for an empty cell.

    Raises:
        InvalidInput: too long, or with a character that cannot be stored.
    """
    if len(cell) > TEXT_LENGTH_MAX:
        raise InvalidInput(f"is longer than {TEXT_LENGTH_MAX} characters", field=column)
    if "\0" in cell or any("\ud800" <= character <= "\udfff" for character in cell):
        raise InvalidInput("holds a character that cannot be stored", field=column)
    return cell or None


def name_of(cell: str, column: str) -> str:
    """Text that names something: what a person sees of it is all there is.

    Raises:
        InvalidInput: empty, or with invisible characters or such that turn the writing direction.
    """
    text = text_of(cell, column)
    if text is None:
        raise InvalidInput("is missing", field=column)
    if not text.isprintable() or text != text.strip():
        raise InvalidInput("holds an invisible character", field=column)
    return text


def number_of(cell: str, column: str) -> Decimal:
    """A decimal in plain notation, as `money.plain` writes it.

    Raises:
        InvalidInput: anything else, or more digits than can be summed up exactly.
    """
    if not _PLAIN_NUMBER.fullmatch(cell):
        raise InvalidInput("is not a decimal in plain notation, like -0.5", field=column)
    whole, _, fraction = cell.lstrip("-").partition(".")
    is_too_long = len(whole.lstrip("0")) > WHOLE_DIGITS_MAX
    if is_too_long or len(fraction.rstrip("0")) > FRACTION_DIGITS_MAX:
        raise InvalidInput("has too many digits", field=column)
    return decimal_of(cell, field=column)


def moment_of(cell: str, column: str, latest: datetime) -> datetime:
    """A time in UTC, to the microsecond, as `moment_text` writes it.

    Raises:
        InvalidInput: another form, no such day, or beyond 1970 to ``latest``.
    """
    if not _UTC_MOMENT.fullmatch(cell):
        raise InvalidInput("is not a time in UTC, like 2026-01-31T12:00:00Z", field=column)
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        raise InvalidInput("is no time that there was", field=column) from None
    return within(moment, column, latest)


def within(moment: datetime, column: str, latest: datetime) -> datetime:
    """Raises `InvalidInput` before 1970 and after ``latest``."""
    if not EARLIEST <= moment <= latest:
        raise InvalidInput("is before 1970 or in the future", field=column)
    return moment


def moment_text(moment: datetime) -> str:
    """To the microsecond, so that it is the same time when it is read."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
