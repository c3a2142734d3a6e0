"""Money: what is stored is what comes back, digit for digit, on both engines."""

import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, MetaData
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from alphapulse.database.connection import Database
from alphapulse.database.tables.base import Money, strict_table
from alphapulse.domain.balance import Balance, BalanceReport, Wallet
from alphapulse.domain.identifiers import Asset
from tests.builders import ACCOUNT, NOW, make_account

VALUES = 10_000
DIGITS = 38

money = st.integers(1, DIGITS).flatmap(
    lambda digits: st.builds(
        lambda coefficient, places: Decimal(coefficient).scaleb(-places),
        st.integers(-(10**digits) + 1, 10**digits - 1),
        st.integers(0, DIGITS),
    )
)


def _random_money(random: Random) -> Decimal:
    digits = random.randint(1, DIGITS)
    sign, coefficient = random.choice("+-"), random.randrange(10**digits)
    return Decimal(f"{sign}{coefficient}e-{random.randint(0, DIGITS)}")


async def test_ten_thousand_values_come_back_exactly(database: Database) -> None:
    random = Random(20261123)
    balances = tuple(
        Balance(Wallet.SPOT, Asset(f"A{n:05}"), *(_random_money(random) for _ in range(3)))
        for n in range(VALUES // 3 + 1)
    )
    async with database.begin() as tx:
        await tx.accounts.add(make_account())
        report = BalanceReport(ACCOUNT, frozenset({Wallet.SPOT}), balances, NOW, NOW)
        assert await tx.balances.replace(report)
    async with database.begin() as tx:
        assert tuple(s.balance for s in await tx.balances.list()) == balances
        assert not await tx.balances.replace(report)


@pytest.fixture(scope="module")
def checked_column() -> Iterator[sqlite3.Connection]:
    """A table that is nothing but one column of money."""
    connection = sqlite3.connect(":memory:")
    table = strict_table("amounts", MetaData(), Column("amount", Money))
    connection.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
    yield connection
    connection.close()


@given(money)
def test_sqlite_keeps_a_decimal_as_plain_text(
    checked_column: sqlite3.Connection, amount: Decimal
) -> None:
    column, dialect = Money(), sqlite.dialect()
    stored = column.process_bind_param(amount, dialect)
    (found,) = checked_column.execute(
        "INSERT INTO amounts VALUES (?) RETURNING amount", [stored]
    ).fetchone()
    assert found == stored
    assert column.process_result_value(found, dialect) == amount


@pytest.mark.parametrize(
    "text",
    ["", "-", ".", "abc", "1e5", "1,5", "--1", "1-", "1.2.3", "NaN", "Infinity", " 1", "1 ", "+1"],
)
def test_sqlite_refuses_text_that_is_not_a_plain_decimal(
    checked_column: sqlite3.Connection, text: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        checked_column.execute("INSERT INTO amounts VALUES (?)", [text])


@pytest.mark.parametrize("bad", [1.5, 1, "1.5", Decimal("NaN"), Decimal("Infinity")])
def test_only_a_finite_decimal_may_be_stored(bad: object) -> None:
    with pytest.raises(TypeError):
        Money().process_bind_param(bad, sqlite.dialect())  # type: ignore[arg-type]
