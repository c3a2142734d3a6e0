"""Bodies of net worth over time and of performance."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from alphapulse.api.schemas.base import Body, Dec, Input, Timestamp, View
from alphapulse.services.history import Range

Interval = Literal["5m", "15m", "1h", "4h", "1d"]


class SpanQuery(Input):
    """Of which accounts, over which time, in which currency."""

    range_: Range | None = Field(
        default=None, alias="range", description="Up to now; the last month by default."
    )
    from_: datetime | None = Field(default=None, alias="from")
    to: datetime | None = None
    account: list[str] = Field(default=[], max_length=100, description="All by default.")
    currency: str | None = Field(
        default=None, max_length=40, description="Your own by default.", examples=["USD"]
    )


class HistoryQuery(SpanQuery):
    """Which history, and how finely."""

    interval: Interval | None = Field(
        default=None, description="One that gives at most 500 items by default."
    )


class PerformanceQuery(SpanQuery):
    """Performance over which time, and against what."""

    benchmark: str | None = Field(
        default=None, max_length=40, description="An asset.", examples=["BTC"]
    )


class SampleView(View):
    """What everything was worth at `t`.

    `net_flow` is what came in from outside since the item before, less what went out; null where
    nobody knows what it was worth. `gap`: for some of the time since the item before nobody
    watched, so do not draw a line there. `complete`: everything had a price, and a fresh one.
    """

    t: Timestamp
    value: Dec | None
    net_flow: Dec | None
    gap: bool
    complete: bool


class HistoryBody(Body):
    """Net worth over time, only what was recorded. `began_at` is where the recording begins."""

    interval: Interval
    began_at: Timestamp | None
    items: list[SampleView]


class FormulaView(View):
    """How a figure is made, for who checks it by hand."""

    name: str
    text: str


class InputsView(View):
    """What a figure was made of; what it had no use for is null."""

    started_at: Timestamp | None
    ended_at: Timestamp | None
    points: int
    unknown_points: int
    gaps: int
    gap_share: Dec | None
    flows: int
    net_flow: Dec | None
    period_s: int | None
    periods_per_year: Dec | None
    returns: int | None
    risk_free_rate: Dec | None
    benchmark_started_at: Timestamp | None
    benchmark_ended_at: Timestamp | None


class FigureView(View):
    """A figure, as a fraction: 0.05 is five percent. Where `value` is null, `reason` says why to
    programs and `detail` to people."""

    value: Dec | None
    reason: str | None
    detail: str | None
    formula: FormulaView
    inputs: InputsView


class DrawdownView(View):
    """When the deepest fall began, was deepest, and was made good."""

    peak_at: Timestamp
    trough_at: Timestamp
    recovered_at: Timestamp | None


class PerformanceView(View):
    """How the money did, apart from what was paid in and taken out."""

    twr: FigureView
    twr_annualized: FigureView
    mwr: FigureView
    mwr_annualized: FigureView
    max_drawdown: FigureView
    drawdown: DrawdownView | None
    volatility: FigureView
    sharpe: FigureView
    sortino: FigureView
    benchmark: FigureView
    benchmark_difference: FigureView


class PerformanceBody(Body):
    """Performance over a span, made of the recorded history alone."""

    began_at: Timestamp | None
    performance: PerformanceView
