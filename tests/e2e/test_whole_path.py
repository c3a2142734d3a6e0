"""The main job, end to end: simulated exchanges, pipeline, database, REST and WebSocket."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.simulator.simulator import Simulator
from tests.eventually import LIMIT_S, eventually
from tests.fixtures.product import Product, messages, running_product


def value_in_usdt(simulator: Simulator) -> Decimal:
    """What all accounts are worth by the simulator's own books: quantity times last price, and
    the profit of each open position at its mark price. What has no market is left out."""
    value = ZERO
    for account in simulator.accounts:
        books = simulator.books(account.label)
        futures = books.futures
        held = [*books.balances.items(), *(futures.balances.items() if futures else ())]
        for asset, book in held:
            price = Decimal(1) if asset == "USDT" else _last(books.prices.get(f"{asset}/USDT"))
            value = EXACT.add(value, EXACT.multiply(book.total, price))
        for position in (*books.positions, *(futures.positions if futures else ())):
            mark = books.prices[position.symbol].mark
            assert mark is not None
            profit = EXACT.multiply(EXACT.subtract(mark, position.entry_price), position.quantity)
            value = EXACT.add(value, profit)
    return value


def _last(price: object) -> Decimal:
    return ZERO if price is None else price.last  # type: ignore[attr-defined]


async def test_three_accounts_are_worth_exactly_what_the_exchanges_say(
    database_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with running_product(database_settings, tmp_path, simulator.url) as product:
        await product.connect_all(simulator)
        await eventually(lambda: _shows(product, symbols=20))

        async def shows_perpetuals() -> bool:
            positions = (await product.get("/api/portfolio/positions"))["items"]
            perpetuals = {p["symbol"] for p in positions if p["type"] == "perp"}
            assert perpetuals == {"BTC/USDT:USDT", "ETH/USDT:USDT"}
            # Opened days ago and unchanged since, but read a moment ago.
            youngest = datetime.now(UTC) - timedelta(minutes=2)
            return all(datetime.fromisoformat(p["as_of"]) > youngest for p in positions)

        await eventually(shows_perpetuals)
        simulator.pause()

        async def is_equal() -> bool:
            summary = await product.get("/api/portfolio/summary", currency="USDT")
            assert Decimal(summary["total_value"]) == value_in_usdt(simulator)
            assert [item["asset"] for item in summary["unpriced"]] == ["ETHW"]
            return True

        await eventually(is_equal)


async def _shows(product: Product, *, symbols: int) -> bool:
    items = (await product.get("/api/market/prices"))["items"]
    return len({item["symbol"] for item in items}) >= symbols


async def test_every_value_is_the_sum_of_what_the_answer_itself_shows(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with running_product(sqlite_settings, tmp_path, simulator.url) as product:
        await product.connect_all(simulator)
        simulator.pause()

        async def adds_up() -> bool:
            summary = await product.get("/api/portfolio/summary")
            items = (await product.get("/api/portfolio/positions", limit="500"))["items"]
            values = [Decimal(item["value"]) for item in items if item["value"] is not None]
            assert summary["meta"]["currency"] == "USD"
            assert Decimal(summary["total_value"]) == sum_exactly(values)
            for item in items:
                if item["type"] == "spot" and item["price"] is not None:
                    price = Decimal(item["price"]["value"])
                    shown = EXACT.multiply(Decimal(item["quantity"]), price)
                    assert Decimal(item["value"]) == shown
            return True

        await eventually(adds_up)


def sum_exactly(values: list[Decimal]) -> Decimal:
    total = ZERO
    for value in values:
        total = EXACT.add(total, value)
    return total


async def test_prices_and_the_portfolio_move_on_the_websocket(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with running_product(sqlite_settings, tmp_path, simulator.url) as product:
        await product.connect_all(simulator)
        moved: dict[str, set[str]] = {
            "tickers": set(),
            "portfolio": set(),
            "ticker:BTC/USDT": set(),
        }
        async with asyncio.timeout(LIMIT_S), product.subscribed(*moved) as ws:
            async for message in messages(ws):
                if message["type"] == "delta":
                    moved[message["ch"]] |= {str(row.get("symbol")) for row in message["data"]}
                if len(moved["tickers"]) >= 20 and moved["portfolio"] and moved["ticker:BTC/USDT"]:
                    break

        assert moved["ticker:BTC/USDT"] == {"BTC/USDT"}


async def test_a_stopped_exchange_goes_stale_alone_and_recovers(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with running_product(sqlite_settings, tmp_path, simulator.url) as product:
        await product.connect_all(simulator)
        before = await product.get("/api/portfolio/summary")

        simulator.stop_venue("binance")

        async def is_stale_alone() -> bool:
            stopped = await product.get("/api/portfolio/summary")
            assert stopped["meta"]["complete"] is False
            assert {a["exchange"] for a in stopped["accounts"] if not a["stale"]} == {"bybit"}
            assert all(a["value"] is not None for a in stopped["accounts"])
            assert len(stopped["unpriced"]) == len(before["unpriced"])
            return all(a["last_error"] for a in stopped["accounts"] if a["stale"])

        await eventually(is_stale_alone)

        simulator.start_venue("binance")
        await eventually(lambda: _stale(product, set()))


async def _stale(product: Product, exchanges: set[str]) -> bool:
    """Whether every account of these exchanges is stale, and no other."""
    summary = await product.get("/api/portfolio/summary")
    return all(a["stale"] == (a["exchange"] in exchanges) for a in summary["accounts"])
