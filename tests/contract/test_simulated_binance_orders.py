"""Every kind of spot order works at the simulated Binance as CCXT and other clients send it."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.core.order import OrderKind, OrderRequest
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.ccxt_clients import ccxt_client
from tests.fixtures.simulator import QUICK
from tests.payload_shapes import differences, payload
from tests.plain_binance import PlainBinance, PlainSocket, plain_binance

Ccxt = Any

LABEL = "binance-main"
BTC = "BTC/USDT"
SYMBOL = {"symbol": "BTCUSDT"}
PRICE = 100_000
STOP = {
    **SYMBOL,
    "side": "SELL",
    "type": "STOP_LOSS_LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "94000",
    "stopPrice": "95000",
    "newClientOrderId": "stop-1",
}


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update={"is_paused": True})


@pytest.fixture(autouse=True)
def known_price(simulator: Simulator) -> None:
    move(simulator, PRICE)


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[Ccxt]:
    account = simulator.account(LABEL)
    async with ccxt_client(simulator, "binance", account, enableRateLimit=False) as client:
        await client.load_markets()
        yield client


def move(simulator: Simulator, price: int) -> None:
    simulator.world.set_price("binance", BTC, Decimal(price))


@pytest.mark.parametrize(
    ("side", "kind", "limit", "params", "reached_at", "type_told"),
    [
        ("sell", "STOP_LOSS", None, {"stopPrice": 95_000}, 94_900, "STOP_LOSS"),
        ("buy", "STOP_LOSS", None, {"stopPrice": 105_000}, 105_100, "STOP_LOSS"),
        ("sell", "STOP_LOSS_LIMIT", 90_000, {"stopPrice": 95_000}, 94_900, "STOP_LOSS_LIMIT"),
        ("sell", "TAKE_PROFIT", None, {"stopPrice": 105_000}, 105_100, "TAKE_PROFIT"),
        ("buy", "TAKE_PROFIT_LIMIT", 99_000, {"stopPrice": 95_000}, 94_900, "TAKE_PROFIT_LIMIT"),
        ("sell", "limit", 90_000, {"stopLossPrice": 95_000}, 94_900, "STOP_LOSS_LIMIT"),
        ("sell", "market", None, {"takeProfitPrice": 105_000}, 105_100, "TAKE_PROFIT"),
        (
            "sell",
            "limit",
            90_000,
            {"trailingPercent": 5, "stopLossOrTakeProfit": "stopLoss"},
            94_900,
            "STOP_LOSS_LIMIT",
        ),
    ],
)
async def test_conditional_order_waits_and_then_trades(
    side: str,
    kind: str,
    limit: float | None,
    params: dict[str, float],
    reached_at: int,
    type_told: str,
    client: Ccxt,
    simulator: Simulator,
) -> None:
    placed = await client.create_order(BTC, kind, side, 0.01, limit, params)
    waiting = await client.fetch_order(placed["id"], BTC)
    opened = {order["id"] for order in await client.fetch_open_orders(BTC)}
    move(simulator, reached_at)
    final = await client.fetch_order(placed["id"], BTC)

    assert (waiting["status"], waiting["info"]["type"]) == ("open", type_told)
    assert waiting["info"]["isWorking"] is False
    assert placed["id"] in opened
    assert (final["status"], final["filled"]) == ("closed", 0.01)


async def test_stop_that_is_reached_already_is_refused_as_ccxt_knows_it(client: Ccxt) -> None:
    with pytest.raises(ccxt.OrderImmediatelyFillable, match="trigger immediately"):
        await client.create_order(BTC, "STOP_LOSS", "sell", 0.01, None, {"stopPrice": 105_000})


async def test_sixth_stop_of_a_symbol_is_refused(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client:
        for number in range(5):
            name = {"newClientOrderId": f"stop-{number}"}
            await client.signed("POST", "/api/v3/order", **{**STOP, **name})
        refused = await client.signed("POST", "/api/v3/order", **{**STOP, "newClientOrderId": "6"})

    assert refused == {"code": -1013, "msg": "Filter failure: MAX_NUM_ALGO_ORDERS"}


async def test_stop_that_finds_no_funds_expires(simulator: Simulator) -> None:
    # Enough for the stop price, not for what the market has become.
    free = simulator.books(LABEL).balances["USDT"].free
    quantity = str((free / 105_000).quantize(Decimal("0.00001")) - Decimal("0.00001"))
    buy = {**SYMBOL, "side": "BUY", "type": "STOP_LOSS", "quantity": quantity}
    async with plain_binance(simulator) as client:
        placed = await client.signed("POST", "/api/v3/order", **buy, stopPrice="105000")
        locked = simulator.books(LABEL).balances["USDT"].free
        move(simulator, 109_000)
        final = await client.signed("GET", "/api/v3/order", **SYMBOL, orderId=placed["orderId"])

    assert locked < 5
    assert (final["status"], final["executedQty"]) == ("EXPIRED", "0.00000000")
    assert simulator.books(LABEL).balances["USDT"].free == free


async def test_stop_has_the_recorded_execution_report_at_each_step(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client, client.api_socket() as socket:
        await socket.call("userDataStream.subscribe.signature", client.signed_params())
        await client.signed("POST", "/api/v3/order", **STOP)
        reports = [await report(socket)]
        move(simulator, 94_500)
        reports += [await report(socket), await report(socket)]

    recorded = payload("binance/spot/user_data_json/execution_report_stop_loss")
    extra = frozenset({"F", "g", "I", "M", "Y", "Q", "W", "V"})
    assert differences(recorded, reports[1], extra) == []
    assert [(r["x"], r["X"], r["w"], r["P"]) for r in reports] == [
        ("NEW", "NEW", False, "95000.00000000"),
        ("NEW", "NEW", True, "95000.00000000"),
        ("TRADE", "FILLED", False, "95000.00000000"),
    ]


async def report(socket: PlainSocket) -> dict[str, Any]:
    message = await socket.until(lambda m: m.get("event", {}).get("e") == "executionReport")
    event: dict[str, Any] = message["event"]
    return event


async def test_amended_order_keeps_its_place_and_gets_another_client_id(
    simulator: Simulator,
) -> None:
    rest = {**SYMBOL, "side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "price": "101000"}
    async with plain_binance(simulator) as client, client.api_socket() as socket:
        await socket.call("userDataStream.subscribe.signature", client.signed_params())
        placed = await client.signed(
            "POST", "/api/v3/order", **rest, quantity="0.02", newClientOrderId="before"
        )
        await report(socket)
        path = "/api/v3/order/amend/keepPriority"
        known = {**SYMBOL, "origClientOrderId": "before"}
        done = await client.signed("PUT", path, **known, newQty="0.01", newClientOrderId="after")
        told = await report(socket)
        known["origClientOrderId"] = "after"
        refused = [
            (await client.signed("PUT", path, **known, newQty=quantity))["code"]
            for quantity in ("0.01", "0.03", "0.0000001")
        ]
        known["origClientOrderId"] = "before"
        gone = await client.signed("PUT", path, **known, newQty="0.005")

    assert done["amendedOrder"]["orderId"] == placed["orderId"]
    assert (done["amendedOrder"]["clientOrderId"], done["amendedOrder"]["qty"]) == (
        "after",
        "0.01000000",
    )
    assert (told["x"], told["c"], told["C"], told["q"]) == (
        "REPLACED",
        "after",
        "before",
        "0.01000000",
    )
    assert refused == [-2038, -2038, -1013]
    assert gone["code"] == -2013


async def test_cancel_replace_moves_a_stop(client: Ccxt, simulator: Simulator) -> None:
    placed = await client.create_order(
        BTC, "STOP_LOSS_LIMIT", "sell", 0.01, 90_000, {"stopPrice": 95_000}
    )
    edited = await client.edit_order(
        placed["id"], BTC, "STOP_LOSS_LIMIT", "sell", 0.01, 90_000, {"stopPrice": 97_000}
    )
    move(simulator, 96_900)

    assert (await client.fetch_order(placed["id"], BTC))["status"] == "canceled"
    assert (await client.fetch_order(edited["id"], BTC))["status"] == "closed"


@pytest.mark.parametrize("is_logged_on", [False, True], ids=["signed", "after logon"])
async def test_websocket_api_carries_an_orders_whole_life(
    is_logged_on: bool, simulator: Simulator
) -> None:
    async with plain_binance(simulator) as client, client.api_socket() as socket:
        if is_logged_on:
            await socket.call("session.logon", client.signed_params())

        async def call(method: str, **params: object) -> Any:
            answer = await socket.call(method, asked(client, is_logged_on, params))
            assert answer["status"] == 200, answer
            return answer["result"]

        rest = {
            **SYMBOL,
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01",
        }
        placed = await call("order.place", **rest, price="90000", newClientOrderId="ws-1")
        status = await call("order.status", **SYMBOL, origClientOrderId="ws-1")
        replaced = await call(
            "order.cancelReplace",
            **rest,
            price="91000",
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrderId=placed["orderId"],
        )
        number = replaced["newOrderResponse"]["orderId"]
        amended = await call("order.amend.keepPriority", **SYMBOL, orderId=number, newQty="0.005")
        opened = await call("openOrders.status", **SYMBOL)
        canceled = await call("order.cancel", **SYMBOL, orderId=number)
        await call("order.place", **rest, price="90000")
        swept = await call("openOrders.cancelAll", **SYMBOL)
        orders = await call("allOrders", **SYMBOL)
        trades = await call("myTrades", **SYMBOL)
        test = await call("order.test", **rest, price="90000")

    assert status["status"] == "NEW"
    assert amended["amendedOrder"]["qty"] == "0.00500000"
    assert number in {order["orderId"] for order in opened}
    assert canceled["status"] == "CANCELED"
    assert swept
    assert {order["orderId"] for order in orders} >= {placed["orderId"], number}
    assert isinstance(trades, list)
    assert test == {}


def asked(client: PlainBinance, is_logged_on: bool, params: dict[str, object]) -> dict[str, object]:
    """Parameters of one request; a session that logged on needs no signature any more."""
    signed = client.signed_params(**params)
    if is_logged_on:
        del signed["apiKey"], signed["signature"]
    return signed


async def test_fee_in_bnb_changes_asset_in_the_middle_of_an_order(simulator: Simulator) -> None:
    venue = simulator.world.venues["binance"]
    account = venue.accounts[LABEL]
    price = venue.convert("BTC", "BNB")
    assert price is not None
    # As much BNB as the fee of a first part of 0.2 BTC costs.
    enough = Decimal("0.2") * price * Decimal("0.00076")
    simulator.world.deposit(LABEL, "BNB", enough - account.wallet.free("BNB"))
    seller = venue.open_account("other", {"BTC": Decimal(10)})
    market = simulator.world.market("binance", BTC)
    sell = OrderRequest(Side.SELL, OrderKind.MARKET, Decimal("0.2"))
    bid = {**SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.4"}
    async with plain_binance(simulator) as client:
        placed = await client.signed("POST", "/api/v3/order", **bid, price="100004.99")
        venue.place(seller, market, sell)
        venue.place(seller, market, sell)
        trades = await client.signed("GET", "/api/v3/myTrades", **SYMBOL, orderId=placed["orderId"])

    assert [trade["commissionAsset"] for trade in trades] == ["BNB", "BTC"]
    assert [trade["qty"] for trade in trades] == ["0.20000000", "0.20000000"]
