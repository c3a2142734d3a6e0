"""Conditional orders in Bybit's words: triggers, their prices and directions, and their kinds.

Source: https://bybit-exchange.github.io/docs/v5/order/create-order and /v5/enum, 2026-11.
"""

from alphapulse.domain.money import plain
from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.instrument import Category, Instrument
from alphapulse.simulator.core.order import Order, OrderState
from alphapulse.simulator.core.trigger import Crossing, PriceKind, TriggerRequest
from alphapulse.simulator.venues.bybit import codes
from alphapulse.simulator.venues.bybit.codes import BybitError
from alphapulse.simulator.venues.bybit.params import Params

DIRECTIONS = {"1": Crossing.RISING, "2": Crossing.FALLING}
_NUMBERS = {crossing: int(number) for number, crossing in DIRECTIONS.items()}

# The index is the mark here: one driver speaks for both.
TRIGGER_BY = {
    "LastPrice": PriceKind.LAST,
    "MarkPrice": PriceKind.MARK,
    "IndexPrice": PriceKind.MARK,
}
_PRICE_NAMES = {PriceKind.LAST: "LastPrice", PriceKind.MARK: "MarkPrice"}

PLAIN, STOP, TPSL = "Order", "StopOrder", "tpslOrder"
FILTERS = (PLAIN, STOP, TPSL)


def trigger_by(params: Params, name: str) -> PriceKind:
    """Which price a trigger watches; the last one unless said."""
    if params.optional(name) is None:
        return PriceKind.LAST
    return params.choice(name, TRIGGER_BY)


def trigger_request(params: Params, category: Category) -> TriggerRequest | None:
    """What an order waits for; ``None``: nothing.

    Raises:
        BybitError: a contract's order that does not say from which side, or an unknown filter.
    """
    wanted = params.optional("orderFilter") or PLAIN
    if wanted not in FILTERS:
        raise BybitError(codes.PARAMS, "params error: orderFilter invalid")
    price = params.decimal("triggerPrice")
    if not price:
        if wanted != PLAIN:
            raise BybitError(codes.PARAMS, "params error: triggerPrice invalid")
        return None
    crossing = None
    if category is Category.LINEAR:
        crossing = params.choice("triggerDirection", DIRECTIONS)
    return TriggerRequest(
        price=price,
        crossing=crossing,
        by=trigger_by(params, "triggerBy"),
        locks_funds=category is Category.SPOT and wanted == TPSL,
    )


def order_filter(order: Order) -> str:
    """Which of the venue's lists an order is in."""
    if order.trigger is None or order.triggered_ms:
        return PLAIN
    is_spot = order.instrument.category is Category.SPOT
    return TPSL if is_spot and order.trigger.locks_funds else STOP


def is_profit(order: Order) -> bool:
    """Whether a trigger takes a profit of the position that the order would reduce."""
    trigger = order.trigger
    return trigger is not None and (trigger.crossing is Crossing.RISING) == (
        order.side is Side.SELL
    )


def stop_kind(order: Order) -> str:
    """``stopOrderType``; empty for an order without a trigger."""
    trigger = order.trigger
    if trigger is None:
        return ""
    if trigger.trail is not None:
        return "TrailingStop"
    if trigger.ends_with_position:
        name = "TakeProfit" if is_profit(order) else "StopLoss"
        return name if order.close_position else f"Partial{name}"
    is_tpsl = order.instrument.category is Category.SPOT and trigger.locks_funds
    return "tpslOrder" if is_tpsl else "Stop"


def trigger_fields(order: Order) -> dict[str, object]:
    """What an order row says about its trigger."""
    trigger = order.trigger
    if trigger is None:
        return {"triggerPrice": "0", "triggerDirection": 0, "triggerBy": ""}
    ticks = trigger.stop_ticks or trigger.ticks
    return {
        "triggerPrice": plain(order.instrument.price(ticks)),
        "triggerDirection": _NUMBERS[trigger.fires],
        "triggerBy": _PRICE_NAMES[trigger.by],
    }


def standing_stops(account: Account, instrument: Instrument) -> dict[str, Order]:
    """The stops that protect a whole position, by ``stopOrderType``."""
    return {
        stop_kind(order): order
        for order in account.open_orders.values()
        if order.instrument is instrument
        and order.close_position
        and order.state is OrderState.UNTRIGGERED
    }


def was_never_triggered(order: Order) -> bool:
    """It ended while it was still waiting for its price."""
    is_over = order.state in {OrderState.CANCELED, OrderState.EXPIRED}
    return order.trigger is not None and is_over and not order.triggered_ms
