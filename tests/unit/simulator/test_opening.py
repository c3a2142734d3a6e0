"""The past of the demo accounts is the same at every start, whenever that is."""

from datetime import UTC, datetime

from alphapulse.simulator.core.clock import RealMarketClock
from alphapulse.simulator.opening import open_world
from alphapulse.simulator.settings import SimulatorSettings
from tests.fixtures.clock import HandClock

BORN = datetime(2026, 11, 20, tzinfo=UTC)


def past_fills(clock: HandClock) -> list[object]:
    settings = SimulatorSettings(seed=3, history_days=12, history_until=BORN)
    world = open_world(settings, clock, RealMarketClock(clock), ())
    return [
        (name, fill)
        for name, venue in world.venues.items()
        for account in venue.accounts.values()
        for fill in account.fills
    ]


def test_a_later_start_tells_the_same_past() -> None:
    first = past_fills(HandClock(datetime(2026, 11, 20, 6, tzinfo=UTC)))
    later = past_fills(HandClock(datetime(2026, 11, 23, 9, tzinfo=UTC)))

    assert len(first) > 50
    assert later == first
