"""Rates, books of lots and disposals by every method, transfers matched, and people's word."""

from alembic import op
from sqlalchemy import Column, ForeignKey, Identity, Index, Integer, Text, UniqueConstraint

from alphapulse.database.migrations.operations import create_table
from alphapulse.database.tables.base import Flag, Id, Moment, Money

revision = "0005"
down_revision = "0004"

TABLES = (
    "rates", "basis_books", "basis_states", "lots", "disposals", "basis_repairs",
    "transfer_matches", "transfer_decisions",
)  # fmt: skip


def upgrade() -> None:
    _create_books()
    _create_lots()
    _create_words()


def downgrade() -> None:
    for name in reversed(TABLES):
        op.drop_table(name)


def _account(name: str = "account_id", *, primary_key: bool = False) -> Column[str]:
    cascade = ForeignKey("accounts.id", ondelete="CASCADE")
    return Column(name, Text, cascade, primary_key=primary_key, nullable=False)


def _book(*, primary_key: bool = False) -> Column[int]:
    cascade = ForeignKey("basis_books.id", ondelete="CASCADE")
    return Column("book_id", Id, cascade, primary_key=primary_key, nullable=False)


def _create_books() -> None:
    create_table(
        "rates",
        Column("asset", Text, primary_key=True),
        Column("currency", Text, primary_key=True),
        Column("as_of", Moment, primary_key=True),
        Column("source", Text, primary_key=True),
        Column("value", Money, nullable=False),
        Column("quality", Text, nullable=False),
        rowid=False,
    )
    create_table(
        "basis_books",
        Column("id", Id, Identity(), primary_key=True),
        Column("owner_id", Text, nullable=False),
        Column("currency", Text, nullable=False),
        Column("is_current", Flag, nullable=False),
        Column("counted_to", Id, nullable=False),
        Column("entry_count", Integer, nullable=False),
        Column("settled_to", Moment),
        Column("inputs", Text, nullable=False),
        Column("counted_at", Moment, nullable=False),
        Index(None, "owner_id", "currency"),
    )
    create_table(
        "basis_states",
        _book(primary_key=True),
        Column("method", Text, primary_key=True),
        Column("figures", Text, nullable=False),
        Column("snapshot", Text),
    )


def _create_lots() -> None:
    create_table(
        "lots",
        Column("id", Id, Identity(), primary_key=True),
        _book(),
        Column("method", Text, nullable=False),
        Column("lot_id", Text, nullable=False),
        _account(),
        Column("asset", Text, nullable=False),
        Column("acquired_at", Moment, nullable=False),
        Column("lot", Text, nullable=False),
        UniqueConstraint("book_id", "method", "lot_id"),
        Index(None, "book_id", "method", "acquired_at", "id"),
        Index(None, "account_id"),
    )
    create_table(
        "disposals",
        Column("id", Id, Identity(), primary_key=True),
        _book(),
        Column("method", Text, nullable=False),
        _account(),
        Column("asset", Text, nullable=False),
        Column("disposed_at", Moment, nullable=False),
        Column("disposal", Text, nullable=False),
        Index(None, "book_id", "method", "disposed_at", "id"),
        Index(None, "account_id"),
    )


def _create_words() -> None:
    create_table(
        "basis_repairs",
        Column("lot_id", Text, primary_key=True),
        Column("currency", Text, primary_key=True),
        _account(),
        Column("cost", Money, nullable=False),
        Column("acquired_at", Moment),
        Column("said_by", Text, nullable=False),
        Column("said_at", Moment, nullable=False),
    )
    create_table(
        "transfer_matches",
        Column("id", Id, Identity(), primary_key=True),
        _account("outgoing_account_id"),
        Column("outgoing_key", Text, nullable=False),
        _account("incoming_account_id"),
        Column("incoming_key", Text, nullable=False),
        Column("sent_at", Moment, nullable=False),
        Column("match", Text, nullable=False),
        UniqueConstraint("outgoing_account_id", "outgoing_key"),
        Index(None, "incoming_account_id"),
        Index(None, "sent_at", "id"),
    )
    create_table(
        "transfer_decisions",
        _account("outgoing_account_id", primary_key=True),
        Column("outgoing_key", Text, primary_key=True),
        _account("incoming_account_id", primary_key=True),
        Column("incoming_key", Text, primary_key=True),
        Column("is_made", Flag, nullable=False),
        Column("decided_by", Text, nullable=False),
        Column("decided_at", Moment, nullable=False),
    )
