"""Ten connectors of CCXT that orders are sent through, and how each says yes.

A connector's transport answers what its adapter asks before and after an order; the answer to the
order itself comes from a test.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, ClientOrderId, ExchangeId, Symbol
from alphapulse.domain.order import OrderRequest, OrderType, Side, TimeInForce
from alphapulse.exchanges.adapters.binance.exchange import BinanceExchange
from alphapulse.exchanges.adapters.bybit.exchange import BybitExchange
from alphapulse.exchanges.adapters.generic import exchange as generic
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.transport import Answer, NoAnswer, Request, Transport
from alphapulse.exchanges.port import TradingExchange
from alphapulse.exchanges.settings import ExchangesSettings
from tests.unit.exchanges.answers import LeapingClock, answer, list_market, make_session

ME = AccountId("me")
SPOT, PERPETUAL = Symbol("BTC/USDT"), Symbol("BTC/USDT:USDT")
NAME = ClientOrderId("apabcdefghijklmnopqrstuvwxyz")

QUANTITY, PRICE = Decimal("0.00123"), Decimal("95123.45")

# The venue's clock in answers; that of the tests is fixed near it.
AT_MS = 1795435200000

Outcome = Answer | NoAnswer | BaseException


def limit_order(symbol: Symbol) -> OrderRequest:
    return OrderRequest(
        account_id=ME,
        symbol=symbol,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=QUANTITY,
        limit_price=PRICE,
        time_in_force=TimeInForce.GTC,
    )


class OrderTransport(Transport):
    """Answers an order with ``outcome``, everything else by path; remembers what was sent."""

    def __init__(self, create: str, others: dict[str, Answer]) -> None:
        super().__init__(ExchangesSettings())
        self._create = create
        self._others = others
        self.outcome: Outcome = answer({}, status=404)
        self.orders: list[Request] = []

    async def send(self, request: Request) -> Answer:
        path = urlsplit(request.url).path
        if request.method == "POST" and path.endswith(self._create):
            self.orders.append(request)
            if isinstance(self.outcome, BaseException):
                raise self.outcome
            return self.outcome
        for ending, known in self._others.items():
            if path.endswith(ending):
                return known
        return answer({}, status=404)


@dataclass(frozen=True)
class Connector:
    """``yes`` is the payload that acknowledges an order of a name; fields of it may be changed.

    ``name_at``, ``id_at`` and the like say where in the payload a thing is; ``None``: nowhere.
    """

    name: str
    exchange: str
    create: str
    yes: Callable[[str, str], Any]
    id_at: tuple[str | int, ...]
    name_at: tuple[str | int, ...] | None
    echoes: dict[str, tuple[tuple[str | int, ...], Any]] = field(default_factory=dict)
    """What else is told of the order: where, and a wrong value."""
    funds: tuple[int, Any] | None = None
    """The venue's own refusal for want of balance: status and payload."""
    duplicate: tuple[int, Any] | None = None
    doubtful: tuple[tuple[int, Any], ...] = ()
    """Refusals with codes that say nothing of the order."""
    unknown: tuple[int, Any] = (400, {"code": "987654", "msg": "Something new."})
    """A refusal in the venue's form with a code that nobody knows."""
    symbol: Symbol = SPOT
    form: str = "{}"
    others: dict[str, Any] = field(default_factory=dict)
    """What is asked before or after: payloads by the end of the path."""

    def open(self, clock: Clock) -> tuple[TradingExchange, OrderTransport]:
        others = {path: answer(payload) for path, payload in self.others.items()}
        transport = OrderTransport(self.create, others)
        session = make_session(
            transport, clock, exchange=self.exchange, budget_clock=LeapingClock()
        )
        list_market(session, MarketType.SPOT, SPOT)
        list_market(session, MarketType.SWAP, PERPETUAL)
        if self.exchange == "binance":
            return BinanceExchange(ME, session), transport
        if self.exchange == "bybit":
            return BybitExchange(ME, session), transport
        name = ExchangeId(self.exchange)
        return generic.GenericExchange(name, ME, session, generic.capabilities(name)), transport

    def spelled(self, name: str = NAME) -> str:
        return self.form.format(name)

    def accepted(self, **options: Any) -> Answer:
        """A good answer to the order."""
        return answer(self.yes("4711", self.spelled()), **options)

    def changed(self, at: tuple[str | int, ...], value: Any) -> Answer:
        """A good answer but for one thing; ``...`` takes it away."""
        payload = self.yes("4711", self.spelled())
        inner = payload
        for key in at[:-1]:
            inner = inner[key]
        if value is ...:
            del inner[at[-1]]
        else:
            inner[at[-1]] = value
        return answer(payload)


