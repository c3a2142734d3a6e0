"""Generator: made-up prices that move together, cluster in their restlessness, and jump.

A one-factor model: every coin follows the market by its beta and itself by the rest. One restless
level drives both, swells after a jump and calms down over minutes. Deterministic for a seed.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from alphapulse.domain.order import Side
from alphapulse.simulator.core.candles import MINUTE_MS
from alphapulse.simulator.core.market import Bar
from alphapulse.simulator.drivers.step import USDT_USD, Move, Step

YEAR_S = 365 * 24 * 3600

# The calm level of annual volatility of the common factor; about Bitcoin's in the 2020s.
FACTOR_VOLATILITY = 0.45

# Restlessness returns to normal with this half life.
CALMING_S = 600.0
JUMP_EVERY_S = 3600.0
JUMP_SHARE = 0.003
"""Standard deviation of a jump of the whole market."""

FUNDING_BASE = 0.0001
FUNDING_LIMIT = 0.0075


@dataclass(frozen=True, slots=True)
class Coin:
    """``volatility`` is the annual one of what the market does not explain."""

    symbol: str
    price: float
    beta: float
    volatility: float
    activity: float
    """Probability of moving in one step."""


COINS = (
    Coin("BTC/USDT", 96_400.0, 1.0, 0.10, 1.0),
    Coin("ETH/USDT", 3_310.0, 1.15, 0.25, 1.0),
    Coin("BNB/USDT", 655.0, 0.9, 0.30, 0.6),
    Coin("SOL/USDT", 189.0, 1.4, 0.45, 0.8),
    Coin("XRP/USDT", 2.34, 1.1, 0.50, 0.7),
    Coin("ADA/USDT", 0.93, 1.2, 0.50, 0.4),
    Coin("DOGE/USDT", 0.332, 1.4, 0.60, 0.6),
    Coin("AVAX/USDT", 37.6, 1.4, 0.50, 0.4),
    Coin("LINK/USDT", 21.9, 1.3, 0.45, 0.4),
    Coin("LTC/USDT", 104.0, 1.0, 0.40, 0.3),
    Coin("DOT/USDT", 6.95, 1.3, 0.45, 0.3),
    Coin("TRX/USDT", 0.247, 0.6, 0.30, 0.3),
    Coin("BCH/USDT", 452.0, 1.1, 0.45, 0.3),
    Coin("ATOM/USDT", 6.41, 1.2, 0.45, 0.2),
    Coin("UNI/USDT", 13.6, 1.3, 0.55, 0.2),
    Coin("XLM/USDT", 0.402, 1.1, 0.50, 0.2),
    Coin("NEAR/USDT", 5.12, 1.4, 0.55, 0.2),
    Coin("ETC/USDT", 25.9, 1.2, 0.45, 0.2),
    Coin("FIL/USDT", 5.01, 1.3, 0.50, 0.2),
    Coin("AAVE/USDT", 311.0, 1.4, 0.55, 0.2),
)

CROSSES = {"ETH/BTC": ("ETH/USDT", "BTC/USDT"), "BNB/BTC": ("BNB/USDT", "BTC/USDT")}

PERPETUALS = ("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "ADA", "LINK")


@dataclass(slots=True)
class Anchored:
    """A price that is pulled back to its anchor: stablecoins, currencies, a perpetual's basis."""

    level: float
    anchor: float
    noise: float
    """Standard deviation of the level in the long run."""
    pull_s: float = 3600.0

    def step(self, shock: float, seconds: float) -> float:
        pull = seconds / self.pull_s
        self.level += (self.anchor - self.level) * pull + self.noise * math.sqrt(2 * pull) * shock
        return self.level


@dataclass(slots=True)
class _World:
    """Where the model stands."""

    prices: dict[str, float]
    restless: float = 1.0
    anchored: dict[str, Anchored] = field(default_factory=dict)
    basis: dict[str, Anchored] = field(default_factory=dict)


