"""User events: what the futures tell an account about itself."""

from collections.abc import Iterable
from decimal import Decimal

from alphapulse.domain.money import EXACT
from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.events import (
    BalancesChanged,
    Cause,
    Happening,
    LeverageChanged,
    OrderChanged,
    PositionChanged,
)
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.order import Fill, Order, OrderState, Origin
from alphapulse.simulator.core.position import Position
from alphapulse.simulator.venues.binance.market_rows import SIDES, Row, eight, text
from alphapulse.simulator.venues.binance_usdm import rows
from alphapulse.simulator.venues.binance_usdm.holdings import break_even
from alphapulse.simulator.venues.binance_usdm.rows import average_price, grid

_EXECUTIONS = {
    Happening.PLACED: "NEW",
    Happening.TRIGGERED: "NEW",
    Happening.FILLED: "TRADE",
    Happening.CANCELED: "CANCELED",
    Happening.EXPIRED: "EXPIRED",
    Happening.REJECTED: "REJECTED",
    Happening.AMENDED: "AMENDMENT",
}
_REASONS = {
    Cause.ORDER: "ORDER",
    Cause.FUNDING: "FUNDING_FEE",
    Cause.MARGIN: "MARGIN_TRANSFER",
    Cause.LIQUIDATION: "INSURANCE_CLEAR",
    Cause.INSURANCE: "INSURANCE_CLEAR",
}


def _reason(event: BalancesChanged) -> str:
    """What comes from elsewhere is a deposit to this wallet, wherever it was."""
    is_in = event.delta is None or event.delta > 0
    return _REASONS.get(event.cause, "DEPOSIT" if is_in else "WITHDRAW")


def order_update(event: OrderChanged) -> Row:
    """What befell an order of the book."""
    order, fill = event.order, event.fill
    forced = order.origin is not Origin.CLIENT
    execution = "CALCULATED" if forced and fill else _EXECUTIONS[event.happening]
    return {
        "e": "ORDER_TRADE_UPDATE",
        "T": event.at_ms,
        "E": event.at_ms,
        "o": {
            "s": order.instrument.name,
            "c": order.client_order_id,
            "S": SIDES[order.side],
            "o": rows.order_type(order),
            "f": rows.time_in_force(order),
            "q": grid(order.quantity),
            "p": grid(order.limit_price),
            "ap": average_price(order),
            "sp": grid(order.stop_price),
            "x": execution,
            "X": rows.STATES[order.state],
            "i": order.id,
            **_last_fill(order, fill),
            "z": grid(order.filled_quantity),
            "T": event.at_ms,
            "b": _resting_value(order, Side.BUY),
            "a": _resting_value(order, Side.SELL),
            "R": order.reduce_only,
            "wt": rows.working_type(order.trigger),
            "ot": rows.algo_type(order),
            "ps": order.position_side.upper(),
            "cp": order.close_position,
            "AP": grid(order.stop_price) if rows.callback_rate(order) else "0",
            "cr": str(rows.callback_rate(order)),
            "pP": False,
            "si": 0,
            "ss": 0,
            "V": "NONE",
            "pm": "NONE",
            "gtd": order.expires_ms,
        },
    }


def _last_fill(order: Order, fill: Fill | None) -> Row:
    if fill is None:
        zero = grid(order.instrument.quantity(0))
        fee = {"N": order.instrument.quote, "n": "0"}
        return {"l": zero, "L": "0", **fee, "t": 0, "m": False, "rp": "0"}
    return {
        "l": grid(fill.quantity),
        "L": grid(fill.price),
        "N": fill.fee_asset,
        "n": text(fill.fee),
        "t": fill.trade_id,
        "m": fill.is_maker,
        "rp": eight(fill.realized_pnl),
    }


def _resting_value(order: Order, side: Side) -> str:
    """What an order still asks for, quote currency, on its own side of the book."""
    if order.side is not side or not order.state.is_open:
        return "0"
    return text(EXACT.multiply(order.limit_price, order.remaining_quantity))


def trade_lite(event: OrderChanged, fill: Fill) -> Row:
    """A fill in short, ahead of the order's own event."""
    order = event.order
    return {
        "e": "TRADE_LITE",
        "E": event.at_ms,
        "T": event.at_ms,
        "s": order.instrument.name,
        "q": grid(order.quantity),
        "p": grid(order.limit_price),
        "m": fill.is_maker,
        "c": order.client_order_id,
        "S": SIDES[order.side],
        "L": grid(fill.price),
        "l": grid(fill.quantity),
        "t": fill.trade_id,
        "i": order.id,
    }


