"""Shelf: orders that wait, for a price or for their end."""

from heapq import heappop, heappush

from alphapulse.simulator.core.instrument import Category, MarketStatus
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import Order, OrderState


class Shelf:
    """Untriggered orders by market, oldest first, and the ends of those that have one."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[Category, str], dict[int, Order]] = {}
        self._ends: list[tuple[int, int, Order]] = []

    def add(self, order: Order) -> None:
        """Let an open order wait for its price, its end, or both."""
        if order.state is OrderState.UNTRIGGERED:
            self._waiting.setdefault(order.instrument.key, {})[order.id] = order
        if order.expires_ms:
            heappush(self._ends, (order.expires_ms, order.id, order))

    def remove(self, order: Order) -> None:
        """It waits for no price any more."""
        self._waiting.get(order.instrument.key, {}).pop(order.id, None)

    def reached(self, market: Market) -> list[Order]:
        """Those whose price the market has come to; the others' trails follow it."""
        reached: list[Order] = []
        if market.status is not MarketStatus.TRADING:
            return reached
        for order in self._waiting.get(market.instrument.key, {}).values():
            ticks = 0 if order.trigger is None else market.ticks_by(order.trigger.by)
            if order.trigger is not None and ticks:
                order.trigger = order.trigger.seen(ticks)
                if order.trigger.is_reached(ticks):
                    reached.append(order)
        return reached

    def ended(self, now_ms: int) -> list[Order]:
        """Those that are still open and whose time is over; each is named once."""
        over: list[Order] = []
        while self._ends and self._ends[0][0] <= now_ms:
            _, _, order = heappop(self._ends)
            if order.state.is_open:
                over.append(order)
        return over
