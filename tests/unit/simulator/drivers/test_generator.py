"""The made-up market: the same for a seed, correlated, restless in clusters, and leaping."""

import math
from decimal import Decimal
from functools import cache
from itertools import islice, pairwise
from statistics import correlation, pstdev

from alphapulse.simulator.core.listing import linear_instruments, spot_instruments
from alphapulse.simulator.drivers.generator import PriceGenerator
from alphapulse.simulator.drivers.past import Past
from alphapulse.simulator.drivers.step import USDT_USD, Step

START_MS = 1_700_000_000_000


def story(seed: int, steps: int = 400) -> list[Step]:
    return list(islice(PriceGenerator(seed, START_MS).steps(), steps))


@cache
def closes() -> dict[str, list[float]]:
    """A day and a half of minutes."""
    past = PriceGenerator(3, START_MS, history_minutes=2_000).past
    return {
        instrument.unified: [float(candle.close) for candle in past.candles(instrument)]
        for instrument in spot_instruments()
    }


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


def test_what_others_are_valued_by_is_never_silent_for_a_second() -> None:
    steps = story(7, steps=1_200)
    for symbol in ("BTC/USDT", "USDC/USDT"):
        instrument = next(one for one in spot_instruments() if one.unified == symbol)
        traded_ms = [
            step.at_ms
            for step in steps
            for move in step.moves
            if move.symbol == symbol and any(instrument.lots(q) for _, q in move.trades)
        ]
        moved_ms = [step.at_ms for step in steps if symbol in {m.symbol for m in step.moves}]
        assert max(b - a for a, b in pairwise(moved_ms)) == 250
        if symbol == "USDC/USDT":  # its price may stay on one tick for minutes
            assert max(b - a for a, b in pairwise(traded_ms)) <= 1_000


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
    first = next(iter(generator.steps()))
    prices = {move.symbol: move.price for move in first.moves}

    for instrument in (*spot_instruments(), *linear_instruments()):
        candles = generator.past.candles(instrument)
        ticks = instrument.ticks(prices[instrument.unified])
        assert [c.open_ms - a.open_ms for a, c in pairwise(candles)] == [60_000] * 29
        assert candles[-1].close == instrument.price(ticks)
        assert candles[-1].close_ms + 1 == START_MS // 60_000 * 60_000
        assert candles[-1].last_trade_id == generator.past.last_trade_id
        for c in candles:
            assert c.low <= min(c.open, c.close) <= max(c.open, c.close) <= c.high
            assert c.low * c.volume <= c.quote_volume <= c.high * c.volume
        for before, after in pairwise(candles):
            assert before.close == after.open
            assert before.last_trade_id + 1 == after.first_trade_id


def test_history_does_not_depend_on_what_was_asked_before() -> None:
    instruments = (*spot_instruments(), *linear_instruments())
    forwards, backwards = Past(7, START_MS, 30), Past(7, START_MS, 30)
    first = [list(forwards.candles(one)) for one in instruments]
    second = [list(backwards.candles(one)) for one in reversed(instruments)]

    assert first == second[::-1]
    assert first[0] != Past(8, START_MS, 30).candles(instruments[0])
