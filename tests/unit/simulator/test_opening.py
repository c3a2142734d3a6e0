"""The past of the demo accounts is the same at every start, whenever that is."""

from datetime import UTC, datetime

from alphapulse.simulator.core.clock import RealMarketClock
from alphapulse.simulator.core.events import Cause
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.ledger import LedgerEntry
from alphapulse.simulator.opening import open_world
from alphapulse.simulator.settings import SimulatorSettings
from tests.fixtures.clock import HandClock

BORN = datetime(2026, 11, 20, tzinfo=UTC)


def past_fills(clock: HandClock) -> list[object]:
    settings = SimulatorSettings(seed=3, history_days=12, history_until=BORN, history_errands=True)
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


def test_a_past_with_errands_has_every_kind_of_them() -> None:
    clock = HandClock(BORN)
    settings = SimulatorSettings(seed=3, history_days=60, history_errands=True)
    world = open_world(settings, clock, RealMarketClock(clock), ())

    crossings = [one for account in world.accounts for one in world.crossings(account.label)]
    arrived = {one.txid for one in crossings if one.is_deposit}
    sent = {one.txid for one in crossings if not one.is_deposit}
    assert sent & arrived, "nothing went from one account to another"
    assert sent - arrived, "nothing was paid out"
    entries = [e for venue in world.venues.values() for e in _entries(venue)]
    assert {e.cause for e in entries} >= {
        Cause.DEPOSIT,
        Cause.WITHDRAWAL,
        Cause.TRANSFER,
        Cause.REWARD,
        Cause.INTEREST,
        Cause.CONVERSION,
    }


def _entries(venue: Venue) -> list[LedgerEntry]:
    return [one for account in venue.accounts for one in venue.ledger.all_entries(account)]
