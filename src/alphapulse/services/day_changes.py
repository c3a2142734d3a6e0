"""Day changes: what published indices were 24 hours ago, so that every price can be compared.

A market's ticker tells its own past. The US dollar index that leads out of the markets does not:
an hour of its past is fetched at a time, where the exchange publishes it.
"""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from loguru import logger

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import Asset, ExchangeId
from alphapulse.domain.market import Timeframe
from alphapulse.domain.valuation import USD, LegKey, legs_of
from alphapulse.errors import AlphaPulseError
from alphapulse.exchanges.port import MinuteClose
from alphapulse.runtime.worker import Worker
from alphapulse.services.live_state import LiveState

DAY = timedelta(days=1)
REFRESH_S = 60.0
FIRST_S = 5.0
"""Until anything is known: the first prices come a moment after the start."""
TIMEOUT_S = 10.0
MINUTES_AT_ONCE = 65
NEAR = timedelta(minutes=3)
"""A price so near to the moment may pass for that of the moment."""
WITH_PAST = frozenset({Asset("BTC"), Asset("ETH")})
"""The past of their index is published; whatever else there is, is compared over their markets."""


class IndexReader(Protocol):
    """Fetches an index; lives on the exchange worker."""

    async def fetch_usd_index(
        self, exchange: ExchangeId, asset: Asset, since: datetime, limit: int
    ) -> tuple[MinuteClose, ...]: ...


class DayChanges:
    """Tells the price book what it does not know of yesterday; `run` is supervised."""

    def __init__(self, live: LiveState, reader: IndexReader, worker: Worker, clock: Clock) -> None:
        self._live = live
        self._reader = reader
        self._worker = worker
        self._clock = clock
        self._closes: dict[LegKey, dict[datetime, Decimal]] = {}
        """By when the minute ended."""
        self._unread: set[LegKey] = set()

    async def run(self) -> None:
        """Refresh for as long as the program runs."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_S if self._closes else FIRST_S)

    async def refresh(self) -> None:
        """Fetch what is missing; what cannot be fetched is unknown, and tried again."""
        then = self._clock.now() - DAY
        for key in self._indices():
            if max(self._closes.get(key, ()), default=then) <= then:
                await self._fetch(key, then)
        near = {key: _nearest(closes, then) for key, closes in self._closes.items()}
        self._live.book.know_past({key: close for key, close in near.items() if close is not None})

    def _indices(self) -> list[LegKey]:
        """Those that lead to US dollars and have a past."""
        legs = (leg for ticker in self._live.markets() for leg in legs_of(ticker))
        return sorted({leg.key for leg in legs if leg.is_index and _has_past(leg.key)})

    async def _fetch(self, key: LegKey, then: datetime) -> None:
        base, _, exchange, _ = key
        since = then.replace(second=0, microsecond=0) - NEAR
        log = logger.bind(exchange=exchange, asset=base)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                told = await self._worker.call(
                    lambda: self._reader.fetch_usd_index(exchange, base, since, MINUTES_AT_ONCE)
                )
        except (AlphaPulseError, TimeoutError) as error:
            if key not in self._unread:
                log.bind(error=str(error)).warning("changes of a day are not known in US dollars")
            self._unread.add(key)
            return
        if key in self._unread:
            log.info("changes of a day are known in US dollars again")
            self._unread.discard(key)
        minute = Timeframe.M1.duration
        self._closes[key] = {one.open_time + minute: one.close for one in told}


def _has_past(key: LegKey) -> bool:
    base, quote, _, _ = key
    return quote == USD and base in WITH_PAST


def _nearest(closes: dict[datetime, Decimal], then: datetime) -> Decimal | None:
    near = {at: close for at, close in closes.items() if abs(at - then) <= NEAR and close > 0}
    return near[min(near, key=lambda at: abs(at - then))] if near else None
