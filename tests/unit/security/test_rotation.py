"""A refresh token that is used again: by whom, and how soon after."""

import pytest

from alphapulse.security.rotation import GRACE_S, RecentRotations
from tests.fixtures.clock import HandClock


@pytest.fixture
def rotations(clock: HandClock) -> RecentRotations:
    rotations = RecentRotations(clock)
    rotations.add("spent", "successor", "curl at home")
    return rotations


def test_the_same_client_gets_the_same_successor_for_a_moment(
    rotations: RecentRotations, clock: HandClock
) -> None:
    clock.advance(GRACE_S)

    assert rotations.successor("spent", "curl at home") == "successor"


def test_after_that_moment_nobody_does(rotations: RecentRotations, clock: HandClock) -> None:
    clock.advance(GRACE_S + 0.001)

    assert rotations.successor("spent", "curl at home") is None


def test_another_client_never_does(rotations: RecentRotations) -> None:
    assert rotations.successor("spent", "curl elsewhere") is None


def test_of_a_token_that_was_not_exchanged_nothing_is_known(rotations: RecentRotations) -> None:
    assert rotations.successor("other", "curl at home") is None


def test_what_is_too_old_is_not_kept(rotations: RecentRotations, clock: HandClock) -> None:
    clock.advance(GRACE_S + 1)
    rotations.add("later", "another", "curl at home")

    assert list(rotations._rotations) == ["later"]
