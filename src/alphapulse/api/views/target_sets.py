"""Views of target sets and of their drift."""

from datetime import UTC, datetime, timedelta

from alphapulse.api.schemas.rebalance import (
    AimInput,
    ConstraintsInput,
    DriftLineView,
    DriftView,
    RuleInput,
    StyleInput,
    TargetInput,
    TargetSetBody,
    TargetSetInput,
    TargetSetPage,
    TargetSetView,
    ToleranceInput,
)
from alphapulse.api.views.meta import plain_meta
from alphapulse.api.views.rebalance import choice_of, constraints_of, style_of, tolerance_of
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, UserId
from alphapulse.domain.market import Timeframe
from alphapulse.domain.rebalance.records import TargetSet
from alphapulse.services.rebalancing.target_sets import Drift

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def set_of(body: TargetSetInput) -> TargetSet:
    """What ``body`` says; id, owner and times are the service's to fill in."""
    return TargetSet(
        id="",
        user_id=UserId(""),
        version=0,
        name=body.name,
        choice=choice_of(body),
        created_at=_NEVER,
        updated_at=_NEVER,
        accounts=tuple(map(AccountId, body.accounts)),
        tolerance=tolerance_of(body),
        constraints=constraints_of(body),
        style=style_of(body),
        method=body.method,
        drift_threshold_pct=body.drift_threshold_pct,
        every=None if body.every_s is None else timedelta(seconds=body.every_s),
        may_execute=body.may_execute,
    )


def set_view(one: TargetSet, drift: Drift) -> TargetSetView:
    """A set and its drift."""
    return TargetSetView(
        id=one.id,
        version=one.version,
        name=one.name,
        aim=_aim(one),
        drift_threshold_pct=one.drift_threshold_pct,
        every_s=None if one.every is None else int(one.every.total_seconds()),
        may_execute=one.may_execute,
        proposed_plan_id=one.proposed_plan_id,
        proposed_at=one.proposed_at,
        created_at=one.created_at,
        updated_at=one.updated_at,
        drift=DriftView(
            max_pct=drift.max_pct,
            lines=[
                DriftLineView(
                    asset=line.asset, weight=line.weight, target=line.target, drift=line.drift
                )
                for line in drift.lines
            ],
            unknown=drift.unknown,
        ),
    )


def set_body(one: TargetSet, drift: Drift, clock: Clock, request_id: str) -> TargetSetBody:
    """One set, as an answer."""
    meta = plain_meta(clock.now(), request_id)
    return TargetSetBody.model_validate(dict(set_view(one, drift)) | {"meta": meta})


def sets_of(found: list[TargetSetView], clock: Clock, request_id: str) -> TargetSetPage:
    """Several."""
    return TargetSetPage(meta=plain_meta(clock.now(), request_id), items=found)


def _aim(one: TargetSet) -> AimInput:
    choice, constraints, style = one.choice, one.constraints, one.style
    rule = choice.rule
    return AimInput(
        targets=[TargetInput(asset=of.asset, weight=of.weight) for of in choice.targets],
        rest_asset=choice.rest_asset,
        rule=None
        if rule is None
        else RuleInput(
            kind=rule.kind,
            assets=list(rule.assets),
            cap=rule.cap,
            lookback_days=rule.lookback_days,
            timeframe="1h" if rule.timeframe is Timeframe.H1 else "1d",
        ),
        accounts=list(one.accounts),
        tolerance=ToleranceInput(
            absolute_pct=one.tolerance.absolute_pct,
            relative_pct=one.tolerance.relative_pct,
            to_edge=one.tolerance.to_edge,
        ),
        constraints=ConstraintsInput(
            max_turnover_pct=constraints.max_turnover_pct,
            min_trade_value=constraints.min_trade_value,
            max_spread_pct=constraints.max_spread_pct,
            max_slippage_pct=constraints.max_slippage_pct,
            max_fee=constraints.max_fee,
            keep={str(asset): quantity for asset, quantity in constraints.keep.items()},
            exclude=sorted(constraints.exclude),
            allow_sell=constraints.allow_sell,
            allow_buy=constraints.allow_buy,
            avoid_gain_above=constraints.avoid_gain_above,
        ),
        style=StyleInput(
            type="market" if style.type == "market" else "limit",
            post_only=style.post_only,
            offset_bps=style.offset_bps,
            step_timeout_s=style.step_timeout_s,
            on_timeout=style.on_timeout,
        ),
        method=one.method,
    )
