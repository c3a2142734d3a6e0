"""Net worth over time, and what came in from outside; both begin with this revision."""

from alembic import op
from sqlalchemy import Column, ForeignKey, Index, Text

from alphapulse.database.migrations.operations import create_table
from alphapulse.database.tables.base import Flag, Id, Moment, Money

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    create_table(
        "net_worth",
        _account_id(primary_key=True),
        Column("currency", Text, primary_key=True),
        Column("at", Moment, primary_key=True),
        Column("value", Money),
        Column("unpriced", Text, nullable=False),
        Column("is_complete", Flag, nullable=False),
        Column("is_gap", Flag, nullable=False),
        Column("is_comparable", Flag, nullable=False),
        Index(None, "at"),
        rowid=False,
    )
    entry = ForeignKey("ledger_entries.id", ondelete="CASCADE")
    create_table(
        "net_worth_flows",
        Column("entry_id", Id, entry, primary_key=True),
        Column("currency", Text, primary_key=True),
        _account_id(),
        Column("at", Moment, nullable=False),
        Column("amount", Money),
        Column("is_seen", Flag, nullable=False),
        Index(None, "account_id", "at"),
        rowid=False,
    )


def downgrade() -> None:
    for name in ("net_worth_flows", "net_worth"):
        op.drop_table(name)


def _account_id(*, primary_key: bool = False) -> Column[str]:
    cascade = ForeignKey("accounts.id", ondelete="CASCADE")
    return Column("account_id", Text, cascade, primary_key=primary_key, nullable=False)
