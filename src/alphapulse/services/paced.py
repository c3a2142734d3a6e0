"""Paced: something dear to make, made again only when it would differ, and not too often."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from alphapulse.domain.clock import Clock

REMAKE_S = 0.05
"""Prices that move within this time show together; whatever else changed shows at once."""

AGE_S_MAX = 1.0
"""How long it serves although nothing changed: the ages in it are at most this wrong."""

KEYS_MAX = 100
"""A household has a handful of viewers."""

T = TypeVar("T")


class Revised(Protocol):
    """Something that counts its changes, as `LiveState` does."""

    @property
    def revision(self) -> int: ...

    @property
    def facts_revision(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Made(Generic[T]):
    value: T
    revision: int
    facts_revision: int
    at_s: float


class Paced(Generic[T]):
    """Values made of the live state, one per key; the same object until something changed."""

    def __init__(self, live: Revised, clock: Clock) -> None:
        self._live = live
        self._clock = clock
        self._kept: dict[Hashable, _Made[T]] = {}

    def get(self, key: Hashable, make: Callable[[], T], *, is_newest: bool = False) -> T:
        """The value for ``key``, made now only when it has to be.

        Args:
            is_newest: for a caller that keeps its own pace and must not miss the last change.
        """
        now_s = self._clock.monotonic_s()
        live, kept = self._live, self._kept.get(key)
        if kept is not None and kept.facts_revision == live.facts_revision:
            age_s = now_s - kept.at_s
            is_unmoved = kept.revision == live.revision and age_s < AGE_S_MAX
            if is_unmoved or (age_s < REMAKE_S and not is_newest):
                return kept.value
        if len(self._kept) >= KEYS_MAX:
            self._kept.clear()
        made = _Made(make(), live.revision, live.facts_revision, now_s)
        self._kept[key] = made
        return made.value
