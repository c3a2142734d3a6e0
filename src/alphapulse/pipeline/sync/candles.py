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

# What the stream brought has been written, and what just closed has been sent, this long after.
SETTLE_S = 5.0

BUDGET_WAIT_S = 1.0  # candles can wait while others use up the rate budget

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
        self._budget_ratio = context.settings.history_budget_ratio
        self._refetch = timedelta(seconds=context.settings.candle_refetch_s)
        self._symbols = symbols
        self._on_candle = on_candle
        self._venue_has_none: dict[Symbol, set[datetime]] = {}

    async def _fill(self) -> None:
        now = self._clock.now()
        await asyncio.sleep(SETTLE_S)
        for symbol in sorted(self._symbols()):
            if holes := await self._holes(symbol, now - self._refetch, now):
                await self._fetch(symbol, holes)

    async def _holes(self, symbol: Symbol, since: datetime, until: datetime) -> list[datetime]:
        async with self._database.read_market() as tx:
            stored = await tx.candles.range(
                self._exchange.id, symbol, Timeframe.M1, since, until, limit=PAGE_CANDLES
            )
        present = {candle.open_time for candle in stored if candle.is_closed}
        # Kept only as long as it is asked about.
        absent = {t for t in self._venue_has_none.get(symbol, ()) if t >= since}
        self._venue_has_none[symbol] = absent
        return missing(present | absent, Timeframe.M1, since, until)

    async def _fetch(self, symbol: Symbol, holes: list[datetime]) -> None:
        while float(self._exchange.budget_used) >= self._budget_ratio:  # noqa: ASYNC110
            await asyncio.sleep(BUDGET_WAIT_S)
        async with self._gate.request():
            candles = await self._exchange.fetch_candles(
                symbol, Timeframe.M1, holes[0], PAGE_CANDLES
            )
        wanted = set(holes)
        for candle in candles:
            if candle.open_time in wanted and candle.is_closed and is_plausible(candle):
                self._on_candle(candle)
        # A market without a trade has no candle; it is asked for only once.
        if candles:
            end = max(candle.open_time for candle in candles)
            there = {candle.open_time for candle in candles}
            self._venue_has_none[symbol] |= {t for t in holes if t <= end and t not in there}
