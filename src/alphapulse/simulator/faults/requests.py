"""Faults of REST requests and handshakes: what a client gets instead of its answer."""

from typing import Literal

from pydantic import Field, model_validator

from alphapulse.simulator.faults.fault import CONNECT, BaseFault, Match, Occasion, When


class RequestFault(BaseFault):
    """Base of what happens to a request around its execution."""


class Latency(RequestFault):
    """The answer comes late: fixed, plus an exponential tail of the given mean.

    After execution the account's streams tell what happened before the answer does.
    """

    kind: Literal["latency"] = "latency"
    when: When = When.BEFORE
    delay_s: float = Field(ge=0, le=600)
    tail_s: float = Field(default=0, ge=0, le=60)


class BadSignature(RequestFault):
    """The signature is damaged on its way, so that the venue refuses it in its own words."""

    kind: Literal["bad_signature"] = "bad_signature"

    def concerns(self, occasion: Occasion) -> bool:
        """Only what an account's key signed."""
        return bool(occasion.account) and super().concerns(occasion)


class InsteadOfAnswer(RequestFault):
    """Base of what a client gets in place of the answer, the request executed or not."""

    when: When = When.BEFORE


class Timeout(InsteadOfAnswer):
    """No answer until the client gives up, or the connection is dropped after ``hold_s``."""

    kind: Literal["timeout"] = "timeout"
    hold_s: float = Field(default=60, gt=0, le=600)


class Reset(InsteadOfAnswer):
    """The connection is reset instead of an answer."""

    kind: Literal["reset"] = "reset"


class Truncated(RequestFault):
    """Executed; half of the body arrives, then the connection ends."""

    kind: Literal["truncated"] = "truncated"


class Garbled(InsteadOfAnswer):
    """An answer that is not what was asked for: a proxy's HTML, or JSON that says nothing."""

    kind: Literal["garbled"] = "garbled"
    body: Literal["html", "empty", "null", "object"] = "html"
    status: int = Field(default=200, ge=200, le=599)


class Status(InsteadOfAnswer):
    """An HTTP error with any ``body``; ``retry_after_s`` adds the header."""

    kind: Literal["status"] = "status"
    status: int = Field(ge=400, le=599)
    retry_after_s: int | None = Field(default=None, ge=0)
    body: str = ""


class VenueError(InsteadOfAnswer):
    """An error in the venue's own envelope, with another HTTP status than its own if given."""

    kind: Literal["venue_error"] = "venue_error"
    code: int
    message: str
    status: int | None = Field(default=None, ge=200, le=599)


class Maintenance(InsteadOfAnswer):
    """Each request and handshake hears, with HTTP 503, that the venue is being worked on."""

    kind: Literal["maintenance"] = "maintenance"


class ClosedPort(InsteadOfAnswer):
    """Every connection is reset, this request's too, and new ones are refused for ``for_s``.

    A client that is refused has sent no byte. All venues share the port.
    """

    kind: Literal["closed_port"] = "closed_port"
    for_s: float = Field(default=1.0, gt=0, le=600)


class CutConnection(BaseFault):
    """A new connection is accepted, and reset, closed or never read from."""

    kind: Literal["cut_connection"] = "cut_connection"
    how: Literal["reset", "close", "silence"] = "reset"
    match: Match = Match(method=CONNECT)

    @model_validator(mode="after")
    def _is_for_everybody(self) -> "CutConnection":
        if self.match not in {Match(), Match(method=CONNECT)}:
            raise ValueError("a connection belongs to no venue before it speaks: match all")
        return self


AnyRequestFault = (
    Latency
    | BadSignature
    | Timeout
    | Reset
    | Truncated
    | Garbled
    | Status
    | VenueError
    | Maintenance
    | ClosedPort
)
