"""What each venue's answers mean, as data: reactions, shapes, budgets.

CCXT's exception class does not say whether an order exists, and calls a broken answer a success
(``reliability.md`` 0). So the verdict on an answer is looked up here, by HTTP status, venue code
and message, once for reading and once for placing, amending or canceling; CCXT's class decides
only where these tables say nothing.

Sources, all read 2026-11: Binance spot https://developers.binance.com/docs/binance-spot-api-docs/errors,
Binance USD-M https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code,
Bybit https://bybit-exchange.github.io/docs/v5/error; marked rows were injected into CCXT 4.5.90
and seen, or are from memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Reaction(StrEnum):
    """What to do about an answer."""

    RETRY = "retry"
    """Read again later, with growing pauses."""
    WAIT = "wait"
    """Send nothing to this venue until the stated time."""
    CLOCK = "clock"
    """Measure the venue's clock, then try once more."""
    KEY = "key"
    """The key is no good: stop and tell the user."""
    PERMISSION = "permission"
    """The key is good and may not do this, or not from here."""
    RESOLVE = "resolve"
    """Whether it was done is unknown: look it up by client order id, never send again."""
    REJECT = "reject"
    """Refused for good."""
    FUNDS = "funds"
    """Refused for want of balance or margin."""
    ABSENT = "absent"
    """The venue has no such order."""
    DONE = "done"
    """It was so already."""
    BUG = "bug"
    """Our request is malformed."""
    SYMBOL = "symbol"
    """This instrument is not to be traded now: load the instruments again."""
    VENUE = "venue"
    """The whole venue is closed to us: maintenance, country, suspended account."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: all that is given must match. ``message`` is any part of the venue's text.

    ``writing`` is the reaction when the request would place, amend or cancel; where it is not
    given it is ``reading``, except that RETRY becomes RESOLVE: a write is never repeated blindly.
    ``wait_s`` is how long to send nothing when the venue names no time.
    """

    meaning: str
    reading: Reaction
    codes: tuple[str, ...] = ()
    statuses: range | tuple[int, ...] = ()
    message: str = ""
    writing: Reaction | None = None
    wait_s: float = 0.0
    is_of_endpoint: bool = False
    """Only this endpoint and key have to wait, not all that is sent to the venue."""
    source: str = "docs"

    def matches(self, status: int, code: str | None, message: str) -> bool:
        return (
            (not self.codes or code in self.codes)
            and (not self.statuses or status in self.statuses)
            and self.message.lower() in message.lower()
        )

    def reaction(self, *, is_write: bool) -> Reaction:
        if not is_write:
            return self.reading
        if self.writing is not None:
            return self.writing
        return Reaction.RESOLVE if self.reading is Reaction.RETRY else self.reading


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


ANY_VENUE = (
    Rule("redirected; never followed", Reaction.RETRY, statuses=range(300, 400)),
    Rule(
        "too many requests",
        Reaction.WAIT,
        statuses=(418, 429),
        # Unless its profile says that the check comes before acceptance.
        writing=Reaction.RESOLVE,
        wait_s=60,
    ),
    Rule("not from this country", Reaction.VENUE, statuses=(451,)),
    Rule("request timed out at the venue", Reaction.RETRY, statuses=(408,)),
    Rule("the venue is broken", Reaction.RETRY, statuses=range(500, 600)),
)

