"""Funds: what an order sets aside, and whether there is enough for it."""

from dataclasses import replace
from decimal import Decimal

from alphapulse.domain.money import EXACT
from alphapulse.domain.order import Side
from alphapulse.simulator.core import margin
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import Order, OrderKind, OrderState
from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.core.settlement import Settlement


class Funds:
    """Spot orders lock what they may cost; a perpetual's need free margin."""

    def __init__(self, settlement: Settlement, mark_price: margin.MarkPrice) -> None:
        self._settlement = settlement
        self._mark_price = mark_price

    def reserve(self, account: Account, market: Market, order: Order) -> None:
        """Lock what a spot order may cost; see that there is margin for a perpetual's.

        Raises:
            Refused: INSUFFICIENT_BALANCE or INSUFFICIENT_MARGIN; nothing is locked then.
        """
        if order.instrument.category is Category.LINEAR:
            self._check_margin(account, market, order)
            return
        needed = _worst_cost(market, order)
        asset = order.instrument.quote if order.side is Side.BUY else order.instrument.base
        # A market order by quote quantity must have all of it, whatever it will find to match.
        asked = max(needed, order.quote_atoms) if order.side is Side.BUY else needed
        if account.wallet[asset].free < asked:
            raise Refused(RefusalReason.INSUFFICIENT_BALANCE, asset)
        self._settlement.lock(account, order, needed)

    def release(self, account: Account, order: Order) -> None:
        """Give back all that is set aside."""
        self._settlement.release(account, order)

    def check_amended(self, account: Account, order: Order, lots: int, ticks: int) -> None:
        """See that an open order could be changed to this.

        Raises:
            Refused: as `reserve`.
        """
        instrument = order.instrument
        if instrument.category is Category.LINEAR:
            changed = replace(order, lots=lots, ticks=ticks)
            more = margin.order_margin(account, changed) - margin.order_margin(account, order)
            known = margin.report(account, instrument.quote, self._mark_price)
            if more > max(Decimal(0), known.available):
                raise Refused(RefusalReason.INSUFFICIENT_MARGIN, instrument.quote)
            return
        needed = _limit_cost(order, lots - order.filled_lots, ticks) if _locks(order) else 0
        if needed - order.locked_atoms > account.wallet[order.locked_asset].free:
            raise Refused(RefusalReason.INSUFFICIENT_BALANCE, order.locked_asset)

    def adjust(self, account: Account, order: Order) -> None:
        """Lock more or less, as a changed spot order needs it now."""
        if order.instrument.category is Category.LINEAR or not _locks(order):
            return
        needed = _limit_cost(order, order.open_lots, order.ticks)
        if needed > order.locked_atoms:
            self._settlement.lock(account, order, needed - order.locked_atoms)
        else:
            self._settlement.release(account, order, keep_atoms=needed)

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


def _locks(order: Order) -> bool:
    """Whether an order has funds set aside; one that waits for its price may do without."""
    is_waiting = order.state is OrderState.UNTRIGGERED
    return not is_waiting or (order.trigger is not None and order.trigger.locks_funds)


def _worst_cost(market: Market, order: Order) -> int:
    instrument = order.instrument
    if order.kind is OrderKind.LIMIT or order.side is Side.SELL:
        return _limit_cost(order, order.lots, order.ticks)
    if order.state is OrderState.UNTRIGGERED and order.trigger is not None:
        # What it will cost is known when it triggers; until then the stop price says.
        ticks = order.trigger.ticks or market.ticks_by(order.trigger.by)
        return order.quote_atoms or instrument.notional_atoms(ticks, order.lots)
    return market.book.fillable(order.side, None, order.lots)[1] * instrument.tick_lot_atoms


def _limit_cost(order: Order, lots: int, ticks: int) -> int:
    if order.side is Side.SELL:
        return lots * order.instrument.lot_atoms
    if order.kind is OrderKind.MARKET and order.trigger is not None:
        ticks = order.trigger.ticks or ticks
    return order.instrument.notional_atoms(ticks, lots)
