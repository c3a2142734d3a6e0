"""Views of a portfolio as a whole: the summary."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from alphapulse.api.schemas.portfolio import AccountLine, Share, Summary, UnpricedLine
from alphapulse.api.views.meta import failure_of, meta_of
from alphapulse.api.views.positions import Line, lines_of
from alphapulse.domain.account import Account
from alphapulse.domain.balance import Wallet
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.portfolio import HoldingValue
from alphapulse.domain.sync import SyncKind
from alphapulse.domain.valuation import settle_of
from alphapulse.services.live_state import LiveState
from alphapulse.services.portfolio import AccountHealth, PortfolioService, Snapshot

LATER = (
    "cost_basis", "realized_pnl", "total_pnl", "total_pnl_pct", "fees_paid", "funding_paid",
    "income", "net_deposits", "change", "performance", "history", "missing_basis", "residuals",
    "first_activity_at",
)  # fmt: skip

Kind = Literal["asset", "exchange", "account", "type"]


def summary_of(
    snapshot: Snapshot, service: PortfolioService, live: LiveState, request_id: str
) -> Summary:
    """Everything the summary says about a snapshot."""
    valuation = snapshot.valuation
    lines = lines_of(snapshot, live)
    return Summary(
        meta=meta_of(snapshot, request_id, LATER),
        total_value=valuation.total,
        total_assets=valuation.total_assets,
        total_debt=valuation.total_debt,
        cash_value=valuation.cash,
        invested_value=valuation.invested,
        unrealized_pnl=valuation.unrealized_pnl,
        allocation=list(_allocation(lines, snapshot)),
        accounts=[_account(account, snapshot, service) for account in snapshot.accounts],
        unpriced=[
            UnpricedLine(
                asset=line.asset,
                quantity=line.quantity,
                accounts=list(line.accounts),
                reason=line.reason,
            )
            for line in valuation.unpriced
        ],
        position_count=len(lines),
        open_order_count=service.open_order_count(snapshot.accounts),
    )


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


def _allocation(lines: list[Line], snapshot: Snapshot) -> Iterable[Share]:
    """How the total is made up, four ways, the largest first."""
    for kind in ("asset", "exchange", "account", "type"):
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
