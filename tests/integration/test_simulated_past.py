"""The venues tell the prices of the accounts' whole history over real HTTP, in dollars too."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from alphapulse.domain.order import Side
from alphapulse.runtime.clock import SystemClock
from alphapulse.simulator.core.candles import DAY_MS, HOUR_MS, MINUTE_MS
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.order import Fill
from alphapulse.simulator.far_past import Span
from alphapulse.simulator.settings import (
    DEMO_ACCOUNTS,
    GeneratorSettings,
    SimulatorSettings,
)
from alphapulse.simulator.simulator import Simulator
from tests.fixtures.simulator import QUICK, WEEKS
from tests.plain_binance import Json, plain_binance
from tests.plain_bybit import plain_bybit

BTC = "BTCUSDT"
INDEX = "/v5/market/index-price-kline"
INVERSE = {"category": "inverse", "interval": 1}


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return WEEKS.model_copy(update={"is_paused": True, "enforce_limits": False})


def span(simulator: Simulator) -> Span:
    assert simulator.world.walk is not None
    return simulator.world.walk.span


def at(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


@dataclass(frozen=True)
class Told:
    """One candle as a venue told it."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    @classmethod
    def of(cls, row: Json) -> "Told":
        return cls(int(row[0]), *map(Decimal, row[1:5]))


async def binance(
    simulator: Simulator, symbol: str, *, is_futures: bool = False, **asked: object
) -> list[Told]:
    host, path = (
        ("fapi.binance.com", "/fapi/v1/klines")
        if is_futures
        else ("api.binance.com", "/api/v3/klines")
    )
    async with plain_binance(simulator, host=host) as client:
        rows = await client.public(path, symbol=symbol, interval="1m", **asked)
    return [Told.of(row) for row in rows]


async def bybit(
    simulator: Simulator, symbol: str, category: str = "spot", **asked: object
) -> list[Told]:
    params = {"category": category, "symbol": symbol, "interval": 1, **asked}
    async with plain_bybit(simulator) as client:
        answer = await client.public("/v5/market/kline", **params)
    return [Told.of(row) for row in answer["result"]["list"]]


async def index(simulator: Simulator, symbol: str, **asked: object) -> list[Told]:
    async with plain_bybit(simulator) as client:
        answer = await client.public(INDEX, symbol=symbol, **INVERSE, **asked)
    assert answer["retCode"] == 0, answer
    assert (answer["result"]["symbol"], answer["result"]["category"]) == (symbol, "inverse")
    assert all(len(row) == 5 for row in answer["result"]["list"])
    return [Told.of(row) for row in answer["result"]["list"]]


async def minute_of(simulator: Simulator, venue: str, fill: Fill) -> Told:
    """The candle that the fill lies in, as its venue tells it."""
    name, minute_ms = fill.instrument.name, fill.at_ms // MINUTE_MS * MINUTE_MS
    is_futures = fill.instrument.category is Category.LINEAR
    if venue == "bybit":
        category = str(fill.instrument.category)
        (told,) = await bybit(simulator, name, category, start=minute_ms, end=fill.at_ms, limit=1)
    else:
        (told,) = await binance(
            simulator, name, is_futures=is_futures, startTime=minute_ms, limit=1
        )
    assert told.open_ms == minute_ms
    return told


