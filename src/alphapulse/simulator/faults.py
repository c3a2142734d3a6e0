"""Fault script: what goes wrong, for whom, how often, before or after the request is executed.

A fault is data, so that a test, the control API and a file say it the same way. The script only
decides; the server, which owns the sockets, does it. Faults that change the world (a revoked key,
a halted symbol) change it when a request matches, just before that request is served.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

HANDSHAKE = "WS"
"""The method of a WebSocket's opening request, for a match."""


class When(StrEnum):
    """Whether the venue executes the request before things go wrong."""

    BEFORE = "before"
    AFTER = "after"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Match(_Data):
    """Whom a fault strikes; shell patterns, ``*`` is everybody.

    ``method`` is an HTTP method, or ``WS`` for opening a WebSocket. ``account`` is the account's
    label, ``symbol`` the venue's own (``BTCUSDT``), ``topic`` a stream's name.
    """

    venue: str = "*"
    host: str = "*"
    path: str = "*"
    method: str = "*"
    account: str = "*"
    symbol: str = "*"
    topic: str = "*"


@dataclass(frozen=True, slots=True)
class Occasion:
    """A request, a handshake or a frame, as a match sees it."""

    venue: str
    host: str
    path: str
    method: str
    account: str = ""
    symbol: str = ""
    topic: str = ""


class _Fault(_Data):
    """Strikes ``count`` times (``None``: always), after letting ``skip`` occasions pass."""

    match: Match = Match()
    count: int | None = Field(default=1, ge=1)
    skip: int = Field(default=0, ge=0)
    probability: float = Field(default=1.0, gt=0, le=1)


class InsteadOfAnswer(_Fault):
    """Base of what a client gets in place of the answer, the request executed or not."""

    when: When = When.BEFORE


class Latency(_Fault):
    """The answer comes late: fixed, plus an exponential tail of the given mean."""

    kind: Literal["latency"] = "latency"
    delay_s: float = Field(ge=0, le=600)
    tail_s: float = Field(default=0, ge=0, le=60)


class Timeout(InsteadOfAnswer):
    """No answer until the client gives up, or the connection is dropped after ``hold_s``."""

    kind: Literal["timeout"] = "timeout"
    hold_s: float = Field(default=60, gt=0, le=600)


class Reset(InsteadOfAnswer):
    """The connection is reset instead of an answer."""

    kind: Literal["reset"] = "reset"


class Truncated(_Fault):
    """Executed; half of the body arrives, then the connection ends."""

    kind: Literal["truncated"] = "truncated"


class Garbled(InsteadOfAnswer):
    """An answer that is not what was asked for: a proxy's HTML, or JSON that says nothing."""

    kind: Literal["garbled"] = "garbled"
    body: Literal["html", "empty", "null", "object"] = "html"
    status: int = Field(default=200, ge=200, le=599)


class Status(InsteadOfAnswer):
    """An HTTP error; ``retry_after_s`` adds the header."""

    kind: Literal["status"] = "status"
    status: int = Field(ge=400, le=599)
    retry_after_s: int | None = Field(default=None, ge=0)
    body: str = ""


class VenueError(InsteadOfAnswer):
    """An error in the venue's own envelope."""

    kind: Literal["venue_error"] = "venue_error"
    code: int
    message: str


class RevokedKey(_Fault):
    """The matched account's key stops existing."""

    kind: Literal["revoked_key"] = "revoked_key"


class WithdrawalPermission(_Fault):
    """The matched account's key may withdraw from now on."""

    kind: Literal["withdrawal_permission"] = "withdrawal_permission"


class SkewedClock(_Fault):
    """The venue's clock is off by ``offset_s`` (positive: ahead) from now on."""

    kind: Literal["skewed_clock"] = "skewed_clock"
    offset_s: float = Field(default=30, ge=-86_400, le=86_400)


class HaltedSymbol(_Fault):
    """A symbol stops trading from now on, for good when ``delisted``."""

    kind: Literal["halted_symbol"] = "halted_symbol"
    symbol: str
    delisted: bool = False


