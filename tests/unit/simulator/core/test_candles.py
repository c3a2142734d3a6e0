"""Candles of every interval are those of the minutes they are made of."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from alphapulse.simulator.core.candles import (
    INTERVALS,
    MINUTE_MS,
    Candle,
    CandleSeries,
    bounds_ms,
    summed,
)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def minute(open_ms: int, close: int, volume: int = 1) -> Candle:
    price = Decimal(close)
    return Candle(
        open_ms,
        open_ms + MINUTE_MS - 1,
        price,
        price + 1,
        price - 1,
        price,
        Decimal(volume),
        price * volume,
        2,
        Decimal(0),
        Decimal(0),
        10,
        11,
        False,
    )


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ("1m", "2024-02-29T13:45:00", "2024-02-29T13:46:00"),
        ("15m", "2024-02-29T13:45:00", "2024-02-29T14:00:00"),
        ("4h", "2024-02-29T12:00:00", "2024-02-29T16:00:00"),
        ("1d", "2024-02-29T00:00:00", "2024-03-01T00:00:00"),
        ("1w", "2024-02-26T00:00:00", "2024-03-04T00:00:00"),
        ("1M", "2024-02-01T00:00:00", "2024-03-01T00:00:00"),
    ],
)
def test_bounds_are_those_of_the_calendar(interval: str, start: str, end: str) -> None:
    assert bounds_ms(interval, ms("2024-02-29T13:45:30")) == (ms(start), ms(end) - 1)


def test_every_interval_closes_with_the_sum_of_its_minutes() -> None:
    series, start = CandleSeries(), ms("2024-03-04T00:00:00")
    minutes = [minute(start + i * MINUTE_MS, 100 + i % 37, i % 5) for i in range(24 * 60)]
    closed: dict[str, list[Candle]] = {}
    for one in minutes:
        series.set_minute(one)
        for interval, candle in series.close_until(one.close_ms + 1):
            closed.setdefault(interval, []).append(candle)

    assert len(closed["1m"]) == 1440
    assert {name: len(candles) for name, candles in closed.items() if name in {"5m", "1h", "1d"}}
    for interval in ("3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"):
        for candle in closed[interval]:
            inside = [m for m in minutes if candle.open_ms <= m.open_ms <= candle.close_ms]
            whole = summed(inside)
            assert candle.is_closed
            assert (candle.open, candle.high, candle.low, candle.close, candle.volume) == (
                whole.open,
                whole.high,
                whole.low,
                whole.close,
                whole.volume,
            )


def test_open_candle_holds_the_closed_part_and_the_open_minute() -> None:
    series, start = CandleSeries(), ms("2024-03-04T00:00:00")
    series.set_minute(minute(start, 100, 3))
    series.close_until(start + MINUTE_MS)
    series.set_minute(minute(start + MINUTE_MS, 90, 4))

    for interval in INTERVALS[1:]:
        candle = series.open_candle(interval)
        assert candle is not None
        assert [candle.open, candle.close, candle.volume] == [100, 90, 7]
        assert not candle.is_closed
    assert [c.open_ms for c in series.range("1m", None, None)] == [start, start + MINUTE_MS]


def test_gap_ends_candles_without_making_any_up() -> None:
    series, start = CandleSeries(), ms("2024-03-04T00:00:00")
    series.set_minute(minute(start, 100))

    closed = series.close_until(start + 7 * MINUTE_MS)
    series.set_minute(minute(start + 7 * MINUTE_MS, 105))
    later = series.close_until(start + 8 * MINUTE_MS)

    assert [interval for interval, _ in closed] == ["1m", "3m", "5m"]
    assert [interval for interval, _ in later] == ["1m"]


def test_deferred_past_is_made_once_when_somebody_looks_back() -> None:
    start = ms("2024-03-04T10:00:00")
    minutes = [minute(start + i * MINUTE_MS, 100 + i) for i in range(70)]
    told, whole, looks = CandleSeries(), CandleSeries(), 0

    def past() -> list[Candle]:
        nonlocal looks
        looks += 1
        return minutes[:62]

    told.defer(past)
    for one in minutes[62:]:
        told.set_minute(one)
        told.close_until(one.close_ms + 1)
    told.set_minute(minute(start + 70 * MINUTE_MS, 90))
    assert looks == 0

    for one in minutes:
        whole.set_minute(one)
        whole.close_until(one.close_ms + 1)
    whole.set_minute(minute(start + 70 * MINUTE_MS, 90))

    for interval in INTERVALS:
        assert told.range(interval, None, None) == whole.range(interval, None, None)
    assert looks == 1
