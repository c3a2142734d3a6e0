"""Order desk: accepts, changes, cancels and triggers orders, and tells what happened."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace

from alphapulse.domain.order import Side
from alphapulse.simulator.core import entry, margin
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.entry import Change, Entry
from alphapulse.simulator.core.events import Happening
from alphapulse.simulator.core.execution import Execution
from alphapulse.simulator.core.funds import Funds
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import (
    Order,
    OrderKind,
    OrderRequest,
    OrderState,
    Origin,
    TimeInForce,
)
from alphapulse.simulator.core.position import Position, PositionSide
from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.core.shelf import Shelf
from alphapulse.simulator.core.teller import Teller

# As Binance names them; Bybit names them not at all.
FORCED_IDS = {Origin.LIQUIDATION: "autoclose-", Origin.ADL: "adl_autoclose-"}


class OrderDesk:
    """Everything that can be done with an order. A refusal leaves all as it was."""

    def __init__(
        self,
        accounts: dict[str, Account],
        front: Entry,
        funds: Funds,
        execution: Execution,
        teller: Teller,
        now_ms: Callable[[], int],
    ) -> None:
        self._accounts = accounts
        self._front = front
        self._funds = funds
        self._execution = execution
        self._teller = teller
        self._now_ms = now_ms
        self._shelf = Shelf()

    def check(self, account: Account, market: Market, request: OrderRequest) -> None:
        """Say whether `place` would accept it, funds aside; places nothing.

        Raises:
            Refused: why not.
        """
        self._front.check(account, market, request)

    def place(self, account: Account, market: Market, request: OrderRequest) -> Order:
        """Accept an order and match it, or let it wait for its price; a copy of it afterwards.

        Raises:
            Refused: it does not exist then.
        """
        self._front.check(account, market, request)
        order = self._front.make(account, market, request)
        is_waiting = order.state is OrderState.UNTRIGGERED
        if not is_waiting:
            entry.size(account, market, order)
        if not is_waiting or (order.trigger is not None and order.trigger.locks_funds):
            self._funds.reserve(account, market, order)
        self._accept(account, order)
        self._teller.order(order, Happening.PLACED)
        self._teller.balances(account, order.locked_asset)
        if not is_waiting:
            self._execution.work(account, market, order)
        self.follow_up(market)
        return copy(order)

    def reject(self, account: Account, market: Market, request: OrderRequest, why: str) -> Order:
        """Record an order that was acknowledged and then rejected, as asynchronous venues do."""
        order = self._front.make(account, market, request)
        account.enter(order)
        self._refuse(account, order, why)
        return copy(order)

    def cancel(
        self, account: Account, market: Market, order: Order, *, cancel_id: str | None = None
    ) -> Order:
        """Cancel an open order of the account; a copy of it as it is afterwards.

        Raises:
            Refused: ORDER_FINAL.
        """
        known = _open(account, order)
        self._end(account, market, known, Happening.CANCELED, cancel_id=cancel_id)
        self.follow_up(market)
        return copy(known)

    def amend(self, account: Account, market: Market, order: Order, change: Change) -> Order:
        """Change an open order in place; a copy of it as it is afterwards.

        Less quantity at the same price keeps the place in the queue; anything else goes to its end
        and may trade at once.

        Raises:
            Refused: ORDER_FINAL, ORDER_UNCHANGED, a filter or funds; the order is as before.
        """
        known = _open(account, order)
        lots, ticks = entry.changed(market, known, change)
        trigger = known.trigger
        if change.trigger is not None and known.state is OrderState.UNTRIGGERED:
            trigger = entry.check_trigger(market, known, change.trigger)
        if (lots, ticks, trigger) == (known.lots, known.ticks, known.trigger):
            raise Refused(RefusalReason.ORDER_UNCHANGED)
        self._funds.check_amended(account, replace(known, trigger=trigger), lots, ticks)
        is_resting = self._execution.is_resting(known)
        keeps_place = is_resting and ticks == known.ticks and lots < known.lots
        if keeps_place:
            market.book.reduce(known.id, known.lots - lots)
        else:
            self._execution.withdraw(market, known)
        known.lots, known.ticks, known.trigger = lots, ticks, trigger
        known.updated_ms = self._now_ms()
        cancel_id = self._rename(account, known, change.client_order_id)
        self._funds.adjust(account, known)
        self._teller.order(known, Happening.AMENDED, cancel_id=cancel_id)
        self._teller.balances(account, known.locked_asset)
        if is_resting and not keeps_place:
            self._execution.work(account, market, known)
        self.follow_up(market)
        return copy(known)

    def adopt(self, market: Market, order: Order) -> None:
        """Let an open order of an earlier run wait on; it must not cross what is there."""
        self._shelf.add(order)
        if order.state is not OrderState.UNTRIGGERED:
            self._execution.rest(market, order)

    def force(
        self, account: Account, market: Market, position: Position, lots: int, origin: Origin
    ) -> Order:
        """Close some of a position for the venue; a copy of the order that did.

        A liquidation goes through the book, and the house takes what the book does not; a winner
        is deleveraged with the house alone.
        """
        side = Side.SELL if position.lots > 0 else Side.BUY
        order = self._front.make(
            account,
            market,
            OrderRequest(
                side,
                OrderKind.MARKET,
                market.instrument.quantity(lots),
                time_in_force=TimeInForce.IOC,
                position_side=position.side,
            ),
        )
        order.origin = origin
        order.client_order_id = f"{FORCED_IDS[origin]}{order.id}"
        self._accept(account, order)
        self._teller.order(order, Happening.PLACED)
        if origin is Origin.LIQUIDATION:
            self._execution.match(market, order)
        self._execution.take_over(market, order, market.instrument.ticks(market.mark_price))
        self.follow_up(market)
        return copy(order)

    def expire(self, market_of: Callable[[Order], Market]) -> None:
        """End every order whose time is over."""
        for order in self._shelf.ended(self._now_ms()):
            market = market_of(order)
            self._end(self._accounts[order.account_id], market, order, Happening.EXPIRED)
            self.follow_up(market)

    def take(self, market: Market, side: Side, limit_ticks: int | None, lots: int) -> None:
        """The house's own flow: hit what rests, customers' orders as well."""
        self._execution.take(market, side, limit_ticks, lots)

    def follow_up(self, market: Market) -> None:
        """Do what a change of price or position brings about, and what that brings about; then
        tell how the book has changed."""
        while True:
            for account in self._execution.take_moved():
                self._fit_to_position(account, market)
            reached = self._shelf.reached(market)
            if not reached:
                break
            for order in reached:
                if order.state is OrderState.UNTRIGGERED:
                    self._trigger(self._accounts[order.account_id], market, order)
        self._teller.book(market)

    def _accept(self, account: Account, order: Order) -> None:
        account.enter(order)
        self._shelf.add(order)

    def _rename(self, account: Account, order: Order, name: str | None) -> str | None:
        """Give an order another client id; the one it had, if that changed."""
        before = order.client_order_id
        if name is None or name == before:
            return None
        account.rename(order, name)
        return before

    def _trigger(self, account: Account, market: Market, order: Order) -> None:
        """Its price has come: it works like any other order, or is refused now."""
        self._shelf.remove(order)
        self._funds.release(account, order)
        order.state = OrderState.NEW
        order.triggered_ms = order.updated_ms = self._now_ms()
        self._teller.order(order, Happening.TRIGGERED)
        try:
            entry.size(account, market, order)
            entry.check_maker(market, order, order.ticks)
            self._funds.reserve(account, market, order)
        except Refused as refused:
            self._refuse(account, order, refused.reason)
            return
        self._teller.balances(account, order.locked_asset)
        self._execution.work(account, market, order)

    def _refuse(self, account: Account, order: Order, why: str) -> None:
        order.reject_reason = why
        self._execution.end(account, order, OrderState.REJECTED)
        self._teller.order(order, Happening.REJECTED)
        self._teller.balances(account, order.locked_asset)

    def _end(
        self,
        account: Account,
        market: Market,
        order: Order,
        happening: Happening,
        *,
        cancel_id: str | None = None,
    ) -> None:
        """Take an open order out of wherever it waits, and tell."""
        is_expiry = happening is Happening.EXPIRED
        self._shelf.remove(order)
        self._execution.withdraw(market, order)
        state = OrderState.EXPIRED if is_expiry else OrderState.CANCELED
        self._execution.end(account, order, state)
        self._teller.order(order, happening, cancel_id=cancel_id)
        self._teller.balances(account, order.locked_asset)

    def _fit_to_position(self, account: Account, market: Market) -> None:
        """Reduce-only orders never rest for more than there is to reduce, and what protects a
        position ends with it. The oldest order comes first."""
        if market.instrument.category is not Category.LINEAR:
            return
        left: dict[tuple[Side, PositionSide], int] = {}
        for order in list(account.open_orders.values()):
            if order.instrument is not market.instrument:
                continue
            key = (order.side, order.position_side)
            if key not in left:
                left[key] = margin.reducible_lots(account, market.instrument, *key)
            if order.trigger is not None and order.trigger.ends_with_position:
                if not left[key] and order.state is OrderState.UNTRIGGERED:
                    self._end(account, market, order, Happening.CANCELED)
            elif order.reduce_only and self._execution.is_resting(order):
                kept = min(order.open_lots, left[key])
                left[key] -= kept
                self._shrink(account, market, order, kept)

    def _shrink(self, account: Account, market: Market, order: Order, kept: int) -> None:
        if kept == order.open_lots:
            return
        if kept == 0:
            self._end(account, market, order, Happening.CANCELED)
            return
        market.book.reduce(order.id, order.open_lots - kept)
        order.lots = order.filled_lots + kept
        order.updated_ms = self._now_ms()
        self._teller.order(order, Happening.AMENDED)


def _open(account: Account, order: Order) -> Order:
    known = account.open_orders.get(order.id)
    if known is None:
        raise Refused(RefusalReason.ORDER_FINAL)
    return known
