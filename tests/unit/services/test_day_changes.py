"""What an index was a day ago: fetched an hour at a time, and unknown where nobody tells it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar, cast

import pytest

from alphapulse.domain.identifiers import Asset, ExchangeId, Symbol
from alphapulse.domain.market import Ticker
from alphapulse.domain.valuation import USD
from alphapulse.errors import AlphaPulseError, ExchangeUnavailable
from alphapulse.exchanges.port import MinuteClose
from alphapulse.runtime.worker import Worker
from alphapulse.services.day_changes import DAY, MINUTES_AT_ONCE, DayChanges
from alphapulse.services.live_state import LiveState
from tests.fixtures.clock import HandClock

T = TypeVar("T")

BTC, SOL, BYBIT = Asset("BTC"), Asset("SOL"), ExchangeId("bybit")
EPOCH = datetime.fromisoformat("2026-11-22T00:00:00Z")


class Here:
    """A worker whose loop is this one."""

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        return await work()


@dataclass
class Venue:
    """Says the minutes since the epoch as the price at the end of each minute."""

    failure: AlphaPulseError | None = None
    missing: frozenset[int] = frozenset()
    asked: list[tuple[ExchangeId, Asset]] = field(default_factory=list)

    async def fetch_usd_index(
        self, exchange: ExchangeId, asset: Asset, since: datetime, limit: int
    ) -> tuple[MinuteClose, ...]:
        self.asked.append((exchange, asset))
        if self.failure is not None:
            raise self.failure
        minutes = [since + timedelta(minutes=n) for n in range(limit)]
        numbers = [(one - EPOCH) // timedelta(minutes=1) + 1 for one in minutes]
        told = zip(minutes, numbers, strict=True)
        return tuple(MinuteClose(at, Decimal(n)) for at, n in told if n not in self.missing)


@dataclass
class World:
    clock: HandClock
    venue: Venue = field(default_factory=Venue)
    live: LiveState = field(default_factory=lambda: LiveState(None, None))  # type: ignore[arg-type]
    changes: DayChanges = field(init=False)

    def __post_init__(self) -> None:
        worker = cast(Worker, Here())
        self.changes = DayChanges(self.live, self.venue, worker, self.clock)

    async def then(self, asset: Asset = BTC) -> Decimal | None:
        """What it was worth a day ago, once everything was looked at again."""
        for symbol in ("BTC/USDT", "SOL/USDT"):
            now = self.clock.now()
            self.live._put(
                Ticker(BYBIT, Symbol(symbol), now, now, Decimal(9), index_price_usd=Decimal(9))
            )
        await self.changes.refresh()
        told = self.live.book.day_change(asset, USD, now=self.clock.now())
        return None if told is None else told.then

    def minute(self) -> int:
        return (self.clock.now() - DAY - EPOCH) // timedelta(minutes=1)


@pytest.fixture
def world(clock: HandClock) -> World:
    return World(clock)


async def test_an_hour_of_the_past_is_fetched_at_once(world: World) -> None:
    for _ in range(60):
        assert await world.then() == world.minute()
        world.clock.advance(60)
    assert world.venue.asked == [(BYBIT, BTC)]  # no past of the index of SOL is published

    for _ in range(MINUTES_AT_ONCE):
        assert await world.then() == world.minute()
        world.clock.advance(60)
    assert world.venue.asked == [(BYBIT, BTC)] * 3


async def test_what_has_no_past_of_its_own_is_unknown_without_a_market_that_has(
    world: World,
) -> None:
    assert await world.then(SOL) is None


async def test_a_minute_that_is_missing_is_told_by_one_near_and_by_none_beyond(
    world: World,
) -> None:
    first = world.minute()
    world.venue.missing = frozenset({first, first + 1, *range(first + 20, first + 40)})
    assert await world.then() == first - 1
    world.clock.advance(30 * 60)
    assert await world.then() is None


async def test_what_cannot_be_fetched_is_unknown_until_it_can(world: World) -> None:
    assert await world.then() is not None
    world.venue.failure = ExchangeUnavailable("no answer")
    world.clock.advance(3600)
    assert await world.then() is not None  # it is known for a while
    world.clock.advance(3600)
    assert await world.then() is None

    world.venue.failure = None
    assert await world.then() == world.minute()