def sent_fields(request: Request) -> str:
    """Everything a request says, as text: query and body, decoded."""
    query = dict(parse_qsl(urlsplit(request.url).query))
    return (
        json.dumps(query)
        + " "
        + "&".join(f"{name}={value}" for name, value in parse_qsl(request.body or ""))
        + " "
        + (request.body or "")
    )


def _binance(order_id: str, name: str) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "orderId": int(order_id),
        "clientOrderId": name,
        "transactTime": AT_MS,
        "updateTime": AT_MS,
        "price": "95123.45",
        "origQty": "0.00123000",
        "executedQty": "0.00000000",
        "cummulativeQuoteQty": "0.00000000",
        "status": "NEW",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
    }


def _usdm(order_id: str, name: str) -> dict[str, Any]:
    return {**_binance(order_id, name), "positionSide": "BOTH", "avgPrice": "0", "cumQuote": "0"}


def _bybit(order_id: str, name: str) -> dict[str, Any]:
    result = {"orderId": order_id, "orderLinkId": name}
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": AT_MS}


def _bybit_error(code: int, message: str) -> tuple[int, Any]:
    return 200, {"retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}, "time": AT_MS}


def _okx(order_id: str, name: str) -> dict[str, Any]:
    row = {"ordId": order_id, "clOrdId": name, "sCode": "0", "sMsg": "", "tag": "", "ts": "1"}
    return {"code": "0", "msg": "", "data": [row]}


def _okx_error(code: str, message: str) -> tuple[int, Any]:
    row = {"ordId": "", "clOrdId": NAME, "sCode": code, "sMsg": message, "tag": ""}
    return 200, {"code": "1", "msg": "All operations failed", "data": [row]}


def _gate(order_id: str, name: str) -> dict[str, Any]:
    return {
        "id": order_id,
        "text": name,
        "currency_pair": "BTCUSDT",
        "status": "open",
        "side": "buy",
        "type": "limit",
        "account": "spot",
        "amount": "0.00123",
        "price": "95123.45",
        "left": "0.00123",
        "time_in_force": "gtc",
        "create_time_ms": AT_MS,
        "update_time_ms": AT_MS,
    }


def _htx_order() -> dict[str, Any]:
    return {
        "id": 4711,
        "client-order-id": NAME,
        "symbol": "BTCUSDT",
        "type": "buy-limit",
        "state": "submitted",
        "amount": "0.00123",
        "price": "95123.45",
        "field-amount": "0",
        "field-cash-amount": "0",
        "field-fees": "0",
        "created-at": AT_MS,
    }


_BINANCE_DOUBTFUL = (
    (500, {"code": -1000, "msg": "An unknown error occurred while processing the request."}),
    (400, {"code": -1001, "msg": "Internal error; unable to process your request."}),
    (400, {"code": -1006, "msg": "An unexpected response was received from the message bus."}),
    (408, {"code": -1007, "msg": "Timeout waiting for response from backend server."}),
    (503, {"code": -1008, "msg": "Server is currently overloaded with other requests."}),
    (400, {"code": -1004, "msg": "Server is busy, please wait and try again."}),
    (400, {"code": -2013, "msg": "Order does not exist."}),
    (400, {"code": -2038, "msg": "Order amend rejected."}),
)

_BYBIT_DOUBTFUL = tuple(
    _bybit_error(code, message)
    for code, message in (
        (10000, "Server Timeout"),
        (10014, "Invalid duplicate request."),
        (10016, "Internal server error."),
        (110001, "Order does not exist."),
        (110043, "Set leverage has not been modified."),
        (110079, "The order is processing and can not be operated, please try again later"),
        (170007, "Timeout waiting for response from backend server."),
        (170146, "Order creation timeout"),
        (170149, "Create order failed"),
    )
)

_BINANCE_ECHOES: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "symbol": (("symbol",), "ETHUSDT"),
    "side": (("side",), "SELL"),
    "quantity": (("origQty",), "0.00124"),
}

