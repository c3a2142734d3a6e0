"""Business Logic, rebalancing: the past that a rule looks back on, read through the exchanges."""

import asyncio
from datetime import datetime
from typing import Protocol, TypeVar

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.instrument import Instrument
from alphapulse.domain.market import Candle, Timeframe
from alphapulse.domain.rebalance.lookback import (
    Closes,
    Lack,
    Lookback,
    MarketKey,
    Past,
    Pricing,
    key_of,
    past_of,
)
from alphapulse.errors import AlphaPulseError, InputFault, InputsNotGood
from alphapulse.runtime.worker import Worker
from alphapulse.services.rebalancing.settings import RebalanceSettings

T = TypeVar("T")

KEPT_MAX = 500
"""Pasts that are kept; all are forgotten beyond that, and fetched again."""

_FAILURE_KEPT_S = 10.0
"""An exchange that did not answer is not asked again at once: a page with many target sets would
wait for each."""

_Key = tuple[MarketKey, Lookback]


class CandleReader(Protocol):
    """Fetches candles; lives on the exchange worker."""

    async def fetch_candles(
        self,
        exchange: ExchangeId,
        symbol: Symbol,
        timeframe: Timeframe,
        since: datetime,
        limit: int,
    ) -> tuple[Candle, ...]: ...


class PastReader:
    """One page of candles for each market, and that once for each bar that closes."""

    def __init__(
        self, reader: CandleReader, worker: Worker, clock: Clock, settings: RebalanceSettings
    ) -> None:
        self._reader = reader
        self._worker = worker
        self._clock = clock
        self._timeout_s = settings.read_timeout_s
        self._kept: dict[_Key, tuple[datetime, Closes]] = {}
        self._failed: dict[_Key, tuple[float, str]] = {}

    async def read(self, pricing: Pricing, lookback: Lookback) -> Past:
        """The closes of all assets.

        Raises:
            InputsNotGood: an exchange did not answer, or bars are missing; every asset is named.
        """
        now = self._clock.now()
        markets = list(pricing.wanted.items())
        read = await asyncio.gather(*(self._closes(one, lookback, now) for _, one in markets))
        unread = [
            InputFault(
                "past_unread", asset, f"{asset}: the past of {_name(one)} was not read: {said}"
            )
            for (asset, one), said in zip(markets, read, strict=True)
            if isinstance(said, str)
        ]
        if unread:
            raise _refusal(unread)
        found = {
            key_of(one): said
            for (_, one), said in zip(markets, read, strict=True)
            if not isinstance(said, str)
        }
        past = past_of(pricing, lookback, found, now)
        if isinstance(past, Past):
            return past
        raise _refusal([_fault(one, lookback) for one in past])

    async def _closes(self, market: Instrument, lookback: Lookback, now: datetime) -> Closes | str:
        """Of the bars that have closed; or why they are not known."""
        first, key = lookback.first(now), (key_of(market), lookback)
        kept, failed = self._kept.get(key), self._failed.get(key)
        if kept is not None and kept[0] == first:
            return kept[1]
        if failed is not None and self._clock.monotonic_s() - failed[0] < _FAILURE_KEPT_S:
            return failed[1]
        said = await self._fetched(market, lookback, first)
        if isinstance(said, str):
            self._keep(self._failed, key, (self._clock.monotonic_s(), said))
        elif len(said) > lookback.bars + 1:
            # All that there can be for now: the next bar makes another page.
            self._keep(self._kept, key, (first, said))
        return said

    async def _fetched(
        self, market: Instrument, lookback: Lookback, first: datetime
    ) -> Closes | str:
        try:
            async with asyncio.timeout(self._timeout_s):
                candles = await self._worker.call(
                    lambda: self._reader.fetch_candles(
                        *key_of(market), lookback.timeframe, first, lookback.page
                    )
                )
        except TimeoutError:
            return f"no answer within {self._timeout_s:g} s"
        except AlphaPulseError as error:
            return error.message
        return {one.open_time: one.close for one in candles if one.is_closed and one.close > 0}

    @staticmethod
    def _keep(among: dict[_Key, T], key: _Key, what: T) -> None:
        if len(among) >= KEPT_MAX:
            among.clear()
        among[key] = what


def _fault(lack: Lack, lookback: Lookback) -> InputFault:
    detail = (
        f"{lack.asset}: {lack.there} of {lack.needed} closed bars of {lookback.timeframe} are there"
        f" since {lack.since:%Y-%m-%d %H:%M} UTC at {lack.source}; look back less far"
    )
    return InputFault("past_too_short", lack.asset, detail)


def _refusal(faults: list[InputFault]) -> InputsNotGood:
    first = "; ".join(fault.detail for fault in faults[:3])
    return InputsNotGood(f"no weights are made of a past that is not known: {first}", faults)


def _name(market: Instrument) -> str:
    return f"{market.exchange}:{market.symbol}"
