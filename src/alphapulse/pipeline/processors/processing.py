"""Processing: the processing worker's service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loguru import logger

from alphapulse.database.connection import open_database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import (
    BasisQuestioned,
    CandleClosed,
    Event,
    LedgerChanged,
    ManualPricesChanged,
    RatesLearned,
    TickerUpdated,
)
from alphapulse.errors import DatabaseError
from alphapulse.pipeline.bookkeeping.bookkeeper import Bookkeeper
from alphapulse.pipeline.processors.writer import MarketWriter
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.mailbox import Mailbox
from alphapulse.runtime.retry import Backoff
from alphapulse.runtime.supervisor import Supervisor

# One commit gathers what comes in this long; a price or candle may be lost to a crash for as long,
# and the exchange still has it.
FLUSH_INTERVAL_S = 0.25


class Processing:
    """Takes events from its mailbox: prices go to the writer, news of the ledger to the bookkeeper.

    An overflow needs no reload here: the candles lost to it are found as holes in the grid and
    fetched again, of tickers only the last counts, and the bookkeeper reads the ledger itself.
    """

    EVENTS: tuple[type[Event], ...] = (
        TickerUpdated,
        CandleClosed,
        LedgerChanged,
        BasisQuestioned,
        RatesLearned,
        ManualPricesChanged,
    )

    def __init__(
        self, inbox: Mailbox, database: DatabaseSettings, bus: EventBus, clock: Clock
    ) -> None:
        self._inbox = inbox
        self._database = database
        self._bus = bus
        self._clock = clock
        self.supervisor = Supervisor("processing tasks", clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Process until the block ends; what was taken by then is written."""
        async with open_database(self._database, name="processing") as database:
            writer = MarketWriter(database, self._clock)
            bookkeeper = Bookkeeper(database, self._bus, self._clock)
            async with self.supervisor as supervisor:
                supervisor.run("inbox", lambda: self._take(writer, bookkeeper))
                supervisor.run("writer", lambda: self._write(writer))
                supervisor.run("bookkeeper", bookkeeper.run)
                yield
            await writer.flush()

    async def _take(self, writer: MarketWriter, bookkeeper: Bookkeeper) -> None:
        while True:
            batch = await self._inbox.take()
            if batch.overflowed:
                bookkeeper.ask()
            for event in batch.events:
                if isinstance(event, TickerUpdated):
                    writer.add_ticker(event.ticker)
                    bookkeeper.hear(event.ticker)
                elif isinstance(event, CandleClosed):
                    writer.add_candle(event.candle)
                else:
                    bookkeeper.ask()

    async def _write(self, writer: MarketWriter) -> None:
        backoff, failures = Backoff(max_s=5.0), 0
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            try:
                await writer.flush()
            except DatabaseError as error:
                if not failures:
                    logger.bind(error=str(error)).warning("market data waits for the database")
                failures += 1
                writer.make_room()
                await asyncio.sleep(backoff.delay_s(failures))
                continue
            if failures:
                logger.bind(dropped=writer.dropped).info("market data is written again")
            failures = 0
