"""Closed candles that no stream brought are fetched, in whatever time the market lives."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from alphapulse.database.connection import Database
from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.market import Candle
from alphapulse.pipeline.sync.candles import CandleHoles
from alphapulse.pipeline.sync.context import SyncContext
from alphapulse.pipeline.sync.gate import Gate
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.pipeline.sync.status import StatusBoard
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.clock import SystemClock
from tests.builders import BTC, make_candle
from tests.eventually import eventually
from tests.fixtures.scripted_exchange import KEY, ScriptedProvider, Venue

MINUTE = timedelta(minutes=1)
LAST_NIGHT = datetime(2022, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize("count", [400, 2600])
async def test_holes_of_a_market_that_lives_in_the_past_are_filled(
    database: Database, count: int
) -> None:
    told = [minute(n) for n in range(count)]
    heard = [candle for n, candle in enumerate(told) if n % 50 and not 60 <= n < count - 60]
    venue = Venue()
    venue.candles = told
    found: list[Candle] = []
    async with database.begin_market() as market:
        await market.candles.upsert(heard)
    settings = SyncSettings(candle_settle_s=0, candle_refetch_s=count * 60)
    clock = SystemClock()
    context = SyncContext(
        settings, database, EventBus(), clock, StatusBoard(database, EventBus(), clock)
    )
    exchange = ScriptedProvider(venue).open(venue.exchange, None, KEY)
    holes = CandleHoles(
        exchange,
        Gate(settings, clock),
        context,
        symbols=lambda: [Symbol(BTC)],
        closed_until=lambda _: told[-1].open_time,
        on_candle=found.append,
    )

    looking = asyncio.create_task(holes.chore.job.run())
    try:
        await eventually(lambda: len(found) == len(told) - len(heard))
    finally:
        looking.cancel()
        await asyncio.wait([looking])

    assert {c.open_time for c in found} == {c.open_time for c in told} - {
        c.open_time for c in heard
    }


def minute(number: int) -> Candle:
    return make_candle(open_time=LAST_NIGHT + number * MINUTE, trades=None)
