"""A venue with bad habits, over the wire: late requests, late views, lies, and ids."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from alphapulse.simulator.core.profile import ClientIds, VenueProfile
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.eventually import eventually
from tests.fixtures.simulator import QUICK
from tests.plain_binance import PlainBinance, plain_binance
from tests.plain_bybit import PlainBybit, plain_bybit

BTC = {"symbol": "BTCUSDT"}
LIMIT = {
    **BTC,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "50000",
    "newClientOrderId": "mine",
}
SPOT = {"category": "spot", "symbol": "BTCUSDT"}
BYBIT_LIMIT = {
    **SPOT,
    "side": "Buy",
    "orderType": "Limit",
    "qty": "0.01",
    "price": "50000",
    "orderLinkId": "mine",
}


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update={"is_paused": True})


@pytest.fixture
async def binance(simulator: Simulator) -> AsyncIterator[PlainBinance]:
    async with plain_binance(simulator) as client:
        yield client


@pytest.fixture
async def bybit(simulator: Simulator) -> AsyncIterator[PlainBybit]:
    async with plain_bybit(simulator) as client:
        yield client


async def set_profile(simulator: Simulator, venue: str, profile: Any) -> int:
    async with aiohttp.ClientSession() as http:
        url = f"{simulator.url}/_control/venues/{venue}/profile"
        async with http.post(url, json=profile) as answer:
            return answer.status


async def test_profiles_are_chosen_in_the_settings_by_name_or_by_field() -> None:
    settings = SimulatorSettings.model_validate(
        {"profiles": {"binance": "liar", "bybit": {"client_ids": "none", "late_s": 2}}}
    )

    assert settings.profiles["binance"].lie_share > 0
    assert settings.profiles["bybit"] == VenueProfile(client_ids=ClientIds.NONE, late_s=2)
    with pytest.raises(ValidationError):
        SimulatorSettings.model_validate({"profiles": {"binance": "saint"}})
    async with Simulator.running(QUICK.model_copy(update={"profiles": settings.profiles})) as one:
        assert one.world.venues["binance"].profile == settings.profiles["binance"]


async def test_control_api_changes_and_tells_a_profile(simulator: Simulator) -> None:
    status = await set_profile(simulator, "binance", "ids_forever")
    refused = await set_profile(simulator, "binance", {"lie_share": "often"})
    async with aiohttp.ClientSession() as http:
        url = f"{simulator.url}/_control/venues/binance/profile"
        async with http.get(url) as answer:
            told = await answer.json()

    assert (status, refused) == (200, 400)
    assert told["client_ids"] == "forever"


async def test_venues_keep_client_ids_as_their_documentation_says(
    binance: PlainBinance, bybit: PlainBybit
) -> None:
    statuses = []
    for _ in range(2):
        await binance.signed("POST", "/api/v3/order", **LIMIT)
        statuses.append(binance.status)
        await binance.signed("DELETE", "/api/v3/order", **BTC, origClientOrderId="mine")
    codes = []
    for _ in range(2):
        codes.append((await bybit.post("/v5/order/create", **BYBIT_LIMIT))["retCode"])
        await bybit.post("/v5/order/cancel", **SPOT, orderLinkId="mine")

    assert statuses == [200, 200]
    assert codes == [0, 170141]


async def test_late_request_is_executed_after_its_client_gave_up(
    simulator: Simulator, binance: PlainBinance
) -> None:
    simulator.world.set_profile("binance", VenueProfile(late_s=2.0))
    before = simulator.orders_seen
    sending = asyncio.create_task(binance.signed("POST", "/api/v3/order", **LIMIT))
    await eventually(lambda: simulator.late_requests == 1)
    sending.cancel()
    with suppress(asyncio.CancelledError):
        await sending
    seen_then = simulator.orders_seen
    await eventually(lambda: simulator.orders_seen == before + 1)

    assert seen_then == before
    simulator.world.set_profile("binance", VenueProfile())
    order = await binance.signed("GET", "/api/v3/order", **BTC, origClientOrderId="mine")
    assert order["status"] == "NEW"


@pytest.mark.parametrize(
    ("profile", "is_executed"),
    [
        (VenueProfile(late_s=0.3), False),
        (VenueProfile(late_s=0.3, checks_window=False), True),
    ],
)
async def test_late_request_is_refused_where_its_window_is_checked(
    profile: VenueProfile, is_executed: bool, simulator: Simulator, binance: PlainBinance
) -> None:
    simulator.world.set_profile("binance", profile)
    answer = await binance.signed("POST", "/api/v3/order", **LIMIT, recvWindow="0")

    assert ("orderId" in answer) is is_executed
    assert answer.get("code") == (None if is_executed else -1021)


async def test_questions_are_never_late(simulator: Simulator, binance: PlainBinance) -> None:
    simulator.world.set_profile("binance", VenueProfile(late_s=600))

    assert (await binance.signed("GET", "/api/v3/account"))["accountType"] == "SPOT"


async def test_order_is_invisible_until_the_lag_is_over(
    simulator: Simulator, binance: PlainBinance, bybit: PlainBybit
) -> None:
    for venue in ("binance", "bybit"):
        simulator.world.set_profile(venue, VenueProfile(visibility_lag_ms=3_600_000))
    await binance.signed("POST", "/api/v3/order", **LIMIT)
    await bybit.post("/v5/order/create", **BYBIT_LIMIT)
    one = await binance.signed("GET", "/api/v3/order", **BTC, origClientOrderId="mine")
    opened = await binance.signed("GET", "/api/v3/openOrders", **BTC)
    every = await binance.signed("GET", "/api/v3/allOrders", **BTC)
    realtime = await bybit.get("/v5/order/realtime", **SPOT, orderLinkId="mine")
    listed = await bybit.get("/v5/order/realtime", **SPOT)
    canceled = await binance.signed("DELETE", "/api/v3/order", **BTC, origClientOrderId="mine")

    assert one["code"] == -2013
    assert "mine" not in {order["clientOrderId"] for order in [*opened, *every]}
    assert realtime["result"]["list"] == []
    assert "mine" not in {row["orderLinkId"] for row in listed["result"]["list"]}
    assert canceled["status"] == "CANCELED"


async def test_liar_is_believed_by_nobody_who_asks_often(
    simulator: Simulator, binance: PlainBinance, bybit: PlainBybit
) -> None:
    await binance.signed("POST", "/api/v3/order", **LIMIT)
    await bybit.post("/v5/order/create", **BYBIT_LIMIT)
    for venue in ("binance", "bybit"):
        simulator.world.set_profile(venue, VenueProfile(lie_share=0.5))
    told: set[object] = set()
    rows: set[object] = set()
    for _ in range(30):
        one = await binance.signed("GET", "/api/v3/order", **BTC, origClientOrderId="mine")
        told.add(one.get("status", one.get("code")))
        found = await bybit.get("/v5/order/realtime", **SPOT, orderLinkId="mine")
        rows.update([row["orderStatus"] for row in found["result"]["list"]] or [None])

    assert told == {"NEW", "CANCELED", -2013}
    assert rows == {"New", "Cancelled", None}


async def test_futures_have_the_same_habits(simulator: Simulator) -> None:
    stop = {**BTC, "side": "SELL", "type": "STOP_MARKET", "algoType": "CONDITIONAL"}
    async with plain_binance(simulator, host="fapi.binance.com") as client:
        resting = {**LIMIT, "side": "SELL", "price": "200000"}
        placed = await client.signed("POST", "/fapi/v1/order", **resting)
        waiting = await client.signed(
            "POST", "/fapi/v1/algoOrder", **stop, quantity="0.01", triggerPrice="50000"
        )
        simulator.world.set_profile("binance", VenueProfile(visibility_lag_ms=3_600_000))
        answers = [
            await client.signed("GET", "/fapi/v1/order", **BTC, orderId=placed["orderId"]),
            await client.signed("GET", "/fapi/v1/openOrders"),
            await client.signed("GET", "/fapi/v1/allOrders", **BTC),
            await client.signed("GET", "/fapi/v1/algoOrder", algoId=waiting["algoId"]),
            await client.signed("GET", "/fapi/v1/openAlgoOrders"),
        ]
        simulator.world.set_profile("binance", VenueProfile())
        shown = await client.signed("GET", "/fapi/v1/openOrders")

    assert [a["code"] if isinstance(a, dict) else a for a in answers] == [-2013, [], [], -2013, []]
    assert [order["orderId"] for order in shown] == [placed["orderId"]]
