"""The processing worker's service over both real databases."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec
import pytest

from alphapulse.database.connection import Database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.events import CandleClosed, TickerUpdated
from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.market import Candle, Timeframe
from alphapulse.pipeline.bookkeeping.bookkeeper import Bookkeeper
from alphapulse.pipeline.processors.processing import Processing
from alphapulse.pipeline.processors.writer import WAITING_CANDLES, MarketWriter
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.clock import SystemClock
from alphapulse.runtime.mailbox import Mailbox, Merge
from tests.builders import BINANCE, BTC, make_candle, make_ticker
from tests.eventually import eventually
from tests.fixtures.clock import HandClock

START = datetime(2026, 11, 1, tzinfo=UTC)
END = START + timedelta(days=365)

SYMBOLS = [f"C{n}/USDT" for n in range(20)]
COUNT = 5000  # of each symbol: three days

AWAY = cast(Database, None)  # whoever touches it fails


def candles(count: int, symbol: str = BTC) -> list[Candle]:
    """One a minute from `START` on."""
    one = make_candle(symbol=Symbol(symbol))
    return [
        msgspec.structs.replace(one, open_time=START + timedelta(minutes=n)) for n in range(count)
    ]


async def stored(database: Database, symbol: str = BTC) -> Sequence[Candle]:
    async with database.read_market() as tx:
        return await tx.candles.range(
            BINANCE, Symbol(symbol), Timeframe.M1, START, END, limit=1_000_000
        )


async def test_no_closed_candle_is_lost_and_each_is_stored_once(
    database_settings: DatabaseSettings, database: Database
) -> None:
    told = {symbol: candles(COUNT, symbol) for symbol in SYMBOLS}
    mailbox = Mailbox("processing", 50_000, merge=Merge.FOLD)
    processing = Processing(mailbox, database_settings, EventBus(), SystemClock())
    async with processing.running():
        for start in range(0, COUNT, 1000):
            for symbol in SYMBOLS:
                for candle in told[symbol][start : start + 1000]:
                    mailbox.put(CandleClosed(candle))
            await eventually(lambda: mailbox.depth == 0)
        for candle in told[SYMBOLS[0]][:1000]:
            mailbox.put(CandleClosed(candle))  # told again after a reconnect
        await eventually(lambda: mailbox.depth == 0)

    assert mailbox.overflows == 0
    for symbol in SYMBOLS:
        assert [c.open_time for c in await stored(database, symbol)] == [
            candle.open_time for candle in told[symbol]
        ]


async def test_the_last_ticker_is_written_once_a_second(
    database: Database, clock: HandClock
) -> None:
    writer = MarketWriter(database, clock)

    async def written() -> list[object]:
        await writer.flush()
        async with database.read_market() as tx:
            return [ticker.last for ticker in await tx.tickers.list()]

    first, second = make_ticker(), make_ticker(last=make_ticker().last * 2)  # type: ignore[operator]
    writer.add_ticker(first)
    assert await written() == [first.last]
    writer.add_ticker(second)
    assert await written() == [first.last]
    clock.advance(1)
    assert await written() == [second.last]
    assert writer.waiting == 0


async def test_what_was_taken_is_written_when_the_worker_stops(
    database_settings: DatabaseSettings, database: Database
) -> None:
    mailbox = Mailbox("processing", 100)
    async with Processing(mailbox, database_settings, EventBus(), SystemClock()).running():
        mailbox.put(CandleClosed(make_candle()))
        mailbox.put(TickerUpdated(make_ticker()))
        await eventually(lambda: mailbox.depth == 0)
    async with database.read_market() as tx:
        assert len(await tx.tickers.list()) == 1


def test_while_the_database_is_away_only_the_oldest_candles_are_given_up(clock: HandClock) -> None:
    writer = MarketWriter(AWAY, clock)
    for candle in candles(WAITING_CANDLES + 10):
        writer.add_candle(candle)
    writer.make_room()
    assert writer.waiting == WAITING_CANDLES
    assert writer.dropped == 10


def test_an_open_candle_is_no_history(clock: HandClock) -> None:
    writer = MarketWriter(AWAY, clock)
    with pytest.raises(AssertionError):
        writer.add_candle(make_candle(is_closed=False))


async def test_a_bookkeeper_that_fails_is_seen_in_health(
    sqlite_settings: DatabaseSettings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: Bookkeeper) -> None:
        raise ValueError("the books do not add up")

    monkeypatch.setattr(Bookkeeper, "run", fail)
    mailbox = Mailbox("processing", 10, merge=Merge.FOLD)
    processing = Processing(mailbox, sqlite_settings, EventBus(), SystemClock())
    async with processing.running():
        await eventually(lambda: "bookkeeper" in (processing.supervisor.health().detail or ""))
        assert processing.supervisor.health().status != "ok"
