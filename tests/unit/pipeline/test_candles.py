"""The grid candles lie on."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.market import Timeframe
from alphapulse.pipeline.processors.candles import missing, open_times

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def minutes(*numbers: int) -> list[datetime]:
    return [NOON + timedelta(minutes=n) for n in numbers]


def test_the_grid_holds_only_candles_that_have_ended() -> None:
    until = NOON + timedelta(minutes=3, seconds=59)
    assert open_times(Timeframe.M1, NOON, until) == minutes(0, 1, 2)


def test_the_grid_begins_with_the_first_whole_candle() -> None:
    since = NOON + timedelta(seconds=1)
    assert open_times(Timeframe.M1, since, NOON + timedelta(minutes=3)) == minutes(1, 2)


def test_holes_are_what_is_not_there() -> None:
    until = NOON + timedelta(minutes=5)
    assert missing(minutes(0, 3), Timeframe.M1, NOON, until) == minutes(1, 2, 4)


@given(st.sets(st.integers(0, 59)), st.sampled_from([Timeframe.M1, Timeframe.M5]))
def test_every_hole_is_found_and_nothing_else(present: set[int], timeframe: Timeframe) -> None:
    step = timeframe.duration
    opens = [NOON + n * step for n in range(60)]
    there = {opens[n] for n in present}
    holes = missing(there, timeframe, NOON, NOON + 60 * step)
    assert set(holes) | there == set(opens)
    assert not set(holes) & there
    assert holes == sorted(holes)
