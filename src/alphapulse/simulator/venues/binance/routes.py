"""Routes: how the venue's requests are dispatched, and which part of a list one wants."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from alphapulse.simulator.core.account import Account, ApiKey
from alphapulse.simulator.venues.binance.codes import BinanceError, bad_combination
from alphapulse.simulator.venues.binance.params import Params

PAGE = 500
PAGE_MAX = 1_000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed."""

    key: ApiKey
    account: Account


Public = Callable[[Params], object]
Private = Callable[[Params, Caller], object]


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is wanted. Times are ms, both ends included."""

    from_id: int | None
    start_ms: int | None
    end_ms: int | None
    limit: int

    @classmethod
    def of(cls, params: Params) -> "Window":
        start_ms, end_ms = params.integer("startTime"), params.integer("endTime")
        if start_ms is not None and end_ms is not None and start_ms > end_ms:
            raise BinanceError(-1100, "Start time is greater than end time.")
        from_id = params.integer("fromId")
        if from_id is not None and start_ms is not None:
            raise bad_combination()
        return cls(from_id, start_ms, end_ms, params.limit(PAGE, PAGE_MAX))

    def pick(
        self, things: Iterable[_T], id_of: Callable[[_T], int], ms_of: Callable[[_T], int]
    ) -> list[_T]:
        """The first ones from an id or a start on; without either the last ones."""
        picked = [
            thing
            for thing in things
            if (self.from_id is None or id_of(thing) >= self.from_id)
            and (self.start_ms is None or ms_of(thing) >= self.start_ms)
            and (self.end_ms is None or ms_of(thing) <= self.end_ms)
        ]
        is_from_start = self.from_id is not None or self.start_ms is not None
        return picked[: self.limit] if is_from_start else picked[-self.limit :]
