"""Rates of past minutes that somebody's books lack."""

from alembic import op
from sqlalchemy import Column, Index, Text

from alphapulse.database.migrations.operations import create_table
from alphapulse.database.tables.base import Moment

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    create_table(
        "rate_wants",
        Column("currency", Text, primary_key=True),
        Column("asset", Text, primary_key=True),
        Column("minute", Moment, primary_key=True),
        Column("due_at", Moment, nullable=False),
        Column("answered_at", Moment),
        Index(None, "due_at"),
        rowid=False,
    )


def downgrade() -> None:
    op.drop_table("rate_wants")