async def test_binance_tells_the_first_minutes_from_a_start_on(simulator: Simulator) -> None:
    start_ms = (span(simulator).start_ms // MINUTE_MS + 100) * MINUTE_MS

    told = await binance(simulator, BTC, startTime=start_ms, limit=5)

    assert [one.open_ms for one in told] == [start_ms + n * MINUTE_MS for n in range(5)]


async def test_bybit_tells_the_last_minutes_of_a_range_newest_first(simulator: Simulator) -> None:
    start_ms = (span(simulator).start_ms // MINUTE_MS + 100) * MINUTE_MS
    end_ms = start_ms + 20 * MINUTE_MS - 1

    told = await bybit(simulator, BTC, start=start_ms, end=end_ms, limit=5)

    assert [one.open_ms for one in told] == [start_ms + n * MINUTE_MS for n in range(19, 14, -1)]


async def test_both_venues_tell_the_same_past(simulator: Simulator) -> None:
    start_ms = (span(simulator).start_ms // MINUTE_MS + 3_000) * MINUTE_MS
    window = {"start": start_ms, "end": start_ms + 100 * MINUTE_MS - 1, "limit": 100}

    for symbol, category in ((BTC, "spot"), ("ETHBTC", "spot"), ("ETHUSDT", "linear")):
        here = await binance(
            simulator, symbol, is_futures=category == "linear", startTime=start_ms, limit=100
        )
        there = await bybit(simulator, symbol, category, **window)
        assert len(here) == 100
        assert here == there[::-1]


async def test_no_minute_is_missing_or_told_twice_up_to_now(simulator: Simulator) -> None:
    start_ms = span(simulator).start_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS
    now_ms = simulator.world.venues["binance"].clock.now_ms()
    told: list[Told] = []
    page = await binance(simulator, BTC, startTime=start_ms, limit=1000)
    while page:
        told += page
        page = await binance(simulator, BTC, startTime=page[-1].open_ms + MINUTE_MS, limit=1000)

    opened = [one.open_ms for one in told]
    assert opened == list(range(start_ms, opened[-1] + 1, MINUTE_MS))
    assert opened[-1] >= now_ms // MINUTE_MS * MINUTE_MS
    assert len(told) > 10 * DAY_MS // MINUTE_MS
    for before, after in pairwise(told):
        assert abs(after.open / before.close - 1) < Decimal("0.01")


async def test_nothing_is_told_from_before_the_history(simulator: Simulator) -> None:
    end_ms = span(simulator).start_ms - MINUTE_MS

    assert await bybit(simulator, BTC, start=end_ms - DAY_MS, end=end_ms, limit=10) == []
    assert await index(simulator, "BTCUSD", start=end_ms - DAY_MS, end=end_ms) == []
    assert simulator.usd_then("BTC", at(end_ms)) is None


async def test_the_index_is_the_coin_in_dollars_and_a_tether_is_not_quite_one(
    simulator: Simulator,
) -> None:
    start_ms = (span(simulator).start_ms // MINUTE_MS + 60) * MINUTE_MS
    dollars = set()
    for hours in range(0, 200, 20):
        minute_ms = start_ms + hours * HOUR_MS
        window = {"start": minute_ms, "end": minute_ms + 3 * MINUTE_MS - 1, "limit": 1000}
        for contract, pair in (("BTCUSD", BTC), ("ETHUSD", "ETHUSDT")):
            told = await index(simulator, contract, **window)
            coins = await bybit(simulator, pair, "spot", **window)
            assert [one.open_ms for one in told] == [one.open_ms for one in coins]
            assert len(told) == 3
            for usd, usdt in zip(told, coins, strict=True):
                then = at(usd.open_ms + 59_999)
                assert usd.low <= usd.close <= usd.high
                assert usd.close == simulator.usd_then(contract[:3], then)
                assert usd.close / usdt.close == simulator.usd_then("USDT", then)
                dollars.add(usd.close / usdt.close)

    assert max(dollars) < Decimal("1.002")
    assert min(dollars) > Decimal("0.998")
    assert max(dollars) - min(dollars) > Decimal("0.0002")


async def test_the_index_of_now_is_that_of_the_ticker(simulator: Simulator) -> None:
    newest = await index(simulator, "BTCUSD", limit=2)
    async with plain_bybit(simulator) as client:
        tickers = await client.public("/v5/market/tickers", category="spot", symbol=BTC)

    assert len(newest) == 2
    assert newest[0].open_ms == newest[1].open_ms + MINUTE_MS
    assert newest[0].close == Decimal(tickers["result"]["list"][0]["usdIndexPrice"])


@pytest.mark.parametrize(
    "asked",
    [
        {"category": "inverse", "symbol": "DOGEUSD", "interval": 1},
        {"category": "linear", "symbol": BTC, "interval": 1},
        {"category": "inverse", "symbol": "BTCUSD", "interval": 7},
    ],
)
async def test_an_index_that_is_not_told_is_refused(
    asked: dict[str, object], simulator: Simulator
) -> None:
    async with plain_bybit(simulator) as client:
        assert (await client.public(INDEX, **asked))["retCode"] == 10001


YEAR = SimulatorSettings(
    seed=11,
    driver=GeneratorSettings(history_minutes=2),
    accounts=(DEMO_ACCOUNTS[0], DEMO_ACCOUNTS[2]),
    history_days=365,
    is_paused=True,
    enforce_limits=False,
)

# Over HTTP only so many; the others as the venue would tell them.
ASKED_EVERY = 40


async def test_every_trade_of_a_year_lies_in_the_candle_of_its_minute() -> None:
    async with Simulator.running(YEAR) as simulator:
        seen = {"binance": 0, "bybit": 0}
        for name, venue in simulator.world.venues.items():
            fills = [fill for account in venue.accounts.values() for fill in account.fills]
            assert fills[-1].at_ms - fills[0].at_ms > 300 * DAY_MS
            for number, fill in enumerate(fills):
                minute_ms = fill.at_ms // MINUTE_MS * MINUTE_MS
                candles = venue.market(*fill.instrument.key).candles
                (told,) = candles.page("1m", minute_ms, fill.at_ms, 1, is_from_start=True)
                assert told.low <= fill.price <= told.high
                if number % ASKED_EVERY == 0:
                    sent = await minute_of(simulator, name, fill)
                    assert sent.low <= fill.price <= sent.high
                    seen[name] += 1
        assert min(seen.values()) > 20


async def test_the_past_is_the_same_after_a_restart(tmp_path: Path) -> None:
    settings = QUICK.model_copy(
        update={"history_days": 12, "is_paused": True, "state_file": tmp_path / "state.json"}
    )

    async def told(look: Callable[[Simulator], None]) -> list[list[Told]]:
        async with Simulator.running(settings) as simulator:
            look(simulator)
            first_ms = span(simulator).start_ms
            # Up to where the walk ends; from there on prices lead to where they are now.
            found = [
                await binance(simulator, symbol, startTime=start_ms, limit=60)
                for symbol in (BTC, "SOLUSDT", "EURUSDT")
                for start_ms in range(first_ms, span(simulator).end_ms - HOUR_MS, 9 * HOUR_MS)
            ]
            window = {"start": first_ms, "end": first_ms + 60 * MINUTE_MS, "limit": 60}
            return [*found, await index(simulator, "BTCUSD", **window)]

    def trade(simulator: Simulator) -> None:
        simulator.world.trade("binance-main", "BTC/USDT", Side.BUY, Decimal("0.01"))

    before = await told(trade)
    after = await told(lambda simulator: None)

    assert all(before)
    assert after == before


class LaterClock(SystemClock):
    """The machine's clock, hours ahead."""

    def __init__(self, hours: int) -> None:
        self._ahead = timedelta(hours=hours)

    def now(self) -> datetime:
        return super().now() + self._ahead


# Within the driver's own recent past, and before it.
@pytest.mark.parametrize("hours", [2, 10])
async def test_a_trade_before_a_restart_lies_in_the_candle_of_its_minute(
    hours: int, tmp_path: Path
) -> None:
    driver = GeneratorSettings(history_minutes=300)
    settings = QUICK.model_copy(
        update={"driver": driver, "is_paused": True, "state_file": tmp_path / "state.json"}
    )
    async with Simulator.running(settings) as simulator:
        world = simulator.world
        dear = world.prices("binance")["BTC/USDT"].last * 2
        world.set_price("binance", "BTC/USDT", dear)
        world.trade("binance-main", "BTC/USDT", Side.BUY, Decimal("0.01"))
        fill = world.venues["binance"].accounts["binance-main"].fills[-1]

    async with Simulator.running(settings, clock=LaterClock(hours)) as simulator:
        told = await minute_of(simulator, "binance", fill)
        other = await bybit(simulator, BTC, start=told.open_ms, end=told.open_ms, limit=1)

    assert told.low <= fill.price <= told.high
    assert told.close == fill.price
    assert other == [told]


async def test_without_a_recent_past_the_far_one_reaches_up_to_now() -> None:
    driver = GeneratorSettings(history_minutes=0)
    settings = QUICK.model_copy(update={"driver": driver, "is_paused": True})
    async with Simulator.running(settings) as simulator:
        told = await binance(simulator, BTC, limit=1000)

    opened = [one.open_ms for one in told]
    assert opened == list(range(opened[0], opened[0] + 1000 * MINUTE_MS, MINUTE_MS))
