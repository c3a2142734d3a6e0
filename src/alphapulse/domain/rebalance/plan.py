"""Plan: the fewest trades that take a portfolio to its targets, and what they leave undone. Pure.

All sums are made in the exact context of `alphapulse.domain.money`, which `make_plan` enters.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext

from alphapulse.domain.cost_basis.lots import Method
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.money import EXACT, ZERO, total
from alphapulse.domain.portfolio import PositionValue
from alphapulse.domain.rebalance.choice import RuleBasis
from alphapulse.domain.rebalance.constraints import Constraints, Style, Tolerance
from alphapulse.domain.rebalance.fingerprint import plan_hash
from alphapulse.domain.rebalance.gains import Gains
from alphapulse.domain.rebalance.matching import Amounts, Desk, Matcher
from alphapulse.domain.rebalance.needs import needs_of
from alphapulse.domain.rebalance.sheet import sheet_of
from alphapulse.domain.rebalance.situation import (
    AccountFacts,
    Refusal,
    RefusalReason,
    Situation,
    refusals,
)
from alphapulse.domain.rebalance.targets import Weights
from alphapulse.domain.rebalance.trades import Phase, Trade, Trader
from alphapulse.domain.rebalance.ways import Unreached, Way, Ways
from alphapulse.errors import InvalidInput

_HUNDRED = Decimal(100)
_SHARE_STEP = Decimal("1e-8")
_PCT_STEP = Decimal("0.0001")
_TOO_LITTLE = Unreached.BELOW_MIN_NOTIONAL

# Fees grow about in proportion to what is traded, so the second try mostly fits.
_FEE_TRIES = 4
_FEE_MARGIN = Decimal("0.99")


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """``weights`` are 1 together; see `alphapulse.domain.rebalance.targets`. ``method`` is the one
    by which sales take lots, ``rule`` what the weights were made of where that was the past."""

    weights: Weights
    tolerance: Tolerance = Tolerance()  # noqa: RUF009  frozen
    constraints: Constraints = Constraints()  # noqa: RUF009  frozen
    style: Style = Style()  # noqa: RUF009  frozen
    method: Method = Method.FIFO
    rule: RuleBasis | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One asset over all accounts: ``value`` in base currency, debts off; shares of the base value
    to 8 places, ``drift`` = ``weight`` - ``target``."""

    asset: Asset
    value: Decimal
    weight: Decimal
    target: Decimal
    drift: Decimal


@dataclass(frozen=True, slots=True)
class NotReached:
    """``value`` is what is missing to the target, or over it; of an excluded asset what is held,
    ``None`` without a price."""

    asset: Asset
    reason: Unreached
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class PlanWarning:
    """``code`` is contracts_not_rebalanced, excluded_unpriced, gain_unknown, gain_not_counted,
    order_over_limit or day_over_limit."""

    code: str
    subject: str


@dataclass(frozen=True, slots=True)
class Plan:
    """``base_value`` is what may be rebalanced: all that is held less debts, without excluded
    assets and without contracts, whose value is ``contracts_value`` (``None`` if unknown).
    ``prices`` are those of the plan, in ``currency``."""

    currency: Asset
    planned_at: datetime
    prices_as_of: datetime
    base_value: Decimal
    contracts_value: Decimal | None
    before: tuple[Line, ...]
    trades: tuple[Trade, ...]
    after: tuple[Line, ...]
    turnover_pct: Decimal
    est_total_cost: Decimal
    not_reachable: tuple[NotReached, ...]
    warnings: tuple[PlanWarning, ...]
    prices: Mapping[Asset, Decimal]
    style: Style
    plan_hash: str
    lots_counted_at: datetime | None = None
    """Of the lots that the gains of its sales were told by."""


@dataclass(frozen=True, slots=True)
class Refused:
    """No plan, and every reason."""

    reasons: tuple[Refusal, ...]


def make_plan(request: PlanRequest, situation: Situation) -> Plan | Refused:
    """Plan towards ``request.weights``, or say why nothing may be planned.

    Raises:
        InvalidInput: an asset that is excluded has a target, or is the money of an account.
    """
    with localcontext(EXACT):
        return _Planner(request, situation).plan()


@dataclass(frozen=True, slots=True)
class _Draft:
    trades: tuple[Trade, ...]
    notes: Mapping[Asset, Unreached]
    flowed: Decimal
    unjudged: frozenset[Asset]
    """Not sold, because nobody knows whether the gain is within the limit."""

    @property
    def fees(self) -> Decimal:
        return sum((trade.est_fee for trade in self.trades), ZERO)


