"""Records: what is stored of plans, runs and target sets. Pure."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from alphapulse.domain.cost_basis.lots import Method
from alphapulse.domain.identifiers import AccountId, UserId
from alphapulse.domain.rebalance.choice import TargetChoice
from alphapulse.domain.rebalance.constraints import Constraints, Style, Tolerance
from alphapulse.domain.rebalance.plan import Plan, PlanRequest
from alphapulse.domain.rebalance.run import Leg, Run


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan as it was shown, and all that is needed to make it again.

    ``accounts`` are those it may trade in. ``target_set_id`` is the set it was made for, if any.
    """

    id: str
    user_id: UserId
    request: PlanRequest
    accounts: tuple[AccountId, ...]
    plan: Plan
    created_at: datetime
    expires_at: datetime
    target_set_id: str | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run with its legs, the plan it executes and the user who asked for it."""

    run: Run
    legs: tuple[Leg, ...]
    plan_id: str
    user_id: UserId
    accounts: tuple[AccountId, ...]
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None

    @property
    def id(self) -> str:
        return self.run.id


@dataclass(frozen=True, slots=True)
class TargetSet:
    """Targets under a name.

    A plan is proposed when an asset is further from its target than ``drift_threshold_pct``, in
    points of weight, or when ``every`` has passed since the last one. It is executed without being
    asked for only where ``may_execute`` says so.
    """

    id: str
    user_id: UserId
    version: int
    name: str
    choice: TargetChoice
    created_at: datetime
    updated_at: datetime
    accounts: tuple[AccountId, ...] = ()
    """None: every account of the user."""
    tolerance: Tolerance = field(default_factory=Tolerance)
    constraints: Constraints = field(default_factory=Constraints)
    style: Style = field(default_factory=Style)
    method: Method = Method.FIFO
    drift_threshold_pct: Decimal | None = None
    every: timedelta | None = None
    may_execute: bool = False
    proposed_plan_id: str | None = None
    proposed_at: datetime | None = None
