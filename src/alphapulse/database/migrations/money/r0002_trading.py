"""Orders from before they are sent: intents, limits, leases, reconciliation."""

from alembic import op
from sqlalchemy import (
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    column,
    insert,
    select,
    table,
)
from sqlalchemy.schema import SchemaItem

from alphapulse.database.migrations.operations import create_table
from alphapulse.database.tables.base import Flag, Id, Moment, Money

revision = "0002"
down_revision = "0001"

NEW_TABLES = (
    "asset_books",
    "reconciliations",
    "trading_usage",
    "trading_limits",
    "trading_switches",
    "sender_leases",
    "idempotency_keys",
    "intents",
    "order_events",
)

OLD_COLUMNS = (
    *("id", "account_id", "exchange", "symbol", "exchange_order_id", "client_order_id", "side"),
    *("type", "time_in_force", "post_only", "reduce_only", "quantity", "filled_quantity"),
    *("limit_price", "stop_price", "average_price", "status", "origin", "created_at"),
    "updated_at",
)


def _account_id(*, primary_key: bool = False) -> Column[str]:
    cascade = ForeignKey("accounts.id", ondelete="CASCADE")
    return Column("account_id", Text, cascade, primary_key=primary_key, nullable=False)


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _rebuild_orders(_orders(is_new=True))
    else:
        op.alter_column("orders", "exchange_order_id", nullable=True)
        op.alter_column("orders", "quantity", nullable=True)
        for added in _added():
            op.add_column("orders", added)
        op.create_index(
            "ix_orders_account_id_client_order_id", "orders", ["account_id", "client_order_id"]
        )
        op.create_index("ix_orders_status_created_at", "orders", ["status", "created_at"])
    _create_intents()
    _create_rules()
    _create_books()


def downgrade() -> None:
    for name in NEW_TABLES:
        op.drop_table(name)
    # The old form has no place for an order that the venue never named.
    op.execute("DELETE FROM orders WHERE exchange_order_id IS NULL OR quantity IS NULL")
    if op.get_context().dialect.name == "sqlite":
        _rebuild_orders(_orders(is_new=False))
        return
    op.drop_index("ix_orders_account_id_client_order_id", "orders")
    op.drop_index("ix_orders_status_created_at", "orders")
    for added in _added():
        op.drop_column("orders", added.name)
    op.alter_column("orders", "quantity", nullable=False)
    op.alter_column("orders", "exchange_order_id", nullable=False)


def _rebuild_orders(items: tuple[SchemaItem, ...]) -> None:
    """SQLite changes no column: the table is made anew and filled from the old one."""
    for index in (
        *("account_id_status", "created_at_id", "account_id_client_order_id"),
        "status_created_at",
    ):
        op.execute(f"DROP INDEX IF EXISTS ix_orders_{index}")
    op.rename_table("orders", "orders_before")
    create_table("orders", *items)
    new, before = (table(name, *map(column, OLD_COLUMNS)) for name in ("orders", "orders_before"))
    op.execute(insert(new).from_select(OLD_COLUMNS, select(before)))
    op.drop_table("orders_before")


def _added() -> tuple[Column[object], ...]:
    return (
        Column("quote_quantity", Money),
        Column("status_reason", Text),
        Column("expires_at", Moment),
        Column("sent_at", Moment),
        Column("acknowledged_at", Moment),
        Column("uncertain_since", Moment),
        Column("amending_to", Money),
    )


