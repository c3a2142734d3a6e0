"""Faults of open WebSockets: what goes out, what comes in, and how a connection ends."""

import asyncio
import time
from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.faults.fault import Match
from alphapulse.simulator.faults.streams import (
    ClosedStream,
    DelayedFrame,
    ForeignFrame,
    HugeFrame,
    LostFrame,
    LostMessage,
    RefusedMessage,
    ReorderedFrame,
    RepeatedFrame,
    RotatedStream,
    SlowConsumer,
)
from alphapulse.simulator.faults.world import EndedUserStream, RestartedBooks, TradeBurst
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.ccxt_clients import ccxt_client
from tests.eventually import eventually
from tests.fixtures.simulator import QUICK
from tests.plain_binance import plain_binance
from tests.plain_bybit import PlainBybit, PlainSocket, plain_bybit

BYBIT, BINANCE = "bybit-unified", "binance-main"
TRADES, BOOK = "publicTrade.BTCUSDT", "orderbook.50.BTCUSDT"
ORDER = {
    "category": "spot",
    "symbol": "BTCUSDT",
    "side": "Buy",
    "orderType": "Limit",
    "qty": "0.001",
    "price": "60000",
}


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update={"history_days": 0, "is_paused": True})


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[PlainBybit]:
    async with plain_bybit(simulator) as client:
        yield client


def trade(simulator: Simulator, label: str = BYBIT, times: int = 1) -> None:
    """Nothing else trades: the driver is paused."""
    for _ in range(times):
        simulator.world.trade(label, "BTC/USDT", Side.BUY, Decimal("0.001"))


def order_message(request_id: str) -> dict[str, object]:
    """What places an order on the trade socket."""
    header = {"X-BAPI-TIMESTAMP": str(int(time.time() * 1000))}
    return {"reqId": request_id, "header": header, "op": "order.create", "args": [ORDER]}


async def numbers(socket: PlainSocket, count: int) -> list[int]:
    """Of trades, as they come."""
    return [(await socket.topic(TRADES))["data"][0]["seq"] for _ in range(count)]


# Frames.


async def test_frame_is_overtaken_by_the_next(simulator: Simulator, client: PlainBybit) -> None:
    async with client.socket("/v5/public/spot") as socket:
        await socket.subscribe(TRADES)
        simulator.faults.add(ReorderedFrame(match=Match(topic=TRADES)))
        trade(simulator, times=3)

        first, second, third = await numbers(socket, 3)

    assert first == second + 1
    assert third == first + 1


async def test_frame_is_late_and_the_others_are_not(
    simulator: Simulator, client: PlainBybit
) -> None:
    async with client.socket("/v5/public/spot") as socket:
        await socket.subscribe(TRADES)
        simulator.faults.add(DelayedFrame(match=Match(topic=TRADES), delay_s=0.2))
        trade(simulator, times=3)

        seen = await numbers(socket, 3)

    assert seen == [seen[2] + 1, seen[2] + 2, seen[2]]


async def test_frame_comes_as_often_as_it_is_told(simulator: Simulator, client: PlainBybit) -> None:
    async with client.socket("/v5/public/spot") as socket:
        await socket.subscribe(TRADES)
        simulator.faults.add(RepeatedFrame(match=Match(topic=TRADES), times=100))
        trade(simulator, times=2)

        seen = await numbers(socket, 101)

    assert len(set(seen[:100])) == 1
    assert seen[100] == seen[0] + 1


async def test_fill_is_told_twice(simulator: Simulator, client: PlainBybit) -> None:
    async with client.socket("/v5/private") as socket:
        await socket.authenticate()
        await socket.subscribe("execution")
        simulator.faults.add(RepeatedFrame(match=Match(topic="execution", account=BYBIT)))
        trade(simulator)

        first, second = await socket.topic("execution"), await socket.topic("execution")

    assert first == second


async def test_frame_that_is_no_json_comes_between(
    simulator: Simulator, client: PlainBybit
) -> None:
    async with client.socket("/v5/public/spot") as socket:
        await socket.subscribe(TRADES)
        simulator.faults.add(ForeignFrame(match=Match(topic=TRADES), text="<html>"))
        trade(simulator)

        assert await socket.raw.receive_str() == "<html>"
        assert await socket.topic(TRADES)


async def test_frame_is_larger_than_clients_take(simulator: Simulator) -> None:
    url = f"{simulator.url}/stream.bybit.com/v5/public/spot"
    for limit, is_taken in ((4 * 2**20, False), (0, True)):
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(url, max_msg_size=limit) as socket,
        ):
            await socket.send_json({"op": "subscribe", "args": [TRADES]})
            await socket.receive()
            simulator.faults.add(HugeFrame(match=Match(topic=TRADES)))
            trade(simulator, times=2)
            message = await socket.receive()

            assert (message.type is aiohttp.WSMsgType.TEXT) is is_taken
            if is_taken:
                assert len(message.data) > 10 * 2**20
                assert (await socket.receive_json())["topic"] == TRADES
    # CCXT itself gives up beyond 10 MiB.
    assert HugeFrame().size_bytes > 10 * 2**20


