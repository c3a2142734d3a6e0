"""Adapters: each connection is set up as the promises need it."""

import pytest
from sqlalchemy import func, select

from alphapulse.database.adapters.adapter import Store
from alphapulse.database.adapters.opening import open_adapter
from alphapulse.database.settings import DatabaseSettings
from alphapulse.database.tables.base import market_tables, money_tables
from alphapulse.database.unit_of_work import reading, writing

FULL, NORMAL = 2, 1


@pytest.mark.parametrize(("store", "synchronous"), [(Store.MONEY, FULL), (Store.MARKET, NORMAL)])
async def test_sqlite_syncs_money_fully_and_prices_normally(
    sqlite_settings: DatabaseSettings, store: Store, synchronous: int
) -> None:
    expected = {
        "journal_mode": "wal",
        "synchronous": synchronous,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }
    async with open_adapter(sqlite_settings, name="test") as adapter:
        for engine, query_only in ((adapter.writer(store), 0), (adapter.reader(store), 1)):
            async with engine.connect() as connection:
                for pragma, value in {**expected, "query_only": query_only}.items():
                    found = await connection.exec_driver_sql(f"PRAGMA {pragma}")
                    assert found.scalar_one() == value, pragma


async def test_every_sqlite_table_is_strict(sqlite_settings: DatabaseSettings) -> None:
    tables = {Store.MONEY: money_tables, Store.MARKET: market_tables}
    async with open_adapter(sqlite_settings, name="test") as adapter:
        for store, metadata in tables.items():
            async with adapter.reader(store).connect() as connection:
                found = await connection.exec_driver_sql(
                    "SELECT name FROM pragma_table_list WHERE strict"
                )
                assert set(found.scalars()) == set(metadata.tables)


async def test_postgresql_sets_limits_and_commits_durably(
    postgres_settings: DatabaseSettings,
) -> None:
    expected = {
        "synchronous_commit": "on",
        "lock_timeout": "5s",
        "statement_timeout": "30s",
        "idle_in_transaction_session_timeout": "1min",
        "transaction_isolation": "repeatable read",
        "application_name": "alphapulse-test",
        "TimeZone": "UTC",
    }
    async with open_adapter(postgres_settings, name="test") as adapter:
        for begin, read_only in ((writing, "off"), (reading, "on")):
            async with begin(adapter, Store.MONEY) as statements:
                for name, value in {**expected, "transaction_read_only": read_only}.items():
                    found = await statements.row(select(func.current_setting(name)))
                    assert found is not None
                    assert found[0] == value, name
