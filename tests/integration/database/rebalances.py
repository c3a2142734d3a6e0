"""A plan, a run and a target set, as they are stored."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.rebalance.choice import RuleKind, TargetChoice, TargetRule
from alphapulse.domain.rebalance.plan import PlanRequest
from alphapulse.domain.rebalance.records import (
    RunRecord,
    StoredPlan,
    TargetSet,
)
from alphapulse.domain.rebalance.run import LegStatus, begin
from tests.builders import ACCOUNT, NOW, USER
from tests.unit.domain.rebalance.test_run import make_plan

LATER = NOW + timedelta(minutes=2)


def stored_plan(plan_id: str = "plan-1") -> StoredPlan:
    weights = {Asset("BTC"): Decimal("0.50000000"), Asset("USDT"): Decimal("0.5")}
    return StoredPlan(
        plan_id, USER, PlanRequest(weights), (ACCOUNT,), make_plan(), NOW, LATER, "set-1"
    )


def run_record(run_id: str = "run-1", plan_id: str = "plan-1") -> RunRecord:
    """With a leg in every stage."""
    run, legs = begin(run_id, make_plan())
    first = replace(
        legs[0],
        status=LegStatus.SENT,
        attempt=1,
        is_at_market=True,
        quantity=Decimal("0.00000001"),
        sent_at=NOW,
        filled=Decimal("1e-9"),
    )
    return RunRecord(run, (first, *legs[1:]), plan_id, USER, (ACCOUNT,), NOW, NOW)


def target_set(set_id: str = "set-1", name: str = "half and half") -> TargetSet:
    rule = TargetRule(RuleKind.EQUAL, (Asset("BTC"), Asset("USDT")), Decimal("0.6"))
    return TargetSet(
        set_id,
        USER,
        1,
        name,
        TargetChoice(rule=rule),
        NOW,
        NOW,
        drift_threshold_pct=Decimal(5),
        every=timedelta(days=30),
    )
