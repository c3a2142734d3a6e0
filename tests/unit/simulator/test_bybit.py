"""Bybit's face without a socket: keys, clocks, limits, pages and the words it refuses in."""

import hmac
import json
from decimal import Decimal
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import pytest
from multidict import CIMultiDict

from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account, ApiKey
from alphapulse.simulator.core.candles import DAY_MS, MINUTE_MS
from alphapulse.simulator.core.clock import AuthClock, VirtualMarketClock, milliseconds
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.listing import linear_instruments, spot_instruments
from alphapulse.simulator.core.order import OrderKind, OrderRequest
from alphapulse.simulator.venues.bybit import limits
from alphapulse.simulator.venues.bybit.face import BybitFace
from alphapulse.simulator.venues.bybit.limits import RateLimits
from alphapulse.simulator.venues.bybit.params import page
from alphapulse.simulator.venues.face import Answer, Request
from tests.fixtures.clock import HandClock

Json = Any

KEY, SECRET = "sim-unit-key", "sim-unit-secret"


class Bench:
    """One account at a venue whose prices stand still, and a client that signs."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.auth_clock = AuthClock(clock)
        self.market_clock = VirtualMarketClock(self.now_ms)
        self.venue = Venue("bybit", (*spot_instruments(), *linear_instruments()), self.market_clock)
        self.account: Account = self.venue.open_account(
            "unit", {"USDT": Decimal(100_000), "BTC": Decimal(2)}
        )
        self.key = ApiKey(KEY, SECRET, "unit", "unit", self.now_ms)
        self.venue.add_key(self.key)
        for market in self.venue.markets.values():
            if market.instrument.base == "BTC":
                self.venue.set_price(market, Decimal(50_000))
        self.limits = RateLimits()
        self.face = BybitFace(self.venue, self.auth_clock, self.limits)

    @property
    def now_ms(self) -> int:
        return milliseconds(self.clock.now())

    def trade(self, quantity: str = "0.01", category: Category = Category.SPOT) -> None:
        request = OrderRequest(Side.BUY, OrderKind.MARKET, Decimal(quantity))
        self.venue.place(self.account, self.venue.market(category, "BTCUSDT"), request)

    def public(self, path: str, **params: object) -> Json:
        return self.ask(self.request("GET", path, urlencode(params)))

    def get(self, path: str, **params: object) -> Json:
        return self.ask(self.signed("GET", path, urlencode(params)))

    def post(self, path: str, **params: object) -> Json:
        return self.ask(self.signed("POST", path, body=json.dumps(params).encode()))

    def ask(self, request: Request) -> Json:
        answer = self.face.answer(request)
        assert answer.status == 200
        return json.loads(answer.body)

    def request(self, method: str, path: str, query: str = "", body: bytes = b"") -> Request:
        return Request(method, "api.bybit.com", path, query, CIMultiDict(), body, "127.0.0.1")

    def signed(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes = b"",
        *,
        stamp: str | None = None,
        name: str = KEY,
        secret: str = SECRET,
    ) -> Request:
        stamp, window = stamp or str(self.now_ms), "5000"
        payload = f"{stamp}{name}{window}".encode() + (body if method == "POST" else query.encode())
        named = CIMultiDict(
            {
                "x-bapi-api-key": name,
                "x-bapi-timestamp": stamp,
                "x-bapi-recv-window": window,
                "x-bapi-sign": hmac.new(secret.encode(), payload, sha256).hexdigest(),
            }
        )
        return Request(method, "api.bybit.com", path, query, named, body, "127.0.0.1")


@pytest.fixture
def bench(clock: HandClock) -> Bench:
    return Bench(clock)


INFO = "/v5/account/info"


def test_signed_request_is_answered_with_headers(bench: Bench) -> None:
    answer: Answer = bench.face.answer(bench.signed("GET", INFO))

    assert json.loads(answer.body)["retCode"] == 0
    assert answer.headers["X-Bapi-Limit"] == "10"
    assert answer.headers["X-Bapi-Limit-Status"] == "9"


def test_missing_signature_is_10001(bench: Bench) -> None:
    assert bench.ask(bench.request("GET", INFO))["retCode"] == 10001


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "sim-nobody"}, 10003),
        ({"secret": "wrong"}, 10004),
        ({"stamp": "never"}, 10002),
    ],
)
def test_wrong_key_secret_or_time_has_its_code(
    change: dict[str, Any], code: int, bench: Bench
) -> None:
    assert bench.ask(bench.signed("GET", INFO, **change))["retCode"] == code


@pytest.mark.parametrize(
    ("ahead_ms", "code"), [(-5000, 0), (-5001, 10002), (999, 0), (1000, 10002)]
)
def test_clock_must_be_within_the_window(ahead_ms: int, code: int, bench: Bench) -> None:
    request = bench.signed("GET", INFO, stamp=str(bench.now_ms + ahead_ms))

    assert bench.ask(request)["retCode"] == code


def test_signature_is_over_the_raw_bytes(bench: Bench) -> None:
    body = b'{ "category":"spot" , "symbol" : "BTCUSDT", "side":"Buy",\n"orderType":"Limit",'
    body += b' "qty":0.01, "price":"40000.10"}'

    assert bench.ask(bench.signed("POST", "/v5/order/create", body=body))["retCode"] == 0
    (order,) = bench.account.open_orders.values()
    assert (order.quantity, order.limit_price) == (Decimal("0.01"), Decimal("40000.10"))


def test_refused_address_and_missing_permission_have_their_codes(bench: Bench) -> None:
    bench.key.can_trade = False
    no_trading = bench.post("/v5/order/cancel-all", category="spot")
    bench.key.is_ip_refused = True
    no_address = bench.get(INFO)

    assert (no_trading["retCode"], no_address["retCode"]) == (10005, 10010)


def test_too_many_requests_of_a_second_are_10006_until_the_next(bench: Bench) -> None:
    codes = [bench.get(INFO)["retCode"] for _ in range(11)]
    answer = bench.face.answer(bench.signed("GET", INFO))
    bench.clock.advance(1)

    assert codes == [0] * 10 + [10006]
    assert int(answer.headers["X-Bapi-Limit-Reset-Timestamp"]) > bench.now_ms - 1000
    assert bench.get(INFO)["retCode"] == 0


def test_address_that_floods_is_banned_and_forgiven(bench: Bench) -> None:
    request = bench.request("GET", "/v5/market/time")
    statuses = [bench.face.answer(request).status for _ in range(limits.ADDRESS_REQUESTS + 1)]
    bench.clock.advance(limits.BAN_MS / 1000 - 1)
    still = bench.face.answer(request).status
    bench.clock.advance(1)

    assert statuses == [200] * limits.ADDRESS_REQUESTS + [403]
    assert (still, bench.face.answer(request).status) == (403, 200)


def test_unknown_route_is_10017(bench: Bench) -> None:
    assert bench.public("/v5/market/nothing")["retCode"] == 10017
    assert bench.post("/v5/market/time")["retCode"] == 10017


@pytest.mark.parametrize("category", ["inverse", "option"])
def test_other_categories_are_empty(category: str, bench: Bench) -> None:
    for path in ("/v5/market/instruments-info", "/v5/market/tickers"):
        assert bench.public(path, category=category)["result"]["list"] == []


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/v5/market/tickers", {"category": "spot", "symbol": "NOPE"}),
        ("/v5/market/tickers", {"category": "bonds"}),
        ("/v5/market/kline", {"category": "spot", "symbol": "BTCUSDT", "interval": "7"}),
        ("/v5/market/orderbook", {"category": "spot", "symbol": "BTCUSDT", "limit": "many"}),
    ],
)
def test_bad_parameters_are_10001(path: str, params: dict[str, str], bench: Bench) -> None:
    assert bench.public(path, **params)["retCode"] == 10001


def test_body_that_is_no_object_is_10001(bench: Bench) -> None:
    for body in (b"[]", b"{", b"\xff"):
        assert bench.ask(bench.signed("POST", "/v5/order/create", body=body))["retCode"] == 10001


def test_executions_page_from_newest_to_oldest_without_gap_or_repeat(bench: Bench) -> None:
    for _ in range(25):
        bench.market_clock.move_to(bench.market_clock.now_ms() + MINUTE_MS)
        bench.trade()
    seen: list[str] = []
    cursor, pages = "", 0
    while True:
        more = {"cursor": cursor} if cursor else {}
        answer = bench.get("/v5/execution/list", category="spot", limit=10, **more)
        # Something new happens between two pages; it must not shift them.
        bench.trade()
        seen += [row["execId"] for row in answer["result"]["list"]]
        cursor, pages = answer["result"]["nextPageCursor"], pages + 1
        if not cursor:
            break

    assert (len(seen), len(set(seen)), pages) == (25, 25, 3)


def test_history_beyond_seven_days_must_be_asked_for(bench: Bench) -> None:
    bench.trade()
    start = bench.market_clock.now_ms()
    bench.market_clock.move_to(start + 8 * DAY_MS)
    now = bench.market_clock.now_ms()

    def count(**window: object) -> int:
        return len(bench.get("/v5/execution/list", category="spot", **window)["result"]["list"])

    assert count() == 0
    assert count(startTime=start) == 1
    assert count(endTime=start + DAY_MS) == 1
    assert count(startTime=start, endTime=start + 7 * DAY_MS) == 1
    too_long = bench.get("/v5/execution/list", category="spot", startTime=start, endTime=now)
    assert too_long["retCode"] == 10001


def test_wrong_cursor_is_10001(bench: Bench) -> None:
    answer = bench.get("/v5/execution/list", category="spot", cursor="../../etc")

    assert answer["retCode"] == 10001


def test_page_of_nothing_is_empty() -> None:
    assert page([], None, 10) == ([], "")


def test_wallet_counts_position_profit_into_equity(bench: Bench) -> None:
    bench.trade("0.5", Category.LINEAR)
    swap = bench.venue.market(Category.LINEAR, "BTCUSDT")
    bench.venue.set_price(swap, Decimal(51_000))

    answer = bench.get("/v5/account/wallet-balance", accountType="UNIFIED", coin="USDT")
    (coin,) = answer["result"]["list"][0]["coin"]
    position = bench.account.positions["BTCUSDT"]
    pnl = position.unrealized_pnl(swap.mark_price)

    assert Decimal(coin["unrealisedPnl"]) == pnl > 0
    assert Decimal(coin["equity"]) == Decimal(coin["walletBalance"]) + pnl
    assert Decimal(coin["totalPositionIM"]) == position.entry_notional / 10


def test_post_only_contract_order_is_acknowledged_and_rejected_later(bench: Bench) -> None:
    answer = bench.post(
        "/v5/order/create",
        category="linear",
        symbol="BTCUSDT",
        side="Buy",
        orderType="Limit",
        qty="0.01",
        price="50100",
        timeInForce="PostOnly",
    )
    order_id = answer["result"]["orderId"]
    (row,) = bench.get("/v5/order/realtime", category="linear", orderId=order_id)["result"]["list"]

    assert answer["retCode"] == 0
    assert (row["orderStatus"], row["rejectReason"]) == ("Rejected", "EC_PostOnlyWillTakeLiquidity")


def test_market_buy_on_spot_is_for_quote_currency_unless_told(bench: Bench) -> None:
    order = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market"}
    before = bench.account.wallet.total("USDT")
    bench.post("/v5/order/create", **order, qty="1000")
    spent = before - bench.account.wallet.total("USDT")

    assert Decimal(990) < spent <= 1000


def test_conditional_order_is_refused_rather_than_taken_for_a_plain_one(bench: Bench) -> None:
    answer = bench.post(
        "/v5/order/create",
        category="linear",
        symbol="BTCUSDT",
        side="Sell",
        orderType="Market",
        qty="0.01",
        triggerPrice="45000",
    )

    assert answer["retCode"] == 10001
    assert bench.account.orders_by_id == {}
