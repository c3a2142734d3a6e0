"""Rebalancing: plans, runs with their legs, and target sets."""

from alembic import op
from sqlalchemy import Column, ForeignKey, Integer, Text, UniqueConstraint

from alphapulse.database.migrations.operations import create_table
from alphapulse.database.tables.base import Flag, Moment, Money

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    create_table(
        "rebalance_plans",
        Column("id", Text, primary_key=True),
        Column("user_id", Text, nullable=False),
        Column("request", Text, nullable=False),
        Column("accounts", Text, nullable=False),
        Column("plan", Text, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("expires_at", Moment, nullable=False, index=True),
        Column("target_set_id", Text),
    )
    create_table(
        "rebalance_runs",
        Column("id", Text, primary_key=True),
        Column("plan_id", Text, ForeignKey("rebalance_plans.id"), nullable=False),
        Column("user_id", Text, nullable=False),
        Column("accounts", Text, nullable=False),
        Column("style", Text, nullable=False),
        Column("status", Text, nullable=False, index=True),
        Column("is_stopping", Flag, nullable=False),
        Column("started_at", Moment, nullable=False, index=True),
        Column("updated_at", Moment, nullable=False),
        Column("ended_at", Moment),
        UniqueConstraint("plan_id"),
    )
    _create_legs()
    create_table(
        "target_sets",
        Column("id", Text, primary_key=True),
        Column("user_id", Text, nullable=False),
        Column("version", Integer, nullable=False),
        Column("name", Text, nullable=False),
        Column("body", Text, nullable=False),
        UniqueConstraint("user_id", "name"),
    )


def downgrade() -> None:
    for name in ("target_sets", "rebalance_legs", "rebalance_runs", "rebalance_plans"):
        op.drop_table(name)


def _create_legs() -> None:
    run = ForeignKey("rebalance_runs.id", ondelete="CASCADE")
    create_table(
        "rebalance_legs",
        Column("run_id", Text, run, primary_key=True),
        Column("seq", Integer, primary_key=True),
        Column("trade", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("is_at_market", Flag, nullable=False),
        Column("quantity", Money),
        Column("sent_at", Moment),
        Column("cancel_asked_at", Moment),
        Column("is_left", Flag, nullable=False),
        Column("filled_before", Money, nullable=False),
        Column("brought_before", Money, nullable=False),
        Column("filled", Money, nullable=False),
        Column("brought", Money, nullable=False),
        Column("reason", Text),
    )