_BINANCE = (
    Rule(
        "banned for not slowing down",
        Reaction.WAIT,
        statuses=(418,),
        wait_s=120,  # the shortest ban by the docs
    ),
    Rule("request weight exceeded", Reaction.WAIT, statuses=(429,), wait_s=60),
    Rule("too many requests", Reaction.WAIT, codes=("-1003",), wait_s=60),
    Rule("too many orders", Reaction.WAIT, codes=("-1015",), wait_s=10),
    Rule("too many connections", Reaction.WAIT, codes=("-1034",), wait_s=300),
    Rule("stopped by the firewall", Reaction.WAIT, statuses=(403,), wait_s=300, source="seen"),
    Rule("internal error", Reaction.RETRY, codes=("-1000", "-1001", "-1006")),
    Rule("backend timed out", Reaction.RETRY, codes=("-1007",)),
    Rule("overloaded", Reaction.RETRY, codes=("-1008",), wait_s=2),
    Rule("busy", Reaction.RETRY, codes=("-1004",)),
    Rule("timestamp outside the window", Reaction.CLOCK, codes=("-1021",)),
    Rule("bad signature", Reaction.KEY, codes=("-1022",)),
    Rule("malformed or unknown key", Reaction.KEY, codes=("-2014", "-2008")),
    # One code for a bad key, address or permission. A key that may not even read is no good.
    Rule(
        "key, address or permission",
        Reaction.KEY,
        codes=("-2015",),
        writing=Reaction.PERMISSION,
        source="seen",
    ),
    Rule("not authorized", Reaction.PERMISSION, codes=("-1002",)),
    Rule("listen key is gone", Reaction.RETRY, codes=("-1125",)),
    Rule("market is closed", Reaction.SYMBOL, codes=("-1013",), message="market is closed"),
    Rule("a filter refused it", Reaction.REJECT, codes=("-1013",)),
    Rule("unknown symbol", Reaction.SYMBOL, codes=("-1121",)),
    Rule(
        "malformed parameters",
        Reaction.BUG,
        codes=tuple(str(code) for code in range(-1199, -1099) if code not in {-1121, -1125, -1109}),
    ),
    Rule("not enough balance", Reaction.FUNDS, codes=("-2010",), message="insufficient"),
    Rule("client id is in use", Reaction.RESOLVE, codes=("-2010",), message="duplicate order"),
    Rule(
        "account may not do this",
        Reaction.PERMISSION,
        codes=("-2010",),
        message="on this account",
        source="seen",
    ),
    Rule(
        "account may not trade this",
        Reaction.PERMISSION,
        codes=("-2010",),
        message="for this account",
        source="seen",
    ),
    Rule("order refused", Reaction.REJECT, codes=("-2010",)),
    Rule("no such order", Reaction.ABSENT, codes=("-2011", "-2013")),
    Rule("no trading window", Reaction.SYMBOL, codes=("-2016",)),
    Rule("archived order", Reaction.REJECT, codes=("-2026",)),
    Rule("amendment refused", Reaction.REJECT, codes=("-2038", "-2039")),
)

_BINANCE_SPOT = (
    Rule("replaced in part or not at all", Reaction.RESOLVE, codes=("-2021", "-2022")),
    *_BINANCE,
)

_BINANCE_USDM = (
    Rule("outside the engine's receive window", Reaction.CLOCK, codes=("-5028",), source="seen"),
    Rule("not enough balance or margin", Reaction.FUNDS, codes=("-2018", "-2019")),
    Rule("cannot be filled, or in liquidation", Reaction.REJECT, codes=("-2020", "-2023")),
    Rule("would trigger at once", Reaction.REJECT, codes=("-2021",)),
    Rule("client id is in use", Reaction.RESOLVE, codes=("-4116",)),
    Rule("reduce-only or notional", Reaction.REJECT, codes=("-2022", "-4164")),
    Rule(
        "limit, leverage or price band", Reaction.REJECT, codes=("-2025", "-2027", "-2028", "-4131")
    ),
    Rule("margin type is so already", Reaction.DONE, codes=("-4046",)),
    Rule("fill-or-kill or post-only refused", Reaction.REJECT, codes=("-5021", "-5022")),
    Rule("invalid account", Reaction.PERMISSION, codes=("-1109",)),
    Rule("conditional order on the wrong path", Reaction.BUG, codes=("-4120",), source="CCXT"),
    *_BINANCE,
)

_BYBIT = (
    Rule("timestamp outside the window", Reaction.CLOCK, codes=("10002",)),
    Rule("invalid or expired key", Reaction.KEY, codes=("10003", "33004", "10004", "10007")),
    Rule(
        "permission, address or account type",
        Reaction.PERMISSION,
        codes=("10005", "10010", "10028", "10029"),
    ),
    Rule("address is banned", Reaction.WAIT, codes=("10009",), wait_s=600),
    Rule("account is banned", Reaction.PERMISSION, codes=("10008", "10024", "10027")),
    Rule(
        "too many visits", Reaction.WAIT, codes=("10006", "170222"), wait_s=1, is_of_endpoint=True
    ),
    Rule("too many visits of this address", Reaction.WAIT, codes=("10018",), wait_s=5),
    Rule("system-wide limit", Reaction.WAIT, codes=("10429",), wait_s=5),
    Rule("address is too fast", Reaction.WAIT, statuses=(403,), wait_s=600, source="memory"),
    Rule("too many requests", Reaction.WAIT, statuses=(429,), wait_s=5),
    Rule("server timed out or restarts", Reaction.RETRY, codes=("10000", "10016")),
    Rule("backend timed out", Reaction.RETRY, codes=("170007",)),
    Rule("placing or canceling timed out", Reaction.RETRY, codes=("170146", "170147")),
    Rule("order is busy", Reaction.RETRY, codes=("110079",), writing=Reaction.RETRY),
    Rule("request was sent twice", Reaction.RETRY, codes=("10014",)),
    Rule("unknown symbol", Reaction.SYMBOL, codes=("10001",), message="symbol", source="memory"),
    Rule("malformed parameters", Reaction.BUG, codes=("10001", "10017", "170130")),
    Rule("no such order", Reaction.ABSENT, codes=("110001", "170213")),
    Rule(
        "price, quantity, value or post-only",
        Reaction.REJECT,
        codes=(
            *("110003", "110017", "170124", "170136", "170140"),
            *("170193", "170210", "170218", "110094"),
        ),
    ),
    Rule(
        "not enough balance or margin",
        Reaction.FUNDS,
        codes=("110004", "110007", "110012", "170131"),
    ),
    Rule("too many orders", Reaction.REJECT, codes=("110009", "110020", "170810")),
    Rule(
        "client id is in use",
        Reaction.RESOLVE,
        codes=("110072", "170141", "110030", "12141"),
    ),
    Rule("is so already", Reaction.DONE, codes=("110025", "110026", "110043")),
    Rule("not authorized", Reaction.KEY, statuses=(401,)),
)

