"""The ledger, filled from the fills that are stored, and books that are compared with it."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from alembic import op
from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Row,
    Text,
    UniqueConstraint,
    column,
    insert,
    literal,
    select,
    table,
    text,
)

from alphapulse.database.migrations.operations import create_table
from alphapulse.database.tables.base import Flag, Id, Moment, Money
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.runtime.clock import SystemClock

revision = "0003"
down_revision = "0002"

PAGE = 5000

_Posting: TypeAlias = tuple[str, str, Decimal]
"""Book, subject, quantity."""
_Sums: TypeAlias = dict[tuple[str, str, str], Decimal]
"""By account, book and subject."""

_ENTRY = ("account_id", "kind", "key", "occurred_at", "recorded_at", "symbol", "reference")
_entries = table("ledger_entries", column("id", Id), *map(column, _ENTRY))
_postings = table(
    "ledger_postings",
    *(column("entry_id"), column("number"), column("book"), column("subject")),
    column("quantity", Money),
)
_sums = table(
    "ledger_sums",
    *(column("account_id"), column("book"), column("subject")),
    *(column("quantity", Money), column("quantity_after_opening", Money)),
)
_fills = table(
    "fills",
    *(column("id"), column("account_id"), column("symbol", Text), column("trade_id", Text)),
    *(column("exchange_order_id"), column("side"), column("fee_asset"), column("occurred_at")),
    *(column(name, Money) for name in ("price", "quantity", "fee")),
)


def upgrade() -> None:
    _create_ledger()
    op.create_index(
        "ix_fills_without_fee",
        "fills",
        ["account_id", "occurred_at"],
        sqlite_where=text("fee IS NULL"),
        postgresql_where=text("fee IS NULL"),
    )
    # The old books counted fills alone, and not every asset had one: they are opened anew.
    op.drop_table("asset_books")
    _create_books()
    _record_fills(op.get_bind())


def downgrade() -> None:
    op.drop_table("asset_books")
    _create_old_books()
    op.drop_index("ix_fills_without_fee", "fills")
    for name in ("flow_cursors", "ledger_sums", "ledger_postings", "ledger_entries"):
        op.drop_table(name)


def _account_id(*, primary_key: bool = False) -> Column[str]:
    cascade = ForeignKey("accounts.id", ondelete="CASCADE")
    return Column("account_id", Text, cascade, primary_key=primary_key, nullable=False)


def _create_ledger() -> None:
    create_table(
        "ledger_entries",
        Column("id", Id, Identity(), primary_key=True),
        _account_id(),
        Column("kind", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("occurred_at", Moment, nullable=False),
        Column("recorded_at", Moment, nullable=False),
        Column("symbol", Text),
        Column("reference", Text),
        Column("note", Text),
        UniqueConstraint("account_id", "key"),
        Index(None, "account_id", "occurred_at", "id"),
        Index(None, "occurred_at", "id"),
    )
    entry = ForeignKey("ledger_entries.id", ondelete="CASCADE")
    create_table(
        "ledger_postings",
        Column("entry_id", Id, entry, primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("book", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("quantity", Money, nullable=False),
        rowid=False,
    )
    create_table(
        "ledger_sums",
        _account_id(primary_key=True),
        Column("book", Text, primary_key=True),
        Column("subject", Text, primary_key=True),
        Column("quantity", Money, nullable=False),
        Column("quantity_after_opening", Money, nullable=False),
    )
    create_table(
        "flow_cursors",
        _account_id(primary_key=True),
        Column("source", Text, primary_key=True),
        Column("position", Text, nullable=False),
        Column("is_complete", Flag, nullable=False),
    )


def _create_books() -> None:
    create_table(
        "asset_books",
        _account_id(primary_key=True),
        Column("subject", Text, primary_key=True),
        Column("anchor", Money, nullable=False),
        Column("opened_at", Moment, nullable=False),
        Column("moved", Money, nullable=False),
        Column("held", Money, nullable=False),
        Column("compared_at", Moment, nullable=False),
        Column("cycles_off", Integer, nullable=False),
        Column("off_by", Money, nullable=False),
        Column("off_since", Moment),
        Column("cause", Text),
    )


def _create_old_books() -> None:
    create_table(
        "asset_books",
        _account_id(primary_key=True),
        Column("subject", Text, primary_key=True),
        Column("expected", Money, nullable=False),
        Column("opened_at", Moment, nullable=False),
        Column("counted_to", Integer, nullable=False),
        Column("adjusted", Money, nullable=False),
        Column("cycles_off", Integer, nullable=False),
        Column("off_by", Money, nullable=False),
    )


def _record_fills(connection: Connection) -> None:
    """An entry for each fill, as `domain.ledger.entry_of_fill` made it at this revision."""
    f = _fills.c
    key = literal("fill:", Text).concat(f.symbol).concat(":").concat(f.trade_id)
    now = literal(SystemClock().now(), Moment)
    columns = (f.account_id, text("'fill'"), key, f.occurred_at, now, f.symbol)
    entries = select(*columns, f.exchange_order_id).order_by(f.id)
    connection.execute(insert(_entries).from_select(_ENTRY, entries))

    mine = (_entries.c.account_id == f.account_id) & (_entries.c.key == key)
    wanted = select(_entries.c.id.label("entry_id"), _fills).join(_fills, mine).order_by(f.id)
    sums: _Sums = {}
    last = 0
    while rows := connection.execute(wanted.where(f.id > last).limit(PAGE)).all():
        _write(connection, rows, sums)
        last = rows[-1].id
    if sums:
        names = ("account_id", "book", "subject", "quantity", "quantity_after_opening")
        values = [
            dict(zip(names, (*place, sum_, ZERO), strict=True)) for place, sum_ in sums.items()
        ]
        connection.execute(insert(_sums), values)


def _write(connection: Connection, fills: Sequence[Row[Any]], sums: _Sums) -> None:
    values = []
    for fill in fills:
        for number, (book, subject, quantity) in enumerate(_postings_of(fill)):
            values.append(
                {
                    "entry_id": fill.entry_id,
                    "number": number,
                    "book": book,
                    "subject": subject,
                    "quantity": quantity,
                }
            )
            place = (fill.account_id, book, subject)
            sums[place] = EXACT.add(sums.get(place, ZERO), quantity)
    connection.execute(insert(_postings), values)


def _postings_of(fill: Row[Any]) -> Iterator[_Posting]:
    quantity = fill.quantity if fill.side == "buy" else EXACT.minus(fill.quantity)
    if ":" in fill.symbol:
        yield from _moved("trades", fill.symbol, quantity)
    else:
        base, _, quote = fill.symbol.partition("/")
        yield from _moved("trades", base, quantity)
        yield from _moved("trades", quote, EXACT.minus(EXACT.multiply(quantity, fill.price)))
    if fill.fee and fill.fee_asset is not None:
        yield from _moved("fees", fill.fee_asset, EXACT.minus(fill.fee))


def _moved(book: str, subject: str, quantity: Decimal) -> Iterator[_Posting]:
    yield "venue", subject, quantity
    yield book, subject, EXACT.minus(quantity)
