"""How the past that a rule looks back on is asked for, and what is said when it is not there."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar, cast

import pytest

from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.market import Candle, Timeframe
from alphapulse.domain.rebalance.lookback import Lookback, Pricing, pricing_of
from alphapulse.errors import AlphaPulseError, ExchangeUnavailable, InputsNotGood
from alphapulse.runtime.worker import Worker
from alphapulse.services.rebalancing.past import PastReader
from alphapulse.services.rebalancing.settings import RebalanceSettings
from tests.fixtures.clock import HandClock
from tests.unit.domain.rebalance.builders import BTC, ETH, USDT, market

T = TypeVar("T")

DAYS = Lookback(Timeframe.D1, 20)
MARKETS = [market(f"{asset}/USDT", Decimal(1)).instrument for asset in (BTC, ETH)]
PRICING = pricing_of([BTC, ETH], USDT, MARKETS)


class Here:
    """A worker whose loop is this one."""

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        return await work()


@dataclass
class Venue:
    """Has candles of so many days until now; the newest is open."""

    clock: HandClock
    days: int = 100
    failure: AlphaPulseError | None = None
    asked: list[tuple[Symbol, int]] = field(default_factory=list)

    async def fetch_candles(
        self,
        exchange: ExchangeId,
        symbol: Symbol,
        timeframe: Timeframe,
        since: datetime,
        limit: int,
    ) -> tuple[Candle, ...]:
        self.asked.append((symbol, limit))
        if self.failure is not None:
            raise self.failure
        today = self.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        times = [today - timedelta(days=age) for age in range(self.days, -1, -1)]
        rows = [
            _candle(exchange, symbol, time, is_closed=time < today)
            for time in times
            if time >= since
        ]
        return tuple(rows[:limit])


def _candle(exchange: ExchangeId, symbol: Symbol, time: datetime, *, is_closed: bool) -> Candle:
    price = Decimal(100 + time.day)
    return Candle(
        exchange, symbol, Timeframe.D1, time, price, price, price, price, Decimal(1), is_closed
    )


def reader(venue: Venue) -> PastReader:
    return PastReader(venue, cast(Worker, Here()), venue.clock, RebalanceSettings())


async def faults(past: PastReader, pricing: Pricing = PRICING) -> list[tuple[str, str, str]]:
    with pytest.raises(InputsNotGood) as refused:
        await past.read(pricing, DAYS)
    return [tuple(one) for one in refused.value.refusals]  # type: ignore[misc]


async def test_one_page_for_each_market_holds_all_bars(clock: HandClock) -> None:
    venue = Venue(clock)
    past = await reader(venue).read(PRICING, DAYS)
    assert sorted(venue.asked) == [(Symbol("BTC/USDT"), 23), (Symbol("ETH/USDT"), 23)]
    assert len(past.times) == 21
    assert past.times[-1] + timedelta(days=1) <= clock.now() < past.times[-1] + timedelta(days=2)


async def test_the_open_bar_is_none_of_them(clock: HandClock) -> None:
    past = await reader(Venue(clock)).read(PRICING, DAYS)
    assert past.closes[BTC][-1] == 100 + (clock.now() - timedelta(days=1)).day


async def test_it_is_asked_for_once_until_another_bar_closes(clock: HandClock) -> None:
    venue = Venue(clock)
    past = reader(venue)
    first = await past.read(PRICING, DAYS)
    assert await past.read(PRICING, DAYS) == first
    assert len(venue.asked) == 2
    clock.advance(86_400)
    later = await past.read(PRICING, DAYS)
    assert len(venue.asked) == 4
    assert later.times[-1] == first.times[-1] + timedelta(days=1)


async def test_too_short_a_past_is_refused_with_each_asset_and_how_much_is_there(
    clock: HandClock,
) -> None:
    said = await faults(reader(Venue(clock, days=7)))
    assert [(code, subject) for code, subject, _ in said] == [
        ("past_too_short", "BTC"),
        ("past_too_short", "ETH"),
    ]
    assert "7 of 21 closed bars of 1d" in said[0][2]
    assert "binance:BTC/USDT" in said[0][2]


async def test_a_past_that_is_too_short_is_asked_for_again(clock: HandClock) -> None:
    venue = Venue(clock, days=7)
    past = reader(venue)
    await faults(past)
    venue.days = 100
    assert (await past.read(PRICING, DAYS)).times


async def test_an_exchange_that_does_not_answer_is_named_and_not_asked_at_once_again(
    clock: HandClock,
) -> None:
    venue = Venue(clock, failure=ExchangeUnavailable("no answer from it"))
    past = reader(venue)
    said = await faults(past)
    assert {code for code, _, _ in said} == {"past_unread"}
    assert "no answer from it" in said[0][2]
    venue.failure = None
    assert await faults(past) == said
    clock.advance(11)
    assert (await past.read(PRICING, DAYS)).times
