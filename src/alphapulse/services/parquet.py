"""Parquet: transactions as columns for programs that analyze. Needs the extra ``parquet``.

One row is one movement, as in `own_format`. ``quantity`` is a DECIMAL(38, 18), and null where a
number has more digits than that; ``quantity_text`` is always there, and exact.
"""

from collections.abc import Sequence
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING, Any

from alphapulse.domain.ledger import Entry
from alphapulse.domain.money import plain
from alphapulse.domain.transaction_files.own_format import movements_of
from alphapulse.errors import ExtraMissing

if TYPE_CHECKING:
    import pyarrow

PRECISION, SCALE = 38, 18
"""What every reader of Parquet knows, and more than the smallest unit of any coin needs."""


def require_parquet() -> None:
    """Raises `ExtraMissing` when the library is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ExtraMissing("Parquet needs pyarrow, which is not installed") from error


class ParquetFile:
    """A file in the making; each part is given out as soon as it is packed.

    Raises:
        ExtraMissing: the library is not installed.
    """

    def __init__(self) -> None:
        require_parquet()
        from pyarrow import parquet

        self._schema = _schema()
        self._sink = BytesIO()
        self._writer = parquet.ParquetWriter(_Tail(self._sink), self._schema, compression="zstd")

    def add(self, entries: Sequence[Entry]) -> bytes:
        """One group of rows."""
        import pyarrow

        rows = [row for entry in entries for row in _rows(entry)]
        if rows:
            self._writer.write_table(pyarrow.Table.from_pylist(rows, schema=self._schema))
        return self._taken()

    def end(self, entries: Sequence[Entry]) -> bytes:
        """The last group, and the end of the file."""
        last = self.add(entries)
        self._writer.close()
        return last + self._taken()

    def _taken(self) -> bytes:
        packed = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return packed


class _Tail:
    """A file to the library, of which only the end is in memory."""

    closed = False

    def __init__(self, sink: BytesIO) -> None:
        self._sink = sink
        self._written = 0

    def write(self, data: Any) -> int:
        count = self._sink.write(data)
        self._written += count
        return count

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """There is nothing behind this."""

    def close(self) -> None:
        self.closed = True


def _schema() -> "pyarrow.Schema":
    import pyarrow as pa

    text = pa.string()
    return pa.schema(
        [
            pa.field("account", text, nullable=False),
            pa.field("key", text, nullable=False),
            pa.field("kind", text, nullable=False),
            pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
            pa.field("symbol", text),
            pa.field("book", text),
            pa.field("asset", text),
            pa.field("quantity", pa.decimal128(PRECISION, SCALE)),
            pa.field("quantity_text", text),
            pa.field("reference", text),
            pa.field("note", text),
        ]
    )


def _rows(entry: Entry) -> list[dict[str, object]]:
    said: dict[str, object] = {
        "account": entry.account_id,
        "key": entry.key,
        "kind": entry.kind.value,
        "at": entry.occurred_at,
        "symbol": entry.symbol,
        "reference": entry.reference,
        "note": entry.note,
    }
    moved: list[dict[str, object]] = [
        {
            "book": one.book.value,
            "asset": one.asset,
            "quantity": one.quantity if fits(one.quantity) else None,
            "quantity_text": plain(one.quantity),
        }
        for one in movements_of(entry)
    ]
    return [said | one for one in moved or [{}]]


def fits(number: Decimal) -> bool:
    """Whether it is exact in the column ``quantity``."""
    whole, _, fraction = plain(abs(number)).partition(".")
    return len(whole) <= PRECISION - SCALE and len(fraction) <= SCALE
