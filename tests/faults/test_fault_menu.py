"""Everything on the menu of faults can be ordered over the control API, strikes, is counted, and
ends after its count."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.faults.fault import BaseFault
from alphapulse.simulator.faults.menu import MENU, Dish
from alphapulse.simulator.faults.requests import CutConnection
from alphapulse.simulator.faults.script import FAULT, Entry
from alphapulse.simulator.faults.streams import FrameFault, MessageFault
from alphapulse.simulator.faults.world import OrderFault
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.fixtures.simulator import QUICK
from tests.plain_binance import PlainBinance, plain_binance
from tests.plain_bybit import PlainBybit, plain_bybit

LABEL = "bybit-unified"
DISHES = [dish for dishes in MENU.values() for dish in dishes]

# What a client sees when something goes wrong; what exactly is tested for each fault elsewhere.
TROUBLE = (aiohttp.ClientError, TimeoutError, EOFError, ValueError, TypeError)


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update={"history_days": 0})


class Client:
    """Does once what a fault is waiting for, on connections of its own."""

    def __init__(self, simulator: Simulator, bybit: PlainBybit, binance: PlainBinance) -> None:
        self._simulator = simulator
        self._bybit = bybit
        self._binance = binance

    def step(self, fault: BaseFault) -> Callable[[], Awaitable[Any]]:
        """By what the fault says it strikes."""
        match = fault.match
        if isinstance(fault, MessageFault):
            return {"ping": self.ping, "order.*": self.order_on_socket}.get(
                match.topic, self.book_frame
            )
        if isinstance(fault, FrameFault):
            return {"execution*": self.execution_frame, "*rade*": self.trade_frame}.get(
                match.topic, self.book_frame
            )
        if isinstance(fault, OrderFault):
            return self.bybit_order if match.venue == "bybit" else self.binance_order
        if match.method == "WS":
            return self.book_frame
        by_path = {
            "*/order": self.binance_order,
            "*/openOrders": self.open_orders,
            "*/myTrades": lambda: self._binance.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT"),
            "*/account": lambda: self._binance.signed("GET", "/api/v3/account"),
            "*/depth": lambda: self._binance.public("/api/v3/depth", symbol="BTCUSDT"),
            "*/listenKey": self.listen_key,
            "/v5/execution/list": self.executions,
            "*/order*": self.bybit_order,
        }
        if match.venue == "binance" and match.path == "*":
            return lambda: self._binance.public("/api/v3/time")
        return by_path.get(match.path, self.executions)

    async def executions(self) -> None:
        await self._bybit.get("/v5/execution/list", category="spot")

    async def listen_key(self) -> None:
        url = f"{self._simulator.url}/fapi.binance.com/fapi/v1/listenKey"
        async with aiohttp.ClientSession() as http, http.put(url) as response:
            await response.read()

    async def open_orders(self) -> None:
        await self.binance_order()
        await self._binance.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")

    async def binance_order(self) -> None:
        placed = await self._binance.signed(
            "POST",
            "/api/v3/order",
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.001",
            price="40000",
        )
        await self._binance.signed(
            "GET", "/api/v3/order", symbol="BTCUSDT", orderId=placed["orderId"]
        )

    async def bybit_order(self) -> None:
        await self._bybit.post("/v5/order/create", **_ORDER)

    async def order_on_socket(self) -> None:
        async with self._bybit.socket("/v5/trade") as socket:
            await socket.authenticate()
            await socket.send({"reqId": "1", "op": "order.create", "args": [_ORDER]})
            await socket.receive(0.3)

    async def ping(self) -> None:
        async with self._bybit.socket("/v5/public/spot") as socket:
            await socket.send({"op": "ping"})
            await socket.receive(0.3)

    async def book_frame(self) -> None:
        async with self._bybit.socket("/v5/public/linear") as socket:
            await socket.subscribe("orderbook.50.BTCUSDT")
            for _ in range(3):
                await socket.receive(0.5)

    async def trade_frame(self) -> None:
        async with self._bybit.socket("/v5/public/spot") as socket:
            await socket.subscribe("publicTrade.BTCUSDT")
            self._trade()
            await socket.receive(1)

    async def execution_frame(self) -> None:
        async with self._bybit.socket("/v5/private") as socket:
            await socket.authenticate()
            await socket.send({"op": "subscribe", "args": ["execution"]})
            await socket.receive()
            self._trade()
            await socket.receive(1)

    def _trade(self) -> None:
        self._simulator.world.trade(LABEL, "BTC/USDT", Side.BUY, Decimal("0.001"))


_ORDER = {
    "category": "spot",
    "symbol": "BTCUSDT",
    "side": "Buy",
    "orderType": "Limit",
    "qty": "0.001",
    "price": "60000",
}


@pytest.mark.parametrize("dish", DISHES, ids=[dish.what for dish in DISHES])
async def test_fault_strikes_is_counted_and_ends(dish: Dish, simulator: Simulator) -> None:
    for label in (LABEL, "binance-main"):
        for _ in range(3):
            simulator.world.trade(label, "BTC/USDT", Side.BUY, Decimal("0.001"))
    entry = await _order(simulator, dish.fault)
    assert entry.fault == dish.fault

    steps = 0
    while not entry.is_spent and steps < 200:
        await _provoke(simulator, dish.fault)
        steps += 1
    await _provoke(simulator, dish.fault)

    assert entry.struck == dish.fault.count


async def _order(simulator: Simulator, fault: BaseFault) -> Entry:
    """Over the control API, as JSON; what the script made of it."""
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            f"{simulator.url}/_control/faults", json=fault.model_dump(mode="json")
        ) as response,
    ):
        assert response.status == 200, await response.text()
        added = await response.json()
    return next(entry for entry in simulator.faults.entries if entry.id == added["id"])


async def _provoke(simulator: Simulator, fault: BaseFault) -> None:
    async with plain_bybit(simulator) as bybit, plain_binance(simulator) as binance:
        client = Client(simulator, bybit, binance)
        step = client.executions if isinstance(fault, CutConnection) else client.step(fault)
        with suppress(*TROUBLE, KeyError):
            async with asyncio.timeout(1):
                await step()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"kind": "meteor"}', "'meteor' found using 'kind' does not match any of"),
        ('{"count": 1}', "discriminator 'kind'"),
        ('{"kind": "status", "status": 500, "color": 1}', "status.color: Extra inputs"),
        ('{"kind": "status", "status": 42}', "status.status: Input should be greater"),
        ('{"kind": "timeout", "match": {"planet": "*"}}', "timeout.match.planet: Extra"),
        ('{"kind": "cut_connection", "match": {"venue": "bybit"}}', "match all"),
        ("nonsense", "Invalid JSON"),
    ],
)
async def test_fault_that_makes_no_sense_is_refused_with_what_is_wrong(
    text: str, words: str, simulator: Simulator
) -> None:
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{simulator.url}/_control/faults", data=text, headers=headers) as response,
    ):
        refused = await response.json()

    assert response.status == 400
    assert words in refused["error"]
    assert simulator.faults.entries == ()


async def test_menu_can_be_read_and_ordered_from(simulator: Simulator) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{simulator.url}/_control/faults/menu") as response,
    ):
        menu = await response.json()

    offered = {what: FAULT.validate_json(json.dumps(fault)) for what, fault in _all(menu)}
    assert offered == {dish.what: dish.fault for dish in DISHES}


def _all(menu: dict[str, dict[str, object]]) -> list[tuple[str, object]]:
    return [item for dishes in menu.values() for item in dishes.items()]
