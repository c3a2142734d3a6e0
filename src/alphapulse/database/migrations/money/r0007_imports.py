"""Imports of transactions from files, and which entries came with each."""

from alembic import op
from sqlalchemy import Column, ForeignKey, Index, Integer, Text

from alphapulse.database.migrations.operations import create_table
from alphapulse.database.tables.base import Id, Moment

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    create_table(
        "imports",
        Column("id", Text, primary_key=True),
        Column("account_id", Text, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
        Column("user_id", Text, nullable=False),
        Column("imported_at", Moment, nullable=False),
        Column("file_name", Text, nullable=False),
        Column("file_format", Text, nullable=False),
        Column("digest", Text, nullable=False),
        Column("entries", Integer, nullable=False),
        Column("known", Integer, nullable=False),
        Column("contradicting", Integer, nullable=False),
        Column("similar", Integer, nullable=False),
        Column("undone_at", Moment),
        Column("undone_by", Text),
        Index(None, "account_id", "imported_at"),
    )
    import_id = ForeignKey("imports.id", ondelete="CASCADE")
    entry_id = ForeignKey("ledger_entries.id", ondelete="CASCADE")
    create_table(
        "import_entries",
        Column("import_id", Text, import_id, primary_key=True),
        Column("entry_id", Id, entry_id, primary_key=True),
        rowid=False,
    )


def downgrade() -> None:
    op.drop_table("import_entries")
    op.drop_table("imports")
