"""What requests of Binance USD-M futures cost: CCXT 4.5.90's own costs, which are the venue's."""

from alphapulse.simulator.venues.binance.limits import OrderWindow, Quota
from alphapulse.simulator.venues.binance.params import Params

QUOTA = Quota(
    weight_a_minute=2_400,
    orders=(OrderWindow("SECOND", 10, 300), OrderWindow("MINUTE", 1, 1_200)),
)

_WEIGHTS = {
    "/fapi/v1/trades": 5,
    "/fapi/v1/historicalTrades": 200,
    "/fapi/v1/aggTrades": 20,
    "/fapi/v1/allOrders": 5,
    "/fapi/v1/allAlgoOrders": 5,
    "/fapi/v1/userTrades": 5,
    "/fapi/v1/income": 30,
    "/fapi/v1/commissionRate": 20,
    "/fapi/v1/symbolConfig": 5,
    "/fapi/v1/accountConfig": 5,
    "/fapi/v1/batchOrders": 5,
    "/fapi/v1/countdownCancelAll": 10,
}
_ALL_SYMBOLS = {
    "/fapi/v1/ticker/24hr": (1, 40),
    "/fapi/v1/ticker/price": (1, 2),
    "/fapi/v1/ticker/bookTicker": (2, 5),
    "/fapi/v1/openOrders": (1, 40),
    "/fapi/v1/openAlgoOrders": (1, 40),
    "/fapi/v1/forceOrders": (20, 50),
}
_BY_LIMIT = {
    "/fapi/v1/depth": (500, ((50, 2), (100, 5), (500, 10), (1000, 20))),
    "/fapi/v1/klines": (500, ((99, 1), (499, 2), (1000, 5), (1500, 10))),
}


def weight(method: str, path: str, params: Params) -> int:
    """What a request costs."""
    if path in _ALL_SYMBOLS:
        one, every = _ALL_SYMBOLS[path]
        return one if params.has("symbol") else every
    if path in _BY_LIMIT:
        default, costs = _BY_LIMIT[path]
        limit = params.integer("limit") or default
        return next((cost for most, cost in costs if limit <= most), costs[-1][1])
    if (method, path) == ("GET", "/fapi/v1/positionSide/dual"):
        return 30
    return _WEIGHTS.get(path, 1)
