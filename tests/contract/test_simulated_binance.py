"""Unmodified CCXT finds at the simulated Binance what it finds at the real one."""

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

LABEL = "binance-main"
BTC, ETH = "BTC/USDT", "ETH/USDT"
HOUR_MS = 3_600_000

STILL = {"tls_port": 0, "is_paused": True}


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update=STILL)


@pytest.fixture(params=["rewrite", "tls"])
async def client(request: pytest.FixtureRequest, simulator: Simulator) -> AsyncIterator[Ccxt]:
    account = simulator.account(LABEL)
    async with ccxt_client(
        simulator, "binance", account, reach=request.param, enableRateLimit=False
    ) as client:
        await client.load_markets()
        yield client


async def test_markets_of_every_kind_load_and_have_grids_and_limits(client: Ccxt) -> None:
    market = client.market(BTC)

    assert {m["type"] for m in client.markets.values()} == {"spot", "swap"}
    assert market["precision"] == {"amount": 1e-05, "price": 0.01, "base": 1e-08, "quote": 1e-08}
    assert market["limits"]["cost"]["min"] == 5
    assert client.currencies["BTC"]["withdraw"] is True


async def test_balances_are_those_of_the_books(client: Ccxt, simulator: Simulator) -> None:
    books = simulator.books(LABEL)

    balances = await client.fetch_balance()

    for row in balances["info"]["balances"]:
        book = books.balances.get(row["asset"])
        free, locked = (book.free, book.locked) if book else (Decimal(0), Decimal(0))
        assert (Decimal(row["free"]), Decimal(row["locked"])) == (free, locked)
    assert {a for a, b in balances["total"].items() if b} == set(books.balances)


async def test_public_data_is_that_of_the_market(client: Ccxt, simulator: Simulator) -> None:
    price = simulator.world.prices("binance")[BTC]

    tickers = await client.fetch_tickers([BTC, ETH])
    every = await client.fetch_tickers()
    best = await client.fetch_bids_asks([BTC])
    book = await client.fetch_order_book(BTC, 10)
    candles = await client.fetch_ohlcv(BTC, "5m", limit=3)
    fees = await client.fetch_trading_fees()

    assert Decimal(str(tickers[BTC]["last"])) == price.last.normalize()
    assert len(every) == sum(1 for m in client.markets.values() if m["spot"])
    assert Decimal(str(best[BTC]["bid"])) == price.bid
    assert Decimal(str(book["asks"][0][0])) == price.ask
    assert len(book["bids"]) == 10
    assert all(candle[0] % 300_000 == 0 for candle in candles)
    assert fees[BTC]["taker"] == 0.001
    assert (await client.fetch_status())["status"] == "ok"


async def test_limit_order_rests_is_replaced_and_is_canceled(client: Ccxt) -> None:
    placed = await client.create_order(BTC, "limit", "buy", 0.01, 50_000)
    known = await client.fetch_order(placed["id"], BTC)
    by_our_id = await client.fetch_order(None, BTC, {"clientOrderId": placed["clientOrderId"]})
    edited = await client.edit_order(placed["id"], BTC, "limit", "buy", 0.02, 51_000)
    opened = await client.fetch_open_orders(BTC)
    await client.cancel_order(edited["id"], BTC)
    orders = {order["id"]: order["status"] for order in await client.fetch_orders(BTC)}

    assert known["status"] == by_our_id["status"] == "open"
    assert edited["id"] != placed["id"]
    assert edited["id"] in {order["id"] for order in opened}
    assert orders[placed["id"]] == orders[edited["id"]] == "canceled"


async def test_market_orders_fill_and_move_balances_exactly(
    client: Ccxt, simulator: Simulator
) -> None:
    before = simulator.books(LABEL).balances
    order = await client.create_order(ETH, "market", "buy", 0.5)
    after = simulator.books(LABEL).balances
    trades = await client.fetch_my_trades(ETH, params={"orderId": order["id"]})

    cost = sum(Decimal(trade["info"]["quoteQty"]) for trade in trades)
    fees = {trade["fee"]["currency"]: Decimal(trade["info"]["commission"]) for trade in trades}
    assert order["status"] == "closed"
    assert before["USDT"].total - after["USDT"].total == cost
    for asset, fee in fees.items():
        bought = Decimal("0.5") if asset == "ETH" else Decimal(0)
        assert after[asset].total - before[asset].total == bought - fee


async def test_market_order_by_cost_spends_no_more(client: Ccxt, simulator: Simulator) -> None:
    before = simulator.books(LABEL).balances["USDT"].total
    order = await client.create_order(BTC, "market", "buy", None, None, {"cost": 1_000})
    spent = before - simulator.books(LABEL).balances["USDT"].total

    assert 999 < spent <= 1_000
    assert Decimal(order["info"]["cummulativeQuoteQty"]) == spent


async def test_post_only_ioc_and_fok_do_what_they_say(client: Ccxt) -> None:
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        await client.create_order(BTC, "limit", "buy", 0.01, 150_000, {"postOnly": True})
    ioc = await client.create_order(BTC, "limit", "buy", 0.01, 50_000, {"timeInForce": "IOC"})
    fok = await client.create_order(BTC, "limit", "buy", 0.01, 50_000, {"timeInForce": "FOK"})
    rests = await client.create_order(BTC, "limit", "buy", 0.01, 50_000, {"postOnly": True})

    assert (ioc["status"], fok["status"], rests["status"]) == ("expired", "expired", "open")
    assert rests["postOnly"] is True