class FrozenStream(_Fault):
    """Half-open: from now on the connection neither sends nor answers, pongs included."""

    kind: Literal["frozen_stream"] = "frozen_stream"


class ClosedStream(_Fault):
    """The connection ends with a close code, or with 1006: without a word."""

    kind: Literal["closed_stream"] = "closed_stream"
    code: int = Field(default=1001, ge=1000, le=4999)
    reason: str = Field(default="", max_length=100)


class LostFrame(_Fault):
    """A frame is not sent: the gap a client must notice."""

    kind: Literal["lost_frame"] = "lost_frame"


class RepeatedFrame(_Fault):
    """A frame is sent twice."""

    kind: Literal["repeated_frame"] = "repeated_frame"


RequestFault = Latency | Timeout | Reset | Truncated | Garbled | Status | VenueError
WorldFault = RevokedKey | WithdrawalPermission | SkewedClock | HaltedSymbol
StreamFault = FrozenStream | ClosedStream | LostFrame | RepeatedFrame

Fault = Annotated[RequestFault | WorldFault | StreamFault, Field(discriminator="kind")]

FAULT: TypeAdapter[Fault] = TypeAdapter(Fault)


@dataclass(slots=True)
class Entry:
    """One fault of the script and what became of it so far."""

    id: int
    fault: Fault
    seen: int = 0
    struck: int = 0

    @property
    def is_spent(self) -> bool:
        return self.fault.count is not None and self.struck >= self.fault.count


# A script longer than this is a mistake of whoever writes it, and each frame walks it.
FAULTS_MAX = 1000


class FaultScript:
    """The faults in force. Deterministic for a seed and a sequence of occasions."""

    def __init__(self, seed: int = 0, faults: Iterable[Fault] = ()) -> None:
        self._random = random.Random(seed)
        self._entries: dict[int, Entry] = {}
        self._next_id = 1
        for fault in faults:
            self.add(fault)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every fault in force or spent, oldest first, until removed."""
        return tuple(self._entries.values())

    def add(self, fault: Fault) -> Entry:
        """Put a fault in force.

        Raises:
            ValueError: the script is full.
        """
        if len(self._entries) >= FAULTS_MAX:
            raise ValueError(f"more than {FAULTS_MAX} faults")
        entry = Entry(self._next_id, fault)
        self._entries[entry.id] = entry
        self._next_id += 1
        return entry

    def remove(self, fault_id: int) -> bool:
        """Lift one fault; whether it was there."""
        return self._entries.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Lift every fault. What faults did to the world stays done."""
        self._entries.clear()

    def accept_then_time_out(self, *, next_orders: int = 1, venue: str = "*") -> Entry:
        """The next orders are executed and never answered."""
        match = Match(venue=venue, method="POST", path="*/order*")
        return self.add(Timeout(match=match, when=When.AFTER, count=next_orders))

    def on_request(self, occasion: Occasion) -> tuple[RequestFault | WorldFault, ...]:
        """Those that strike this request or handshake, in the order of the script."""
        return tuple(
            entry.fault
            for entry in self._entries.values()
            if isinstance(entry.fault, RequestFault | WorldFault) and self._strikes(entry, occasion)
        )

    def on_frame(self, occasion: Occasion) -> tuple[StreamFault, ...]:
        """Those that strike this frame of an open stream, in the order of the script."""
        return tuple(
            entry.fault
            for entry in self._entries.values()
            if isinstance(entry.fault, StreamFault) and self._strikes(entry, occasion)
        )

    def _strikes(self, entry: Entry, occasion: Occasion) -> bool:
        if entry.is_spent or not _matches(entry.fault.match, occasion):
            return False
        entry.seen += 1
        if entry.seen <= entry.fault.skip:
            return False
        if self._random.random() >= entry.fault.probability:
            return False
        entry.struck += 1
        return True


def _matches(match: Match, occasion: Occasion) -> bool:
    return all(
        pattern == "*" or fnmatchcase(getattr(occasion, name), pattern) for name, pattern in match
    )