_ORDER_KEYS = ("symbol", "orderId", "clientOrderId", "status", "side", "origQty", "executedQty")
_LIST = ("result", "list")

_BINANCE_SHAPES = (
    Shape("/api/v3/exchangeInfo", ("symbol", "status", "filters"), ("symbols",), many=True),
    Shape("/api/v3/time", ("serverTime",), one=True),
    Shape("/api/v3/account", ("asset", "free", "locked"), ("balances",), many=True),
    Shape("/api/v3/openOrders", _ORDER_KEYS, many=True),
    Shape("/api/v3/allOrders", _ORDER_KEYS, many=True),
    Shape("/api/v3/order", ("symbol", "orderId"), one=True),
    Shape("/api/v3/myTrades", ("id", "orderId", "price", "qty", "time"), many=True),
    Shape("/api/v3/ticker/24hr", ("symbol", "lastPrice"), one=True, many=True),
    Shape("/api/v3/klines", many=True),
    Shape("/sapi/v1/account/apiRestrictions", ("enableReading",), one=True),
)

_USDM_SHAPES = (
    Shape("/fapi/v1/exchangeInfo", ("symbol", "status", "filters"), ("symbols",), many=True),
    Shape("/fapi/v1/time", ("serverTime",), one=True),
    Shape("/fapi/v3/account", ("asset", "walletBalance"), ("assets",), many=True),
    Shape("/fapi/v1/openOrders", _ORDER_KEYS, many=True),
    Shape("/fapi/v1/openAlgoOrders", ("algoId", "symbol", "algoStatus"), many=True),
    Shape("/fapi/v1/allOrders", _ORDER_KEYS, many=True),
    Shape("/fapi/v1/order", ("symbol", "orderId"), one=True),
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
    Shape("/v5/account/wallet-balance", ("accountType", "coin"), _LIST, many=True),
    Shape("/v5/account/info", ("unifiedMarginStatus",), ("result",), one=True),
    Shape("/v5/user/query-api", ("permissions", "readOnly"), ("result",), one=True),
    Shape("/v5/order/realtime", ("orderId", "symbol", "orderStatus", "side"), _LIST, many=True),
    Shape("/v5/order/history", ("orderId", "symbol", "orderStatus", "side"), _LIST, many=True),
    Shape("/v5/execution/list", ("execId", "orderId", "execPrice", "execQty"), _LIST, many=True),
    Shape("/v5/position/list", ("symbol", "size", "side"), _LIST, many=True),
)

PROFILES: Mapping[str, VenueProfile] = {
    "binance": VenueProfile(
        rules=_BINANCE_SPOT,
        shapes=_BINANCE_SHAPES,
        answers_bare_lists=True,
        limit=Limit(6000, 60, units_per_cost=5, used_header="X-MBX-USED-WEIGHT-1M"),
        # Who may trade what is four fifths of 17 MB, and nothing here reads it.
        listing_params={"showPermissionSets": "false"},
    ),
    "binanceusdm": VenueProfile(
        rules=_BINANCE_USDM,
        shapes=_USDM_SHAPES,
        answers_bare_lists=True,
        limit=Limit(2400, 60, used_header="X-MBX-USED-WEIGHT-1M"),
    ),
    "bybit": VenueProfile(
        rules=_BYBIT,
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
    "okx": VenueProfile(envelope=("code", "data")),
    "kucoin": VenueProfile(envelope=("code", "data")),
    "bitget": VenueProfile(envelope=("code", "data")),
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
        "gate",
        "gateeu",
        "gemini",
        "hitbtc",
        "hyperliquid",
        "latoken",
        "mexc",
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
