"""Last known prices, and candles."""

from alembic import op
from sqlalchemy import Column, Integer, Text

from alphapulse.database.migrations.operations import create_table
from alphapulse.database.tables.base import Flag, Moment, Money, Rounded

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_table(
        "tickers",
        Column("exchange", Text, primary_key=True),
        Column("symbol", Text, primary_key=True),
        Column("occurred_at", Moment, nullable=False),
        Column("received_at", Moment, nullable=False),
        Column("last", Money),
        Column("bid", Money),
        Column("ask", Money),
        Column("mark", Money),
        Column("index", Money),
        Column("index_price_usd", Money),
        Column("open_24h", Money),
        Column("high_24h", Money),
        Column("low_24h", Money),
        Column("base_volume_24h", Money),
        Column("quote_volume_24h", Money),
        Column("funding_rate", Money),
        Column("next_funding_at", Moment),
    )
    create_table(
        "candles",
        Column("exchange", Text, primary_key=True),
        Column("symbol", Text, primary_key=True),
        Column("timeframe", Text, primary_key=True),
        Column("open_time", Moment, primary_key=True),
        Column("open", Rounded, nullable=False),
        Column("high", Rounded, nullable=False),
        Column("low", Rounded, nullable=False),
        Column("close", Rounded, nullable=False),
        Column("volume", Rounded, nullable=False),
        Column("is_closed", Flag, nullable=False),
        Column("trades", Integer),
        rowid=False,
    )


def downgrade() -> None:
    op.drop_table("candles")
    op.drop_table("tickers")
