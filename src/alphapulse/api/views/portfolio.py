"""Views of a portfolio as a whole: the summary."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from alphapulse.api.schemas.history import PerformanceView, SampleView
from alphapulse.api.schemas.portfolio import (
    AccountLine,
    ChangeView,
    ResidualLine,
    Share,
    Summary,
    UnpricedLine,
)
from alphapulse.api.views.history import history_warnings
from alphapulse.api.views.meta import failure_of, grown_old, meta_of
from alphapulse.api.views.positions import Line, lines_of
from alphapulse.domain.account import Account
from alphapulse.domain.balance import Wallet
from alphapulse.domain.money import EXACT, ZERO, total
from alphapulse.domain.portfolio import HoldingValue, Valuation
from alphapulse.domain.sync import SyncKind
from alphapulse.domain.valuation import settle_of
from alphapulse.services.facts import FIELDS, Facts
from alphapulse.services.history import NetWorthHistory
from alphapulse.services.live_state import LiveState
from alphapulse.services.portfolio import AccountHealth, PortfolioService, Snapshot

Kind = Literal["asset", "exchange", "account", "type"]
KINDS: tuple[Kind, ...] = ("asset", "exchange", "account", "type")
_Window = Literal["1h", "24h", "7d"]
_WINDOWS: tuple[_Window, ...] = ("1h", "24h", "7d")


def summary_of(
    snapshot: Snapshot,
    service: PortfolioService,
    live: LiveState,
    facts: Facts,
    request_id: str,
    *,
    min_value: Decimal = ZERO,
) -> Summary:
    """Everything the summary says about a snapshot."""
    valuation = snapshot.valuation
    lines = lines_of(snapshot, live)
    meta = meta_of(snapshot, request_id, facts.unread)
    return Summary(
        meta=grown_old(meta, facts.as_of, *FIELDS) if facts.is_stale else meta,
        total_value=valuation.total,
        total_assets=valuation.total_assets,
        total_debt=valuation.total_debt,
        cash_value=valuation.cash,
        invested_value=valuation.invested,
        unrealized_pnl=valuation.unrealized_pnl,
        change=_changes(facts),
        allocation=[
            share for share in allocation(lines, snapshot) if abs(share.value) >= min_value
        ],
        accounts=[_account(account, snapshot, service) for account in snapshot.accounts],
        unpriced=unpriced_lines(valuation),
        residuals=_residuals(facts),
        position_count=len(lines),
        open_order_count=service.open_order_count(snapshot.accounts),
        first_activity_at=facts.first_activity_at,
        facts_as_of=facts.as_of,
    )


def with_history(
    summary: Summary,
    history: NetWorthHistory,
    performance: PerformanceView | None,
    samples: list[SampleView] | None,
) -> Summary:
    """The same, with what was recorded over a span."""
    flows = [point.flow for point in history.points[1:]]
    known = [flow for flow in flows if flow is not None]
    is_whole = history.began_at is not None and history.began_at <= history.span.start
    warnings = (*summary.meta.warnings, *history_warnings(history))
    return summary.model_copy(
        update={
            "meta": summary.meta.model_copy(update={"warnings": warnings}),
            "net_deposits": total(known) if is_whole and len(known) == len(flows) else None,
            "performance": performance,
            "history": samples,
        }
    )


def _changes(facts: Facts) -> dict[_Window, ChangeView] | None:
    if facts.changes is None:
        return None
    return {
        name: ChangeView(
            abs=change.absolute.value,
            pct=change.percent.value,
            reason=change.percent.reason or change.absolute.reason,
        )
        for name, change in zip(_WINDOWS, facts.changes, strict=True)
    }


def _residuals(facts: Facts) -> list[ResidualLine] | None:
    if facts.residuals is None:
        return None
    return [
        ResidualLine(account=book.account_id, asset=book.subject, quantity=book.off_by)
        for book in facts.residuals
    ]


def _account(account: Account, snapshot: Snapshot, service: PortfolioService) -> AccountLine:
    health = snapshot.health[account.id]
    value = snapshot.valuation.accounts.get(account.id, ZERO)
    return AccountLine(
        id=account.id,
        exchange=account.exchange,
        label=account.label,
        value=value,
        weight=snapshot.valuation.weight(value),
        status=health.value,
        as_of=service.as_of(account),
        stale=health is not AccountHealth.OK,
        last_error=failure_of(service.status_of(account, SyncKind.BALANCES)),
    )


def unpriced_lines(valuation: Valuation) -> list[UnpricedLine]:
    """What is in no total."""
    return [
        UnpricedLine(
            asset=line.asset,
            quantity=line.quantity,
            accounts=list(line.accounts),
            reason=line.reason,
        )
        for line in valuation.unpriced
    ]


def allocation(
    lines: list[Line], snapshot: Snapshot, kinds: Iterable[Kind] = KINDS
) -> Iterable[Share]:
    """How the total is made up, in several ways, the largest first."""
    for kind in kinds:
        sums: dict[str, Decimal] = {}
        for line in lines:
            net = line.value.net if isinstance(line.value, HoldingValue) else line.value.value
            if net is not None:
                key = _key(line, kind)
                sums[key] = EXACT.add(sums.get(key, ZERO), net)
        for key, value in sorted(sums.items(), key=lambda item: (-item[1], item[0])):
            yield Share(key=key, kind=kind, value=value, weight=snapshot.valuation.weight(value))


def _key(line: Line, kind: Kind) -> str:
    if kind == "exchange":
        return line.account.exchange
    if kind == "account":
        return line.account.id
    value = line.value
    if isinstance(value, HoldingValue):
        balance = value.holding.balance
        return balance.asset if kind == "asset" else _spot_type(balance.wallet)
    return settle_of(value.position.symbol) if kind == "asset" else "perp"


def _spot_type(wallet: Wallet) -> str:
    return {Wallet.MARGIN: "margin", Wallet.EARN: "earn"}.get(wallet, "spot")
