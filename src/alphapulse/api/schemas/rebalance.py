"""Bodies of rebalancing: plans, runs and target sets."""

from typing import Annotated, Literal

from pydantic import Field

from alphapulse.api.schemas.base import Body, Dec, Input, Page, Timestamp, View
from alphapulse.domain.cost_basis.lots import Method
from alphapulse.domain.market import Timeframe
from alphapulse.domain.money import ZERO
from alphapulse.domain.order import OrderType, Side
from alphapulse.domain.rebalance.choice import RuleKind
from alphapulse.domain.rebalance.constraints import OnTimeout
from alphapulse.domain.rebalance.run import LegStatus, RunStatus
from alphapulse.domain.rebalance.trades import Phase, TradeReason
from alphapulse.domain.rebalance.ways import Unreached

ASSETS_MAX = 500

AssetName = Annotated[str, Field(max_length=40, pattern=r"^[A-Z0-9][A-Z0-9.\-]*$")]
AccountName = Annotated[str, Field(max_length=80)]


class TargetInput(Input):
    """`weight` is a share of 1, at most 8 places."""

    asset: AssetName
    weight: Dec


class RuleInput(Input):
    """Weights by a rule. `cap` is the most that one asset may have, a share of 1; what is over
    goes to the others.

    `inverse_volatility` and `risk_parity` look back on the closed bars of `timeframe` over
    `lookback_days`, at most 50 assets and 20 to 990 bars; with a bar missing nothing is planned.
    """

    kind: RuleKind
    assets: list[AssetName] = Field(min_length=1, max_length=ASSETS_MAX)
    cap: Dec | None = Field(default=None, gt=0, le=1)
    lookback_days: int = Field(default=90, ge=1, le=990)
    timeframe: Literal["1h", "1d"] = "1d"


class ToleranceInput(Input):
    """How far a weight may be off before it is worth a trade; of both the narrower counts.

    With `to_edge`, trades end at the edge of the band and not at the target.
    """

    absolute_pct: Dec | None = Field(default=None, ge=0, le=100)
    relative_pct: Dec | None = Field(default=None, ge=0)
    to_edge: bool = False


class ConstraintsInput(Input):
    """How far a plan may go; null is no limit. Values are in the currency of the plan."""

    max_turnover_pct: Dec | None = Field(default=None, ge=0)
    min_trade_value: Dec | None = Field(default=None, ge=0)
    max_spread_pct: Dec | None = Field(default=None, ge=0)
    max_slippage_pct: Dec | None = Field(default=None, ge=0)
    max_fee: Dec | None = Field(default=None, ge=0, description="All fees of the plan.")
    keep: dict[AssetName, Dec] = Field(
        default={}, max_length=ASSETS_MAX, description="Units that are never sold."
    )
    exclude: list[AssetName] = Field(
        default=[], max_length=ASSETS_MAX, description="Neither traded nor counted."
    )
    allow_sell: bool = True
    allow_buy: bool = True
    avoid_gain_above: Dec | None = Field(
        default=None, description="Realized by the plan; a sale of unknown gain is left out."
    )


class StyleInput(Input):
    """How it trades: `offset_bps` is how far a limit goes beyond the other side's best price, or
    with `post_only` behind the best of its own."""

    type: Literal["limit", "market"] = "limit"
    post_only: bool = False
    offset_bps: Dec = Field(default=ZERO, ge=0, lt=10_000)
    step_timeout_s: int = Field(default=60, ge=1, le=86_400)
    on_timeout: OnTimeout = OnTimeout.CANCEL


class AimInput(Input):
    """What to aim at: targets, the rest of which goes to `rest_asset`, or a rule."""

    targets: list[TargetInput] = Field(default=[], max_length=ASSETS_MAX)
    rest_asset: AssetName | None = None
    rule: RuleInput | None = Field(
        default=None,
        examples=[{"kind": "risk_parity", "assets": ["BTC", "ETH"], "lookback_days": 90}],
    )
    accounts: list[AccountName] = Field(
        default=[], max_length=100, description="Every active one by default."
    )
    tolerance: ToleranceInput = ToleranceInput()
    constraints: ConstraintsInput = ConstraintsInput()
    style: StyleInput = StyleInput()
    method: Method = Field(
        default=Method.FIFO, description="Which lots a sale takes; gains are told by it."
    )


class RebalanceInput(AimInput):
    """`plan` needs targets, a rule or a target set; `execute` needs the `plan_id` and nothing else.

    With `dry_run` a plan is not kept, and an execution is checked and not started.
    """

    mode: Literal["plan", "execute"] = "plan"
    plan_id: str | None = Field(default=None, max_length=80)
    target_set_id: str | None = Field(default=None, max_length=80)
    ttl_s: int | None = Field(default=None, ge=1, le=3600)
    dry_run: bool = False