def algo_update(event: OrderChanged) -> Row:
    """What befell an order of the algo service."""
    order = event.order
    was_taken = rows.is_in_book_family(order)
    return {
        "e": "ALGO_UPDATE",
        "T": event.at_ms,
        "E": event.at_ms,
        "o": {
            "caid": order.client_order_id,
            "aid": order.id,
            "at": "CONDITIONAL",
            "o": rows.algo_type(order),
            "s": order.instrument.name,
            "S": SIDES[order.side],
            "ps": order.position_side.upper(),
            "f": rows.time_in_force(order),
            "q": grid(order.quantity),
            "X": rows.algo_status(order),
            "ai": str(order.id) if was_taken else "",
            "ap": average_price(order),
            "aq": grid(order.filled_quantity),
            "act": rows.order_type(order) if was_taken else "0",
            "tp": grid(order.stop_price),
            "p": grid(order.limit_price),
            "V": "NONE",
            "wt": rows.working_type(order.trigger),
            "pm": "NONE",
            "cp": order.close_position,
            "pP": False,
            "R": order.reduce_only,
            "tt": order.triggered_ms,
            "gtd": order.expires_ms,
            "rm": order.reject_reason,
        },
    }


def tells_algo(event: OrderChanged) -> bool:
    """Whether an event changes what the algo service says of an order."""
    if not rows.is_conditional(event.order):
        return False
    is_final = not event.order.state.is_open
    waits = event.order.state is OrderState.UNTRIGGERED
    return waits or is_final or event.happening is Happening.TRIGGERED


def tells_book(event: OrderChanged) -> bool:
    """Whether an event is about an order that the book knows."""
    return rows.is_in_book_family(event.order)


def account_update(
    event: BalancesChanged, account: Account, venue: Venue, moved: Iterable[PositionChanged]
) -> Row:
    """Balances that changed, and the positions that changed with them."""
    return {
        "e": "ACCOUNT_UPDATE",
        "T": event.at_ms,
        "E": event.at_ms,
        "a": {
            "m": _reason(event),
            "B": [_balance(event, account, venue, asset) for asset in event.assets],
            "P": [_position(change, account, venue) for change in moved],
        },
    }


def _balance(event: BalancesChanged, account: Account, venue: Venue, asset: str) -> Row:
    report = venue.margin(account, asset)
    return {
        "a": asset,
        "wb": text(account.wallet_of(Category.LINEAR).total(asset)),
        "cw": text(report.cross_wallet),
        "bc": text(event.delta or Decimal(0)),
    }


def _position(change: PositionChanged, account: Account, venue: Venue) -> Row:
    instrument, position = change.instrument, change.position
    name = instrument.name
    profit = position.unrealized_pnl(venue.mark_price(instrument)) if position else Decimal(0)
    return {
        "s": name,
        "pa": grid(position.quantity if position else instrument.quantity(0)),
        "ep": eight(position.entry_price) if position else "0",
        "bep": break_even(account, position),
        "cr": text(position.realized_pnl if position else Decimal(0)),
        "up": text(profit),
        "mt": "isolated" if name in account.isolated else "cross",
        "iw": text(position.isolated_margin if position else Decimal(0)),
        "ps": change.side.upper(),
    }


def leverage_update(event: LeverageChanged) -> Row:
    return {
        "e": "ACCOUNT_CONFIG_UPDATE",
        "E": event.at_ms,
        "T": event.at_ms,
        "ac": {"s": event.instrument.name, "l": int(event.leverage)},
    }


def margin_call(
    account: Account, venue: Venue, positions: Iterable[Position], cross_wallet: Decimal, at_ms: int
) -> Row:
    """The positions that come near their liquidation."""
    return {
        "e": "MARGIN_CALL",
        "E": at_ms,
        "cw": text(cross_wallet),
        "p": [
            {
                "s": position.instrument.name,
                "ps": position.side.upper(),
                "pa": grid(position.quantity),
                "mt": "CROSSED" if position.isolated_atoms is None else "ISOLATED",
                "iw": text(position.isolated_margin),
                "mp": text(venue.mark_price(position.instrument)),
                "up": text(position.unrealized_pnl(venue.mark_price(position.instrument))),
                "mm": eight(position.maintenance_margin(venue.mark_price(position.instrument))),
            }
            for position in positions
        ],
    }


def listen_key_expired(listen_key: str, at_ms: int) -> Row:
    return {"e": "listenKeyExpired", "E": at_ms, "listenKey": listen_key}