async def test_reply_is_lost_and_the_request_is_executed(
    simulator: Simulator, client: PlainBybit
) -> None:
    async with client.socket("/v5/trade") as socket:
        await socket.authenticate()
        simulator.faults.add(LostFrame(match=Match(topic="", path="/v5/trade")))
        await socket.send(order_message("lost"))
        await socket.send({"reqId": "heard", "op": "ping"})

        assert (await socket.receive())["reqId"] == "heard"
    assert simulator.orders_seen == 1


# Messages.


async def test_message_never_arrives(simulator: Simulator, client: PlainBybit) -> None:
    async with client.socket("/v5/trade") as socket:
        await socket.authenticate()
        simulator.faults.add(LostMessage(match=Match(topic="order.create")))
        await socket.send(order_message("lost"))
        await socket.send(order_message("heard"))

        assert (await socket.receive())["reqId"] == "heard"
    assert simulator.orders_seen == 1


async def test_no_ping_is_answered_and_frames_go_on(
    simulator: Simulator, client: PlainBybit
) -> None:
    pongs = []
    async with client.socket("/v5/public/spot") as socket:
        await socket.subscribe(TRADES)
        simulator.faults.add(LostMessage(match=Match(topic="ping"), count=None))
        await socket.send({"op": "ping"})
        pongs.append(asyncio.create_task(_pong(socket.raw)))
        await eventually(lambda: simulator.faults.entries[0].struck == 2)
        trade(simulator)

        assert (await socket.receive())["topic"] == TRADES
        simulator.faults.clear()
        await socket.send({"op": "ping"})
        assert (await socket.receive())["ret_msg"] == "pong"


async def _pong(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.ping()


async def test_subscription_is_refused_in_the_venue_s_own_envelope(
    simulator: Simulator, client: PlainBybit
) -> None:
    refused = RefusedMessage(match=Match(topic="[sS][uU][bB]*"), code=2, message="no", count=3)
    simulator.faults.add(refused)
    async with client.socket("/v5/public/spot") as socket, plain_binance(simulator) as binance:
        said = await socket.subscribe(TRADES)
        assert (said["success"], said["ret_msg"], said["op"]) == (False, "no", "subscribe")
        trade(simulator)
        assert (await socket.subscribe("tickers.BTCUSDT"))["success"] is False

        async with binance.socket() as stream:
            assert (await stream.subscribe("btcusdt@trade"))["error"] == {"code": 2, "msg": "no"}
            assert (await stream.subscribe("btcusdt@trade"))["result"] is None


async def test_request_of_the_websocket_api_is_refused_and_not_done(
    simulator: Simulator,
) -> None:
    match = Match(topic="order.place", host="ws-api.binance.com")
    simulator.faults.add(RefusedMessage(match=match, code=-1008, message="Server is overloaded."))
    async with plain_binance(simulator) as client, client.api_socket() as socket:
        order = client.signed_params(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.001")
        reply = await socket.call("order.place", order)

    assert (reply["status"], reply["error"]["code"]) == (400, -1008)
    assert simulator.orders_seen == 0


# How a connection ends, and what begins anew.


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011])
async def test_stream_is_closed_with_a_code(
    code: int, simulator: Simulator, client: PlainBybit
) -> None:
    async with client.socket("/v5/public/spot") as socket:
        await socket.subscribe(TRADES)
        simulator.faults.add(ClosedStream(match=Match(topic=TRADES), code=code))
        trade(simulator)
        with pytest.raises(EOFError):
            await socket.receive()

    assert socket.raw.close_code == code


async def test_private_event_is_lost_across_a_reconnect(
    simulator: Simulator, client: PlainBybit
) -> None:
    simulator.faults.add(ClosedStream(match=Match(topic="execution"), code=1006))
    async with client.socket("/v5/private") as socket:
        await socket.authenticate()
        await socket.subscribe("execution")
        trade(simulator)
        with pytest.raises(EOFError):
            await socket.receive()
    async with client.socket("/v5/private") as socket:
        await socket.authenticate()
        await socket.subscribe("execution")
        trade(simulator)
        seen = await socket.topic("execution")

    listed = await client.get("/v5/execution/list", category="spot")
    newest, lost = (row["execId"] for row in listed["result"]["list"])
    assert [row["execId"] for row in seen["data"]] == [newest]
    assert lost != newest


async def test_slow_reader_is_dropped_when_patience_ends(
    simulator: Simulator, client: PlainBybit
) -> None:
    async with client.socket("/v5/public/spot") as socket:
        await socket.subscribe(TRADES)
        simulator.faults.add(SlowConsumer(match=Match(topic=TRADES), outbox_bytes=1_000))
        trade(simulator)
        assert await socket.topic(TRADES)
        trade(simulator, times=20)
        with pytest.raises((EOFError, aiohttp.ClientError)):
            await socket.until(lambda _: False)

    assert socket.raw.close_code == 1006


