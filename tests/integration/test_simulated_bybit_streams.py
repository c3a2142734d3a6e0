"""Bybit's sockets as a plain client meets them: keepalive, bounds, refusals, topics."""

from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from alphapulse.simulator.wire import MESSAGE_BYTES_MAX
from tests.eventually import eventually
from tests.fixtures.simulator import QUICK
from tests.plain_bybit import plain_bybit

LABEL = "bybit-unified"


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update={"history_days": 0})


@pytest.mark.parametrize(
    ("path", "op", "ret_msg"),
    [
        ("/v5/public/spot", "ping", "pong"),
        ("/v5/private", "pong", None),
        ("/v5/trade", "ping", None),
    ],
)
async def test_ping_is_answered_in_each_sockets_own_way(
    path: str, op: str, ret_msg: str | None, simulator: Simulator
) -> None:
    async with plain_bybit(simulator) as client, client.socket(path) as socket:
        await socket.send({"op": "ping", "req_id": 17, "callerMethodName": "ignored"})
        pong = await socket.receive()

    assert (pong["op"], pong.get("ret_msg")) == (op, ret_msg)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v5/public/spot", {"op": "subscribe", "args": ["tickers.NOPEUSDT"]}),
        ("/v5/public/spot", {"op": "subscribe", "args": ["orderbook.3.BTCUSDT"]}),
        ("/v5/public/spot", {"op": "subscribe", "args": ["kline.7.BTCUSDT"]}),
        ("/v5/public/spot", {"op": "subscribe", "args": [["tickers.BTCUSDT"]]}),
        ("/v5/public/spot", {"op": "subscribe"}),
        ("/v5/public/spot", {"op": "dance"}),
        ("/v5/public/inverse", {"op": "subscribe", "args": ["tickers.BTCUSD"]}),
        ("/v5/public/linear", ["no", "object"]),
        ("/v5/private", {"op": "subscribe", "args": ["order"]}),
        ("/v5/private", {"op": "auth", "args": ["sim-nobody", 1, "x"]}),
        ("/v5/private", {"op": "auth"}),
    ],
)
async def test_what_cannot_be_done_is_refused_and_the_socket_lives(
    path: str, message: Any, simulator: Simulator
) -> None:
    async with plain_bybit(simulator) as client, client.socket(path) as socket:
        await socket.send(message)
        refused = await socket.receive()
        await socket.send({"op": "ping"})
        assert await socket.receive()

    assert refused["success"] is False
    assert refused["ret_msg"]


async def test_spot_takes_ten_topics_in_one_message(simulator: Simulator) -> None:
    names = [m.instrument.name for m in simulator.world.venues["bybit"].markets.values()]
    topics = [f"tickers.{name}" for name in names[:11]]
    async with plain_bybit(simulator) as client, client.socket("/v5/public/spot") as socket:
        eleven = await socket.subscribe(*topics)
        ten = await socket.subscribe(*topics[:10])

    assert (eleven["success"], ten["success"]) == (False, True)
    assert eleven["ret_msg"] == "args size >10"


async def test_unsubscribed_topic_falls_silent(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client, client.socket("/v5/public/linear") as socket:
        await socket.subscribe("tickers.BTCUSDT")
        await socket.topic("tickers.BTCUSDT")
        await socket.send({"op": "unsubscribe", "args": ["tickers.BTCUSDT"]})
        await socket.until(lambda message: message.get("op") == "unsubscribe")
        with pytest.raises(TimeoutError):
            await socket.receive(within_s=1)


async def test_second_follower_gets_its_own_snapshot_and_the_same_deltas(
    simulator: Simulator,
) -> None:
    topic = "orderbook.50.BTCUSDT"
    async with (
        plain_bybit(simulator) as client,
        client.socket("/v5/public/linear") as first,
        client.socket("/v5/public/linear") as second,
    ):
        await first.subscribe(topic)
        await first.until(lambda message: message.get("type") == "delta")
        await second.subscribe(topic)
        snapshot = await second.topic(topic)
        delta = await second.topic(topic)
        same = await first.until(lambda m: m["data"]["u"] == delta["data"]["u"])

    assert snapshot["type"] == "snapshot"
    assert delta["data"]["u"] == snapshot["data"]["u"] + 1
    assert same == delta


async def test_book_put_together_from_deltas_is_the_book_over_rest(simulator: Simulator) -> None:
    topic = "orderbook.50.BTCUSDT"
    frames: list[Any] = []
    async with plain_bybit(simulator) as client, client.socket("/v5/public/linear") as socket:
        await socket.subscribe(topic)
        while len(frames) < 6:
            frames.append(await socket.topic(topic))
        simulator.pause()
        await socket.send({"op": "ping"})  # what was sent before comes before its answer
        while "topic" in (frame := await socket.receive()):
            frames.append(frame)
        answer = await client.public(
            "/v5/market/orderbook", category="linear", symbol="BTCUSDT", limit=50
        )

    for side in ("b", "a"):
        levels = {price: size for f in frames for price, size in f["data"][side]}
        assert {p: q for p, q in levels.items() if q != "0"} == dict(answer["result"][side])


async def test_narrow_topic_hears_its_category_only(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client, client.socket("/v5/private") as socket:
        await socket.authenticate()
        await socket.subscribe("order.linear")
        simulator.world.trade(LABEL, "BTC/USDT", Side.BUY, Decimal("0.001"))
        simulator.world.trade(LABEL, "BTC/USDT:USDT", Side.BUY, Decimal("0.001"))
        frame = await socket.receive()

    assert frame["topic"] == "order.linear"
    assert frame["data"][0]["category"] == "linear"


async def test_fill_comes_as_execution_order_wallet_and_position(simulator: Simulator) -> None:
    seen: dict[str, Any] = {}
    async with plain_bybit(simulator) as client, client.socket("/v5/private") as socket:
        await socket.authenticate()
        await socket.subscribe("order", "execution", "wallet", "position")
        simulator.world.trade(LABEL, "BTC/USDT:USDT", Side.BUY, Decimal("0.01"))
        # Accepting and filling are told one by one; the last word on each topic counts.
        while len(seen) < 4 or seen["order"]["orderStatus"] != "Filled":
            frame = await socket.receive()
            seen[frame["topic"]] = frame["data"][0]

    assert seen["order"]["cumExecQty"] == "0.01"
    assert seen["execution"]["execQty"] == "0.01"
    assert seen["position"]["size"] == "0.26"
    assert [coin["coin"] for coin in seen["wallet"]["coin"]] == ["USDT"]


async def test_oversized_message_ends_the_connection(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client, client.socket("/v5/public/spot") as socket:
        await socket.raw.send_str("x" * (MESSAGE_BYTES_MAX + 1))
        with pytest.raises(EOFError):
            await socket.receive()

    assert socket.raw.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    await eventually(lambda: simulator.stream_count == 0)


async def test_unknown_paths_and_hosts_are_not_found(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client, aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with client.socket("/v5/public/moon"):
                pass
        async with http.get(f"{simulator.url}/api.kraken.com/0/public/Time") as response:
            assert response.status == 404