class PriceGenerator:
    """A market of its own for as long as it is asked.

    Args:
        seed: the same seed tells the same story.
        start_ms: market time of the first step.
        interval_ms: between steps.
        history_minutes: how much past to make up before the start.
    """

    def __init__(
        self, seed: int, start_ms: int, *, interval_ms: int = 250, history_minutes: int = 1500
    ) -> None:
        self._random = random.Random(seed)
        self._start_ms = start_ms
        self._interval_ms = interval_ms
        self._history_minutes = history_minutes
        self._world = _World(
            prices={coin.symbol: coin.price for coin in COINS},
            anchored={
                "USDC/USDT": Anchored(1.0, 1.0, 0.0003),
                "EUR/USDT": Anchored(1.085, 1.085, 0.004, pull_s=86_400.0),
                USDT_USD: Anchored(0.9998, 0.9998, 0.0004),
            },
            basis={base: Anchored(0.0, 0.0002, 0.0003) for base in PERPETUALS},
        )

    @property
    def start_ms(self) -> int:
        return self._start_ms

    def history(self) -> Iterator[tuple[str, Bar]]:
        """Minutes up to the start, for every symbol; the live story goes on from their end."""
        first_ms = self._start_ms // MINUTE_MS * MINUTE_MS - self._history_minutes * MINUTE_MS
        for minute in range(self._history_minutes):
            before = dict(self._all_prices())
            self._advance(60.0)
            for symbol, close in self._all_prices():
                if symbol != USDT_USD:
                    yield symbol, self._bar(first_ms + minute * MINUTE_MS, before[symbol], close)

    def steps(self) -> Iterator[Step]:
        seconds = self._interval_ms / 1000
        at_ms = self._start_ms
        yield Step(at_ms, tuple(self._move(s, p) for s, p in self._all_prices()))
        while True:
            at_ms += self._interval_ms
            self._advance(seconds)
            moving = self._moving()
            moves = (self._move(s, p) for s, p in self._all_prices() if s in moving)
            yield Step(at_ms, tuple(moves))

    def _advance(self, seconds: float) -> None:
        """Let the model live for a while."""
        world, gauss = self._world, self._random.gauss
        shock, jump = gauss(0, 1), self._jump(seconds)
        calm = seconds / CALMING_S * math.log(2)
        world.restless += (1 - world.restless) * min(1.0, calm)
        world.restless *= math.exp(0.15 * math.sqrt(seconds / 60) * gauss(0, 1))
        world.restless = min(max(world.restless + abs(jump) * 300, 0.3), 6.0)
        scale = world.restless * math.sqrt(seconds / YEAR_S)
        factor = FACTOR_VOLATILITY * scale * shock + jump
        for coin in COINS:
            own = coin.volatility * scale * gauss(0, 1)
            world.prices[coin.symbol] *= math.exp(coin.beta * factor + own)
        for anchored in world.anchored.values():
            # A falling market bids for dollars: the reference leans on the same shock.
            anchored.step(0.8 * gauss(0, 1) - 0.6 * shock, seconds)
        for basis in world.basis.values():
            basis.step(0.8 * gauss(0, 1) + 0.6 * shock, seconds)

    def _jump(self, seconds: float) -> float:
        if self._random.random() >= seconds / JUMP_EVERY_S:
            return 0.0
        return self._random.gauss(0, JUMP_SHARE)

    def _all_prices(self) -> Iterator[tuple[str, float]]:
        world = self._world
        yield USDT_USD, world.anchored[USDT_USD].level
        yield from world.prices.items()
        for symbol in ("USDC/USDT", "EUR/USDT"):
            yield symbol, world.anchored[symbol].level
        for symbol, (base, quote) in CROSSES.items():
            yield symbol, world.prices[base] / world.prices[quote]
        for base, basis in world.basis.items():
            yield f"{base}/USDT:USDT", world.prices[f"{base}/USDT"] * (1 + basis.level)

    def _moving(self) -> set[str]:
        """Which symbols move this time; busy ones always do."""
        roll = self._random.random
        moving = {coin.symbol for coin in COINS if roll() < coin.activity}
        moving |= {f"{s}:USDT" for s in moving}
        moving |= {s for s, (base, _) in CROSSES.items() if base in moving and roll() < 0.5}
        moving |= {s for s in ("USDC/USDT", "EUR/USDT", USDT_USD) if roll() < 0.1}
        return moving

    def _move(self, symbol: str, price: float) -> Move:
        pair, _, settle = symbol.partition(":")
        rate = None
        if settle:
            premium = FUNDING_BASE + self._world.basis[pair.removesuffix("/USDT")].level
            rate = Decimal(f"{min(max(premium, -FUNDING_LIMIT), FUNDING_LIMIT):.8f}")
        return Move(symbol, _decimal(price), self._trades(symbol, price), None, rate)

    def _trades(self, symbol: str, price: float) -> tuple[tuple[Side, Decimal], ...]:
        if self._random.random() < 0.4:
            return ()
        side = Side.BUY if self._random.random() < 0.5 else Side.SELL
        return ((side, _decimal(self._notional_usd() / self._usd(symbol, price))),)

    def _notional_usd(self) -> float:
        """Of one trade: most are small, a few are not."""
        return math.exp(self._random.gauss(6.2, 1.4)) * self._world.restless

    def _usd(self, symbol: str, price: float) -> float:
        """US dollars for one unit of the base asset, roughly."""
        is_in_btc = symbol.endswith("/BTC")
        return price * self._world.prices["BTC/USDT"] if is_in_btc else price

    def _bar(self, open_ms: int, start: float, end: float) -> Bar:
        spread = abs(end - start) + start * 0.0002 * self._world.restless
        high = max(start, end) + spread * 0.4 * self._random.random()
        low = min(start, end) - spread * 0.4 * self._random.random()
        volume = _decimal(120 * self._notional_usd() / start)
        return Bar(
            open_ms,
            _decimal(start),
            _decimal(high),
            _decimal(low),
            _decimal(end),
            volume,
            volume * _decimal((start + end) / 2),
        )


def _decimal(value: float) -> Decimal:
    # Ten significant digits are finer than any listed grid.
    return Decimal(f"{value:.10g}")
