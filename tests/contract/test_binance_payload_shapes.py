"""What the simulated Binance sends has the keys and types that were recorded from the real one."""

import gzip
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import islice

import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.simulator import Simulator
from tests.payload_shapes import Json, differences, payload, shared_data
from tests.plain_binance import PlainBinance, plain_binance

Fetch = Callable[[PlainBinance], Awaitable[Json]]

BTC = {"symbol": "BTCUSDT"}
RESTING = {
    **BTC,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "50000",
    "newClientOrderId": "shape-1",
}

# The venue's documentation (2026-11) names these, and the recordings do not have them.
DOCUMENTED = {
    "exchange_info_response": frozenset(
        {"rateLimitType", "interval", "intervalNum", "limit", "filterType"}
    ),
}

REST: dict[str, Fetch] = {
    "account_response": lambda c: c.signed("GET", "/api/v3/account"),
    "account_trades_response": lambda c: c.signed("GET", "/api/v3/myTrades", **BTC),
    "all_orders_response": lambda c: c.signed("GET", "/api/v3/allOrders", **BTC),
    "avg_price_response": lambda c: c.public("/api/v3/avgPrice", **BTC),
    "book_ticker_response": lambda c: c.public("/api/v3/ticker/bookTicker", **BTC),
    "cancel_open_orders_response": lambda c: c.signed("DELETE", "/api/v3/openOrders", **BTC),
    "cancel_order_response": lambda c: c.signed(
        "DELETE", "/api/v3/order", **BTC, origClientOrderId="shape-1"
    ),
    "depth_response": lambda c: c.public("/api/v3/depth", **BTC, limit=5),
    "exchange_info_response": lambda c: c.public("/api/v3/exchangeInfo"),
    "new_order_full_response": lambda c: c.signed(
        "POST", "/api/v3/order", **BTC, side="SELL", type="MARKET", quantity="0.5"
    ),
    "open_orders_response": lambda c: c.signed("GET", "/api/v3/openOrders", **BTC),
    "order_response": lambda c: c.signed(
        "GET", "/api/v3/order", **BTC, origClientOrderId="shape-1"
    ),
    "ping_response": lambda c: c.public("/api/v3/ping"),
    "server_time_response": lambda c: c.public("/api/v3/time"),
    "ticker_24hr_response": lambda c: c.public("/api/v3/ticker/24hr", **BTC),
    "ticker_price_response": lambda c: c.public("/api/v3/ticker/price", **BTC),
    "trades_response": lambda c: c.public("/api/v3/trades", **BTC),
}


@pytest.mark.parametrize("name", REST)
async def test_rest_answer_has_the_recorded_shape(name: str, simulator: Simulator) -> None:
    simulator.world.trade("binance-main", "BTC/USDT", Side.BUY, Decimal("0.01"))
    async with plain_binance(simulator) as client:
        await client.signed("POST", "/api/v3/order", **RESTING)
        sent = await REST[name](client)

    assert client.status == 200, sent
    assert sent != []
    recorded = payload(f"binance/spot/http_json/{name}")
    assert differences(recorded, sent, DOCUMENTED.get(name, frozenset())) == []


async def test_candles_have_the_recorded_shape(simulator: Simulator) -> None:
    async with plain_binance(simulator) as client:
        sent = await client.public("/api/v3/klines", **BTC, interval="1m", limit=3)

    recorded = payload("binance/spot/http_json/klines_response")
    assert {tuple(map(type, row)) for row in sent} == {tuple(map(type, recorded[0]))}


# Fields of an execution report that only the documentation and the wrapped recording have.
REPORT = frozenset({"F", "g", "I", "M", "Y", "Q", "W", "V"})


@pytest.mark.parametrize(
    ("name", "execution"),
    [
        ("execution_report_new", "NEW"),
        ("execution_report_trade", "TRADE"),
        ("execution_report_canceled", "CANCELED"),
        ("execution_report_expired", "EXPIRED"),
    ],
)
async def test_execution_report_has_the_recorded_shape(
    name: str, execution: str, simulator: Simulator
) -> None:
    async with plain_binance(simulator) as client, client.api_socket() as socket:
        await socket.call("userDataStream.subscribe.signature", client.signed_params())
        await client.signed("POST", "/api/v3/order", **RESTING)
        await client.signed("DELETE", "/api/v3/order", **BTC, origClientOrderId="shape-1")
        hopeless = {**RESTING, "timeInForce": "IOC"}
        await client.signed("POST", "/api/v3/order", **hopeless)
        simulator.world.trade("binance-main", "BTC/USDT", Side.BUY, Decimal("0.01"))
        sent = await socket.until(lambda m: m.get("event", {}).get("x") == execution)

    recorded = payload(f"binance/spot/user_data_json/{name}")
    assert differences(recorded, sent["event"], REPORT) == []
    wrapped = payload("binance/spot/user_data_json/execution_report_wrapped")
    assert differences(wrapped, sent, frozenset({"eR"})) == []


@pytest.mark.parametrize(
    ("event", "name"),
    [("outboundAccountPosition", "account_position"), ("balanceUpdate", "balance_update")],
)
async def test_balance_event_has_the_recorded_shape(
    event: str, name: str, simulator: Simulator
) -> None:
    async with plain_binance(simulator) as client, client.api_socket() as socket:
        await socket.call("userDataStream.subscribe.signature", client.signed_params())
        simulator.world.deposit("binance-main", "BTC", Decimal("0.5"))
        sent = await socket.until(lambda m: m.get("event", {}).get("e") == event)

    bare = payload(f"binance/spot/user_data_json/{name}")
    wrapped = payload(f"binance/spot/user_data_json/{name}_wrapped")
    assert differences(bare, sent["event"], frozenset()) == []
    assert differences(wrapped, sent, frozenset()) == []


def recorded_frames() -> dict[str, Json]:
    """One frame of each stream of the recording of 2024-08-08; depth one that has both sides."""
    frames: dict[str, Json] = {}
    with gzip.open(shared_data("frames/binance_spot_btcusdt_20240808.gz")) as lines:
        for line in islice(lines, 300):
            frame = json.loads(line.partition(b" ")[2])
            data = frame.get("data", {})
            if "stream" in frame and data.get("b") != [] and data.get("a") != []:
                frames[frame["stream"]] = data
    return frames


async def test_market_frames_have_the_recorded_shape(simulator: Simulator) -> None:
    recorded = recorded_frames()
    assert set(recorded) == {"btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@trade"}

    async with plain_binance(simulator) as client, client.socket() as socket:
        await socket.subscribe(*recorded)
        for stream, data in recorded.items():
            simulator.world.trade("binance-main", "BTC/USDT", Side.BUY, Decimal("0.02"))
            sent = await socket.of_stream(stream)
            assert differences(data, sent["data"], frozenset()) == []
