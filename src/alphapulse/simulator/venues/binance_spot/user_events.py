"""User events: what the WebSocket API tells an account about itself."""

from decimal import Decimal

from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.events import BalancesChanged, Happening, OrderChanged
from alphapulse.simulator.core.order import Fill, Order
from alphapulse.simulator.venues.binance.market_rows import SIDES, ZERO, Row, text
from alphapulse.simulator.venues.binance_spot.rows import (
    execution_id,
    order_type,
    status,
    time_in_force,
    working_ms,
)

_EXECUTIONS = {
    Happening.PLACED: "NEW",
    Happening.TRIGGERED: "NEW",
    Happening.FILLED: "TRADE",
    Happening.CANCELED: "CANCELED",
    Happening.EXPIRED: "EXPIRED",
    Happening.REJECTED: "REJECTED",
    Happening.AMENDED: "REPLACED",
}


def execution_report(event: OrderChanged) -> Row:
    """What befell an order. After a cancel ``c`` is the cancel's id and ``C`` the order's; after an
    amend ``c`` is the new id and ``C`` the one before."""
    order, fill = event.order, event.fill
    name, before = order.client_order_id, ""
    if event.cancel_id is not None:
        is_cancel = event.happening is Happening.CANCELED
        name, before = (event.cancel_id, name) if is_cancel else (name, event.cancel_id)
    execution = _EXECUTIONS[event.happening]
    if execution == "REJECTED":
        execution = status(order)
    working = working_ms(order)
    return {
        "e": "executionReport",
        "E": event.at_ms,
        "s": order.instrument.name,
        "c": name,
        "S": SIDES[order.side],
        "o": order_type(order),
        "f": time_in_force(order),
        "q": text(order.quantity),
        "p": text(order.limit_price),
        "P": text(order.stop_price),
        **_trail(order),
        "F": ZERO,
        "g": -1,
        "C": before,
        "x": execution,
        "X": status(order),
        "r": (order.reject_reason or "none").upper(),
        "i": order.id,
        **_last_fill(fill),
        "z": text(order.filled_quantity),
        "T": event.at_ms,
        "I": execution_id(order, fill),
        "w": order.state.is_open and fill is None and working > 0,
        "M": fill is not None,
        "O": order.created_ms,
        "Z": text(order.filled_notional),
        "Q": text(order.quote_quantity),
        **({"W": working} if working > 0 else {}),
        "V": "NONE",
        **_expiry_reason(event),
    }


def _trail(order: Order) -> Row:
    trigger = order.trigger
    return {} if trigger is None or trigger.trail is None else {"d": trigger.trail.bips}


def _expiry_reason(event: OrderChanged) -> Row:
    """Nothing (more) to match is the only way an order expires here, unless its trigger came."""
    is_expiry = event.happening is Happening.EXPIRED
    return {"eR": "INSUFFICIENT_LIQUIDITY"} if is_expiry else {}


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
