"""What the simulated Binance futures send has the keys and types that were recorded."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.fixtures.simulator import QUICK
from tests.payload_shapes import Json, differences, payload
from tests.plain_binance import PlainBinance, plain_binance

Fetch = Callable[[PlainBinance], Awaitable[Json]]

STREAMS = "fstream.binance.com"
BTC = {"symbol": "BTCUSDT"}
RESTING = {
    **BTC,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.010",
    "price": "50000.0",
    "newClientOrderId": "shape-1",
}
STOP = {
    **BTC,
    "algoType": "CONDITIONAL",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "0.01",
    "triggerPrice": "50000.0",
    "clientAlgoId": "shape-2",
}

# Documented by the venue (2026-11) and absent from the recordings.
DOCUMENTED = {
    "account_info_v2": frozenset({"bidNotional", "askNotional"}),
    "open_algo_orders": frozenset(
        {
            *("orderType", "actualOrderId", "actualPrice", "price", "icebergQuantity"),
            *("selfTradePreventionMode", "priceMatch", "closePosition", "priceProtect"),
            *("triggerTime", "goodTillDate"),
        }
    ),
}
ORDER_UPDATE = frozenset({"N", "n", "pm", "gtd"})

REST: dict[str, Fetch] = {
    "account_info_v2": lambda c: c.signed("GET", "/fapi/v2/account"),
    "balance": lambda c: c.signed("GET", "/fapi/v3/balance"),
    "open_algo_orders": lambda c: c.signed("GET", "/fapi/v1/openAlgoOrders"),
    "order_response": lambda c: c.signed(
        "GET", "/fapi/v1/order", **BTC, origClientOrderId="shape-1"
    ),
    "position_risk": lambda c: c.signed("GET", "/fapi/v2/positionRisk"),
}


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update={"is_paused": True})


@pytest.mark.parametrize("name", REST)
async def test_rest_answer_has_the_recorded_shape(name: str, simulator: Simulator) -> None:
    async with plain_binance(simulator, host="fapi.binance.com") as client:
        await client.signed("POST", "/fapi/v1/order", **RESTING)
        await client.signed("POST", "/fapi/v1/algoOrder", **STOP)
        sent = await REST[name](client)

    recorded = payload(f"binance/futures/http_json/{name}")
    if name == "open_algo_orders":
        # The documentation and CCXT call it orderType.
        del recorded[0]["type"]
    assert client.status == 200, sent
    assert sent != []
    assert differences(recorded, sent, DOCUMENTED.get(name, frozenset())) == []


@pytest.mark.parametrize(
    ("name", "event", "execution"),
    [
        ("order_update_new", "ORDER_TRADE_UPDATE", "NEW"),
        ("order_update_trade", "ORDER_TRADE_UPDATE", "TRADE"),
        ("order_update_calculated", "ORDER_TRADE_UPDATE", "CALCULATED"),
        ("account_update", "ACCOUNT_UPDATE", None),
        ("algo_update_new", "ALGO_UPDATE", None),
        ("trade_lite", "TRADE_LITE", None),
    ],
)
async def test_user_event_has_the_recorded_shape(
    name: str, event: str, execution: str | None, simulator: Simulator
) -> None:
    async with plain_binance(simulator, host="fapi.binance.com") as client:
        listen_key = (await client.keyed("POST", "/fapi/v1/listenKey"))["listenKey"]
        async with client.socket(f"/private/ws?listenKey={listen_key}", STREAMS) as socket:
            await client.signed("POST", "/fapi/v1/order", **RESTING)
            await client.signed("POST", "/fapi/v1/algoOrder", **STOP)
            simulator.world.trade("binance-main", "BTC/USDT:USDT", Side.BUY, Decimal("0.01"))
            simulator.world.liquidate("binance-main", "ETH/USDT:USDT")
            sent = await socket.until(
                lambda m: m["e"] == event and (not execution or m["o"]["x"] == execution)
            )

    recorded = payload(f"binance/futures/user_data_json/{name}")
    extra = ORDER_UPDATE if event == "ORDER_TRADE_UPDATE" else frozenset()
    assert differences(recorded, sent, extra) == []


# ``st`` and ``ps`` came into use with other contract types; this venue has one.
MARKET_FRAMES = {
    "agg_trade_stream": "btcusdt@aggTrade",
    "book_ticker_stream": "btcusdt@bookTicker",
    "depth_update_stream": "btcusdt@depth@100ms",
    "kline_stream_open": "btcusdt@kline_1m",
    "mark_price_stream": "btcusdt@markPrice@1s",
    "ticker_stream": "btcusdt@ticker",
    "trade_stream": "btcusdt@trade",
}


@pytest.mark.parametrize("name", MARKET_FRAMES)
async def test_market_frame_has_the_recorded_shape(name: str, simulator: Simulator) -> None:
    stream = MARKET_FRAMES[name]
    async with (
        plain_binance(simulator) as client,
        client.socket("/market/stream", STREAMS) as socket,
    ):
        await socket.subscribe(stream)
        simulator.resume()
        simulator.world.trade("binance-main", "BTC/USDT:USDT", Side.BUY, Decimal("0.01"))
        sent = await socket.until(
            lambda m: m.get("stream") == stream and m["data"].get("b") != [] != m["data"].get("a")
        )

    recorded = payload(f"binance/futures/market_data_json/{name}")
    for key in ("st", "ps"):
        recorded.pop(key, None)
    assert differences(recorded, sent["data"], frozenset({"X"})) == []


async def test_liquidation_frame_has_the_recorded_shape(simulator: Simulator) -> None:
    async with (
        plain_binance(simulator) as client,
        client.socket("/market/ws", STREAMS) as socket,
    ):
        await socket.subscribe("ethusdt@forceOrder")
        simulator.world.liquidate("binance-main", "ETH/USDT:USDT")
        sent = await socket.until(lambda m: m.get("e") == "forceOrder")

    recorded = payload("binance/futures/market_data_json/liquidation_stream")
    assert differences(recorded, sent, frozenset()) == []
