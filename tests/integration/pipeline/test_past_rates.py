"""Prices of the past that the books lack are fetched, from whoever tells them, and kept."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.events import RatesLearned
from alphapulse.domain.identifiers import Asset, ExchangeId, Symbol
from alphapulse.domain.market import Candle
from alphapulse.domain.rate_book import end_of
from alphapulse.domain.rates import Rate, RateQuality, RateWant
from alphapulse.domain.sync import SyncKind, SyncState
from alphapulse.errors import ExchangeUnavailable
from alphapulse.exchanges.port import MinuteClose
from tests.builders import make_candle, make_instrument
from tests.eventually import eventually
from tests.fixtures.scripted_exchange import BINANCE, CAPABILITIES, ScriptedProvider, Venue
from tests.fixtures.sync import QUICK, Sync, running_sync

BTC, ETH, USD, USDT = (Asset(one) for one in ("BTC", "ETH", "USD", "USDT"))
BYBIT = ExchangeId("bybit")
MINUTE = timedelta(minutes=1)
LAST_YEAR = datetime(2025, 5, 1, 12, 30, tzinfo=UTC)
AFTER_A_PAGE = LAST_YEAR + timedelta(days=1)
SETTINGS = QUICK.model_copy(
    update={
        "watch_symbols": {BINANCE: (), BYBIT: ()},
        "past_rates_interval_s": 0.05,
        "price_silence_s": 60.0,
    }
)


def closes(
    symbol: str, exchange: ExchangeId, minutes: Sequence[datetime], value: str
) -> list[Candle]:
    return [
        make_candle(symbol=Symbol(symbol), exchange=exchange, open_time=at, close=Decimal(value))
        for at in minutes
    ]


@pytest.fixture
def binance() -> Venue:
    """Tells BTC and ETH against USDT, of two days."""
    venue = Venue()
    venue.instruments = tuple(make_instrument(one) for one in ("BTC/USDT", "ETH/USDT"))
    minutes = [LAST_YEAR, LAST_YEAR + MINUTE, AFTER_A_PAGE]
    venue.candles = [
        *closes("BTC/USDT", BINANCE, minutes, "50000"),
        *closes("ETH/USDT", BINANCE, minutes, "2500"),
    ]
    return venue


@pytest.fixture
def bybit() -> Venue:
    """Tells BTC in US dollars, and has a market of it that was listed later."""
    venue = Venue(BYBIT)
    venue.capabilities = replace(CAPABILITIES, usd_index=frozenset({BTC}))
    venue.instruments = (make_instrument("BTC/USDT", exchange=BYBIT),)
    minutes = [LAST_YEAR, LAST_YEAR + MINUTE, AFTER_A_PAGE]
    venue.usd_index = {BTC: [MinuteClose(at, Decimal(49950)) for at in minutes]}
    return venue


@pytest.fixture
async def sync(
    database_settings: DatabaseSettings, binance: Venue, bybit: Venue
) -> AsyncIterator[Sync]:
    async with running_sync(
        database_settings, ScriptedProvider(binance, bybit), settings=SETTINGS
    ) as sync:
        # Where an exchange may still come, what the others told is asked for again.
        await eventually(lambda: listed(sync) == {BINANCE, BYBIT})
        yield sync


def past_pages(venue: Venue) -> int:
    """How many pages of candles were asked for there; those of today are asked for, too."""
    return sum(since <= AFTER_A_PAGE for _, since in venue.candle_pages)


def listed(sync: Sync) -> set[ExchangeId]:
    """The exchanges whose markets are known."""
    return {
        status.exchange
        for status in sync.synchronizer.report().statuses
        if status.kind is SyncKind.INSTRUMENTS and status.state is SyncState.OK
    }


async def want(sync: Sync, *wants: RateWant) -> None:
    async with sync.database.begin() as tx:
        await tx.rates.want(wants)


async def learned(sync: Sync, currency: Asset = USD) -> dict[tuple[Asset, datetime], Rate]:
    async with sync.database.read() as tx:
        found = await tx.rates.between(
            currency, [BTC, ETH, USDT], LAST_YEAR, LAST_YEAR + timedelta(days=9)
        )
    return {(rate.asset, rate.as_of): rate for rate in found}


async def counts(sync: Sync) -> tuple[int, int]:
    """Wants that are open, and that are answered."""
    async with sync.database.read() as tx:
        found = await tx.rates.want_counts(sync.clock.now())
    return found.get(USD, (0, 0))


async def test_the_price_of_a_past_minute_is_put_together_from_those_who_tell_it(
    sync: Sync,
) -> None:
    await want(sync, RateWant(USD, USDT, LAST_YEAR), RateWant(USD, ETH, AFTER_A_PAGE))
    await eventually(lambda: len(sync.bus.of(RatesLearned)) > 0)
    found = await learned(sync)

    dollar = found[USDT, end_of(LAST_YEAR)]
    assert (dollar.value, dollar.quality) == (Decimal("0.999"), RateQuality.CLOSE)
    assert dollar.source == "1/binance:BTC/USDT 1m > bybit:BTC index 1m"
    assert found[ETH, end_of(AFTER_A_PAGE)].value == Decimal("2497.5")
    assert await counts(sync) == (0, 2)


async def test_minutes_of_one_page_are_asked_for_at_once(
    sync: Sync, binance: Venue, bybit: Venue
) -> None:
    wants = [RateWant(USD, USDT, LAST_YEAR + n * MINUTE) for n in range(2)]
    await want(sync, *wants, *(RateWant(USD, ETH, one.minute) for one in wants))
    await eventually(lambda: len(sync.bus.of(RatesLearned)) > 0)
    assert await counts(sync) == (0, 4)
    # ETH/USDT, BTC/USDT and the index, a page each.
    assert (past_pages(binance), bybit.calls["fetch_usd_index"]) == (2, 1)


async def test_what_no_market_tells_is_not_made_up_and_not_asked_for_again(
    sync: Sync, binance: Venue
) -> None:
    before = LAST_YEAR - timedelta(days=400)
    await want(sync, RateWant(USD, USDT, before), RateWant(USD, Asset("DUST"), LAST_YEAR))
    await eventually(lambda: _has(sync, (0, 0)))
    asked = past_pages(binance)
    assert await learned(sync) == {}

    await want(sync, RateWant(USD, USDT, before), RateWant(USD, USDT, LAST_YEAR))
    await eventually(lambda: _has(sync, (0, 1)))
    assert past_pages(binance) == asked + 1


async def test_a_market_that_was_not_there_yet_is_gone_around(
    sync: Sync, binance: Venue, bybit: Venue
) -> None:
    binance.candles = []
    bybit.candles = closes("BTC/USDT", BYBIT, [LAST_YEAR], "50000")
    await want(sync, RateWant(USD, USDT, LAST_YEAR))
    await eventually(lambda: _has(sync, (0, 1)))
    source = (await learned(sync))[USDT, end_of(LAST_YEAR)].source
    assert source == "1/bybit:BTC/USDT 1m > bybit:BTC index 1m"


async def test_an_exchange_that_does_not_answer_is_asked_again_and_keeps_no_other(
    sync: Sync, bybit: Venue
) -> None:
    bybit.failing["fetch_usd_index"] = ExchangeUnavailable("away")
    await want(sync, RateWant(USD, USDT, LAST_YEAR), RateWant(USDT, BTC, LAST_YEAR))
    await eventually(lambda: len(sync.bus.of(RatesLearned)) > 0)
    assert list(await learned(sync, USDT)) == [(BTC, end_of(LAST_YEAR))]
    assert await learned(sync) == {}

    bybit.failing.clear()
    await eventually(lambda: _has(sync, (0, 1)))


async def _has(sync: Sync, expected: tuple[int, int]) -> bool:
    return await counts(sync) == expected
