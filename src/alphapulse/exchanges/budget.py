"""Rate budgets: how much may be sent to one exchange from this address, and with one key.

The first is shared by every account on the exchange in this process, the second by all who hold
the key. CCXT's own throttler is off: it knows one instance only, and polls a thousand times a
second while anything waits.
"""

import asyncio
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from weakref import WeakValueDictionary

from alphapulse.domain.clock import Clock
from alphapulse.errors import RateLimited
from alphapulse.exchanges.venues import Limit

# Reads leave a fifth of the budget to orders and cancels.
READ_SHARE = 0.8


class RateBudget:
    """Counts what was sent in the last window, by what we know and by what the venue says."""

    def __init__(self, exchange: str, limit: Limit, clock: Clock, *, max_wait_s: float) -> None:
        self._exchange = exchange
        self._limit = limit
        self._clock = clock
        self._max_wait_s = max_wait_s
        self._spent: deque[tuple[float, float]] = deque()
        self._sum = 0.0
        self._held_until_s = 0.0
        self._last = (-math.inf, 0.0)

    @property
    def used(self) -> Decimal:
        """Share 0..1 of the whole budget in use now; 1 while the venue makes us wait."""
        if self.held_s > 0:
            return Decimal(1)
        self._forget()
        return min(Decimal(1), Decimal(str(round(self._sum / self._limit.units, 4))))

    @property
    def held_s(self) -> float:
        """Seconds until anything may be sent again; 0 normally."""
        return max(0.0, self._held_until_s - self._clock.monotonic_s())

    def hold(self, seconds: float) -> None:
        """Send nothing for so long; a shorter hold does not end a longer one."""
        self._held_until_s = max(self._held_until_s, self._clock.monotonic_s() + seconds)

    async def spend(self, cost: float, *, urgent: bool) -> None:
        """Wait for room and take it; ``urgent`` (orders, cancels) may use the reserve.

        Raises:
            RateLimited: the wait would be longer than allowed; nothing was sent.
        """
        units = self._limit.units_of(cost)
        give_up_at_s = self._clock.monotonic_s() + self._max_wait_s
        while (wait_s := self.wait_s(units, urgent=urgent)) > 0:
            if self._clock.monotonic_s() + wait_s > give_up_at_s:
                raise RateLimited(
                    "waiting for the rate budget",
                    exchange=self._exchange,
                    retry_after_s=round(wait_s, 3),
                )
            await asyncio.sleep(wait_s)
        self.take(units)
        self._last = (self._clock.monotonic_s(), units)

    def wait_s(self, units: float, *, urgent: bool) -> float:
        """Seconds until so many units fit; 0 when they do now."""
        if self.held_s > 0:
            return self.held_s
        if urgent:
            return self._until_free_s(units, self._limit.units)
        room = self._limit.units * READ_SHARE
        return max(self._until_distant_s(room), self._until_free_s(units, room))

    def _until_distant_s(self, room: float) -> float:
        """Seconds that the next read must keep from what was sent last."""
        if not self._limit.is_even:
            return 0.0
        sent_at_s, units = self._last
        return sent_at_s + units * self._limit.window_s / room - self._clock.monotonic_s()

    def _until_free_s(self, units: float, room: float) -> float:
        self._forget()
        excess = self._sum + min(units, room) - room
        if excess <= 0:
            return 0.0
        # The oldest leave the window first.
        for at_s, spent in self._spent:
            excess -= spent
            if excess <= 0:
                return max(0.001, at_s + self._limit.window_s - self._clock.monotonic_s())
        return self._limit.window_s

    def observe(self, headers: Mapping[str, str]) -> None:
        """Believe the venue where it counts more than we do, for others may use it up too."""
        limit = self._limit
        size, left = _number(headers, limit.size_header), _number(headers, limit.left_header)
        if size:
            self._limit = limit = replace(limit, units=size)
        used = _number(headers, limit.used_header) if left is None else limit.units - left
        if used is None:
            return
        self._forget()
        unknown = used - self._sum
        if unknown > 0:
            self.take(unknown)

    def take(self, units: float) -> None:
        """Count what was sent, whether there was room or not."""
        self._spent.append((self._clock.monotonic_s(), units))
        self._sum += units

    def _forget(self) -> None:
        horizon_s = self._clock.monotonic_s() - self._limit.window_s
        while self._spent and self._spent[0][0] <= horizon_s:
            self._sum -= self._spent.popleft()[1]
        if not self._spent:
            self._sum = 0.0


