"""One Check: what was allowed, what was found, and the error to refuse with."""

from dataclasses import dataclass
from decimal import Decimal

from alphapulse.domain.money import plain
from alphapulse.errors import AlphaPulseError, OverLimit


@dataclass(frozen=True, slots=True)
class Check:
    """``limit`` is what was allowed and ``value`` what was found, in words or plain decimals;
    ``failure`` is the error to refuse with."""

    name: str
    limit: str | None = None
    value: str | None = None
    failure: AlphaPulseError | None = None

    @property
    def ok(self) -> bool:
        return self.failure is None


def at_most(
    name: str, limit: Decimal | None, value: Decimal, detail: str, field: str | None = None
) -> Check:
    """A check of ``value`` against a limit, if there is one; ``detail`` says what is too much."""
    failure = None
    if limit is not None and value > limit:
        detail = f"{detail}: {plain(value)}, and {plain(limit)} is allowed"
        failure = over(name, detail, limit, value, field)
    return Check(name, plainly(limit), plain(value), failure)


def over(
    name: str, detail: str, limit: object, value: object, field: str | None = None
) -> OverLimit:
    """The refusal of what is beyond a limit of ours, or of the venue."""
    facts = {} if field is None else {"field": field}
    return OverLimit(detail, check=name, limit=limit, value=value, **facts)


def plainly(number: Decimal | None) -> str | None:
    """A number as text; none stays none."""
    return None if number is None else plain(number)


def in_words(name: str) -> str:
    """A field, or the subject of a limit, as a person calls it: ``limit price``."""
    return name.replace("_", " ").replace(":", " ")
