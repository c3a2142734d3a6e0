"""Portfolio Data: accounts and what the exchanges say is in them."""

from sqlalchemy import (
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)

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
from alphapulse.domain.account import AccountState
from alphapulse.domain.balance import Wallet
from alphapulse.domain.order import OrderOrigin, OrderStatus, OrderType, Side, TimeInForce
from alphapulse.domain.position import MarginMode, PositionSide

HAS_NO_FEE = text("fee IS NULL")

accounts = strict_table(
    "accounts",
    money_tables,
    Column("id", Text, primary_key=True),
    Column("owner_id", Text, ForeignKey("users.id", ondelete="CASCADE"), index=True),
    Column("exchange", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("state", Word(AccountState), nullable=False),
    Column("state_reason", Text),
    Column("is_simulated", Flag, nullable=False),
    Column("may_read", Flag),
    Column("may_trade", Flag),
    Column("may_withdraw", Flag),
    Column("is_ip_restricted", Flag),
    Column("key_expires_at", Moment),
    Column("permissions_checked_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

credentials = strict_table(
    "credentials",
    money_tables,
    account_id_column(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("key_version", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("saved_at", Moment, nullable=False),
)

balances = strict_table(
    "balances",
    money_tables,
    account_id_column(primary_key=True),
    Column("wallet", Word(Wallet), primary_key=True),
    Column("asset", Text, primary_key=True),
    Column("free", Money, nullable=False),
    Column("locked", Money, nullable=False),
    Column("borrowed", Money, nullable=False),
    Column("occurred_at", Moment, nullable=False),
    Column("received_at", Moment, nullable=False),
)

positions = strict_table(
    "positions",
    money_tables,
    Column("id", Id, Identity(), primary_key=True),
    account_id_column(),
    Column("exchange", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("side", Word(PositionSide), nullable=False),
    Column("quantity", Money, nullable=False),
    Column("contract_size", Money, nullable=False),
    Column("entry_price", Money, nullable=False),
    Column("mark_price", Money),
    Column("unrealized_pnl", Money),
    Column("realized_pnl", Money),
    Column("leverage", Money),
    Column("margin_mode", Word(MarginMode)),
    Column("initial_margin", Money),
    Column("maintenance_margin", Money),
    Column("liquidation_price", Money),
    # When we first saw it; it never moves, so pages can be cut along it.
    Column("first_seen_at", Moment, nullable=False),
    Column("occurred_at", Moment, nullable=False),
    Column("received_at", Moment, nullable=False),
    UniqueConstraint("account_id", "symbol", "side"),
    Index(None, "first_seen_at", "id"),
)

orders = strict_table(
    "orders",
    money_tables,
    Column("id", Id, Identity(), primary_key=True),
    account_id_column(),
    Column("exchange", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    # Missing until the venue named it.
    Column("exchange_order_id", Text),
    Column("client_order_id", Text),
    Column("side", Word(Side), nullable=False),
    Column("type", Word(OrderType), nullable=False),
    Column("time_in_force", Word(TimeInForce)),
    Column("post_only", Flag, nullable=False),
    Column("reduce_only", Flag, nullable=False),
    Column("quantity", Money),
    Column("quote_quantity", Money),
    Column("filled_quantity", Money, nullable=False),
    Column("limit_price", Money),
    Column("stop_price", Money),
    Column("average_price", Money),
    Column("status", Word(OrderStatus), nullable=False),
    Column("status_reason", Text),
    Column("origin", Word(OrderOrigin), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("sent_at", Moment),
    Column("acknowledged_at", Moment),
    Column("uncertain_since", Moment),
    Column("amending_to", Money),
    # Binance numbers orders per symbol.
    UniqueConstraint("account_id", "symbol", "exchange_order_id"),
    Index(None, "account_id", "status"),
    Index(None, "account_id", "client_order_id"),
    # Those of which nothing came, and those in doubt, are few among many.
    Index(None, "status", "created_at"),
    Index(None, "created_at", "id"),
)

order_events = strict_table(
    "order_events",
    money_tables,
    Column("id", Id, Identity(), primary_key=True),
    account_id_column(),
    # `Order.key`: the name of an order that no later answer changes.
    Column("order_key", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("status", Word(OrderStatus), nullable=False),
    Column("filled_quantity", Money, nullable=False),
    Column("detail", Text),
    Index(None, "account_id", "order_key", "id"),
)

fills = strict_table(
    "fills",
    money_tables,
    Column("id", Id, Identity(), primary_key=True),
    account_id_column(),
    Column("exchange", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("trade_id", Text, nullable=False),
    Column("exchange_order_id", Text, nullable=False),
    Column("client_order_id", Text),
    Column("side", Word(Side), nullable=False),
    Column("price", Money, nullable=False),
    Column("quantity", Money, nullable=False),
    Column("fee", Money),
    Column("fee_asset", Text),
    Column("is_maker", Flag),
    Column("occurred_at", Moment, nullable=False),
    UniqueConstraint("account_id", "symbol", "trade_id"),
    Index(None, "account_id", "exchange_order_id"),
    Index(None, "account_id", "occurred_at", "id"),
    Index(None, "occurred_at", "id"),
    # Few, and asked for at each comparison with the exchange.
    Index(
        "ix_fills_without_fee",
        "account_id",
        "occurred_at",
        sqlite_where=HAS_NO_FEE,
        postgresql_where=HAS_NO_FEE,
    ),
)

fill_cursors = strict_table(
    "fill_cursors",
    money_tables,
    account_id_column(primary_key=True),
    # Empty where the venue lists fills of all symbols at once: a key cannot be NULL.
    Column("symbol", Text, primary_key=True),
    Column("position", Text, nullable=False),
    Column("is_complete", Flag, nullable=False),
)