class LineView(View):
    """One asset over all accounts. Weights are shares of `base_value`; `drift` is weight less
    target."""

    asset: str
    value: Dec
    weight: Dec
    target: Dec
    drift: Dec


class PlannedTradeView(View):
    """One order of a plan, in the order they are sent. Values are in the currency of the plan.

    `est_realized_pnl` is what a sale would gain with the lots that it takes by the method of the
    plan, at the worst price that is expected and after its fee; null for a purchase, and where the
    basis of a lot is not known, which a warning names.
    """

    seq: int
    phase: Phase
    account: str
    exchange: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Dec
    limit_price: Dec | None
    est_value: Dec
    est_fee: Dec
    est_spread_cost: Dec
    est_realized_pnl: Dec | None
    min_notional: Dec | None
    reason: TradeReason


class NotReachableView(View):
    """What stays off its target, why, and by how much; `value` is null without a price."""

    asset: str
    reason: Unreached
    value: Dec | None


class RuleAssetView(View):
    """One asset as the rule saw it. `source` names the markets of its closes, `volatility_pct` is
    the standard deviation of the returns of one bar, `risk_share` its share of the variance of the
    whole with these weights."""

    asset: str
    source: str
    first_close: Dec
    last_close: Dec
    volatility_pct: Dec
    risk_share: Dec
    weight: Dec


class RuleBasisView(View):
    """What the weights were made of: `bars` returns from the close at `since` to the one at
    `until`, in `currency`, which is another than the plan's only where a warning says so."""

    kind: RuleKind
    timeframe: Timeframe
    bars: int
    since: Timestamp
    until: Timestamp
    currency: str
    assets: list[RuleAssetView]


class PlanBody(Body):
    """What a rebalance would do; nothing was sent. `plan_id` executes it, once, until it expires;
    null for a dry run. `lots_counted_at` is when the lots that gains are told by were counted; null
    where they are not, or not up to now. `rule` is null where no past was looked at."""

    plan_id: str | None
    expires_at: Timestamp
    target_set_id: str | None
    rule: RuleBasisView | None
    prices_as_of: Timestamp
    method: Method
    lots_counted_at: Timestamp | None
    base_value: Dec
    before: list[LineView]
    trades: list[PlannedTradeView]
    after: list[LineView]
    turnover_pct: Dec
    est_total_cost: Dec
    not_reachable: list[NotReachableView]


class LegView(View):
    """One trade on its way. `order_id` is null until an order was decided; `quantity` is what that
    is for, and `filled` what all orders of this trade have filled."""

    seq: int
    phase: Phase
    account: str
    symbol: str
    side: Side
    order_id: str | None
    status: LegStatus
    planned_quantity: Dec
    quantity: Dec | None
    filled: Dec
    reason: str | None


class RunView(View):
    """A rebalance that was started."""

    run_id: str
    plan_id: str
    status: RunStatus
    is_stopping: bool
    accounts: list[str]
    started_at: Timestamp
    updated_at: Timestamp
    ended_at: Timestamp | None
    orders: list[LegView]


class RunBody(RunView, Body):
    """One run."""


class RunPage(Page[RunView]):
    """The newest runs first."""


class ProgressRow(View):
    """One leg of a run on the WebSocket; `id` is the run's with the leg's number."""

    id: str
    run_id: str
    run_status: RunStatus
    leg: LegView | None


class TargetSetInput(AimInput):
    """Targets under a name.

    A plan is proposed when an asset is more than `drift_threshold_pct` points of weight off, or
    `every_s` after the last proposal. It is executed without anybody being asked only with
    `may_execute`, which needs `trade:write`.
    """

    name: str = Field(min_length=1, max_length=80)
    drift_threshold_pct: Dec | None = Field(default=None, gt=0, le=100)
    every_s: int | None = Field(default=None, ge=3600, le=366 * 86_400)
    may_execute: bool = False


class TargetSetChange(TargetSetInput):
    """All of it anew; `version` is the one you read."""

    version: int = Field(ge=1)


class DriftLineView(View):
    """One asset: its weight now, its target, and the difference."""

    asset: str
    weight: Dec
    target: Dec
    drift: Dec


class DriftView(View):
    """How far off it is. `max_pct` is the largest drift in points of weight, unsigned; null when
    it cannot be told, and `unknown` says why."""

    max_pct: Dec | None
    lines: list[DriftLineView]
    unknown: str | None


class TargetSetView(View):
    """A target set with its drift at the prices that are known now."""

    id: str
    version: int
    name: str
    aim: AimInput
    drift_threshold_pct: Dec | None
    every_s: int | None
    may_execute: bool
    proposed_plan_id: str | None
    proposed_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp
    drift: DriftView


class TargetSetBody(TargetSetView, Body):
    """One target set."""


class TargetSetPage(Page[TargetSetView]):
    """By name."""
