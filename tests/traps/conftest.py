"""What every trap is set with: a market that stands still, and one customer of one venue."""

from collections.abc import AsyncIterator

import pytest

from alphapulse.database.settings import DatabaseSettings
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.traps.customer import LABELS, STILL, Customer, customer_of


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return STILL


@pytest.fixture(params=LABELS)
def venue(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def customer(
    venue: str, simulator: Simulator, sqlite_settings: DatabaseSettings
) -> AsyncIterator[Customer]:
    """At the end of whatever happened: nothing doubled, nothing lost, every fill once."""
    async with customer_of(venue, simulator, sqlite_settings) as customer:
        yield customer
        simulator.faults.clear()
        await customer.is_sound()
