"""FaultScript: the faults in force, and which of them strike."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Annotated, TypeVar

from pydantic import Field, TypeAdapter

from alphapulse.simulator.faults.answers import (
    AnswerFault,
    AnyAnswerFault,
    Backstage,
    RepeatedAnswer,
)
from alphapulse.simulator.faults.fault import BaseFault, Match, Occasion, When
from alphapulse.simulator.faults.requests import (
    AnyRequestFault,
    CutConnection,
    RequestFault,
    Timeout,
)
from alphapulse.simulator.faults.streams import (
    AnyFrameFault,
    AnyMessageFault,
    FrameFault,
    MessageFault,
)
from alphapulse.simulator.faults.world import (
    AnyOrderFault,
    AnyWorldFault,
    OrderFault,
    WorldFault,
)
from alphapulse.simulator.venues.face import Answer

Fault = Annotated[
    CutConnection
    | AnyRequestFault
    | AnyAnswerFault
    | AnyWorldFault
    | AnyOrderFault
    | AnyFrameFault
    | AnyMessageFault,
    Field(discriminator="kind"),
]

FAULT: TypeAdapter[Fault] = TypeAdapter(Fault)

F = TypeVar("F", bound=BaseFault)


@dataclass(slots=True)
class Entry:
    """One fault of the script and what became of it so far."""

    id: int
    fault: Fault
    seen: int = 0
    struck: int = 0
    earlier: dict[Occasion, Answer] = field(default_factory=dict, repr=False)
    """First answers, for the one fault that repeats them."""

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

    # What strikes on an occasion, in the order of the script.

    def on_connect(self, occasion: Occasion) -> tuple[CutConnection, ...]:
        """A client opens a connection."""
        return self._struck(occasion, CutConnection)

    def on_request(self, occasion: Occasion) -> tuple[RequestFault, ...]:
        """A request or a handshake, before it is served."""
        return self._struck(occasion, RequestFault)

    def changes(self, occasion: Occasion) -> tuple[WorldFault, ...]:
        """A request or a handshake, before anything else is done with it."""
        return self._struck(occasion, WorldFault)

    def on_answer(self, occasion: Occasion, answer: Answer, backstage: Backstage) -> Answer:
        """The answer as the client gets it."""
        for entry in tuple(self._entries.values()):
            fault = entry.fault
            if not isinstance(fault, AnswerFault) or not _may_strike(entry, occasion):
                continue
            seen = replace(backstage, earlier=entry.earlier.get(occasion))
            if isinstance(fault, RepeatedAnswer):
                entry.earlier.setdefault(occasion, answer)
            bent = fault.bent(answer, seen)
            if bent is not None and self._is_hit(entry):
                answer = bent
        return answer

    def on_order(self, occasion: Occasion) -> tuple[OrderFault, ...]:
        """A new order on its way into the book."""
        return self._struck(occasion, OrderFault)

    def on_message(self, occasion: Occasion) -> tuple[MessageFault, ...]:
        """A client's message on an open WebSocket."""
        return self._struck(occasion, MessageFault)

    def on_frame(self, occasion: Occasion) -> tuple[FrameFault, ...]:
        """A frame on its way out."""
        return self._struck(occasion, FrameFault)

    def _struck(self, occasion: Occasion, kinds: type[F]) -> tuple[F, ...]:
        return tuple(
            entry.fault
            for entry in tuple(self._entries.values())
            if isinstance(entry.fault, kinds)
            and _may_strike(entry, occasion)
            and self._is_hit(entry)
        )

    def _is_hit(self, entry: Entry) -> bool:
        entry.seen += 1
        if entry.seen <= entry.fault.skip:
            return False
        if self._random.random() >= entry.fault.probability:
            return False
        entry.struck += 1
        return True


def _may_strike(entry: Entry, occasion: Occasion) -> bool:
    return not entry.is_spent and entry.fault.concerns(occasion)
