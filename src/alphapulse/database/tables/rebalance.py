"""Portfolio Data: plans, their execution leg by leg, and targets under a name."""

from sqlalchemy import Column, ForeignKey, Integer, Text, UniqueConstraint

from alphapulse.database.tables.base import Flag, Moment, Money, Word, money_tables, strict_table
from alphapulse.domain.rebalance.run import LegStatus, RunStatus

# Users have no key of another table here: commands on this machine are a user too. What is JSON
# has its decimals as text; it is read back whole and never searched.

rebalance_plans = strict_table(
    "rebalance_plans",
    money_tables,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("request", Text, nullable=False),
    # With a blank between them.
    Column("accounts", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("target_set_id", Text),
)

rebalance_runs = strict_table(
    "rebalance_runs",
    money_tables,
    Column("id", Text, primary_key=True),
    # One plan is executed once.
    Column("plan_id", Text, ForeignKey("rebalance_plans.id"), nullable=False),
    Column("user_id", Text, nullable=False),
    Column("accounts", Text, nullable=False),
    Column("style", Text, nullable=False),
    Column("status", Word(RunStatus), nullable=False, index=True),
    Column("is_stopping", Flag, nullable=False),
    Column("started_at", Moment, nullable=False, index=True),
    Column("updated_at", Moment, nullable=False),
    Column("ended_at", Moment),
    UniqueConstraint("plan_id"),
)

rebalance_legs = strict_table(
    "rebalance_legs",
    money_tables,
    Column("run_id", Text, ForeignKey("rebalance_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("trade", Text, nullable=False),
    Column("status", Word(LegStatus), nullable=False),
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

target_sets = strict_table(
    "target_sets",
    money_tables,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("user_id", "name"),
)
