"""Unmodified CCXT finds at the simulated Bybit what it finds at the real one."""

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
from tests.fixtures.simulator import QUICK, WEEKS

Ccxt = Any

LABEL = "bybit-unified"
SPOT, SWAP = "BTC/USDT", "BTC/USDT:USDT"
DAY_MS = 86_400_000

STILL = {"tls_port": 0, "is_paused": True}


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update=STILL)


@pytest.fixture(params=["rewrite"])
async def client(request: pytest.FixtureRequest, simulator: Simulator) -> AsyncIterator[Ccxt]:
    account = simulator.account(LABEL)
    async with ccxt_client(
        simulator, "bybit", account, reach=request.param, enableRateLimit=False
    ) as client:
        await client.load_markets()
        yield client


both_ways = pytest.mark.parametrize("client", ["rewrite", "tls"], indirect=True)
"""For what differs by how the simulator is reached: REST, signing, public and private sockets."""


async def test_markets_have_grids_and_limits(client: Ccxt) -> None:
    spot, swap = client.market(SPOT), client.market(SWAP)

    assert (spot["type"], spot["active"], spot["precision"]["price"]) == ("spot", True, 0.01)
    assert (swap["type"], swap["linear"], swap["contractSize"]) == ("swap", True, 1)
    assert swap["limits"]["leverage"]["max"] == 100
    assert swap["limits"]["amount"]["min"] == 0.001


@both_ways
async def test_balances_and_positions_are_those_of_the_books(
    client: Ccxt, simulator: Simulator
) -> None:
    books = simulator.books(LABEL)

    balances = await client.fetch_balance()
    positions = {p["symbol"]: p for p in await client.fetch_positions()}

    for asset, book in books.balances.items():
        assert Decimal(str(balances[asset]["total"])) == book.total.normalize()
    assert set(positions) == {p.symbol for p in books.positions}
    for position in books.positions:
        found = positions[position.symbol]
        assert Decimal(str(found["contracts"])) == abs(position.quantity)
        assert found["side"] == ("long" if position.quantity > 0 else "short")
        assert found["unrealizedPnl"] == float(position.unrealized_pnl)
        assert found["leverage"] == float(position.leverage)


@pytest.mark.parametrize("simulator_settings", [WEEKS.model_copy(update=STILL)], ids=["weeks"])
async def test_history_is_found_week_by_week_and_page_by_page(
    client: Ccxt, simulator: Simulator
) -> None:
    now = client.milliseconds()
    found: set[str] = set()
    for category in ("spot", "linear"):
        for week in range(3):
            end = now - week * 7 * DAY_MS
            found |= await execution_ids(client, category, end - 7 * DAY_MS, end)

    assert len(found) == simulator.books(LABEL).fills
    with pytest.raises(ccxt.BadRequest):
        await client.fetch_my_trades(
            params={"category": "spot", "startTime": now - 8 * DAY_MS, "endTime": now}
        )


async def execution_ids(client: Ccxt, category: str, start: int, end: int) -> set[str]:
    """Every trade of a window, over as many pages as it takes."""
    window = {"category": category, "execType": "Trade", "startTime": start, "endTime": end}
    found: set[str] = set()
    cursor = ""
    for _ in range(100):
        more = {"cursor": cursor} if cursor else {}
        answer = await client.private_get_v5_execution_list({**window, "limit": 20, **more})
        found |= {row["execId"] for row in answer["result"]["list"]}
        cursor = str(answer["result"]["nextPageCursor"])
        if not cursor:
            break
    return found


async def test_public_data_is_complete(client: Ccxt, simulator: Simulator) -> None:
    prices = simulator.world.prices("bybit")

    tickers = await client.fetch_tickers([SPOT, "ETH/USDT"])
    swap = await client.fetch_ticker(SWAP)
    book = await client.fetch_order_book(SPOT, 50)
    candles = await client.fetch_ohlcv(SPOT, "1m", limit=3)
    trades = await client.fetch_trades(SWAP, limit=10)
    funding = await client.fetch_funding_rate(SWAP)

    assert Decimal(str(tickers[SPOT]["last"])) == prices[SPOT].last
    assert Decimal(str(tickers[SPOT]["bid"])) == prices[SPOT].bid
    assert Decimal(str(swap["info"]["markPrice"])) == prices[SWAP].mark
    assert book["bids"][0][0] < book["asks"][0][0]
    assert [c[0] for c in candles] == sorted(c[0] for c in candles)
    assert all(candle[0] % 60_000 == 0 for candle in candles)
    assert trades[0]["price"] > 0
    assert funding["fundingTimestamp"] > client.milliseconds()


