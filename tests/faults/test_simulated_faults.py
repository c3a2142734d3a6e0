"""Each fault of the script does to a real client what it says."""

import asyncio
import json
import time
from contextlib import suppress
from decimal import Decimal
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
import uvloop

from alphapulse.domain.order import Side
from alphapulse.simulator.core.instrument import MarketStatus
from alphapulse.simulator.faults.fault import Match, When
from alphapulse.simulator.faults.requests import (
    Garbled,
    Latency,
    Reset,
    Status,
    Timeout,
    Truncated,
    VenueError,
)
from alphapulse.simulator.faults.script import Fault
from alphapulse.simulator.faults.streams import ClosedStream, FrozenStream, LostFrame, RepeatedFrame
from alphapulse.simulator.faults.world import (
    ChangedPermissions,
    HaltedSymbol,
    RevokedKey,
    SkewedClock,
)
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.eventually import eventually
from tests.fixtures.simulator import QUICK
from tests.plain_bybit import PlainBybit, plain_bybit

LABEL = "bybit-unified"
TIME = "/v5/market/time"
ORDERS = Match(method="POST", path="/v5/order/create")


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update={"history_days": 0})


async def place(client: PlainBybit, link: str = "f-1") -> Any:
    return await client.post(
        "/v5/order/create",
        category="spot",
        symbol="BTCUSDT",
        side="Buy",
        orderType="Limit",
        qty="0.01",
        price="60000",
        orderLinkId=link,
    )


async def open_links(client: PlainBybit) -> set[str]:
    answer = await client.get("/v5/order/realtime", category="spot", symbol="BTCUSDT")
    return {row["orderLinkId"] for row in answer["result"]["list"]}


async def get_time(simulator: Simulator) -> tuple[int, str, bytes, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{simulator.url}/api.bybit.com{TIME}") as response,
    ):
        return response.status, response.content_type, await response.read(), response.headers


@pytest.mark.parametrize(
    ("fault", "status", "kind", "body"),
    [
        (Garbled(body="html"), 200, "text/html", b"<html>"),
        (Garbled(body="empty"), 200, "application/json", b""),
        (Garbled(body="null"), 200, "application/json", b"null"),
        (Garbled(body="object"), 200, "application/json", b"{}"),
        (Garbled(body="html", status=403), 403, "text/html", b"<html>"),
        (Status(status=502, body="<h1>Bad Gateway</h1>"), 502, "text/html", b"<h1>"),
        (Status(status=503, body='{"code":1}'), 503, "application/json", b'{"code":1}'),
        (
            VenueError(code=10016, message="Server error."),
            200,
            "application/json",
            b'{"retCode":10016',
        ),
    ],
)
async def test_answer_that_is_no_answer(
    fault: Fault, status: int, kind: str, body: bytes, simulator: Simulator
) -> None:
    simulator.faults.add(fault)

    struck = await get_time(simulator)
    after = await get_time(simulator)

    assert struck[:2] == (status, kind)
    assert struck[2].startswith(body)
    assert after[0] == 200
    assert json.loads(after[2])["retCode"] == 0


@pytest.mark.parametrize("status", [418, 429])
async def test_too_many_requests_says_how_long(status: int, simulator: Simulator) -> None:
    simulator.faults.add(Status(status=status, retry_after_s=7))

    struck = await get_time(simulator)

    assert struck[0] == status
    assert struck[3]["Retry-After"] == "7"


async def test_truncated_body_ends_the_connection(simulator: Simulator) -> None:
    simulator.faults.add(Truncated())

    with pytest.raises(aiohttp.ClientPayloadError):
        await get_time(simulator)


async def test_latency_delays_one_answer_and_no_other(simulator: Simulator) -> None:
    simulator.faults.add(Latency(delay_s=60))
    late = asyncio.create_task(get_time(simulator))
    await eventually(lambda: simulator.faults.entries[0].is_spent)

    assert (await get_time(simulator))[0] == 200
    assert not late.done()
    late.cancel()


@pytest.mark.parametrize(
    ("fault", "is_executed"),
    [
        (Timeout(match=ORDERS, when=When.BEFORE, hold_s=0.1), False),
        (Timeout(match=ORDERS, when=When.AFTER, hold_s=0.1), True),
        (Reset(match=ORDERS, when=When.BEFORE), False),
        (Reset(match=ORDERS, when=When.AFTER), True),
        (Truncated(match=ORDERS), True),
        (Garbled(match=ORDERS, when=When.BEFORE), False),
        (Garbled(match=ORDERS, when=When.AFTER), True),
        (Status(match=ORDERS, status=504, when=When.AFTER), True),
    ],
)
async def test_order_is_executed_or_not_whatever_the_client_sees(
    fault: Fault, is_executed: bool, simulator: Simulator
) -> None:
    simulator.faults.add(fault)

    async with plain_bybit(simulator) as client:
        with pytest.raises(aiohttp.ClientError):
            await place(client)
        links = await open_links(client)

    assert links == ({"f-1"} if is_executed else set())
    assert simulator.orders_seen == int(is_executed)


