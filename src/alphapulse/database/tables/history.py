"""Historical Data: candles. They feed charts and indicators, so they are doubles, not money."""

from sqlalchemy import Column, Integer, Text

from alphapulse.database.tables.base import (
    Flag,
    Moment,
    Rounded,
    Word,
    market_tables,
    strict_table,
)
from alphapulse.domain.market import Timeframe

candles = strict_table(
    "candles",
    market_tables,
    Column("exchange", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    Column("timeframe", Word(Timeframe), primary_key=True),
    Column("open_time", Moment, primary_key=True),
    Column("open", Rounded, nullable=False),
    Column("high", Rounded, nullable=False),
    Column("low", Rounded, nullable=False),
    Column("close", Rounded, nullable=False),
    Column("volume", Rounded, nullable=False),
    Column("is_closed", Flag, nullable=False),
    Column("trades", Integer),
    # The key is the whole order of reading: one B-tree, no second look-up.
    rowid=False,
)
