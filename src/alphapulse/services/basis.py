"""Basis: what a portfolio cost, line by line and in total, read from what the lots add up to.

What is known is summed up, and what is not is listed; nothing unknown is counted as zero.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from alphapulse.domain.books import SETTLED_UNIT
from alphapulse.domain.cost_basis.figures import Figures, Missing, PlaceFigures
from alphapulse.domain.cost_basis.lots import Method
from alphapulse.domain.cost_basis.records import FlowTotal, Place
from alphapulse.domain.identifiers import AccountId, Symbol
from alphapulse.domain.ledger import EntryKind
from alphapulse.domain.money import EXACT, ZERO, total
from alphapulse.domain.portfolio import HoldingValue
from alphapulse.domain.valuation import CONVERTED, parts
from alphapulse.services.live_state import LiveState
from alphapulse.services.portfolio import Snapshot

_HUNDRED = Decimal(100)


class Completeness(StrEnum):
    """How much of a holding has a basis."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    """A part of it has none, or it was made with a rate of another moment."""
    UNKNOWN = "unknown"


class LineBasis(NamedTuple):
    """One asset in one wallet, in the book currency. ``missing`` is the quantity without basis;
    cost and profit are of the rest. ``opened_at`` is when the earliest lot was acquired."""

    cost: Decimal | None
    average_entry: Decimal | None
    completeness: Completeness
    missing: Decimal
    unrealized_pnl: Decimal | None
    unrealized_pnl_pct: Decimal | None
    realized_pnl: Decimal | None
    fees_paid: Decimal | None
    opened_at: datetime | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of what is known. ``missing`` lists the lots whose basis is not, ``partial`` names the
    sums that leave something out because nobody knows what it was worth.

    ``total_pnl_pct`` is ``total_pnl / put_in * 100``, where ``put_in = total_value - total_pnl``:
    what was brought in, at cost, less what was taken out. Trading the same money many times does
    not make that more. ``lacking`` names what is unknown of it, and without a gap it is ``None``
    where ``put_in`` is not positive, because more was taken out than put in.
    """

    cost: Decimal | None
    realized_pnl: Decimal | None
    unrealized_pnl: Decimal | None
    total_pnl: Decimal | None
    fees_paid: Decimal | None
    funding_paid: Decimal | None
    income: Decimal | None
    missing: tuple[Missing, ...]
    partial: tuple[str, ...]
    total_pnl_pct: Decimal | None
    lacking: tuple[str, ...]


class Basis:
    """What some accounts' holdings cost by one method."""

    def __init__(self, figures: Iterable[Figures], snapshot: Snapshot) -> None:
        accounts = {account.id for account in snapshot.accounts}
        told = list(figures)
        self._valuation = snapshot.valuation
        self._places = {
            Place(one.account_id, one.asset): one
            for figure in told
            for one in figure.places
            if one.account_id in accounts
        }
        self._flows = [
            flow for figure in told for flow in figure.flows if flow.key.account_id in accounts
        ]
        self._missing = tuple(
            one for figure in told for one in figure.missing if one.account_id in accounts
        )
        self._fees = _fees_by_place(self._flows)
        self._held: dict[Place, list[Decimal]] = {}
        for line in snapshot.valuation.holdings:
            if not line.holding.balance.is_empty:
                self._held.setdefault(_place(line), []).append(line.holding.balance.total)

    def line(self, held: HoldingValue) -> LineBasis:
        """Of one holding. Lots lie in an account, so wallets have their share by quantity."""
        place, quantity = _place(held), held.holding.balance.total
        fees = _paid_in_full(self._fees.get(place, ()), EntryKind.FEE)
        if place.asset == self._valuation.currency:
            return LineBasis(
                quantity, Decimal(1), Completeness.COMPLETE, ZERO, ZERO, None, None, fees, None
            )
        figures = self._places.get(place, PlaceFigures(*place))
        wallets = self._held.get(place, [])
        realized = None if figures.realized_unknown or len(wallets) > 1 else figures.realized
        whole = max(total(wallets), EXACT.add(figures.known, figures.unknown))
        known = _share(figures.known, quantity, whole)
        missing = EXACT.subtract(quantity, known)
        if not known:
            unknown = Completeness.UNKNOWN
            since = figures.held_since
            return LineBasis(None, None, unknown, missing, None, None, realized, fees, since)
        cost = _share(figures.cost, quantity, whole)
        profit = None
        if held.price is not None:
            profit = EXACT.subtract(EXACT.multiply(known, held.price.value), cost)
        return LineBasis(
            cost,
            CONVERTED.divide(figures.cost, figures.known),
            Completeness.PARTIAL if missing or figures.is_estimated else Completeness.COMPLETE,
            missing,
            profit,
            percent_of(profit, cost),
            realized,
            fees,
            figures.held_since,
        )

    def of_contract(self, account_id: AccountId, symbol: Symbol) -> tuple[Decimal | None, ...]:
        """Fees and funding paid for it so far."""
        mine = [
            flow
            for flow in self._flows
            if flow.key.account_id == account_id and flow.key.symbol == symbol
        ]
        return _paid_in_full(mine, EntryKind.FEE), _paid_in_full(mine, EntryKind.FUNDING)

    def totals(self) -> Totals:
        """Of everything."""
        lines = [
            self.line(one) for one in self._valuation.holdings if not one.holding.balance.is_empty
        ]
        costs = [line.cost for line in lines if line.cost is not None]
        realized = _sum_of_realized(self._places.values(), self._flows)
        unrealized = self._valuation.unrealized_pnl
        if unrealized is not None:
            profits = [line.unrealized_pnl for line in lines if line.unrealized_pnl is not None]
            unrealized = EXACT.add(unrealized, total(profits)) if profits or not lines else None
        funding = _value([f for f in self._flows if f.key.kind is EntryKind.FUNDING])
        income = _value([f for f in self._flows if f.key.kind in _INCOME])
        loose = [f for f in self._flows if f.key.kind is EntryKind.FEE and not f.key.in_gains]
        profit = _sum_if_known(realized, unrealized, income, funding, _value(loose))
        lacking = tuple(self._lacking(lines, profit))
        return Totals(
            cost=total(costs) if costs or not lines else None,
            realized_pnl=realized,
            unrealized_pnl=unrealized,
            total_pnl=profit,
            fees_paid=_paid(self._flows, EntryKind.FEE),
            funding_paid=None if funding is None else EXACT.minus(funding),
            income=income,
            missing=self._missing,
            partial=tuple(self._partial()),
            total_pnl_pct=None if lacking else _percent_of_put_in(self._valuation.total, profit),
            lacking=lacking,
        )

    def _lacking(self, lines: Iterable[LineBasis], profit: Decimal | None) -> Iterator[str]:
        """What of the summary is not known in full that is needed to say what was put in."""
        if self._valuation.total is None:
            yield "total_value"
        if self._valuation.unpriced:
            yield "unpriced"
        if self._missing or any(line.missing > SETTLED_UNIT for line in lines):
            yield "missing_basis"
        if profit is None or "total_pnl" in self._partial():
            yield "total_pnl"

    def _partial(self) -> Iterator[str]:
        unvalued = {flow.key.kind for flow in self._flows if flow.unvalued}
        has_unknown_gains = any(one.realized_unknown for one in self._places.values())
        if has_unknown_gains or EntryKind.PROFIT in unvalued:
            yield "realized_pnl"
        if EntryKind.FEE in unvalued:
            yield "fees_paid"
        if EntryKind.FUNDING in unvalued:
            yield "funding_paid"
        if _INCOME & unvalued:
            yield "income"
        if unvalued or has_unknown_gains:
            yield "total_pnl"


