"""Order desk: takes, matches, amends and cancels orders, and tells what happened."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from decimal import Decimal

from alphapulse.domain.money import EXACT
from alphapulse.domain.order import Side
from alphapulse.simulator.core import checks, margin
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.book import Match
from alphapulse.simulator.core.events import Happening
from alphapulse.simulator.core.instrument import Category, MarketStatus, atoms_of
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import (
    Fill,
    Order,
    OrderKind,
    OrderRequest,
    OrderState,
    TimeInForce,
)
from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.core.settlement import Settlement, settle_house
from alphapulse.simulator.core.teller import Teller


class OrderDesk:
    """Every trade goes through here, customers' and the house's."""

    def __init__(
        self,
        house: Account,
        accounts: dict[str, Account],
        settlement: Settlement,
        teller: Teller,
        now_ms: Callable[[], int],
        mark_price: margin.MarkPrice,
    ) -> None:
        self._house = house
        self._accounts = accounts
        self._settlement = settlement
        self._teller = teller
        self._now_ms = now_ms
        self._mark_price = mark_price
        self._resting: dict[int, Order] = {}
        self._next_order_id = 1_000_001

    def check(self, account: Account, market: Market, request: OrderRequest) -> None:
        """Say whether `place` would accept it, funds aside; places nothing.

        Raises:
            Refused: why not.
        """
        if market.status is not MarketStatus.TRADING:
            raise Refused(RefusalReason.MARKET_CLOSED)
        checks.check(request, market.instrument, market.last_price or Decimal(0))
        self._check_identity(account, market, request)
        if request.reduce_only and not margin.reducible_lots(
            account, market.instrument, request.side, request.position_side
        ):
            raise Refused(RefusalReason.REDUCE_ONLY)
        self._check_crossing(market, request)

    def place(self, account: Account, market: Market, request: OrderRequest) -> Order:
        """Accept an order and match it; a copy of it as it is afterwards.

        Raises:
            Refused: it does not exist then.
        """
        self.check(account, market, request)
        order = self._make(account, market, request)
        self._reserve(account, market, order)
        self._enter(account, order)
        self._teller.order(order, Happening.PLACED)
        self._teller.balances(account, order.locked_asset)
        self._work(account, market, order)
        self._teller.book(market)
        return copy(order)

    def reject(self, account: Account, market: Market, request: OrderRequest, why: str) -> Order:
        """Record an order that was acknowledged and then rejected, as asynchronous venues do."""
        order = self._make(account, market, request)
        order.state, order.reject_reason = OrderState.REJECTED, why
        self._enter(account, order)
        account.archive(order)
        self._teller.order(order, Happening.REJECTED)
        return copy(order)

    def cancel(
        self, account: Account, market: Market, order: Order, *, cancel_id: str | None = None
    ) -> Order:
        """Cancel an open order of the account; a copy of it as it is afterwards.

        Raises:
            Refused: ORDER_FINAL.
        """
        known = self._open(account, order)
        market.book.remove(known.id)
        self._end(account, known, OrderState.CANCELED)
        self._teller.order(known, Happening.CANCELED, cancel_id=cancel_id)
        self._teller.balances(account, known.locked_asset)
        self._teller.book(market)
        return copy(known)

    def amend(
        self,
        account: Account,
        market: Market,
        order: Order,
        *,
        quantity: Decimal | None = None,
        limit_price: Decimal | None = None,
    ) -> Order:
        """Change an open limit order in place; a copy of it as it is afterwards.

        Less quantity at the same price keeps the place in the queue; anything else goes to its end
        and may trade at once. ``quantity`` is the new total, what is filled included.

        Raises:
            Refused: ORDER_FINAL, ORDER_UNCHANGED, a filter or funds; the order is as before.
        """
        known = self._open(account, order)
        instrument = market.instrument
        lots, ticks = self._amended(market, known, quantity, limit_price)
        if (lots, ticks) == (known.lots, known.ticks):
            raise Refused(RefusalReason.ORDER_UNCHANGED)
        self._check_amended_funds(account, known, lots, ticks)
        keeps_place = ticks == known.ticks and lots < known.lots
        if keeps_place:
            market.book.reduce(known.id, known.lots - lots)
        else:
            market.book.remove(known.id)
        known.lots, known.ticks, known.updated_ms = lots, ticks, self._now_ms()
        if instrument.category is Category.SPOT:
            self._relock(account, known)
        self._teller.order(known, Happening.AMENDED)
        self._teller.balances(account, known.locked_asset)
        if not keeps_place:
            self._resting.pop(known.id)
            self._work(account, market, known)
        self._teller.book(market)
        return copy(known)

    def take(self, market: Market, side: Side, limit_ticks: int | None, lots: int) -> None:
        """The house's own flow: hit what rests, customers' orders as well."""
        self._execute(market, side, None, market.book.match(side, limit_ticks, lots))

    def _check_identity(self, account: Account, market: Market, request: OrderRequest) -> None:
        name = request.client_order_id
        known = account.orders_by_client_id.get(name) if name else None
        if known is not None and known.state.is_open:
            raise Refused(RefusalReason.DUPLICATE_CLIENT_ID)
        of_market = (o for o in account.open_orders.values() if o.instrument is market.instrument)
        if sum(1 for _ in of_market) >= market.instrument.max_open_orders:
            raise Refused(RefusalReason.MAX_NUM_ORDERS)

    def _check_crossing(self, market: Market, request: OrderRequest) -> None:
        if request.time_in_force is not TimeInForce.POST_ONLY or request.limit_price is None:
            return
        ticks = market.instrument.ticks(request.limit_price)
        if market.book.would_cross(request.side, ticks):
            raise Refused(RefusalReason.WOULD_MATCH)

    def _make(self, account: Account, market: Market, request: OrderRequest) -> Order:
        instrument = market.instrument
        now_ms, order_id = self._now_ms(), self._next_order_id
        self._next_order_id += 1
        order = Order(
            id=order_id,
            client_order_id=request.client_order_id or f"sim-{order_id}",
            account_id=account.id,
            instrument=instrument,
            side=request.side,
            kind=request.kind,
            time_in_force=request.time_in_force,
            ticks=instrument.ticks(request.limit_price) if request.limit_price else 0,
            lots=instrument.lots(request.quantity) if request.quantity else 0,
            quote_atoms=atoms_of(request.quote_quantity) if request.quote_quantity else 0,
            reduce_only=request.reduce_only,
            position_side=request.position_side,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
        if order.reduce_only:
            reducible = margin.reducible_lots(
                account, instrument, order.side, order.position_side
            )
            order.lots = min(order.lots, reducible) or order.lots
        if order.quote_atoms:
            budget = order.quote_atoms // instrument.tick_lot_atoms
            order.lots = market.book.lots_for(order.side, budget)
        return order

    def _reserve(self, account: Account, market: Market, order: Order) -> None:
        """Lock what a spot order may cost; see that there is margin for a perpetual's."""
        if order.instrument.category is Category.LINEAR:
            self._check_margin(account, market, order)
            return
        needed = self._worst_cost(market, order)
        asset = order.instrument.quote if order.side is Side.BUY else order.instrument.base
        # A market order by quote quantity must have all of it, whatever it will find to match.
        asked = max(needed, order.quote_atoms) if order.side is Side.BUY else needed
        if account.wallet[asset].free < asked:
            raise Refused(RefusalReason.INSUFFICIENT_BALANCE, asset)
        self._settlement.lock(account, order, needed)

    def _worst_cost(self, market: Market, order: Order) -> int:
        instrument = order.instrument
        if order.side is Side.SELL:
            return order.lots * instrument.lot_atoms
        if order.kind is OrderKind.LIMIT:
            return instrument.notional_atoms(order.ticks, order.lots)
        return market.book.fillable(order.side, None, order.lots)[1] * instrument.tick_lot_atoms

    def _check_margin(self, account: Account, market: Market, order: Order) -> None:
        opening = margin.opening_lots(
            account, order.instrument, order.side, order.lots, order.position_side
        )
        if order.reduce_only or not opening:
            return
        price = order.limit_price or market.mark_price
        value = EXACT.multiply(price, order.instrument.quantity(opening))
        fee = EXACT.multiply(value, account.fees[Category.LINEAR].taker)
        leverage = account.leverage_of(order.instrument.name)
        held = account.position(order.instrument.name, order.position_side)
        whole = value if held is None else value + held.notional_at(market.mark_price)
        if whole > order.instrument.largest_notional(leverage):
            raise Refused(RefusalReason.LEVERAGE_TOO_HIGH)
        needed = EXACT.divide(value, leverage) + fee
        if margin.report(account, order.instrument.quote, self._mark_price).available < needed:
            raise Refused(RefusalReason.INSUFFICIENT_MARGIN, order.instrument.quote)

    def _enter(self, account: Account, order: Order) -> None:
        account.orders_by_id[order.id] = order
        account.orders_by_client_id[order.client_order_id] = order
        account.open_orders[order.id] = order

    def _work(self, account: Account, market: Market, order: Order) -> None:
        """Match an accepted order; rest or end what is left."""
        limit = order.ticks or None
        wanted = order.open_lots
        is_hopeless = (
            order.time_in_force is TimeInForce.FOK
            and market.book.fillable(order.side, limit, wanted)[0] < wanted
        )
        if not is_hopeless:
            matches = market.book.match(order.side, limit, wanted)
            self._execute(market, order.side, order, matches)
        if not order.state.is_open:
            return
        can_rest = order.time_in_force in {TimeInForce.GTC, TimeInForce.POST_ONLY}
        if order.kind is OrderKind.LIMIT and can_rest:
            market.book.add(order.side, order.ticks, order.open_lots, order.id)
            self._resting[order.id] = order
            return
        self._end(account, order, OrderState.EXPIRED)
        self._teller.order(order, Happening.EXPIRED)
        self._teller.balances(account, order.locked_asset)

    def _execute(
        self, market: Market, side: Side, taker: Order | None, matches: list[Match]
    ) -> None:
        """Print the trades of one taker, then book both sides of each."""
        if not matches:
            return
        now_ms = self._now_ms()
        parts = [(m.ticks, m.lots, max(0, m.order_id)) for m in matches]
        trades, aggregates = market.print_trades(side, parts, taker.id if taker else 0, now_ms)
        self._teller.trades(market, trades, aggregates)
        other = Side.SELL if side is Side.BUY else Side.BUY
        for match, trade in zip(matches, trades, strict=True):
            maker = self._resting.get(match.order_id)
            if maker is None and taker is None:
                continue
            self._book_side(market, side, taker, match, trade.id, is_maker=False)
            self._book_side(market, other, maker, match, trade.id, is_maker=True)

    def _book_side(
        self,
        market: Market,
        side: Side,
        order: Order | None,
        match: Match,
        trade_id: int,
        *,
        is_maker: bool,
    ) -> None:
        now_ms = self._now_ms()
        if order is None:
            settle_house(self._house, market.instrument, side, match.ticks, match.lots, now_ms)
            return
        account = self._accounts[order.account_id]
        fill = self._settlement.settle(
            account, order, match.ticks, match.lots, trade_id, now_ms, is_maker=is_maker
        )
        if order.open_lots:
            order.state = OrderState.PARTIALLY_FILLED
        else:
            self._end(account, order, OrderState.FILLED)
        self._tell_fill(account, order, fill)

    def _tell_fill(self, account: Account, order: Order, fill: Fill) -> None:
        instrument = order.instrument
        self._teller.order(order, Happening.FILLED, fill=fill)
        if instrument.category is Category.LINEAR:
            self._teller.position(account, instrument, order.position_side)
            self._teller.balances(account, instrument.quote, category=Category.LINEAR)
        else:
            self._teller.balances(account, instrument.base, instrument.quote, fill.fee_asset)

    def _end(self, account: Account, order: Order, state: OrderState) -> None:
        order.state = state
        order.updated_ms = self._now_ms()
        self._resting.pop(order.id, None)
        self._settlement.release(account, order)
        account.archive(order)

    def _open(self, account: Account, order: Order) -> Order:
        known = account.open_orders.get(order.id)
        if known is None:
            raise Refused(RefusalReason.ORDER_FINAL)
        return known

    def _amended(
        self, market: Market, order: Order, quantity: Decimal | None, limit_price: Decimal | None
    ) -> tuple[int, int]:
        instrument = market.instrument
        if quantity is not None:
            checks.check_quantity(quantity, instrument)
        if limit_price is not None:
            checks.check_price(limit_price, instrument, market.last_price or Decimal(0))
        lots = order.lots if quantity is None else instrument.lots(quantity)
        ticks = order.ticks if limit_price is None else instrument.ticks(limit_price)
        if lots <= order.filled_lots:
            raise Refused(RefusalReason.LOT_SIZE)
        is_maker_only = order.time_in_force is TimeInForce.POST_ONLY
        if is_maker_only and market.book.would_cross(order.side, ticks):
            raise Refused(RefusalReason.WOULD_MATCH)
        checks.check_notional(instrument.price(ticks), instrument.quantity(lots), instrument)
        return lots, ticks

    def _check_amended_funds(self, account: Account, order: Order, lots: int, ticks: int) -> None:
        instrument = order.instrument
        if instrument.category is Category.LINEAR:
            changed = replace(order, lots=lots, ticks=ticks)
            more = margin.order_margin(account, changed) - margin.order_margin(account, order)
            known = margin.report(account, instrument.quote, self._mark_price)
            if more > max(Decimal(0), known.available):
                raise Refused(RefusalReason.INSUFFICIENT_MARGIN, instrument.quote)
            return
        needed = _lock_needed(order, lots - order.filled_lots, ticks)
        if needed - order.locked_atoms > account.wallet[order.locked_asset].free:
            raise Refused(RefusalReason.INSUFFICIENT_BALANCE, order.locked_asset)

    def _relock(self, account: Account, order: Order) -> None:
        needed = _lock_needed(order, order.open_lots, order.ticks)
        if needed > order.locked_atoms:
            self._settlement.lock(account, order, needed - order.locked_atoms)
        else:
            self._settlement.release(account, order, keep_atoms=needed)


def _lock_needed(order: Order, lots: int, ticks: int) -> int:
    if order.side is Side.SELL:
        return lots * order.instrument.lot_atoms
    return order.instrument.notional_atoms(ticks, lots)
