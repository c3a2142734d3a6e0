"""The made-up market: the same for a seed, correlated, restless in clusters, and leaping."""

import math
from decimal import Decimal
from functools import cache
from itertools import islice, pairwise
from statistics import correlation, pstdev

from alphapulse.simulator.drivers.generator import PriceGenerator
from alphapulse.simulator.drivers.step import USDT_USD, Step

START_MS = 1_700_000_000_000


def story(seed: int, steps: int = 400) -> list[Step]:
    return list(islice(PriceGenerator(seed, START_MS).steps(), steps))


@cache
def closes() -> dict[str, list[float]]:
    """A day and a half of minutes."""
    generator = PriceGenerator(3, START_MS, history_minutes=2_000)
    prices: dict[str, list[float]] = {}
    for symbol, bar in generator.history():
        prices.setdefault(symbol, []).append(float(bar.close))
    return prices


def returns(symbol: str) -> list[float]:
    """Of a minute each."""
    return [math.log(b / a) for a, b in pairwise(closes()[symbol])]


def test_a_seed_tells_one_story() -> None:
    assert story(7) == story(7)
    assert story(7) != story(8)


def test_first_step_prices_everything_and_later_ones_what_moves() -> None:
    first, *rest = story(7)

    symbols = {move.symbol for move in first.moves}
    assert {"BTC/USDT", "ETH/BTC", "EUR/USDT", "BTC/USDT:USDT", USDT_USD} <= symbols
    assert all(len(step.moves) < len(symbols) for step in rest)
    assert [step.at_ms for step in rest[:2]] == [START_MS + 250, START_MS + 500]


def test_cross_rate_agrees_with_its_legs() -> None:
    prices = {move.symbol: move.price for move in story(7)[0].moves}

    cross = prices["ETH/USDT"] / prices["BTC/USDT"]
    assert abs(prices["ETH/BTC"] - cross) / cross < Decimal("1e-8")


def test_coins_move_together_and_stablecoins_stay() -> None:
    btc, eth, sol = returns("BTC/USDT"), returns("ETH/USDT"), returns("SOL/USDT")

    assert correlation(btc, eth) > 0.6
    assert correlation(btc, sol) > 0.5
    assert 0.0003 < pstdev(btc) < 0.002
    assert max(abs(price - 1) for price in closes()["USDC/USDT"]) < 0.003


def test_restlessness_comes_in_clusters() -> None:
    changes = returns("BTC/USDT")
    sizes = [abs(change) for change in changes]

    assert correlation(sizes[:-1], sizes[1:]) > 0.05
    assert max(sizes) > 4 * pstdev(changes)


def test_history_leads_to_the_first_price_without_a_gap() -> None:
    generator = PriceGenerator(7, START_MS, history_minutes=30)
    bars = [bar for symbol, bar in generator.history() if symbol == "BTC/USDT"]
    first = next(iter(generator.steps()))
    price = next(move.price for move in first.moves if move.symbol == "BTC/USDT")

    assert [b.open_ms - a.open_ms for a, b in pairwise(bars)] == [60_000] * 29
    assert bars[-1].close == price
    assert all(b.low <= min(b.open, b.close) <= max(b.open, b.close) <= b.high for b in bars)
    assert all(a.close == b.open for a, b in pairwise(bars))
