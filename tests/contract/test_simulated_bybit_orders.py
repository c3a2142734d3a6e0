"""Every kind of order and stop works at the simulated Bybit as CCXT and other clients send it."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.ccxt_clients import ccxt_client
from tests.eventually import LIMIT_S
from tests.fixtures.simulator import QUICK
from tests.plain_bybit import PlainBybit, plain_bybit

Ccxt = Any

LABEL = "bybit-unified"
SPOT, SWAP = "BTC/USDT", "BTC/USDT:USDT"
PRICE = 100_000
LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update={"is_paused": True})


@pytest.fixture(autouse=True)
def known_price(simulator: Simulator) -> None:
    move(simulator, PRICE)


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[Ccxt]:
    account = simulator.account(LABEL)
    async with ccxt_client(simulator, "bybit", account, enableRateLimit=False) as client:
        await client.load_markets()
        yield client


def move(simulator: Simulator, price: int) -> None:
    for symbol in (SPOT, SWAP):
        simulator.world.set_price("bybit", symbol, Decimal(price))


def is_held(simulator: Simulator) -> bool:
    return any(position.symbol == SWAP for position in simulator.books(LABEL).positions)


async def fetched(client: Ccxt, order_id: str, symbol: str) -> Any:
    return await client.fetch_order(order_id, symbol, {"acknowledged": True})


@pytest.mark.parametrize(
    ("symbol", "kind", "side", "limit", "params", "reached_at", "kind_told"),
    [
        (SWAP, "market", "sell", None, {"triggerPrice": 95_000, "triggerDirection": "descending"},
         94_900, "Stop"),
        (SWAP, "limit", "buy", 106_000, {"triggerPrice": 105_000, "triggerDirection": "ascending"},
         105_100, "Stop"),
        (SWAP, "market", "sell", None, {"stopLossPrice": 95_000}, 94_900, "Stop"),
        (SWAP, "market", "sell", None, {"takeProfitPrice": 105_000}, 105_100, "Stop"),
        (SWAP, "market", "sell", None,
         {"triggerPrice": 95_000, "triggerDirection": "descending", "triggerBy": "MarkPrice"},
         94_900, "Stop"),
        (SPOT, "limit", "sell", 90_000, {"triggerPrice": 95_000}, 94_900, "Stop"),
        (SPOT, "market", "sell", None, {"stopLossPrice": 95_000}, 94_900, "tpslOrder"),
    ],
)  # fmt: skip
async def test_conditional_order_waits_and_then_trades(
    symbol: str,
    kind: str,
    side: str,
    limit: float | None,
    params: dict[str, Any],
    reached_at: int,
    kind_told: str,
    client: Ccxt,
    simulator: Simulator,
) -> None:
    placed = await client.create_order(symbol, kind, side, 0.01, limit, params)
    waiting = await fetched(client, placed["id"], symbol)
    opened = await client.fetch_open_orders(symbol)
    move(simulator, reached_at)
    final = await fetched(client, placed["id"], symbol)

    assert (waiting["status"], waiting["info"]["orderStatus"]) == ("open", "Untriggered")
    assert waiting["info"]["stopOrderType"] == kind_told
    assert placed["id"] in {order["id"] for order in opened}
    assert (final["status"], final["filled"]) == ("closed", 0.01)


async def test_only_a_tpsl_order_has_its_funds_before_it_triggers(client: Ccxt) -> None:
    free = (await client.fetch_balance())["BTC"]["free"]
    await client.create_order(SPOT, "limit", "sell", 0.1, 90_000, {"triggerPrice": 95_000})
    unlocked = (await client.fetch_balance())["BTC"]["free"]
    await client.create_order(SPOT, "limit", "sell", 0.1, 90_000, {"stopLossPrice": 95_000})
    locked = (await client.fetch_balance())["BTC"]["free"]

    assert unlocked == free
    assert locked == pytest.approx(free - 0.1)


@pytest.mark.parametrize(
    ("direction", "price", "code"), [("1", "95000", 110092), ("2", "105000", 110093)]
)
async def test_trigger_that_is_reached_already_is_refused(
    direction: str, price: str, code: int, simulator: Simulator
) -> None:
    async with plain_bybit(simulator) as client:
        refused = await stop(client, triggerDirection=direction, triggerPrice=price)

    assert refused["retCode"] == code


async def stop(client: PlainBybit, **changes: object) -> Any:
    asked = {"side": "Sell", "orderType": "Market", "qty": "0.01", **LINEAR}
    return await client.post("/v5/order/create", **{**asked, **changes})


async def test_each_step_of_a_conditional_order_is_told(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client, client.socket("/v5/private") as socket:
        await socket.authenticate()
        await socket.subscribe("order")
        await stop(client, triggerDirection=2, triggerPrice="95000", orderLinkId="one")
        await stop(client, triggerDirection=2, triggerPrice="90000", orderLinkId="two")
        await client.post("/v5/order/cancel", **LINEAR, orderLinkId="two")
        move(simulator, 94_900)
        told = [(await socket.topic("order"))["data"][0] for _ in range(5)]

    assert [(row["orderLinkId"], row["orderStatus"]) for row in told] == [
        ("one", "Untriggered"),
        ("two", "Untriggered"),
        ("two", "Deactivated"),
        ("one", "Triggered"),
        ("one", "Filled"),
    ]


async def test_amended_trigger_fires_at_its_new_price(client: Ccxt, simulator: Simulator) -> None:
    how = {"triggerPrice": 95_000, "triggerDirection": "descending"}
    placed = await client.create_order(SWAP, "limit", "sell", 0.01, 90_000, how)
    await client.edit_order(
        placed["id"], SWAP, "limit", "sell", 0.02, 89_000, {"triggerPrice": 93_000}
    )
    move(simulator, 94_900)
    waiting = await fetched(client, placed["id"], SWAP)
    move(simulator, 92_900)
    final = await fetched(client, placed["id"], SWAP)

    assert (waiting["status"], waiting["price"], waiting["amount"]) == ("open", 89_000, 0.02)
    assert waiting["info"]["triggerPrice"] == "93000"
    assert final["filled"] == 0.02


async def test_cancel_all_takes_only_what_its_filters_name(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client:
        await stop(client, triggerDirection=2, triggerPrice="95000", orderLinkId="stop")
        await stop(client, orderType="Limit", price="110000", orderLinkId="plain")
        scope = {"category": "linear"}
        unscoped = await client.post("/v5/order/cancel-all", **scope)
        stops = await client.post(
            "/v5/order/cancel-all", **scope, settleCoin="USDT", orderFilter="StopOrder"
        )
        rest = await client.post("/v5/order/cancel-all", **LINEAR)

    assert unscoped["retCode"] == 10001
    assert [row["orderLinkId"] for row in stops["result"]["list"]] == ["stop"]
    assert "plain" in {row["orderLinkId"] for row in rest["result"]["list"]}


async def test_batch_does_what_it_can_and_says_what_it_could_not(client: Ccxt) -> None:
    def wish(number: int, price: float) -> dict[str, Any]:
        params = {"clientOrderId": f"batch-{number}"}
        return {
            "symbol": SWAP,
            "type": "limit",
            "side": "buy",
            "amount": 0.01,
            "price": price,
            "params": params,
        }

    made = await client.create_orders([wish(1, 90_000), wish(1, 90_000), wish(2, 91_000)])
    ids = [order["id"] for order in made]
    opened = {order["id"] for order in await client.fetch_open_orders(SWAP)}
    canceled = await client.cancel_orders([ids[0], ids[2]], SWAP)

    assert [bool(one) for one in ids] == [True, False, True]
    assert made[1]["info"]["code"] == 110072
    assert {ids[0], ids[2]} <= opened
    assert len(canceled) == 2
    for one in (ids[0], ids[2]):
        assert (await fetched(client, one, SWAP))["status"] == "canceled"


async def test_positions_stops_are_set_changed_and_taken_away(
    client: Ccxt, simulator: Simulator
) -> None:
    how = {"stopLossPrice": 95_000, "takeProfitPrice": 110_000}
    await client.create_order(SWAP, "market", "sell", 0, None, how)
    (position,) = await client.fetch_positions([SWAP])
    async with plain_bybit(simulator) as plain:
        path = "/v5/position/trading-stop"
        mode = {**LINEAR, "tpslMode": "Full", "positionIdx": 0}
        same = await plain.post(path, **mode, stopLoss="95000")
        changed = await plain.post(path, **mode, stopLoss="96000")
        gone = await plain.post(path, **mode, takeProfit="0")
        stops = await plain.get("/v5/order/realtime", **LINEAR, orderFilter="StopOrder")
    move(simulator, 95_900)

    assert (position["stopLossPrice"], position["takeProfitPrice"]) == (95_000, 110_000)
    assert (same["retCode"], changed["retCode"], gone["retCode"]) == (34040, 0, 0)
    assert [row["triggerPrice"] for row in stops["result"]["list"]] == ["96000"]
    assert not is_held(simulator)


async def test_trailing_stop_of_a_position_follows_it(client: Ccxt, simulator: Simulator) -> None:
    await client.create_order(
        SWAP,
        "market",
        "sell",
        0.1,
        None,
        {"trailingAmount": 2_000, "trailingTriggerPrice": 103_000},
    )
    (before,) = await client.fetch_positions([SWAP])
    for price in (97_000, 103_500, 105_000, 103_100):
        move(simulator, price)
    was_held = is_held(simulator)
    move(simulator, 103_000)

    assert before["info"]["trailingStop"] == "2000"
    assert was_held
    assert not is_held(simulator)


async def test_partial_stops_close_their_part(simulator: Simulator) -> None:
    before = simulator.world.venues["bybit"].accounts[LABEL].positions["BTCUSDT"].quantity
    async with plain_bybit(simulator) as client:
        part = {"tpslMode": "Partial", "takeProfit": "105000", "tpSize": "0.1", "positionIdx": 0}
        done = await client.post("/v5/position/trading-stop", **LINEAR, **part)
        move(simulator, 105_100)

    after = simulator.world.venues["bybit"].accounts[LABEL].positions["BTCUSDT"].quantity
    assert done["retCode"] == 0
    assert before - after == Decimal("0.1")


async def test_stops_of_no_position_are_refused(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client:
        refused = await client.post(
            "/v5/position/trading-stop", category="linear", symbol="SOLUSDT", stopLoss="1"
        )

    assert (refused["retCode"], refused["retMsg"]) == (
        10001,
        "can not set tp/sl/ts for zero position",
    )


async def test_margin_mode_is_the_accounts_and_changes_only_when_it_is_flat(
    client: Ccxt, simulator: Simulator
) -> None:
    with pytest.raises(ccxt.ExchangeError, match="3400045"):
        await client.set_margin_mode("isolated")
    venue = simulator.world.venues["bybit"]
    account = venue.accounts[LABEL]
    for position in tuple(account.positions.values()):
        side = Side.SELL if position.lots > 0 else Side.BUY
        simulator.world.trade(LABEL, position.instrument.unified, side, abs(position.quantity))
    await client.set_margin_mode("isolated")
    info = await client.private_get_v5_account_info()
    simulator.world.trade(LABEL, SWAP, Side.BUY, Decimal("0.01"))

    assert info["result"]["marginMode"] == "ISOLATED_MARGIN"
    assert account.positions["BTCUSDT"].isolated_atoms is not None


async def test_order_of_nothing_that_may_only_close_closes_all(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client:
        closing = {"qty": "0", "reduceOnly": True, "closeOnTrigger": True}
        waiting = await stop(client, **closing, triggerDirection=2, triggerPrice="95000")
        at_once = await stop(client, **closing)

    assert (waiting["retCode"], at_once["retCode"]) == (0, 0)
    assert "BTCUSDT" not in simulator.world.venues["bybit"].accounts[LABEL].positions


async def test_liquidation_is_told_as_the_venue_tells_it(
    client: Ccxt, simulator: Simulator
) -> None:
    async with plain_bybit(simulator) as plain, plain.socket("/v5/private") as socket:
        await socket.authenticate()
        await socket.subscribe("execution")
        simulator.world.liquidate(LABEL, SWAP)
        told = (await socket.topic("execution"))["data"][0]
        busts = await plain.get("/v5/execution/list", **LINEAR, execType="BustTrade")
        trades = await plain.get("/v5/execution/list", **LINEAR, execType="Trade")

    assert (told["execType"], told["createType"]) == ("BustTrade", "CreateByLiq")
    assert told["execId"] in {row["execId"] for row in busts["result"]["list"]}
    assert told["execId"] not in {row["execId"] for row in trades["result"]["list"]}
    assert not is_held(simulator)


@pytest.mark.parametrize(
    ("how", "ends"), [("GTC", "open"), ("IOC", "canceled"), ("FOK", "canceled")]
)
async def test_time_in_force_does_what_it_says(how: str, ends: str, client: Ccxt) -> None:
    placed = await client.create_order(SWAP, "limit", "buy", 0.01, 90_000, {"timeInForce": how})

    assert (await fetched(client, placed["id"], SWAP))["status"] == ends


async def test_post_only_order_is_accepted_and_rejected_on_the_stream(client: Ccxt) -> None:
    watching = asyncio.ensure_future(client.watch_orders(SWAP))
    async with asyncio.timeout(LIMIT_S):
        while not watching.done():
            placed = await client.create_order(
                SWAP, "limit", "buy", 0.01, 101_000, {"postOnly": True}
            )
            await asyncio.wait([watching], timeout=0.2)
        (told,) = [order for order in await watching if order["status"] == "rejected"][-1:]

    assert placed["id"]
    assert told["info"]["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"


@pytest.mark.parametrize("unit", ["baseCoin", "quoteCoin"])
async def test_market_order_counts_in_the_coin_it_names(unit: str, simulator: Simulator) -> None:
    qty = "0.01" if unit == "baseCoin" else "1000"
    async with plain_bybit(simulator) as client:
        placed = await client.post(
            "/v5/order/create",
            category="spot",
            symbol="BTCUSDT",
            side="Buy",
            orderType="Market",
            marketUnit=unit,
            qty=qty,
        )
        found = await client.get(
            "/v5/order/realtime",
            category="spot",
            symbol="BTCUSDT",
            orderId=placed["result"]["orderId"],
        )

    (row,) = found["result"]["list"]
    assert (row["marketUnit"], row["qty"]) == (unit, qty)
    assert 990 < Decimal(row["cumExecValue"]) < 1_010


async def test_trade_socket_carries_an_orders_whole_life(simulator: Simulator) -> None:
    async with plain_bybit(simulator) as client, client.socket("/v5/trade") as socket:
        await socket.authenticate()

        async def ask(op: str, **args: object) -> Any:
            await socket.send(
                {"reqId": op, "header": client.header(), "op": op, "args": [{**LINEAR, **args}]}
            )
            return await socket.until(lambda message: message.get("reqId") == op)

        order = {"side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "90000"}
        placed = await ask("order.create", **order, orderLinkId="mine")
        amended = await ask("order.amend", orderLinkId="mine", price="91000")
        again = await ask("order.create", **order, orderLinkId="mine")
        canceled = await ask("order.cancel", orderLinkId="mine")
        forever = await ask("order.create", **order, orderLinkId="mine")

    assert [reply["retCode"] for reply in (placed, amended, again, canceled, forever)] == [
        0,
        0,
        110072,
        0,
        110072,
    ]
    assert placed["data"]["orderId"] == amended["data"]["orderId"] == canceled["data"]["orderId"]


@pytest.mark.parametrize("offset_ms", [-6_000, 6_000, None])
async def test_order_over_the_trade_socket_must_be_fresh(
    offset_ms: int | None, simulator: Simulator
) -> None:
    async with plain_bybit(simulator) as client, client.socket("/v5/trade") as socket:
        await socket.authenticate()
        client.offset_ms = offset_ms or 0
        header = {} if offset_ms is None else client.header()
        args = [{**LINEAR, "side": "Buy", "orderType": "Market", "qty": "0.01"}]
        await socket.send({"reqId": "1", "header": header, "op": "order.create", "args": args})
        refused = await socket.receive()

    assert refused["retCode"] == 10002
