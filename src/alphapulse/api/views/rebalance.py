"""Views of rebalancing: plans, runs, and what was asked for in the words of the domain."""

from collections.abc import Iterator

from alphapulse.api.schemas.base import WarningView
from alphapulse.api.schemas.rebalance import (
    AimInput,
    LegView,
    LineView,
    NotReachableView,
    PlanBody,
    PlannedTradeView,
    ProgressRow,
    RebalanceInput,
    RuleAssetView,
    RuleBasisView,
    RunBody,
    RunPage,
    RunView,
)
from alphapulse.api.views.meta import plain_meta
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.intent import client_order_id
from alphapulse.domain.market import Timeframe
from alphapulse.domain.order import OrderType
from alphapulse.domain.rebalance.choice import RuleBasis, Target, TargetChoice, TargetRule
from alphapulse.domain.rebalance.constraints import Constraints, Style, Tolerance
from alphapulse.domain.rebalance.plan import Line, Plan, PlanWarning
from alphapulse.domain.rebalance.records import (
    RunRecord,
    StoredPlan,
)
from alphapulse.domain.rebalance.run import Leg
from alphapulse.domain.rebalance.trades import Trade
from alphapulse.services.idempotency import Answer
from alphapulse.services.rebalancing.planning import PlanWish
from alphapulse.services.users import UserService

_WARNINGS = {
    "contracts_not_rebalanced": "Its value is no part of the plan.",
    "excluded_unpriced": "It is excluded, and nothing says what it is worth.",
    "gain_unknown": "What its sale would realize is not known: a lot of it has no known cost. Say"
    " it, see GET /api/portfolio/lots.",
    "gain_not_counted": "What its sale would realize is not known: the lots are still being counted"
    " in this currency.",
    "rule_in_other_currency": "The past that the rule looked back on is in this currency: no market"
    " tells it in that of the plan.",
    "order_over_limit": "More than one order may be worth, and it cannot be split into orders above"
    " every minimum; it will be refused. Raise the limit, or go in steps.",
    "day_over_limit": "Together more than may still be ordered today; the last will be refused.",
}


def wish_of(body: RebalanceInput) -> PlanWish:
    """What ``body`` asks to be planned."""
    return PlanWish(
        choice=choice_of(body),
        accounts=tuple(map(AccountId, body.accounts)),
        tolerance=tolerance_of(body),
        constraints=constraints_of(body),
        style=style_of(body),
        method=body.method,
        ttl_s=body.ttl_s,
    )


def choice_of(body: AimInput) -> TargetChoice:
    rule = body.rule
    return TargetChoice(
        targets=tuple(Target(Asset(one.asset), one.weight) for one in body.targets),
        rest_asset=None if body.rest_asset is None else Asset(body.rest_asset),
        rule=None
        if rule is None
        else TargetRule(
            rule.kind,
            tuple(map(Asset, rule.assets)),
            rule.cap,
            rule.lookback_days,
            Timeframe(rule.timeframe),
        ),
    )


def tolerance_of(body: AimInput) -> Tolerance:
    given = body.tolerance
    return Tolerance(given.absolute_pct, given.relative_pct, given.to_edge)


def constraints_of(body: AimInput) -> Constraints:
    given = body.constraints
    return Constraints(
        max_turnover_pct=given.max_turnover_pct,
        min_trade_value=given.min_trade_value,
        max_spread_pct=given.max_spread_pct,
        max_slippage_pct=given.max_slippage_pct,
        max_fee=given.max_fee,
        keep={Asset(asset): quantity for asset, quantity in given.keep.items()},
        exclude=frozenset(map(Asset, given.exclude)),
        allow_sell=given.allow_sell,
        allow_buy=given.allow_buy,
        avoid_gain_above=given.avoid_gain_above,
    )


def style_of(body: AimInput) -> Style:
    given = body.style
    return Style(
        type=OrderType(given.type),
        post_only=given.post_only,
        offset_bps=given.offset_bps,
        step_timeout_s=given.step_timeout_s,
        on_timeout=given.on_timeout,
    )


def plan_of(
    stored: StoredPlan, plan: Plan, clock: Clock, request_id: str, *, is_kept: bool = True
) -> PlanBody:
    """A plan as it is shown."""
    rule = stored.request.rule
    warnings = list(_warnings(plan, rule))
    meta = plain_meta(clock.now(), request_id, *warnings)
    return PlanBody(
        meta=meta.model_copy(update={"currency": plan.currency}),
        plan_id=stored.id if is_kept else None,
        expires_at=stored.expires_at,
        target_set_id=stored.target_set_id,
        rule=None if rule is None else _rule(rule),
        prices_as_of=plan.prices_as_of,
        method=stored.request.method,
        lots_counted_at=plan.lots_counted_at,
        base_value=plan.base_value,
        before=[_line(one) for one in plan.before],
        trades=[_trade(one) for one in plan.trades],
        after=[_line(one) for one in plan.after],
        turnover_pct=plan.turnover_pct,
        est_total_cost=plan.est_total_cost,
        not_reachable=[
            NotReachableView(asset=one.asset, reason=one.reason, value=one.value)
            for one in plan.not_reachable
        ],
    )


