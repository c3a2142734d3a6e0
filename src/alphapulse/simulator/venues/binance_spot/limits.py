"""Binance's rate limits: weight per address and minute, orders per account, then bans.

Weights are CCXT 4.5.90's own costs divided by 0.2, which gives the venue's documented ones.
Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits, 2026-11.
"""

from dataclasses import dataclass, field

from alphapulse.simulator.venues.binance_spot.codes import (
    BANNED,
    TOO_MANY_REQUESTS,
    BinanceError,
)
from alphapulse.simulator.venues.binance_spot.params import Params

MINUTE_MS = 60_000
WEIGHT_A_MINUTE = 6_000
SAPI_WEIGHT_A_MINUTE = 12_000
ORDERS_10S = 100
ORDERS_1D = 200_000

RATE_LIMITS = (
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6_000},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": ORDERS_10S},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": ORDERS_1D},
    {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000},
)

# Requests that an address may send after its first 429 of a minute before it is banned.
PATIENCE = 20
FIRST_BAN_MS = 120_000
LONGEST_BAN_MS = 3 * 86_400_000

_WEIGHTS = {
    "/api/v3/aggTrades": 2,
    "/api/v3/klines": 2,
    "/api/v3/uiKlines": 2,
    "/api/v3/trades": 10,
    "/api/v3/historicalTrades": 10,
    "/api/v3/avgPrice": 2,
    "/api/v3/exchangeInfo": 20,
    "/api/v3/account": 20,
    "/api/v3/account/commission": 20,
    "/api/v3/allOrders": 20,
    "/api/v3/myTrades": 20,
    "/api/v3/rateLimit/order": 40,
    "/sapi/v1/capital/config/getall": 10,
}
_ALL_SYMBOLS = {
    "/api/v3/ticker/24hr": (2, 80),
    "/api/v3/ticker/price": (2, 4),
    "/api/v3/ticker/bookTicker": (2, 4),
}
_DEPTH = ((100, 5), (500, 25), (1000, 50), (5000, 250))


def weight(method: str, path: str, params: Params) -> int:
    """What a request costs."""
    if path in _ALL_SYMBOLS:
        one, every = _ALL_SYMBOLS[path]
        return one if params.has("symbol") or params.has("symbols") else every
    if path == "/api/v3/depth":
        limit = params.integer("limit") or 100
        return next((cost for most, cost in _DEPTH if limit <= most), 250)
    if method == "GET" and path == "/api/v3/openOrders":
        return 6 if params.has("symbol") else 80
    if method == "GET" and path == "/api/v3/order":
        return 4
    return _WEIGHTS.get(path, 1)


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

    def __init__(self, *, is_enforced: bool = True) -> None:
        self.is_enforced = is_enforced
        self.refusals = 0
        """Requests refused since the start."""
        self._addresses: dict[str, _Address] = {}
        self._orders: dict[str, tuple[_Window, _Window]] = {}

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
        headers = self._told(address, used, WEIGHT_A_MINUTE, now_ms, "X-MBX-USED-WEIGHT-1M")
        return headers | {"X-MBX-USED-WEIGHT": str(used)}

    def count_order(self, account_id: str, now_ms: int) -> dict[str, str]:
        """Count one new order of an account; the headers that tell.

        Raises:
            BinanceError: -1015.
        """
        short, day = self._orders.setdefault(account_id, (_Window(), _Window()))
        in_10s = short.add(1, 10_000, now_ms)
        in_day = day.add(1, 86_400_000, now_ms)
        headers = {"X-MBX-ORDER-COUNT-10S": str(in_10s), "X-MBX-ORDER-COUNT-1D": str(in_day)}
        if not self.is_enforced or (in_10s <= ORDERS_10S and in_day <= ORDERS_1D):
            return headers
        self.refusals += 1
        words = f"{ORDERS_10S} orders per 10 SECOND"
        if in_day > ORDERS_1D:
            words = f"{ORDERS_1D} orders per 1 DAY"
        refused = BinanceError(
            -1015, f"Too many new orders; current limit is {words}.", status=TOO_MANY_REQUESTS
        )
        refused.headers = {**headers, "Retry-After": str(10 - now_ms // 1000 % 10)}
        raise refused

    def order_counts(self, account_id: str, now_ms: int) -> tuple[int, int]:
        """Orders of an account in the current ten seconds and the current day."""
        short, day = self._orders.setdefault(account_id, (_Window(), _Window()))
        return short.add(0, 10_000, now_ms), day.add(0, 86_400_000, now_ms)

    def used(self, remote: str, now_ms: int) -> int:
        """Weight an address used in the current minute."""
        return self._addresses.setdefault(remote, _Address()).weight.add(0, MINUTE_MS, now_ms)

    def lift_bans(self) -> None:
        """Forgive every address, and forget what it sent."""
        self._addresses.clear()
        self._orders.clear()

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
        refused = BinanceError(
            -1003,
            f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
            status=TOO_MANY_REQUESTS,
        )
        refused.headers = {**headers, "Retry-After": str(60 - now_ms // 1000 % 60)}
        raise refused


def _banned(until_ms: int, now_ms: int) -> BinanceError:
    refused = BinanceError(
        -1003,
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans.",
        status=BANNED,
    )
    refused.headers = {"Retry-After": str(-(-(until_ms - now_ms) // 1000))}
    return refused
