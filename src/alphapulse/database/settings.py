"""Database Layer: where the database is, and how long anything may wait for it."""

from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

ENGINES = ("sqlite", "postgresql")


class DatabaseSettings(BaseModel):
    """One database for everything that must last.

    ``url`` is ``sqlite:///folder`` (or the money file itself, when it ends in ``.db``) or
    ``postgresql://user:password@host:port/name``. It may carry a password: it is never printed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str = Field(repr=False)
    """``sqlite:///folder`` or ``postgresql://user:password@host:port/name``; never printed."""

    pool_size: int = Field(default=4, ge=1, le=64)
    """Connections per loop; there are four loops, and PostgreSQL allows 100 by default."""

    pool_timeout_s: float = Field(default=5.0, gt=0)
    """How long a unit of work waits for a connection, and on SQLite for its turn to write."""

    busy_timeout_s: float = Field(default=5.0, gt=0)
    """How long a statement waits for somebody else's lock."""

    statement_timeout_s: float = Field(default=30.0, gt=0)
    """PostgreSQL cancels a statement that takes longer."""

    idle_in_transaction_timeout_s: float = Field(default=60.0, gt=0)
    """PostgreSQL ends a session that holds a transaction open and does nothing for longer."""

    connect_timeout_s: float = Field(default=5.0, gt=0)
    """A database that is not reached in this time is reported as away and tried again."""

    @field_validator("url")
    @classmethod
    def _names_an_engine(cls, url: str) -> str:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ValueError("not a database URL") from None
        if parsed.get_backend_name() not in ENGINES:
            raise ValueError("the database URL must begin with sqlite:/// or postgresql://")
        if not parsed.database:
            raise ValueError("the database URL names no database")
        return url
