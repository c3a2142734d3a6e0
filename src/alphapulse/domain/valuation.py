"""Valuation: what one asset is worth in another, by which markets, and how old that knowledge is.

Every known market is an edge of a graph. A price is the product of the edges along the best path,
and it says which path that was. Nothing is assumed: a stablecoin is worth what its markets say.

Rounding: a path that multiplies only is exact. A path that passes a market backwards divides, and
its result is kept to 12 significant digits, half even, once, at the end.

What a person says an asset is worth is one more edge. A market that is live or delayed always goes
before it: nobody knows better than a trade of this minute. Where the markets of the asset fell
silent, the later word counts: a token that was delisted in spring is worth what a person says of it
today, and a feed that broke a minute ago does not bring back what was said last year. Where no path
of markets leads to the currency at all, a person's word is all there is, however old.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from alphapulse.domain.identifiers import Asset, ExchangeId, Symbol
from alphapulse.domain.market import Ticker
from alphapulse.domain.money import EXACT

USD = Asset("USD")

MANUAL = ExchangeId("manual")
"""Stands for the exchange, and as the source, of what a person said."""

# What a quotient is kept to: prices of venues carry at most 12 significant digits, so more would be
# invented, and would only make values longer than an ordinary decimal context can add up.
CONVERTED = Context(prec=12, rounding=ROUND_HALF_EVEN)

# Listed coin -> its market -> a major coin -> a fiat currency. A longer path says nothing.
HOPS_MAX = 4

# Where several paths are equally fresh and short, the deepest markets decide, and no coin toss.
_BRIDGES = {asset: rank for rank, asset in enumerate(("BTC", "ETH", "USDT", "USDC", "USD", "EUR"))}


class Quality(StrEnum):
    """How far a price can be trusted, best first."""

    LIVE = "live"
    ESTIMATED = "estimated"
    """Derived from bid and ask, because nothing was traded yet."""
    DELAYED = "delayed"
    MANUAL = "manual"
    """A person said so, as of some time."""
    STALE = "stale"
    """Too old, or its exchange does not answer; shown, marked."""

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {quality: rank for rank, quality in enumerate(Quality)}
_OVERTAKEN = len(_RANKS)
"""What a person said before a market of the asset spoke last; after everything else."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """Ages at which a price stops being live, and stops being merely delayed."""

    live: timedelta = timedelta(seconds=15)
    delayed: timedelta = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Price:
    """One unit of an asset in ``currency``. ``as_of`` is the oldest leg's; ``source`` the path."""

    value: Decimal
    currency: Asset
    as_of: datetime
    source: str
    quality: Quality

    def age_ms(self, now: datetime) -> int:
        """Never negative: an exchange clock ahead of ours makes nothing younger than now."""
        return max(0, int((now - self.as_of).total_seconds() * 1000))


class DayChange(NamedTuple):
    """One unit of an asset now and 24 hours ago, along one path."""

    now: Decimal
    then: Decimal

    @property
    def percent(self) -> Decimal:
        """5 is five percent."""
        gained = EXACT.multiply(EXACT.subtract(self.now, self.then), Decimal(100))
        return CONVERTED.divide(gained, self.then)

    def gain_of(self, value: Decimal) -> Decimal:
        """How much of ``value`` was gained in that time."""
        gained = EXACT.multiply(EXACT.subtract(self.now, self.then), value)
        return CONVERTED.divide(gained, self.now)


class Leg(msgspec.Struct, frozen=True, gc=False):
    """One market, or one published index, read as ``base`` in ``quote``."""

    base: Asset
    quote: Asset
    price: Decimal
    as_of: datetime
    exchange: ExchangeId
    source: str
    is_index: bool = False
    is_estimate: bool = False
    day_ago: Decimal | None = None
    """The price of 24 hours ago, where the market tells it."""

    @property
    def key(self) -> "LegKey":
        return (self.base, self.quote, self.exchange, self.is_index)


LegKey = tuple[Asset, Asset, ExchangeId, bool]
Step = tuple[LegKey, bool]
"""A leg, and whether it is passed backwards."""

Route = tuple[Step, ...]
"""From the asset to the currency; empty where they are the same."""


def legs_of(ticker: Ticker) -> tuple[Leg, ...]:
    """What a ticker says about conversion.

    A spot market converts its base to its quote. A derivative is no market for the asset itself:
    only the index it publishes counts. ``index_price_usd`` leads to US dollars without assuming
    that any coin is one.
    """
    base, quote = parts(ticker.symbol)
    as_of = min(ticker.occurred_at, ticker.received_at)
    legs = []
    is_spot = ":" not in ticker.symbol
    price = ticker.price if is_spot else ticker.index
    if price is not None and price > 0:
        legs.append(
            Leg(
                base=base,
                quote=quote,
                price=price,
                as_of=as_of,
                exchange=ticker.exchange,
                source=f"{ticker.exchange}:{ticker.symbol}",
                is_index=not is_spot,
                is_estimate=is_spot and ticker.last is None and ticker.mark is None,
                day_ago=ticker.open_24h if is_spot else None,
            )
        )
    if ticker.index_price_usd is not None and ticker.index_price_usd > 0:
        legs.append(
            Leg(
                base=base,
                quote=USD,
                price=ticker.index_price_usd,
                as_of=as_of,
                exchange=ticker.exchange,
                source=f"{ticker.exchange}:index",
                is_index=True,
            )
        )
    return tuple(legs)


