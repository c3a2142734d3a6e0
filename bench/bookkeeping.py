"""The cost basis of 100,000 fills: how long a count from the start takes, and what others feel.

A ledger of a year, bought and sold on twenty markets in two accounts with fees in a third coin,
is counted by all four methods into SQLite, in this process, as the processing worker does it.
Meanwhile another thread's loop wakes every 10 ms, as the API's does: how late it wakes is what a
request would wait. Then one more fill is recorded, and counted on top.

    python -m bench.bookkeeping
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from loguru import logger
from tests.builders import make_account, make_user

from alphapulse.database.connection import Database, open_database
from alphapulse.database.migrations import schema
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, ExchangeOrderId, Symbol
from alphapulse.domain.ledger import Entry, entry_of_fill
from alphapulse.domain.order import Fill, Side
from alphapulse.pipeline.bookkeeping.bookkeeper import Bookkeeper
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.clock import SystemClock
from alphapulse.runtime.worker import Worker
from bench.measure import report
from bench.server import rss_mb

FILLS = 100_000
BATCH = 5000
MARKETS = 20
ACCOUNTS = (AccountId("a"), AccountId("b"))
START = datetime(2025, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)
WAKES_S = 0.01

ROWS_PER_S_LEAST = 500.0
"""A year of a busy account, counted anew within a few minutes, beside everything else."""
LATE_TIMES_MOST = 4.0
"""The 99th of 100 waits of the API, against those of the same machine without a count."""
IDLE_S = 10.0
MEMORY_MB_MOST = 400.0
"""It reads page by page, so this does not grow with history, only with what is held."""


def fill(number: int) -> Entry:
    """Two are bought and then both sold, on one market after the other."""
    side = Side.SELL if number // MARKETS % 3 == 2 else Side.BUY
    return entry_of_fill(
        Fill(
            account_id=ACCOUNTS[number % 2],
            exchange=ExchangeId("binance"),
            symbol=Symbol(f"C{number % MARKETS}/USDT"),
            trade_id=str(number),
            exchange_order_id=ExchangeOrderId(str(number)),
            client_order_id=None,
            side=side,
            price=Decimal(100 + number % 97),
            quantity=Decimal(2 if side is Side.SELL else 1),
            fee=Decimal("0.05"),
            fee_asset=Asset("USDT"),
            is_maker=None,
            occurred_at=START + number * STEP,
        )
    )


class Waits:
    """How late a loop on a thread of its own wakes, in milliseconds, and how large we are then."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []
        self.most_mb = 0.0

    @property
    def p99_ms(self) -> float:
        return statistics.quantiles(self.late_ms, n=100)[98]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._wake())
        yield
        task.cancel()

    async def _wake(self) -> None:
        while True:
            began_s = time.perf_counter()
            await asyncio.sleep(WAKES_S)
            self.late_ms.append((time.perf_counter() - began_s - WAKES_S) * 1000)
            if len(self.late_ms) % 50 == 0:
                self.most_mb = max(self.most_mb, rss_mb())


@asynccontextmanager
async def watched() -> AsyncIterator[Waits]:
    """The waits of another thread while the block runs."""
    waits = Waits()
    worker = Worker("api", waits.running)
    await worker.start()
    yield waits
    await worker.stop()


async def fill_ledger(database: Database, clock: SystemClock) -> None:
    async with database.begin() as tx:
        await tx.users.add(make_user(currency="USDT"), "hash")
        for account_id in ACCOUNTS:
            await tx.accounts.add(make_account(account_id))
    for start in range(0, FILLS, BATCH):
        async with database.begin() as tx:
            await tx.ledger.record([fill(n) for n in range(start, start + BATCH)], clock.now())


async def measured(folder: Path) -> bool:
    clock = SystemClock()
    settings = DatabaseSettings(url=f"sqlite:///{folder}")
    await schema.upgrade(settings)
    async with open_database(settings, name="bench") as database:
        await fill_ledger(database, clock)
        async with watched() as idle:
            await asyncio.sleep(IDLE_S)
        before_mb = rss_mb()
        bookkeeper = Bookkeeper(database, EventBus(), clock)
        async with watched() as busy:
            began_s = time.perf_counter()
            await bookkeeper.catch_up()
            took_s = time.perf_counter() - began_s

        async with database.begin() as tx:
            now = clock.now()
            await tx.ledger.record([replace(fill(FILLS), occurred_at=now)], now)
        began_s = time.perf_counter()
        await bookkeeper.catch_up()
        one_more_ms = (time.perf_counter() - began_s) * 1000
    rows_per_s, more_mb = FILLS / took_s, busy.most_mb - before_mb
    return all(
        [
            report(
                "bookkeeping, fills a second by four methods",
                ratio=rows_per_s / ROWS_PER_S_LEAST,
                floor=1,
                n=FILLS,
                rows_per_s=rows_per_s,
                took_s=took_s,
                one_more_ms=one_more_ms,
            ),
            report(
                "bookkeeping, what the API waits meanwhile",
                ratio=LATE_TIMES_MOST * idle.p99_ms / busy.p99_ms,
                floor=1,
                n=len(busy.late_ms),
                idle_p99_ms=idle.p99_ms,
                p99_ms=busy.p99_ms,
                worst_ms=max(busy.late_ms),
            ),
            report(
                "bookkeeping, memory it takes",
                ratio=MEMORY_MB_MOST / max(more_mb, 1.0),
                floor=1,
                n=FILLS,
                more_mb=more_mb,
            ),
        ]
    )


def main() -> int:
    """0 when every goal was met."""
    logger.remove()
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(measured(Path(folder))) else 1


if __name__ == "__main__":
    sys.exit(main())
