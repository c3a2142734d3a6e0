"""Generator: made-up prices that move together, cluster in their restlessness, and jump.

Deterministic for a seed.
"""

import math
import random
from collections.abc import Iterator
from decimal import Decimal

from alphapulse.domain.order import Side
from alphapulse.simulator.drivers.model import (
    ANCHORS,
    BASIS,
    COINS,
    CROSSES,
    Mood,
    notional_usd,
    usd,
)
from alphapulse.simulator.drivers.past import Past
from alphapulse.simulator.drivers.step import Move, Step

FUNDING_BASE = 0.0001
FUNDING_LIMIT = 0.0075


class PriceGenerator:
    """A market of its own for as long as it is asked.

    Args:
        seed: the same seed tells the same story.
        start_ms: market time of the first step.
        interval_ms: between steps.
        history_minutes: how much past there is before the start.
    """

    def __init__(
        self, seed: int, start_ms: int, *, interval_ms: int = 250, history_minutes: int = 1500
    ) -> None:
        self._random = random.Random(seed)
        self._mood = Mood(self._random)
        self._interval_ms = interval_ms
        self._prices = {symbol: coin.price for symbol, coin in COINS.items()}
        self._levels = {symbol: anchor.start for symbol, anchor in (ANCHORS | BASIS).items()}
        self.start_ms = start_ms
        self.past = Past(seed, start_ms, history_minutes)

    def steps(self) -> Iterator[Step]:
        seconds = self._interval_ms / 1000
        at_ms = self.start_ms
        yield Step(at_ms, tuple(self._move(s, p) for s, p in self._all_prices()))
        while True:
            at_ms += self._interval_ms
            self._advance(seconds)
            moving = self._moving()
            moves = (self._move(s, p) for s, p in self._all_prices() if s in moving)
            yield Step(at_ms, tuple(moves))

    def _advance(self, seconds: float) -> None:
        """Let the model live for a while."""
        tide, gauss = self._mood.step(seconds), self._random.gauss
        for symbol, coin in COINS.items():
            self._prices[symbol] *= math.exp(coin.change(tide, gauss(0, 1)))
        for symbol, anchor in (ANCHORS | BASIS).items():
            level = self._levels[symbol]
            self._levels[symbol] += anchor.change(level, tide, gauss(0, 1), seconds)

    def _all_prices(self) -> Iterator[tuple[str, float]]:
        for symbol in ANCHORS:
            yield symbol, self._levels[symbol]
        yield from self._prices.items()
        for symbol, (base, quote) in CROSSES.items():
            yield symbol, self._prices[base] / self._prices[quote]
        for symbol in BASIS:
            yield symbol, self._prices[symbol.partition(":")[0]] * (1 + self._levels[symbol])

    def _moving(self) -> set[str]:
        """Which symbols move this time; busy ones and what others are valued by always do."""
        roll = self._random.random
        moving = {symbol for symbol, coin in COINS.items() if roll() < coin.activity}
        moving |= {f"{s}:USDT" for s in moving}
        moving |= {s for s, (base, _) in CROSSES.items() if base in moving and roll() < 0.5}
        return moving | set(ANCHORS)

    def _move(self, symbol: str, price: float) -> Move:
        rate = None
        if symbol in BASIS:
            premium = FUNDING_BASE + self._levels[symbol]
            rate = Decimal(f"{min(max(premium, -FUNDING_LIMIT), FUNDING_LIMIT):.8f}")
        return Move(symbol, _decimal(price), self._trades(symbol, price), None, rate)

    def _trades(self, symbol: str, price: float) -> tuple[tuple[Side, Decimal], ...]:
        # Where the price hardly moves, trades are the only sign of life.
        if symbol not in ANCHORS and self._random.random() < 0.4:
            return ()
        side = Side.BUY if self._random.random() < 0.5 else Side.SELL
        notional = notional_usd(self._random, self._mood.restless)
        return ((side, _decimal(notional / usd(symbol, price, self._prices["BTC/USDT"]))),)


def _decimal(value: float) -> Decimal:
    # Ten significant digits are finer than any listed grid.
    return Decimal(f"{value:.10g}")
