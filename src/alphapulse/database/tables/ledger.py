"""Portfolio Data: the ledger, which is only added to, and what is summed up from it."""

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
from alphapulse.domain.ledger import Book, EntryKind
from alphapulse.domain.transaction_files.reading import FileFormat

ledger_entries = strict_table(
    "ledger_entries",
    money_tables,
    Column("id", Id, Identity(), primary_key=True),
    account_id_column(),
    Column("kind", Word(EntryKind), nullable=False),
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

ledger_postings = strict_table(
    "ledger_postings",
    money_tables,
    Column("entry_id", Id, ForeignKey("ledger_entries.id", ondelete="CASCADE"), primary_key=True),
    # Its place in the entry, from 0.
    Column("number", Integer, primary_key=True),
    Column("book", Word(Book), nullable=False),
    # An asset, or a symbol where it is a contract.
    Column("subject", Text, nullable=False),
    Column("quantity", Money, nullable=False),
    # Read along the key and no other way: one B-tree.
    rowid=False,
)

# What can be summed up again from the postings at any time.
ledger_sums = strict_table(
    "ledger_sums",
    money_tables,
    account_id_column(primary_key=True),
    Column("book", Word(Book), primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("quantity", Money, nullable=False),
    # Of entries that occurred after the book of the subject was opened; zero before that.
    Column("quantity_after_opening", Money, nullable=False),
)

flow_cursors = strict_table(
    "flow_cursors",
    money_tables,
    account_id_column(primary_key=True),
    Column("source", Text, primary_key=True),
    Column("position", Text, nullable=False),
    Column("is_complete", Flag, nullable=False),
)

# What a person brought in from a file; its entries are in the ledger like all others.
imports = strict_table(
    "imports",
    money_tables,
    Column("id", Text, primary_key=True),
    account_id_column(),
    # A command on this machine is no user of the database.
    Column("user_id", Text, nullable=False),
    Column("imported_at", Moment, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("file_format", Word(FileFormat), nullable=False),
    Column("digest", Text, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("known", Integer, nullable=False),
    Column("contradicting", Integer, nullable=False),
    Column("similar", Integer, nullable=False),
    Column("undone_at", Moment),
    Column("undone_by", Text),
    Index(None, "account_id", "imported_at"),
)

import_entries = strict_table(
    "import_entries",
    money_tables,
    Column("import_id", Text, ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True),
    Column("entry_id", Id, ForeignKey("ledger_entries.id", ondelete="CASCADE"), primary_key=True),
    rowid=False,
)
