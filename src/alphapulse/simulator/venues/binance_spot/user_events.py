"""User events: what the WebSocket API tells an account about itself."""

from decimal import Decimal

from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.events import BalancesChanged, Happening, OrderChanged
from alphapulse.simulator.core.order import Fill, Order
from alphapulse.simulator.venues.binance.market_rows import SIDES, ZERO, Row, text
from alphapulse.simulator.venues.binance_spot.rows import STATES, order_type, time_in_force

_EXECUTIONS = {
    Happening.PLACED: "NEW",
    Happening.FILLED: "TRADE",
    Happening.CANCELED: "CANCELED",
    Happening.EXPIRED: "EXPIRED",
    Happening.REJECTED: "REJECTED",
    Happening.AMENDED: "REPLACED",
}


def execution_report(event: OrderChanged) -> Row:
    """What befell an order. After a cancel ``c`` is the cancel's id and ``C`` the order's."""
    order, fill = event.order, event.fill
    is_cancel = event.cancel_id is not None
    # Nothing (more) to match is the only way an order expires here.
    why = {"eR": "INSUFFICIENT_LIQUIDITY"} if event.happening is Happening.EXPIRED else {}
    return {
        "e": "executionReport",
        "E": event.at_ms,
        "s": order.instrument.name,
        "c": event.cancel_id if is_cancel else order.client_order_id,
        "S": SIDES[order.side],
        "o": order_type(order),
        "f": time_in_force(order),
        "q": text(order.quantity),
        "p": text(order.limit_price),
        "P": ZERO,
        "F": ZERO,
        "g": -1,
        "C": order.client_order_id if is_cancel else "",
        "x": _EXECUTIONS[event.happening],
        "X": STATES[order.state],
        "r": order.reject_reason or "NONE",
        "i": order.id,
        **_last_fill(fill),
        "z": text(order.filled_quantity),
        "T": event.at_ms,
        "I": _execution_id(order, fill),
        "w": order.state.is_open and fill is None,
        "M": fill is not None,
        "O": order.created_ms,
        "Z": text(order.filled_notional),
        "Q": text(order.quote_quantity),
        "W": order.created_ms,
        "V": "NONE",
        **why,
    }


def _last_fill(fill: Fill | None) -> Row:
    if fill is None:
        nothing = {"l": ZERO, "L": ZERO, "n": "0", "N": None, "t": -1, "m": False, "Y": ZERO}
        return dict(nothing)
    return {
        "l": text(fill.quantity),
        "L": text(fill.price),
        "n": text(fill.fee),
        "N": fill.fee_asset,
        "t": fill.trade_id,
        "m": fill.is_maker,
        "Y": text(fill.notional),
    }


def _execution_id(order: Order, fill: Fill | None) -> int:
    """Rises with every report of an order."""
    return order.id * 1000 + len(order.fills) + (0 if fill is None else 1)


def account_position(account: Account, assets: tuple[str, ...], at_ms: int) -> Row:
    """Only the assets that changed."""
    wallet = account.wallet
    return {
        "e": "outboundAccountPosition",
        "E": at_ms,
        "u": at_ms,
        "B": [
            {"a": asset, "f": text(wallet.free(asset)), "l": text(wallet.locked(asset))}
            for asset in assets
        ],
    }


def balance_update(event: BalancesChanged) -> Row:
    """Money came from outside or left."""
    return {
        "e": "balanceUpdate",
        "E": event.at_ms,
        "a": event.assets[0],
        "d": text(event.delta or Decimal(0)),
        "T": event.at_ms,
    }


def stream_terminated(at_ms: int) -> Row:
    return {"e": "eventStreamTerminated", "E": at_ms}
