"""Past rates: the prices of the past that somebody's books lack are fetched and stored.

Who counts lots in US dollars must know what one USDT was worth in the minute in which something was
bought with it. The close of that minute is fetched where the markets' past is told, page by page,
and kept: it is asked for once in a lifetime.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from loguru import logger

from alphapulse.domain.events import RatesLearned
from alphapulse.domain.identifiers import Asset, ExchangeId, Symbol
from alphapulse.domain.instrument import InstrumentType
from alphapulse.domain.market import Timeframe
from alphapulse.domain.past_prices import PastMarkets, close_along
from alphapulse.domain.rate_book import BRIDGES
from alphapulse.domain.rates import Rate, RateWant
from alphapulse.domain.valuation import USD, LegKey
from alphapulse.errors import AlphaPulseError
from alphapulse.pipeline.sync.chore import Chore
from alphapulse.pipeline.sync.context import SyncContext
from alphapulse.pipeline.sync.fallback import Reaction, classify
from alphapulse.pipeline.sync.gate import CircuitState
from alphapulse.pipeline.sync.venue import VenueSync

WANTS_AT_ONCE = 1000
"""What was found of them is stored before the next ones are looked at."""
PAGE_MINUTES = 1000
"""The most Binance and Bybit tell at once."""
ROUTES_TRIED = 4
"""Where a market was not there yet in that minute, another path may have been."""
ABSENT_FOR = timedelta(days=7)
"""What no market tells may be told by one that is listed, or by an exchange that is added."""

_NOT_THERE = frozenset({Reaction.DROP_SYMBOL, Reaction.GIVE_UP})


class PastRates:
    """Fetches what is wanted, the newest first, with what others leave of the rate budget."""

    def __init__(self, venues: Mapping[ExchangeId, VenueSync], context: SyncContext) -> None:
        self.chore = Chore(
            "past rates",
            self._fetch,
            interval_s=context.settings.past_rates_interval_s,
            backoff=context.read_backoff,
        )
        self._interval = timedelta(seconds=context.settings.past_rates_interval_s)
        self._venues = venues
        self._database = context.database
        self._bus = context.bus
        self._clock = context.clock

    async def _fetch(self) -> None:
        while wants := await self._due():
            search = _Search(self._venues, wants)
            for want in wants:
                await search.find(want)
            now = self._clock.now()
            async with self._database.begin() as tx:
                await tx.rates.answer(search.found, now)
                await tx.rates.put_off(search.absent, now + ABSENT_FOR)
                await tx.rates.put_off(search.left_open, now + self._interval)
            if search.found:
                self._bus.publish(RatesLearned())

    async def _due(self) -> Sequence[RateWant]:
        async with self._database.read() as tx:
            return await tx.rates.wanted(self._clock.now(), WANTS_AT_ONCE)


class _Search:
    """One lot of wants. Each page is asked for once, whoever needs it."""

    def __init__(self, venues: Mapping[ExchangeId, VenueSync], wants: Collection[RateWant]) -> None:
        self._venues = venues
        self._minutes = sorted({want.minute for want in wants})
        self._markets = PastMarkets(_legs(venues, wants))
        self._closes: dict[tuple[LegKey, datetime], Decimal | None] = {}
        self._away = {exchange for exchange, venue in venues.items() if not _is_there(venue)}
        self.found: dict[RateWant, Rate] = {}
        self.absent: list[RateWant] = []
        """No market tells them."""
        self.left_open: list[RateWant] = []
        """An exchange that does not answer might have told them."""

    async def find(self, want: RateWant) -> None:
        """Along the first path of which every close is told."""
        without: frozenset[LegKey] = frozenset()
        for _ in range(ROUTES_TRIED):
            route = self._markets.route(want.asset, want.currency, without)
            if route is None:
                break
            closes: list[Decimal] = []
            for leg, _ in route:
                close = await self._close(leg, want.minute)
                if close is None:
                    without |= {leg}
                    break
                closes.append(close)
            else:
                self.found[want] = close_along(route, closes, want)
                return
        (self.left_open if self._away else self.absent).append(want)

    async def _close(self, leg: LegKey, minute: datetime) -> Decimal | None:
        if leg[2] not in self._away and (leg, minute) not in self._closes:
            await self._read(leg, minute)
        return self._closes.get((leg, minute))

    async def _read(self, leg: LegKey, minute: datetime) -> None:
        """A page that ends with that minute, and begins with the oldest wanted one that fits."""
        last = bisect_left(self._minutes, minute)
        first = bisect_left(self._minutes, minute - (PAGE_MINUTES - 1) * Timeframe.M1.duration)
        wanted = self._minutes[first : last + 1]
        venue = self._venues[leg[2]]
        try:
            async with venue.gate.spare_request(lambda: venue.exchange.budget_used):
                told = await _page(venue, leg, wanted[0], minute)
        except AlphaPulseError as error:
            if classify(error).reaction not in _NOT_THERE:
                logger.bind(error=str(error)).warning("an exchange does not tell past prices")
                self._away.add(venue.id)
                return
            told = {}
        for one in wanted:
            self._closes[leg, one] = told.get(one)


def _is_there(venue: VenueSync) -> bool:
    return venue.gate.state is CircuitState.CLOSED and bool(venue.instruments)


async def _page(
    venue: VenueSync, leg: LegKey, since: datetime, until: datetime
) -> dict[datetime, Decimal]:
    """Closes of closed minutes by when they opened."""
    base, quote, _, is_index = leg
    limit = (until - since) // Timeframe.M1.duration + 1
    if is_index:
        return dict(await venue.exchange.fetch_usd_index(base, since, limit))
    symbol = Symbol(f"{base}/{quote}")
    candles = await venue.exchange.fetch_candles(symbol, Timeframe.M1, since, limit)
    return {one.open_time: one.close for one in candles if one.is_closed and one.close > 0}


def _legs(venues: Mapping[ExchangeId, VenueSync], wants: Collection[RateWant]) -> Iterator[LegKey]:
    """Markets between what is wanted, what it is wanted in, and the coins between; indices."""
    assets = {*BRIDGES, *(want.asset for want in wants), *(want.currency for want in wants)}
    for exchange, venue in venues.items():
        for one in venue.instruments:
            if one.type is InstrumentType.SPOT and {one.base, one.quote} <= assets:
                yield (one.base, one.quote, exchange, False)
        for asset in sorted(venue.exchange.capabilities.usd_index):
            yield (Asset(asset), USD, exchange, True)
