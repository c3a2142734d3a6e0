"""Candles: one series of every interval per market, built from one-minute candles."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Protocol

import msgspec
from msgspec.structs import replace

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


class Candle(msgspec.Struct, frozen=True, gc=False):
    """One interval of one market; a struct of msgspec because there are so many of them.

    Prices in quote currency, ``volume`` in base units, ``quote_volume`` in quote currency.

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
        high=max([c.high for c in candles]),
        low=min([c.low for c in candles]),
        close=last.close,
        volume=sum([c.volume for c in candles], zero),
        quote_volume=sum([c.quote_volume for c in candles], zero),
        trades=sum([c.trades for c in candles]),
        taker_volume=sum([c.taker_volume for c in candles], zero),
        taker_quote_volume=sum([c.taker_quote_volume for c in candles], zero),
        first_trade_id=next((c.first_trade_id for c in candles if c.first_trade_id >= 0), -1),
        last_trade_id=max([c.last_trade_id for c in candles]),
        is_closed=False,
    )


# Each interval is put together from the closed candles of a shorter one that divides it.
_PARENTS = {
    "3m": "1m",
    "5m": "1m",
    "15m": "5m",
    "30m": "15m",
    "1h": "30m",
    "2h": "1h",
    "4h": "2h",
    "6h": "2h",
    "8h": "4h",
    "12h": "6h",
    "1d": "12h",
    "3d": "1d",
    "1w": "1d",
    "1M": "1d",
}
_CHILDREN = {
    parent: tuple(child for child, its_parent in _PARENTS.items() if its_parent == parent)
    for parent in _PARENTS.values()
}


class Earlier(Protocol):
    """Candles from before anybody kept any."""

    def candles(
        self, interval: str, from_ms: int, to_ms: int, limit: int, *, is_from_start: bool
    ) -> list[Candle]:
        """Of those that begin in that time, both ends included, the first or the last ``limit``;
        oldest first."""
        ...


class CandleSeries:
    """Every interval's candles of one market.

    Only the open minute changes with a trade. Longer candles grow when a shorter one closes, and
    what they look like right now is put together when somebody asks.

    A past may be deferred: until somebody looks back, only minutes close.
    """

    def __init__(self) -> None:
        self._closed: dict[str, deque[Candle]] = {
            interval: deque(maxlen=HISTORY_CANDLES) for interval in INTERVALS
        }
        # The closed parts of each open longer candle, and the last millisecond of that.
        self._parts: dict[str, list[Candle]] = {interval: [] for interval in _PARENTS}
        self._ends_ms: dict[str, int] = {}
        self._past: Callable[[], Iterable[Candle]] | None = None
        self._earlier: Callable[[], Earlier] | None = None
        self.minute: Candle | None = None
        self.closed_minutes = 0

    def set_minute(self, candle: Candle) -> None:
        """Replace the open minute."""
        self.minute = candle

    def defer(self, past: Callable[[], Iterable[Candle]]) -> None:
        """Begin with these closed minutes, oldest first, as soon as somebody looks back."""
        self._past = past

    def precede(self, earlier: Callable[[], Earlier]) -> None:
        """Let this be what was before all that is kept; it is made when first looked at. What is
        kept no longer is in neither."""
        self._earlier = cache(earlier)

    def recall(self) -> None:
        """Look back: make the past that was deferred, and everything after it."""
        if self._past is None:
            return
        past, self._past = self._past, None
        recent, opened = tuple(self._closed["1m"]), self.minute
        self._closed["1m"].clear()
        for minute in (*past(), *recent):
            self.minute = minute
            self.close_until(minute.close_ms + 1)
        self.minute = opened

    def close_until(self, boundary_ms: int) -> list[tuple[str, Candle]]:
        """Close every candle that ends before ``boundary_ms``; return them, shortest first.

        A minute without a price leaves a gap: no candle is made up for it.
        """
        done: list[tuple[str, Candle]] = []
        if self.minute is not None and self.minute.close_ms < boundary_ms:
            done.append(("1m", self._close("1m", self.minute)))
            self.minute = None
            self.closed_minutes += 1
        if self._ends_ms:
            for interval in _PARENTS:
                if self._ends_ms.get(interval, boundary_ms) < boundary_ms:
                    whole = self._whole(interval, self._parts[interval])
                    self._parts[interval] = []
                    del self._ends_ms[interval]
                    done.append((interval, self._close(interval, whole)))
        return done

    def _close(self, interval: str, candle: Candle) -> Candle:
        """Keep it, alone and as a part of the next longer ones."""
        closed = candle if candle.is_closed else replace(candle, is_closed=True)
        self._closed[interval].append(closed)
        if self._past is None:
            for longer in _CHILDREN.get(interval, ()):
                self._parts[longer].append(closed)
                if longer not in self._ends_ms:
                    self._ends_ms[longer] = bounds_ms(longer, closed.open_ms)[1]
        return closed

    def _whole(self, interval: str, parts: Sequence[Candle]) -> Candle:
        open_ms, close_ms = bounds_ms(interval, parts[0].open_ms)
        return replace(summed(parts), open_ms=open_ms, close_ms=close_ms)

    def open_candle(self, interval: str) -> Candle | None:
        """The candle that is still moving; ``None`` before the first price after a close."""
        if interval == "1m":
            return self.minute
        self.recall()
        part = self.open_candle(_PARENTS[interval])
        parts = [*self._parts[interval], part] if part is not None else self._parts[interval]
        return self._whole(interval, parts) if parts else None

    def closed(self, interval: str) -> Iterator[Candle]:
        """Oldest first."""
        self.recall()
        return iter(self._closed[interval])

    def range(self, interval: str, from_ms: int | None, to_ms: int | None) -> list[Candle]:
        """Candles, the open one included, whose open time lies in the range; oldest first."""
        candles = list(self.closed(interval))
        opened = self.open_candle(interval)
        if opened is not None:
            candles.append(opened)
        low = from_ms if from_ms is not None else 0
        high = to_ms if to_ms is not None else 1 << 62
        return [c for c in candles if low <= c.open_ms <= high]

    def page(
        self,
        interval: str,
        from_ms: int | None,
        to_ms: int | None,
        limit: int,
        *,
        is_from_start: bool,
    ) -> list[Candle]:
        """The first or the last ``limit`` of a range, the far past included; oldest first."""
        found = self.range(interval, from_ms, to_ms)
        kept = next(self.closed(interval), None) or self.open_candle(interval)
        if self._earlier is not None and kept is not None:
            last_ms = kept.open_ms - 1 if to_ms is None else min(to_ms, kept.open_ms - 1)
            wanted = limit if is_from_start else limit - len(found)
            earlier = self._earlier().candles(
                interval, from_ms or 0, last_ms, wanted, is_from_start=is_from_start
            )
            found = [*earlier, *found]
        return found[:limit] if is_from_start else found[-limit:]
