"""Exchange Cache: what an exchange lists, and its last known prices."""

from sqlalchemy import Column, Text

from alphapulse.database.tables.base import (
    Flag,
    Moment,
    Money,
    Word,
    market_tables,
    money_tables,
    strict_table,
)
from alphapulse.domain.instrument import InstrumentType

instruments = strict_table(
    "instruments",
    money_tables,
    Column("exchange", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    Column("exchange_symbol", Text, nullable=False),
    Column("type", Word(InstrumentType), nullable=False),
    Column("base", Text, nullable=False),
    Column("quote", Text, nullable=False),
    Column("settle", Text),
    Column("tick_size", Money, nullable=False),
    Column("lot_size", Money, nullable=False),
    Column("min_quantity", Money),
    Column("max_quantity", Money),
    Column("min_notional", Money),
    Column("contract_size", Money, nullable=False),
    Column("is_active", Flag, nullable=False),
)

tickers = strict_table(
    "tickers",
    market_tables,
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
