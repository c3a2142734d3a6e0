"""Every adapter that trades passes every card of the trading half, in each kind of market."""

from collections.abc import AsyncIterator

import pytest

from alphapulse.domain.identifiers import Symbol
from alphapulse.simulator.simulator import Simulator
from tests.contract.bench import LABELS, Bench
from tests.contract.order_cards import CARDS, Card, Dealer

SPOT, PERPETUAL = Symbol("BTC/USDT"), Symbol("BTC/USDT:USDT")

MARKETS = [
    ("binance", SPOT),
    ("binance", PERPETUAL),
    ("bybit", SPOT),
    ("bybit", PERPETUAL),
    ("generic", SPOT),
]


@pytest.fixture(params=MARKETS, ids=lambda one: "-".join(one))
async def dealer(request: pytest.FixtureRequest, simulator: Simulator) -> AsyncIterator[Dealer]:
    adapter, symbol = request.param
    bench = Bench(adapter, simulator, LABELS[adapter])
    yield Dealer(bench, symbol)
    for exchange in bench.opened:
        await exchange.close()


@pytest.mark.parametrize("card", CARDS, ids=lambda card: f"{card.number}-{card.claim}")
async def test_card(card: Card, dealer: Dealer) -> None:
    await card.work(dealer)


def test_cards_are_numbered_without_gaps() -> None:
    assert [card.number for card in CARDS] == [f"O-{n:02d}" for n in range(1, len(CARDS) + 1)]
