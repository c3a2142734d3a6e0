"""Views of net worth over time and of performance."""

from datetime import datetime

from alphapulse.api.schemas.base import Meta, WarningView
from alphapulse.api.schemas.history import (
    DrawdownView,
    FigureView,
    FormulaView,
    HistoryBody,
    InputsView,
    PerformanceBody,
    PerformanceView,
    SampleView,
)
from alphapulse.domain.market import Timeframe
from alphapulse.domain.net_worth import sampled
from alphapulse.domain.performance.drawdown import Drawdown
from alphapulse.domain.performance.figures import Figure, Inputs
from alphapulse.domain.performance.report import Performance
from alphapulse.services.history import NetWorthHistory


def history_of(
    history: NetWorthHistory, interval: Timeframe, now: datetime, request_id: str
) -> HistoryBody:
    """Samples of a history."""
    return HistoryBody.model_validate(
        {
            "meta": _meta(history, now, request_id),
            "interval": interval.value,
            "began_at": history.began_at,
            "items": samples_of(history, interval),
        }
    )


def samples_of(history: NetWorthHistory, interval: Timeframe) -> list[SampleView]:
    return [
        SampleView(
            t=one.at,
            value=one.value,
            net_flow=one.net_flow,
            gap=one.is_gap,
            complete=one.is_complete,
        )
        for one in sampled(history.moments, interval.duration)
    ]


def performance_body(
    history: NetWorthHistory, performance: Performance, now: datetime, request_id: str
) -> PerformanceBody:
    return PerformanceBody(
        meta=_meta(history, now, request_id),
        began_at=history.began_at,
        performance=performance_view(performance),
    )


def performance_view(performance: Performance) -> PerformanceView:
    """Every figure with its formula and inputs."""
    return PerformanceView(
        twr=_figure(performance.twr),
        twr_annualized=_figure(performance.twr_annualized),
        mwr=_figure(performance.mwr),
        mwr_annualized=_figure(performance.mwr_annualized),
        max_drawdown=_figure(performance.max_drawdown),
        drawdown=_drawdown(performance.drawdown),
        volatility=_figure(performance.volatility),
        sharpe=_figure(performance.sharpe),
        sortino=_figure(performance.sortino),
        benchmark=_figure(performance.benchmark),
        benchmark_difference=_figure(performance.benchmark_difference),
    )


def history_warnings(history: NetWorthHistory) -> tuple[WarningView, ...]:
    """What is not in a history although it was asked for."""
    if history.began_at is None:
        return (WarningView(code="no_history", message="Nothing is recorded yet."),)
    warnings = []
    if history.span.start < history.began_at:
        message = f"Nothing is recorded before {history.began_at:%Y-%m-%dT%H:%MZ}."
        warnings.append(WarningView(code="history_begins_later", message=message))
    if any(moment.point.is_gap for moment in history.moments[1:]):
        message = "For some of the time nobody watched; it is marked, and nothing is filled in."
        warnings.append(WarningView(code="gaps", message=message))
    return tuple(warnings)


def _meta(history: NetWorthHistory, now: datetime, request_id: str) -> Meta:
    return Meta(
        request_id=request_id,
        as_of=now,
        currency=history.currency,
        complete=bool(history.moments) and all(one.is_complete for one in history.moments),
        warnings=history_warnings(history),
    )


def _drawdown(drawdown: Drawdown | None) -> DrawdownView | None:
    if drawdown is None:
        return None
    return DrawdownView(
        peak_at=drawdown.peak_at,
        trough_at=drawdown.trough_at,
        recovered_at=drawdown.recovered_at,
    )


def _figure(figure: Figure) -> FigureView:
    return FigureView(
        value=figure.value,
        reason=None if figure.reason is None else figure.reason.value,
        detail=figure.detail,
        formula=FormulaView(name=figure.formula.name, text=figure.formula.text),
        inputs=_inputs(figure.inputs),
    )


def _inputs(inputs: Inputs) -> InputsView:
    return InputsView(
        started_at=inputs.started_at,
        ended_at=inputs.ended_at,
        points=inputs.points,
        unknown_points=inputs.unknown_points,
        gaps=inputs.gaps,
        gap_share=inputs.gap_share,
        flows=inputs.flows,
        net_flow=inputs.net_flow,
        period_s=None if inputs.period is None else int(inputs.period.total_seconds()),
        periods_per_year=inputs.periods_per_year,
        returns=inputs.returns,
        risk_free_rate=inputs.risk_free_rate,
        benchmark_started_at=inputs.benchmark_started_at,
        benchmark_ended_at=inputs.benchmark_ended_at,
    )
