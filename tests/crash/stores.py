"""The database of a run on either engine: fresh, looked into from outside, and checked."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol

import asyncpg

from alphapulse.database.connection import Database, open_database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.database.tables.base import market_tables, money_tables
from alphapulse.domain.identifiers import ClientOrderId, ExchangeId
from alphapulse.domain.money import ZERO
from alphapulse.domain.sync import SyncKind, SyncState, SyncStatus
from tests.builders import (
    ACCOUNT,
    NOW,
    make_account,
    make_balance,
    make_instrument,
    make_report,
    make_ticker,
    make_user,
)
from tests.crash.venue import OPENING


class Store(Protocol):
    """One database, used by run after run."""

    settings: DatabaseSettings

    async def renew(self, exchange: ExchangeId) -> None:
        """As it is before the first order."""
        ...

    async def is_claimed(self, name: ClientOrderId) -> bool:
        """Whether an intent is committed, and committed as being sent."""
        ...

    async def is_whole(self) -> bool:
        """Whether the engine finds nothing wrong with its files."""
        ...

    async def aclose(self) -> None: ...


CLAIMED = "SELECT count(*) FROM intents WHERE fence IS NOT NULL AND client_order_id = "


class SqliteStore:
    """A folder, copied from one that is ready."""

    def __init__(self, migrated: Path, folder: Path) -> None:
        self._migrated = migrated
        self._ready = folder / "ready"
        self._folder = folder / "database"
        self._copy = folder / "copy"
        self.settings = DatabaseSettings(url=f"sqlite:///{self._folder}")

    async def renew(self, exchange: ExchangeId) -> None:
        ready = self._ready / exchange
        if not ready.exists():
            shutil.copytree(self._migrated, ready)
            await _prepare(DatabaseSettings(url=f"sqlite:///{ready}"), exchange)
        _copy(ready, self._folder)

    async def is_claimed(self, name: ClientOrderId) -> bool:
        # Read-only, so that this look folds no log into the file.
        with closing(sqlite3.connect(f"file:{self._folder}/money.db?mode=ro", uri=True)) as file:
            return bool(file.execute(f"{CLAIMED} ?", (name,)).fetchone()[0])

    async def is_whole(self) -> bool:
        # In a copy: opening the original would do the recovery that is the next life's to do.
        _copy(self._folder, self._copy)
        with closing(sqlite3.connect(self._copy / "money.db")) as file:
            (verdict,) = file.execute("PRAGMA integrity_check").fetchone()
            orphans = file.execute("PRAGMA foreign_key_check").fetchall()
        return bool(verdict == "ok" and not orphans)

    async def aclose(self) -> None:
        """Nothing is held open."""


class PostgresStore:
    """A database of a running server, emptied for each run."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self._connection: asyncpg.Connection | None = None

    async def renew(self, exchange: ExchangeId) -> None:
        tables = [*reversed(money_tables.sorted_tables), *market_tables.sorted_tables]
        names = ", ".join(f'"{table.name}"' for table in tables)
        await (await self._connected()).execute(f"TRUNCATE {names}")
        await _prepare(self.settings, exchange)

    async def is_claimed(self, name: ClientOrderId) -> bool:
        return bool(await (await self._connected()).fetchval(f"{CLAIMED} $1", name))

    async def is_whole(self) -> bool:
        """The server was not killed; that its own recovery works is shown elsewhere."""
        return True

    async def aclose(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _connected(self) -> asyncpg.Connection:
        self._connection = self._connection or await asyncpg.connect(self.settings.url)
        return self._connection


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


async def _prepare(settings: DatabaseSettings, exchange: ExchangeId) -> None:
    async with open_database(settings, name="test") as database:
        await _write(database, exchange)


async def _write(database: Database, exchange: ExchangeId) -> None:
    """A user with an account whose balances were read, and a market with a price."""
    balances = [make_balance(asset, str(total), locked=ZERO) for asset, total in OPENING.items()]
    async with database.begin() as tx:
        await tx.users.add(make_user(), "hash")
        await tx.accounts.add(make_account(ACCOUNT, exchange=exchange))
        await tx.instruments.replace(exchange, [make_instrument(exchange=exchange)])
        await tx.balances.replace(make_report(*balances))
        await tx.sync_status.save(
            SyncStatus(exchange, ACCOUNT, SyncKind.BALANCES, SyncState.OK, last_ok_at=NOW)
        )
    async with database.begin_market() as market:
        await market.tickers.save([make_ticker(exchange=exchange)])
