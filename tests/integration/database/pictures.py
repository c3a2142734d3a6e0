"""A schema as the engine itself describes it, to compare two of them word for word."""

import sqlite3

import asyncpg
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from alphapulse.database.adapters.adapter import Store
from alphapulse.database.adapters.folder import SqliteFiles
from alphapulse.database.migrations import schema
from alphapulse.database.settings import DatabaseSettings
from alphapulse.database.tables.base import market_tables, money_tables

Picture = set[tuple[str, ...]]

TABLES = {Store.MONEY: money_tables, Store.MARKET: market_tables}

POSTGRESQL = """
    SELECT table_name, column_name, data_type, is_nullable, is_identity,
        coalesce(column_default, '')
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', ''
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT tablename, indexname, indexdef, '', '', '' FROM pg_indexes WHERE schemaname = 'public'
"""
SQLITE = "SELECT tbl_name, name, sql FROM sqlite_master WHERE sql IS NOT NULL"


async def picture(settings: DatabaseSettings) -> Picture:
    """Every table, column, constraint and index, but for Alembic's own."""
    url = make_url(settings.url)
    if url.get_backend_name() == "postgresql":
        connection = await asyncpg.connect(
            host=url.query["host"], user=url.username, database=url.database
        )
        try:
            rows = [tuple(row) for row in await connection.fetch(POSTGRESQL)]
        finally:
            await connection.close()
    else:
        files = SqliteFiles.of(settings.url)
        rows = [row for store in Store for row in _sqlite_rows(files, store)]
    bookkeeping = {schema.version_table(store) for store in Store}
    return {row for row in rows if row[0] not in bookkeeping}


async def create_from_models(settings: DatabaseSettings) -> None:
    """Make the tables as the models say, without a migration."""
    url = make_url(settings.url)
    if url.get_backend_name() == "postgresql":
        urls = {store: url.set(drivername="postgresql+asyncpg") for store in Store}
    else:
        files = SqliteFiles.of(settings.url)
        files.create()
        urls = {store: make_url(f"sqlite+aiosqlite:///{files.path(store)}") for store in Store}
    for store, tables in TABLES.items():
        engine = create_async_engine(urls[store])
        async with engine.begin() as connection:
            await connection.run_sync(tables.create_all)
        await engine.dispose()


def _sqlite_rows(files: SqliteFiles, store: Store) -> list[tuple[str, ...]]:
    connection = sqlite3.connect(files.path(store))
    try:
        return list(connection.execute(SQLITE))
    finally:
        connection.close()
