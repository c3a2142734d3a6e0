"""A chart of a few known prices: candles of every length that agree, made as many as are asked."""

from decimal import Decimal
from itertools import pairwise

import pytest

from alphapulse.simulator.core.candles import (
    DAY_MS,
    FIXED_MS,
    HOUR_MS,
    MINUTE_MS,
    Candle,
    CandleSeries,
    bounds_ms,
    flat,
)
from alphapulse.simulator.core.chart import Chart
from alphapulse.simulator.core.listing import spot_instruments

BTC = next(one for one in spot_instruments() if one.unified == "BTC/USDT")
START_MS = 1_700_006_400_000  # midnight
END_MS = START_MS + 2 * DAY_MS
ALWAYS = 1 << 62

PRICES = {
    START_MS: 30_000.0,
    START_MS + 9 * HOUR_MS: 33_000.0,
    START_MS + 30 * HOUR_MS: 29_000.0,
    END_MS: 31_000.0,
}
TRADE_MS = START_MS + 13 * HOUR_MS + 12_345
TRADES = [
    (TRADE_MS, Decimal("32500.07")),
    (TRADE_MS, Decimal("31999.99")),
    (TRADE_MS + 20_000, Decimal("32011.11")),
]


@pytest.fixture
def chart() -> Chart:
    return Chart(BTC, PRICES, TRADES, volume=Decimal("0.5"))


def all_of(chart: Chart, interval: str = "1m") -> list[Candle]:
    return chart.candles(interval, 0, ALWAYS, 10_000, is_from_start=True)


def test_there_is_a_candle_for_every_minute_up_to_the_last_known_price(chart: Chart) -> None:
    opened = [candle.open_ms for candle in all_of(chart)]

    assert opened == list(range(START_MS, END_MS, MINUTE_MS))
    assert all(candle.is_closed for candle in all_of(chart))


def test_each_candle_begins_where_the_one_before_ended(chart: Chart) -> None:
    minutes = all_of(chart)

    assert minutes[0].open == 30_000
    assert minutes[-1].close == 31_000
    assert all(a.close == b.open for a, b in pairwise(minutes))


def test_candles_lie_on_the_grid_and_their_prices_fit_together(chart: Chart) -> None:
    for candle in all_of(chart):
        assert candle.low <= min(candle.open, candle.close)
        assert candle.high >= max(candle.open, candle.close)
        assert not candle.close % BTC.tick_size
        assert candle.volume == Decimal("0.5")


def test_half_way_between_two_prices_lies_their_geometric_mean(chart: Chart) -> None:
    middle_ms = START_MS + 9 * HOUR_MS // 2
    (candle,) = chart.candles("1m", middle_ms, middle_ms, 1, is_from_start=True)

    assert float(candle.open) == pytest.approx((30_000 * 33_000) ** 0.5, abs=0.01)


def test_a_minute_contains_all_of_its_trades_and_closes_at_the_last(chart: Chart) -> None:
    minute_ms = bounds_ms("1m", TRADE_MS)[0]
    (candle,) = chart.candles("1m", minute_ms, TRADE_MS, 5, is_from_start=True)

    assert candle.low <= Decimal("31999.99")
    assert candle.high >= Decimal("32500.07")
    assert candle.close == Decimal("32011.11")


@pytest.mark.parametrize("interval", ["5m", "1h", "4h", "1d"])
def test_longer_candles_are_those_of_their_minutes(chart: Chart, interval: str) -> None:
    minutes = {minute.open_ms: minute for minute in all_of(chart)}

    whole = all_of(chart, interval)

    assert len(whole) == 2 * DAY_MS // FIXED_MS[interval]
    for candle in whole:
        opened = range(candle.open_ms, candle.close_ms, MINUTE_MS)
        parts = [minutes[at_ms] for at_ms in opened]
        assert (candle.open, candle.close) == (parts[0].open, parts[-1].close)
        assert candle.high == max(part.high for part in parts)
        assert candle.low == min(part.low for part in parts)
        assert candle.volume == sum(part.volume for part in parts)


def test_the_first_or_the_last_of_a_range_are_told_oldest_first(chart: Chart) -> None:
    from_ms, to_ms = START_MS + 10 * MINUTE_MS + 1, START_MS + 20 * MINUTE_MS

    first = chart.candles("1m", from_ms, to_ms, 3, is_from_start=True)
    last = chart.candles("1m", from_ms, to_ms, 3, is_from_start=False)

    def minutes(candles: list[Candle]) -> list[int]:
        return [(candle.open_ms - START_MS) // MINUTE_MS for candle in candles]

    assert minutes(first) == [11, 12, 13]
    assert minutes(last) == [18, 19, 20]
    assert len(chart.candles("1m", from_ms, to_ms, 50, is_from_start=False)) == 10


@pytest.mark.parametrize("is_from_start", [True, False])
def test_nothing_is_told_before_the_first_price_or_of_no_time(
    chart: Chart, is_from_start: bool
) -> None:
    def told(from_ms: int, to_ms: int, limit: int = 9) -> list[Candle]:
        return chart.candles("1m", from_ms, to_ms, limit, is_from_start=is_from_start)

    assert told(0, START_MS - 1) == []
    assert told(END_MS, ALWAYS) == []
    assert told(START_MS + HOUR_MS, START_MS) == []
    assert told(START_MS, END_MS, limit=0) == []


def test_a_day_that_was_not_known_from_its_beginning_is_not_told() -> None:
    chart = Chart(BTC, {START_MS + HOUR_MS: 30_000.0, END_MS: 31_000.0})

    assert [candle.open_ms for candle in all_of(chart, "1d")] == [START_MS + DAY_MS]


def test_a_series_goes_on_where_the_far_past_ends(chart: Chart) -> None:
    series = CandleSeries()
    series.precede(lambda: chart)
    for number in range(5):
        series.set_minute(flat(END_MS + number * MINUTE_MS, Decimal(31_000)))
        series.close_until(END_MS + (number + 1) * MINUTE_MS)

    def opened(from_ms: int | None, limit: int, *, is_from_start: bool) -> list[int]:
        found = series.page("1m", from_ms, None, limit, is_from_start=is_from_start)
        return [(candle.open_ms - END_MS) // MINUTE_MS for candle in found]

    assert opened(END_MS - 2 * MINUTE_MS, 4, is_from_start=True) == [-2, -1, 0, 1]
    assert opened(None, 7, is_from_start=False) == [-2, -1, 0, 1, 2, 3, 4]
    assert opened(None, 2, is_from_start=False) == [3, 4]
    assert opened(END_MS, 10, is_from_start=True) == [0, 1, 2, 3, 4]


def test_the_far_past_is_made_once_and_not_before_somebody_looks(chart: Chart) -> None:
    series, made = CandleSeries(), 0

    def make() -> Chart:
        nonlocal made
        made += 1
        return chart

    series.precede(make)
    series.set_minute(flat(END_MS, Decimal(31_000)))
    assert made == 0
    for _ in range(3):
        assert series.page("1m", START_MS, None, 1, is_from_start=True)
    assert made == 1