@both_ways
async def test_order_lives_from_acceptance_to_cancellation(client: Ccxt) -> None:
    placed = await client.create_order(
        SPOT, "limit", "buy", 0.001, 80_000, {"clientOrderId": "card-1"}
    )
    (known,) = await client.fetch_open_orders(SPOT, params={"orderLinkId": "card-1"})
    await client.edit_order(placed["id"], SPOT, "limit", "buy", 0.002, 81_000)
    (edited,) = await client.fetch_open_orders(SPOT, params={"orderLinkId": "card-1"})
    await client.cancel_order(placed["id"], SPOT)
    after = await client.fetch_order(placed["id"], SPOT, {"acknowledged": True})

    assert placed["status"] is None
    assert (known["id"], known["status"]) == (placed["id"], "open")
    assert (edited["price"], edited["amount"]) == (81_000, 0.002)
    assert after["status"] == "canceled"


async def test_market_orders_fill_and_move_balances_exactly(
    client: Ccxt, simulator: Simulator
) -> None:
    before = simulator.books(LABEL).balances
    spot = await client.create_order(
        SPOT, "market", "buy", 0.001, params={"marketUnit": "baseCoin"}
    )
    filled = await client.fetch_order(spot["id"], SPOT, {"acknowledged": True})
    after = simulator.books(LABEL).balances

    (trade,) = await client.fetch_my_trades(SPOT, params={"orderId": spot["id"]})
    fee = Decimal(trade["info"]["execFee"])
    cost = Decimal(trade["info"]["execValue"])
    assert filled["status"] == "closed"
    assert filled["fee"]["currency"] == "BTC"
    assert after["BTC"].total - before["BTC"].total == Decimal("0.001") - fee
    assert before["USDT"].total - after["USDT"].total == cost


async def test_contract_order_opens_and_reduce_only_closes(client: Ccxt) -> None:
    symbol = "SOL/USDT:USDT"
    await client.create_order(symbol, "market", "buy", 2)
    (opened,) = await client.fetch_positions([symbol])
    await client.create_order(symbol, "market", "sell", 2, params={"reduceOnly": True})
    left = await client.fetch_positions([symbol])

    assert (opened["side"], opened["contracts"]) == ("long", 2)
    assert [p["contracts"] for p in left if p["contracts"]] == []
    with pytest.raises(ccxt.InvalidOrder, match="110017"):
        await client.create_order(symbol, "market", "sell", 2, params={"reduceOnly": True})


@pytest.mark.parametrize(
    ("symbol", "amount", "price", "error", "code"),
    [
        (SPOT, 0.00001, 20_000, ccxt.InvalidOrder, "170140"),
        (SPOT, 50, 90_000, ccxt.InsufficientFunds, "170131"),
        (SWAP, 90, 90_000, ccxt.InsufficientFunds, "110007"),
        (SWAP, 0.01, 9_000_000, ccxt.InvalidOrder, "110003"),
    ],
)
async def test_refused_order_names_the_venues_code(
    symbol: str, amount: float, price: float, error: type[Exception], code: str, client: Ccxt
) -> None:
    with pytest.raises(error, match=code):
        await client.create_order(symbol, "limit", "buy", amount, price)


async def test_unknown_orders_and_repeated_ids_are_refused(client: Ccxt) -> None:
    await client.create_order(SPOT, "limit", "buy", 0.001, 80_000, {"clientOrderId": "twice"})

    with pytest.raises(ccxt.InvalidOrder, match="170141"):
        await client.create_order(SPOT, "limit", "buy", 0.001, 80_000, {"clientOrderId": "twice"})
    with pytest.raises(ccxt.OrderNotFound, match="170213"):
        await client.cancel_order("1900000000009999999", SPOT)
    with pytest.raises(ccxt.OrderNotFound, match="110001"):
        await client.cancel_order("51050000-0000-4000-8000-000000000001", SWAP)


async def test_cancel_all_answers_what_it_canceled(client: Ccxt, simulator: Simulator) -> None:
    for price in (70_000, 71_000):
        await client.create_order(SWAP, "limit", "buy", 0.001, price)

    canceled = await client.cancel_all_orders(SWAP)

    assert len(canceled) == 2
    assert await client.fetch_open_orders(SWAP) == []
    assert await client.cancel_all_orders(SWAP) == []


async def test_leverage_unchanged_is_110043(client: Ccxt) -> None:
    await client.set_leverage(25, SWAP)

    with pytest.raises(ccxt.BadRequest, match="110043"):
        await client.set_leverage(25, SWAP)
    assert (await client.fetch_positions([SWAP]))[0]["leverage"] == 25


