"""What is known of each venue beyond CCXT, as data: rules of answers, their shapes, budgets.

Sources of shapes and budgets are the venues' references, read 2026-11; of rules, beside them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alphapulse.exchanges.rule import ANY_VENUE, Rule
from alphapulse.exchanges.rules_binance import BINANCE_SPOT, BINANCE_USDM
from alphapulse.exchanges.rules_bybit import BYBIT
from alphapulse.exchanges.rules_others import OTHERS


@dataclass(frozen=True, slots=True)
class Shape:
    """What a good answer of one path looks like, before CCXT may parse it.

    ``path`` is how the request's path ends, ``inside`` the keys to walk down first. A row must be
    an object with ``keys``, or a list where there are none.
    """

    path: str
    keys: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    one: bool = False
    """An object is good."""
    many: bool = False
    """A list is good, an empty one too."""

    def fits(self, payload: Any) -> bool:
        for key in self.inside:
            if not isinstance(payload, dict) or key not in payload:
                return False
            payload = payload[key]
        if isinstance(payload, list):
            return self.many and all(self._is_row(row) for row in payload)
        return self.one and isinstance(payload, dict) and self._is_row(payload)

    def _is_row(self, row: Any) -> bool:
        if not self.keys:
            return isinstance(row, dict | list)
        return isinstance(row, dict) and all(key in row for key in self.keys)


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate budget: so many units in any window of so many seconds."""

    units: float
    window_s: float
    units_per_cost: float = 1.0
    """Venue units in one unit of CCXT's cost tables."""
    costs_are_equal: bool = False
    """Every request is one unit, whatever CCXT says that it costs."""
    is_even: bool = False
    """Reads keep their distance, instead of all at once and then none until the window is over."""
    used_header: str | None = None
    """Response header with the units the venue counts in the window."""
    left_header: str | None = None
    """Response header with the units that are left in the window."""
    size_header: str | None = None
    """Response header with the units of a whole window, where they differ from ``units``."""

    def units_of(self, cost: float) -> float:
        """What a request takes that has this cost in CCXT's tables."""
        return 1.0 if self.costs_are_equal else cost * self.units_per_cost


@dataclass(frozen=True, slots=True)
class VenueProfile:
    """All that is known of one CCXT class beyond CCXT."""

    rules: tuple[Rule, ...] = ()
    code_key: str = "code"
    message_key: str = "msg"
    inner: tuple[str, str] | None = None
    """Where a refusal of one of several things carries its own code and message: keys in the
    first row of ``data``."""
    success_codes: tuple[str, ...] = ("0", "200")
    shapes: tuple[Shape, ...] = ()
    envelope: tuple[str, ...] = ()
    """Keys that every good answer carries."""
    answers_bare_lists: bool = False
    limit: Limit | None = None
    """Of one address. ``None``: from CCXT's ``rateLimit``."""
    key_limit: Limit | None = None
    """Of one key on an endpoint whose cost in CCXT's tables is 1, where the venue has such."""
    listing_params: Mapping[str, str] = field(default_factory=dict)
    """What to add when the list of markets is asked for."""

    def rule(self, status: int, payload: Any) -> tuple[Rule | None, str | None, str]:
        """The first row that matches, with the venue's code and message."""
        code, message = self._said(payload)
        if code in self.success_codes and status < 400:
            return None, code, message
        for rule in (*self.rules, *ANY_VENUE):
            if rule.matches(status, code, message):
                return rule, code, message
        return None, code, message

    def _said(self, payload: Any) -> tuple[str | None, str]:
        if not isinstance(payload, Mapping):
            return None, ""
        code, message = payload.get(self.code_key), payload.get(self.message_key)
        rows = payload.get("data")
        if self.inner is not None and isinstance(rows, list) and rows and isinstance(rows[0], dict):
            code = rows[0].get(self.inner[0]) or code
            message = rows[0].get(self.inner[1]) or message
        return (
            None if code is None else str(code),
            message if isinstance(message, str) else "",
        )

    def says_something(self, payload: Any) -> bool:
        """Whether there is a body in which a refusal can be read."""
        if self.code_key in self.envelope:
            return isinstance(payload, Mapping) and self.code_key in payload
        return bool(payload)

    def accepts(self, path: str, payload: Any, *, list_is_good: bool) -> bool:
        """Whether a 2xx answer is one: a broken body must never become data."""
        if not isinstance(payload, dict | list) or payload == {}:
            return False
        if not all(key in payload for key in self.envelope):
            return False
        for shape in self.shapes:
            if path.endswith(shape.path):
                return shape.fits(payload)
        if isinstance(payload, list):
            return self.answers_bare_lists and (list_is_good or bool(payload))
        return True


