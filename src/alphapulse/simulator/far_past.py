"""Far past: the prices that the accounts' history was lived through at, as charts.

A year of minutes is never made: the walk's few points and the trades are all that is known, and
candles are told from them when somebody looks.
"""

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, partial

from msgspec.structs import replace

from alphapulse.simulator.core.candles import DAY_MS, HOUR_MS, MINUTE_MS, Candle
from alphapulse.simulator.core.chart import Chart
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Instrument
from alphapulse.simulator.core.market import Past
from alphapulse.simulator.drivers.model import ANCHORS, COINS, CROSSES

# Longer than the core walks minute by minute, so that a month takes milliseconds.
STEP_MS = 9 * HOUR_MS

# How long after a step something may still happen at its prices.
STAND_MS = 20 * MINUTE_MS

# A coin's price strays this much from one step to the next; annual 70 %.
STEP_VOLATILITY = 0.7 * math.sqrt(STEP_MS / (365 * DAY_MS))

# So long the price is on its way from where the walk ended to where the last day begins.
ARRIVAL_MS = DAY_MS


@dataclass(frozen=True, slots=True)
class Span:
    """Which walk it is, and from when to when: enough to take it again."""

    seed: int
    start_ms: int
    steps: int

    @classmethod
    def between(cls, seed: int, start_ms: int, end_ms: int) -> "Span":
        """As many steps as fit, at least one."""
        return cls(seed, start_ms, max(1, (end_ms - start_ms) // STEP_MS))

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.steps * STEP_MS


class Walk:
    """Where each coin's price was at each step, on a way that leads to today's."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.chance = random.Random(span.seed)
        """What made the walk up; what is lived through on it goes on from there."""
        self._levels = {coin.symbol: self._level(span.steps) for coin in COINS.values()}

    def prices(self, step: int) -> dict[str, float]:
        """Of every coin, by symbol."""
        return {s: coin.price * math.exp(self._levels[s][step]) for s, coin in COINS.items()}

    def path(self, symbol: str) -> list[float]:
        """One symbol's price at each step and at the end; a perpetual's is its coin's."""
        if symbol in ANCHORS:
            return self._clinging(symbol)
        if symbol in CROSSES:
            base, quote = map(self.path, CROSSES[symbol])
            return [left / right for left, right in zip(base, quote, strict=True)]
        coin = COINS[symbol.partition(":")[0]]
        return [coin.price * math.exp(level) for level in (*self._levels[coin.symbol], 0.0)]

    def _level(self, steps: int) -> list[float]:
        """Logarithms of price over today's price; would be zero at the end."""
        level, path = 0.0, []
        for _ in range(steps):
            path.append(level)
            level += self.chance.gauss(0, STEP_VOLATILITY)
        return [here - level * (step + 1) / steps for step, here in enumerate(path)]

    def _clinging(self, symbol: str) -> list[float]:
        anchor, chance = ANCHORS[symbol], random.Random(f"{self.span.seed} {symbol} far past")
        path = [chance.gauss(anchor.level, anchor.noise) for _ in range(self.span.steps)]
        return [*path, anchor.start]


class FarPast:
    """Charts of every market from the first day of the history until the recent past begins.

    Args:
        recent: what comes after it, up to now.
        venues: where the accounts traded; all of their trades lie in the charts of both venues.
    """

    def __init__(self, walk: Walk, recent: Past, venues: Iterable[Venue]) -> None:
        self._walk = walk
        self._recent = recent
        self._venues = tuple(venues)

    def tell(self) -> None:
        """Let the venues' markets begin with it. Nothing is made before somebody looks."""
        for venue in self._venues:
            now_ms = venue.clock.now_ms()
            for market in venue.charted:
                market.candles.precede(partial(self._chart, market.instrument, now_ms))
                market.candles.defer(partial(self._minutes, market.instrument))

    def _chart(self, instrument: Instrument, now_ms: int) -> Chart:
        span, path = self._walk.span, self._walk.path(instrument.unified)
        prices: dict[int, float] = {}
        for step, price in enumerate(path[:-1]):
            stands_ms = span.start_ms + step * STEP_MS
            prices |= {stands_ms: price, stands_ms + STAND_MS: price}
        prices[span.end_ms] = path[-1]
        recent = self._recent.candles(instrument)
        end_ms, end = (recent[0].open_ms, float(recent[0].open)) if recent else (now_ms, path[-1])
        prices |= {max(span.end_ms, end_ms - ARRIVAL_MS): path[-1], end_ms: end}
        volume = recent[0].volume if recent else Decimal(0)
        return Chart(instrument, prices, self._trades.get(instrument.unified, ()), volume=volume)

    def _minutes(self, instrument: Instrument) -> list[Candle]:
        """The recent past, with what was traded in it before the venue was started anew."""
        minutes = list(self._recent.candles(instrument))
        for at_ms, price in self._trades.get(instrument.unified, ()):
            index = (at_ms - minutes[0].open_ms) // MINUTE_MS if minutes else -1
            if 0 <= index < len(minutes):
                minute, traded = minutes[index], instrument.price(instrument.ticks(price))
                high, low = max(minute.high, traded), min(minute.low, traded)
                minutes[index] = replace(minute, high=high, low=low, close=traded)
        return minutes

    @cached_property
    def _trades(self) -> Mapping[str, list[tuple[int, Decimal]]]:
        """What every account traded, by symbol, in order of time."""
        fills = [f for v in self._venues for a in v.accounts.values() for f in a.fills]
        trades: defaultdict[str, list[tuple[int, Decimal]]] = defaultdict(list)
        for fill in sorted(fills, key=lambda fill: (fill.at_ms, fill.trade_id)):
            trades[fill.instrument.unified].append((fill.at_ms, fill.price))
        return trades
