"""Binance's limits: weights as CCXT pays them, windows, bans and how they are told."""

import ccxt
import pytest

from alphapulse.simulator.venues.binance.codes import BinanceError
from alphapulse.simulator.venues.binance.limits import FIRST_BAN_MS, PATIENCE, RateLimits
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance_spot.limits import QUOTA, uid_weight, weight

NOW_MS = 1_700_000_040_000  # the beginning of a minute
ME = "127.0.0.1"

ROUTES = [
    *(("public", "get", p) for p in ("ping", "time", "depth", "trades", "aggTrades", "klines")),
    *(("public", "get", p) for p in ("exchangeInfo", "avgPrice", "historicalTrades")),
    *(("public", "get", f"ticker/{p}") for p in ("24hr", "price", "bookTicker")),
    *(("private", "get", p) for p in ("order", "openOrders", "allOrders", "account", "myTrades")),
    *(("private", "post", p) for p in ("order", "order/test", "order/cancelReplace")),
    *(("private", "delete", p) for p in ("order", "openOrders")),
]


@pytest.mark.parametrize(("kind", "method", "path"), ROUTES)
def test_weight_is_ccxts_cost_divided_by_a_fifth(kind: str, method: str, path: str) -> None:
    cost = ccxt.binance().describe()["api"][kind][method][path]
    named, bare = Params({"symbol": "BTCUSDT"}), Params({})
    route = method.upper(), f"/api/v3/{path}"

    assert weight(*route, named) == round(cost["cost"] / 0.2)
    if "noSymbol" in cost:
        assert weight(*route, bare) == round(cost["noSymbol"] / 0.2)
    for limit, price in cost.get("byLimit", ()):
        asked = Params({"symbol": "BTCUSDT", "limit": str(limit)})
        assert weight(*route, asked) == round(price / 0.2)


def refused(limits: RateLimits, amount: int, now_ms: int) -> BinanceError:
    with pytest.raises(BinanceError) as error:
        limits.spend(ME, "/api/v3/depth", amount, now_ms)
    return error.value


def test_weight_adds_up_within_a_minute_and_is_forgotten_after_it() -> None:
    limits = RateLimits(QUOTA)
    limits.spend(ME, "/api/v3/depth", 250, NOW_MS)
    same = limits.spend(ME, "/api/v3/time", 1, NOW_MS + 59_999)
    following = limits.spend(ME, "/api/v3/time", 1, NOW_MS + 60_000)
    other = limits.spend("127.0.0.2", "/api/v3/time", 1, NOW_MS)

    told = [h["X-MBX-USED-WEIGHT-1M"] for h in (same, following, other)]
    assert told == ["251", "1", "1"]


def test_who_goes_on_after_429_is_banned_and_each_ban_is_longer() -> None:
    limits = RateLimits(QUOTA)
    limits.spend(ME, "/api/v3/depth", QUOTA.weight_a_minute, NOW_MS)
    first = [refused(limits, 1, NOW_MS + 10_000) for _ in range(PATIENCE + 1)]
    until_ms = NOW_MS + 10_000 + FIRST_BAN_MS
    still = refused(limits, 1, until_ms - 1)
    limits.spend(ME, "/api/v3/depth", QUOTA.weight_a_minute, until_ms)
    again = [refused(limits, 1, until_ms) for _ in range(PATIENCE + 1)]

    assert [error.status for error in first] == [429] * PATIENCE + [418]
    assert first[0].headers["Retry-After"] == "50"
    assert (still.status, still.headers["Retry-After"]) == (418, "1")
    assert str(until_ms) in first[-1].message
    assert int(again[-1].headers["Retry-After"]) == 2 * FIRST_BAN_MS // 1000


def test_account_has_a_budget_of_its_own_whatever_address_asks() -> None:
    limits = RateLimits(QUOTA)
    cost = uid_weight("GET", "/sapi/v1/capital/withdraw/history")
    told = [limits.spend_uid("ann", cost, NOW_MS) for _ in range(10)]
    limits.spend_uid("bob", cost, NOW_MS)

    assert told[-1] == {"X-SAPI-USED-UID-WEIGHT-1M": "180000"}
    with pytest.raises(BinanceError, match="180000 UID weight") as caught:
        limits.spend_uid("ann", cost, NOW_MS + 20_000)
    assert (caught.value.status, caught.value.headers["Retry-After"]) == (429, "40")
    limits.spend_uid("ann", cost, NOW_MS + 60_000)


def test_unenforced_limits_still_tell() -> None:
    limits = RateLimits(QUOTA, is_enforced=False)
    headers = limits.spend(ME, "/api/v3/depth", 10 * QUOTA.weight_a_minute, NOW_MS)

    assert headers["X-MBX-USED-WEIGHT-1M"] == str(10 * QUOTA.weight_a_minute)


def test_orders_are_limited_per_account_and_ten_seconds() -> None:
    limits = RateLimits(QUOTA)
    for _ in range(QUOTA.orders[0].limit):
        limits.count_order("ann", NOW_MS)
    with pytest.raises(BinanceError) as error:
        limits.count_order("ann", NOW_MS)
    later = limits.count_order("ann", NOW_MS + 10_000)
    other = limits.count_order("bob", NOW_MS)

    assert (error.value.code, error.value.status) == (-1015, 429)
    assert later == {"X-MBX-ORDER-COUNT-10S": "1", "X-MBX-ORDER-COUNT-1D": "102"}
    assert other["X-MBX-ORDER-COUNT-10S"] == "1"
