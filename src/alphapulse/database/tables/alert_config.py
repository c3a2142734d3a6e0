"""Alert Configuration: what has been raised, and whether it still fires."""

from sqlalchemy import Column, ForeignKey, Index, Text, text

from alphapulse.database.tables.base import Moment, Word, money_tables, strict_table
from alphapulse.domain.alert import Severity

IS_FIRING = text("resolved_at IS NULL")

alerts = strict_table(
    "alerts",
    money_tables,
    Column("id", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("severity", Word(Severity), nullable=False),
    Column("title", Text, nullable=False),
    Column("detail", Text),
    Column("fix", Text),
    Column("code", Text),
    Column("exchange", Text),
    Column("account_id", Text, ForeignKey("accounts.id", ondelete="CASCADE"), index=True),
    Column("started_at", Moment, nullable=False),
    Column("resolved_at", Moment),
    # Of one key at most one alert fires, whoever writes.
    Index(
        "uq_alerts_firing_key",
        "key",
        unique=True,
        sqlite_where=IS_FIRING,
        postgresql_where=IS_FIRING,
    ),
)