def run_view(record: RunRecord) -> RunView:
    """A run as it is."""
    return RunView(
        run_id=record.id,
        plan_id=record.plan_id,
        status=record.run.status,
        is_stopping=record.run.is_stopping,
        accounts=list(record.accounts),
        started_at=record.started_at,
        updated_at=record.updated_at,
        ended_at=record.ended_at,
        orders=[_leg(record, leg) for leg in record.legs],
    )


def run_body(record: RunRecord, clock: Clock, request_id: str) -> RunBody:
    """One run, as an answer."""
    meta = plain_meta(clock.now(), request_id)
    return RunBody.model_validate(dict(run_view(record)) | {"meta": meta})


def runs_of(records: tuple[RunRecord, ...], clock: Clock, request_id: str) -> RunPage:
    """Several runs."""
    return RunPage(
        meta=plain_meta(clock.now(), request_id), items=[run_view(one) for one in records]
    )


def progress_of(record: RunRecord) -> Iterator[ProgressRow]:
    """A line for the run, and one for each of its legs."""
    status = record.run.status
    yield ProgressRow(id=record.id, run_id=record.id, run_status=status, leg=None)
    for leg in record.legs:
        yield ProgressRow(
            id=f"{record.id}.{leg.seq}",
            run_id=record.id,
            run_status=status,
            leg=_leg(record, leg),
        )


class RunComposer:
    """Puts a run that was started into an answer."""

    def __init__(self, clock: Clock, request_id: str) -> None:
        self._clock = clock
        self._request_id = request_id

    def __call__(self, record: RunRecord) -> Answer:
        body = run_body(record, self._clock, self._request_id)
        return Answer(202, body.model_dump_json(by_alias=True), record.id)


def _rule(rule: RuleBasis) -> RuleBasisView:
    return RuleBasisView(
        kind=rule.kind,
        timeframe=rule.timeframe,
        bars=rule.bars,
        since=rule.since,
        until=rule.until,
        currency=rule.currency,
        assets=[
            RuleAssetView(
                asset=one.asset,
                source=one.source,
                first_close=one.first_close,
                last_close=one.last_close,
                volatility_pct=one.volatility_pct,
                risk_share=one.risk_share,
                weight=one.weight,
            )
            for one in rule.lines
        ],
    )


def _line(line: Line) -> LineView:
    return LineView(
        asset=line.asset,
        value=line.value,
        weight=line.weight,
        target=line.target,
        drift=line.drift,
    )


def _trade(trade: Trade) -> PlannedTradeView:
    return PlannedTradeView(
        seq=trade.seq,
        phase=trade.phase,
        account=trade.account_id,
        exchange=trade.exchange,
        symbol=trade.symbol,
        side=trade.side,
        type=trade.type,
        quantity=trade.quantity,
        limit_price=trade.limit_price,
        est_value=trade.est_value,
        est_fee=trade.est_fee,
        est_spread_cost=trade.est_spread_cost,
        est_realized_pnl=trade.est_realized_pnl,
        min_notional=trade.min_notional,
        reason=trade.reason,
    )


def _leg(record: RunRecord, leg: Leg) -> LegView:
    trade = leg.trade
    name = client_order_id(trade.account_id, UserService.owner_id(record.user_id), leg.key)
    return LegView(
        seq=leg.seq,
        phase=trade.phase,
        account=trade.account_id,
        symbol=trade.symbol,
        side=trade.side,
        order_id=None if leg.sent_at is None else f"{trade.account_id}.{name}",
        status=leg.status,
        planned_quantity=trade.quantity,
        quantity=leg.quantity,
        filled=leg.filled,
        reason=leg.reason,
    )


def _warnings(plan: Plan, rule: RuleBasis | None) -> Iterator[WarningView]:
    warnings = list(plan.warnings)
    if rule is not None and rule.currency != plan.currency:
        warnings.append(PlanWarning("rule_in_other_currency", rule.currency))
    for code, message in _WARNINGS.items():
        subjects = tuple(one.subject for one in warnings if one.code == code)
        if subjects:
            yield WarningView(code=code, message=message, subject=subjects)
