"""Unmodified CCXT finds at the simulated Binance futures what it finds at the real ones."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from alphapulse.simulator.world import FuturesBooks
from tests.ccxt_clients import ccxt_client
from tests.eventually import LIMIT_S
from tests.fixtures.simulator import QUICK

Ccxt = Any

LABEL = "binance-main"
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
TRIGGER = {"trigger": True}


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update={"tls_port": 0, "is_paused": True})


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[Ccxt]:
    account = simulator.account(LABEL)
    async with ccxt_client(
        simulator, "binanceusdm", account, reach="tls", enableRateLimit=False
    ) as client:
        await client.load_markets()
        yield client


def futures(simulator: Simulator) -> FuturesBooks:
    books = simulator.books(LABEL).futures
    assert books is not None
    return books


def price(simulator: Simulator, symbol: str) -> Decimal:
    return simulator.world.prices("binance")[symbol].last


def away(simulator: Simulator, share: str, symbol: str = BTC) -> float:
    """A price on the grid, so far from the market."""
    return float((price(simulator, symbol) * Decimal(share)).quantize(Decimal("0.1")))


def move(simulator: Simulator, symbol: str, to: Decimal) -> None:
    simulator.world.set_price("binance", symbol, to)


async def test_perpetuals_load_with_their_grids_limits_and_tiers(client: Ccxt) -> None:
    market = client.market(BTC)
    tiers = (await client.fetch_leverage_tiers([BTC]))[BTC]

    assert {m["type"] for m in client.markets.values()} == {"swap"}
    assert market["precision"] == {"amount": 0.001, "price": 0.1, "base": 1e-08, "quote": 1e-08}
    assert market["limits"]["cost"]["min"] == 100
    assert [(t["maxNotional"], t["maxLeverage"]) for t in tiers[:2]] == [
        (50_000, 125),
        (600_000, 100),
    ]


async def test_public_data_is_that_of_the_market(client: Ccxt, simulator: Simulator) -> None:
    book = simulator.world.prices("binance")[BTC]

    ticker = await client.fetch_ticker(BTC)
    best = await client.fetch_bids_asks([BTC])
    depth = await client.fetch_order_book(BTC, 10)
    candles = await client.fetch_ohlcv(BTC, "5m", limit=3)
    funding = await client.fetch_funding_rate(BTC)

    assert Decimal(str(ticker["last"])) == book.last.normalize()
    assert Decimal(str(best[BTC]["bid"])) == book.bid
    assert Decimal(str(depth["asks"][0][0])) == book.ask
    assert all(candle[0] % 300_000 == 0 for candle in candles)
    assert Decimal(str(funding["markPrice"])) == book.mark
    assert funding["fundingTimestamp"] % (8 * 3_600_000) == 0


async def test_balance_and_position_are_those_of_the_books(
    client: Ccxt, simulator: Simulator
) -> None:
    books = futures(simulator)
    held = books.positions[0]

    balance = await client.fetch_balance()
    positions = await client.fetch_positions()
    leverages = await client.fetch_leverages([ETH])

    asset = next(a for a in balance["info"]["assets"] if a["asset"] == "USDT")
    assert Decimal(asset["walletBalance"]) == books.balances["USDT"].total
    assert [(p["symbol"], p["side"]) for p in positions] == [(ETH, "long")]
    row = positions[0]["info"]
    assert Decimal(row["positionAmt"]) == held.quantity
    assert Decimal(row["unRealizedProfit"]) == held.unrealized_pnl
    assert positions[0]["liquidationPrice"] > 0
    assert leverages[ETH]["longLeverage"] == held.leverage


async def test_spot_wallet_is_another_one_and_money_moves_between(
    client: Ccxt, simulator: Simulator
) -> None:
    spot, margin = simulator.books(LABEL), futures(simulator)
    await client.transfer("USDT", 1_000, "spot", "linear")
    spot_after, margin_after = simulator.books(LABEL), futures(simulator)

    assert spot.balances["USDT"].free - spot_after.balances["USDT"].free == 1_000
    assert margin_after.balances["USDT"].total - margin.balances["USDT"].total == 1_000
    with pytest.raises(ccxt.InsufficientFunds, match="-5013"):
        await client.transfer("USDT", 1_000_000, "linear", "spot")


async def test_limit_order_rests_is_amended_in_place_and_is_canceled(
    client: Ccxt, simulator: Simulator
) -> None:
    low, lower = away(simulator, "0.6"), away(simulator, "0.59")
    placed = await client.create_order(BTC, "limit", "buy", 0.01, low)
    by_our_id = await client.fetch_order(None, BTC, {"clientOrderId": placed["clientOrderId"]})
    edited = await client.edit_order(placed["id"], BTC, "limit", "buy", 0.02, lower)
    opened = await client.fetch_open_orders(BTC)
    client.options["fetchOpenOrders"] = {"warnWithoutSymbol": False}
    every = await client.fetch_open_orders()
    canceled = await client.cancel_order(placed["id"], BTC)

    assert placed["status"] == by_our_id["status"] == "open"
    assert edited["id"] == placed["id"]
    assert [(o["amount"], o["price"]) for o in opened] == [(0.02, lower)]
    assert [o["id"] for o in every] == [placed["id"]]
    assert canceled["status"] == "canceled"
    assert {o["status"] for o in await client.fetch_orders(BTC)} == {"canceled"}
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        await client.cancel_order(placed["id"], BTC)
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        await client.fetch_order("999", BTC)


async def test_opening_and_closing_moves_the_wallet_by_profit_and_fees_alone(
    client: Ccxt, simulator: Simulator
) -> None:
    before = futures(simulator).balances["USDT"].total
    bought = await client.create_order(BTC, "market", "buy", 0.05)
    move(simulator, BTC, price(simulator, BTC) * Decimal("1.01"))
    sold = await client.create_order(BTC, "market", "sell", 0.05, None, {"reduceOnly": True})
    after = futures(simulator).balances["USDT"].total
    trades = await client.fetch_my_trades(BTC)
    income = await client.fapiprivate_get_income({"symbol": "BTCUSDT"})

    profit = sum(Decimal(t["info"]["realizedPnl"]) for t in trades)
    fees = sum(Decimal(t["info"]["commission"]) for t in trades)
    assert bought["status"] == sold["status"] == "closed"
    assert profit > 0
    assert after - before == profit - fees == sum(Decimal(one["income"]) for one in income)
    assert {p["symbol"] for p in await client.fetch_positions()} == {ETH}


async def test_everything_that_moved_the_wallet_is_in_the_income(
    client: Ccxt, simulator: Simulator
) -> None:
    simulator.world.settle_funding("binance")
    income = await client.fapiprivate_get_income({"startTime": 1, "limit": 1000})

    kinds = {one["incomeType"] for one in income}
    assert {"TRANSFER", "COMMISSION", "FUNDING_FEE"} <= kinds
    total = sum(Decimal(one["income"]) for one in income)
    assert total == futures(simulator).balances["USDT"].total


@pytest.mark.parametrize(
    ("order", "error", "words"),
    [
        (("limit", 0.001, "0.6"), ccxt.InvalidOrder, "-4164.*no smaller than 100"),
        (("limit", 10, "0.6"), ccxt.InsufficientFunds, "-2019"),
        (("limit", 0.01, "1.2"), ccxt.BadRequest, "-4016.*can't be higher than"),
        (("limit", 0.01, "1.01", {"postOnly": True}), ccxt.OrderNotFillable, "-5022"),
        (("limit", 0.01, "0.6", {"timeInForce": "FOK"}), ccxt.OrderNotFillable, "-5021"),
        (("market", 0.01, None, {"reduceOnly": True}), ccxt.InvalidOrder, "-2022"),
        (("market", 0.01, None, {"positionSide": "LONG"}), ccxt.OperationRejected, "-4061"),
        (("market", 0.01, None, {"stopLossPrice": "1.01"}), ccxt.OrderImmediatelyFillable, "-2021"),
    ],
)
async def test_refused_order_names_the_venues_reason(
    order: tuple[Any, ...],
    error: type[Exception],
    words: str,
    client: Ccxt,
    simulator: Simulator,
) -> None:
    kind, amount, share, params = (*order, {})[:4]
    limit = None if share is None else away(simulator, share)
    side = "buy"
    if "stopLossPrice" in params:
        side, params = "sell", {"stopLossPrice": away(simulator, params["stopLossPrice"])}

    with pytest.raises(error, match=words):
        await client.create_order(BTC, kind, side, amount, limit, params)


async def test_repeated_id_and_conditional_type_at_the_wrong_endpoint_are_refused(
    client: Ccxt, simulator: Simulator
) -> None:
    low = away(simulator, "0.6")
    await client.create_order(BTC, "limit", "buy", 0.01, low, {"clientOrderId": "twice"})

    with pytest.raises(ccxt.InvalidOrder, match="-4116"):
        await client.create_order(BTC, "limit", "buy", 0.01, low, {"clientOrderId": "twice"})
    with pytest.raises(ccxt.InvalidOrder, match="-4120"):
        await client.fapiprivate_post_order(
            {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "stopPrice": "1"}
        )


async def test_stop_waits_in_the_other_family_of_orders_until_its_price_comes(
    client: Ccxt, simulator: Simulator
) -> None:
    stop = await client.create_order(
        ETH, "market", "sell", 1, None, {"stopLossPrice": 3_000, "reduceOnly": True}
    )
    waiting = await client.fetch_open_orders(ETH, params=TRIGGER)
    in_the_book = await client.fetch_open_orders(ETH)
    move(simulator, ETH, Decimal(2_990))
    done = await client.fetch_order(stop["id"], ETH, TRIGGER)
    order = await client.fetch_order(done["info"]["actualOrderId"], ETH)

    assert [o["id"] for o in waiting] == [stop["id"]]
    assert in_the_book == []
    assert done["info"]["algoStatus"] == "FINISHED"
    assert (order["status"], order["filled"], order["reduceOnly"]) == ("closed", 1, True)
    assert futures(simulator).positions[0].quantity == Decimal("1.4")


async def test_waiting_stops_trails_and_profit_takers_are_listed_and_canceled(
    client: Ccxt,
) -> None:
    limit = {"triggerPrice": 3_700, "reduceOnly": True}
    taker = await client.create_order(ETH, "TAKE_PROFIT", "sell", 1, 3_690, limit)
    trail = await client.create_order(
        ETH, "TRAILING_STOP_MARKET", "sell", 1, None, {"trailingPercent": 2, "reduceOnly": True}
    )
    whole = await client.create_order(
        ETH, "STOP_MARKET", "sell", None, None, {"triggerPrice": 2_900, "closePosition": True}
    )
    opened = await client.fetch_open_orders(ETH, params=TRIGGER)
    await client.cancel_order(trail["id"], ETH, TRIGGER)
    await client.cancel_all_orders(ETH, TRIGGER)

    assert [o["id"] for o in opened] == [taker["id"], trail["id"], whole["id"]]
    assert await client.fetch_open_orders(ETH, params=TRIGGER) == []
    known = await client.fetch_order(taker["id"], ETH, TRIGGER)
    assert (known["status"], known["triggerPrice"]) == ("canceled", 3_700)


async def test_leverage_and_margin_mode_are_told_and_bound_by_position_and_tier(
    client: Ccxt, simulator: Simulator
) -> None:
    await client.set_leverage(50, ETH)
    told = (await client.fetch_leverages([ETH]))[ETH]
    await client.set_margin_mode("isolated", BTC)
    await client.create_order(BTC, "market", "buy", 0.02)
    isolated = next(p for p in await client.fetch_positions() if p["symbol"] == BTC)

    assert told["longLeverage"] == 50
    assert (isolated["marginMode"], isolated["collateral"] > 0) == ("isolated", True)
    with pytest.raises(ccxt.BadRequest, match="-4028"):
        await client.set_leverage(125, "SOL/USDT:USDT")
    with pytest.raises(ccxt.MarginModeAlreadySet, match="-4046"):
        await client.set_margin_mode("isolated", BTC)
    with pytest.raises(ccxt.ExchangeError, match="-4048"):
        await client.set_margin_mode("cross", BTC)
    with pytest.raises(ccxt.ExchangeError, match="-4161"):
        await client.set_leverage(2, BTC)


async def test_hedged_account_holds_both_sides_and_closes_each_alone(
    client: Ccxt, simulator: Simulator
) -> None:
    with pytest.raises(ccxt.ExchangeError, match="-4068"):
        await client.set_position_mode(True)
    await client.create_order(ETH, "market", "sell", 2.4, None, {"reduceOnly": True})
    await client.set_position_mode(True)
    await client.create_order(BTC, "market", "buy", 0.05, None, {"positionSide": "LONG"})
    await client.create_order(BTC, "market", "sell", 0.03, None, {"positionSide": "SHORT"})
    both = {p["side"]: p["contracts"] for p in await client.fetch_positions([BTC])}
    await client.create_order(BTC, "market", "sell", 0.05, None, {"positionSide": "LONG"})
    left = {p["side"]: p["contracts"] for p in await client.fetch_positions([BTC])}

    assert both == {"long": 0.05, "short": 0.03}
    assert left == {"short": 0.03}
    assert (await client.fetch_position_mode())["hedged"] is True
    with pytest.raises(ccxt.InvalidOrder, match="-2022"):
        await client.create_order(BTC, "market", "sell", 0.05, None, {"positionSide": "LONG"})


async def test_public_streams_speak(client: Ccxt, simulator: Simulator) -> None:
    simulator.resume()
    async with asyncio.timeout(LIMIT_S):
        ticker = await client.watch_ticker(BTC)
        best = await client.watch_bids_asks([BTC, ETH])
        books = [(await client.watch_order_book(BTC)).copy() for _ in range(5)]
        trades = await client.watch_trades(BTC)
        candles = await client.watch_ohlcv(BTC, "1m")
        mark = await client.watch_mark_price(BTC, {"use1sFreq": True})

    assert ticker["last"] > 0
    assert all(quote["bid"] < quote["ask"] for quote in best.values())
    assert all(book["bids"][0][0] < book["asks"][0][0] for book in books)
    assert trades[-1]["symbol"] == BTC
    assert candles[-1][0] % 60_000 == 0
    assert mark["markPrice"] > 0


async def test_private_streams_tell_what_another_client_did(
    client: Ccxt, simulator: Simulator
) -> None:
    watching = asyncio.gather(
        client.watch_orders(),
        client.watch_my_trades(),
        client.watch_balance(),
        client.watch_positions(),
    )
    async with asyncio.timeout(LIMIT_S):
        # Trade again until every subscription has been there in time to hear it.
        while not watching.done():
            simulator.world.trade(LABEL, BTC, Side.BUY, Decimal("0.002"))
            await asyncio.wait([watching], timeout=0.2)
        orders, trades, balance, positions = await watching

    assert orders[-1]["symbol"] == trades[-1]["symbol"] == BTC
    assert trades[-1]["fee"]["cost"] > 0
    wallet = futures(simulator).balances["USDT"].total
    assert Decimal(str(balance["USDT"]["total"])) == pytest.approx(wallet)
    assert positions[-1]["symbol"] in {BTC, ETH}


async def test_rewritten_addresses_reach_the_same_venue(simulator: Simulator) -> None:
    account = simulator.account(LABEL)
    async with (
        ccxt_client(simulator, "binanceusdm", account, enableRateLimit=False) as client,
        asyncio.timeout(LIMIT_S),
    ):
        await client.load_markets()
        book = await client.watch_order_book(BTC)
        watching = asyncio.ensure_future(client.watch_orders())
        while not watching.done():
            simulator.world.trade(LABEL, BTC, Side.BUY, Decimal("0.002"))
            await asyncio.wait([watching], timeout=0.2)

    assert book["bids"][0][0] < book["asks"][0][0]
    assert watching.result()[-1]["symbol"] == BTC
