"""Users, accounts, what the exchanges say is in them, and how fresh that is."""

from alembic import op
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

from alphapulse.database.migrations.operations import create_table
from alphapulse.database.tables.base import Flag, Id, Moment, Money, Real

revision = "0001"
down_revision = None

IS_FIRING = text("resolved_at IS NULL")


def _account_id(*, primary_key: bool = False) -> Column[str]:
    cascade = ForeignKey("accounts.id", ondelete="CASCADE")
    return Column("account_id", Text, cascade, primary_key=primary_key, nullable=False)


def upgrade() -> None:
    _create_users()
    _create_portfolio()
    _create_the_rest()


def downgrade() -> None:
    for name in (
        "instruments",
        "alerts",
        "sync_status",
        "fill_cursors",
        "fills",
        "orders",
        "positions",
        "balances",
        "credentials",
        "accounts",
        "setup_codes",
        "session_tokens",
        "sessions",
        "users",
    ):
        op.drop_table(name)


def _create_users() -> None:
    create_table(
        "users",
        Column("id", Text, primary_key=True),
        Column("username", Text, nullable=False),
        Column("username_key", Text, nullable=False, unique=True),
        Column("password_hash", Text, nullable=False),
        Column("role", Text, nullable=False),
        Column("currency", Text, nullable=False),
        Column("timezone", Text, nullable=False),
        Column("version", Integer, nullable=False),
        Column("is_disabled", Flag, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("last_login_at", Moment),
    )
    create_table(
        "sessions",
        Column("id", Text, primary_key=True),
        Column(
            "user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True
        ),
        Column("kind", Text, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("last_seen_at", Moment, nullable=False),
        Column("expires_at", Moment, nullable=False),
        Column("revoked_at", Moment),
        Column("ip", Text),
        Column("agent", Text),
    )
    create_table(
        "session_tokens",
        Column("token_hash", Text, primary_key=True),
        Column(
            "session_id",
            Text,
            ForeignKey("sessions.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        Column("issued_at", Moment, nullable=False),
        Column("spent_at", Moment),
    )
    create_table(
        "setup_codes",
        Column("code_hash", Text, primary_key=True),
        Column("expires_at", Moment, nullable=False),
        Column("spent_at", Moment),
    )


def _create_portfolio() -> None:
    create_table(
        "accounts",
        Column("id", Text, primary_key=True),
        Column("owner_id", Text, ForeignKey("users.id", ondelete="CASCADE"), index=True),
        Column("exchange", Text, nullable=False),
        Column("label", Text, nullable=False),
        Column("state", Text, nullable=False),
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
    create_table(
        "credentials",
        _account_id(primary_key=True),
        Column("name", Text, primary_key=True),
        Column("key_version", Integer, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("saved_at", Moment, nullable=False),
    )
    create_table(
        "balances",
        _account_id(primary_key=True),
        Column("wallet", Text, primary_key=True),
        Column("asset", Text, primary_key=True),
        Column("free", Money, nullable=False),
        Column("locked", Money, nullable=False),
        Column("borrowed", Money, nullable=False),
        Column("occurred_at", Moment, nullable=False),
        Column("received_at", Moment, nullable=False),
    )
    create_table(
        "positions",
        Column("id", Id, Identity(), primary_key=True),
        _account_id(),
        Column("exchange", Text, nullable=False),
        Column("symbol", Text, nullable=False),
        Column("side", Text, nullable=False),
        Column("quantity", Money, nullable=False),
        Column("contract_size", Money, nullable=False),
        Column("entry_price", Money, nullable=False),
        Column("mark_price", Money),
        Column("unrealized_pnl", Money),
        Column("realized_pnl", Money),
        Column("leverage", Money),
        Column("margin_mode", Text),
        Column("initial_margin", Money),
        Column("maintenance_margin", Money),
        Column("liquidation_price", Money),
        Column("first_seen_at", Moment, nullable=False),
        Column("occurred_at", Moment, nullable=False),
        Column("received_at", Moment, nullable=False),
        UniqueConstraint("account_id", "symbol", "side"),
        Index(None, "first_seen_at", "id"),
    )
    create_table(
        "orders",
        Column("id", Id, Identity(), primary_key=True),
        _account_id(),
        Column("exchange", Text, nullable=False),
        Column("symbol", Text, nullable=False),
        Column("exchange_order_id", Text, nullable=False),
        Column("client_order_id", Text),
        Column("side", Text, nullable=False),
        Column("type", Text, nullable=False),
        Column("time_in_force", Text),
        Column("post_only", Flag, nullable=False),
        Column("reduce_only", Flag, nullable=False),
        Column("quantity", Money, nullable=False),
        Column("filled_quantity", Money, nullable=False),
        Column("limit_price", Money),
        Column("stop_price", Money),
        Column("average_price", Money),
        Column("status", Text, nullable=False),
        Column("origin", Text, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("updated_at", Moment, nullable=False),
        UniqueConstraint("account_id", "symbol", "exchange_order_id"),
        Index(None, "account_id", "status"),
        Index(None, "created_at", "id"),
    )
    create_table(
        "fills",
        Column("id", Id, Identity(), primary_key=True),
        _account_id(),
        Column("exchange", Text, nullable=False),
        Column("symbol", Text, nullable=False),
        Column("trade_id", Text, nullable=False),
        Column("exchange_order_id", Text, nullable=False),
        Column("client_order_id", Text),
        Column("side", Text, nullable=False),
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
    )
    create_table(
        "fill_cursors",
        _account_id(primary_key=True),
        Column("symbol", Text, primary_key=True),
        Column("position", Text, nullable=False),
        Column("is_complete", Flag, nullable=False),
    )


def _create_the_rest() -> None:
    create_table(
        "sync_status",
        Column("exchange", Text, primary_key=True),
        Column("subject", Text, primary_key=True),
        Column("kind", Text, primary_key=True),
        Column("account_id", Text, ForeignKey("accounts.id", ondelete="CASCADE"), index=True),
        Column("state", Text, nullable=False),
        Column("last_ok_at", Moment),
        Column("last_tried_at", Moment),
        Column("next_try_at", Moment),
        Column("failing_since", Moment),
        Column("failures", Integer, nullable=False),
        Column("error_code", Text),
        Column("error_message", Text),
        Column("error_fix", Text),
        Column("stream", Text),
        Column("progress", Real),
    )
    create_table(
        "alerts",
        Column("id", Text, primary_key=True),
        Column("key", Text, nullable=False),
        Column("severity", Text, nullable=False),
        Column("title", Text, nullable=False),
        Column("detail", Text),
        Column("fix", Text),
        Column("code", Text),
        Column("exchange", Text),
        Column("account_id", Text, ForeignKey("accounts.id", ondelete="CASCADE"), index=True),
        Column("started_at", Moment, nullable=False),
        Column("resolved_at", Moment),
        Index(
            "uq_alerts_firing_key",
            "key",
            unique=True,
            sqlite_where=IS_FIRING,
            postgresql_where=IS_FIRING,
        ),
    )
    create_table(
        "instruments",
        Column("exchange", Text, primary_key=True),
        Column("symbol", Text, primary_key=True),
        Column("exchange_symbol", Text, nullable=False),
        Column("type", Text, nullable=False),
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
