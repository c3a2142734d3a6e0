"""Binance's rate limits: weight per address and minute, orders per account, then bans.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits and
/docs/derivatives/usds-margined-futures/general-info, 2026-11.
"""

from dataclasses import dataclass, field

from alphapulse.simulator.venues.binance.codes import (
    BANNED,
    TOO_MANY_REQUESTS,
    BinanceError,
)

MINUTE_MS = 60_000
SAPI_WEIGHT_A_MINUTE = 12_000
SAPI_UID_WEIGHT_A_MINUTE = 180_000

# Requests that an address may send after its first 429 of a minute before it is banned.
PATIENCE = 20
FIRST_BAN_MS = 120_000
LONGEST_BAN_MS = 3 * 86_400_000

_UNITS_MS = {"SECOND": 1_000, "MINUTE": MINUTE_MS, "DAY": 86_400_000}


@dataclass(frozen=True, slots=True)
class OrderWindow:
    """How many orders an account may send in ``number`` of ``unit``."""

    unit: str
    number: int
    limit: int

    @property
    def length_ms(self) -> int:
        return self.number * _UNITS_MS[self.unit]

    @property
    def short(self) -> str:
        """``10S``, ``1D``."""
        return f"{self.number}{self.unit[0]}"

    @property
    def row(self) -> dict[str, object]:
        return {
            "rateLimitType": "ORDERS",
            "interval": self.unit,
            "intervalNum": self.number,
            "limit": self.limit,
        }


@dataclass(frozen=True, slots=True)
class Quota:
    """What one of the venue's APIs allows."""

    weight_a_minute: int
    orders: tuple[OrderWindow, ...]

    @property
    def weight_row(self) -> dict[str, object]:
        return {
            "rateLimitType": "REQUEST_WEIGHT",
            "interval": "MINUTE",
            "intervalNum": 1,
            "limit": self.weight_a_minute,
        }

    @property
    def rows(self) -> list[dict[str, object]]:
        """As ``exchangeInfo`` tells them."""
        return [self.weight_row, *(window.row for window in self.orders)]


@dataclass(slots=True)
class _Window:
    """What was used in the current interval of some length."""

    number: int = -1
    used: int = 0

    def add(self, amount: int, length_ms: int, now_ms: int) -> int:
        number = now_ms // length_ms
        if number != self.number:
            self.number, self.used = number, 0
        self.used += amount
        return self.used


@dataclass(slots=True)
class _Address:
    """What the venue remembers of one client address."""

    weight: _Window = field(default_factory=_Window)
    sapi_weight: _Window = field(default_factory=_Window)
    refused: _Window = field(default_factory=_Window)
    banned_until_ms: int = 0
    next_ban_ms: int = FIRST_BAN_MS


