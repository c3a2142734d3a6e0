"""What commands print with: results on stdout, talk on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

# Rich's own highlighter tints every digit.
out = Console(highlight=False)
talk = Console(stderr=True, highlight=False)

UNKNOWN = "–"


if not out.is_terminal:
    # Into a pipe or a file a line is as long as it needs to be.
    out.width = 400


def print_json(data: object) -> None:
    """One JSON document on stdout, for programs."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()
) -> None:
    """A plain table; unknown cells show a dash, columns in ``numbers`` are aligned right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(UNKNOWN if cell is None else escape(str(cell)) for cell in row))
    out.print(table)


def grouped(number: str | None, places: int | None = None) -> str | None:
    """Thousands separated, for people: ``1234567.8`` -> ``1,234,567.80``."""
    if number is None:
        return None
    whole, _, fraction = number.partition(".")
    if places is not None:
        fraction = f"{fraction[:places]:0<{places}}"
    sign = "-" if whole.startswith("-") else ""
    whole = f"{int(whole.lstrip('-')):,}"
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def price(number: str | None) -> str | None:
    """A price to as many places as a person compares: at least two, five significant digits."""
    if number is None:
        return None
    whole, _, fraction = number.partition(".")
    if whole.lstrip("-") != "0":
        return grouped(number, max(2, 6 - len(whole.lstrip("-"))))
    leading = len(fraction) - len(fraction.lstrip("0"))
    return f"{whole}.{fraction[: leading + 5]}" if fraction else whole


def age_since(moment: str | None) -> str | None:
    """How long ago an RFC 3339 time was."""
    if moment is None:
        return None
    ago = datetime.now(UTC) - datetime.fromisoformat(moment)
    return age(max(0, int(ago.total_seconds() * 1000)))


def age(milliseconds: int | None) -> str | None:
    """How old, in the largest unit that says it: ``4 s``, ``12 min``, ``3 h``."""
    if milliseconds is None:
        return None
    seconds = milliseconds / 1000
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} d"