class BasisService:
    """Reads the live state; it is kept there as the bookkeeper counts."""

    def __init__(self, live: LiveState) -> None:
        self._live = live

    def of(self, snapshot: Snapshot, method: Method = Method.FIFO) -> Basis | None:
        """``None`` while nothing was counted in the currency of the snapshot."""
        currency = snapshot.valuation.currency
        owners = {account.owner_id or "" for account in snapshot.accounts}
        figures = [self._live.figures.get((owner, currency, method)) for owner in owners]
        counted = [one for one in figures if one is not None]
        return Basis(counted, snapshot) if len(counted) == len(figures) else None


def percent_of(part: Decimal | None, whole: Decimal) -> Decimal | None:
    """``None`` where there is nothing to compare with."""
    if part is None or whole == 0:
        return None
    return CONVERTED.multiply(CONVERTED.divide(part, whole), _HUNDRED)


_INCOME = frozenset({EntryKind.REWARD, EntryKind.INTEREST})


def _place(held: HoldingValue) -> Place:
    return Place(held.holding.account_id, held.holding.balance.asset)


def _share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    if part == whole or not whole:
        return amount
    return CONVERTED.divide(EXACT.multiply(amount, part), whole)


def _value(flows: Sequence[FlowTotal]) -> Decimal | None:
    """The sum of what had a rate; ``None`` where nothing of it had one."""
    values = [flow.value for flow in flows if flow.value]
    return total(values) if values or not any(flow.unvalued for flow in flows) else None


def _paid(flows: Iterable[FlowTotal], kind: EntryKind) -> Decimal | None:
    value = _value([flow for flow in flows if flow.key.kind is kind])
    return None if value is None else EXACT.minus(value)


def _paid_in_full(flows: Collection[FlowTotal], kind: EntryKind) -> Decimal | None:
    """``None`` where nobody knows what a part of it was worth."""
    return (
        None
        if any(flow.unvalued for flow in flows if flow.key.kind is kind)
        else _paid(flows, kind)
    )


def _fees_by_place(flows: Iterable[FlowTotal]) -> dict[Place, list[FlowTotal]]:
    """What trading each asset cost, against whatever it was traded."""
    fees: dict[Place, list[FlowTotal]] = {}
    for flow in flows:
        symbol = flow.key.symbol
        if flow.key.kind is EntryKind.FEE and symbol is not None and ":" not in symbol:
            fees.setdefault(Place(flow.key.account_id, parts(symbol)[0]), []).append(flow)
    return fees


def _sum_of_realized(
    places: Collection[PlaceFigures], flows: Sequence[FlowTotal]
) -> Decimal | None:
    """Gains of assets, and profits of contracts."""
    gains = total([one.realized for one in places])
    profits = _value([flow for flow in flows if flow.key.kind is EntryKind.PROFIT])
    unknown = any(one.realized_unknown for one in places)
    if profits is None or (unknown and not gains):
        return None
    return EXACT.add(gains, profits)


def _percent_of_put_in(value: Decimal | None, profit: Decimal | None) -> Decimal | None:
    if value is None or profit is None:
        return None
    put_in = EXACT.subtract(value, profit)
    return percent_of(profit, put_in) if put_in > 0 else None


def _sum_if_known(*amounts: Decimal | None) -> Decimal | None:
    known = [amount for amount in amounts if amount is not None]
    return total(known) if len(known) == len(amounts) else None