class RateLimits:
    """Counts in the venue's own time. ``is_enforced`` off still counts and tells."""

    def __init__(self, quota: Quota, *, is_enforced: bool = True) -> None:
        self.quota = quota
        self.is_enforced = is_enforced
        self.refusals = 0
        """Requests refused since the start."""
        self._addresses: dict[str, _Address] = {}
        self._orders: dict[str, list[_Window]] = {}
        self._uids: dict[str, _Window] = {}

    def spend(self, remote: str, path: str, amount: int, now_ms: int) -> dict[str, str]:
        """Count a request of an address; the headers that tell what it used.

        Raises:
            BinanceError: 429, or 418 while the address is banned.
        """
        address = self._addresses.setdefault(remote, _Address())
        if self.is_enforced and now_ms < address.banned_until_ms:
            self.refusals += 1
            raise _banned(address.banned_until_ms, now_ms)
        if path.startswith("/sapi/"):
            used = address.sapi_weight.add(amount, MINUTE_MS, now_ms)
            return self._told(
                address, used, SAPI_WEIGHT_A_MINUTE, now_ms, "X-SAPI-USED-IP-WEIGHT-1M"
            )
        used = address.weight.add(amount, MINUTE_MS, now_ms)
        headers = self._told(
            address, used, self.quota.weight_a_minute, now_ms, "X-MBX-USED-WEIGHT-1M"
        )
        return headers | {"X-MBX-USED-WEIGHT": str(used)}

    def spend_uid(self, account_id: str, amount: int, now_ms: int) -> dict[str, str]:
        """Count a request of an account; the headers that tell what it used.

        Raises:
            BinanceError: 429.
        """
        used = self._uids.setdefault(account_id, _Window()).add(amount, MINUTE_MS, now_ms)
        headers = {"X-SAPI-USED-UID-WEIGHT-1M": str(used)}
        if self.is_enforced and used > SAPI_UID_WEIGHT_A_MINUTE:
            self.refusals += 1
            raise _too_much("UID", SAPI_UID_WEIGHT_A_MINUTE, headers, now_ms)
        return headers

    def count_order(self, account_id: str, now_ms: int) -> dict[str, str]:
        """Count one new order of an account; the headers that tell.

        Raises:
            BinanceError: -1015.
        """
        counts = self._count(account_id, 1, now_ms)
        windows = list(zip(self.quota.orders, counts, strict=True))
        headers = {f"X-MBX-ORDER-COUNT-{w.short}": str(count) for w, count in windows}
        over = [window for window, count in windows if count > window.limit]
        if not self.is_enforced or not over:
            return headers
        self.refusals += 1
        words = f"{over[-1].limit} orders per {over[-1].number} {over[-1].unit}"
        refused = BinanceError(
            -1015, f"Too many new orders; current limit is {words}.", status=TOO_MANY_REQUESTS
        )
        refused.headers = {**headers, "Retry-After": str(10 - now_ms // 1000 % 10)}
        raise refused

    def order_counts(self, account_id: str, now_ms: int) -> list[int]:
        """Orders of an account in each window of the quota."""
        return self._count(account_id, 0, now_ms)

    def _count(self, account_id: str, amount: int, now_ms: int) -> list[int]:
        windows = self._orders.setdefault(account_id, [_Window() for _ in self.quota.orders])
        return [
            window.add(amount, length.length_ms, now_ms)
            for window, length in zip(windows, self.quota.orders, strict=True)
        ]

    def used(self, remote: str, now_ms: int) -> int:
        """Weight an address used in the current minute."""
        return self._addresses.setdefault(remote, _Address()).weight.add(0, MINUTE_MS, now_ms)

    def lift_bans(self) -> None:
        """Forgive every address, and forget what it sent."""
        self._addresses.clear()
        self._orders.clear()
        self._uids.clear()

    def _told(
        self, address: _Address, used: int, limit: int, now_ms: int, header: str
    ) -> dict[str, str]:
        headers = {header: str(used)}
        if not self.is_enforced or used <= limit:
            return headers
        self.refusals += 1
        if address.refused.add(1, MINUTE_MS, now_ms) > PATIENCE:
            address.banned_until_ms = now_ms + address.next_ban_ms
            address.next_ban_ms = min(2 * address.next_ban_ms, LONGEST_BAN_MS)
            raise _banned(address.banned_until_ms, now_ms)
        raise _too_much("request", limit, headers, now_ms)


def _too_much(kind: str, limit: int, headers: dict[str, str], now_ms: int) -> BinanceError:
    refused = BinanceError(
        -1003,
        f"Too much request weight used; current limit is {limit} {kind} weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API.",
        status=TOO_MANY_REQUESTS,
    )
    refused.headers = {**headers, "Retry-After": str(60 - now_ms // 1000 % 60)}
    return refused


def _banned(until_ms: int, now_ms: int) -> BinanceError:
    refused = BinanceError(
        -1003,
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans.",
        status=BANNED,
    )
    refused.headers = {"Retry-After": str(-(-(until_ms - now_ms) // 1000))}
    return refused
