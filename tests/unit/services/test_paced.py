"""When something dear is made again, and when it is not."""

from dataclasses import dataclass, field

import pytest

from alphapulse.services.paced import AGE_S_MAX, REMAKE_S, Paced
from tests.fixtures.clock import HandClock


@dataclass
class Live:
    """Only what decides: how often something changed."""

    revision: int = 0
    facts_revision: int = 0


@dataclass
class Maker:
    made: list[int] = field(default_factory=list)

    def __call__(self) -> int:
        self.made.append(len(self.made))
        return self.made[-1]


@pytest.fixture
def live() -> Live:
    return Live()


@pytest.fixture
def paced(live: Live, clock: HandClock) -> Paced[int]:
    return Paced(live, clock)


def test_it_is_made_once_while_nothing_changes(paced: Paced[int], clock: HandClock) -> None:
    make = Maker()

    assert [paced.get("a", make), paced.get("a", make)] == [0, 0]


def test_each_key_has_its_own(paced: Paced[int]) -> None:
    make = Maker()

    assert [paced.get("a", make), paced.get("b", make)] == [0, 1]


def test_prices_that_move_at_once_show_together(
    paced: Paced[int], live: Live, clock: HandClock
) -> None:
    make = Maker()
    paced.get("a", make)

    live.revision += 1
    assert paced.get("a", make) == 0
    clock.advance(REMAKE_S + 0.001)
    assert paced.get("a", make) == 1


def test_who_must_not_miss_the_last_change_gets_it_at_once(paced: Paced[int], live: Live) -> None:
    make = Maker()
    paced.get("a", make)

    live.revision += 1

    assert paced.get("a", make, is_newest=True) == 1


def test_anything_but_a_price_shows_at_once(paced: Paced[int], live: Live) -> None:
    make = Maker()
    paced.get("a", make)

    live.revision += 1
    live.facts_revision += 1

    assert paced.get("a", make) == 1


def test_ages_are_never_wrong_by_more_than_their_limit(paced: Paced[int], clock: HandClock) -> None:
    make = Maker()
    paced.get("a", make)

    clock.advance(AGE_S_MAX - 0.01)
    assert paced.get("a", make) == 0
    clock.advance(0.02)
    assert paced.get("a", make) == 1


def test_what_cannot_be_made_is_not_kept(paced: Paced[int]) -> None:
    def fail() -> int:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - ours, a line above
        paced.get("a", fail)

    assert paced.get("a", Maker()) == 0