def _orders(*, is_new: bool) -> tuple[SchemaItem, ...]:
    """The columns in the order of the models, for they are part of what SQLite remembers."""
    quote_quantity, status_reason, *others = _added() if is_new else (None, None)
    items = (
        Column("id", Id, Identity(), primary_key=True),
        _account_id(),
        Column("exchange", Text, nullable=False),
        Column("symbol", Text, nullable=False),
        Column("exchange_order_id", Text, nullable=is_new),
        Column("client_order_id", Text),
        Column("side", Text, nullable=False),
        Column("type", Text, nullable=False),
        Column("time_in_force", Text),
        Column("post_only", Flag, nullable=False),
        Column("reduce_only", Flag, nullable=False),
        Column("quantity", Money, nullable=is_new),
        quote_quantity,
        Column("filled_quantity", Money, nullable=False),
        Column("limit_price", Money),
        Column("stop_price", Money),
        Column("average_price", Money),
        Column("status", Text, nullable=False),
        status_reason,
        Column("origin", Text, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("updated_at", Moment, nullable=False),
        *others,
        UniqueConstraint("account_id", "symbol", "exchange_order_id"),
        Index(None, "account_id", "status"),
        Index(None, "account_id", "client_order_id") if is_new else None,
        Index(None, "status", "created_at") if is_new else None,
        Index(None, "created_at", "id"),
    )
    return tuple(item for item in items if item is not None)


def _create_intents() -> None:
    create_table(
        "order_events",
        Column("id", Id, Identity(), primary_key=True),
        _account_id(),
        Column("order_key", Text, nullable=False),
        Column("at", Moment, nullable=False),
        Column("status", Text, nullable=False),
        Column("filled_quantity", Money, nullable=False),
        Column("detail", Text),
        Index(None, "account_id", "order_key", "id"),
    )
    create_table(
        "intents",
        Column("client_order_id", Text, primary_key=True),
        _account_id(),
        Column("user_id", Text, ForeignKey("users.id", ondelete="SET NULL")),
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
    create_table(
        "idempotency_keys",
        Column("user_id", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("request_hash", Text, nullable=False),
        Column("process", Text, nullable=False),
        Column("subject", Text),
        Column("status", Integer),
        Column("body", Text),
        Column("created_at", Moment, nullable=False, index=True),
    )


def _create_rules() -> None:
    create_table(
        "sender_leases",
        _account_id(primary_key=True),
        Column("holder", Text, nullable=False),
        Column("fence", Integer, nullable=False),
        Column("expires_at", Moment, nullable=False),
    )
    create_table(
        "trading_switches",
        Column("subject", Text, primary_key=True),
        Column("mode", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("changed_by", Text),
        Column("changed_at", Moment, nullable=False),
    )
    create_table(
        "trading_limits",
        Column("subject", Text, primary_key=True),
        Column("version", Integer, nullable=False),
        Column("max_order_value", Money),
        Column("max_daily_value", Money),
        Column("orders_per_minute", Integer),
        Column("price_band_pct", Money),
        Column("max_price_age_s", Money),
        Column("max_spread_pct", Money),
        Column("symbols", Text),
        Column("changed_by", Text),
        Column("changed_at", Moment, nullable=False),
    )
    create_table(
        "trading_usage",
        Column("subject", Text, primary_key=True),
        Column("day", Text, primary_key=True),
        Column("value", Money, nullable=False),
    )


def _create_books() -> None:
    create_table(
        "reconciliations",
        Column("id", Id, Identity(), primary_key=True),
        _account_id(),
        Column("cause", Text, nullable=False),
        Column("began_at", Moment, nullable=False),
        Column("ended_at", Moment, nullable=False),
        Column("outcome", Text, nullable=False),
        Column("orders_read", Integer, nullable=False),
        Column("fills_new", Integer, nullable=False),
        Column("external", Integer, nullable=False),
        Column("unresolved", Integer, nullable=False),
        Column("differences", Integer, nullable=False),
        Column("detail", Text),
        Index(None, "account_id", "id"),
    )
    create_table(
        "asset_books",
        _account_id(primary_key=True),
        Column("subject", Text, primary_key=True),
        Column("expected", Money, nullable=False),
        Column("opened_at", Moment, nullable=False),
        Column("counted_to", Integer, nullable=False),
        Column("adjusted", Money, nullable=False),
        Column("cycles_off", Integer, nullable=False),
        Column("off_by", Money, nullable=False),
    )
