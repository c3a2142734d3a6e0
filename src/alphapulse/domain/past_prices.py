"""Past prices: what an asset was worth in one minute of the past, by the closes of its markets.

The same paths as those of live prices, over markets that exist or existed and published indices.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from alphapulse.domain.identifiers import Asset, ExchangeId
from alphapulse.domain.rate_book import RateBook, end_of, minute_of
from alphapulse.domain.rates import Rate, RateQuality, RateWant
from alphapulse.domain.valuation import (
    LegKey,
    Price,
    Quality,
    Route,
    Step,
    product,
    shortest_routes,
)


class PastMarkets:
    """Every market and index whose past can be asked for, and the paths over them.

    Args:
        legs: a market or an index each.
    """

    def __init__(self, legs: Iterable[LegKey]) -> None:
        self._legs = frozenset(legs)
        self._neighbors: dict[Asset, set[Step]] = {}
        for leg in self._legs:
            base, quote, _, _ = leg
            self._neighbors.setdefault(quote, set()).add((leg, False))
            self._neighbors.setdefault(base, set()).add((leg, True))
        self._known: dict[tuple[Asset, frozenset[LegKey]], dict[Asset, Route]] = {}

    def route(self, asset: Asset, currency: Asset, without: frozenset[LegKey]) -> Route | None:
        """The best path that does not pass ``without``; ``None`` where there is none."""
        known = self._known.get((currency, without))
        if known is None:
            usable = set(self._legs - without)
            known = shortest_routes(currency, self._neighbors, usable, None)
            self._known[currency, without] = known
        return known.get(asset)


def close_along(route: Route, closes: Iterable[Decimal], want: RateWant) -> Rate:
    """The product of the closes along a path, all of the minute that is wanted."""
    value = product(route, closes)
    source = " > ".join(
        f"1/{_source(leg)}" if backwards else _source(leg) for leg, backwards in route
    )
    return Rate(want.asset, value, want.currency, end_of(want.minute), source, RateQuality.CLOSE)


def _source(leg: LegKey) -> str:
    base, quote, exchange, is_index = leg
    return f"{exchange}:{base} index 1m" if is_index else f"{exchange}:{base}/{quote} 1m"


_QUALITIES = {
    RateQuality.LIVE: Quality.LIVE,
    RateQuality.CLOSE: Quality.LIVE,
    RateQuality.MANUAL: Quality.MANUAL,
    RateQuality.NEAREST: Quality.DELAYED,
    RateQuality.ESTIMATED: Quality.ESTIMATED,
    RateQuality.STALE: Quality.STALE,
}


class PricesThen:
    """The rates of a moment as prices; remembers what is not known for sure."""

    def __init__(self, book: RateBook) -> None:
        self._book = book
        self.wanted: set[RateWant] = set()

    def price(
        self, asset: Asset, currency: Asset, *, now: datetime, near: ExchangeId | None = None
    ) -> Price | None:
        """One ``asset`` in ``currency`` at ``now``, that moment of the past; wherever it lay."""
        if asset == currency:
            return Price(Decimal(1), currency, now, "identity", Quality.LIVE)
        rate = self._book.rate(asset, now)
        if rate is None or not rate.quality.is_firm:
            lacking = self._book.lacking(asset, now)
            self.wanted.add(RateWant(currency, lacking, minute_of(now)))
        if rate is None:
            return None
        return Price(rate.value, currency, rate.as_of, rate.source, _QUALITIES[rate.quality])