CONNECTORS = [
    Connector(
        "binance spot",
        "binance",
        "/api/v3/order",
        _binance,
        ("orderId",),
        ("clientOrderId",),
        echoes=_BINANCE_ECHOES,
        funds=(400, {"code": -2010, "msg": "Account has insufficient balance."}),
        duplicate=(400, {"code": -2010, "msg": "Duplicate order sent."}),
        doubtful=_BINANCE_DOUBTFUL,
    ),
    Connector(
        "binance usdm",
        "binance",
        "/fapi/v1/order",
        _usdm,
        ("orderId",),
        ("clientOrderId",),
        echoes=_BINANCE_ECHOES,
        funds=(400, {"code": -2019, "msg": "Margin is insufficient."}),
        duplicate=(400, {"code": -4116, "msg": "ClientOrderId is duplicated."}),
        doubtful=_BINANCE_DOUBTFUL,
        symbol=PERPETUAL,
    ),
    Connector(
        "bybit spot",
        "bybit",
        "/v5/order/create",
        _bybit,
        ("result", "orderId"),
        ("result", "orderLinkId"),
        funds=_bybit_error(170131, "Insufficient balance."),
        duplicate=_bybit_error(170141, "Duplicate clientOrderId."),
        doubtful=_BYBIT_DOUBTFUL,
        unknown=_bybit_error(987654, "Something new."),
    ),
    Connector(
        "bybit linear",
        "bybit",
        "/v5/order/create",
        _bybit,
        ("result", "orderId"),
        ("result", "orderLinkId"),
        funds=_bybit_error(110007, "ab not enough for new order"),
        duplicate=_bybit_error(110072, "OrderLinkedID is duplicate"),
        doubtful=_BYBIT_DOUBTFUL,
        unknown=_bybit_error(987654, "Something new."),
        symbol=PERPETUAL,
    ),
    Connector(
        "okx",
        "okx",
        "/api/v5/trade/batch-orders",
        _okx,
        ("data", 0, "ordId"),
        ("data", 0, "clOrdId"),
        funds=_okx_error("51008", "Order failed. Insufficient USDT balance in account."),
        duplicate=_okx_error("51016", "Client order ID already exists."),
        unknown=_okx_error("59876", "Something new."),
    ),
    Connector(
        "kucoin",
        "kucoin",
        "orders",
        lambda order_id, name: {
            "code": "200000",
            "data": {"orderId": order_id, "clientOid": name},
        },
        ("data", "orderId"),
        ("data", "clientOid"),
        funds=(200, {"code": "200004", "msg": "Balance insufficient!"}),
        unknown=(200, {"code": "987654", "msg": "Something new."}),
        others={
            "/account/mode": {"code": "200000", "data": {"selfAccountMode": "CLASSIC"}},
        },
    ),
    Connector(
        "gate",
        "gate",
        "/spot/orders",
        _gate,
        ("id",),
        ("text",),
        funds=(400, {"label": "BALANCE_NOT_ENOUGH", "message": "Not enough balance"}),
        unknown=(400, {"label": "SOMETHING_NEW", "message": "Something new."}),
        form="t-{}",
    ),
    Connector(
        "bitget",
        "bitget",
        "/place-order",
        lambda order_id, name: {
            "code": "00000",
            "msg": "success",
            "requestTime": AT_MS,
            "data": {"orderId": order_id, "clientOid": name},
        },
        ("data", "orderId"),
        ("data", "clientOid"),
        funds=(400, {"code": "43012", "msg": "Insufficient balance", "data": None}),
        unknown=(400, {"code": "98765", "msg": "Something new.", "data": None}),
    ),
    Connector(
        "mexc",
        "mexc",
        "/api/v3/order",
        lambda order_id, name: {
            "symbol": "BTCUSDT",
            "orderId": order_id,
            "orderListId": -1,
            "price": "95123.45",
            "origQty": "0.00123",
            "type": "LIMIT",
            "side": "BUY",
            "transactTime": AT_MS,
        },
        ("orderId",),
        None,
        funds=(400, {"code": 30004, "msg": "Insufficient position"}),
        others={"/api/v3/order": {**_binance("4711", NAME), "time": AT_MS}},
    ),
    Connector(
        "htx",
        "htx",
        "/order/orders/place",
        lambda order_id, name: {"status": "ok", "data": order_id},
        ("data",),
        None,
        funds=(
            200,
            {
                "status": "error",
                "err-code": "account-frozen-balance-insufficient-error",
                "err-msg": "trade account balance is not enough",
                "data": None,
            },
        ),
        unknown=(
            200,
            {"status": "error", "err-code": "something-new", "err-msg": "New.", "data": None},
        ),
        others={
            "/account/accounts": {
                "status": "ok",
                "data": [{"id": 5, "type": "spot", "subtype": "", "state": "working"}],
            },
            "/order/orders/getClientOrder": {"status": "ok", "data": _htx_order()},
        },
    ),
]
