"""Rule: what one answer of a venue means for reading, and for an order that was being placed.

CCXT's exception class does not say whether an order exists, and calls a broken answer a success
(``reliability.md`` 0). So the verdict on an answer is looked up in tables of these rows, by HTTP
status, venue code and message; CCXT's class decides only where they say nothing, and never that
an order was refused.
"""

from dataclasses import dataclass
from enum import StrEnum


class Reaction(StrEnum):
    """What to do about an answer."""

    RETRY = "retry"
    """Read again later, with growing pauses."""
    WAIT = "wait"
    """Send nothing to this venue until the stated time."""
    CLOCK = "clock"
    """Measure the venue's clock, then try once more."""
    KEY = "key"
    """The key is no good: stop and tell the user."""
    PERMISSION = "permission"
    """The key is good and may not do this, or not from here."""
    RESOLVE = "resolve"
    """Whether it was done is unknown: look it up by client order id, never send again."""
    REJECT = "reject"
    """Refused for good."""
    FUNDS = "funds"
    """Refused for want of balance or margin."""
    ABSENT = "absent"
    """The venue has no such order."""
    DONE = "done"
    """It was so already."""
    BUG = "bug"
    """Our request is malformed."""
    SYMBOL = "symbol"
    """This instrument is not to be traded now: load the instruments again."""
    VENUE = "venue"
    """The whole venue is closed to us: maintenance, country, suspended account."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: all that is given must match. ``message`` is any part of the venue's text.

    ``writing`` is the reaction when the request would place, amend or cancel; where it is not
    given it is ``reading``, except that RETRY becomes RESOLVE: a write is never repeated blindly.
    ``wait_s`` is how long to send nothing when the venue names no time.

    ``precedes_acceptance``: the venue checks this before it accepts an order, so that one refused
    with a code of this row does not exist. Without it, or without a code, the fate of an order is
    unknown, whatever the row means.
    """

    meaning: str
    reading: Reaction
    codes: tuple[str, ...] = ()
    statuses: range | tuple[int, ...] = ()
    message: str = ""
    writing: Reaction | None = None
    wait_s: float = 0.0
    is_of_endpoint: bool = False
    """Only this endpoint and key have to wait, not all that is sent to the venue."""
    precedes_acceptance: bool = False
    is_duplicate: bool = False
    """An order of this name is there already: look it up, it is ours."""
    source: str = "docs"

    def matches(self, status: int, code: str | None, message: str) -> bool:
        return (
            (not self.codes or code in self.codes)
            and (not self.statuses or status in self.statuses)
            and self.message.lower() in message.lower()
        )

    def reaction(self, *, is_write: bool) -> Reaction:
        if not is_write:
            return self.reading
        if self.writing is not None:
            return self.writing
        return Reaction.RESOLVE if self.reading is Reaction.RETRY else self.reading


ANY_VENUE = (
    Rule("redirected; never followed", Reaction.RETRY, statuses=range(300, 400)),
    Rule(
        "too many requests",
        Reaction.WAIT,
        statuses=(418, 429),
        # Unless its profile says that the check comes before acceptance.
        writing=Reaction.RESOLVE,
        wait_s=60,
    ),
    Rule("not from this country", Reaction.VENUE, statuses=(451,)),
    Rule("request timed out at the venue", Reaction.RETRY, statuses=(408,)),
    Rule("the venue is broken", Reaction.RETRY, statuses=range(500, 600)),
)