def parts(symbol: Symbol) -> tuple[Asset, Asset]:
    """Base and quote of a unified symbol."""
    base, _, rest = symbol.partition("/")
    return Asset(base), Asset(rest.partition(":")[0])


def settle_of(symbol: Symbol) -> Asset:
    """What a derivative pays in; the quote where the symbol names nothing else."""
    settle = symbol.partition(":")[2].partition("-")[0]
    return Asset(settle) if settle else parts(symbol)[1]


class Prices(Protocol):
    """What things are worth at one time."""

    def price(
        self, asset: Asset, currency: Asset, *, now: datetime, near: ExchangeId | None = None
    ) -> Price | None:
        """One ``asset`` in ``currency`` at ``now``; ``None`` where nobody knows.

        Args:
            near: the exchange that holds the asset; its own markets go first among equals.
        """
        ...


class PriceBook:
    """Every price known now, and the best way from any asset to a currency.

    Best means, in this order: the freshest quality of the worst leg (of a person's word, see
    above), the fewest legs, the most legs on the holder's own exchange, markets before indices, the
    deepest bridge. Routes are kept for ``ROUTES_KEPT``; the prices along them are always the
    newest.
    """

    ROUTES_KEPT = timedelta(seconds=1)

    def __init__(self, freshness: Freshness | None = None) -> None:
        self._freshness = freshness or Freshness()
        self._legs: dict[LegKey, Leg] = {}
        self._neighbors: dict[Asset, set[Step]] = {}
        self._said: frozenset[LegKey] = frozenset()
        self._silent: frozenset[ExchangeId] = frozenset()
        self._past: Mapping[LegKey, Decimal] = {}
        self._routes: dict[_Target, tuple[datetime, dict[Asset, Route]]] = {}

    def put(self, ticker: Ticker) -> None:
        """Take the newest word of one market."""
        for leg in legs_of(ticker):
            key = leg.key
            if key not in self._legs:
                self._connect(leg)
            self._legs[key] = leg

    def say(self, said: Iterable[Leg]) -> None:
        """Take what people say, all of it, instead of what they said before."""
        for key in self._said:
            leg = self._legs.pop(key)
            self._neighbors[leg.quote].discard((key, False))
            self._neighbors[leg.base].discard((key, True))
        legs = {leg.key: leg for leg in said}
        for leg in legs.values():
            self._connect(leg)
        self._legs |= legs
        self._said = frozenset(legs)
        self._routes.clear()

    def _connect(self, leg: Leg) -> None:
        self._neighbors.setdefault(leg.quote, set()).add((leg.key, False))
        self._neighbors.setdefault(leg.base, set()).add((leg.key, True))
        self._routes.clear()

    def silence(self, exchanges: Iterable[ExchangeId]) -> None:
        """Name the exchanges whose prices do not arrive at present: theirs are stale at once."""
        silent = frozenset(exchanges)
        if silent != self._silent:
            self._silent = silent
            self._routes.clear()

    def know_past(self, prices: Mapping[LegKey, Decimal]) -> None:
        """Take what legs that do not tell it themselves were 24 hours ago, and nothing else."""
        if prices.keys() != self._past.keys():
            self._routes.clear()
        self._past = prices

    def quality_of(self, leg: Leg, now: datetime) -> Quality:
        if leg.exchange == MANUAL:
            return Quality.MANUAL
        if self.is_stale(leg.exchange, leg.as_of, now):
            return Quality.STALE
        if now - leg.as_of > self._freshness.live:
            return Quality.DELAYED
        return Quality.ESTIMATED if leg.is_estimate else Quality.LIVE

    def is_stale(self, exchange: ExchangeId, as_of: datetime, now: datetime) -> bool:
        """Whether what an exchange said then is too old by now, or it says nothing at present."""
        return exchange in self._silent or now - as_of > self._freshness.delayed

    def knows(self, currency: Asset) -> bool:
        """Whether any market at all leads to ``currency``, or a person's word."""
        return bool(self._neighbors.get(currency))

    def price(
        self,
        asset: Asset,
        currency: Asset,
        *,
        now: datetime,
        near: ExchangeId | None = None,
        is_traded: bool = False,
    ) -> Price | None:
        """One ``asset`` in ``currency``, or ``None`` where no path leads there.

        Args:
            near: the exchange that holds the asset; its own markets go first among equals.
            is_traded: only what markets say counts, for what guards orders or makes them.
        """
        if asset == currency:
            return Price(Decimal(1), currency, now, "identity", Quality.LIVE)
        target = _Target(currency, near, is_traded=is_traded and bool(self._said))
        route = self._routes_to(target, now).get(asset)
        return None if route is None else self._along(route, currency, now)

    def day_change(
        self, asset: Asset, currency: Asset, *, now: datetime, near: ExchangeId | None = None
    ) -> DayChange | None:
        """What one ``asset`` is and was worth along the path of its `price`.

        Where a leg of that path has no past, along the best path of which every leg has one:
        never the price of now by one path against that of then by another. ``None`` where there is
        none, or it is stale; arguments as above.
        """
        if asset == currency:
            return DayChange(Decimal(1), Decimal(1))
        route = self._routes_to(_Target(currency, near, has_past=True), now).get(asset)
        then = [self._day_ago(key) for key, _ in route or ()]
        known = [price for price in then if price is not None]
        if route is None or len(known) < len(then):
            return None
        prices = (self._legs[key].price for key, _ in route)
        return DayChange(product(route, prices), product(route, known))

    def _day_ago(self, key: LegKey) -> Decimal | None:
        return self._legs[key].day_ago or self._past.get(key)

    def _along(self, route: Route, currency: Asset, now: datetime) -> Price:
        oldest = now
        worst = Quality.LIVE
        sources = []
        for key, backwards in route:
            leg = self._legs[key]
            oldest = min(oldest, leg.as_of)
            worst = max(worst, self.quality_of(leg, now), key=lambda quality: quality.rank)
            sources.append(f"1/{leg.source}" if backwards else leg.source)
        value = product(route, (self._legs[key].price for key, _ in route))
        return Price(value, currency, oldest, " > ".join(sources), worst)

    def _routes_to(self, target: "_Target", now: datetime) -> dict[Asset, Route]:
        kept = self._routes.get(target)
        if kept is not None and abs(now - kept[0]) < self.ROUTES_KEPT:
            return kept[1]
        ranks = self._ranks(target, now)
        routes: dict[Asset, Route] = {}
        for worst in range(_OVERTAKEN + 1):
            if worst in ranks.values():
                usable = {key for key, rank in ranks.items() if rank <= worst}
                found = shortest_routes(target.currency, self._neighbors, usable, target.near)
                routes = found | routes
        self._routes[target] = (now, routes)
        return routes

    def _ranks(self, target: "_Target", now: datetime) -> dict[LegKey, int]:
        """How good each leg is that may be passed, the best first."""
        ranks = {key: self.quality_of(leg, now).rank for key, leg in self._legs.items()}
        for key in self._said:
            if target.is_traded:
                del ranks[key]
            elif self._is_overtaken(key):
                ranks[key] = _OVERTAKEN
        if target.has_past:
            stale = Quality.STALE.rank
            ranks = {k: rank for k, rank in ranks.items() if rank < stale and self._day_ago(k)}
        return ranks

    def _is_overtaken(self, said: LegKey) -> bool:
        """Whether a market of the asset spoke since."""
        asset, as_of = said[0], self._legs[said].as_of
        heard = (self._legs[key].as_of for key, _ in self._neighbors[asset] if key[2] != MANUAL)
        return any(at > as_of for at in heard)


