"""A replay walks inside its candles and gives each of them back."""

import gzip
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse.simulator.core.clock import VirtualMarketClock
from alphapulse.simulator.core.events import CandleClosed, CoreEvent
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.listing import recorded_instrument
from alphapulse.simulator.drivers.candles import (
    CandleReplay,
    RecordedCandle,
    grid_of,
    read_candles,
)
from alphapulse.simulator.drivers.conductor import Conductor
from tests.fixtures.clock import HandClock

START_MS = 1_516_060_800_000
PRICES = st.decimals("0.00001000", "0.00002000", places=8)
VOLUMES = st.decimals(0, 100_000, places=8)


def candle(minutes: int, row: Sequence[Decimal]) -> RecordedCandle:
    first, second, third, fourth, volume = row
    low, _, _, high = sorted((first, second, third, fourth))
    return RecordedCandle(START_MS + minutes * 60_000, first, high, low, fourth, volume)


def played(recordings: dict[str, list[RecordedCandle]], interval: str, clock: HandClock) -> object:
    """What closes when the recordings are played: by symbol, in order."""
    replay = CandleReplay(recordings)
    market_clock = VirtualMarketClock(replay.start_ms)
    instruments = [recorded_instrument(s, grid_of(cs)) for s, cs in recordings.items()]
    venue = Venue("test", instruments, market_clock)
    closed: dict[str, list[RecordedCandle]] = {}

    def hear(event: CoreEvent) -> None:
        if isinstance(event, CandleClosed) and event.interval == interval:
            c = event.candle
            assert event.at_ms == c.close_ms + 1
            closed.setdefault(event.instrument.unified, []).append(
                RecordedCandle(c.open_ms, c.open, c.high, c.low, c.close, c.volume)
            )

    venue.subscribe(hear)
    conductor = Conductor([venue], replay, clock, market_clock=market_clock, speed=None)
    while conductor.step():
        pass
    assert conductor.is_finished
    return closed


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(PRICES, PRICES, PRICES, PRICES, VOLUMES), min_size=2, max_size=8),
    st.sampled_from([(1, "1m"), (3, "3m"), (5, "5m"), (60, "1h")]),
)
def test_every_candle_comes_out_as_it_went_in(rows, length) -> None:  # type: ignore[no-untyped-def]

    minutes, interval = length
    recorded = [candle(i * minutes, row) for i, row in enumerate(rows)]
    clock = HandClock(datetime(2026, 1, 1, tzinfo=UTC))

    assert played({"ADA/BTC": recorded}, interval, clock) == {"ADA/BTC": recorded}


def test_several_recordings_share_one_clock_and_gaps_stay_gaps(clock: HandClock) -> None:
    rows = [tuple(map(Decimal, row)) for row in ((10, 11, 9, 10, 5), (20, 22, 19, 21, 7))]
    here = [candle(m, rows[0]) for m in (0, 1, 2, 90, 91)]
    there = [candle(m, rows[1]) for m in (1, 2, 3)]
    recordings = {"AAA/USDT": here, "BBB/USDT": there}

    assert played(recordings, "1m", clock) == recordings


def test_price_visits_the_extremes_on_the_way_to_the_close() -> None:
    rising = RecordedCandle(START_MS, *map(Decimal, (10, 15, 8, 12, 4)))
    falling = RecordedCandle(START_MS + 60_000, *map(Decimal, (12, 13, 6, 7, 4)))
    steps = CandleReplay({"AAA/USDT": [rising, falling]}).steps()
    prices = [int(move.price) for step in steps for move in step.moves]

    assert prices == [10, 8, 15, 12, 13, 6, 7]


def test_standing_price_moves_once_a_minute_to_complete_it() -> None:
    flat = RecordedCandle(START_MS, *map(Decimal, (10, 10, 10, 10, 4)))
    later = RecordedCandle(START_MS + 180_000, *map(Decimal, (10, 10, 10, 10, 5)))
    steps = CandleReplay({"AAA/USDT": [flat, later]}).steps()
    moves = [(step.at_ms - START_MS, move) for step in steps for move in step.moves]

    assert [at_ms for at_ms, _ in moves] == [0, *range(59_999, 360_000, 60_000)]
    assert [sum(q for _, m in moves[:4] for _, q in m.trades), len(moves)] == [4, 7]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_text_is_read_exactly(name: str, tmp_path: Path) -> None:
    text = b"timestamp,open,high,low,close,volume\n2021-12-31 23:01:00.000000,1.10,2,1,1.5,3.7295\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)

    (read,) = read_candles(path)
    assert read == RecordedCandle(
        1_640_991_660_000, *map(Decimal, ("1.10", "2", "1", "1.5", "3.7295"))
    )


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected \.csv"):
        read_candles(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="needs candles"):
        CandleReplay({})
