"""Fault: what every fault has, and the occasions on which one can strike."""

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict, Field

CONNECT = "CONNECT"
"""A connection that a client opens; it belongs to no venue before it speaks."""

HANDSHAKE = "WS"
"""A WebSocket's opening request, and every frame that goes out on it."""

MESSAGE = "MESSAGE"
"""What a client sends on an open WebSocket. Its topic is what it asks for: ``subscribe``,
``order.place``, ``ping``."""

ORDER = "ORDER"
"""A new order on its way into the book, however it came."""


class When(StrEnum):
    """Whether the venue executes the request before things go wrong."""

    BEFORE = "before"
    AFTER = "after"


class Data(BaseModel):
    """Frozen, and refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Match(Data):
    """Whom a fault strikes; shell patterns, ``*`` is everybody.

    ``method`` is an HTTP method, or ``WS``, ``MESSAGE``, ``ORDER``, ``CONNECT`` for what is no
    REST request. ``account`` is the account's label, ``symbol`` the venue's own (``BTCUSDT``),
    ``topic`` a stream's name, empty for replies.
    """

    venue: str = "*"
    host: str = "*"
    path: str = "*"
    method: str = "*"
    account: str = "*"
    symbol: str = "*"
    topic: str = "*"

    def is_met(self, occasion: "Occasion") -> bool:
        """Whether every pattern fits."""
        return all(
            pattern == "*" or fnmatchcase(getattr(occasion, name), pattern)
            for name, pattern in self
        )


@dataclass(frozen=True, slots=True)
class Occasion:
    """A moment at which something may go wrong, as a match sees it."""

    venue: str
    host: str
    path: str
    method: str
    account: str = ""
    symbol: str = ""
    topic: str = ""


class BaseFault(Data):
    """Strikes ``count`` times (``None``: always), after letting ``skip`` occasions pass.

    ``probability`` is drawn from the script's own seeded numbers.
    """

    match: Match = Match()
    count: int | None = Field(default=1, ge=1)
    skip: int = Field(default=0, ge=0)
    probability: float = Field(default=1.0, gt=0, le=1)

    def concerns(self, occasion: Occasion) -> bool:
        """Whether it can strike here at all."""
        return self.match.is_met(occasion)
