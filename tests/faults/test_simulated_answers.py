"""Faults of requests and answers that a client must see through: what it gets, and what is true."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import ccxt
import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.faults.answers import (
    ExtraFields,
    Mislabeled,
    MissingFields,
    OddValues,
    RepeatedAnswer,
    RepeatedRows,
    ShuffledRows,
    StaleRead,
)
from alphapulse.simulator.faults.fault import Match, When
from alphapulse.simulator.faults.requests import (
    BadSignature,
    Latency,
    Maintenance,
    Timeout,
    VenueError,
)
from alphapulse.simulator.faults.script import Fault
from alphapulse.simulator.faults.world import (
    ChangedFilters,
    ChangedPermissions,
    RefusedOrder,
    RejectedOrder,
)
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.ccxt_clients import ccxt_client
from tests.fixtures.simulator import QUICK
from tests.plain_binance import PlainBinance, plain_binance
from tests.plain_bybit import PlainBybit, plain_bybit

BYBIT, BINANCE = "bybit-unified", "binance-main"
BINANCE_ORDER = Match(venue="binance", method="POST", path="/api/v3/order")


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update={"history_days": 0})


@pytest.fixture
async def bybit(simulator: Simulator) -> AsyncIterator[PlainBybit]:
    async with plain_bybit(simulator) as client:
        yield client


@pytest.fixture
async def binance(simulator: Simulator) -> AsyncIterator[PlainBinance]:
    async with plain_binance(simulator) as client:
        yield client


async def buy(client: PlainBinance, price: str = "60000") -> Any:
    return await client.signed(
        "POST",
        "/api/v3/order",
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.001",
        price=price,
    )


async def buy_linear(client: PlainBybit, **more: object) -> Any:
    order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
    return await client.post(
        "/v5/order/create", **{**order, "qty": "0.01", "price": "60000", **more}
    )


def trade(simulator: Simulator, label: str, times: int) -> None:
    for _ in range(times):
        simulator.world.trade(label, "BTC/USDT", Side.BUY, Decimal("0.001"))


# Requests.


async def test_account_stream_can_tell_a_fill_before_the_answer_does(
    simulator: Simulator, bybit: PlainBybit
) -> None:
    order = Match(method="POST", path="/v5/order/create")
    simulator.faults.add(Latency(match=order, when=When.AFTER, delay_s=60))

    async with bybit.socket("/v5/private") as socket:
        await socket.authenticate()
        await socket.subscribe("execution")
        answer = asyncio.create_task(buy_linear(bybit, orderType="Market"))
        event = await socket.topic("execution")

        assert event["data"][0]["symbol"] == "BTCUSDT"
        assert not answer.done()
        answer.cancel()


@pytest.mark.parametrize("status", [408, 503])
@pytest.mark.parametrize(("when", "executed"), [(When.BEFORE, 0), (When.AFTER, 1)])
async def test_backend_that_timed_out_may_have_executed_or_not(
    when: When, executed: int, status: int, simulator: Simulator, binance: PlainBinance
) -> None:
    simulator.faults.add(
        VenueError(match=BINANCE_ORDER, code=-1007, message="Timeout.", status=status, when=when)
    )

    answer = await buy(binance)

    assert (binance.status, answer) == (status, {"code": -1007, "msg": "Timeout."})
    assert simulator.orders_seen == executed


async def test_damaged_signature_is_refused_by_each_venue(
    simulator: Simulator, bybit: PlainBybit, binance: PlainBinance
) -> None:
    simulator.faults.add(BadSignature(count=2))

    assert (await buy(binance))["code"] == -1022
    assert (await buy_linear(bybit))["retCode"] == 10004
    assert simulator.orders_seen == 0
    assert (await buy(binance))["status"] == "NEW"


async def test_damaged_signature_leaves_public_requests_alone(
    simulator: Simulator, bybit: PlainBybit
) -> None:
    entry = simulator.faults.add(BadSignature())

    assert (await bybit.public("/v5/market/time"))["retCode"] == 0
    assert entry.struck == 0


async def test_venue_under_maintenance_says_so_on_every_route(
    simulator: Simulator, bybit: PlainBybit, binance: PlainBinance
) -> None:
    simulator.faults.add(Maintenance(match=Match(method="*"), count=None))

    order = await buy(binance), binance.status
    assert order == ({"code": 1, "msg": "System is under maintenance."}, 503)
    assert (await binance.public("/sapi/v1/system/status"))["status"] == 1
    assert (await buy_linear(bybit))["retCode"] == 10016
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with bybit.socket("/v5/public/spot"):
            pass
    assert refused.value.status == 503
    assert simulator.orders_seen == 0
    simulator.faults.clear()
    assert (await buy(binance))["status"] == "NEW"


async def test_ccxt_calls_maintenance_by_its_name(simulator: Simulator) -> None:
    simulator.faults.add(Maintenance(match=Match(venue="binance"), count=None))

    async with ccxt_client(simulator, "binance", None) as client:
        with pytest.raises(ccxt.OnMaintenance):
            await client.public_get_time()


async def test_address_that_is_not_allowed_any_more_is_refused(
    simulator: Simulator, bybit: PlainBybit, binance: PlainBinance
) -> None:
    for label in (BYBIT, BINANCE):
        simulator.faults.add(ChangedPermissions(match=Match(account=label), ip_refused=True))

    assert (await buy(binance))["code"] == -2015
    assert (await bybit.get("/v5/account/info"))["retCode"] == 10010


async def test_permission_to_trade_can_be_taken_and_reading_goes_on(
    simulator: Simulator, bybit: PlainBybit, binance: PlainBinance
) -> None:
    for label in (BYBIT, BINANCE):
        simulator.faults.add(ChangedPermissions(match=Match(account=label), trade=False))

    assert (await buy(binance))["code"] == -2015
    assert (await buy_linear(bybit))["retCode"] == 10005
    assert "balances" in await binance.signed("GET", "/api/v3/account")
    assert (await bybit.get("/v5/user/query-api"))["result"]["readOnly"] == 1


async def test_account_fault_lets_those_pass_who_ask_nothing_of_an_account(
    simulator: Simulator, bybit: PlainBybit
) -> None:
    entry = simulator.faults.add(ChangedPermissions(trade=False))

    await bybit.public("/v5/market/time")
    assert entry.struck == 0
    await bybit.get("/v5/account/info")
    assert entry.struck == 1


# Answers.


async def test_order_is_missing_from_what_is_read_just_after_it_was_placed(
    simulator: Simulator, binance: PlainBinance
) -> None:
    placed = await buy(binance)
    simulator.faults.add(StaleRead(match=Match(path="*/openOrders"), for_ms=60_000))
    simulator.faults.add(StaleRead(match=Match(path="*/order", method="GET"), for_ms=60_000))
    wanted = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}

    stale = await binance.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")
    denied = await binance.signed("GET", "/api/v3/order", **wanted)
    true = await binance.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")
    found = await binance.signed("GET", "/api/v3/order", **wanted)

    assert placed["orderId"] not in [row["orderId"] for row in stale]
    assert denied == {"code": -2013, "msg": "Order does not exist."}
    assert placed["orderId"] in [row["orderId"] for row in true]
    assert found["status"] == "NEW"


async def test_bybit_does_not_know_an_order_it_just_took(
    simulator: Simulator, bybit: PlainBybit
) -> None:
    simulator.faults.add(StaleRead(match=Match(path="/v5/order/realtime"), for_ms=60_000))
    await buy_linear(bybit, orderLinkId="s-1")
    query = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "s-1"}

    stale = await bybit.get("/v5/order/realtime", **query)
    true = await bybit.get("/v5/order/realtime", **query)

    assert (stale["retCode"], stale["result"]["list"]) == (0, [])
    assert [row["orderLinkId"] for row in true["result"]["list"]] == ["s-1"]


async def test_what_is_old_enough_is_never_stale(
    simulator: Simulator, binance: PlainBinance
) -> None:
    placed = await buy(binance)
    entry = simulator.faults.add(StaleRead(for_ms=1))
    simulator.world.venues["binance"].accounts[BINANCE].orders_by_id[
        placed["orderId"]
    ].created_ms -= 60_000

    (row,) = await binance.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")

    assert row["orderId"] == placed["orderId"]
    assert entry.struck == 0


async def test_row_comes_twice_on_a_page(simulator: Simulator, binance: PlainBinance) -> None:
    trade(simulator, BINANCE, 3)
    simulator.faults.add(RepeatedRows(match=Match(path="*/myTrades")))

    ids = [row["id"] for row in await binance.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT")]

    assert len(ids) == 4
    assert len(set(ids)) == 3
    assert ids[-1] == ids[-2]


async def test_page_comes_in_no_order(simulator: Simulator, bybit: PlainBybit) -> None:
    trade(simulator, BYBIT, 4)
    simulator.faults.add(ShuffledRows(match=Match(path="/v5/execution/list")))

    shuffled = await executions(bybit)
    true = await executions(bybit)

    assert sorted(shuffled) == sorted(true)
    assert shuffled not in (true, true[::-1])


async def executions(client: PlainBybit, **more: object) -> list[str]:
    answer = await client.get("/v5/execution/list", category="spot", **more)
    return [row["execId"] for row in answer["result"]["list"]]


async def test_cursor_that_loops_gives_the_first_page_for_ever(
    simulator: Simulator, bybit: PlainBybit
) -> None:
    trade(simulator, BYBIT, 4)
    simulator.faults.add(RepeatedAnswer(match=Match(path="/v5/execution/list"), count=2))

    pages, cursor = [], ""
    for _ in range(4):
        query = {"category": "spot", "limit": 1, **({"cursor": cursor} if cursor else {})}
        result = (await bybit.get("/v5/execution/list", **query))["result"]
        pages.append(result["list"][0]["execId"])
        cursor = result["nextPageCursor"]

    assert pages[0] == pages[1] == pages[2]
    assert pages[3] != pages[0]


async def test_snapshot_of_a_book_is_older_than_what_the_client_knows(
    simulator: Simulator, binance: PlainBinance
) -> None:
    simulator.faults.add(RepeatedAnswer(match=Match(path="/api/v3/depth")))

    first = await binance.public("/api/v3/depth", symbol="BTCUSDT")
    await buy(binance)
    stale = await binance.public("/api/v3/depth", symbol="BTCUSDT")
    fresh = await binance.public("/api/v3/depth", symbol="BTCUSDT")

    assert stale == first
    assert fresh["lastUpdateId"] > stale["lastUpdateId"]


async def test_wrong_content_type_covers_a_right_body(
    simulator: Simulator, bybit: PlainBybit
) -> None:
    simulator.faults.add(Mislabeled(content_type="text/plain"))

    with pytest.raises(aiohttp.ContentTypeError):
        await bybit.public("/v5/market/time")
    assert (await bybit.public("/v5/market/time"))["retCode"] == 0


async def test_ccxt_reads_past_fields_it_does_not_know(simulator: Simulator) -> None:
    account = simulator.account(BINANCE)
    async with ccxt_client(simulator, "binance", account) as client:
        await client.load_markets()
        placed = await client.create_order("BTC/USDT", "limit", "buy", 0.001, 60_000)
        simulator.faults.add(ExtraFields(match=Match(path="*/openOrders")))

        (read,) = await client.fetch_open_orders("BTC/USDT")

    assert read["id"] == placed["id"]
    assert read["info"]["introducedToday"] == {"of": ["no", "interest"]}


async def test_optional_field_is_missing(simulator: Simulator, binance: PlainBinance) -> None:
    trade(simulator, BINANCE, 1)
    simulator.faults.add(
        MissingFields(match=Match(path="*/myTrades"), fields=("commissionAsset", "quoteQty"))
    )

    (row,) = await binance.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT")

    assert row.keys().isdisjoint({"commissionAsset", "quoteQty"})
    assert "commission" in row


@pytest.mark.parametrize("value", ["123456789012345678901234567890.12345678", "1e-8", "0.00000001"])
async def test_number_is_absurd_and_still_of_its_type(
    value: str, simulator: Simulator, binance: PlainBinance
) -> None:
    simulator.faults.add(OddValues(match=Match(path="*/account"), fields=("free",), value=value))
    simulator.faults.add(OddValues(match=Match(path="*/time"), fields=("serverTime",), value="1"))

    account = await binance.signed("GET", "/api/v3/account")

    assert {row["free"] for row in account["balances"]} == {value}
    assert (await binance.public("/api/v3/time"))["serverTime"] == 1


async def test_fault_that_finds_nothing_to_bend_waits(
    simulator: Simulator, bybit: PlainBybit
) -> None:
    faults: list[Fault] = [
        StaleRead(),
        RepeatedRows(),
        ShuffledRows(),
        MissingFields(fields=("nothing",)),
        OddValues(fields=("nothing",), value="1"),
        RepeatedAnswer(),
    ]
    entries = [simulator.faults.add(fault) for fault in faults]

    assert (await bybit.public("/v5/market/time"))["retCode"] == 0
    assert [entry.struck for entry in entries] == [0] * len(faults)


# Markets and orders.


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (ChangedFilters(symbol="BTCUSDT", tick_times=100), "PRICE_FILTER"),
        (ChangedFilters(symbol="BTCUSDT", lot_times=1000), "LOT_SIZE"),
        (ChangedFilters(symbol="BTCUSDT", notional_times=1000), "NOTIONAL"),
    ],
)
async def test_filters_change_in_the_listing_and_for_the_next_order(
    change: ChangedFilters, refusal: str, simulator: Simulator, binance: PlainBinance
) -> None:
    known = await filters(binance)
    before = await buy(binance, price="60000.01")
    simulator.faults.add(change)

    refused = await buy(binance, price="60000.01")

    assert refused == {"code": -1013, "msg": f"Filter failure: {refusal}"}
    assert await filters(binance) != known
    found = await binance.signed(
        "GET", "/api/v3/order", symbol="BTCUSDT", orderId=before["orderId"]
    )
    assert (found["status"], Decimal(found["price"])) == ("NEW", Decimal("60000.01"))


async def filters(client: PlainBinance) -> Any:
    info = await client.public("/api/v3/exchangeInfo", symbol="BTCUSDT")
    return info["symbols"][0]["filters"]


async def test_bybit_lists_and_asks_for_coarser_steps(
    simulator: Simulator, bybit: PlainBybit
) -> None:
    simulator.faults.add(ChangedFilters(symbol="BTCUSDT", tick_times=5, lot_times=20))

    refused = await buy_linear(bybit)
    listing = await bybit.public("/v5/market/instruments-info", category="linear", symbol="BTCUSDT")

    (row,) = listing["result"]["list"]
    assert refused["retCode"] == 10001
    assert Decimal(row["lotSizeFilter"]["qtyStep"]) == Decimal("0.02")
    assert (await buy_linear(bybit, qty="0.02"))["retCode"] == 0


async def test_cancel_replace_is_done_by_half(simulator: Simulator, binance: PlainBinance) -> None:
    placed = await buy(binance)
    simulator.faults.add(RefusedOrder(match=Match(account=BINANCE, symbol="BTCUSDT")))

    answer = await binance.signed(
        "POST",
        "/api/v3/order/cancelReplace",
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.001",
        price="61000",
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrderId=placed["orderId"],
    )

    assert (binance.status, answer["code"]) == (409, -2021)
    assert answer["data"]["cancelResult"] == "SUCCESS"
    assert answer["data"]["newOrderResult"] == "FAILURE"
    assert answer["data"]["newOrderResponse"]["code"] == -2010
    open_orders = await binance.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")
    assert placed["orderId"] not in [row["orderId"] for row in open_orders]


async def test_order_is_accepted_and_rejected_afterwards(
    simulator: Simulator, bybit: PlainBybit
) -> None:
    simulator.faults.add(RejectedOrder(match=Match(venue="bybit")))

    async with bybit.socket("/v5/private") as socket:
        await socket.authenticate()
        await socket.subscribe("order")
        answer = await buy_linear(bybit, orderLinkId="r-1")
        (row,) = (await socket.topic("order"))["data"]

    assert (answer["retCode"], answer["result"]["orderLinkId"]) == (0, "r-1")
    assert (row["orderStatus"], row["rejectReason"]) == ("Rejected", "EC_NoEnoughQtyToFill")


async def test_faults_of_the_start_spare_the_orders_of_the_preparations() -> None:
    settings = QUICK.model_copy(update={"history_days": 3})
    async with Simulator.running(settings, faults=[RefusedOrder(), Timeout()]) as simulator:
        assert simulator.books(BYBIT).open_orders > 0
        assert [entry.seen for entry in simulator.faults.entries] == [0, 0]
