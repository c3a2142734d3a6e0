"""Margin: what perpetual positions and orders of an account tie up. Cross, one settle asset."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from alphapulse.domain.money import EXACT, total
from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.instrument import Category, Instrument
from alphapulse.simulator.core.order import Order

MarkPrice = Callable[[Instrument], Decimal]


@dataclass(frozen=True, slots=True)
class MarginReport:
    """All in the settle asset. ``available`` may be negative after a loss."""

    asset: str
    wallet: Decimal
    """Total of the wallet, spot locks included."""
    unrealized_pnl: Decimal
    position_initial: Decimal
    order_initial: Decimal
    maintenance: Decimal
    available: Decimal

    @property
    def equity(self) -> Decimal:
        return EXACT.add(self.wallet, self.unrealized_pnl)


def report(account: Account, asset: str, mark_price: MarkPrice) -> MarginReport:
    """Margin of everything that settles in ``asset``."""
    positions = [p for p in account.positions.values() if p.instrument.settle == asset]
    pnl = total([p.unrealized_pnl(mark_price(p.instrument)) for p in positions])
    held = total([p.initial_margin(account.leverage_of(p.instrument.name)) for p in positions])
    maintenance = total([p.maintenance_margin(mark_price(p.instrument)) for p in positions])
    ordered = total([order_margin(account, order) for order in _orders(account, asset)])
    free = account.wallet.free(asset)
    return MarginReport(
        asset=asset,
        wallet=account.wallet.total(asset),
        unrealized_pnl=pnl,
        position_initial=held,
        order_initial=ordered,
        maintenance=maintenance,
        available=total([free, pnl, -held, -ordered]),
    )


def order_margin(account: Account, order: Order) -> Decimal:
    """What an open order would tie up if it were filled at its limit."""
    opening = opening_lots(account, order.instrument, order.side, order.open_lots)
    if order.reduce_only or not opening:
        return Decimal(0)
    value = EXACT.multiply(order.limit_price, order.instrument.quantity(opening))
    return EXACT.divide(value, account.leverage_of(order.instrument.name))


def opening_lots(account: Account, instrument: Instrument, side: Side, lots: int) -> int:
    """How many of ``lots`` would open or add to a position rather than reduce one."""
    return max(0, lots - reducible_lots(account, instrument, side))


def reducible_lots(account: Account, instrument: Instrument, side: Side) -> int:
    """How much an order of ``side`` could at most reduce."""
    position = account.positions.get(instrument.name)
    if position is None or (position.lots > 0) == (side is Side.BUY):
        return 0
    return abs(position.lots)


def _orders(account: Account, asset: str) -> list[Order]:
    return [
        order
        for order in account.open_orders.values()
        if order.instrument.category is Category.LINEAR and order.instrument.settle == asset
    ]
