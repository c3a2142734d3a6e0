"""Entry: what a request must be to become an order, and the order that it becomes."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from alphapulse.simulator.core import checks, margin
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.instrument import MarketStatus, atoms_of
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import Order, OrderRequest, OrderState, TimeInForce
from alphapulse.simulator.core.profile import ClientIds, VenueProfile
from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.core.trigger import Trigger, TriggerRequest, trigger_of


class Entry:
    """The venue's front desk: checks requests, and numbers the orders."""

    def __init__(
        self,
        client_ids: ClientIds,
        profile: Callable[[], VenueProfile],
        now_ms: Callable[[], int],
    ) -> None:
        self._client_ids = client_ids
        self._profile = profile
        self._now_ms = now_ms
        self.next_order_id = 1_000_001

    def check(self, account: Account, market: Market, request: OrderRequest) -> None:
        """Say whether it could become an order, funds aside.

        Raises:
            Refused: why not.
        """
        if market.status is not MarketStatus.TRADING:
            raise Refused(RefusalReason.MARKET_CLOSED)
        checks.check(request, market.rules, market.last_price or Decimal(0))
        self._check_identity(account, market, request)
        self._check_expiry(request)
        if request.trigger is not None:
            check_trigger(market, request, request.trigger)
            return
        if request.reduce_only and not margin.reducible_lots(
            account, market.instrument, request.side, request.position_side
        ):
            raise Refused(RefusalReason.REDUCE_ONLY)
        if request.time_in_force is TimeInForce.POST_ONLY and request.limit_price is not None:
            check_maker(market, request, market.instrument.ticks(request.limit_price))

    def make(self, account: Account, market: Market, request: OrderRequest) -> Order:
        """A new order that is in nobody's list yet."""
        instrument = market.instrument
        now_ms, order_id = self._now_ms(), self.next_order_id
        self.next_order_id += 1
        return Order(
            id=order_id,
            client_order_id=request.client_order_id or f"sim-{order_id}",
            account_id=account.id,
            instrument=instrument,
            side=request.side,
            kind=request.kind,
            time_in_force=request.time_in_force,
            ticks=instrument.ticks(request.limit_price) if request.limit_price else 0,
            lots=instrument.lots(request.quantity) if request.quantity else 0,
            quote_atoms=atoms_of(request.quote_quantity) if request.quote_quantity else 0,
            reduce_only=request.reduce_only,
            position_side=request.position_side,
            close_position=request.close_position,
            close_on_trigger=request.close_on_trigger,
            expires_ms=request.expires_ms,
            trigger=_trigger(market, request),
            state=OrderState.UNTRIGGERED if request.trigger else OrderState.NEW,
            created_ms=now_ms,
            updated_ms=now_ms,
        )

    def _check_identity(self, account: Account, market: Market, request: OrderRequest) -> None:
        if request.client_order_id and self._is_taken(account, request.client_order_id):
            raise Refused(RefusalReason.DUPLICATE_CLIENT_ID)
        of_market = (o for o in account.open_orders.values() if o.instrument is market.instrument)
        if sum(1 for _ in of_market) >= market.instrument.max_open_orders:
            raise Refused(RefusalReason.MAX_NUM_ORDERS)

    def _is_taken(self, account: Account, name: str) -> bool:
        profile = self._profile()
        used_ms = account.client_ids.get(name)
        match profile.client_ids or self._client_ids:
            case ClientIds.OPEN:
                known = account.orders_by_client_id.get(name)
                return known is not None and known.state.is_open
            case ClientIds.WINDOW:
                since_ms = self._now_ms() - profile.client_id_window_ms
                return used_ms is not None and used_ms > since_ms
            case ClientIds.FOREVER:
                return used_ms is not None
            case ClientIds.NONE:
                return False

    def _check_expiry(self, request: OrderRequest) -> None:
        is_timed = request.time_in_force is TimeInForce.GTD
        if is_timed != (request.expires_ms > 0) or (is_timed and self._is_over(request)):
            raise Refused(RefusalReason.EXPIRY_INVALID)

    def _is_over(self, request: OrderRequest) -> bool:
        return request.expires_ms <= self._now_ms()


@dataclass(frozen=True, slots=True)
class Change:
    """What an amend asks for; ``None`` leaves a thing as it is."""

    quantity: Decimal | None = None
    """The new total, what is filled included."""
    limit_price: Decimal | None = None
    trigger: TriggerRequest | None = None
    client_order_id: str | None = None


def check_maker(market: Market, order: OrderRequest | Order, ticks: int) -> None:
    """Refuse a post-only order that would take: WOULD_MATCH."""
    is_maker_only = order.time_in_force is TimeInForce.POST_ONLY
    if is_maker_only and market.book.would_cross(order.side, ticks):
        raise Refused(RefusalReason.WOULD_MATCH)


def check_trigger(market: Market, order: OrderRequest | Order, request: TriggerRequest) -> Trigger:
    """The trigger, unless the market has already reached it: WOULD_TRIGGER."""
    now_ticks = market.ticks_by(request.by)
    trigger = trigger_of(request, market.instrument, order.side, now_ticks)
    if trigger.trail is None and now_ticks and trigger.is_reached(now_ticks):
        raise Refused(RefusalReason.WOULD_TRIGGER, trigger.crossing)
    return trigger


def size(account: Account, market: Market, order: Order) -> None:
    """Fix how much an order is for, where that depends on the moment it begins to work.

    Raises:
        Refused: REDUCE_ONLY, there is nothing to reduce.
    """
    if order.reduce_only or order.close_position:
        reducible = margin.reducible_lots(
            account, order.instrument, order.side, order.position_side
        )
        if not reducible:
            raise Refused(RefusalReason.REDUCE_ONLY)
        order.lots = reducible if order.close_position else min(order.lots, reducible)
    if order.quote_atoms:
        budget = order.quote_atoms // order.instrument.tick_lot_atoms
        order.lots = market.book.lots_for(order.side, budget)


def changed(market: Market, order: Order, change: Change) -> tuple[int, int]:
    """Lots and limit ticks of an open order after a change.

    Raises:
        Refused: a filter, or what the order may not become.
    """
    instrument = market.instrument
    if change.quantity is not None:
        checks.check_quantity(change.quantity, market.rules)
    if change.limit_price is not None:
        checks.check_price(change.limit_price, market.rules, market.last_price or Decimal(0))
    lots = order.lots if change.quantity is None else instrument.lots(change.quantity)
    ticks = order.ticks if change.limit_price is None else instrument.ticks(change.limit_price)
    if lots <= order.filled_lots and not (order.close_position or order.quote_atoms):
        raise Refused(RefusalReason.LOT_SIZE)
    if order.state is not OrderState.UNTRIGGERED:
        check_maker(market, order, ticks)
    if ticks and not order.reduce_only:
        checks.check_notional(instrument.price(ticks), instrument.quantity(lots), market.rules)
    return lots, ticks


def _trigger(market: Market, request: OrderRequest) -> Trigger | None:
    if request.trigger is None:
        return None
    now_ticks = market.ticks_by(request.trigger.by)
    return trigger_of(request.trigger, market.instrument, request.side, now_ticks)
