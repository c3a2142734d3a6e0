"""Database Schema: column types that are exact on both engines, and how a table is made.

SQLite has neither decimals nor times, and STRICT tables take only its own five types, so:

==========  ==============  ===========================================
here        PostgreSQL      SQLite
==========  ==============  ===========================================
`Money`     NUMERIC         TEXT, plain notation, checked by the table
`Moment`    TIMESTAMPTZ     INTEGER, microseconds since 1970 UTC
`Flag`      BOOLEAN         INTEGER, 0 or 1
`Word`      TEXT            TEXT, the value of a `StrEnum`
`Rounded`   DOUBLE          REAL, for charts and never for money
`Real`      DOUBLE          REAL
`Id`        BIGINT          INTEGER
==========  ==============  ===========================================

Decimal text does not sort or add up as a number: no statement compares or computes money in SQL.
Migrations build on these types too; change none of them, add a new one.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import REAL, TypeDecorator, TypeEngine

from alphapulse.domain.money import plain

NAMING = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}

money_tables = MetaData(naming_convention=NAMING)
"""What may never be lost: accounts, balances, orders, fills, users."""

market_tables = MetaData(naming_convention=NAMING)
"""What the exchanges will tell again: prices and candles."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

Choice = TypeVar("Choice", bound=StrEnum)

Id = BigInteger().with_variant(Integer(), "sqlite")
Real: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")


class Money(TypeDecorator[Decimal]):
    """An exact decimal of any length; only a finite `Decimal` may be stored."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Decimal] | TypeEngine[str]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(Numeric())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | str | None:
        if value is None:
            return None
        if not isinstance(value, Decimal) or not value.is_finite():
            raise TypeError("money must be a finite Decimal")
        return plain(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: str | Decimal | None, dialect: Dialect) -> Decimal | None:
        return Decimal(value) if isinstance(value, str) else value


class Rounded(TypeDecorator[Decimal]):
    """A decimal kept as a double, 15 to 17 digits; it is read as the shortest decimal of it."""

    impl = Double
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[float]:
        return dialect.type_descriptor(REAL() if dialect.name == "sqlite" else Double())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> float | None:
        return None if value is None else float(value)

    def process_result_value(self, value: float | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(repr(value))


class Moment(TypeDecorator[datetime]):
    """A point in time, exact to the microsecond; aware UTC in Python."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime] | TypeEngine[int]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Integer())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | int | None:
        return None if value is None else stored_moment(value, dialect)

    def process_result_value(
        self, value: datetime | int | None, dialect: Dialect
    ) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, int):
            return EPOCH + value * MICROSECOND
        return value.astimezone(UTC)


def stored_moment(at: datetime, dialect: Dialect) -> datetime | int:
    """A time as the driver of ``dialect`` takes it."""
    if at.tzinfo is None:
        raise TypeError("a time must be aware")
    return (at - EPOCH) // MICROSECOND if dialect.name == "sqlite" else at


class Flag(TypeDecorator[bool]):
    """Yes or no."""

    impl = Boolean
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[bool] | TypeEngine[int]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Integer())
        return dialect.type_descriptor(Boolean())

    def process_result_value(self, value: bool | int | None, dialect: Dialect) -> bool | None:
        return None if value is None else bool(value)


class Word(TypeDecorator[StrEnum]):
    """One member of a `StrEnum`, by its value."""

    impl = Text
    cache_ok = True

    def __init__(self, choices: type[StrEnum]) -> None:
        super().__init__()
        self.choices = choices

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else self.choices(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.choices(value)


def account_id_column(*, primary_key: bool = False) -> Column[str]:
    """Whose row it is; the row goes with its account."""
    cascade = ForeignKey("accounts.id", ondelete="CASCADE")
    return Column("account_id", Text, cascade, primary_key=primary_key, nullable=False)


def strict_items(*items: SchemaItem) -> tuple[SchemaItem, ...]:
    """The parts of a table, and what keeps all but plain decimal text out of it on SQLite."""
    money = [c.name for c in items if isinstance(c, Column) and isinstance(c.type, Money)]
    checks = [
        CheckConstraint(
            f"\"{c}\" NOT GLOB '*[^0-9.-]*' AND \"{c}\" GLOB '*[0-9]' "
            f"AND \"{c}\" NOT GLOB '?*-*' AND \"{c}\" NOT GLOB '*.*.*'",
            name=f"{c}_decimal",
        ).ddl_if(dialect="sqlite")
        for c in money
    ]
    return (*items, *checks)


def strict_table(name: str, metadata: MetaData, *items: SchemaItem, rowid: bool = True) -> Table:
    """A table that SQLite keeps to its types, and its decimals to decimal text."""
    return Table(name, metadata, *strict_items(*items), sqlite_strict=True, sqlite_with_rowid=rowid)
