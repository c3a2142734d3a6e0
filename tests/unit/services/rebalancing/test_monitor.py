"""When a plan is proposed for a target set."""

from datetime import timedelta
from decimal import Decimal

import pytest

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.rebalance.choice import TargetChoice
from alphapulse.domain.rebalance.records import TargetSet
from alphapulse.services.rebalancing.monitor import is_due
from alphapulse.services.rebalancing.target_sets import Drift, DriftLine
from tests.builders import NOW, USER

HOUR = timedelta(hours=1)


def drift(points: str) -> Drift:
    off = Decimal("0.5") + Decimal(points) / 100
    return Drift((DriftLine(Asset("BTC"), off, Decimal("0.5")),))


def make_set(**changes: object) -> TargetSet:
    settings: dict[str, object] = {"drift_threshold_pct": Decimal(5)} | changes
    return TargetSet("s", USER, 1, "half", TargetChoice(), NOW, NOW, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "now", "off_by", "due"),
    [
        (make_set(), NOW, drift("5"), False),
        (make_set(), NOW, drift("5.00000001"), True),
        (make_set(), NOW, drift("-6"), True),
        (make_set(), NOW, Drift(unknown="no price"), False),
        (make_set(drift_threshold_pct=None), NOW, drift("40"), False),
        (make_set(proposed_at=NOW), NOW + HOUR / 2, drift("6"), False),
        (make_set(proposed_at=NOW), NOW + HOUR, drift("6"), True),
        (make_set(every=HOUR * 24), NOW + HOUR * 23, drift("0"), False),
        (make_set(every=HOUR * 24), NOW + HOUR * 24, Drift(unknown="no price"), True),
        (make_set(every=HOUR * 24, proposed_at=NOW + HOUR), NOW + HOUR * 24, drift("0"), False),
    ],
)
def test_a_plan_is_due_when_it_drifted_or_its_time_came_and_no_proposal_stands(
    one: TargetSet, now: object, off_by: Drift, due: bool
) -> None:
    assert is_due(one, off_by, now) is due  # type: ignore[arg-type]
