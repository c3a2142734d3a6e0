"""Places: where the reading of a venue's lists stands, page by page, each to its end and on."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from alphapulse.domain.cash_flow import FlowCursor
from alphapulse.exchanges.port import FillCursor, FillPage, FlowPage

Cursor = TypeVar("Cursor", FillCursor, FlowCursor)


@dataclass(slots=True)
class Place(Generic[Cursor]):
    """One list that is read by a cursor."""

    cursor: Cursor
    is_complete: bool
    """The end was reached once; what comes now is new."""
    read_at_s: float = -math.inf
    """When its end was last reached, monotonic."""
    read_from: datetime | None = None
    """Where this run's first page ended; the progress counts from there."""
    read_until: datetime | None = None
    hints: int = 0
    """How often something said that there is something new."""
    hints_followed: int = 0
    is_dropped: bool = False
    """The venue knows it no more; what was read stays."""

    @property
    def is_hinted(self) -> bool:
        """What is new is urgent; a history that is not read yet will come to it anyway."""
        return self.is_complete and self.hints > self.hints_followed and not self.is_dropped

    @property
    def is_over(self) -> bool:
        """Whether all of its history is read."""
        return self.is_complete or self.is_dropped

    def turned(
        self,
        cursor: Cursor,
        page: FillPage | FlowPage,
        newest: datetime | None,
        *,
        hints: int,
        now_s: float,
    ) -> None:
        """A page was stored.

        Args:
            cursor: where the next one starts.
            page: what was stored.
            newest: when the last thing in it happened.
            hints: how many there were before it was asked for: later ones are not followed by it.
            now_s: monotonic.
        """
        self.cursor, self.is_complete = cursor, self.is_complete or page.is_last
        self.read_until = page.read_until or newest or self.read_until
        self.read_from = self.read_from or self.read_until
        if page.is_last:
            self.read_at_s, self.hints_followed = now_s, hints

    def progress(self, now: datetime) -> float:
        """Share 0..1 of it that is read."""
        if self.is_over:
            return 1.0
        if self.read_until is None or self.read_from is None:
            return 0.0
        whole = now - self.read_from
        return min(1.0, (self.read_until - self.read_from) / whole) if whole else 1.0


def progress_of(places: Collection[Place[Cursor]], now: datetime) -> float | None:
    """Share 0..1 of all of them; ``None`` when everything is read."""
    if all(place.is_over for place in places):
        return None
    return sum(place.progress(now) for place in places) / len(places)
