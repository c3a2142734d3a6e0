"""A client that is not CCXT gets on with the simulated Binance: signing, streams, limits."""

import asyncio
import json
from decimal import Decimal

import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.core.instrument import MarketStatus
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.eventually import eventually
from tests.fixtures.simulator import QUICK
from tests.plain_binance import Where, plain_binance

BTC = {"symbol": "BTCUSDT"}
LIMIT = {
    **BTC,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "50000",
}


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update={"is_paused": True})


@pytest.mark.parametrize("where", Where)
async def test_signed_parameters_may_travel_in_query_body_or_both(
    where: Where, simulator: Simulator
) -> None:
    async with plain_binance(simulator) as client:
        placed = await client.signed("POST", "/api/v3/order", where, **LIMIT)
        canceled = await client.signed(
            "DELETE", "/api/v3/order", where, **BTC, orderId=placed["orderId"]
        )

    assert (placed["status"], canceled["status"]) == ("NEW", "CANCELED")
    assert canceled["origClientOrderId"] == placed["clientOrderId"] != canceled["clientOrderId"]


async def test_signature_is_over_the_bytes_as_sent(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client:
        client.sign = lambda payload: "0" * 64  # type: ignore[method-assign]
        wrong = await client.signed("GET", "/api/v3/account")

    assert (client.status, wrong["code"]) == (400, -1022)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NOPE"}, -1121),
        ({"symbol": "btc usdt"}, -1100),
        ({"side": "LONG"}, -1117),
        ({"type": "STOP"}, -1116),
        ({"type": "STOP_LOSS_LIMIT"}, -1102),
        ({"type": "STOP_LOSS_LIMIT", "stopPrice": "0"}, -1013),
        ({"type": "STOP_LOSS_LIMIT", "stopPrice": "50000.001"}, -1013),
        ({"type": "STOP_LOSS_LIMIT", "stopPrice": "50000"}, -2010),
        ({"type": "STOP_LOSS", "stopPrice": "150000"}, -1106),
        ({"type": "STOP_LOSS_LIMIT", "trailingDelta": "9"}, -1013),
        ({"type": "TAKE_PROFIT_LIMIT", "stopPrice": "150000"}, -2010),
        ({"timeInForce": "GTX"}, -1115),
        ({"timeInForce": ""}, -1102),
        ({"quantity": ""}, -1102),
        ({"quantity": "1e-2"}, -1100),
        ({"quantity": "0.000000001"}, -1111),
        ({"quantity": "0.0000001"}, -1013),
        ({"price": "50000.001"}, -1013),
        ({"price": "0"}, -1013),
        ({"price": "1000000.01"}, -1013),
        ({"quantity": "200"}, -1013),
        ({"quoteOrderQty": "10"}, -1106),
        ({"newClientOrderId": "with space"}, -1100),
        ({"recvWindow": "60001"}, -1131),
    ],
)
async def test_malformed_order_gets_the_venues_code(
    changes: dict[str, str], code: int, simulator: Simulator
) -> None:
    async with plain_binance(simulator) as client:
        refused = await client.signed("POST", "/api/v3/order", **{**LIMIT, **changes})
        test = await client.signed("POST", "/api/v3/order/test", **{**LIMIT, **changes})
        opened = await client.signed("GET", "/api/v3/openOrders", **BTC)

    assert (refused["code"], test["code"]) == (code, code)
    assert refused["msg"]
    assert "50000.00000000" not in {order["price"] for order in opened}


