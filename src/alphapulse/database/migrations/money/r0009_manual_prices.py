"""What people say an asset is worth, and who said so."""

from alembic import op
from sqlalchemy import Column, Identity, Index, Text

from alphapulse.database.migrations.operations import create_table
from alphapulse.database.tables.base import Id, Moment, Money

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    create_table(
        "manual_prices",
        Column("id", Id, Identity(), primary_key=True),
        Column("asset", Text, nullable=False),
        Column("value", Money, nullable=False),
        Column("currency", Text, nullable=False),
        Column("as_of", Moment, nullable=False),
        Column("said_by", Text, nullable=False),
        Column("said_at", Moment, nullable=False),
        Column("ended_by", Text),
        Column("ended_at", Moment),
        Index(None, "asset", "as_of"),
    )


def downgrade() -> None:
    op.drop_table("manual_prices")
