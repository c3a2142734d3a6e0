"""Portfolio Data: what was known of net worth over time, and what came in from outside."""

from sqlalchemy import Column, ForeignKey, Index, Text

from alphapulse.database.tables.base import (
    Flag,
    Id,
    Moment,
    Money,
    account_id_column,
    money_tables,
    strict_table,
)

net_worth = strict_table(
    "net_worth",
    money_tables,
    account_id_column(primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("value", Money),
    # What was held and not in the value: assets and symbols, separated by blanks.
    Column("unpriced", Text, nullable=False),
    Column("is_complete", Flag, nullable=False),
    Column("is_gap", Flag, nullable=False),
    Column("is_comparable", Flag, nullable=False),
    Index(None, "at"),
    rowid=False,
)

net_worth_flows = strict_table(
    "net_worth_flows",
    money_tables,
    Column("entry_id", Id, ForeignKey("ledger_entries.id", ondelete="CASCADE"), primary_key=True),
    Column("currency", Text, primary_key=True),
    account_id_column(),
    Column("at", Moment, nullable=False),
    Column("amount", Money),
    Column("is_seen", Flag, nullable=False),
    Index(None, "account_id", "at"),
    rowid=False,
)
