"""Candle holes: closed candles that no stream brought are fetched over REST."""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.market import Candle, Timeframe
from alphapulse.exchanges.port import Exchange
from alphapulse.pipeline.processors.candles import missing
from alphapulse.pipeline.processors.validation import is_plausible
from alphapulse.pipeline.sync.chore import Chore
from alphapulse.pipeline.sync.context import SyncContext
from alphapulse.pipeline.sync.gate import Gate

CHECK_INTERVAL_S = 600.0

PAGE_CANDLES = 1000  # the most Binance and Bybit give at once


class CandleHoles:
    """Compares the stored 1m candles of the watched symbols with the grid, after each connect and
    every ten minutes, and fetches what is missing. Whatever lost a candle - a stream, a full
    mailbox, a stopped database - it is found here.
    """

    def __init__(
        self,
        exchange: Exchange,
        gate: Gate,
        context: SyncContext,
        *,
        symbols: Callable[[], Collection[Symbol]],
        closed_until: Callable[[Symbol], datetime | None],
        on_candle: Callable[[Candle], None],
    ) -> None:
        self.chore = Chore(
            f"{exchange.id} candle holes",
            self._fill,
            interval_s=CHECK_INTERVAL_S,
            backoff=context.read_backoff,
        )
        self._exchange = exchange
        self._gate = gate
        self._database = context.database
        self._clock = context.clock
        self._settle_s = context.settings.candle_settle_s
        self._refetch = timedelta(seconds=context.settings.candle_refetch_s)
        self._symbols = symbols
        self._closed_until = closed_until
        self._on_candle = on_candle
        self._venue_has_none: dict[Symbol, set[datetime]] = {}

    async def _fill(self) -> None:
        now = self._clock.now()
        await asyncio.sleep(self._settle_s)
        for symbol in sorted(self._symbols()):
            until = self._until(symbol, now)
            holes = await self._holes(symbol, until - self._refetch, until)
            while holes:
                rest = await self._fetch(symbol, holes)
                if len(rest) == len(holes):
                    break  # the venue gives no more of them now
                holes = rest

    def _until(self, symbol: Symbol, now: datetime) -> datetime:
        """Up to now; a market that is further behind than we look back, as a replay of the past
        is, up to its own newest candle."""
        newest = self._closed_until(symbol)
        if newest is None or now - newest < self._refetch:
            return now
        return newest + Timeframe.M1.duration

    async def _holes(self, symbol: Symbol, since: datetime, until: datetime) -> list[datetime]:
        most = (until - since) // Timeframe.M1.duration + 1
        async with self._database.read_market() as tx:
            stored = await tx.candles.range(
                self._exchange.id, symbol, Timeframe.M1, since, until, limit=most
            )
        present = {candle.open_time for candle in stored if candle.is_closed}
        # Kept only as long as it is asked about.
        absent = {t for t in self._venue_has_none.get(symbol, ()) if t >= since}
        self._venue_has_none[symbol] = absent
        return missing(present | absent, Timeframe.M1, since, until)

    async def _fetch(self, symbol: Symbol, holes: list[datetime]) -> list[datetime]:
        """Ask for a page from the oldest hole on; the holes that it left open."""
        async with self._gate.spare_request(lambda: self._exchange.budget_used):
            candles = await self._exchange.fetch_candles(
                symbol, Timeframe.M1, holes[0], PAGE_CANDLES
            )
        wanted = set(holes)
        for candle in candles:
            if candle.open_time in wanted and candle.is_closed and is_plausible(candle):
                self._on_candle(candle)
        if not candles:
            return holes
        # A market without a trade has no candle; it is asked for only once.
        end = max(candle.open_time for candle in candles)
        there = {candle.open_time for candle in candles}
        self._venue_has_none[symbol] |= {t for t in holes if t <= end and t not in there}
        return [t for t in holes if t > end]
