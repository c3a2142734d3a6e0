"""Portfolio Data: rates, lots and disposals, and what people said about them.

Books, lots and disposals can be counted anew from the ledger at any time; rates, manual prices,
repairs and decisions cannot.
"""

from sqlalchemy import Column, ForeignKey, Identity, Index, Integer, Text, UniqueConstraint

from alphapulse.database.tables.base import (
    Flag,
    Id,
    Moment,
    Money,
    Word,
    account_id_column,
    money_tables,
    strict_table,
)
from alphapulse.domain.cost_basis.lots import Method
from alphapulse.domain.rates import RateQuality

rates = strict_table(
    "rates",
    money_tables,
    Column("asset", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("as_of", Moment, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("value", Money, nullable=False),
    Column("quality", Word(RateQuality), nullable=False),
    rowid=False,
)

rate_wants = strict_table(
    "rate_wants",
    money_tables,
    Column("currency", Text, primary_key=True),
    Column("asset", Text, primary_key=True),
    # When the one minute candle opens whose close is wanted.
    Column("minute", Moment, primary_key=True),
    Column("due_at", Moment, nullable=False),
    # From then on the rate is stored, and no count has been made with it yet.
    Column("answered_at", Moment),
    Index(None, "due_at"),
    rowid=False,
)

manual_prices = strict_table(
    "manual_prices",
    money_tables,
    Column("id", Id, Identity(), primary_key=True),
    Column("asset", Text, nullable=False),
    Column("value", Money, nullable=False),
    Column("currency", Text, nullable=False),
    Column("as_of", Moment, nullable=False),
    Column("said_by", Text, nullable=False),
    Column("said_at", Moment, nullable=False),
    # When it was taken back or replaced; it stays, so that everybody's word can be read later.
    Column("ended_by", Text),
    Column("ended_at", Moment),
    Index(None, "asset", "as_of"),
)

basis_books = strict_table(
    "basis_books",
    money_tables,
    Column("id", Id, Identity(), primary_key=True),
    # Empty where the accounts are nobody's: a key cannot be NULL.
    Column("owner_id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    # False while it is being counted, and when another one took its place.
    Column("is_current", Flag, nullable=False),
    # The newest entry of the ledger that is in it, and how many there were.
    Column("counted_to", Id, nullable=False),
    Column("entry_count", Integer, nullable=False),
    # The time of its snapshots, and a digest of all but entries that they were made of.
    Column("settled_to", Moment),
    Column("inputs", Text, nullable=False),
    Column("counted_at", Moment, nullable=False),
    Index(None, "owner_id", "currency"),
)


def _book_id(*, primary_key: bool = False) -> Column[int]:
    cascade = ForeignKey("basis_books.id", ondelete="CASCADE")
    return Column("book_id", Id, cascade, primary_key=primary_key, nullable=False)


basis_states = strict_table(
    "basis_states",
    money_tables,
    _book_id(primary_key=True),
    Column("method", Word(Method), primary_key=True),
    # Both JSON: read back whole and never searched.
    Column("figures", Text, nullable=False),
    Column("snapshot", Text),
)

lots = strict_table(
    "lots",
    money_tables,
    Column("id", Id, Identity(), primary_key=True),
    _book_id(),
    Column("method", Word(Method), nullable=False),
    Column("lot_id", Text, nullable=False),
    account_id_column(),
    Column("asset", Text, nullable=False),
    Column("acquired_at", Moment, nullable=False),
    # The whole lot as JSON.
    Column("lot", Text, nullable=False),
    UniqueConstraint("book_id", "method", "lot_id"),
    Index(None, "book_id", "method", "acquired_at", "id"),
    Index(None, "account_id"),
)

disposals = strict_table(
    "disposals",
    money_tables,
    Column("id", Id, Identity(), primary_key=True),
    _book_id(),
    Column("method", Word(Method), nullable=False),
    account_id_column(),
    Column("asset", Text, nullable=False),
    Column("disposed_at", Moment, nullable=False),
    # The whole disposal as JSON, with its lots and rates.
    Column("disposal", Text, nullable=False),
    Index(None, "book_id", "method", "disposed_at", "id"),
    Index(None, "account_id"),
)

basis_repairs = strict_table(
    "basis_repairs",
    money_tables,
    Column("lot_id", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    account_id_column(),
    Column("cost", Money, nullable=False),
    Column("acquired_at", Moment),
    Column("said_by", Text, nullable=False),
    Column("said_at", Moment, nullable=False),
)


def _end(name: str, *, primary_key: bool) -> tuple[Column[str], Column[str]]:
    cascade = ForeignKey("accounts.id", ondelete="CASCADE")
    return (
        Column(f"{name}_account_id", Text, cascade, primary_key=primary_key, nullable=False),
        Column(f"{name}_key", Text, primary_key=primary_key, nullable=False),
    )


transfer_matches = strict_table(
    "transfer_matches",
    money_tables,
    Column("id", Id, Identity(), primary_key=True),
    *_end("outgoing", primary_key=False),
    *_end("incoming", primary_key=False),
    Column("sent_at", Moment, nullable=False),
    # The whole match as JSON, with its evidence.
    Column("match", Text, nullable=False),
    UniqueConstraint("outgoing_account_id", "outgoing_key"),
    Index(None, "incoming_account_id"),
    Index(None, "sent_at", "id"),
)

transfer_decisions = strict_table(
    "transfer_decisions",
    money_tables,
    *_end("outgoing", primary_key=True),
    *_end("incoming", primary_key=True),
    # Whether a person made the match or undid it.
    Column("is_made", Flag, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("decided_at", Moment, nullable=False),
)
