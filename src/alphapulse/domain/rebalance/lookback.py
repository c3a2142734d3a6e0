"""Lookback: over which bars a rule by risk looks, in which markets, and what is missing. Pure.

A bar that is missing is not filled in: the rule is refused, and it is said what is missing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np

from alphapulse.domain.identifiers import Asset, ExchangeId, Symbol
from alphapulse.domain.instrument import Instrument, InstrumentType
from alphapulse.domain.market import Timeframe
from alphapulse.domain.money import EXACT
from alphapulse.domain.rebalance.choice import TargetRule
from alphapulse.domain.rebalance.rules import FloatArray
from alphapulse.domain.valuation import CONVERTED
from alphapulse.errors import InvalidInput

ASSETS_MAX = 50
"""Each is a request to its exchange."""
BARS_MIN = 20
"""The volatility of fewer returns is mostly chance: at 20 its standard error is 16 %."""
BARS_MAX = 990
"""What one page of candles holds, with some to spare for the first close and the open bar."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)

MarketKey = tuple[ExchangeId, Symbol]
Closes = Mapping[datetime, Decimal]
"""Of closed bars, by when each opened."""


@dataclass(frozen=True, slots=True)
class Lookback:
    """``bars`` returns, which need one close more."""

    timeframe: Timeframe
    bars: int

    @classmethod
    def of(cls, rule: TargetRule) -> "Lookback":
        """Raises `InvalidInput` for too few or too many bars, and for too many assets."""
        if len(rule.assets) > ASSETS_MAX:
            raise InvalidInput(
                "so many assets cannot be looked back on", field="rule/assets", limit=ASSETS_MAX
            )
        bars = rule.lookback_days * _DAY // rule.timeframe.duration
        if not BARS_MIN <= bars <= BARS_MAX:
            raise InvalidInput(
                f"{rule.lookback_days} days are {bars} bars of {rule.timeframe};"
                f" {BARS_MIN} to {BARS_MAX} are possible",
                field="rule/lookback_days", value=rule.lookback_days,
            )  # fmt: skip
        return cls(rule.timeframe, bars)

    @property
    def page(self) -> int:
        """How many bars to ask for, the open one included."""
        return self.bars + 3

    def first(self, now: datetime) -> datetime:
        """When the first bar to ask for opened: one more than is needed, for the newest may not be
        told yet."""
        return self._newest(now) - (self.bars + 1) * self.timeframe.duration

    def times(self, closes: Iterable[Closes], now: datetime) -> tuple[datetime, ...]:
        """The bars that are needed, by when each opened: up to the newest that has closed, or to
        the one before it where a market does not tell that yet."""
        newest = self._newest(now)
        if not all(newest in one for one in closes):
            newest -= self.timeframe.duration
        return tuple(newest - back * self.timeframe.duration for back in range(self.bars, -1, -1))

    def _newest(self, now: datetime) -> datetime:
        """The last bar that has closed."""
        length = self.timeframe.duration
        return now - (now - _EPOCH) % length - length


@dataclass(frozen=True, slots=True)
class Pricing:
    """Which market tells the past of each asset. All are quoted in ``quote``, which has none: it is
    worth one. ``bridge`` leads from there to ``currency``, where there is such a market."""

    currency: Asset
    quote: Asset
    markets: Mapping[Asset, Instrument]
    bridge: Instrument | None = None

    @property
    def wanted(self) -> Mapping[Asset, Instrument]:
        """Every market whose closes are needed, by what it tells the past of."""
        return self.markets if self.bridge is None else {**self.markets, self.quote: self.bridge}

    def source(self, asset: Asset) -> str:
        """The markets that an asset's closes come from."""
        path = [one for one in (self.markets.get(asset), self.bridge) if one is not None]
        return " > ".join(":".join(key_of(one)) for one in path) or "identity"


@dataclass(frozen=True, slots=True)
class Lack:
    """The past of ``asset`` is too short, or has holes."""

    asset: Asset
    source: str
    there: int
    needed: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Past:
    """The closes of each asset in one currency, oldest first, none missing."""

    times: tuple[datetime, ...]
    closes: Mapping[Asset, tuple[Decimal, ...]]

    def returns(self, assets: Sequence[Asset]) -> FloatArray:
        """Simple returns, shape (bars, assets), oldest first."""
        closes = np.array([[float(one) for one in self.closes[asset]] for asset in assets]).T
        made: FloatArray = closes[1:] / closes[:-1] - 1.0
        return made


def key_of(instrument: Instrument) -> MarketKey:
    return instrument.exchange, instrument.symbol


def pricing_of(
    assets: Sequence[Asset], currency: Asset, instruments: Iterable[Instrument]
) -> Pricing:
    """Spot markets of all assets in one quote: the currency where that is possible, else one that
    a market leads to the currency from, else the one most markets have.

    Raises:
        InvalidInput: no quote has a market of each.
    """
    pairs: dict[tuple[Asset, Asset], Instrument] = {}
    for one in sorted(instruments, key=key_of):
        if one.type is InstrumentType.SPOT and one.is_active:
            pairs.setdefault((one.base, one.quote), one)
    counts = Counter(quote for base, quote in pairs if base in assets)
    quotes = sorted(counts, key=lambda one: (one != currency, -counts[one], one))
    common = [quote for quote in quotes if all(a == quote or (a, quote) in pairs for a in assets)]
    if not common:
        best = quotes[0] if quotes else currency
        lone = next(one for one in assets if one != best and (one, best) not in pairs)
        raise InvalidInput(
            f"no market here tells the past of {lone} in {best}, as of the others",
            field="rule/assets", value=lone,
        )  # fmt: skip
    bridges = {
        quote: pairs.get((quote, currency)) or pairs.get((currency, quote)) for quote in common
    }
    quote = common[0]
    if quote != currency:
        quote = next((one for one in common if bridges[one] is not None), quote)
    bridge = None if quote == currency else bridges[quote]
    return Pricing(
        currency if bridge is not None else quote,
        quote,
        {asset: pairs[asset, quote] for asset in assets if asset != quote},
        bridge,
    )


def past_of(
    pricing: Pricing, lookback: Lookback, found: Mapping[MarketKey, Closes], now: datetime
) -> Past | tuple[Lack, ...]:
    """The closes of all assets in one currency, or what is missing of them.

    Args:
        found: of every market of ``pricing``; more bars than are needed may be there.
    """
    times = lookback.times(found.values(), now)
    lacks = []
    for asset, one in pricing.wanted.items():
        there = sum(time in found[key_of(one)] for time in times)
        if there < len(times):
            lacks.append(Lack(asset, ":".join(key_of(one)), there, len(times), times[0]))
    if lacks:
        return tuple(lacks)
    rates = [_rate(pricing, found, time) for time in times]
    closes = {}
    for asset in (*pricing.markets, pricing.quote):
        market = pricing.markets.get(asset)
        own = [Decimal(1) if market is None else found[key_of(market)][time] for time in times]
        closes[asset] = tuple(map(EXACT.multiply, own, rates))
    return Past(times, closes)


def _rate(pricing: Pricing, found: Mapping[MarketKey, Closes], time: datetime) -> Decimal:
    """One unit of the quote in the currency."""
    if pricing.bridge is None:
        return Decimal(1)
    close = found[key_of(pricing.bridge)][time]
    return close if pricing.bridge.base == pricing.quote else CONVERTED.divide(Decimal(1), close)
