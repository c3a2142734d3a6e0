"""Candles: one series of every interval per market, built from one-minute candles."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

FIXED_MS = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
}
INTERVALS = (*FIXED_MS, "1M")
# Weeks start on Mondays; the Unix epoch was a Thursday.
_WEEK_OFFSET_MS = 4 * DAY_MS

HISTORY_CANDLES = 2_000
"""Kept per interval: a little over a day of minutes, twice a REST page."""


@dataclass(frozen=True, slots=True)
class Candle:
    """Prices in quote currency, ``volume`` in base units, ``quote_volume`` in quote currency.

    ``taker_*`` is the part that buyers took. Trade ids are -1 while there was no trade.
    """

    open_ms: int
    close_ms: int
    """Last millisecond that belongs to it."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    taker_volume: Decimal
    taker_quote_volume: Decimal
    first_trade_id: int
    last_trade_id: int
    is_closed: bool


def bounds_ms(interval: str, at_ms: int) -> tuple[int, int]:
    """Open time and last millisecond of the candle that ``at_ms`` falls into."""
    if interval == "1M":
        start = datetime.fromtimestamp(at_ms / 1000, UTC).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        following = (start + timedelta(days=32)).replace(day=1)
        return int(start.timestamp() * 1000), int(following.timestamp() * 1000) - 1
    length = FIXED_MS[interval]
    offset = _WEEK_OFFSET_MS if interval == "1w" else 0
    open_ms = (at_ms - offset) // length * length + offset
    return open_ms, open_ms + length - 1


def flat(open_ms: int, price: Decimal) -> Candle:
    """A minute in which nothing was traded."""
    zero = Decimal(0)
    return Candle(
        open_ms, open_ms + MINUTE_MS - 1, price, price, price, price, zero, zero, 0, zero, zero,
        -1, -1, False,
    )  # fmt: skip


def merged(left: Candle, right: Candle) -> Candle:
    """Both in one, with the bounds of ``left``; ``right`` is the later one."""
    return Candle(
        open_ms=left.open_ms,
        close_ms=left.close_ms,
        open=left.open,
        high=max(left.high, right.high),
        low=min(left.low, right.low),
        close=right.close,
        volume=left.volume + right.volume,
        quote_volume=left.quote_volume + right.quote_volume,
        trades=left.trades + right.trades,
        taker_volume=left.taker_volume + right.taker_volume,
        taker_quote_volume=left.taker_quote_volume + right.taker_quote_volume,
        first_trade_id=left.first_trade_id if left.first_trade_id >= 0 else right.first_trade_id,
        last_trade_id=max(left.last_trade_id, right.last_trade_id),
        is_closed=False,
    )


def summed(candles: Sequence[Candle]) -> Candle:
    """At least one candle, oldest first, in one; bounds of the first, end of the last."""
    zero = Decimal(0)
    first, last = candles[0], candles[-1]
    return Candle(
        open_ms=first.open_ms,
        close_ms=last.close_ms,
        open=first.open,
        high=max(c.high for c in candles),
        low=min(c.low for c in candles),
        close=last.close,
        volume=sum((c.volume for c in candles), zero),
        quote_volume=sum((c.quote_volume for c in candles), zero),
        trades=sum(c.trades for c in candles),
        taker_volume=sum((c.taker_volume for c in candles), zero),
        taker_quote_volume=sum((c.taker_quote_volume for c in candles), zero),
        first_trade_id=next((c.first_trade_id for c in candles if c.first_trade_id >= 0), -1),
        last_trade_id=max(c.last_trade_id for c in candles),
        is_closed=False,
    )


class CandleSeries:
    """Every interval's candles of one market.

    Only the open minute changes with a trade; longer candles are put together from it when they
    are asked for, and grow when a minute closes.
    """

    def __init__(self) -> None:
        self._closed: dict[str, deque[Candle]] = {
            interval: deque(maxlen=HISTORY_CANDLES) for interval in INTERVALS
        }
        # The closed minutes of the open longer candles.
        self._growing: dict[str, Candle] = {}
        self.minute: Candle | None = None
        self.closed_minutes = 0

    def set_minute(self, candle: Candle) -> None:
        """Replace the open minute."""
        self.minute = candle

    def close_minute(self) -> list[tuple[str, Candle]]:
        """Close the open minute; return every candle that closes with it, shortest first."""
        minute = self.minute
        if minute is None:
            return []
        self.minute = None
        self.closed_minutes += 1
        done: list[tuple[str, Candle]] = []
        for interval in INTERVALS:
            whole = self._grow(interval, minute)
            if whole is not None:
                self._closed[interval].append(whole)
                done.append((interval, whole))
        return done

    def _grow(self, interval: str, minute: Candle) -> Candle | None:
        """Add a closed minute to the open candle of ``interval``; return it if that closes it."""
        if interval == "1m":
            return replace(minute, is_closed=True)
        grown = self._with_minute(interval, minute)
        if minute.close_ms < grown.close_ms:
            self._growing[interval] = grown
            return None
        self._growing.pop(interval, None)
        return replace(grown, is_closed=True)

    def _with_minute(self, interval: str, minute: Candle) -> Candle:
        growing = self._growing.get(interval)
        if growing is not None and minute.open_ms <= growing.close_ms:
            return merged(growing, minute)
        open_ms, close_ms = bounds_ms(interval, minute.open_ms)
        return replace(minute, open_ms=open_ms, close_ms=close_ms)

    def open_candle(self, interval: str) -> Candle | None:
        """The candle that is still moving; ``None`` before the first price after a close."""
        if self.minute is None or interval == "1m":
            return self.minute if interval == "1m" else self._growing.get(interval)
        return self._with_minute(interval, self.minute)

    def closed(self, interval: str) -> Iterator[Candle]:
        """Oldest first."""
        return iter(self._closed[interval])

    def last_closed(self, interval: str) -> Candle | None:
        closed = self._closed[interval]
        return closed[-1] if closed else None

    def range(self, interval: str, from_ms: int | None, to_ms: int | None) -> list[Candle]:
        """Candles, the open one included, whose open time lies in the range; oldest first."""
        candles = list(self._closed[interval])
        opened = self.open_candle(interval)
        if opened is not None:
            candles.append(opened)
        low = from_ms if from_ms is not None else 0
        high = to_ms if to_ms is not None else 1 << 62
        return [c for c in candles if low <= c.open_ms <= high]