_ORDER_KEYS = ("symbol", "orderId", "clientOrderId", "status", "side", "origQty", "executedQty")
_ALGO_KEYS = ("algoId", "clientAlgoId", "symbol", "algoStatus", "orderType", "side")
_WALLET_KEYS = ("asset", "walletBalance", "availableBalance")
_LIST = ("result", "list")
_ROWS = ("result", "rows")

_BINANCE_SHAPES = (
    Shape("/api/v3/exchangeInfo", ("symbol", "status", "filters"), ("symbols",), many=True),
    Shape("/api/v3/time", ("serverTime",), one=True),
    Shape("/api/v3/account", ("asset", "free", "locked"), ("balances",), many=True),
    Shape("/api/v3/openOrders", _ORDER_KEYS, many=True),
    Shape("/api/v3/allOrders", _ORDER_KEYS, many=True),
    Shape("/api/v3/order", _ORDER_KEYS, one=True),
    Shape("/api/v3/order/amend/keepPriority", ("orderId", "status"), ("amendedOrder",), one=True),
    Shape("/api/v3/depth", ("bids", "asks"), one=True),
    Shape("/sapi/v1/asset/tradeFee", ("symbol", "makerCommission", "takerCommission"), many=True),
    Shape("/api/v3/myTrades", ("id", "orderId", "price", "qty", "time"), many=True),
    Shape("/api/v3/ticker/24hr", ("symbol", "lastPrice"), one=True, many=True),
    Shape("/api/v3/klines", many=True),
    Shape("/sapi/v1/account/apiRestrictions", ("enableReading",), one=True),
    Shape("/sapi/v1/capital/deposit/hisrec", ("id", "amount", "coin", "status"), many=True),
    Shape("/sapi/v1/capital/withdraw/history", ("id", "amount", "coin", "status"), many=True),
    Shape("/sapi/v1/asset/transfer", ("total",), one=True),
    Shape("/sapi/v1/asset/dribblet", ("total", "userAssetDribblets"), one=True),
    Shape("/sapi/v1/asset/assetDividend", ("total", "rows"), one=True),
)

_USDM_SHAPES = (
    Shape("/fapi/v1/exchangeInfo", ("symbol", "status", "filters"), ("symbols",), many=True),
    Shape("/fapi/v1/time", ("serverTime",), one=True),
    Shape("/fapi/v3/account", _WALLET_KEYS, ("assets",), many=True),
    Shape("/fapi/v1/openOrders", _ORDER_KEYS, many=True),
    Shape("/fapi/v1/openAlgoOrders", _ALGO_KEYS, many=True),
    Shape("/fapi/v1/allOrders", _ORDER_KEYS, many=True),
    Shape("/fapi/v1/allAlgoOrders", _ALGO_KEYS, many=True),
    Shape("/fapi/v1/algoOrder", ("algoId", "clientAlgoId"), one=True),
    Shape("/fapi/v1/order", _ORDER_KEYS, one=True),
    Shape("/fapi/v1/depth", ("bids", "asks"), one=True),
    Shape("/fapi/v1/commissionRate", ("symbol", "makerCommissionRate"), one=True),
    Shape("/fapi/v1/leverage", ("symbol", "leverage"), one=True),
    Shape("/fapi/v1/listenKey", ("listenKey",), one=True),
    Shape("/fapi/v1/income", ("incomeType", "income", "asset", "time", "tranId"), many=True),
    Shape("/fapi/v1/userTrades", ("id", "orderId", "price", "qty", "time"), many=True),
    Shape("/fapi/v3/positionRisk", ("symbol", "positionAmt", "entryPrice"), many=True),
    Shape("/fapi/v1/symbolConfig", ("symbol", "leverage"), many=True),
    Shape("/fapi/v1/leverageBracket", ("symbol", "brackets"), many=True),
    Shape("/fapi/v1/ticker/24hr", ("symbol", "lastPrice"), one=True, many=True),
    Shape("/fapi/v1/ticker/bookTicker", ("symbol", "bidPrice"), one=True, many=True),
    Shape("/fapi/v1/premiumIndex", ("symbol", "markPrice"), one=True, many=True),
    Shape("/fapi/v1/klines", many=True),
    Shape("/sapi/v1/account/apiRestrictions", ("enableReading",), one=True),
)

