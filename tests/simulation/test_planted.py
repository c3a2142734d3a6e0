"""The simulation is not blind: each planted bug is found, and soon."""

import pytest

from tests.simulation.planted import BUGS, planted
from tests.simulation.seeds import first_broken

WITHIN = 2000


def test_there_are_twenty_bugs_and_more() -> None:
    assert len(BUGS) >= 20


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    with planted(name):
        assert first_broken(range(WITHIN)) is not None
