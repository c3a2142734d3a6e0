"""Bybit's rate limits: per key and path each second, and per address with a ban.

Source: CCXT 4.5.90's cost table (50 / cost a second) and
https://bybit-exchange.github.io/docs/v5/rate-limit, 2026-11.
"""

from collections import deque
from dataclasses import dataclass

from alphapulse.simulator.core.account import ApiKey

DEFAULT_A_SECOND = 10
PER_SECOND = {
    "/v5/account/wallet-balance": 50,
    "/v5/account/fee-rate": 5,
    "/v5/account/transaction-log": 30,
    "/v5/asset/coin/query-info": 2,
    "/v5/asset/deposit/query-record": 5,
    "/v5/asset/transfer/query-inter-transfer-list": 1,
    "/v5/asset/withdraw/query-record": 5,
    "/v5/execution/list": 50,
    "/v5/order/realtime": 50,
    "/v5/order/history": 50,
    "/v5/order/create": 20,
    "/v5/order/amend": 20,
    "/v5/order/cancel": 20,
    "/v5/position/list": 50,
}

ADDRESS_REQUESTS = 600
ADDRESS_WINDOW_MS = 5_000
BAN_MS = 600_000


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of a key's second on one path."""

    limit: int
    left: int
    reset_ms: int
    is_exceeded: bool

    @property
    def headers(self) -> dict[str, str]:
        return {
            "X-Bapi-Limit": str(self.limit),
            "X-Bapi-Limit-Status": str(self.left),
            "X-Bapi-Limit-Reset-Timestamp": str(self.reset_ms),
        }


class RateLimits:
    """Counts in the venue's own time. ``is_enforced`` off still counts and tells."""

    def __init__(self, *, is_enforced: bool = True) -> None:
        self.is_enforced = is_enforced
        self.refusals = 0
        """Requests refused since the start."""
        self._windows: dict[tuple[str, str], tuple[int, int]] = {}
        self._addresses: dict[str, deque[int]] = {}
        self._banned_until_ms: dict[str, int] = {}

    def spend(self, key: ApiKey, path: str, now_ms: int) -> Budget:
        """Count one private request."""
        limit = PER_SECOND.get(path, DEFAULT_A_SECOND)
        second = now_ms // 1000
        known, used = self._windows.get((key.key, path), (second, 0))
        used = used + 1 if known == second else 1
        self._windows[key.key, path] = (second, used)
        is_exceeded = self.is_enforced and used > limit
        self.refusals += is_exceeded
        reset_ms = (second + 1) * 1000 if is_exceeded else now_ms
        return Budget(limit, max(0, limit - used), reset_ms, is_exceeded)

    def is_banned(self, address: str, now_ms: int) -> bool:
        """Count one request of an address; whether it must stay away."""
        if not self.is_enforced:
            return False
        if now_ms < self._banned_until_ms.get(address, 0):
            self.refusals += 1
            return True
        seen = self._addresses.setdefault(address, deque(maxlen=ADDRESS_REQUESTS))
        is_full = len(seen) == ADDRESS_REQUESTS
        if is_full and now_ms - seen[0] < ADDRESS_WINDOW_MS:
            self._banned_until_ms[address] = now_ms + BAN_MS
            self.refusals += 1
            return True
        seen.append(now_ms)
        return False

    def lift_bans(self) -> None:
        """Forgive every address, and forget what it sent."""
        self._banned_until_ms.clear()
        self._addresses.clear()
