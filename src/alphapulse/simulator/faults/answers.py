"""Faults of answers: the request is executed, and the truth is bent on its way back.

Each looks at the answer first. Where it finds nothing to bend it lets the occasion pass, and the
count with it.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeGuard

import msgspec
from pydantic import Field

from alphapulse.simulator.faults.fault import BaseFault
from alphapulse.simulator.venues.face import Answer

Json = object
Rows = list[dict[str, Json]]

# When an order or an execution came to be, by the names of the venues. Milliseconds.
BORN = ("time", "createTime", "createdTime", "execTime")

NO_SUCH_ORDER = (-2013, "Order does not exist.")
"""What Binance says; Bybit answers with an empty list."""


@dataclass(frozen=True, slots=True)
class Backstage:
    """What an answer does not tell: the market's time, the venue's words, and the past.

    ``earlier`` is the first answer that this fault saw on the same occasion.
    """

    now_ms: int
    refuse: Callable[[int, str], Answer]
    earlier: Answer | None = None


class AnswerFault(BaseFault):
    """Base of what bends an answer."""

    @abstractmethod
    def bent(self, answer: Answer, backstage: Backstage) -> Answer | None:
        """The answer as the client gets it; ``None``: nothing to bend here."""


class Mislabeled(AnswerFault):
    """The right body under a wrong content type."""

    kind: Literal["mislabeled"] = "mislabeled"
    content_type: str = "text/html"

    def bent(self, answer: Answer, backstage: Backstage) -> Answer | None:
        return replace(answer, content_type=self.content_type)


class RepeatedAnswer(AnswerFault):
    """The first answer to this path, account and symbol is given again: a stale snapshot of a
    book, or pages that never end."""

    kind: Literal["repeated_answer"] = "repeated_answer"

    def bent(self, answer: Answer, backstage: Backstage) -> Answer | None:
        return backstage.earlier


class StaleRead(AnswerFault):
    """What came to be less than ``for_ms`` ago is not there yet: missing from lists, and an order
    that is asked for by its id does not exist."""

    kind: Literal["stale_read"] = "stale_read"
    for_ms: int = Field(default=2_000, gt=0, le=3_600_000)

    def bent(self, answer: Answer, backstage: Backstage) -> Answer | None:
        since_ms = backstage.now_ms - self.for_ms
        body = _decoded(answer)
        if isinstance(body, dict) and "orderId" in body:
            is_young = _born_ms(body) >= since_ms
            return backstage.refuse(*NO_SUCH_ORDER) if is_young else None
        rows = _rows(body)
        old = [row for row in rows if _born_ms(row) < since_ms]
        if len(old) == len(rows):
            return None
        rows[:] = old
        return _encoded(answer, body)


class RepeatedRows(AnswerFault):
    """The last row of a page comes twice."""

    kind: Literal["repeated_rows"] = "repeated_rows"

    def bent(self, answer: Answer, backstage: Backstage) -> Answer | None:
        body = _decoded(answer)
        rows = _rows(body)
        if not rows:
            return None
        rows.append(rows[-1])
        return _encoded(answer, body)


class ShuffledRows(AnswerFault):
    """A page is in no order of time: every second row first, then the others."""

    kind: Literal["shuffled_rows"] = "shuffled_rows"

    def bent(self, answer: Answer, backstage: Backstage) -> Answer | None:
        body = _decoded(answer)
        rows = _rows(body)
        if len(rows) < 2:
            return None
        rows[:] = rows[1::2] + rows[::2]
        return _encoded(answer, body)


class ExtraFields(AnswerFault):
    """Every object has a field and an object more than is documented."""

    kind: Literal["extra_fields"] = "extra_fields"

    def bent(self, answer: Answer, backstage: Backstage) -> Answer | None:
        body = _decoded(answer)
        objects = _objects(body)
        for one in objects:
            one["introducedYesterday"] = "1"
            one["introducedToday"] = {"of": ["no", "interest"]}
        return _encoded(answer, body) if objects else None


class MissingFields(AnswerFault):
    """The named fields are missing, wherever they would be."""

    kind: Literal["missing_fields"] = "missing_fields"
    fields: tuple[str, ...] = Field(min_length=1)

    def bent(self, answer: Answer, backstage: Backstage) -> Answer | None:
        body = _decoded(answer)
        found = [(one, name) for one in _objects(body) for name in self.fields if name in one]
        for one, name in found:
            del one[name]
        return _encoded(answer, body) if found else None


class OddValues(AnswerFault):
    """The named fields hold ``value``: a huge number, dust, a word. A number stays a number."""

    kind: Literal["odd_values"] = "odd_values"
    fields: tuple[str, ...] = Field(min_length=1)
    value: str

    def bent(self, answer: Answer, backstage: Backstage) -> Answer | None:
        body = _decoded(answer)
        found = [(one, name) for one in _objects(body) for name in self.fields if name in one]
        for one, name in found:
            is_text = isinstance(one[name], str)
            one[name] = self.value if is_text else msgspec.Raw(self.value.encode())
        return _encoded(answer, body) if found else None


AnyAnswerFault = (
    Mislabeled
    | RepeatedAnswer
    | StaleRead
    | RepeatedRows
    | ShuffledRows
    | ExtraFields
    | MissingFields
    | OddValues
)


def _decoded(answer: Answer) -> Json:
    """The body, or nothing where it is no JSON."""
    try:
        return msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return None


def _encoded(answer: Answer, body: Json) -> Answer:
    return replace(answer, body=msgspec.json.encode(body))


def _rows(body: Json) -> Rows:
    """The longest list of objects that an answer is, or holds at its top; it may be changed."""
    found = [one for one in _values(body) if _is_rows(one)]
    return max(found, key=len, default=[])


def _values(body: Json) -> list[Json]:
    """The body, its values, and those of Bybit's ``result``."""
    if not isinstance(body, dict):
        return [body]
    result = body.get("result")
    return [*body.values(), *(result.values() if isinstance(result, dict) else ())]


def _is_rows(value: Json) -> TypeGuard[Rows]:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _objects(body: Json) -> list[dict[str, Json]]:
    """Every object in a body, at any depth."""
    inner = body.values() if isinstance(body, dict) else body if isinstance(body, list) else ()
    below = [one for value in inner for one in _objects(value)]
    return [body, *below] if isinstance(body, dict) else below


def _born_ms(row: dict[str, Json]) -> int:
    """0 where a row does not say."""
    said = next((row[name] for name in BORN if name in row), 0)
    return int(said) if isinstance(said, int | str) else 0
