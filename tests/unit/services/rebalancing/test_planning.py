"""When a plan that was shown may still be executed."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from alphapulse.domain.account import Account
from alphapulse.domain.cost_basis.lots import Method
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.rebalance.plan import Plan, PlanRequest, make_plan
from alphapulse.domain.rebalance.records import StoredPlan
from alphapulse.domain.rebalance.situation import Refusal, Situation
from alphapulse.errors import InputsNotGood, PlanChanged
from alphapulse.services.portfolio import PortfolioService
from alphapulse.services.rebalancing.planning import Planner
from alphapulse.services.rebalancing.settings import RebalanceSettings
from alphapulse.services.rebalancing.situation import Gatherer
from alphapulse.services.viewer import Viewer
from tests.builders import USER, make_account
from tests.unit.domain.rebalance.builders import NOW, price, situation

PRICES = {"BTC": "50000", "ETH": "2500"}
HELD = {"BTC": "0.2"}
REQUEST = PlanRequest({Asset("BTC"): Decimal("0.5"), Asset("ETH"): Decimal("0.5")})
VIEWER = Viewer(Asset("USDT"), USER)


@dataclass
class Told:
    """A world that is what the test says, in place of what is read from exchanges."""

    world: Situation

    async def gather(
        self,
        viewer: Viewer,
        accounts: Sequence[Account],
        wanted: Collection[Asset],
        method: Method,
    ) -> Situation:
        return self.world

    async def completed(self, world: Situation, refused: Iterable[Refusal]) -> Situation | None:
        return None

    def accounts(self, viewer: Viewer, only: Iterable[AccountId]) -> tuple[Account, ...]:
        return (make_account("a"),)


def shown(world: Situation) -> StoredPlan:
    plan = make_plan(REQUEST, world)
    assert isinstance(plan, Plan)
    later = NOW + timedelta(minutes=1)
    return StoredPlan("plan", USER, REQUEST, (AccountId("a"),), plan, NOW, later)


async def plan_again(stored: StoredPlan, world: Situation) -> Plan:
    told: Any = Told(world)
    planner = Planner(
        cast(Any, None),
        cast(Gatherer, told),
        cast(Any, None),
        cast(PortfolioService, told),
        cast(Any, None),
        RebalanceSettings(max_price_move_pct=Decimal(1)),
    )
    return await planner.require_unchanged(VIEWER, stored)


async def test_the_same_world_gives_the_same_plan() -> None:
    world = situation(PRICES, HELD)
    stored = shown(world)

    assert await plan_again(stored, world) == stored.plan


async def test_a_price_may_move_as_far_as_the_settings_say_and_no_further() -> None:
    stored = shown(situation(PRICES, HELD))

    assert await plan_again(stored, situation(PRICES | {"ETH": "2525"}, HELD))
    with pytest.raises(PlanChanged, match="ETH"):
        await plan_again(stored, situation(PRICES | {"ETH": "2526"}, HELD))


async def test_another_balance_is_another_plan() -> None:
    stored = shown(situation(PRICES, HELD))
    with pytest.raises(PlanChanged):
        await plan_again(stored, situation(PRICES, HELD | {"ETH": "0.00000001"}))


async def test_what_is_not_known_any_more_refuses_with_every_reason() -> None:
    world = situation(PRICES, HELD)
    old = price("2500", as_of=NOW - timedelta(seconds=11))
    stale = replace(world, prices={**world.prices, Asset("ETH"): old})
    with pytest.raises(InputsNotGood) as refused:
        await plan_again(shown(world), stale)

    (fault,) = refused.value.refusals
    assert (fault.reason, fault.subject) == ("price_stale", "ETH")
    assert "11 s" in fault.detail
