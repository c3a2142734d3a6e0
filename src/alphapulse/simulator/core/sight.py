"""Sight: what a venue lets a customer see of his own orders, which is not always what is so.

Questions go through here; whatever changes an order works on the truth.
"""

import random
from collections.abc import Callable
from copy import copy
from typing import TypeVar

from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import Fill, Order, OrderState
from alphapulse.simulator.core.profile import VenueProfile
from alphapulse.simulator.core.refusal import RefusalReason, Refused

T = TypeVar("T")


class Sight:
    """Answers by the venue's profile: honestly, late, or with lies. The same seed lies alike."""

    def __init__(
        self, profile: Callable[[], VenueProfile], now_ms: Callable[[], int], seed: str
    ) -> None:
        self._profile = profile
        self._now_ms = now_ms
        self._random = random.Random(seed)

    def order(
        self,
        account: Account,
        market: Market,
        *,
        order_id: int | None = None,
        client_order_id: str | None = None,
    ) -> Order:
        """One order, open or final; the venue's id counts before the client's.

        Raises:
            Refused: UNKNOWN_ORDER, also of an order that exists.
        """
        known = find(account, market, order_id=order_id, client_order_id=client_order_id)
        if not self._is_visible(known.created_ms):
            raise Refused(RefusalReason.UNKNOWN_ORDER)
        if not self._lies():
            return known
        if self._random.random() < 0.5:
            raise Refused(RefusalReason.UNKNOWN_ORDER)
        return _contradicted(known)

    def open_orders(self, account: Account) -> list[Order]:
        """Oldest first."""
        return self._thinned(self._seen(list(account.open_orders.values())))

    def orders(self, account: Account) -> list[Order]:
        """All that are kept, oldest first."""
        return self._thinned(self._seen(account.orders))

    def final_orders(self, account: Account) -> list[Order]:
        """In the order in which they ended."""
        return self._thinned(self._seen(list(account.final_orders)))

    def fills(self, account: Account) -> list[Fill]:
        """Oldest first."""
        if not self._profile().visibility_lag_ms:
            return self._thinned(list(account.fills))
        return self._thinned([fill for fill in account.fills if self._is_visible(fill.at_ms)])

    def _seen(self, orders: list[Order]) -> list[Order]:
        if not self._profile().visibility_lag_ms:
            return orders
        return [order for order in orders if self._is_visible(order.created_ms)]

    def _is_visible(self, since_ms: int) -> bool:
        return self._now_ms() - since_ms >= self._profile().visibility_lag_ms

    def _lies(self) -> bool:
        share = self._profile().lie_share
        return share > 0 and self._random.random() < share

    def _thinned(self, things: list[T]) -> list[T]:
        """A list that a liar tells lacks about half of what it should hold, at least one thing."""
        if not things or not self._lies():
            return things
        lost = self._random.randrange(len(things))
        return [t for i, t in enumerate(things) if i != lost and self._random.random() < 0.5]


def find(
    account: Account,
    market: Market,
    *,
    order_id: int | None = None,
    client_order_id: str | None = None,
) -> Order:
    """The order of an id, as it is: UNKNOWN_ORDER when there is none in this market."""
    if order_id is not None:
        known = account.orders_by_id.get(order_id)
    else:
        known = account.orders_by_client_id.get(client_order_id or "")
    if known is None or known.instrument is not market.instrument:
        raise Refused(RefusalReason.UNKNOWN_ORDER)
    return known


# What a liar says instead.
_OPPOSITE = {
    OrderState.UNTRIGGERED: OrderState.CANCELED,
    OrderState.NEW: OrderState.CANCELED,
    OrderState.PARTIALLY_FILLED: OrderState.NEW,
    OrderState.FILLED: OrderState.CANCELED,
    OrderState.CANCELED: OrderState.NEW,
    OrderState.EXPIRED: OrderState.NEW,
    OrderState.REJECTED: OrderState.NEW,
}


def _contradicted(order: Order) -> Order:
    """The order as it never was: with another status and nothing filled."""
    told = copy(order)
    told.state = _OPPOSITE[order.state]
    told.filled_lots = told.filled_quote_atoms = 0
    told.fills = []
    return told