class _Target(NamedTuple):
    """Where routes lead, for whom, and whether only over what has a past, or over markets."""

    currency: Asset
    near: ExchangeId | None
    has_past: bool = False
    is_traded: bool = False


def product(route: Route, prices: Iterable[Decimal]) -> Decimal:
    """Of the prices of a route's legs: what one unit of its start is worth at its end."""
    value = Decimal(1)
    is_divided = False
    for (_, backwards), price in zip(route, prices, strict=True):
        value = (EXACT.divide if backwards else EXACT.multiply)(value, price)
        is_divided = is_divided or backwards
    return CONVERTED.plus(value) if is_divided else value


def shortest_routes(
    currency: Asset,
    neighbors: Mapping[Asset, Iterable[Step]],
    usable: set[LegKey],
    near: ExchangeId | None,
) -> dict[Asset, Route]:
    """The shortest route from every asset that has one, breadth first, ties broken the same way
    whatever order the markets came in.

    Args:
        neighbors: for an asset, the steps that end at it.
        usable: the legs that may be passed.
    """
    routes: dict[Asset, Route] = {currency: ()}
    frontier = [currency]
    for _ in range(HOPS_MAX):
        found: dict[Asset, tuple[tuple[object, ...], Route]] = {}
        for reached in frontier:
            for step in neighbors.get(reached, ()):
                key, backwards = step
                start = key[1] if backwards else key[0]
                if key not in usable or start in routes:
                    continue
                route = (step, *routes[reached])
                cost = _cost(route, near, bridge=reached)
                if start not in found or cost < found[start][0]:
                    found[start] = (cost, route)
        if not found:
            break
        frontier = sorted(found)
        routes.update((asset, route) for asset, (_, route) in found.items())
    return routes


def _cost(route: Route, near: ExchangeId | None, bridge: Asset) -> tuple[object, ...]:
    foreign = sum(key[2] != near for key, _ in route) if near is not None else 0
    indices = sum(key[3] for key, _ in route)
    return (foreign, indices, _BRIDGES.get(bridge, len(_BRIDGES)), bridge, route)
