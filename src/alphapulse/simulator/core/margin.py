"""Margin: what perpetual positions and orders of an account tie up, by settle asset."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from alphapulse.domain.money import EXACT, ZERO, total
from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.instrument import Category, Instrument
from alphapulse.simulator.core.order import Order, OrderState
from alphapulse.simulator.core.position import Position, PositionSide

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
    isolated_wallet: Decimal = ZERO
    """Part of ``wallet`` that stands behind isolated positions."""
    cross_unrealized_pnl: Decimal = ZERO
    cross_maintenance: Decimal = ZERO

    @property
    def equity(self) -> Decimal:
        return EXACT.add(self.wallet, self.unrealized_pnl)

    @property
    def cross_wallet(self) -> Decimal:
        return EXACT.subtract(self.wallet, self.isolated_wallet)

    @property
    def cross_equity(self) -> Decimal:
        """What stands behind all cross positions together."""
        return EXACT.add(self.cross_wallet, self.cross_unrealized_pnl)


def report(account: Account, asset: str, mark_price: MarkPrice) -> MarginReport:
    """Margin of everything that settles in ``asset``."""
    positions = [p for p in account.positions.values() if p.instrument.settle == asset]
    crossed = [p for p in positions if p.isolated_atoms is None]
    isolated = total([p.isolated_margin for p in positions])
    cross_pnl = _profit(crossed, mark_price)
    ordered = total([order_margin(account, order) for order in _orders(account, asset)])
    wallet = account.wallet_of(Category.LINEAR)
    return MarginReport(
        asset=asset,
        wallet=wallet.total(asset),
        unrealized_pnl=_profit(positions, mark_price),
        position_initial=_initial(account, positions),
        order_initial=ordered,
        maintenance=_maintenance(positions, mark_price),
        available=total(
            [wallet.free(asset), cross_pnl, -isolated, -_initial(account, crossed), -ordered]
        ),
        isolated_wallet=isolated,
        cross_unrealized_pnl=cross_pnl,
        cross_maintenance=_maintenance(crossed, mark_price),
    )


def liquidation_price(
    account: Account, position: Position, mark_price: MarkPrice
) -> Decimal | None:
    """Where a position is taken over, all others unchanged; ``None``: nowhere."""
    if position.isolated_atoms is not None:
        return position.liquidation_price(position.isolated_margin)
    whole = report(account, position.instrument.quote, mark_price)
    mark = mark_price(position.instrument)
    others = total([position.maintenance_margin(mark), -whole.cross_maintenance])
    profit = EXACT.subtract(whole.cross_equity, position.unrealized_pnl(mark))
    return position.liquidation_price(EXACT.add(profit, others))


def order_margin(account: Account, order: Order) -> Decimal:
    """What an open order would tie up if it were filled at its limit."""
    opening = opening_lots(
        account, order.instrument, order.side, order.open_lots, order.position_side
    )
    if order.reduce_only or not opening:
        return Decimal(0)
    value = EXACT.multiply(order.limit_price, order.instrument.quantity(opening))
    return EXACT.divide(value, account.leverage_of(order.instrument.name))


def opening_lots(
    account: Account,
    instrument: Instrument,
    side: Side,
    lots: int,
    position_side: PositionSide = PositionSide.BOTH,
) -> int:
    """How many of ``lots`` would open or add to a position rather than reduce one."""
    return max(0, lots - reducible_lots(account, instrument, side, position_side))


def reducible_lots(
    account: Account,
    instrument: Instrument,
    side: Side,
    position_side: PositionSide = PositionSide.BOTH,
) -> int:
    """How much an order of ``side`` could at most reduce."""
    position = account.position(instrument.name, position_side)
    if position is None or (position.lots > 0) == (side is Side.BUY):
        return 0
    return abs(position.lots)


def _profit(positions: list[Position], mark_price: MarkPrice) -> Decimal:
    return total([p.unrealized_pnl(mark_price(p.instrument)) for p in positions])


def _initial(account: Account, positions: list[Position]) -> Decimal:
    return total([p.initial_margin(account.leverage_of(p.instrument.name)) for p in positions])


def _maintenance(positions: list[Position], mark_price: MarkPrice) -> Decimal:
    return total([p.maintenance_margin(mark_price(p.instrument)) for p in positions])


def _orders(account: Account, asset: str) -> list[Order]:
    return [
        order
        for order in account.open_orders.values()
        if order.instrument.category is Category.LINEAR
        and order.instrument.settle == asset
        # What waits for its price ties nothing up until then.
        and order.state is not OrderState.UNTRIGGERED
    ]
