"""Candle replay: recorded candles as a market, each candle coming out exactly as it went in."""

import csv
import gzip
import heapq
import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from alphapulse.domain.money import EXACT
from alphapulse.domain.order import Side
from alphapulse.simulator.core.candles import MINUTE_MS
from alphapulse.simulator.core.clock import milliseconds
from alphapulse.simulator.core.market import Bar
from alphapulse.simulator.drivers.step import Move, Step

_VOLUME_GRAIN = Decimal("0.00000001")
_FINEST_GRID = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class RecordedCandle:
    """Prices in quote currency, volume as the recording counts it."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


def read_candles(path: Path) -> list[RecordedCandle]:
    """Read ``.csv``, ``.csv.gz`` or, with pyarrow installed, ``.feather``; oldest first.

    The first column is the open time (UTC), then open, high, low, close, volume.

    Raises:
        ValueError: another kind of file.
        ModuleNotFoundError: a feather file, and no pyarrow.
    """
    if path.suffix == ".feather":
        return _read_feather(path)
    if path.name.endswith((".csv", ".csv.gz")):
        return _read_csv(path)
    raise ValueError(f"{path.name}: expected .csv, .csv.gz or .feather")


def _read_csv(path: Path) -> list[RecordedCandle]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    rows = csv.reader(text.splitlines())
    next(rows)
    return [
        RecordedCandle(_milliseconds(at), *(Decimal(number) for number in numbers[:5]))
        for at, *numbers in rows
    ]


def _read_feather(path: Path) -> list[RecordedCandle]:
    feather = importlib.import_module("pyarrow.feather")
    columns = feather.read_table(path).to_pydict()
    names = ("open", "high", "low", "close", "volume")
    return [
        # The shortest text that reads back as the same float: what comes out is what is stored.
        RecordedCandle(milliseconds(at), *(Decimal(repr(number)) for number in numbers))
        for at, *numbers in zip(columns["date"], *(columns[n] for n in names), strict=True)
    ]


def _milliseconds(text: str) -> int:
    return milliseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


def grid_of(candles: Sequence[RecordedCandle]) -> Decimal:
    """A tick size for a market that replays these: the coarsest power of ten that fits.

    Never below 1e-8, which no venue goes below; floats bring dust of their own.
    """
    exponents = (
        int(EXACT.quantize(price, _FINEST_GRID).normalize().as_tuple().exponent)
        for c in candles
        for price in (c.open, c.high, c.low, c.close)
    )
    return Decimal(1).scaleb(min(exponents, default=0))


class CandleReplay:
    """Walks every candle from open over its extremes to its close.

    Candles of more than a minute are split into minutes that add up to them exactly.

    Args:
        recordings: by CCXT's symbol, each oldest first and of one interval.
    """

    def __init__(self, recordings: Mapping[str, Sequence[RecordedCandle]]) -> None:
        if not recordings or not all(recordings.values()):
            raise ValueError("a candle replay needs candles")
        self._recordings = recordings

    @property
    def start_ms(self) -> int:
        return min(candles[0].open_ms for candles in self._recordings.values())

    @property
    def past(self) -> None:
        """The recording is all there is."""
        return None

    def steps(self) -> Iterator[Step]:
        tracks = [_track(symbol, candles) for symbol, candles in self._recordings.items()]
        moves: list[Move] = []
        at_ms = self.start_ms
        for move_ms, _, move in heapq.merge(*tracks):
            if move_ms != at_ms and moves:
                yield Step(at_ms, tuple(moves))
                moves = []
            at_ms = move_ms
            moves.append(move)
        yield Step(at_ms, tuple(moves))
        # One more minute for the clock, so that the last candle closes as well.
        yield Step(at_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS)


@dataclass(frozen=True, slots=True)
class _Minute:
    """One minute of the walk: prices in order, and the volume that goes with them."""

    open_ms: int
    prices: tuple[Decimal, ...]
    volume: Decimal


def _track(symbol: str, candles: Sequence[RecordedCandle]) -> Iterator[tuple[int, str, Move]]:
    gaps = [b.open_ms - a.open_ms for a, b in pairwise(candles)]
    minutes = max(1, min(gaps, default=MINUTE_MS) // MINUTE_MS)
    price: Decimal | None = None
    for candle in candles:
        for minute in _split(candle, minutes):
            for at_ms, move in _walk(symbol, minute, price):
                yield at_ms, symbol, move
            price = minute.prices[-1]


def _split(candle: RecordedCandle, minutes: int) -> Iterator[_Minute]:
    first, second = candle.low, candle.high
    if candle.close < candle.open:
        first, second = second, first
    way = (candle.open, first, second, candle.close)
    if minutes == 1:
        yield _Minute(candle.open_ms, way, candle.volume)
        return
    # The extremes fall into the middle, the close into the last minute.
    turns = ((minutes // 3, first), (2 * minutes // 3, second), (minutes - 1, candle.close))
    part = EXACT.quantize(EXACT.divide(candle.volume, Decimal(minutes)), _VOLUME_GRAIN)
    part = min(part, candle.volume)
    price, left = candle.open, candle.volume
    for index in range(minutes):
        targets = [target for at, target in turns if at == index] or [price]
        volume = min(part, left) if index < minutes - 1 else left
        left -= volume
        yield _Minute(candle.open_ms + index * MINUTE_MS, (price, *targets), volume)
        price = targets[-1]


def _walk(symbol: str, minute: _Minute, before: Decimal | None) -> Iterator[tuple[int, Move]]:
    """Moves through one minute; the last one, a millisecond before its end, completes the bar.

    Where the price stands still there is no move but that.
    """
    last = len(minute.prices) - 1
    ways = enumerate(pairwise((before, *minute.prices)))
    stops = [index for index, (was, price) in ways if was != price or index == last]
    part = EXACT.quantize(EXACT.divide(minute.volume, Decimal(len(stops))), _VOLUME_GRAIN)
    volume = quote_volume = Decimal(0)
    for index in stops:
        price = minute.prices[index]
        left = minute.volume - volume
        traded = left if index == last else min(part, left)
        volume += traded
        quote_volume = EXACT.add(quote_volume, EXACT.multiply(traded, price))
        so_far = minute.prices[: index + 1]
        bar = Bar(minute.open_ms, so_far[0], max(so_far), min(so_far), price, volume, quote_volume)
        side = Side.BUY if price >= so_far[max(0, index - 1)] else Side.SELL
        at_ms = minute.open_ms + (MINUTE_MS - 1) * index // last
        yield at_ms, Move(symbol, price, ((side, traded),), bar)