@pytest.mark.parametrize(
    ("amount", "price", "error", "words"),
    [
        (100, 50_000, ccxt.InsufficientFunds, "insufficient balance"),
        (10_000, 50_000, ccxt.InvalidOrder, "LOT_SIZE"),
        (0.01, 900_000, ccxt.InvalidOrder, "PERCENT_PRICE_BY_SIDE"),
        (0.00002, 50_000, ccxt.BadRequest, "NOTIONAL"),
    ],
)
async def test_refused_order_names_the_venues_reason(
    amount: float, price: float, error: type[Exception], words: str, client: Ccxt
) -> None:
    with pytest.raises(error, match=words):
        await client.create_order(BTC, "limit", "buy", amount, price)


async def test_unknown_orders_and_repeated_ids_are_refused(client: Ccxt) -> None:
    await client.create_order(BTC, "limit", "buy", 0.01, 50_000, {"clientOrderId": "twice"})

    with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
        await client.create_order(BTC, "limit", "buy", 0.01, 50_000, {"clientOrderId": "twice"})
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        await client.fetch_order("999", BTC)
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        await client.cancel_order("999", BTC)
    assert len(await client.cancel_all_orders(BTC)) >= 1
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        await client.cancel_all_orders(BTC)


@pytest.mark.parametrize("simulator_settings", [WEEKS.model_copy(update=STILL)], ids=["weeks"])
async def test_every_trade_is_found_by_id_page_after_page(
    client: Ccxt, simulator: Simulator
) -> None:
    found: dict[str, set[str]] = {}
    for symbol in (s for s, m in client.markets.items() if m["spot"]):
        cursor, ids = 0, set()
        while page := await client.fetch_my_trades(symbol, None, 2, {"fromId": cursor}):
            ids |= {trade["id"] for trade in page}
            cursor = max(int(trade["id"]) for trade in page) + 1
        found[symbol] = ids

    assert sum(map(len, found.values())) == simulator.books(LABEL).fills > 0


async def test_trades_are_asked_for_a_day_at_most(client: Ccxt) -> None:
    now = client.milliseconds()
    await client.create_order(BTC, "market", "buy", 0.01)

    recent = await client.fetch_my_trades(BTC, now - HOUR_MS)
    window = {"startTime": now - 25 * HOUR_MS, "endTime": now}

    assert recent
    with pytest.raises(ccxt.ExchangeError, match="-1127"):
        await client.private_get_mytrades({"symbol": "BTCUSDT", **window})


async def test_permissions_are_told_and_obeyed(client: Ccxt, simulator: Simulator) -> None:
    before = await client.sapi_get_account_apirestrictions()
    simulator.world.permit(LABEL, withdraw=True, trade=False)
    after = await client.sapi_get_account_apirestrictions()

    assert (before["enableWithdrawals"], after["enableWithdrawals"]) == (False, True)
    # CCXT takes -2015 for a rate limit once a private call has succeeded.
    with pytest.raises((ccxt.AuthenticationError, ccxt.DDoSProtection), match="-2015"):
        await client.create_order(BTC, "limit", "buy", 0.01, 50_000)


async def test_public_streams_speak(client: Ccxt, simulator: Simulator) -> None:
    simulator.resume()
    async with asyncio.timeout(LIMIT_S):
        ticker = await client.watch_ticker(BTC)
        best = await client.watch_bids_asks([BTC, ETH])
        books = [(await client.watch_order_book(BTC)).copy() for _ in range(5)]
        trades = await client.watch_trades(BTC)
        candles = await client.watch_ohlcv(BTC, "1m")

    assert ticker["last"] > 0
    assert all(quote["bid"] < quote["ask"] for quote in best.values())
    assert all(book["bids"][0][0] < book["asks"][0][0] for book in books)
    assert trades[-1]["symbol"] == BTC
    assert candles[-1][0] % 60_000 == 0


async def test_private_streams_tell_what_another_client_did(
    client: Ccxt, simulator: Simulator
) -> None:
    watching = asyncio.gather(
        client.watch_orders(), client.watch_my_trades(), client.watch_balance()
    )
    async with asyncio.timeout(LIMIT_S):
        # Trade again until every subscription has been there in time to hear it.
        while not watching.done():
            simulator.world.trade(LABEL, BTC, Side.BUY, Decimal("0.001"))
            await asyncio.wait([watching], timeout=0.2)
        orders, trades, balance = await watching

    book = simulator.books(LABEL).balances["BTC"]
    assert orders[-1]["symbol"] == BTC
    assert trades[-1]["fee"]["cost"] > 0
    assert Decimal(str(balance["BTC"]["total"])) == book.total.normalize()


async def test_order_over_the_websocket_api_is_known_to_rest(client: Ccxt) -> None:
    async with asyncio.timeout(LIMIT_S):
        placed = await client.create_order_ws(BTC, "limit", "buy", 0.01, 50_000)
        canceled = await client.cancel_order_ws(placed["id"], BTC)

    known = await client.fetch_order(placed["id"], BTC)
    assert known["status"] == canceled["status"] == "canceled"


async def test_wrong_secret_and_wrong_clock_have_their_own_errors(simulator: Simulator) -> None:
    account = simulator.account(LABEL)
    spot = {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False, "fetchCurrencies": False}
    async with ccxt_client(simulator, "binance", account, options=spot) as client:
        client.secret = "wrong"
        with pytest.raises(ccxt.AuthenticationError, match="-1022"):
            await client.fetch_balance()
        client.secret = account.api_secret
        simulator.world.skew_clock("binance", 60_000)
        with pytest.raises(ccxt.InvalidNonce, match="-1021"):
            await client.fetch_balance()
        simulator.world.skew_clock("binance", -60_000)
        with pytest.raises(ccxt.InvalidNonce, match="-1021"):
            await client.fetch_balance()
        await client.load_time_difference()
        client.options["adjustForTimeDifference"] = True
        assert await client.fetch_balance()
