"""Rate Limiting: so many in any window, per user, per address or per route.

Exact, in memory and on a monotonic clock. The `limits` library was tried: its memory store starts
a timer thread of its own, reads the wall clock, and keeps as many keys as an attacker sends.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass

import msgspec

from alphapulse.domain.clock import Clock
from alphapulse.errors import TooManyRequests

CAPACITY_KEYS = 10_000  # the longest unseen key is forgotten first


@dataclass(frozen=True, slots=True)
class Rate:
    """No more than ``hits`` in any ``window_s`` seconds."""

    hits: int
    window_s: float


LOGIN = Rate(hits=5, window_s=60)
READS = Rate(hits=600, window_s=60)  # a dashboard that polls ten routes a second
WRITES = Rate(hits=120, window_s=60)
REFRESHES = Rate(hits=10, window_s=60)  # of one account; its exchange counts them, too


class Quota(msgspec.Struct, frozen=True):
    """What is left after a hit; ``reset_s`` seconds until one more is free again."""

    limit: int
    remaining: int
    reset_s: float


class RateLimiter:
    """Counts the hits of each key within a moving window. A refused hit is not counted."""

    def __init__(self, rate: Rate, clock: Clock, *, capacity_keys: int = CAPACITY_KEYS) -> None:
        self._rate = rate
        self._clock = clock
        self._capacity_keys = capacity_keys
        self._hits: OrderedDict[str, deque[float]] = OrderedDict()

    def hit(self, key: str) -> Quota:
        """Count one and say what is left.

        Raises:
            TooManyRequests: ``retry_after_s`` says when the next one is free, and so does
                ``facts['quota']``.
        """
        now_s = self._clock.monotonic_s()
        hits = self._hits.get(key)
        if hits is None:
            hits = self._admit(key)
        limit, window_s = self._rate.hits, self._rate.window_s
        while hits and now_s - hits[0] >= window_s:
            hits.popleft()
        if len(hits) >= limit:
            reset_s = round(window_s - (now_s - hits[0]), 3)
            quota = Quota(limit, 0, reset_s)
            raise TooManyRequests("too many requests", retry_after_s=reset_s, quota=quota)
        hits.append(now_s)
        self._hits.move_to_end(key)
        return Quota(limit, limit - len(hits), window_s - (now_s - hits[0]))

    def forget(self, key: str) -> None:
        """Start ``key`` afresh, as after a login that succeeded."""
        self._hits.pop(key, None)

    def _admit(self, key: str) -> deque[float]:
        if len(self._hits) >= self._capacity_keys:
            self._hits.popitem(last=False)
        return self._hits.setdefault(key, deque())


class LoginLimiter:
    """Slows guessing down from both ends: one name from many places, many names from one.

    Nobody is ever locked out for longer than the window, so nobody can lock another one out.
    """

    def __init__(self, clock: Clock, rate: Rate = LOGIN) -> None:
        self._names = RateLimiter(rate, clock)
        self._addresses = RateLimiter(rate, clock)

    def attempt(self, username: str, address: str) -> None:
        """Count one before the password is looked at.

        Raises:
            TooManyRequests: Too many for this name or from this address.
        """
        self._addresses.hit(address)
        self._names.hit(username.casefold())

    def succeeded(self, username: str) -> None:
        """Forget the failed tries at this name. Those of the address stay: it may own one login."""
        self._names.forget(username.casefold())