async def test_binance_announces_that_it_goes_down_and_closes(simulator: Simulator) -> None:
    for topic in ("btcusdt@trade", "executionReport"):
        simulator.faults.add(RotatedStream(match=Match(topic=topic), notice_s=0.1, count=None))
    async with (
        plain_binance(simulator) as client,
        client.socket() as market,
        client.api_socket() as api,
    ):
        await market.subscribe("btcusdt@trade")
        await api.call("userDataStream.subscribe.signature", client.signed_params())
        trade(simulator, BINANCE)

        said = await market.until(lambda m: m.get("e") == "serverShutdown")
        told = await api.until(lambda m: m.get("event", {}).get("e") == "serverShutdown")
        assert said["E"] > 0
        assert told.keys() == {"event"}
        for socket in (market, api):
            with pytest.raises(aiohttp.WSMessageTypeError, match="1001"):
                await socket.until(lambda _: False)


async def test_bybit_closes_without_an_announcement(
    simulator: Simulator, client: PlainBybit
) -> None:
    async with client.socket("/v5/public/spot") as socket:
        simulator.faults.add(RotatedStream(notice_s=0))
        assert (await socket.subscribe(TRADES))["success"]
        with pytest.raises(EOFError):
            await socket.receive()

    assert socket.raw.close_code == 1001


async def test_bybit_sends_a_new_snapshot_counted_from_one(
    simulator: Simulator, client: PlainBybit
) -> None:
    async with client.socket("/v5/public/spot") as socket:
        await socket.subscribe(BOOK)
        first = await socket.topic(BOOK)
        simulator.faults.add(RestartedBooks(symbol="BTCUSDT"))
        await client.public("/v5/market/time")
        again = await socket.topic(BOOK)
        await client.post("/v5/order/create", **ORDER)
        delta = await socket.topic(BOOK)

    assert (first["type"], again["type"], delta["type"]) == ("snapshot", "snapshot", "delta")
    assert (again["data"]["u"], delta["data"]["u"]) == (1, 2)
    assert again["data"]["b"] == first["data"]["b"]


async def test_account_stream_ends_and_its_socket_stays_open(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client, client.api_socket() as socket:
        subscribed = client.signed_params()
        assert (await socket.call("userDataStream.subscribe.signature", subscribed))[
            "status"
        ] == 200
        simulator.faults.add(EndedUserStream(match=Match(account=BINANCE)))
        await client.signed("GET", "/api/v3/account")
        event = await socket.until(lambda m: "event" in m)
        assert event["event"]["e"] == "eventStreamTerminated"

        trade(simulator, BINANCE)
        assert "result" in await socket.call("time")
        again = await socket.call("userDataStream.subscribe.signature", client.signed_params())
        trade(simulator, BINANCE)
        report = await socket.until(lambda m: m.get("event", {}).get("e") == "executionReport")

    assert report["subscriptionId"] == again["result"]["subscriptionId"]


async def test_listen_key_of_the_futures_is_gone_and_its_stream_says_so(
    simulator: Simulator,
) -> None:
    keys = f"{simulator.url}/fapi.binance.com/fapi/v1/listenKey"
    headers = {"X-MBX-APIKEY": simulator.account(BINANCE).api_key}
    async with aiohttp.ClientSession(headers=headers) as http:
        made = await (await http.post(keys)).json()
        stream = f"{simulator.url}/fstream.binance.com/private/ws?listenKey={made['listenKey']}"
        async with http.ws_connect(stream) as socket:
            simulator.faults.add(EndedUserStream(match=Match(path="*/listenKey")))
            renewed = await (await http.put(keys)).json()
            event = await socket.receive_json()
            assert not socket.closed
        anew = await (await http.post(keys)).json()

    assert renewed["code"] == -1125
    assert (event["e"], event["listenKey"]) == ("listenKeyExpired", made["listenKey"])
    assert anew["listenKey"] != made["listenKey"]


async def test_burst_is_as_many_trades_as_ordered(simulator: Simulator, client: PlainBybit) -> None:
    async with client.socket("/v5/public/spot") as socket:
        await socket.subscribe(TRADES)
        simulator.faults.add(
            TradeBurst(match=Match(path="/v5/market/time"), symbol="BTCUSDT", trades=500)
        )
        await client.public("/v5/market/time")

        seen = await numbers(socket, 500)

    assert seen == list(range(seen[0], seen[0] + 500))


async def test_ccxt_watches_through_a_duplicate_a_gap_and_a_late_frame(
    simulator: Simulator,
) -> None:
    match = Match(venue="binance", topic="btcusdt@trade")
    simulator.faults.add(RepeatedFrame(match=match))
    simulator.faults.add(LostFrame(match=match, skip=1))
    async with ccxt_client(simulator, "binance", None) as client:
        await client.load_markets()
        watching = asyncio.create_task(client.watch_trades("BTC/USDT"))
        await eventually(lambda: simulator.stream_count == 1)

        async def is_heard() -> bool:
            trade(simulator, BINANCE)
            await asyncio.sleep(0)
            return watching.done()

        await eventually(is_heard)
        assert (await watching)[0]["symbol"] == "BTC/USDT"
