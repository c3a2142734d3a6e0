"""What requests of Binance spot cost.

Weights are CCXT 4.5.90's own costs divided by 0.2, which gives the venue's documented ones.
Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits, 2026-11.
"""

from alphapulse.simulator.venues.binance.limits import OrderWindow, Quota
from alphapulse.simulator.venues.binance.params import Params

QUOTA = Quota(
    weight_a_minute=6_000,
    orders=(OrderWindow("SECOND", 10, 100), OrderWindow("DAY", 1, 200_000)),
)

RAW_REQUESTS = {
    "rateLimitType": "RAW_REQUESTS",
    "interval": "MINUTE",
    "intervalNum": 5,
    "limit": 61_000,
}

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
    "/api/v3/order/amend/keepPriority": 4,
    "/sapi/v1/capital/config/getall": 10,
    "/sapi/v1/asset/assetDividend": 10,
}
_UID_WEIGHTS = {
    ("GET", "/sapi/v1/capital/withdraw/history"): 18_000,
    ("POST", "/sapi/v1/asset/transfer"): 900,
}
_ALL_SYMBOLS = {
    "/api/v3/ticker/24hr": (2, 80),
    "/api/v3/ticker/price": (2, 4),
    "/api/v3/ticker/bookTicker": (2, 4),
}
_DEPTH = ((100, 5), (500, 25), (1000, 50), (5000, 250))


def uid_weight(method: str, path: str) -> int:
    """What a request costs the account, whatever address it comes from."""
    return _UID_WEIGHTS.get((method, path), 0)


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
