"""Every adapter passes every card: Binance, Bybit, and the generic one."""

from collections.abc import AsyncIterator

import pytest

from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.contract.bench import ADAPTERS, LABELS, Bench
from tests.contract.cards import CARDS, Card
from tests.fixtures.simulator import QUICK, WEEKS


@pytest.fixture
def simulator_settings(card: Card) -> SimulatorSettings:
    return WEEKS if card.has_weeks else QUICK


@pytest.fixture(params=sorted(ADAPTERS))
async def bench(request: pytest.FixtureRequest, simulator: Simulator) -> AsyncIterator[Bench]:
    bench = Bench(request.param, simulator, LABELS[request.param])
    yield bench
    for exchange in bench.opened:
        await exchange.close()


@pytest.mark.parametrize("card", CARDS, ids=lambda card: f"{card.number}-{card.claim}")
async def test_card(card: Card, bench: Bench) -> None:
    await card.work(bench)


def test_cards_are_numbered_without_gaps() -> None:
    assert [card.number for card in CARDS] == [f"E-{n:02d}" for n in range(1, len(CARDS) + 1)]
