"""What the simulated Bybit sends has the keys and types that were recorded from the real one."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.simulator import Simulator
from tests.payload_shapes import Json, differences
from tests.payload_shapes import payload as recorded_payload
from tests.plain_bybit import PlainBybit, plain_bybit

Fetch = Callable[[PlainBybit], Awaitable[Json]]

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


def payload(name: str) -> Json:
    return recorded_payload(f"bybit/{name}")


# Fields that the venue's documentation (2026-11) names and these recordings do not have.
DOCUMENTED = {
    "http_get_executions": {"execPnl"},
    "http_get_orders_realtime": {"cumFeeDetail", "marketUnit", "createType"},
    "http_get_orders_history": {"cumFeeDetail", "marketUnit", "createType"},
    "http_get_instruments_spot": {
        *("stTag", "symbolType", "riskParameters", "maxLimitOrderQty", "maxMarketOrderQty"),
    },
    "http_get_instruments_linear": {
        *("symbolType", "copyTrading", "upperFundingRate", "lowerFundingRate", "isPreListing"),
        *("preListingInfo", "displayName", "riskParameters"),
    },
    "http_get_positions": {"positionIMByMp", "positionMMByMp", "sessionAvgPrice"},
    "http_get_wallet_balance": {"spotHedgingQty"},
    "http_get_trades_recent": {"isRPITrade", "seq"},
    "ws_account_execution": {"feeCurrency", "createType", "execPnl"},
    "ws_account_order": {"cumFeeDetail", "marketUnit", "isLeverage"},
    "ws_account_wallet": {
        *("accountType", "totalPerpUPL", "usdValue", "locked", "spotHedgingQty", "unrealisedPnl"),
        *("cumRealisedPnl", "bonus", "collateralSwitch", "marginCollateral"),
    },
    "ws_orderbook_snapshot": {"cts"},
    "ws_orderbook_delta": {"cts"},
    "ws_public_trade": {"L", "RPI", "seq"},
    "ws_ticker_linear": set[str](),
}


def documented(name: str) -> frozenset[str]:
    """Every envelope has these three, though some recordings were cut."""
    return frozenset(DOCUMENTED.get(name, ())) | {"retExtInfo", "time", "category"}


REST: dict[str, Fetch] = {
    "http_get_account_info": lambda c: c.get("/v5/account/info"),
    "http_get_executions": lambda c: c.get("/v5/execution/list", category="linear"),
    "http_get_fee_rate": lambda c: c.get("/v5/account/fee-rate", category="linear"),
    "http_get_funding_history": lambda c: c.public("/v5/market/funding/history", **LINEAR),
    "http_get_instruments_linear": lambda c: c.public(
        "/v5/market/instruments-info", category="linear"
    ),
    "http_get_instruments_spot": lambda c: c.public("/v5/market/instruments-info", category="spot"),
    "http_get_klines_linear": lambda c: c.public("/v5/market/kline", interval=1, **LINEAR),
    "http_get_orderbook": lambda c: c.public("/v5/market/orderbook", **LINEAR),
    "http_get_orders_history": lambda c: c.get("/v5/order/history", category="linear"),
    "http_get_orders_realtime": lambda c: c.get("/v5/order/realtime", **LINEAR),
    "http_get_positions": lambda c: c.get(
        "/v5/position/list", category="linear", settleCoin="USDT"
    ),
    "http_get_trades_recent": lambda c: c.public("/v5/market/recent-trade", **LINEAR),
    "http_get_user_query_api": lambda c: c.get("/v5/user/query-api"),
    "http_get_wallet_balance": lambda c: c.get("/v5/account/wallet-balance", accountType="UNIFIED"),
}


async def rest_something(client: PlainBybit, side: str = "Buy") -> Json:
    """A contract order that stays open."""
    return await client.post(
        "/v5/order/create",
        category="linear",
        symbol="BTCUSDT",
        side=side,
        orderType="Limit",
        qty="0.01",
        price="60000",
        orderLinkId="shape-1",
    )


@pytest.mark.parametrize("name", REST)
async def test_rest_answer_has_the_recorded_shape(name: str, simulator: Simulator) -> None:
    world = simulator.world
    world.trade("bybit-unified", "BTC/USDT:USDT", Side.BUY, Decimal("0.01"))
    world.settle_funding("bybit")
    async with plain_bybit(simulator) as client:
        await rest_something(client)
        sent = await REST[name](client)

    assert sent["retCode"] == 0, sent
    assert differences(payload(name), sent, documented(name)) == []


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("ws_account_order", "order"),
        ("ws_account_execution", "execution"),
        ("ws_account_position", "position"),
        ("ws_account_wallet", "wallet"),
    ],
)
async def test_private_frame_has_the_recorded_shape(
    name: str, topic: str, simulator: Simulator
) -> None:
    async with plain_bybit(simulator) as client, client.socket("/v5/private") as socket:
        await socket.authenticate()
        await socket.subscribe(topic)
        simulator.world.trade("bybit-unified", "BTC/USDT:USDT", Side.BUY, Decimal("0.01"))
        sent = await socket.topic(topic)

    assert differences(payload(name), sent, documented(name)) == []


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("ws_account_order_stop_market", {}),
        ("ws_account_order_stop_limit", {"orderType": "Limit", "price": "50000"}),
    ],
)
async def test_conditional_order_frame_has_the_recorded_shape(
    name: str, changes: dict[str, str], simulator: Simulator
) -> None:
    stop = {**LINEAR, "side": "Sell", "orderType": "Market", "qty": "0.01", "triggerDirection": 2}
    async with plain_bybit(simulator) as client, client.socket("/v5/private") as socket:
        await socket.authenticate()
        await socket.subscribe("order")
        await client.post("/v5/order/create", **{**stop, **changes}, triggerPrice="60000")
        sent = await socket.topic("order")

    recorded = payload(name)
    assert differences(recorded, sent, documented("ws_account_order")) == []
    same = ("orderStatus", "stopOrderType", "triggerDirection", "triggerBy", "createType")
    assert {f: sent["data"][0][f] for f in same} == {f: recorded["data"][0][f] for f in same}


async def test_standing_stops_have_the_recorded_shape(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client:
        stops = {"takeProfit": "150000", "stopLoss": "60000", "tpslMode": "Full", "positionIdx": 0}
        await client.post("/v5/position/trading-stop", **LINEAR, **stops)
        sent = await client.get("/v5/order/realtime", **LINEAR, orderFilter="StopOrder")

    recorded = payload("http_get_orders_realtime_tp_sl")
    extra = documented("http_get_orders_realtime")
    assert differences(recorded, sent, extra) == []
    assert {row["stopOrderType"] for row in sent["result"]["list"]} == {"TakeProfit", "StopLoss"}


async def test_deleveraging_has_the_recorded_shape(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client, client.socket("/v5/private") as socket:
        await socket.authenticate()
        await socket.subscribe("execution")
        simulator.world.deleverage("bybit-unified", "BTC/USDT:USDT", Decimal("0.01"))
        sent = await socket.topic("execution")

    recorded = payload("ws_account_execution_adl")
    extra = documented("ws_account_execution")
    assert differences(recorded, sent, extra) == []
    assert (sent["data"][0]["execType"], sent["data"][0]["orderLinkId"]) == ("AdlTrade", "")


@pytest.mark.parametrize(
    ("name", "topic", "kind"),
    [
        ("ws_ticker_linear", "tickers.BTCUSDT", "snapshot"),
        ("ws_orderbook_snapshot", "orderbook.50.BTCUSDT", "snapshot"),
        ("ws_orderbook_delta", "orderbook.50.BTCUSDT", "delta"),
        ("ws_public_trade", "publicTrade.BTCUSDT", "snapshot"),
        ("ws_kline", "kline.1.BTCUSDT", "snapshot"),
    ],
)
async def test_public_frame_has_the_recorded_shape(
    name: str, topic: str, kind: str, simulator: Simulator
) -> None:
    async with plain_bybit(simulator) as client, client.socket("/v5/public/linear") as socket:
        await socket.subscribe(topic)
        simulator.world.trade("bybit-unified", "BTC/USDT:USDT", Side.SELL, Decimal("0.01"))
        sent = await socket.until(lambda m: m.get("topic") == topic and m["type"] == kind)

    assert differences(payload(name), sent, documented(name)) == []


async def test_subscription_replies_have_the_recorded_shape(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client, client.socket("/v5/public/linear") as socket:
        accepted = await socket.subscribe("tickers.BTCUSDT")
        refused = await socket.subscribe("invalid.topic.BTCUSDT")

    assert differences(payload("ws_subscription_ack"), accepted, frozenset()) == []
    assert differences(payload("ws_subscription_failure"), refused, frozenset({"req_id"})) == []
    assert (accepted["success"], refused["success"]) == (True, False)


async def test_order_reply_of_the_trade_socket_has_the_recorded_shape(simulator: Simulator) -> None:
    order = {**LINEAR, "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "60000"}
    async with plain_bybit(simulator) as client, client.socket("/v5/trade") as socket:
        assert (await socket.authenticate())["retCode"] == 0
        message = {"op": "order.create", "reqId": "r-1", "header": client.header()}
        await socket.send({**message, "args": [order]})
        sent = await socket.receive()

    extra = frozenset({"retExtInfo", "header"})
    assert differences(payload("ws_order_response"), sent, extra) == []
    assert sent["reqId"] == "r-1"


# Keys and types as the venue's documentation (2026-11) has them: no recording shows these.
_TEXTS = {
    "log": "id symbol category side transactionTime type transSubType qty size currency tradePrice "
    "funding fee cashFlow change cashBalance feeRate bonusChange tradeId orderId orderLinkId "
    "extraFees",
    "deposit": "coin chain amount txID toAddress tag depositFee successAt confirmations txIndex "
    "blockHash batchReleaseLimit depositType fromAddress taxDepositRecordsId id",
    "withdrawal": "coin chain amount txID status toAddress tag withdrawFee createTime updateTime "
    "withdrawId tax taxRate taxType",
    "transfer": "transferId coin amount fromAccountType toAccountType timestamp status",
}
_NUMBERS = {"deposit": "status taxStatus", "withdrawal": "withdrawType"}


@pytest.mark.parametrize(
    ("kind", "path", "name"),
    [
        ("log", "/v5/account/transaction-log", "list"),
        ("deposit", "/v5/asset/deposit/query-record", "rows"),
        ("withdrawal", "/v5/asset/withdraw/query-record", "rows"),
        ("transfer", "/v5/asset/transfer/query-inter-transfer-list", "list"),
    ],
)
async def test_movements_have_the_documented_shape(
    kind: str, path: str, name: str, simulator: Simulator
) -> None:
    world = simulator.world
    world.deposit("bybit-unified", "USDT", Decimal(5))
    world.deposit("bybit-unified", "USDT", Decimal(-2))
    for symbol in ("BTC/USDT", "BTC/USDT:USDT"):
        world.trade("bybit-unified", symbol, Side.BUY, Decimal("0.01"))
    world.settle_funding("bybit")
    async with plain_bybit(simulator) as client:
        sent = await client.get(path)

    row = dict.fromkeys(_TEXTS[kind].split(), "") | dict.fromkeys(_NUMBERS.get(kind, "").split(), 0)
    assert sent["result"][name]
    assert isinstance(sent["result"]["nextPageCursor"], str)
    for told in sent["result"][name]:
        assert differences(row, told, frozenset()) == []


def test_differences_are_found() -> None:
    recorded = {"a": "1", "b": [{"x": 1, "y": None}, {"x": 2}], "c": True}

    assert differences(recorded, {"a": "2", "b": [{"x": 3}], "c": False}, frozenset()) == []
    assert differences(recorded, {"a": 2, "b": [{"z": "3"}]}, frozenset()) == [
        ".c: missing",
        ".a: recorded str, sent int",
        ".b[0].x: missing",
        ".b[0].z: not recorded",
    ]