async def test_client_that_gave_up_leaves_no_request_behind(simulator: Simulator) -> None:
    held = simulator.faults.add(Timeout(hold_s=600))
    before = len(asyncio.all_tasks())

    asking = asyncio.create_task(get_time(simulator))
    await eventually(lambda: held.is_spent)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    await eventually(lambda: len(asyncio.all_tasks()) <= before)


async def test_fault_strikes_only_its_match(simulator: Simulator) -> None:
    simulator.faults.add(
        Status(match=Match(account=LABEL, symbol="ETHUSDT"), status=500, count=None)
    )

    async with plain_bybit(simulator) as client:
        assert (await place(client))["retCode"] == 0
        spoiled = client.get("/v5/order/realtime", category="spot", symbol="ETHUSDT")
        with pytest.raises(aiohttp.ContentTypeError):
            await spoiled


async def test_revoked_key_stops_requests_and_streams(simulator: Simulator) -> None:
    revoked = Match(account=LABEL, path="/v5/order/*")
    simulator.faults.add(RevokedKey(match=revoked, skip=1))

    async with plain_bybit(simulator) as client, client.socket("/v5/private") as socket:
        await socket.authenticate()
        await socket.subscribe("order")
        first = await place(client, "f-1")
        second = await place(client, "f-2")
        simulator.world.trade(LABEL, "BTC/USDT", Side.BUY, Decimal("0.001"))
        with pytest.raises(EOFError):
            await socket.until(lambda _: False)

    assert (first["retCode"], second["retCode"]) == (0, 10003)
    assert socket.raw.close_code == 1008