class _Planner:
    """One plan in the making; what is the same for every draft of it."""

    def __init__(self, request: PlanRequest, situation: Situation) -> None:
        self._request, self._situation = request, situation
        self._ways = Ways(situation, request.constraints, request.style)
        self._sheet = sheet_of(situation)
        self._money = {one.id: self._ways.money_of(one) for one in situation.accounts}
        self._assets = self._counted()
        self._prices: dict[Asset, Decimal] = {}

    def plan(self) -> Plan | Refused:
        refused = set(refusals(self._situation, self._assets))
        if refused:
            return _refused(refused)
        self._prices = {one: self._situation.worth_of(one) for one in self._assets}
        values = self._values({})
        base = sum(values.values(), ZERO)
        if base <= 0:
            return _refused({Refusal(RefusalReason.NOTHING_HELD, "")})
        draft = self._within_fees(values, base)
        if self._ways.refused:
            return _refused(self._ways.refused)
        return self._described(draft, values, base)

    def _counted(self) -> tuple[Asset, ...]:
        """What the plan is about: held, wanted, or paid with, and not excluded."""
        excluded = self._request.constraints.exclude
        money = set(self._money.values())
        wanted = {one for one, weight in self._request.weights.items() if weight}
        for asset in sorted(excluded & (wanted | money)):
            what = "has a target" if asset in wanted else "is what an account pays with"
            raise InvalidInput(f"{asset} {what}", field="constraints/exclude", value=asset)
        return tuple(sorted((set(self._sheet.owned) | wanted | money) - excluded))

    def _values(self, changes: Mapping[Asset, Decimal]) -> Amounts:
        """Of each asset after units of it came or went."""
        owned = self._sheet.owned
        return {
            asset: (owned.get(asset, ZERO) + changes.get(asset, ZERO)) * price
            for asset, price in self._prices.items()
        }

    def _desks(self) -> list[Desk]:
        may_sell = self._request.constraints.allow_sell
        desks = []
        for account in sorted(self._situation.accounts, key=lambda one: one.id):
            money = self._money[account.id]
            free = self._sheet.free[account.id]
            stock = {
                asset: free[asset] * price
                for asset, price in self._prices.items()
                if asset in free and (may_sell or asset == money)
            }
            desks.append(Desk(account, money, stock))
        return desks

    def _within_fees(self, values: Amounts, base: Decimal) -> _Draft:
        """The draft with the most trades that the limits of turnover and fees allow."""
        constraints = self._request.constraints
        turnover_pct, fees_max = constraints.max_turnover_pct, constraints.max_fee
        budget = None if turnover_pct is None else base * turnover_pct / _HUNDRED
        draft = self._drafted(values, budget)
        for _ in range(_FEE_TRIES):
            if fees_max is None or draft.fees <= fees_max:
                return draft
            budget = draft.flowed * fees_max / draft.fees * _FEE_MARGIN
            draft = self._drafted(values, budget)
        return draft if fees_max is None or draft.fees <= fees_max else self._drafted(values, ZERO)

    def _drafted(self, values: Amounts, budget: Decimal | None) -> _Draft:
        request, desks = self._request, self._desks()
        constraints = request.constraints
        needs = needs_of(
            values, request.weights, request.tolerance, constraints, desks, self._prices
        )
        matcher = Matcher(desks, self._ways, budget, may_buy=constraints.allow_buy)
        matcher.match(needs.surplus, needs.shortage)
        matcher.match(needs.surplus, needs.room)
        matcher.match(needs.spare, needs.shortage)
        if any(needs.surplus.values()) or any(needs.shortage.values()):
            matcher.explain(
                needs.surplus, _sums(needs.surplus, needs.spare), _sums(needs.shortage, needs.room)
            )
        gains = Gains(self._situation.lots, self._situation.currency)
        trader = Trader(desks, self._ways, self._prices, constraints, gains, needs.off_band)
        trader.trade(matcher.flows)
        return _Draft(
            tuple(trader.trades),
            matcher.notes | trader.notes | needs.notes,
            sum((flow.value for flow in matcher.flows), ZERO),
            frozenset(trader.unjudged),
        )

    def _described(self, draft: _Draft, values: Amounts, base: Decimal) -> Plan:
        situation, request = self._situation, self._request
        after = self._values(_changes(draft.trades))
        return Plan(
            currency=situation.currency,
            planned_at=situation.now,
            prices_as_of=min(
                price.as_of
                for one in self._assets
                if (price := situation.price_of(one)) is not None
            ),
            base_value=base,
            contracts_value=self._contracts_value(),
            before=self._lines(values),
            trades=draft.trades,
            after=self._lines(after),
            turnover_pct=self._turnover_pct(draft.trades, base),
            est_total_cost=sum((t.est_fee + t.est_spread_cost for t in draft.trades), ZERO),
            not_reachable=tuple(self._not_reached(after, draft.notes)),
            warnings=tuple(self._warnings(draft)),
            prices=self._prices,
            style=request.style,
            plan_hash=plan_hash(
                request.weights, request.tolerance, request.constraints, request.style, situation
            ),
            lots_counted_at=None if situation.lots is None else situation.lots.counted_at,
        )

    def _turnover_pct(self, trades: tuple[Trade, ...], base: Decimal) -> Decimal:
        """The larger of all that is sold and all that is bought; a direct trade is both."""
        money = self._money
        sold = sum((t.est_value for t in trades if t.spends != money[t.account_id]), ZERO)
        bought = sum((t.est_value for t in trades if t.gets != money[t.account_id]), ZERO)
        return (max(sold, bought) / base * _HUNDRED).quantize(_PCT_STEP)

    def _lines(self, values: Amounts) -> tuple[Line, ...]:
        base = sum(values.values(), ZERO)
        lines = []
        for asset, value in values.items():
            target = self._request.weights.get(asset, ZERO)
            weight = (value / base).quantize(_SHARE_STEP)
            if value or target:
                lines.append(Line(asset, value, weight, target, weight - target))
        return tuple(lines)

    def _not_reached(
        self, after: Amounts, notes: Mapping[Asset, Unreached]
    ) -> Iterator[NotReached]:
        base = sum(after.values(), ZERO)
        for asset, value in after.items():
            target = self._request.weights.get(asset, ZERO)
            gap = value - target * base
            if abs(gap) > self._request.tolerance.band(target) * base:
                yield NotReached(asset, self._reason(asset, gap, notes), abs(gap))
        for asset in sorted(self._request.constraints.exclude & self._sheet.owned.keys()):
            price = self._situation.price_of(asset)
            is_good = price is not None and price.currency == self._situation.currency
            value_now = self._sheet.owned[asset] * price.value if price and is_good else None
            yield NotReached(asset, Unreached.EXCLUDED, value_now)

    def _reason(self, asset: Asset, gap: Decimal, notes: Mapping[Asset, Unreached]) -> Unreached:
        """Where nothing stood in the way, fees, spreads and steps did: what is left is too small
        for another trade, or there is no money for it."""
        if asset in notes:
            return notes[asset]
        return Unreached.NO_FUNDS if self._is_worth_buying(asset, -gap) else _TOO_LITTLE

    def _is_worth_buying(self, asset: Asset, value: Decimal) -> bool:
        found = (
            self._ways.find(account.exchange, self._money[account.id], asset)
            for account in self._situation.accounts
        )
        return any(isinstance(way, Way) and value >= self._ways.least(way) for way in found)

    def _contracts_value(self) -> Decimal | None:
        values = [one.value for one in self._positions()]
        known = [value for value in values if value is not None]
        return sum(known, ZERO) if len(known) == len(values) else None

    def _positions(self) -> list[PositionValue]:
        ours = {account.id for account in self._situation.accounts}
        return [p for p in self._situation.positions if p.position.account_id in ours]

    def _warnings(self, draft: _Draft) -> Iterator[PlanWarning]:
        for symbol in sorted({one.position.symbol for one in self._positions()}):
            yield PlanWarning("contracts_not_rebalanced", symbol)
        for asset in sorted(self._request.constraints.exclude & self._sheet.owned.keys()):
            if self._situation.price_of(asset) is None:
                yield PlanWarning("excluded_unpriced", asset)
        yield from self._gain_warnings(draft)
        for account in self._situation.accounts:
            yield from _over(account, [one for one in draft.trades if one.account_id == account.id])

    def _gain_warnings(self, draft: _Draft) -> Iterator[PlanWarning]:
        """Of what is sold, or would be if one knew that its gain is within the limit."""
        is_counted = self._situation.lots is not None
        code = "gain_unknown" if is_counted else "gain_not_counted"
        sold = (one for one in draft.trades if one.phase is Phase.SELL)
        unknown = {one.spends for one in sold if one.est_realized_pnl is None}
        for asset in sorted(unknown | draft.unjudged):
            yield PlanWarning(code, asset)


def _over(account: AccountFacts, trades: list[Trade]) -> Iterator[PlanWarning]:
    """What its limits will refuse."""
    room = account.headroom
    for trade in trades:
        if room.order is not None and trade.est_value > room.order:
            yield PlanWarning("order_over_limit", trade.symbol)
    if room.day is not None and total([one.est_value for one in trades]) > room.day:
        yield PlanWarning("day_over_limit", account.id)


def _refused(reasons: set[Refusal]) -> Refused:
    return Refused(tuple(sorted(reasons, key=lambda one: (one.reason, one.subject))))


def _sums(one: Amounts, other: Amounts) -> Amounts:
    """What is left of both, asset by asset."""
    sums = {key: one.get(key, ZERO) + other.get(key, ZERO) for key in one | other}
    return {asset: value for asset, value in sums.items() if value > 0}


def _changes(trades: tuple[Trade, ...]) -> Mapping[Asset, Decimal]:
    changes: dict[Asset, Decimal] = defaultdict(Decimal)
    for trade in trades:
        changes[trade.spends] -= trade.spent
        changes[trade.gets] += trade.got
    return changes
