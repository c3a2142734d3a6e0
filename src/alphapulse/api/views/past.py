"""Views of a portfolio as it was: what the ledger does not tell is null, and named."""

from decimal import Decimal
from typing import Any

from alphapulse.api.schemas.base import Meta, WarningView
from alphapulse.api.schemas.portfolio import (
    AccountLine,
    PositionPage,
    PositionsQuery,
    PositionView,
    Summary,
)
from alphapulse.api.views.portfolio import allocation, unpriced_lines
from alphapulse.api.views.positions import Line, holding_view, paged
from alphapulse.domain.account import Account
from alphapulse.domain.money import ZERO
from alphapulse.domain.portfolio import HoldingValue
from alphapulse.services.past_portfolio import PastSnapshot
from alphapulse.services.portfolio import AccountHealth

UNKNOWN_OF_THE_WHOLE = (
    "cost_basis", "realized_pnl", "unrealized_pnl", "total_pnl", "total_pnl_pct", "fees_paid",
    "funding_paid", "income", "missing_basis", "change", "residuals", "open_order_count",
)  # fmt: skip
UNKNOWN_OF_EACH = (
    "wallet", "available", "locked", "debt", "average_entry", "cost_basis", "basis_quality",
    "missing_quantity", "realized_pnl", "unrealized_pnl", "unrealized_pnl_pct", "fees_paid",
    "funding_paid", "change_24h", "opened_at", "last_trade_at",
)  # fmt: skip


def summary_then(snapshot: PastSnapshot, request_id: str, *, min_value: Decimal) -> Summary:
    """What everything was worth."""
    valuation = snapshot.valuation
    lines = _lines(snapshot)
    shares = allocation(lines, snapshot, ("asset", "exchange", "account"))
    return Summary(
        meta=_meta(snapshot, request_id, UNKNOWN_OF_THE_WHOLE),
        total_value=valuation.total,
        total_assets=valuation.total_assets,
        total_debt=valuation.total_debt,
        cash_value=valuation.cash,
        invested_value=valuation.invested,
        allocation=[share for share in shares if abs(share.value) >= min_value],
        accounts=[_account(account, snapshot) for account in snapshot.accounts],
        unpriced=unpriced_lines(valuation),
        position_count=len(lines) + len(snapshot.contracts),
        open_order_count=None,
        first_activity_at=snapshot.first_activity_at,
    )


def positions_then(snapshot: PastSnapshot, query: PositionsQuery, request_id: str) -> PositionPage:
    """What was held. Contracts are named in a warning: nobody knows what they cost."""
    meta = _meta(snapshot, request_id, UNKNOWN_OF_EACH)
    return paged([_view(line, snapshot) for line in _lines(snapshot)], query, meta)


def _lines(snapshot: PastSnapshot) -> list[Line]:
    accounts = {account.id: account for account in snapshot.accounts}
    return [
        Line(
            f"{held.holding.account_id}.{held.holding.balance.asset}",
            accounts[held.holding.account_id],
            held,
            snapshot.valuation.as_of,
            None,
        )
        for held in snapshot.valuation.holdings
    ]


def _view(line: Line, snapshot: PastSnapshot) -> PositionView:
    assert isinstance(line.value, HoldingValue)
    unknown: dict[str, Any] = dict.fromkeys(UNKNOWN_OF_EACH)
    return holding_view(line, line.value, snapshot).model_copy(update=unknown)


def _account(account: Account, snapshot: PastSnapshot) -> AccountLine:
    valuation, health = snapshot.valuation, snapshot.health[account.id]
    value = valuation.accounts.get(account.id, ZERO)
    return AccountLine(
        id=account.id,
        exchange=account.exchange,
        label=account.label,
        value=value,
        weight=valuation.weight(value),
        status=health.value,
        as_of=valuation.as_of,
        stale=health is not AccountHealth.OK,
        last_error=None,
    )


def _meta(snapshot: PastSnapshot, request_id: str, unknown: tuple[str, ...]) -> Meta:
    valuation = snapshot.valuation
    unread = (a for a, health in snapshot.health.items() if health is not AccountHealth.OK)
    said = (
        ("unpriced", "Held then, and in no total: no price of that minute is known, or not yet.",
         {line.asset for line in valuation.unpriced}),
        ("history_incomplete", "Not all that happened was read: quantities may be off.", unread),
        ("opening_assumed", "Nothing tells how this came in; taken as there from the beginning.",
         snapshot.assumed),
        ("contracts_not_valued", "Open then; what they had gained is in no total.",
         snapshot.contracts),
        ("debts_not_recorded", "They owe something now; what they owed then is in no total.",
         snapshot.owing),
        ("not_known_then", "The ledger does not tell these, so they are null.", unknown),
    )  # fmt: skip
    warnings = [
        WarningView(code=code, message=message, subject=tuple(sorted(subject)))
        for code, message, subject in said
    ]
    return Meta(
        request_id=request_id,
        as_of=valuation.as_of,
        currency=valuation.currency,
        complete=snapshot.is_complete and not snapshot.owing,
        warnings=tuple(warning for warning in warnings if warning.subject),
    )
