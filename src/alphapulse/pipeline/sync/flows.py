"""Cash Flows Sync: deposits, withdrawals, funding and all else that moves balances without a fill.

Each list of the venue is read to its end once, then again at an interval, and at once when a
balance moved that no fill explains.
"""

import asyncio
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from alphapulse.database.connection import Database
from alphapulse.domain.books import held
from alphapulse.domain.cash_flow import FlowCursor
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import LedgerChanged
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.ledger import Book, Sum, entry_of_flow
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.errors import ExchangeUnavailable
from alphapulse.exchanges.port import Exchange
from alphapulse.pipeline.sync.place import Place, progress_of
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.runtime.bus import EventBus

BUDGET_WAIT_S = 1.0
"""Looked at again this soon while others use up the rate budget."""
FILLS_FIRST_S = 10.0
"""The fill that moved a balance may come after the balance."""
IDLE_S = 3600.0
CATCH_UP_PAGES = 5
"""Of each list, before books are compared; more is history."""


@dataclass(slots=True)
class _Place(Place[FlowCursor]):
    """Where the reading of one list stands."""

    next_at_s: float = -math.inf
    """Not asked again before, monotonic: the venue limits this list by itself."""


class FlowSync:
    """Reads one page at a time; its entries and the cursor behind it are one transaction.

    Args:
        on_hint: told when there is something to be read at once.
    """

    def __init__(
        self,
        account_id: AccountId,
        exchange: Exchange,
        database: Database,
        bus: EventBus,
        clock: Clock,
        settings: SyncSettings,
        *,
        on_hint: Callable[[], None],
    ) -> None:
        self._account_id = account_id
        self._exchange = exchange
        self._database = database
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._on_hint = on_hint
        self._places: dict[str, _Place] = {}
        self._one_at_a_time = asyncio.Lock()
        self._moved: set[Asset] = set()
        self._look_at_s = math.inf

    async def load(self) -> None:
        """Go on where the last run stopped."""
        async with self._database.read() as tx:
            stored = {s.cursor.source: s for s in await tx.flow_cursors.list(self._account_id)}
        for cursor in self._exchange.first_flow_cursors(self._settings.history_start):
            known = stored.get(cursor.source)
            self._places[cursor.source] = (
                _Place(cursor, is_complete=False)
                if known is None
                else _Place(known.cursor, known.complete)
            )

    @property
    def progress(self) -> float | None:
        """Share 0..1 of the lists that is read; ``None`` when all of it is."""
        return progress_of(self._places.values(), self._clock.now())

    @property
    def has_hints(self) -> bool:
        return any(place.is_hinted for place in self._free)

    @property
    def is_due(self) -> bool:
        """Whether there is something to read and, where it can wait, budget to read it with."""
        return self.has_hints or (self._next() is not None and not self._is_budget_short)

    def hint_all(self) -> None:
        """There may be a new flow in any list."""
        for place in self._places.values():
            place.hints += 1

    def balances_moved(self, assets: Collection[Asset]) -> None:
        """A fill may explain it, or a flow; `look` tells, a little later."""
        if self._places and assets:
            self._moved |= set(assets)
            self._look_at_s = self._clock.monotonic_s() + FILLS_FIRST_S

    async def look(self) -> float:
        """Whether what moved is explained; seconds until the next look."""
        wait_s = self._look_at_s - self._clock.monotonic_s()
        if wait_s > 0:
            return min(wait_s, IDLE_S)
        moved, self._moved, self._look_at_s = self._moved, set(), math.inf
        if await self._is_unexplained(moved):
            self.hint_all()
            self._on_hint()
        return IDLE_S

    async def read(self) -> None:
        """Read one page of the most urgent list.

        Raises:
            ExchangeUnavailable: a page leads to itself.
        """
        async with self._one_at_a_time:
            if (place := self._next()) is not None:
                await self._read_page(place)

    async def catch_up(self) -> bool:
        """Read what is new in each list whose history is read; raises the same.

        False: the venue has more to tell, or wants to be asked later.
        """
        async with self._one_at_a_time:
            return all([await self._catch_up(place) for place in self._places.values()])

    async def _catch_up(self, place: _Place) -> bool:
        for _ in range(CATCH_UP_PAGES if place.is_complete else 0):
            if place not in self._free:
                return False
            if await self._read_page(place):
                return True
        return False

    def wait_s(self) -> float:
        """Seconds until there is something to read; 0 when there is now."""
        if self.has_hints:
            return 0.0
        if self._next() is not None:
            return BUDGET_WAIT_S if self._is_budget_short else 0.0
        now_s = self._clock.monotonic_s()
        next_s = min(map(self._next_at_s, self._places.values()), default=now_s + IDLE_S)
        return max(0.0, next_s - now_s)

    @property
    def _free(self) -> list[_Place]:
        now_s = self._clock.monotonic_s()
        return [place for place in self._places.values() if place.next_at_s <= now_s]

    def _next_at_s(self, place: _Place) -> float:
        """When its next page is due; one that has more to tell waits only for the venue."""
        is_eager = place.is_hinted or not place.is_complete
        due_s = -math.inf if is_eager else place.read_at_s + self._settings.flows_interval_s
        return max(due_s, place.next_at_s)

    def _next(self) -> _Place | None:
        places = self._free
        if hinted := next((p for p in places if p.is_hinted), None):
            return hinted
        if unread := next((p for p in places if not p.is_complete), None):
            return unread
        due_before_s = self._clock.monotonic_s() - self._settings.flows_interval_s
        oldest = min(places, key=lambda p: p.read_at_s, default=None)
        return oldest if oldest is not None and oldest.read_at_s <= due_before_s else None

    @property
    def _is_budget_short(self) -> bool:
        return float(self._exchange.budget_used) >= self._settings.history_budget_ratio

    async def _read_page(self, place: _Place) -> bool:
        """Whether it was the last page."""
        hints = place.hints
        page = await self._exchange.fetch_cash_flows(place.cursor)
        if not page.is_last and page.next_cursor == place.cursor:
            raise ExchangeUnavailable(
                "a page of the cash flows leads to itself", exchange=self._exchange.id
            )
        was_complete, is_complete = place.is_complete, place.is_complete or page.is_last
        newest = page.flows[-1].occurred_at if page.flows else None
        entries = [entry_of_flow(flow) for flow in page.flows]
        async with self._database.begin() as tx:
            new = await tx.ledger.record(entries, self._clock.now())
            await tx.flow_cursors.save(self._account_id, page.next_cursor, complete=is_complete)
        now_s = self._clock.monotonic_s()
        place.turned(page.next_cursor, page, newest, hints=hints, now_s=now_s)
        place.next_at_s = now_s + page.wait_s
        if (new and was_complete) or is_complete is not was_complete:
            self._bus.publish(LedgerChanged(self._account_id))
        return page.is_last

    async def _is_unexplained(self, assets: set[Asset]) -> bool:
        """Whether one of the assets is not what its book says."""
        async with self._database.read() as tx:
            known = await tx.reconciliations.books(self._account_id)
            stored = await tx.balances.list(self._account_id)
            sums = await tx.ledger.sums(self._account_id)
        books = {book.subject: book for book in known}
        shown = held((one.balance for one in stored), ())
        for asset in assets & books.keys():
            moved = sums.get((Book.VENUE, asset), Sum()).after_opening
            if EXACT.add(books[asset].anchor, moved) != shown.get(asset, ZERO):
                return True
        return bool(assets - books.keys()) and bool(books)
