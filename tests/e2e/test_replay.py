"""Recorded markets through the whole path: simulated exchange, stream, worker, database."""

import gzip
import time
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from itertools import groupby
from pathlib import Path

import pytest
from pyarrow import feather

from alphapulse.database.connection import open_database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.market import Candle, Timeframe
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.simulator.drivers.candles import RecordedCandle, read_candles
from alphapulse.simulator.settings import CandleReplaySettings, SimulatorSettings
from tests.eventually import LIMIT_S, eventually
from tests.fixtures.product import Product, running_product
from tests.fixtures.simulator_process import simulator_process
from tests.payload_shapes import shared_data

COINS_2018 = ("ADA", "DASH", "ETC", "ETH", "LTC", "NXT", "TRX", "XLM", "XMR", "ZEC")
# Asked of a whole recording only: a few rows say nothing but how busy the machine is.
LEAST_SPEED = 60
MINUTES_MAX = 10_000_000

Row = tuple[datetime, Decimal, Decimal, Decimal, Decimal, Decimal]


@pytest.mark.parametrize("rows", [1_500, pytest.param(None, marks=pytest.mark.replay)])
async def test_the_bitcoin_perpetual_of_january_2022_loses_no_candle(
    rows: int | None, sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    file = cut("BTC_perp-1m-2022-01.csv.gz", tmp_path, rows)
    speed = await replay(sqlite_settings, tmp_path, ExchangeId("bybit"), {"BTC/USDT:USDT": file})
    assert rows or speed > LEAST_SPEED


@pytest.mark.parametrize("rows", [60, pytest.param(None, marks=pytest.mark.replay)])
async def test_ten_pairs_of_january_2018_lose_no_candle(
    rows: int | None, database_settings: DatabaseSettings, tmp_path: Path
) -> None:
    files = {f"{c}/BTC": cut(f"{c}_BTC-5m.feather", tmp_path, rows) for c in COINS_2018}
    speed = await replay(database_settings, tmp_path, ExchangeId("binance"), files)
    assert rows or speed > LEAST_SPEED


async def replay(
    database: DatabaseSettings, folder: Path, exchange: ExchangeId, files: dict[str, Path]
) -> float:
    """Replay as fast as the path takes it; what is stored must be what was recorded.

    Returns how many times faster than life it went.
    """
    recorded = {symbol: read_candles(path) for symbol, path in files.items()}
    settings = SimulatorSettings(
        driver=CandleReplaySettings(files=files),
        speed=None,
        is_paused=True,
        history_days=0,
        accounts=(),
    )
    sync = SyncSettings(
        watch_symbols={exchange: tuple(map(Symbol, files))},
        reference_exchange=None,
        price_silence_s=LIMIT_S,  # as fast as possible may mean a pause for the reader
        candle_refetch_s=7 * 86_400,  # a second of a pause is hours of that market
    )
    async with (
        simulator_process(settings) as simulator,
        running_product(database, folder, simulator.url, sync) as product,
    ):
        await eventually(lambda: is_listening(product))
        started = time.monotonic()
        await simulator.control("driver/resume")
        lasts = {symbol: last_minute(candles) for symbol, candles in recorded.items()}
        await eventually(lambda: have_arrived(database, exchange, lasts), within_s=1800)
        took_s = time.monotonic() - started

        for symbol, candles in recorded.items():
            stored = await load(database, exchange, Symbol(symbol))
            assert grouped(stored, interval_of(candles)) == [row_of(c) for c in candles], symbol

    lived_s = max(c[-1].open_ms - c[0].open_ms for c in recorded.values()) / 1000
    return lived_s / took_s


async def is_listening(product: Product) -> bool:
    status = await product.get("/api/system/status")
    return any(one["stream"] == "connected" for one in status["exchanges"])


async def have_arrived(
    database: DatabaseSettings, exchange: ExchangeId, lasts: dict[str, datetime]
) -> bool:
    """Whether these minutes are stored and closed."""
    async with open_database(database, name="look") as opened, opened.read_market() as market:
        for symbol, start in lasts.items():
            found = await market.candles.range(
                exchange, Symbol(symbol), Timeframe.M1, start, start + timedelta(minutes=1), 1
            )
            if not found or not found[0].is_closed:
                return False
    return True


def last_minute(candles: list[RecordedCandle]) -> datetime:
    return moment(candles[-1].open_ms) + interval_of(candles) - timedelta(minutes=1)


async def load(database: DatabaseSettings, exchange: ExchangeId, symbol: Symbol) -> list[Candle]:
    start, end = datetime(2017, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)
    async with open_database(database, name="look") as opened, opened.read_market() as market:
        found = await market.candles.range(exchange, symbol, Timeframe.M1, start, end, MINUTES_MAX)
        return list(found)


def grouped(minutes: list[Candle], interval: timedelta) -> list[Row]:
    """The stored minutes, each closed, put together to candles of the recording's interval."""
    assert all(minute.is_closed for minute in minutes)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    rows = []
    for _, group in groupby(minutes, key=lambda m: (m.open_time - epoch) // interval):
        parts = list(group)
        rows.append(
            (
                parts[0].open_time,
                parts[0].open,
                max(part.high for part in parts),
                min(part.low for part in parts),
                parts[-1].close,
                volume_of(sum((part.volume for part in parts), Decimal(0))),
            )
        )
    return rows


def interval_of(candles: list[RecordedCandle]) -> timedelta:
    return timedelta(milliseconds=candles[1].open_ms - candles[0].open_ms)


def row_of(candle: RecordedCandle) -> Row:
    return (
        moment(candle.open_ms),
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        volume_of(candle.volume),
    )


def volume_of(number: Decimal) -> Decimal:
    """To 12 digits: the recorded volumes are floats, and stored minutes are floats again."""
    return Context(prec=12).plus(number).normalize()


def moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def cut(name: str, folder: Path, rows: int | None) -> Path:
    """The first rows of a recording, or all of it."""
    source = shared_data(f"candles/{name}")
    if rows is None:
        return source
    path = folder / source.name
    if source.suffix == ".feather":
        feather.write_feather(feather.read_table(source).slice(0, rows), str(path))
    else:
        lines = gzip.decompress(source.read_bytes()).splitlines()[: rows + 1]
        path.write_bytes(gzip.compress(b"\n".join(lines)))
    return path
