"""Views of the cost basis in the summary and in positions: what was paid, and what it gained."""

from decimal import Decimal

from alphapulse.api.schemas.base import WarningView
from alphapulse.api.schemas.portfolio import PositionView, Summary, UnpricedLine
from alphapulse.api.views.meta import warned
from alphapulse.domain.cost_basis.records import Unexplained
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.money import EXACT, ZERO, total
from alphapulse.domain.portfolio import HoldingValue, PositionValue
from alphapulse.domain.valuation import CONVERTED
from alphapulse.services.basis import Basis, Completeness, Totals, percent_of

NOT_COUNTED = WarningView(
    code="basis_not_counted",
    message="Cost and profit are null: lots are still being counted, or kept in other currencies.",
    subject=(
        "cost_basis", "realized_pnl", "unrealized_pnl", "total_pnl", "total_pnl_pct", "fees_paid",
        "funding_paid", "income", "missing_basis",
    ),
)  # fmt: skip


NOT_COUNTED_LINES = NOT_COUNTED.model_copy(
    update={
        "message": "Null of what is held: lots are still being counted, or kept in other "
        "currencies.",
        "subject": (
            "average_entry", "cost_basis", "basis_quality", "missing_quantity", "realized_pnl",
            "unrealized_pnl", "unrealized_pnl_pct", "fees_paid", "funding_paid", "opened_at",
        ),
    }
)  # fmt: skip


PARTLY_KNOWN = WarningView(
    code="partly_known",
    message="What a part of these cost or was worth is not known; it is left out of the sums.",
    subject=(),
)


NOTHING_PUT_IN = WarningView(
    code="nothing_put_in",
    message="There is no percentage: not more was put in than taken out.",
    subject=("total_pnl_pct",),
)
"""A ratio to nothing, or to less, says nothing."""


def with_basis(summary: Summary, basis: Basis | None) -> Summary:
    """The summary with what everything cost. Without a count every profit is null: that of
    contracts alone would pass for the whole."""
    if basis is None:
        return _warned(summary, NOT_COUNTED).model_copy(update={"unrealized_pnl": None})
    totals = basis.totals()
    figures = {
        "realized_pnl": totals.realized_pnl,
        "total_pnl": totals.total_pnl,
        "fees_paid": totals.fees_paid,
        "funding_paid": totals.funding_paid,
        "income": totals.income,
    }
    partial = tuple(name for name in totals.partial if figures[name] is not None)
    if partial:
        summary = _warned(summary, PARTLY_KNOWN.model_copy(update={"subject": partial}))
    if totals.total_pnl_pct is None:
        summary = _warned(summary, _no_percentage(totals))
    return summary.model_copy(
        update=figures
        | {
            "cost_basis": totals.cost,
            "unrealized_pnl": totals.unrealized_pnl,
            "total_pnl_pct": totals.total_pnl_pct,
            "missing_basis": _missing(totals),
        }
    )


def _no_percentage(totals: Totals) -> WarningView:
    if not totals.lacking:
        return NOTHING_PUT_IN
    return WarningView(
        code="total_pnl_pct_unknown",
        message="There is no percentage: what was put in follows from these, and a part of them "
        "is not known.",
        subject=totals.lacking,
    )


def _warned(summary: Summary, warning: WarningView) -> Summary:
    return summary.model_copy(update={"meta": warned(summary.meta, warning)})


def _missing(totals: Totals) -> list[UnpricedLine]:
    """By asset and reason, over all accounts."""
    quantities: dict[tuple[Asset, Unexplained], list[Decimal]] = {}
    accounts: dict[tuple[Asset, Unexplained], set[AccountId]] = {}
    for one in totals.missing:
        key = (one.asset, one.reason)
        quantities.setdefault(key, []).append(one.quantity)
        accounts.setdefault(key, set()).add(one.account_id)
    return [
        UnpricedLine(
            asset=key[0],
            quantity=total(quantities[key]),
            accounts=sorted(accounts[key]),
            reason=key[1].value,
        )
        for key in sorted(quantities)
    ]


def of_holding(held: HoldingValue, basis: Basis | None) -> dict[str, object]:
    """The fields of a position that is held."""
    if basis is None:
        return {}
    line = basis.line(held)
    return {
        "average_entry": line.average_entry,
        "cost_basis": line.cost,
        "basis_quality": line.completeness.value,
        "missing_quantity": line.missing,
        "realized_pnl": line.realized_pnl,
        "unrealized_pnl": line.unrealized_pnl,
        "unrealized_pnl_pct": line.unrealized_pnl_pct,
        "fees_paid": line.fees_paid,
        "opened_at": line.opened_at,
    }


def of_contract(opened: PositionValue, basis: Basis | None) -> dict[str, object]:
    """The fields of an open contract that come from the ledger."""
    if basis is None:
        return {}
    position = opened.position
    fees, funding = basis.of_contract(position.account_id, position.symbol)
    return {"fees_paid": fees, "funding_paid": funding}


def of_group(members: list[PositionView]) -> dict[str, object]:
    """What holdings of one asset have together; nothing where contracts are among them."""
    if any(member.basis_quality is None for member in members):
        return {}
    costs = [member.cost_basis for member in members if member.cost_basis is not None]
    profits = [one.unrealized_pnl for one in members if one.unrealized_pnl is not None]
    if not costs:
        return {"basis_quality": Completeness.UNKNOWN.value}
    cost, qualities = total(costs), {member.basis_quality for member in members}
    known = total(
        [EXACT.subtract(one.quantity or ZERO, one.missing_quantity or ZERO) for one in members]
    )
    return {
        "cost_basis": cost,
        "average_entry": CONVERTED.divide(cost, known) if known else None,
        "basis_quality": qualities.pop() if len(qualities) == 1 else Completeness.PARTIAL.value,
        "unrealized_pnl": total(profits) if profits else None,
        "unrealized_pnl_pct": percent_of(total(profits), cost) if profits else None,
    }
