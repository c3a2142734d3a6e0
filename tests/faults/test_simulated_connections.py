"""Connections that cannot be opened, and connections that lead nowhere: only the first kind proves
that nothing was sent."""

import asyncio

import aiohttp
import pytest
import uvloop

from alphapulse.simulator.faults.fault import Match, When
from alphapulse.simulator.faults.requests import ClosedPort, CutConnection
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.eventually import eventually
from tests.fixtures.simulator import QUICK
from tests.plain_bybit import PlainBybit, plain_bybit

SETTINGS = QUICK.model_copy(update={"history_days": 0})
ORDERS = Match(method="POST", path="/v5/order/create")
HELLO = (
    b"GET /stream.bybit.com/v5/public/spot HTTP/1.1\r\nHost: venue\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return SETTINGS


async def place(client: PlainBybit) -> None:
    await client.post(
        "/v5/order/create",
        category="spot",
        symbol="BTCUSDT",
        side="Buy",
        orderType="Limit",
        qty="0.001",
        price="60000",
    )


async def test_closed_port_refuses_before_a_byte_is_sent(simulator: Simulator) -> None:
    simulator.close_port()

    async with plain_bybit(simulator) as client:
        with pytest.raises(aiohttp.ClientConnectorError) as refused:
            await place(client)

        assert isinstance(refused.value.os_error, ConnectionRefusedError)
        assert simulator.orders_seen == 0
        await simulator.open_port()
        await place(client)
    assert simulator.orders_seen == 1


async def test_port_is_closed_and_opened_twice_without_harm(simulator: Simulator) -> None:
    simulator.close_port()
    simulator.close_port()
    await simulator.open_port()
    await simulator.open_port()

    async with plain_bybit(simulator) as client:
        assert (await client.public("/v5/market/time"))["retCode"] == 0


async def test_closed_streams_come_back_with_the_port(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client:
        async with client.socket("/v5/public/spot") as socket:
            simulator.close_port()
            with pytest.raises(EOFError):
                await socket.receive()
        with pytest.raises(aiohttp.ClientConnectorError):
            async with client.socket("/v5/public/spot"):
                pass
        await simulator.open_port()
        async with client.socket("/v5/public/spot") as socket:
            assert (await socket.subscribe("tickers.BTCUSDT"))["success"]


@pytest.mark.parametrize(("when", "orders"), [(When.BEFORE, 0), (When.AFTER, 1)])
async def test_port_closes_on_a_request_and_opens_by_itself(
    when: When, orders: int, simulator: Simulator
) -> None:
    simulator.faults.add(ClosedPort(match=ORDERS, when=when, for_s=0.3))

    async with plain_bybit(simulator) as client:
        with pytest.raises(aiohttp.ClientError):
            await place(client)
        assert simulator.orders_seen == orders

        async def is_served() -> bool:
            try:
                return bool((await client.public("/v5/market/time"))["time"])
            except aiohttp.ClientConnectorError:
                return False

        await eventually(is_served)


async def test_connection_that_is_cut_was_open_and_may_have_carried_something(
    simulator: Simulator,
) -> None:
    for how in ("reset", "close"):
        simulator.faults.add(CutConnection.model_validate({"how": how}))
        async with plain_bybit(simulator) as client:
            with pytest.raises(aiohttp.ClientError) as cut:
                await place(client)
            assert not isinstance(cut.value, aiohttp.ClientConnectorError)
            await place(client)

    assert simulator.orders_seen == 2


async def test_connection_that_stays_silent_is_given_up_by_the_client(
    simulator: Simulator,
) -> None:
    silence = simulator.faults.add(CutConnection(how="silence"))

    async with plain_bybit(simulator) as client:
        placing = asyncio.create_task(place(client))
        await eventually(lambda: silence.is_spent)
        await asyncio.sleep(0.3)
        assert not placing.done()
        placing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await placing
        await place(client)

    assert simulator.orders_seen == 1


def test_port_is_closed_and_opened_on_the_products_loop_as_well() -> None:
    async def close_and_open() -> None:
        async with Simulator.running(SETTINGS) as simulator, plain_bybit(simulator) as client:
            simulator.close_port()
            with pytest.raises(aiohttp.ClientConnectorError):
                await client.public("/v5/market/time")
            await simulator.open_port()
            assert (await client.public("/v5/market/time"))["retCode"] == 0
            simulator.faults.add(CutConnection())
        async with Simulator.running(SETTINGS) as simulator, plain_bybit(simulator) as client:
            simulator.faults.add(CutConnection(count=2))
            with pytest.raises(aiohttp.ClientError):
                await client.public("/v5/market/time")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(close_and_open())


async def test_client_that_leaves_before_the_handshake_is_no_error(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    writer.write(HELLO)
    writer.close()
    async with plain_bybit(simulator) as client, client.socket("/v5/public/spot") as socket:
        assert (await socket.subscribe("tickers.BTCUSDT"))["success"]

    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
