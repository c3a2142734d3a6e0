"""System Metadata: how fresh everything is, and why if it is not."""

from sqlalchemy import Column, ForeignKey, Integer, Text

from alphapulse.database.tables.base import Moment, Real, Word, money_tables, strict_table
from alphapulse.domain.sync import StreamState, SyncKind, SyncState

sync_status = strict_table(
    "sync_status",
    money_tables,
    Column("exchange", Text, primary_key=True),
    # The account's id, or empty for what belongs to the exchange: a key cannot be NULL.
    Column("subject", Text, primary_key=True),
    Column("kind", Word(SyncKind), primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id", ondelete="CASCADE"), index=True),
    Column("state", Word(SyncState), nullable=False),
    Column("last_ok_at", Moment),
    Column("last_tried_at", Moment),
    Column("next_try_at", Moment),
    Column("failing_since", Moment),
    Column("failures", Integer, nullable=False),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("error_fix", Text),
    Column("stream", Word(StreamState)),
    Column("progress", Real),
)
