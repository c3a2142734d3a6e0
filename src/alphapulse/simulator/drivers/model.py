"""Model of the made-up market: what moves together, what clings to an anchor, and how restlessly.

A one-factor model: every coin follows the market by its beta and itself by the rest. One restless
level drives both, swells after a jump and calms down over minutes.
"""

import math
import random
from dataclasses import dataclass

from alphapulse.simulator.drivers.step import USDT_USD

YEAR_S = 365 * 24 * 3600

# The calm level of annual volatility of the common factor; about Bitcoin's in the 2020s.
FACTOR_VOLATILITY = 0.45

# Restlessness returns to normal with this half life.
CALMING_S = 600.0
JUMP_EVERY_S = 3600.0
JUMP_SHARE = 0.003
"""Standard deviation of a jump of the whole market."""


@dataclass(frozen=True, slots=True)
class Tide:
    """What happened to the whole market in one step.

    ``shock`` is the standard normal behind it, ``factor`` the logarithm it moved the market by,
    ``scale`` the standard deviation of a step at an annual volatility of 1, ``restless`` 1 on a
    usual day.
    """

    shock: float
    factor: float
    scale: float
    restless: float


@dataclass(slots=True)
class Mood:
    """How restless the market is, and the tides that come of it."""

    chance: random.Random
    restless: float = 1.0

    def step(self, seconds: float) -> Tide:
        """Let the market live for a while."""
        gauss = self.chance.gauss
        shock, jump = gauss(0, 1), self._jump(seconds)
        calm = seconds / CALMING_S * math.log(2)
        self.restless += (1 - self.restless) * min(1.0, calm)
        self.restless *= math.exp(0.15 * math.sqrt(seconds / 60) * gauss(0, 1))
        self.restless = min(max(self.restless + abs(jump) * 300, 0.3), 6.0)
        scale = self.restless * math.sqrt(seconds / YEAR_S)
        return Tide(shock, FACTOR_VOLATILITY * scale * shock + jump, scale, self.restless)

    def _jump(self, seconds: float) -> float:
        if self.chance.random() >= seconds / JUMP_EVERY_S:
            return 0.0
        return self.chance.gauss(0, JUMP_SHARE)


@dataclass(frozen=True, slots=True)
class Coin:
    """``volatility`` is the annual one of what the market does not explain."""

    symbol: str
    price: float
    """US dollars at the start."""
    beta: float
    volatility: float
    activity: float
    """Probability of moving in one step."""

    def change(self, tide: Tide, noise: float) -> float:
        """Logarithm of its price after a step over that before; ``noise`` is standard normal."""
        return self.beta * tide.factor + self.volatility * tide.scale * noise


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a price is pulled back to: stablecoins, currencies, a perpetual's basis.

    Args:
        start: its level at the start.
        noise: standard deviation of the level in the long run.
        lean: part of the market's shock in its own, -1..1.
    """

    start: float
    level: float
    noise: float
    lean: float = -0.6
    pull_s: float = 3600.0

    def change(self, level: float, tide: Tide, noise: float, seconds: float) -> float:
        """How far the level goes in a step; ``noise`` is standard normal."""
        pull = seconds / self.pull_s
        shock = self.lean * tide.shock + math.sqrt(1 - self.lean**2) * noise
        return (self.level - level) * pull + self.noise * math.sqrt(2 * pull) * shock


COINS = {
    coin.symbol: coin
    for coin in (
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
}

CROSSES = {"ETH/BTC": ("ETH/USDT", "BTC/USDT"), "BNB/BTC": ("BNB/USDT", "BTC/USDT")}

# A falling market bids for dollars: the reference leans on the same shock.
ANCHORS = {
    "USDC/USDT": Anchor(1.0, 1.0, 0.0003),
    "EUR/USDT": Anchor(1.085, 1.085, 0.004, pull_s=86_400.0),
    USDT_USD: Anchor(0.9998, 0.9998, 0.0004),
}

# A rising one pays more for perpetuals than for coins.
BASIS = {
    f"{base}/USDT:USDT": Anchor(0.0, 0.0002, 0.0003, lean=0.6)
    for base in ("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "ADA", "LINK")
}


def notional_usd(chance: random.Random, restless: float) -> float:
    """Of one trade: most are small, a few are not."""
    return math.exp(chance.gauss(6.2, 1.4)) * restless


def usd(symbol: str, price: float, bitcoin: float) -> float:
    """US dollars for one unit of the base asset, roughly; ``bitcoin`` is that coin's price."""
    return price * bitcoin if symbol.endswith("/BTC") else price
