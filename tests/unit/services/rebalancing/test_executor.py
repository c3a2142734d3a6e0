"""What a run is told of the orders of its legs."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.order import OrderStatus, Side
from alphapulse.domain.rebalance.trades import Trade
from alphapulse.errors import DatabaseBusy
from alphapulse.services.rebalancing.executor import Executor, leg_order
from alphapulse.services.rebalancing.settings import RebalanceSettings
from tests.builders import make_fill, make_order
from tests.fixtures.clock import HandClock
from tests.unit.domain.rebalance.test_run import make_plan

TRADE = replace(
    make_plan().trades[0], side=Side.SELL, gets=Asset("USDT"), fee_rate=Decimal("0.001")
)
FILLED = make_order(status=OrderStatus.FILLED, filled_quantity=Decimal(2), side=Side.SELL)


@pytest.mark.parametrize(
    ("trade", "fee", "fee_asset", "brought"),
    [
        (TRADE, "0.5", "USDT", "99.5"),
        (TRADE, "0.001", "BNB", "100"),
        (TRADE, None, None, "99.900"),
        (replace(TRADE, side=Side.BUY, gets=Asset("BTC")), "0.002", "BTC", "1.998"),
    ],
)
def test_what_an_order_brought_is_what_its_fills_say_less_fees_taken_from_it(
    trade: Trade, fee: str | None, fee_asset: str | None, brought: str
) -> None:
    fill = make_fill(
        quantity=Decimal(2),
        price=Decimal(50),
        fee=None if fee is None else Decimal(fee),
        fee_asset=None if fee_asset is None else Asset(fee_asset),
    )
    found = leg_order(trade, FILLED, [fill])

    assert found.status is OrderStatus.FILLED
    assert found.brought == Decimal(brought)


def test_an_order_that_ended_is_not_over_before_its_last_fill_is_told() -> None:
    first = make_fill(quantity=Decimal(1), price=Decimal(50))
    found = leg_order(TRADE, FILLED, [first])

    assert found.status is OrderStatus.SENDING
    assert found.filled_quantity == 2


class Looking(Executor):
    """One run cannot be looked at, another takes its time."""

    def __init__(self, clock: HandClock) -> None:
        nothing: Any = None
        super().__init__(nothing, nothing, nothing, nothing, clock, RebalanceSettings())
        self.may_end = asyncio.Event()

    async def look(self, run_id: str) -> bool:
        if run_id == "broken":
            raise DatabaseBusy("not now")
        await self.may_end.wait()
        return True


async def test_a_run_that_cannot_be_looked_at_leaves_none_behind_that_is_being_looked_at(
    clock: HandClock,
) -> None:
    executor = Looking(clock)
    looking = asyncio.create_task(executor._look_at(["broken", "slow"]))
    done, _ = await asyncio.wait([looking], timeout=0.05)
    assert not done

    executor.may_end.set()
    with pytest.raises(DatabaseBusy):
        await looking