async def test_permissions_fees_and_currencies_are_told(client: Ccxt, simulator: Simulator) -> None:
    before = await client.private_get_v5_user_query_api()
    simulator.world.permit(LABEL, withdraw=True, trade=False)
    after = await client.private_get_v5_user_query_api()
    fee = await client.fetch_trading_fee(SWAP)
    currencies = await client.fetch_currencies()

    assert "Withdraw" not in before["result"]["permissions"]["Wallet"]
    assert "Withdraw" in after["result"]["permissions"]["Wallet"]
    assert after["result"]["readOnly"] in {1, "1"}
    assert fee["taker"] == 0.00055
    assert currencies["BTC"]["deposit"] is True
    with pytest.raises(ccxt.PermissionDenied, match="10005"):
        await client.create_order(SPOT, "limit", "buy", 0.001, 80_000)


@both_ways
async def test_public_streams_speak(client: Ccxt, simulator: Simulator) -> None:
    simulator.resume()
    async with asyncio.timeout(LIMIT_S):
        spot = await client.watch_ticker(SPOT)
        swap = await client.watch_ticker(SWAP)
        best = await client.watch_bids_asks([SPOT])
        books = [await client.watch_order_book(SWAP) for _ in range(5)]
        candles = await client.watch_ohlcv(SPOT, "1m")
        trades = await client.watch_trades(SPOT)

    assert (spot["symbol"], swap["symbol"]) == (SPOT, SWAP)
    assert spot["last"] > 0
    assert swap["bid"] < swap["ask"]
    assert best[SPOT]["bid"] < best[SPOT]["ask"]
    assert all(book["bids"][0][0] < book["asks"][0][0] for book in books)
    assert candles[-1][0] % 60_000 == 0
    assert trades[-1]["symbol"] == SPOT


@both_ways
async def test_private_streams_tell_what_another_client_did(
    client: Ccxt, simulator: Simulator
) -> None:
    watching = asyncio.gather(
        client.watch_orders(),
        client.watch_my_trades(),
        client.watch_balance({"type": "swap"}),
        client.watch_positions(),
    )
    async with asyncio.timeout(LIMIT_S):
        # Trade again until every subscription has been there in time to hear it.
        while not watching.done():
            simulator.world.trade(LABEL, SWAP, Side.BUY, Decimal("0.001"))
            await asyncio.wait([watching], timeout=0.2)
        orders, trades, balance, positions = await watching

    assert orders[-1]["symbol"] == SWAP
    assert trades[-1]["fee"]["currency"] == "USDT"
    assert balance["USDT"]["total"] > 0
    assert any(p["symbol"] == SWAP for p in positions)


@both_ways
async def test_order_over_the_trade_socket_is_known_to_rest(client: Ccxt) -> None:
    async with asyncio.timeout(LIMIT_S):
        placed = await client.create_order_ws(SPOT, "limit", "buy", 0.001, 80_000)

    assert placed["id"] in {order["id"] for order in await client.fetch_open_orders(SPOT)}


async def test_wrong_secret_is_an_authentication_error(simulator: Simulator) -> None:
    account = simulator.account(LABEL)
    async with ccxt_client(simulator, "bybit", account, secret="wrong") as client:
        with pytest.raises(ccxt.AuthenticationError, match="10004"):
            await client.fetch_balance()


async def test_money_is_found_in_the_ledger_and_the_records(
    client: Ccxt, simulator: Simulator
) -> None:
    world, began_ms = simulator.world, client.milliseconds()
    world.deposit(LABEL, "USDT", Decimal("12.5"))
    world.deposit(LABEL, "USDT", Decimal("-2.5"))
    world.trade(LABEL, SWAP, Side.BUY, Decimal("0.01"))
    world.settle_funding("bybit")

    ledger = await client.fetch_ledger("USDT", limit=50)
    (deposit,) = await client.fetch_deposits("USDT", client.milliseconds() - DAY_MS)
    (withdrawal,) = await client.fetch_withdrawals("USDT")
    transfers = await client.fetch_transfers("USDT", client.milliseconds() - DAY_MS)

    kinds = {entry["info"]["type"] for entry in ledger}
    assert kinds >= {"TRANSFER_IN", "TRANSFER_OUT", "TRADE", "SETTLEMENT"}
    balance = float(simulator.books(LABEL).balances["USDT"].total)
    # All of them may bear the same millisecond, and then stand in any order.
    assert balance in {entry["after"] for entry in ledger if entry["timestamp"] >= began_ms}
    assert (deposit["amount"], deposit["status"], deposit["currency"]) == (12.5, "ok", "USDT")
    assert (withdrawal["amount"], withdrawal["status"]) == (2.5, "ok")
    assert withdrawal["txid"] not in {None, deposit["txid"]}
    moved = {(one["amount"], one["fromAccount"], one["toAccount"]) for one in transfers}
    assert moved == {(12.5, "fund", "unified"), (2.5, "unified", "fund")}
