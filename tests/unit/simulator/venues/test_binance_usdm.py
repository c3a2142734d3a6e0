"""Binance USD-M: weights as CCXT pays them, and listen keys that end."""

import ccxt
import pytest

from alphapulse.simulator.core.account import Account, ApiKey
from alphapulse.simulator.core.clock import AuthClock
from alphapulse.simulator.venues.binance.codes import BinanceError
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance.routes import Caller
from alphapulse.simulator.venues.binance_usdm.limits import weight
from alphapulse.simulator.venues.binance_usdm.listen_keys import PATH, ListenKeys
from tests.fixtures.clock import HandClock

NOTHING = Params({})
MINUTE_S = 60

ROUTES = [
    *(("fapiPublic", "get", p) for p in ("ping", "time", "exchangeInfo", "trades", "aggTrades")),
    *(("fapiPublic", "get", p) for p in ("depth", "klines", "premiumIndex", "fundingRate")),
    *(("fapiPublic", "get", f"ticker/{p}") for p in ("24hr", "price", "bookTicker")),
    *(("fapiPrivate", "get", p) for p in ("order", "openOrders", "allOrders", "userTrades")),
    *(("fapiPrivate", "get", p) for p in ("income", "commissionRate", "positionSide/dual")),
    *(("fapiPrivate", "get", p) for p in ("openAlgoOrders", "allAlgoOrders", "accountConfig")),
    *(("fapiPrivate", "post", p) for p in ("leverage", "marginType", "listenKey", "algoOrder")),
    *(("fapiPrivate", "delete", p) for p in ("order", "allOpenOrders", "algoOpenOrders")),
]


@pytest.mark.parametrize(("api", "method", "path"), ROUTES)
def test_request_costs_what_ccxt_pays(api: str, method: str, path: str) -> None:
    entry = ccxt.binanceusdm().describe()["api"][api][method][path]
    params = Params({"symbol": "BTCUSDT", "limit": "500"})
    by_limit = dict(entry.get("byLimit", ()))
    cost = next((c for most, c in by_limit.items() if most >= 500), entry["cost"])

    assert weight(method.upper(), f"/fapi/v1/{path}", params) == cost
    if "noSymbol" in entry:
        assert weight(method.upper(), f"/fapi/v1/{path}", NOTHING) == entry["noSymbol"]


def test_listen_key_lives_an_hour_from_its_last_renewal(clock: HandClock) -> None:
    keys = ListenKeys(AuthClock(clock))
    caller = Caller(ApiKey("sim-key-1", "secret"), Account("ann", "ann", 1, {}))

    def call(method: str) -> str:
        return str(keys.routes[method, PATH](NOTHING, caller)["listenKey"])  # type: ignore[index]

    first = call("POST")
    clock.advance(50 * MINUTE_S)
    assert call("PUT") == call("POST") == first
    clock.advance(59 * MINUTE_S)
    assert keys.find(first) is not None
    clock.advance(MINUTE_S)
    assert keys.find(first) is None
    with pytest.raises(BinanceError, match="does not exist") as caught:
        call("PUT")
    assert caught.value.code == -1125
    assert call("POST") != first
