"""Trades: the orders that a matching becomes, on the grid, within what is free. Pure.

First what is sold, then what is bought with what the sales bring. Fees are counted as money: off
the proceeds of a sale, and on top of a purchase, so that the money suffices whichever way a venue
takes them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.cost_basis.records import Place
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, Symbol
from alphapulse.domain.money import ZERO, round_down
from alphapulse.domain.order import OrderRequest, OrderType, Side
from alphapulse.domain.order_cost import execution_in
from alphapulse.domain.rebalance.constraints import Constraints
from alphapulse.domain.rebalance.gains import Gains
from alphapulse.domain.rebalance.matching import Amounts, Desk, Flow
from alphapulse.domain.rebalance.ways import Unreached, Way, Ways

ORDERS_MAX = 20
"""So many orders a trade is split into; one that needs more stays whole, and is warned of."""

# The part of the limit that an order of a split trade uses: prices move until it is sent.
_ORDER_SHARE = Decimal("0.99")


class Phase(StrEnum):
    """``BUY`` waits for every ``SELL`` of its account: it is paid with what they brought."""

    SELL = "sell"
    BUY = "buy"


class TradeReason(StrEnum):
    OVERWEIGHT = "overweight"
    UNDERWEIGHT = "underweight"
    BOTH = "both"
    """One market from what is over to what is short."""
    COUNTERPART = "counterpart"
    """Within its band, and moved towards its target because nothing else could pay, or be paid."""


@dataclass(frozen=True, slots=True)
class Trade:
    """One order of a plan.

    ``quantity`` is in base units, prices in quote currency, values in the base currency of the
    plan. ``limit_price`` is ``None`` for a market order; ``est_price`` is the worst that is
    expected. ``est_value`` is at the price the portfolio is valued at. ``est_realized_pnl`` is what
    the lots that it takes would gain at ``est_price`` and after its fee; ``None`` for a purchase,
    and where the basis is not known.
    """

    seq: int
    phase: Phase
    account_id: AccountId
    exchange: ExchangeId
    symbol: Symbol
    side: Side
    type: OrderType
    quantity: Decimal
    limit_price: Decimal | None
    est_price: Decimal
    est_value: Decimal
    est_fee: Decimal
    est_spread_cost: Decimal
    est_realized_pnl: Decimal | None
    min_notional: Decimal | None
    min_quantity: Decimal | None
    lot_size: Decimal
    reason: TradeReason
    spends: Asset
    gets: Asset
    fee_rate: Decimal

    @property
    def spent(self) -> Decimal:
        """How much of ``spends`` it takes, the fee of a purchase included."""
        if self.side is Side.SELL:
            return self.quantity
        return self.quantity * self.est_price * (1 + self.fee_rate)

    @property
    def got(self) -> Decimal:
        """How much of ``gets`` it brings, less the fee of a sale."""
        if self.side is Side.BUY:
            return self.quantity
        return self.quantity * self.est_price * (1 - self.fee_rate)


@dataclass(frozen=True, slots=True)
class Leg:
    """One or more flows that go the same way in one account."""

    desk: Desk
    way: Way
    value: Decimal
    reason: TradeReason


class Trader:
    """Turns flows into trades; ``notes`` says which asset a rule kept off its target, ``unjudged``
    which one for the only reason that nobody knows what its sale would gain."""

    def __init__(
        self,
        desks: Iterable[Desk],
        ways: Ways,
        prices: Mapping[Asset, Decimal],
        constraints: Constraints,
        gains: Gains,
        off_band: frozenset[Asset],
    ) -> None:
        self.trades: list[Trade] = []
        self.notes: dict[Asset, Unreached] = {}
        self.unjudged: set[Asset] = set()
        self._desks = {desk.id: desk for desk in desks}
        self._ways, self._prices, self._constraints = ways, prices, constraints
        self._gains, self._off_band = gains, off_band
        self._realized = ZERO
        self._taken: dict[tuple[str, str, Side], Decimal] = defaultdict(Decimal)

    def trade(self, flows: list[Flow]) -> None:
        """Plan every order that these flows need."""
        by_desk: dict[AccountId, list[Flow]] = defaultdict(list)
        for flow in flows:
            by_desk[flow.account_id].append(flow)
        brought = {key: self._sell(self._desks[key], by_desk[key]) for key in sorted(by_desk)}
        for key, money in brought.items():
            self._buy(self._desks[key], by_desk[key], money)

    def _sell(self, desk: Desk, flows: list[Flow]) -> Decimal:
        """Plan the sales of an account; returns the money they bring."""
        values: dict[tuple[Asset, Asset], Decimal] = defaultdict(Decimal)
        for flow in flows:
            if flow.spent != desk.money:
                values[flow.spent, flow.got if flow.is_direct else desk.money] += flow.value
        brought = ZERO
        for (spent, got), value in sorted(values.items(), key=lambda one: (-one[1], one[0])):
            way = self._way(desk, spent, got)
            leg = Leg(desk, way, value, self._sale_reason(spent, got, desk.money))
            trade = self._sized(leg, Phase.SELL, value / self._prices[spent], None)
            if trade is not None and self._is_gain_allowed(trade):
                self._add(leg, trade)
                brought += trade.got if got == desk.money else ZERO
        return brought

    def _buy(self, desk: Desk, flows: list[Flow], brought: Decimal) -> None:
        """Plan the purchases of an account. When the money falls short of all of them, because of
        fees, spreads and steps, each gets the same share of it."""
        price = self._prices[desk.money]
        wanted: Amounts = defaultdict(Decimal)
        money = brought
        for flow in flows:
            if flow.spent == desk.money:
                money += flow.value / price
            if flow.got == desk.money:
                money -= flow.value / price
            elif not flow.is_direct:
                wanted[flow.got] += flow.value
        of_all = sum(wanted.values(), ZERO)
        for asset, value in sorted(wanted.items(), key=lambda one: (-one[1], one[0])):
            share = max(ZERO, money) * value / of_all
            leg = Leg(desk, self._way(desk, desk.money, asset), value, self._buy_reason(asset))
            if not share:
                self.notes.setdefault(asset, Unreached.NO_FUNDS)
                continue
            trade = self._sized(leg, Phase.BUY, share, value / self._prices[asset])
            if trade is not None:
                self._add(leg, trade)

    def _way(self, desk: Desk, spent: Asset, got: Asset) -> Way:
        way = self._ways.find(desk.account.exchange, spent, got)
        assert isinstance(way, Way), "matched without a market"
        return way

    def _sized(
        self, leg: Leg, phase: Phase, spend_max: Decimal, get_max: Decimal | None
    ) -> Trade | None:
        """The largest order on the grid within both bounds; ``None``, and a note, when that is
        below a minimum."""
        way, rate = leg.way, leg.desk.account.fee_rate
        assert rate is not None
        subject = way.spent if phase is Phase.SELL else way.got
        price = _average(leg, _quantity(way, way.price, spend_max, get_max, rate))
        quantity = _quantity(way, price, spend_max, get_max, rate)
        allowed = self._allowed(way)
        if allowed is not None and allowed < quantity:
            self.notes.setdefault(subject, Unreached.CONSTRAINT)
            quantity = allowed
        quantity = round_down(quantity, way.market.instrument.lot_size)
        if quantity <= 0 or _is_below_minimum(way, quantity, way.price):
            self.notes.setdefault(subject, Unreached.BELOW_MIN_NOTIONAL)
            return None
        trade = self._priced(leg, phase, quantity, _average(leg, quantity))
        if trade.est_value < (self._constraints.min_trade_value or ZERO):
            self.notes.setdefault(subject, Unreached.CONSTRAINT)
            return None
        return trade

    def _allowed(self, way: Way) -> Decimal | None:
        """What the venue takes in one order, and what the book has left within the slippage."""
        bounds = [way.market.instrument.max_quantity]
        if way.depth is not None:
            bounds.append(max(ZERO, way.depth - self._taken[way.key]))
        return min((bound for bound in bounds if bound is not None), default=None)

    def _priced(self, leg: Leg, phase: Phase, quantity: Decimal, price: Decimal) -> Trade:
        way, one, rate = leg.way, leg.way.market.instrument, leg.desk.account.fee_rate
        assert rate is not None
        money = self._prices[way.quote]
        worse = price - way.middle if way.side is Side.BUY else way.middle - price
        type_ = OrderType.MARKET if way.limit_price is None else OrderType.LIMIT
        return Trade(
            seq=0,
            phase=phase,
            account_id=leg.desk.id,
            exchange=one.exchange,
            symbol=one.symbol,
            side=way.side,
            type=type_,
            quantity=quantity,
            limit_price=way.limit_price,
            est_price=price,
            est_value=quantity * self._prices[way.base],
            est_fee=quantity * price * rate * money,
            est_spread_cost=max(ZERO, worse) * quantity * money,
            est_realized_pnl=None,
            min_notional=one.min_notional,
            min_quantity=one.min_quantity,
            lot_size=one.lot_size,
            reason=leg.reason,
            spends=way.spent,
            gets=way.got,
            fee_rate=rate,
        )

    def _sale(self, trade: Trade) -> tuple[Place, Decimal, Decimal]:
        """Whose lots it takes, how much, and what it brings at the worst price that is expected
        and after its fee."""
        place = Place(trade.account_id, trade.spends)
        return place, trade.spent, trade.got * self._prices[trade.gets]

    def _is_gain_allowed(self, trade: Trade) -> bool:
        limit = self._constraints.avoid_gain_above
        if limit is None:
            return True
        gain = self._gains.of(*self._sale(trade))
        if gain is None:
            self.unjudged.add(trade.spends)
        if gain is None or self._realized + gain > limit:
            self.notes.setdefault(trade.spends, Unreached.CONSTRAINT)
            return False
        self._realized += gain
        return True

    def _add(self, leg: Leg, trade: Trade) -> None:
        """In one order, or in as few as the limit of the account takes."""
        self._taken[trade.exchange, trade.symbol, trade.side] += trade.quantity
        for quantity in self._orders(leg, trade):
            one = self._priced(leg, trade.phase, quantity, trade.est_price)
            one = replace(one, seq=len(self.trades) + 1)
            if one.phase is Phase.SELL:
                one = replace(one, est_realized_pnl=self._gains.sell(*self._sale(one)))
            self.trades.append(one)

    def _orders(self, leg: Leg, trade: Trade) -> list[Decimal]:
        """How much each order of a trade is for; all of it in one where the limit of the account
        allows that, or would need too many orders, or some below a minimum: a plan warns then."""
        limit, way, whole = leg.desk.account.headroom.order, leg.way, [trade.quantity]
        worth = max(self._prices[way.base], trade.est_price * self._prices[way.quote])
        if limit is None or trade.quantity * worth <= limit:
            return whole
        most = int(limit * _ORDER_SHARE / worth / trade.lot_size)
        lots = int(trade.quantity / trade.lot_size)
        count = -(-lots // most) if most else ORDERS_MAX + 1
        if count > ORDERS_MAX:
            return whole
        each, over = divmod(lots, count)
        least = each * trade.lot_size
        too_little = self._constraints.min_trade_value or ZERO
        if _is_below_minimum(way, least, way.price) or least * self._prices[way.base] < too_little:
            return whole
        return [(each + (index < over)) * trade.lot_size for index in range(count)]

    def _sale_reason(self, spent: Asset, got: Asset, money: Asset) -> TradeReason:
        if spent not in self._off_band:
            return TradeReason.COUNTERPART
        return TradeReason.OVERWEIGHT if got == money else TradeReason.BOTH

    def _buy_reason(self, asset: Asset) -> TradeReason:
        is_off = asset in self._off_band
        return TradeReason.UNDERWEIGHT if is_off else TradeReason.COUNTERPART


def _is_below_minimum(way: Way, quantity: Decimal, price: Decimal) -> bool:
    """Whether the venue would refuse it, measured at the bid where that is lower: venues measure
    market orders at prices of their own."""
    one, ticker = way.market.instrument, way.market.ticker
    assert ticker is not None
    lowest = min(price, ticker.bid or price)
    is_small = one.min_notional is not None and quantity * lowest < one.min_notional
    return is_small or (one.min_quantity is not None and quantity < one.min_quantity)


def _quantity(
    way: Way, price: Decimal, spend_max: Decimal, get_max: Decimal | None, fee_rate: Decimal
) -> Decimal:
    """Base units that spend and get no more than this at a price."""
    if way.side is Side.SELL:
        if get_max is None:
            return spend_max
        return min(spend_max, get_max / (price * (1 - fee_rate)))
    affordable = spend_max / (price * (1 + fee_rate))
    return affordable if get_max is None else min(affordable, get_max)


def _average(leg: Leg, quantity: Decimal) -> Decimal:
    """A market order's price as far as the book is known; else the worst that is expected."""
    way = leg.way
    levels = way.market.asks if way.side is Side.BUY else way.market.bids
    if way.limit_price is not None or not levels:
        return way.price
    one = way.market.instrument
    request = OrderRequest(leg.desk.id, one.symbol, way.side, OrderType.MARKET, quantity)
    execution = execution_in(levels, request, one) if quantity else None
    return way.price if execution is None else execution.average_price
