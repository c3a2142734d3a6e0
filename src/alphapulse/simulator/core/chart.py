"""Chart: what a market's candles were before anybody kept any, told from a few known prices.

From one known price to the next the logarithm of the price went straight. So a candle of any length
is made only when somebody asks, and agrees with the minutes that it is made of.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from alphapulse.domain.money import EXACT
from alphapulse.simulator.core.candles import MINUTE_MS, Candle, bounds_ms
from alphapulse.simulator.core.instrument import Instrument

TRADES_PER_MINUTE = 120


class Chart:
    """One market's candles between its first and its last known price.

    Args:
        prices: what the price was, by ms; at least one.
        trades: ms and price of what was traded. The minute of one closes at the last of them.
        volume: what each minute claims to have traded, base units.
    """

    def __init__(
        self,
        instrument: Instrument,
        prices: Mapping[int, float],
        trades: Iterable[tuple[int, Decimal]] = (),
        *,
        volume: Decimal = Decimal(0),
    ) -> None:
        self._instrument = instrument
        self._volume = volume
        traded = sorted(((at_ms, float(price)) for at_ms, price in trades), key=lambda t: t[0])
        closes = {bounds_ms("1m", at_ms)[1] + 1: price for at_ms, price in traded}
        known = sorted({**prices, **closes}.items())
        self._times_ms = [at_ms for at_ms, _ in known]
        self._prices = [price for _, price in known]
        self._last_ms = max(prices) - 1
        # Where the price turned: no extreme lies between two of these.
        turns = sorted([*known, *traded])
        self._turns_ms = [at_ms for at_ms, _ in turns]
        self._turns = [price for _, price in turns]

    def candles(
        self, interval: str, from_ms: int, to_ms: int, limit: int, *, is_from_start: bool
    ) -> list[Candle]:
        """Of those that begin in that time, both ends included, the first or the last ``limit``;
        oldest first."""
        to_ms = min(to_ms, self._last_ms)
        if is_from_start:
            return list(self._forward(interval, from_ms, to_ms, limit))
        return list(self._backward(interval, from_ms, to_ms, limit))[::-1]

    def _forward(self, interval: str, from_ms: int, to_ms: int, limit: int) -> Iterator[Candle]:
        open_ms, close_ms = bounds_ms(interval, max(from_ms, self._times_ms[0]) - 1)
        for _ in range(limit):
            open_ms, close_ms = bounds_ms(interval, close_ms + 1)
            if open_ms > to_ms:
                return
            yield self._candle(open_ms, close_ms)

    def _backward(self, interval: str, from_ms: int, to_ms: int, limit: int) -> Iterator[Candle]:
        open_ms, close_ms = bounds_ms(interval, to_ms)
        for _ in range(limit):
            if open_ms < max(from_ms, self._times_ms[0]):
                return
            yield self._candle(open_ms, close_ms)
            open_ms, close_ms = bounds_ms(interval, open_ms - 1)

    def _price(self, at_ms: int) -> float:
        after = bisect_right(self._times_ms, at_ms)
        if after in {0, len(self._times_ms)}:
            return self._prices[max(0, after - 1)]
        since_ms, until_ms = self._times_ms[after - 1 : after + 1]
        here, there = self._prices[after - 1 : after + 1]
        share = (at_ms - since_ms) / (until_ms - since_ms)
        return here * math.exp(math.log(there / here) * share)

    def _candle(self, open_ms: int, close_ms: int) -> Candle:
        """A closed one, on the instrument's grid."""
        first, last = (bisect_left(self._turns_ms, at_ms) for at_ms in (open_ms, close_ms + 1))
        ends = self._price(open_ms), self._price(close_ms + 1)
        way = (*ends, *self._turns[first:last])
        opened, closed, high, low = (self._on_grid(p) for p in (*ends, max(way), min(way)))
        minutes = (close_ms + 1 - open_ms) // MINUTE_MS
        half, middle = Decimal("0.5"), EXACT.divide(EXACT.add(opened, closed), Decimal(2))
        volume = EXACT.multiply(self._volume, Decimal(minutes))
        quote_volume = EXACT.multiply(volume, middle)
        return Candle(
            open_ms=open_ms,
            close_ms=close_ms,
            open=opened,
            high=high,
            low=low,
            close=closed,
            volume=volume,
            quote_volume=quote_volume,
            trades=TRADES_PER_MINUTE * minutes if volume else 0,
            taker_volume=EXACT.multiply(volume, half),
            taker_quote_volume=EXACT.multiply(quote_volume, half),
            first_trade_id=-1,
            last_trade_id=-1,
            is_closed=True,
        )

    def _on_grid(self, price: float) -> Decimal:
        return self._instrument.price(max(1, round(price / float(self._instrument.tick_size))))