async def test_key_that_may_withdraw_says_so(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client:
        before = await client.get("/v5/user/query-api")
        simulator.faults.add(ChangedPermissions(match=Match(account=LABEL), withdraw=True))
        after = await client.get("/v5/user/query-api")

    assert "Withdraw" not in before["result"]["permissions"]["Wallet"]
    assert "Withdraw" in after["result"]["permissions"]["Wallet"]


async def test_clock_off_by_thirty_seconds_refuses_until_the_client_follows(
    simulator: Simulator,
) -> None:
    simulator.faults.add(SkewedClock(offset_s=30, match=Match(venue="bybit")))

    async with plain_bybit(simulator) as client:
        refused = await client.get("/v5/account/info")
        before_ms = int(time.time() * 1000)
        clock = await client.public(TIME)
        client.offset_ms = clock["time"] - int(time.time() * 1000)

        async def is_accepted() -> bool:
            return bool((await client.get("/v5/account/info"))["retCode"] == 0)

        await eventually(is_accepted)

    assert refused["retCode"] == 10002
    # Each clock is cut to whole milliseconds.
    assert client.offset_ms - 1 <= 30_000 <= clock["time"] - before_ms + 1


@pytest.mark.parametrize(
    ("status", "listed", "code"),
    [
        (MarketStatus.HALT, 1, 170157),
        (MarketStatus.BREAK, 1, 170157),
        (MarketStatus.DELISTED, 0, 170121),
    ],
)
async def test_halted_symbol_takes_no_order(
    status: MarketStatus, listed: int, code: int, simulator: Simulator
) -> None:
    simulator.faults.add(HaltedSymbol(symbol="BTCUSDT", status=status, match=ORDERS))

    async with plain_bybit(simulator) as client:
        refused = await place(client)
        listing = await client.public("/v5/market/instruments-info", category="spot")

    rows = [row for row in listing["result"]["list"] if row["symbol"] == "BTCUSDT"]
    assert refused["retCode"] == code
    assert [row["status"] for row in rows] == ["Closed"] * listed


async def test_market_resumes(simulator: Simulator) -> None:
    simulator.world.set_status("bybit", "BTC/USDT", MarketStatus.HALT)
    simulator.world.set_status("bybit", "BTC/USDT", MarketStatus.TRADING)

    async with plain_bybit(simulator) as client:
        assert (await place(client))["retCode"] == 0


async def test_frozen_stream_sends_nothing_not_even_a_pong(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client, client.socket("/v5/public/spot") as socket:
        await socket.subscribe("tickers.BTCUSDT")
        await socket.topic("tickers.BTCUSDT")
        simulator.faults.add(FrozenStream(match=Match(topic="tickers.*")))
        await eventually(lambda: simulator.faults.entries[0].is_spent)
        await socket.send({"op": "ping"})
        await socket.raw.ping()

        with pytest.raises(TimeoutError):
            await socket.until(lambda m: m.get("ret_msg") == "pong", within_s=0.5)
        await socket.raw.close()
        assert socket.raw.close_code == 1006
        async with client.socket("/v5/public/spot") as other:
            await other.subscribe("tickers.BTCUSDT")
            assert await other.topic("tickers.BTCUSDT")


@pytest.mark.parametrize(("code", "seen"), [(1001, 1001), (1011, 1011), (1006, 1006)])
async def test_stream_ends_with_a_code_or_without_a_word(
    code: int, seen: int, simulator: Simulator
) -> None:
    async with plain_bybit(simulator) as client, client.socket("/v5/public/linear") as socket:
        await socket.subscribe("tickers.BTCUSDT")
        simulator.faults.add(ClosedStream(code=code, match=Match(venue="bybit")))
        with pytest.raises(EOFError):
            await socket.until(lambda _: False)

    assert socket.raw.close_code == seen


@pytest.mark.parametrize("status", [429, 503])
async def test_handshake_is_refused(status: int, simulator: Simulator) -> None:
    simulator.faults.add(Status(status=status, retry_after_s=1, match=Match(method="WS")))

    async with plain_bybit(simulator) as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with client.socket("/v5/public/spot"):
                pass
        async with client.socket("/v5/public/spot") as socket:
            assert (await socket.subscribe("tickers.BTCUSDT"))["success"]

    assert refused.value.status == status


async def test_lost_delta_leaves_a_gap_in_the_numbers(simulator: Simulator) -> None:
    topic = "orderbook.50.BTCUSDT"
    async with plain_bybit(simulator) as client, client.socket("/v5/public/linear") as socket:
        await socket.subscribe(topic)
        simulator.faults.add(LostFrame(match=Match(topic=topic), skip=2, count=1))
        numbers = [(await socket.topic(topic))["data"]["u"] for _ in range(5)]

    gaps = [after - before for before, after in pairwise(numbers)]
    assert sorted(gaps) == [1, 1, 1, 2]


async def test_repeated_frame_comes_twice(simulator: Simulator) -> None:
    topic = "orderbook.50.BTCUSDT"
    async with plain_bybit(simulator) as client, client.socket("/v5/public/linear") as socket:
        await socket.subscribe(topic)
        simulator.faults.add(RepeatedFrame(match=Match(topic=topic), count=1))
        numbers = [(await socket.topic(topic))["data"]["u"] for _ in range(4)]

    assert len(set(numbers)) == 3


async def test_stopped_venue_cuts_everything_and_comes_back(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client:
        async with client.socket("/v5/public/spot") as socket:
            await socket.subscribe("tickers.BTCUSDT")
            simulator.stop_venue("bybit")
            with pytest.raises((EOFError, aiohttp.ClientError)):
                await socket.until(lambda _: False)
        with pytest.raises(aiohttp.ClientError):
            await client.public(TIME)
        with pytest.raises(aiohttp.ClientError):
            async with client.socket("/v5/public/spot"):
                pass

        simulator.start_venue("bybit")
        assert (await client.public(TIME))["retCode"] == 0
        async with client.socket("/v5/public/spot") as socket:
            assert (await socket.subscribe("tickers.BTCUSDT"))["success"]


async def test_stopping_passes_over_connections_that_their_clients_closed(
    simulator: Simulator,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    request = f"GET /api.bybit.com{TIME} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()

    simulator.stop_venue("bybit")

    async with plain_bybit(simulator) as client:
        with pytest.raises(aiohttp.ClientError):
            await client.public(TIME)


async def test_slow_reader_is_disconnected(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client, client.socket("/v5/public/linear") as socket:
        # Each answer repeats the id; nobody reads them.
        with suppress(ConnectionError):  # cut off while still asking
            for _ in range(300):
                await socket.send({"op": "ping", "req_id": "x" * 60_000})

        await eventually(lambda: simulator.stream_count == 0)


def test_connections_are_cut_on_the_products_loop_as_well() -> None:
    async def cut() -> None:
        settings = QUICK.model_copy(update={"history_days": 0})
        async with Simulator.running(settings) as simulator, plain_bybit(simulator) as client:
            # aiohttp sends an idempotent request once more when a kept connection is reset.
            simulator.faults.add(Reset(count=2))
            with pytest.raises(aiohttp.ClientError):
                await client.public(TIME)
            async with client.socket("/v5/public/spot") as socket:
                await socket.subscribe("tickers.BTCUSDT")
                simulator.stop_venue("bybit")
                with pytest.raises(EOFError):
                    await socket.until(lambda _: False)
            with pytest.raises(aiohttp.ClientConnectionError):
                await client.public(TIME)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(cut())
