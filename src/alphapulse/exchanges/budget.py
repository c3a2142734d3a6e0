"""Rate budget: how much may be sent to one exchange from this address.

Shared by every account on the exchange in this process. CCXT's own throttler is off: it knows one
instance only, and polls a thousand times a second while anything waits.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from decimal import Decimal

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
        units = cost * self._limit.units_per_cost
        while (wait_s := self.wait_s(units, urgent=urgent)) > 0:
            if wait_s > self._max_wait_s:
                raise RateLimited(
                    "waiting for the rate budget",
                    exchange=self._exchange,
                    retry_after_s=round(wait_s, 3),
                )
            await asyncio.sleep(wait_s)
        self.take(units)

    def wait_s(self, units: float, *, urgent: bool) -> float:
        """Seconds until so many units fit; 0 when they do now."""
        if self.held_s > 0:
            return self.held_s
        self._forget()
        room = self._limit.units * (1.0 if urgent else READ_SHARE)
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
        """Believe the venue where it counts more than we do: others share the address."""
        if self._limit.used_header is None:
            return
        said = headers.get(self._limit.used_header, "")
        if said.isdecimal():
            self._forget()
            unknown = float(said) - self._sum
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


class Budgets:
    """One budget for each limit of one exchange; a ban holds them all."""

    def __init__(self, exchange: str, clock: Clock, *, max_wait_s: float) -> None:
        self._exchange = exchange
        self._clock = clock
        self._max_wait_s = max_wait_s
        self._by_name: dict[str, RateBudget] = {}
        self._held_until_s = clock.monotonic_s()

    def of(self, name: str, limit: Limit) -> RateBudget:
        """The budget by that name, made when first asked for."""
        if name not in self._by_name:
            budget = RateBudget(self._exchange, limit, self._clock, max_wait_s=self._max_wait_s)
            budget.hold(self._held_until_s - self._clock.monotonic_s())
            self._by_name[name] = budget
        return self._by_name[name]

    def hold(self, seconds: float) -> None:
        """Send nothing to the exchange for so long, whichever limit was broken."""
        self._held_until_s = max(self._held_until_s, self._clock.monotonic_s() + seconds)
        for budget in self._by_name.values():
            budget.hold(seconds)

    @property
    def used(self) -> Decimal:
        """The fullest one's share."""
        return max((budget.used for budget in self._by_name.values()), default=Decimal(0))
