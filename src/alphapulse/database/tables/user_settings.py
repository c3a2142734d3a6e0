"""User Settings: who may log in, and from where they are logged in."""

from sqlalchemy import Column, ForeignKey, Integer, Text

from alphapulse.database.tables.base import Flag, Moment, Word, money_tables, strict_table
from alphapulse.domain.session import SessionKind
from alphapulse.domain.user import Role

users = strict_table(
    "users",
    money_tables,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    # Folded, so that Anna and anna cannot both exist.
    Column("username_key", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("role", Word(Role), nullable=False),
    Column("currency", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("is_disabled", Flag, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("last_login_at", Moment),
)

sessions = strict_table(
    "sessions",
    money_tables,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", Word(SessionKind), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("revoked_at", Moment),
    Column("ip", Text),
    Column("agent", Text),
)

session_tokens = strict_table(
    "session_tokens",
    money_tables,
    Column("token_hash", Text, primary_key=True),
    Column(
        "session_id",
        Text,
        ForeignKey("sessions.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("issued_at", Moment, nullable=False),
    # A refresh token that was exchanged stays, so that its second use is noticed.
    Column("spent_at", Moment),
)

setup_codes = strict_table(
    "setup_codes",
    money_tables,
    Column("code_hash", Text, primary_key=True),
    Column("expires_at", Moment, nullable=False),
    Column("spent_at", Moment),
)