async def test_halted_symbol_takes_no_orders(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client:
        simulator.world.set_status("binance", "BTC/USDT", MarketStatus.HALT)
        refused = await client.signed("POST", "/api/v3/order", **LIMIT)
        info = await client.public("/api/v3/exchangeInfo", **BTC)

    assert (refused["code"], refused["msg"]) == (-1013, "Market is closed.")
    assert info["symbols"][0]["status"] == "HALT"


async def test_cancel_replace_tells_what_became_of_each_leg(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client:
        placed = await client.signed("POST", "/api/v3/order", **LIMIT)
        half = await client.signed(
            "POST",
            "/api/v3/order/cancelReplace",
            **{**LIMIT, "quantity": "100"},
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrderId=placed["orderId"],
        )
        half_status = client.status
        none = await client.signed(
            "POST",
            "/api/v3/order/cancelReplace",
            **LIMIT,
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrderId=placed["orderId"],
        )

    assert (half_status, half["code"]) == (409, -2021)
    assert half["data"]["cancelResult"] == "SUCCESS"
    assert half["data"]["newOrderResponse"]["code"] == -2010
    assert (client.status, none["code"]) == (400, -2022)
    assert none["data"]["newOrderResult"] == "NOT_ATTEMPTED"


async def test_microseconds_are_spoken_on_request(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client:
        usual = await client.public("/api/v3/klines", **BTC, interval="1m", limit=1)
        micro = await client._send(
            "GET",
            "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1",
            b"",
            {"X-MBX-TIME-UNIT": "MICROSECOND"},
        )

    assert micro[0][0] == usual[0][0] * 1000


async def test_weight_is_told_then_429_then_418_with_retry_after(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client:
        await client.public("/api/v3/depth", **BTC, limit=5000)
        first = int(client.headers["X-MBX-USED-WEIGHT-1M"])
        await client.public("/api/v3/ping")
        second = int(client.headers["X-MBX-USED-WEIGHT-1M"])
        statuses = []
        for _ in range(60):
            await client.public("/api/v3/depth", **BTC, limit=5000)
            statuses.append(client.status)
        banned = await client.public("/api/v3/ping")

    assert second == first + 1
    assert sorted(set(statuses)) == [200, 418, 429]
    assert statuses == sorted(statuses, key=[200, 429, 418].index)
    assert (client.status, banned["code"]) == (418, -1003)
    assert 0 < int(client.headers["Retry-After"]) <= 120
    assert "IP banned until" in banned["msg"]


async def test_orders_are_counted_and_limited(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client:
        await client.signed("POST", "/api/v3/order", **LIMIT)
        counted = client.headers["X-MBX-ORDER-COUNT-10S"], client.headers["X-MBX-ORDER-COUNT-1D"]
        codes = set()
        for _ in range(210):
            answer = await client.signed("POST", "/api/v3/order", **{**LIMIT, "price": "1"})
            codes.add(answer["code"])
            if answer["code"] == -1015:
                break

    assert counted == ("1", "1")
    assert codes == {-1013, -1015}
    assert client.status == 429


async def test_one_connection_follows_and_forgets_streams(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client, client.socket("/stream") as socket:
        await socket.subscribe("btcusdt@trade", "ethusdt@bookTicker")
        listed = await socket.subscribe(method="LIST_SUBSCRIPTIONS")
        await socket.subscribe("btcusdt@trade", method="UNSUBSCRIBE")
        simulator.world.trade("binance-main", "BTC/USDT", Side.BUY, Decimal("0.01"))
        simulator.world.trade("binance-main", "ETH/USDT", Side.BUY, Decimal("0.01"))
        heard = await socket.receive()

    assert listed["result"] == ["btcusdt@trade", "ethusdt@bookTicker"]
    assert heard["stream"] == "ethusdt@bookTicker"


async def test_raw_stream_is_named_in_the_path(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client, client.socket("/ws/btcusdt@aggTrade") as socket:
        await eventually(lambda: simulator.stream_count == 1)
        order = simulator.world.trade("binance-main", "BTC/USDT", Side.BUY, Decimal("0.35"))
        heard = [await socket.receive()]
        while sum(Decimal(one["q"]) for one in heard) < order.filled_quantity:
            heard.append(await socket.receive())
        listed = await client.public("/api/v3/aggTrades", **BTC)

    assert [one["e"] for one in heard] == ["aggTrade"] * len(heard)
    assert [one["a"] for one in heard] == [row["a"] for row in listed][-len(heard) :]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", 3),
        ('{"method": "SUBSCRIBE", "params": "x", "id": 1}', 2),
        ('{"method": "SUBSCRIBE", "params": [1], "id": 1}', 2),
        ('{"method": "DANCE", "params": [], "id": 1}', 2),
        ("[]", 2),
    ],
)
async def test_nonsense_on_a_stream_is_answered_with_an_error(
    text: str, code: int, simulator: Simulator
) -> None:
    async with plain_binance(simulator) as client, client.socket() as socket:
        await socket.send_text(text)
        refused = await socket.receive()
        accepted = await socket.subscribe("btcusdt@ticker")

    assert refused["error"]["code"] == code
    assert accepted["result"] is None


async def test_book_from_snapshot_and_deltas_is_the_book(simulator: Simulator) -> None:
    """The venue's own recipe: buffer, fetch, drop what is older, apply without a gap."""
    simulator.resume()
    async with plain_binance(simulator) as client, client.socket("/ws") as socket:
        await socket.subscribe("btcusdt@depth@100ms")
        buffered = [await socket.receive()]
        snapshot = await client.public("/api/v3/depth", **BTC, limit=5000)
        while len(buffered) < 12:
            buffered.append(await socket.receive())
        simulator.pause()
        while True:
            after = await client.public("/api/v3/depth", **BTC, limit=5000)
            if buffered[-1]["u"] >= after["lastUpdateId"]:
                break
            buffered.append(await socket.receive())

    book = {side: dict(snapshot[side]) for side in ("bids", "asks")}
    last_id = snapshot["lastUpdateId"]
    used = [event for event in buffered if event["u"] > last_id]
    for event in used:
        assert event["U"] <= last_id + 1
        last_id = event["u"]
        for side, changes in (("bids", event["b"]), ("asks", event["a"])):
            book[side] |= dict(changes)
    rebuilt = {
        side: {p: q for p, q in levels.items() if Decimal(q)} for side, levels in book.items()
    }
    assert len(used) >= 2
    assert rebuilt == {side: dict(after[side]) for side in ("bids", "asks")}


async def test_websocket_api_trades_and_tells_the_account(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client, client.api_socket() as socket:
        assert (await socket.call("ping"))["result"] == {}
        assert (await socket.call("time"))["result"]["serverTime"] > 0
        early = await socket.call("userDataStream.subscribe")
        logged_on = await socket.call("session.logon", client.signed_params())
        subscribed = await socket.call("userDataStream.subscribe")
        timestamp = {"timestamp": client._now_ms()}
        order = {**BTC, "side": "BUY", "type": "MARKET", "quantity": "0.01", **timestamp}
        await socket.send({"id": "o-1", "method": "order.place", "params": order})
        heard = [await socket.receive() for _ in range(5)]
        status = await socket.call("account.status", timestamp)
        opened = await socket.call("openOrders.status", client.signed_params(**BTC))
        ended = await socket.call("userDataStream.unsubscribe")

    assert early["status"] == 401
    assert logged_on["result"]["apiKey"] == client.account.api_key
    assert subscribed["result"] == {"subscriptionId": 0}
    reply = next(message for message in heard if message.get("id") == "o-1")
    assert (reply["status"], reply["result"]["status"]) == (200, "FILLED")
    events = [message["event"] for message in heard if "event" in message]
    assert [event.get("x") for event in events if event["e"] == "executionReport"] == [
        "NEW",
        "TRADE",
    ]
    assert reply["rateLimits"][0]["count"] > 0
    assert status["result"]["balances"]
    assert opened["status"] == 200
    assert ended["status"] == 200


async def test_revoked_key_ends_the_user_stream(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client, client.api_socket() as socket:
        await socket.call("userDataStream.subscribe.signature", client.signed_params())
        simulator.world.revoke_key("binance-main")
        ended = await socket.receive()
        refused = await client.signed("GET", "/api/v3/account")

    assert ended["event"]["e"] == "eventStreamTerminated"
    assert (client.status, refused["code"]) == (401, -2015)


async def test_websocket_api_says_what_is_wrong(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client, client.api_socket() as socket:
        await socket.send_text("nonsense")
        broken = await socket.receive()
        unknown = await socket.call("order.dance")
        stale = client.signed_params(**BTC)
        stale["signature"] = "0" * 64
        unsigned = await socket.call("order.status", stale)

    assert (broken["status"], broken["error"]["code"]) == (400, -1135)
    assert unknown["error"]["code"] == -1020
    assert unsigned["error"]["code"] == -1022


async def test_frozen_prices_are_the_same_everywhere(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client:
        first = await client.public("/api/v3/ticker/price")
        await asyncio.sleep(0.3)
        second = await client.public("/api/v3/ticker/price")
        day = await client.public("/api/v3/ticker/24hr")

    assert json.dumps(first) == json.dumps(second)
    assert {row["symbol"]: row["lastPrice"] for row in day} == {
        row["symbol"]: row["price"] for row in first
    }
    spot = [symbol for symbol in simulator.world.prices("binance") if ":" not in symbol]
    assert len(first) == len(spot)
