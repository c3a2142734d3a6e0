"""Recordings come out of the simulated Binance as they went in, at any speed, over real sockets."""

import asyncio
import gzip
from decimal import Decimal
from pathlib import Path

import pytest
from pyarrow import feather

from alphapulse.simulator.drivers.candles import RecordedCandle, read_candles
from alphapulse.simulator.settings import (
    CandleReplaySettings,
    FrameReplaySettings,
    SimulatorSettings,
)
from alphapulse.simulator.simulator import Simulator
from tests.payload_shapes import Json, shared_data
from tests.plain_binance import PlainSocket, plain_binance

COINS_2018 = ("ADA", "DASH", "ETC", "ETH", "LTC", "NXT", "TRX", "XLM", "XMR", "ZEC")

Row = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]


def row_of(candle: RecordedCandle) -> Row:
    return (
        candle.open_ms,
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
    )


def row_of_frame(data: Json) -> Row:
    k = data["k"]
    o, h, low, c, v = (Decimal(k[name]) for name in ("o", "h", "l", "c", "v"))
    return k["t"], o, h, low, c, v


async def closed_candles(socket: PlainSocket, count: int) -> dict[str, list[Row]]:
    """Every candle that closes, by stream, until there are ``count``."""
    rows: dict[str, list[Row]] = {}
    seen = 0
    while seen < count:
        message = await socket.receive()
        if "stream" in message and message["data"]["k"]["x"]:
            rows.setdefault(message["stream"], []).append(row_of_frame(message["data"]))
            seen += 1
    return rows


def replay(files: dict[str, Path], speed: float | None) -> SimulatorSettings:
    return SimulatorSettings(
        driver=CandleReplaySettings(files=files), speed=speed, history_days=0, is_paused=True
    )


def cut(name: str, folder: Path, rows: int) -> Path:
    """The first rows of a recording, to keep the test short."""
    source = shared_data(f"candles/{name}")
    path = folder / source.name
    if source.suffix == ".feather":
        feather.write_feather(feather.read_table(source).slice(0, rows), str(path))
    else:
        lines = gzip.decompress(source.read_bytes()).splitlines()[: rows + 1]
        path.write_bytes(gzip.compress(b"\n".join(lines)))
    return path


@pytest.mark.parametrize("speed", [None, 9_000])
async def test_each_recorded_minute_closes_once_and_unchanged(
    speed: float | None, tmp_path: Path
) -> None:
    path = cut("BTC_perp-1m-2022-01.csv.gz", tmp_path, 300)
    recorded = [row_of(candle) for candle in read_candles(path)]

    async with (
        Simulator.running(replay({"BTC/USDT": path}, speed)) as simulator,
        plain_binance(simulator) as client,
        client.socket() as socket,
    ):
        await socket.subscribe("btcusdt@kline_1m")
        simulator.resume()
        heard = await closed_candles(socket, len(recorded))
        asked = await client.public("/api/v3/klines", symbol="BTCUSDT", interval="1m", limit=1000)

    assert heard["btcusdt@kline_1m"] == recorded
    rows = [(one[0], *map(Decimal, one[1:6])) for one in asked]
    assert rows == recorded


async def test_ten_pairs_of_2018_replay_while_signed_requests_work(tmp_path: Path) -> None:
    files = {f"{name}/BTC": cut(f"{name}_BTC-5m.feather", tmp_path, 40) for name in COINS_2018}
    recorded = {
        f"{name.lower()}btc@kline_5m": [row_of(c) for c in read_candles(files[f"{name}/BTC"])]
        for name in COINS_2018
    }

    async with (
        Simulator.running(replay(files, None)) as simulator,
        plain_binance(simulator) as client,
        client.socket() as socket,
    ):
        await socket.subscribe(*recorded)
        simulator.resume()
        heard = await closed_candles(socket, 40 * len(COINS_2018))
        account = await client.signed("GET", "/api/v3/account")

    assert heard == recorded
    assert account["balances"]


async def test_a_slow_reader_holds_the_replay_up_and_loses_nothing(tmp_path: Path) -> None:
    path = cut("BTC_perp-1m-2022-01.csv.gz", tmp_path, 120)
    recorded = [row_of(candle) for candle in read_candles(path)]
    streams = ("kline_1m", "trade", "bookTicker", "depth@100ms", "ticker")

    async with (
        Simulator.running(replay({"BTC/USDT": path}, None)) as simulator,
        plain_binance(simulator) as client,
        client.socket() as socket,
    ):
        await socket.subscribe(*(f"btcusdt@{name}" for name in streams))
        simulator.resume()
        await asyncio.sleep(0.3)
        rows: list[Row] = []
        while len(rows) < len(recorded):
            data = (await socket.receive())["data"]
            if data.get("e") == "kline" and data["k"]["x"]:
                rows.append(row_of_frame(data))

    assert rows == recorded


async def test_recorded_frames_are_sent_byte_for_byte() -> None:
    source = shared_data("frames/binance_spot_btcusdt_20240808.gz")
    lines = [line.partition(b" ")[2] for line in gzip.decompress(source.read_bytes()).splitlines()]
    settings = SimulatorSettings(
        driver=FrameReplaySettings(file=source, symbol="BTC/USDT"),
        speed=200,
        history_days=0,
        is_paused=True,
    )

    async with (
        Simulator.running(settings) as simulator,
        plain_binance(simulator) as client,
        client.socket() as socket,
    ):
        await socket.subscribe("btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@trade")
        simulator.resume()
        heard = [(await socket.receive_text()).encode() for _ in range(2_000)]
        depth = await client.public("/api/v3/depth", symbol="BTCUSDT", limit=10)

    recorded = [line for line in lines if line.startswith(b'{"stream"')]
    start = recorded.index(heard[0])
    assert start <= 1
    assert heard == recorded[start : start + len(heard)]
    assert depth["lastUpdateId"] > 50093239218
    assert len(depth["bids"]) == 10