_BYBIT_SHAPES = (
    Shape("/v5/market/time", ("timeNano",), ("result",), one=True),
    Shape("/v5/market/instruments-info", ("symbol", "status"), _LIST, many=True),
    Shape("/v5/market/tickers", ("symbol", "lastPrice"), _LIST, many=True),
    Shape("/v5/market/kline", (), _LIST, many=True),
    Shape("/v5/market/index-price-kline", (), _LIST, many=True),
    Shape("/v5/account/wallet-balance", ("accountType", "coin"), _LIST, many=True),
    Shape("/v5/account/info", ("unifiedMarginStatus",), ("result",), one=True),
    Shape("/v5/user/query-api", ("permissions", "readOnly"), ("result",), one=True),
    Shape("/v5/order/realtime", ("orderId", "symbol", "orderStatus", "side"), _LIST, many=True),
    Shape("/v5/order/history", ("orderId", "symbol", "orderStatus", "side"), _LIST, many=True),
    Shape("/v5/order/create", ("orderId", "orderLinkId"), ("result",), one=True),
    Shape("/v5/order/amend", ("orderId", "orderLinkId"), ("result",), one=True),
    Shape("/v5/order/cancel", ("orderId", "orderLinkId"), ("result",), one=True),
    Shape("/v5/market/orderbook", ("b", "a"), ("result",), one=True),
    Shape("/v5/account/fee-rate", ("symbol", "makerFeeRate", "takerFeeRate"), _LIST, many=True),
    Shape("/v5/execution/list", ("execId", "orderId", "execPrice", "execQty"), _LIST, many=True),
    Shape("/v5/position/list", ("symbol", "size", "side"), _LIST, many=True),
    Shape("/v5/account/transaction-log", ("id", "type", "change", "currency"), _LIST, many=True),
    Shape("/v5/asset/deposit/query-record", ("coin", "amount", "status"), _ROWS, many=True),
    Shape("/v5/asset/withdraw/query-record", ("coin", "amount", "status"), _ROWS, many=True),
)

PROFILES: Mapping[str, VenueProfile] = {
    "binance": VenueProfile(
        rules=BINANCE_SPOT,
        shapes=_BINANCE_SHAPES,
        answers_bare_lists=True,
        limit=Limit(6000, 60, units_per_cost=5, used_header="X-MBX-USED-WEIGHT-1M"),
        # Who may trade what is four fifths of 17 MB, and nothing here reads it.
        listing_params={"showPermissionSets": "false"},
    ),
    "binanceusdm": VenueProfile(
        rules=BINANCE_USDM,
        shapes=_USDM_SHAPES,
        answers_bare_lists=True,
        limit=Limit(2400, 60, used_header="X-MBX-USED-WEIGHT-1M"),
    ),
    "bybit": VenueProfile(
        rules=BYBIT,
        code_key="retCode",
        message_key="retMsg",
        shapes=_BYBIT_SHAPES,
        envelope=("retCode", "result"),
        # 600 requests in 5 s from one address, else a ban; the docs advise to stay well below.
        limit=Limit(400, 5, costs_are_equal=True),
        # In any second, by https://bybit-exchange.github.io/docs/v5/rate-limit. CCXT's costs are
        # 50 divided by what was documented once; it is more by now, and differs from key to key.
        key_limit=Limit(
            50,
            1,
            is_even=True,
            left_header="X-Bapi-Limit-Status",
            size_header="X-Bapi-Limit",
        ),
    ),
    "okx": VenueProfile(rules=OTHERS["okx"], inner=("sCode", "sMsg"), envelope=("code", "data")),
    "kucoin": VenueProfile(
        rules=OTHERS["kucoin"], success_codes=("200000",), envelope=("code", "data")
    ),
    "bitget": VenueProfile(
        rules=OTHERS["bitget"], success_codes=("00000",), envelope=("code", "data")
    ),
    "gate": VenueProfile(
        rules=OTHERS["gate"], code_key="label", message_key="message", answers_bare_lists=True
    ),
    "mexc": VenueProfile(rules=OTHERS["mexc"], answers_bare_lists=True),
    "htx": VenueProfile(rules=OTHERS["htx"], code_key="err-code", message_key="err-msg"),
    "kraken": VenueProfile(envelope=("result",)),
}

# Exchanges of CCXT 4.5.90 with endpoints whose whole answer is a list. From every other one a
# bare list is a broken answer.
_BARE_LISTS = frozenset(
    {
        "alpaca",
        "bequant",
        "binancecoinm",
        "binanceus",
        "bitfinex",
        "bitflyer",
        "bitmex",
        "bitstamp",
        "bitvavo",
        "blockchaincom",
        "btcmarkets",
        "coinbaseexchange",
        "coinsph",
        "gateeu",
        "gemini",
        "hitbtc",
        "hyperliquid",
        "latoken",
        "poloniex",
        "tokocrypto",
        "upbit",
        "whitebit",
    }
)


def profile(ccxt_id: str) -> VenueProfile:
    """What is known of a CCXT class; of most, only the rules that hold everywhere."""
    known = PROFILES.get(ccxt_id)
    return known or VenueProfile(answers_bare_lists=ccxt_id in _BARE_LISTS)
