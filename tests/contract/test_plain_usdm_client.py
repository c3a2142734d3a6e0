"""A client that is not CCXT gets on with the simulated Binance futures: orders, user stream."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import pairwise

import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.fixtures.simulator import QUICK
from tests.plain_binance import Json, PlainBinance, PlainSocket, Where, plain_binance

LABEL, STREAMS = "binance-main", "fstream.binance.com"
KEY, ORDER, ALGO = "/fapi/v1/listenKey", "/fapi/v1/order", "/fapi/v1/algoOrder"
BTC, ETH = {"symbol": "BTCUSDT"}, {"symbol": "ETHUSDT"}
LIMIT = {
    **BTC,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.010",
    "price": "50000.0",
}
STOP = {
    **ETH,
    "algoType": "CONDITIONAL",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "1",
    "triggerPrice": "3000",
}
HOUR_MS = 3_600_000


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update={"is_paused": True})


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[PlainBinance]:
    async with plain_binance(simulator, host="fapi.binance.com") as client:
        yield client


def event_of(kind: str, **wanted: object) -> object:
    """Whether a message is such an event, with these fields of its order."""

    def is_wanted(message: Json) -> bool:
        order = message.get("o", {})
        return message.get("e") == kind and wanted.items() <= dict(order).items()

    return is_wanted


async def heard(socket: PlainSocket, kind: str, **wanted: object) -> Json:
    return await socket.until(event_of(kind, **wanted))  # type: ignore[arg-type]


@pytest.mark.parametrize("where", Where)
async def test_signed_parameters_may_travel_in_query_body_or_both(
    where: Where, client: PlainBinance
) -> None:
    placed = await client.signed("POST", ORDER, where, **LIMIT)
    counted = client.headers["X-MBX-ORDER-COUNT-10S"], client.headers["X-MBX-ORDER-COUNT-1M"]
    canceled = await client.signed("DELETE", ORDER, where, **BTC, orderId=placed["orderId"])

    assert (placed["status"], canceled["status"]) == ("NEW", "CANCELED")
    assert canceled["clientOrderId"] == placed["clientOrderId"]
    assert counted == ("1", "1")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NOPE"}, -1121),
        ({"side": "LONG"}, -1117),
        ({"type": "STOP"}, -4120),
        ({"type": "LIMIT_MAKER"}, -1116),
        ({"timeInForce": "DAY"}, -1115),
        ({"timeInForce": ""}, -1102),
        ({"timeInForce": "GTD"}, -1102),
        ({"timeInForce": "GTD", "goodTillDate": "1"}, -5040),
        ({"price": ""}, -1102),
        ({"price": "50000.05"}, -4014),
        ({"price": "NaN"}, -1100),
        ({"quantity": "0.0105"}, -1111),
        ({"quantity": "0"}, -4003),
        ({"quantity": "-1"}, -1100),
        ({"quantity": "5000"}, -4005),
        ({"quantity": "0.001"}, -4164),
        ({"positionSide": "LONG"}, -4061),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"priceMatch": "QUEUE"}, -5037),
    ],
)
async def test_malformed_order_is_refused_with_the_venues_code(
    changes: dict[str, str], code: int, client: PlainBinance, simulator: Simulator
) -> None:
    before = simulator.orders_seen
    refused = await client.signed("POST", ORDER, **{**LIMIT, **changes})

    assert (client.status, refused["code"]) == (400, code), refused
    assert simulator.orders_seen == before


async def test_order_test_and_batch_do_what_single_orders_do(
    client: PlainBinance, simulator: Simulator
) -> None:
    before = simulator.orders_seen
    assert await client.signed("POST", "/fapi/v1/order/test", **LIMIT) == {}
    assert simulator.orders_seen == before

    bad = {**LIMIT, "quantity": "0.001"}
    placed, refused = await client.signed(
        "POST", "/fapi/v1/batchOrders", Where.BODY, batchOrders=json.dumps([LIMIT, bad])
    )
    ids = f"[{placed['orderId']},999]"
    canceled, unknown = await client.signed(
        "DELETE", "/fapi/v1/batchOrders", Where.BODY, **BTC, orderIdList=ids
    )

    assert (placed["status"], refused["code"]) == ("NEW", -4164)
    assert (canceled["status"], unknown["code"]) == ("CANCELED", -2011)


async def test_acknowledgement_of_a_market_order_says_nothing_of_fills(
    client: PlainBinance,
) -> None:
    order = {**BTC, "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    acknowledged = await client.signed("POST", ORDER, **order)
    result = await client.signed("POST", ORDER, **order, newOrderRespType="RESULT")

    assert (acknowledged["status"], acknowledged["executedQty"]) == ("NEW", "0.000")
    assert (result["status"], result["executedQty"]) == ("FILLED", "0.010")
    known = await client.signed("GET", ORDER, **BTC, orderId=acknowledged["orderId"])
    assert known["status"] == "FILLED"


async def test_countdown_cancels_everything_unless_it_is_set_again(
    client: PlainBinance, simulator: Simulator
) -> None:
    path = "/fapi/v1/countdownCancelAll"
    placed = await client.signed("POST", ORDER, **LIMIT)
    await client.signed("POST", path, **BTC, countdownTime=3_600_000)
    await client.signed("POST", path, **BTC, countdownTime=0)
    simulator.world.venues["binance"].pulse()
    still = await client.signed("GET", ORDER, **BTC, orderId=placed["orderId"])
    await client.signed("POST", path, **BTC, countdownTime=1)
    while (await client.signed("GET", ORDER, **BTC, orderId=placed["orderId"]))["status"] == "NEW":
        simulator.world.venues["binance"].pulse()
    assert still["status"] == "NEW"


@pytest.mark.parametrize("path", ["/private/ws?listenKey={}", "/ws/{}", "/private/ws/{}"])
async def test_user_stream_tells_orders_fills_and_the_account(
    path: str, client: PlainBinance
) -> None:
    listen_key = (await client.keyed("POST", KEY))["listenKey"]
    async with client.socket(path.format(listen_key), STREAMS) as socket:
        placed = await client.signed("POST", ORDER, **LIMIT)
        new = await heard(socket, "ORDER_TRADE_UPDATE")
        await client.signed(
            "PUT", ORDER, **{**LIMIT, "quantity": "0.02"}, orderId=placed["orderId"]
        )
        amended = await heard(socket, "ORDER_TRADE_UPDATE")
        await client.signed("DELETE", ORDER, **BTC, orderId=placed["orderId"])
        canceled = await heard(socket, "ORDER_TRADE_UPDATE")
        await client.signed("POST", ORDER, **BTC, side="BUY", type="MARKET", quantity="0.01")
        account = await heard(socket, "ACCOUNT_UPDATE")
        await client.signed("POST", "/fapi/v1/leverage", **BTC, leverage=33)
        config = await heard(socket, "ACCOUNT_CONFIG_UPDATE")

    told = [(one["o"]["x"], one["o"]["X"]) for one in (new, amended, canceled)]
    assert told == [("NEW", "NEW"), ("AMENDMENT", "NEW"), ("CANCELED", "CANCELED")]
    assert amended["o"]["q"] == "0.020"
    assert account["a"]["m"] == "ORDER"
    assert [(p["s"], p["pa"]) for p in account["a"]["P"]] == [("BTCUSDT", "0.010")]
    assert config["ac"] == {"s": "BTCUSDT", "l": 33}


async def test_stop_is_told_by_the_algo_service_then_by_the_book(
    client: PlainBinance, simulator: Simulator
) -> None:
    listen_key = (await client.keyed("POST", KEY))["listenKey"]
    async with client.socket(f"/ws/{listen_key}", STREAMS) as socket:
        placed = await client.signed("POST", ALGO, **STOP, reduceOnly="true")
        new = await heard(socket, "ALGO_UPDATE")
        simulator.world.set_price("binance", "ETH/USDT:USDT", Decimal(2_990))
        book = await heard(socket, "ORDER_TRADE_UPDATE", x="NEW")
        triggered = await heard(socket, "ALGO_UPDATE", X="TRIGGERED")
        finished = await heard(socket, "ALGO_UPDATE", X="FINISHED")

    assert (new["o"]["X"], new["o"]["aid"]) == ("NEW", placed["algoId"])
    assert (book["o"]["o"], book["o"]["ot"]) == ("MARKET", "STOP_MARKET")
    assert triggered["o"]["ai"] == finished["o"]["ai"] == str(book["o"]["i"])
    assert finished["o"]["aq"] == "1.000"


async def test_conditional_order_is_not_of_the_book_before_its_time(client: PlainBinance) -> None:
    placed = await client.signed("POST", ALGO, **STOP, clientAlgoId="stop-1")
    unknown = await client.signed("GET", ORDER, **ETH, origClientOrderId="stop-1")
    known = await client.signed("GET", ALGO, clientAlgoId="stop-1")
    canceled = await client.signed("DELETE", ALGO, algoId=placed["algoId"])
    again = await client.signed("DELETE", ALGO, algoId=placed["algoId"])

    assert unknown["code"] == -2013
    assert known["algoStatus"] == "NEW"
    assert (canceled["code"], again["code"]) == ("200", -2011)


async def test_margin_call_comes_before_the_liquidation(
    client: PlainBinance, simulator: Simulator
) -> None:
    listen_key = (await client.keyed("POST", KEY))["listenKey"]
    risk = (await client.signed("GET", "/fapi/v3/positionRisk"))[0]
    liquidation = Decimal(risk["liquidationPrice"]).quantize(Decimal("0.01"))
    async with client.socket(f"/ws/{listen_key}", STREAMS) as socket:
        simulator.world.set_price("binance", "ETH/USDT:USDT", liquidation + Decimal("0.5"))
        call = await heard(socket, "MARGIN_CALL")

    assert [(p["s"], p["mt"]) for p in call["p"]] == [("ETHUSDT", "CROSSED")]
    assert Decimal(call["p"][0]["mm"]) > 0


async def test_ended_listen_key_is_told_to_its_stream_and_cannot_be_renewed(
    client: PlainBinance,
) -> None:
    listen_key = (await client.keyed("POST", KEY))["listenKey"]
    assert (await client.keyed("POST", KEY))["listenKey"] == listen_key
    async with client.socket(f"/ws/{listen_key}", STREAMS) as socket:
        await client.keyed("DELETE", KEY)
        expired = await heard(socket, "listenKeyExpired")

    assert expired["listenKey"] == listen_key
    assert (await client.keyed("PUT", KEY))["code"] == -1125


async def test_spot_stream_hears_nothing_of_futures(
    client: PlainBinance, simulator: Simulator
) -> None:
    async with plain_binance(simulator) as spot, spot.api_socket() as socket:
        await socket.call("userDataStream.subscribe.signature", spot.signed_params())
        await client.signed("POST", ORDER, **LIMIT)
        await client.signed("POST", ORDER, **BTC, side="BUY", type="MARKET", quantity="0.01")
        simulator.world.trade(LABEL, "BTC/USDT", Side.BUY, Decimal("0.001"))
        first = await socket.until(lambda m: "event" in m)
        account = await spot.signed("GET", "/api/v3/openOrders")

    assert (first["event"]["e"], first["event"]["q"]) == ("executionReport", "0.00100000")
    assert all(order["price"] != LIMIT["price"] for order in account)


@pytest.mark.parametrize(
    "path",
    ["/stream?streams=btcusdt@depth@100ms", "/public/stream?streams=btcusdt@depth@100ms"],
)
async def test_depth_updates_form_a_chain_from_the_snapshot_on(
    path: str, client: PlainBinance, simulator: Simulator
) -> None:
    simulator.resume()
    async with client.socket(path, STREAMS) as socket:
        updates = [(await socket.receive())["data"] for _ in range(4)]
        snapshot = await client.public("/fapi/v1/depth", **BTC, limit=1000)
        while updates[-1]["u"] < snapshot["lastUpdateId"]:
            updates.append((await socket.receive())["data"])

    assert all(b["pu"] == a["u"] for a, b in pairwise(updates))
    assert all(one["U"] <= one["u"] for one in updates)
