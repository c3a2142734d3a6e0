"""Which error leads to what."""

import inspect

import pytest

from alphapulse import errors
from alphapulse.domain.sync import SyncState
from alphapulse.errors import (
    AlphaPulseError,
    AuthenticationFailed,
    ClockSkewed,
    DatabaseBusy,
    DatabaseUnavailable,
    ExchangeUnavailable,
    InstrumentUnavailable,
    PermissionMissing,
    RateLimited,
    RequestRefused,
    SecretUnreadable,
    StreamLost,
)
from alphapulse.pipeline.sync.fallback import Reaction, classify

ALL = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, AlphaPulseError)
]


@pytest.mark.parametrize(
    ("kind", "reaction", "state"),
    [
        (ExchangeUnavailable, Reaction.BACK_OFF, SyncState.STALE),
        (StreamLost, Reaction.BACK_OFF, SyncState.STALE),
        (RateLimited, Reaction.WAIT, SyncState.STALE),
        (ClockSkewed, Reaction.MEASURE_CLOCK, SyncState.STALE),
        (AuthenticationFailed, Reaction.CONFIRM_KEY, SyncState.STALE),
        (InstrumentUnavailable, Reaction.DROP_SYMBOL, SyncState.STALE),
        (DatabaseBusy, Reaction.WAIT_FOR_DATABASE, SyncState.STALE),
        (DatabaseUnavailable, Reaction.WAIT_FOR_DATABASE, SyncState.STALE),
        (PermissionMissing, Reaction.GIVE_UP, SyncState.ERROR),
        (RequestRefused, Reaction.GIVE_UP, SyncState.ERROR),
        (SecretUnreadable, Reaction.GIVE_UP, SyncState.ERROR),
    ],
)
def test_each_error_has_its_reaction(
    kind: type[AlphaPulseError], reaction: Reaction, state: SyncState
) -> None:
    verdict = classify(kind("why"))
    assert (verdict.reaction, verdict.state) == (reaction, state)


OUR_OWN = {
    errors.TooManyRequests,
    errors.OrderBudgetSpent,
    errors.InProgress,
    errors.RefreshTimedOut,
    errors.WorkerStopped,
}
"""Never come from a venue."""


@pytest.mark.parametrize("kind", ALL)
def test_what_can_be_retried_is_never_given_up(kind: type[AlphaPulseError]) -> None:
    verdict = classify(kind("why"))
    if kind.retryable and kind not in OUR_OWN:
        assert verdict.reaction is not Reaction.GIVE_UP


def test_only_a_venue_that_gives_no_usable_answer_is_blamed() -> None:
    blamed = {kind for kind in ALL if classify(kind("why")).blames_venue}
    assert blamed == {ExchangeUnavailable, errors.OrderOutcomeUnknown}
