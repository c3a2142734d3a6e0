"""Fills Sync: the whole history of an account's fills, found, resumed, and kept up to date."""

from collections.abc import Callable, Collection, Iterable

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.database.repositories.orders import OrderChange
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import FillReceived, LedgerChanged
from alphapulse.domain.identifiers import AccountId, Symbol
from alphapulse.domain.order import Fill
from alphapulse.errors import ExchangeUnavailable, InstrumentUnavailable
from alphapulse.exchanges.port import Exchange, FillCursor
from alphapulse.pipeline.execution.context import announce
from alphapulse.pipeline.sync.place import Place, progress_of
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.runtime.bus import EventBus

# Looked at again this soon while others use up the rate budget.
BUDGET_WAIT_S = 1.0


class FillSync:
    """Reads one page at a time, the most urgent first: where a fill is expected, then history
    not yet read, then a sweep over everything for fills that nothing hinted at.

    A page's rows and the cursor behind it are stored in one transaction, so a reading that was
    killed goes on where it was. Fills are known by (account, symbol, trade id): stream and REST
    may repeat each other in any order.
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
        on_found: Callable[[tuple[Fill, ...]], None],
    ) -> None:
        self._account_id = account_id
        self._exchange = exchange
        self._database = database
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._on_found = on_found
        self._began_at = clock.now()
        self._places: dict[Symbol | None, Place[FillCursor]] = {}
        self._traded: set[Symbol] = set()

    @property
    def has_hints(self) -> bool:
        return any(place.is_hinted for place in self._places.values())

    @property
    def traded(self) -> frozenset[Symbol]:
        """Symbols in which there ever was a fill, or an order of ours."""
        return frozenset(self._traded)

    @property
    def progress(self) -> float | None:
        """Share 0..1 of the history that is read; ``None`` when all of it is."""
        return progress_of(self._places.values(), self._clock.now())

    async def load(self) -> None:
        """Go on where the last run stopped."""
        async with self._database.read() as tx:
            stored = await tx.fill_cursors.list(self._account_id)
            self._traded = set(await tx.fills.symbols(self._account_id))
        self._places = {s.cursor.symbol: Place(s.cursor, s.complete) for s in stored}

    def cover(self, symbols: Iterable[Symbol]) -> None:
        """Read the history of these too; those known already go on where they are."""
        if self._exchange.capabilities.fills_without_symbol:
            wanted: tuple[Symbol, ...] = ()
            is_new = None not in self._places
        else:
            wanted = tuple(s for s in symbols if s not in self._places)
            is_new = bool(wanted)
        if is_new:
            for cursor in self._exchange.first_fill_cursors(wanted, self._settings.history_start):
                self._places[cursor.symbol] = Place(cursor, is_complete=False)

    def expect(self, symbols: Collection[Symbol]) -> None:
        """There are orders of ours here: fills may come, and may be kept back by the stream."""
        self._traded.update(symbols)
        self.cover(symbols)
        self.hint(symbols)

    def hint(self, symbols: Iterable[Symbol]) -> None:
        """There may be new fills here."""
        for symbol in symbols:
            if place := self._places.get(symbol) or self._places.get(None):
                place.hints += 1

    def hint_all(self) -> None:
        """There may be new fills wherever there ever was one: a stream was down."""
        for symbol, place in self._places.items():
            place.hints += symbol is None or symbol in self._traded

    @property
    def is_due(self) -> bool:
        """Whether there is something to read and, where it can wait, budget to read it with."""
        return self.has_hints or (self._next() is not None and not self._is_budget_short)

    async def read(self) -> None:
        """Read one page of the most urgent place.

        Raises:
            ExchangeUnavailable: a page leads to itself.
        """
        if (place := self._next()) is None:
            return
        try:
            await self._read_page(place)
        except InstrumentUnavailable as error:
            logger.bind(symbol=place.cursor.symbol, error=str(error)).warning(
                "the exchange knows a symbol no more; the fills read so far stay"
            )
            place.is_dropped = True

    def wait_s(self) -> float:
        """Seconds until there is something to read; 0 when there is now."""
        if self.has_hints:
            return 0.0
        if self._next() is not None:
            return BUDGET_WAIT_S if self._is_budget_short else 0.0
        now_s = self._clock.monotonic_s()
        oldest_s = min((place.read_at_s for place in self._readable), default=now_s)
        return max(0.0, oldest_s + self._sweep_interval_s - now_s)

    async def take(self, fills: tuple[Fill, ...]) -> int:
        """Store what the stream, or a look for an order, said; how many were new."""
        async with self._database.begin() as tx:
            recorded = await tx.fills.record(fills, self._clock.now())
            changed = await tx.orders.count_in(recorded, self._clock.now())
        self._announce(recorded.new, changed)
        return len(recorded.new)

    def _next(self) -> Place[FillCursor] | None:
        places = self._readable
        if hinted := next((p for p in places if p.is_hinted), None):
            return hinted
        if unread := next((p for p in places if not p.is_complete), None):
            return unread
        due_before_s = self._clock.monotonic_s() - self._sweep_interval_s
        oldest = min(places, key=lambda p: p.read_at_s, default=None)
        return oldest if oldest is not None and oldest.read_at_s <= due_before_s else None

    @property
    def _readable(self) -> list[Place[FillCursor]]:
        return [place for place in self._places.values() if not place.is_dropped]

    @property
    def _sweep_interval_s(self) -> float:
        if self._exchange.capabilities.fills_without_symbol:
            return self._settings.fills_interval_s
        return self._settings.fills_sweep_interval_s

    @property
    def _is_budget_short(self) -> bool:
        return float(self._exchange.budget_used) >= self._settings.history_budget_ratio

    async def _read_page(self, place: Place[FillCursor]) -> None:
        hints = place.hints
        page = await self._exchange.fetch_fills(place.cursor)
        if not page.is_last and page.next_cursor == place.cursor:
            raise ExchangeUnavailable(
                "a page of the fill history leads to itself", exchange=self._exchange.id
            )
        was_complete, is_complete = place.is_complete, place.is_complete or page.is_last
        newest = page.fills[-1].occurred_at if page.fills else None
        async with self._database.begin() as tx:
            recorded = await tx.fills.record(page.fills, self._clock.now())
            changed = await tx.orders.count_in(recorded, self._clock.now())
            await tx.fill_cursors.save(self._account_id, page.next_cursor, complete=is_complete)
        now_s = self._clock.monotonic_s()
        place.turned(page.next_cursor, page, newest, hints=hints, now_s=now_s)
        new = recorded.new
        self._traded.update(fill.symbol for fill in new)
        # A history of years is told by its progress, not fill by fill.
        news = tuple(f for f in new if was_complete or f.occurred_at >= self._began_at)
        self._announce(news, changed)
        if is_complete is not was_complete:
            self._bus.publish(LedgerChanged(self._account_id))
        self._on_found(news)

    def _announce(self, fills: tuple[Fill, ...], changed: tuple[OrderChange, ...]) -> None:
        self._traded.update(fill.symbol for fill in fills)
        if fills:
            self._bus.publish(LedgerChanged(self._account_id))
        for fill in fills:
            self._bus.publish(FillReceived(fill))
        announce(self._bus, changed)
