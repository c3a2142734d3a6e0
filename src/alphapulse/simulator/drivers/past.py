"""Past: what a made-up market did before the start, told one market at a time.

Nobody looks at most of it, so each market's minutes are made when they are first asked for; they
depend on the seed and the symbol only, and so never on who asked before.
"""

import math
import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cached_property
from itertools import accumulate, pairwise

from alphapulse.domain.money import EXACT
from alphapulse.simulator.core.candles import MINUTE_MS, Candle
from alphapulse.simulator.core.instrument import Instrument
from alphapulse.simulator.drivers.model import (
    ANCHORS,
    BASIS,
    COINS,
    CROSSES,
    Mood,
    Tide,
    notional_usd,
    usd,
)

# How many trades a minute claims to have had.
TRADES_PER_MINUTE = 120

# The accounts' own history is weeks before and has the smaller numbers.
FIRST_TRADE_ID = 1_000_001

_HALF = Decimal("0.5")
_MINUTE_S = 60.0


class Past:
    """The minutes up to a moment, at prices that lead to those of the model.

    Args:
        end_ms: nothing is told of the minute this lies in.
    """

    def __init__(self, seed: int, end_ms: int, minutes: int) -> None:
        self._seed = seed
        self._first_ms = (end_ms // MINUTE_MS - minutes) * MINUTE_MS
        self._minutes = minutes
        self._closes_of: dict[str, list[float]] = {}
        self._candles_of: dict[str, list[Candle]] = {}

    @property
    def last_trade_id(self) -> int:
        """Of every market."""
        return FIRST_TRADE_ID + self._minutes * TRADES_PER_MINUTE - 1

    def candles(self, instrument: Instrument) -> Sequence[Candle]:
        """Closed minutes, oldest first; venues that list the same instrument share them."""
        known = self._candles_of.get(instrument.unified)
        if known is None:
            known = self._candles_of[instrument.unified] = self._make(instrument)
        return known

    @cached_property
    def _tides(self) -> list[Tide]:
        mood = Mood(self._chance("tides"))
        return [mood.step(_MINUTE_S) for _ in range(self._minutes)]

    def _chance(self, what: str) -> random.Random:
        return random.Random(f"{self._seed} {what}")

    def _closes(self, symbol: str) -> list[float]:
        """Where each minute began, and today's price."""
        known = self._closes_of.get(symbol)
        if known is None:
            known = self._closes_of[symbol] = self._walk(symbol)
        return known

    def _walk(self, symbol: str) -> list[float]:
        gauss = self._chance(symbol).gauss
        if symbol in COINS:
            coin = COINS[symbol]
            path = _leading_to(0.0, [coin.change(tide, gauss(0, 1)) for tide in self._tides])
            return [coin.price * math.exp(level) for level in path]
        if symbol in CROSSES:
            base, quote = map(self._closes, CROSSES[symbol])
            return [left / right for left, right in zip(base, quote, strict=True)]
        anchor = ANCHORS.get(symbol) or BASIS[symbol]
        level, changes = anchor.start, []
        for tide in self._tides:
            changes.append(anchor.change(level, tide, gauss(0, 1), _MINUTE_S))
            level += changes[-1]
        path = _leading_to(anchor.start, changes)
        if symbol in ANCHORS:
            return path
        spot = self._closes(symbol.partition(":")[0])
        return [price * (1 + basis) for price, basis in zip(spot, path, strict=True)]

    def _make(self, instrument: Instrument) -> list[Candle]:
        symbol = instrument.unified
        chance, bitcoin = self._chance(f"{symbol} candles"), COINS["BTC/USDT"].price
        on_grid = _grid(instrument)
        lot_size = float(instrument.lot_size)
        candles: list[Candle] = []
        ends = pairwise(self._closes(symbol))
        for index, ((start, end), tide) in enumerate(zip(ends, self._tides, strict=True)):
            spread = (abs(end - start) + start * 0.0002 * tide.restless) * 0.4
            volume_usd = TRADES_PER_MINUTE * notional_usd(chance, tide.restless)
            lots = int(volume_usd / usd(symbol, start, bitcoin) / lot_size)
            candles.append(
                _candle(
                    self._first_ms + index * MINUTE_MS,
                    (
                        on_grid(start),
                        on_grid(max(start, end) + spread * chance.random()),
                        on_grid(min(start, end) - spread * chance.random()),
                        on_grid(end),
                    ),
                    instrument.quantity(lots),
                    FIRST_TRADE_ID + index * TRADES_PER_MINUTE,
                )
            )
        return candles


def _leading_to(end: float, changes: Sequence[float]) -> list[float]:
    """The levels that these changes lead through, shifted so that they arrive at ``end``."""
    path = list(accumulate(changes, initial=0.0))
    return [end + (level - path[-1]) for level in path]


def _grid(instrument: Instrument) -> Callable[[float], Decimal]:
    """Nearest price on the grid."""
    tick_size = float(instrument.tick_size)
    return lambda price: instrument.price(max(1, round(price / tick_size)))


def _candle(
    open_ms: int, prices: tuple[Decimal, Decimal, Decimal, Decimal], volume: Decimal, trade_id: int
) -> Candle:
    """A closed minute in which buyers took half."""
    quote_volume = EXACT.multiply(volume, EXACT.multiply(_HALF, EXACT.add(prices[0], prices[3])))
    return Candle(
        open_ms,
        open_ms + MINUTE_MS - 1,
        *prices,
        volume,
        quote_volume,
        TRADES_PER_MINUTE,
        EXACT.multiply(volume, _HALF),
        EXACT.multiply(quote_volume, _HALF),
        trade_id,
        trade_id + TRADES_PER_MINUTE - 1,
        True,
    )
