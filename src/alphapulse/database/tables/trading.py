"""Portfolio Data: what must be durable around an order, before it is sent and after."""

from sqlalchemy import Column, ForeignKey, Identity, Index, Integer, Text

from alphapulse.database.tables.base import (
    Id,
    Moment,
    Money,
    Word,
    account_id_column,
    money_tables,
    strict_table,
)
from alphapulse.domain.trading import CycleOutcome, ResidualCause, TradingMode

intents = strict_table(
    "intents",
    money_tables,
    Column("client_order_id", Text, primary_key=True),
    account_id_column(),
    Column("user_id", Text, ForeignKey("users.id", ondelete="SET NULL")),
    # The whole request as JSON, decimals as text: it is read back whole and never searched.
    Column("request", Text, nullable=False),
    Column("reserved_asset", Text),
    Column("reserved", Money, nullable=False),
    Column("value", Money),
    Column("created_at", Moment, nullable=False),
    Column("fence", Integer),
    Column("sent_after", Moment),
    Column("arrives_before", Moment),
    Column("watched_until", Moment),
    Index(None, "account_id", "created_at"),
    Index(None, "user_id", "created_at"),
)

idempotency_keys = strict_table(
    "idempotency_keys",
    money_tables,
    # No key of another table: commands on this machine are a caller too.
    Column("user_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    # The process that took it: of one that ended, nothing is under way any more.
    Column("process", Text, nullable=False),
    Column("subject", Text),
    Column("status", Integer),
    Column("body", Text),
    Column("created_at", Moment, nullable=False, index=True),
)

sender_leases = strict_table(
    "sender_leases",
    money_tables,
    account_id_column(primary_key=True),
    Column("holder", Text, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

trading_switches = strict_table(
    "trading_switches",
    money_tables,
    # An account's id, or empty for all of them: a key cannot be NULL.
    Column("subject", Text, primary_key=True),
    Column("mode", Word(TradingMode), nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_by", Text),
    Column("changed_at", Moment, nullable=False),
)

trading_limits = strict_table(
    "trading_limits",
    money_tables,
    # ``account:ID`` or ``user:ID``.
    Column("subject", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("max_order_value", Money),
    Column("max_daily_value", Money),
    Column("orders_per_minute", Integer),
    Column("price_band_pct", Money),
    Column("max_price_age_s", Money),
    Column("max_spread_pct", Money),
    # Symbols with a blank between them; missing: every one.
    Column("symbols", Text),
    Column("changed_by", Text),
    Column("changed_at", Moment, nullable=False),
)

trading_usage = strict_table(
    "trading_usage",
    money_tables,
    Column("subject", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("value", Money, nullable=False),
)

reconciliations = strict_table(
    "reconciliations",
    money_tables,
    Column("id", Id, Identity(), primary_key=True),
    account_id_column(),
    Column("cause", Text, nullable=False),
    Column("began_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=False),
    Column("outcome", Word(CycleOutcome), nullable=False),
    Column("orders_read", Integer, nullable=False),
    Column("fills_new", Integer, nullable=False),
    Column("external", Integer, nullable=False),
    Column("unresolved", Integer, nullable=False),
    Column("differences", Integer, nullable=False),
    Column("detail", Text),
    Index(None, "account_id", "id"),
)

asset_books = strict_table(
    "asset_books",
    money_tables,
    account_id_column(primary_key=True),
    # An asset, or a symbol where it is a position.
    Column("subject", Text, primary_key=True),
    # What the exchange showed when the book was opened, and at last.
    Column("anchor", Money, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("moved", Money, nullable=False),
    Column("held", Money, nullable=False),
    Column("compared_at", Moment, nullable=False),
    Column("cycles_off", Integer, nullable=False),
    Column("off_by", Money, nullable=False),
    Column("off_since", Moment),
    Column("cause", Word(ResidualCause)),
)