def _number(headers: Mapping[str, str], name: str | None) -> float | None:
    said = "" if name is None else headers.get(name, "")
    return float(said) if said.isdecimal() else None


class KeyBudgets:
    """What may be sent with one key: a budget for each endpoint.

    ``limit`` is what an endpoint is allowed whose cost in CCXT's tables is 1; it holds until the
    venue's first answer tells the endpoint's own.
    """

    def __init__(self, exchange: str, limit: Limit, clock: Clock, *, max_wait_s: float) -> None:
        self._exchange = exchange
        self._limit = limit
        self._clock = clock
        self._max_wait_s = max_wait_s
        self._by_endpoint: dict[str, RateBudget] = {}

    async def spend(self, endpoint: str, cost: float, *, urgent: bool) -> None:
        """Wait until one more request may go there; see `RateBudget.spend`."""
        if endpoint not in self._by_endpoint:
            limit = replace(self._limit, units=self._limit.units / cost)
            self._by_endpoint[endpoint] = RateBudget(
                self._exchange, limit, self._clock, max_wait_s=self._max_wait_s
            )
        await self._by_endpoint[endpoint].spend(1, urgent=urgent)

    def observe(self, endpoint: str, headers: Mapping[str, str]) -> None:
        """Believe what an answer from there says."""
        if endpoint in self._by_endpoint:
            self._by_endpoint[endpoint].observe(headers)

    def hold(self, endpoint: str, seconds: float) -> None:
        """Send nothing there for so long."""
        if endpoint in self._by_endpoint:
            self._by_endpoint[endpoint].hold(seconds)


class Budgets:
    """One budget for each limit of one exchange; a ban holds them all."""

    def __init__(self, exchange: str, clock: Clock, *, max_wait_s: float) -> None:
        self._exchange = exchange
        self._clock = clock
        self._max_wait_s = max_wait_s
        self._by_name: dict[str, RateBudget] = {}
        self._by_key: WeakValueDictionary[str, KeyBudgets] = WeakValueDictionary()
        self._held_until_s = clock.monotonic_s()

    def of(self, name: str, limit: Limit) -> RateBudget:
        """The budget by that name, made when first asked for."""
        if name not in self._by_name:
            budget = RateBudget(self._exchange, limit, self._clock, max_wait_s=self._max_wait_s)
            budget.hold(self._held_until_s - self._clock.monotonic_s())
            self._by_name[name] = budget
        return self._by_name[name]

    def of_key(self, api_key: str, limit: Limit) -> KeyBudgets:
        """The budgets of a key, the same for all who hold it, forgotten when none does."""
        budgets = self._by_key.get(api_key)
        if budgets is None:
            budgets = KeyBudgets(self._exchange, limit, self._clock, max_wait_s=self._max_wait_s)
            self._by_key[api_key] = budgets
        return budgets

    def hold(self, seconds: float) -> None:
        """Send nothing to the exchange for so long, whichever limit was broken."""
        self._held_until_s = max(self._held_until_s, self._clock.monotonic_s() + seconds)
        for budget in self._by_name.values():
            budget.hold(seconds)

    @property
    def used(self) -> Decimal:
        """The fullest one's share. Those of single keys are left out: their windows are short."""
        return max((budget.used for budget in self._by_name.values()), default=Decimal(0))
