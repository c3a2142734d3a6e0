"""Clocks: the market's time, which a replay may bend, and the time signatures are checked by."""

from datetime import datetime
from typing import Protocol

from alphapulse.domain.clock import Clock


def milliseconds(moment: datetime) -> int:
    """Unix time of an aware moment."""
    return round(moment.timestamp() * 1000)


class MarketClock(Protocol):
    """Event time: orders, trades, candles and funding are stamped with it."""

    def now_ms(self) -> int: ...


class RealMarketClock:
    """The market lives now."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now_ms(self) -> int:
        return milliseconds(self._clock.now())


class VirtualMarketClock:
    """The market lives whenever its driver says: 2018, or a minute a millisecond."""

    def __init__(self, start_ms: int) -> None:
        self._now_ms = start_ms

    def now_ms(self) -> int:
        return self._now_ms

    def move_to(self, now_ms: int) -> None:
        """Time never runs backwards; an earlier moment is ignored."""
        self._now_ms = max(self._now_ms, now_ms)


class AuthClock:
    """The venue's own idea of now, for timestamps, receive windows and server time.

    Always real time plus ``skew_ms``, so that signed requests work while a replay runs, and a test
    can make the venue disagree with its clients.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.skew_ms = 0
        self.checks_windows = True
        """Off: the venue takes a signed request whenever it comes."""

    def now_ms(self) -> int:
        return milliseconds(self._clock.now()) + self.skew_ms
