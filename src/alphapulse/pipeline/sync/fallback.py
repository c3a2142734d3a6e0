"""Error Classification and Fallback Strategy: from an error to what is done about it. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from alphapulse.domain.sync import SyncState
from alphapulse.errors import (
    AlphaPulseError,
    AuthenticationFailed,
    ClockSkewed,
    DatabaseError,
    ExchangeUnavailable,
    InstrumentUnavailable,
    NotReady,
    OrderNotSent,
    OrderOutcomeUnknown,
    RateLimited,
    StreamLost,
)


class Reaction(StrEnum):
    """What a sync task does next."""

    BACK_OFF = "back_off"
    """Try again, each time later."""
    WAIT = "wait"
    """Send this venue nothing for as long as it said."""
    CONFIRM_KEY = "confirm_key"
    """Ask once more; a second refusal disables the account."""
    MEASURE_CLOCK = "measure_clock"
    """Measure the venue's clock again, then try again."""
    DROP_SYMBOL = "drop_symbol"
    """Go on without the symbol, after a look at the instruments."""
    WAIT_FOR_DATABASE = "wait_for_database"
    """Read again when the database takes rows again; what was read is not lost at the venue."""
    GIVE_UP = "give_up"
    """Waiting does not mend it; only the regular interval tries again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``blames_venue`` is false for errors that say nothing about the venue's health."""

    reaction: Reaction
    state: SyncState
    blames_venue: bool = False


# Most specific first: the first class that matches decides.
_VERDICTS: tuple[tuple[type[AlphaPulseError], Verdict], ...] = (
    (RateLimited, Verdict(Reaction.WAIT, SyncState.STALE)),
    (ClockSkewed, Verdict(Reaction.MEASURE_CLOCK, SyncState.STALE)),
    (AuthenticationFailed, Verdict(Reaction.CONFIRM_KEY, SyncState.STALE)),
    (InstrumentUnavailable, Verdict(Reaction.DROP_SYMBOL, SyncState.STALE)),
    (ExchangeUnavailable, Verdict(Reaction.BACK_OFF, SyncState.STALE, blames_venue=True)),
    (OrderOutcomeUnknown, Verdict(Reaction.BACK_OFF, SyncState.STALE, blames_venue=True)),
    (OrderNotSent, Verdict(Reaction.BACK_OFF, SyncState.STALE)),
    (StreamLost, Verdict(Reaction.BACK_OFF, SyncState.STALE)),
    (NotReady, Verdict(Reaction.BACK_OFF, SyncState.STALE)),
    (DatabaseError, Verdict(Reaction.WAIT_FOR_DATABASE, SyncState.STALE)),
)
_UNMENDABLE = Verdict(Reaction.GIVE_UP, SyncState.ERROR)


def classify(error: AlphaPulseError) -> Verdict:
    """What to do about ``error``. A class the table does not name is not mended by waiting."""
    for kind, verdict in _VERDICTS:
        if isinstance(error, kind):
            return verdict
    return _UNMENDABLE
