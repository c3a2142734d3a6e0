"""Order states: how an order moves, and what may be believed about it.

    PREPARED -> SENDING -> OPEN -> PARTIALLY_FILLED -> FILLED
       |          |         `-> CANCEL_PENDING -> CANCELED, or EXPIRED by the venue
       |          |-> REJECTED    on the venue's definitive word
       |          |-> PREPARED    it is proved that no byte left
       |          `-> UNKNOWN     on anything else -> what the venue shows, or NOT_PLACED
       `-> WITHDRAWN              never sent

Pure: no clock, no I/O. Only evidence ends an order; filled quantity never falls; what cannot be
is QUARANTINED for a person and not repaired. Source: ``reliability.md`` 1.3.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from alphapulse.domain.identifiers import ClientOrderId, ExchangeId
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.order import Fill, Order, OrderOrigin, OrderRequest, OrderStatus

_S = OrderStatus

# Venue states as evidence, the later the further: of two descriptions with the same filled
# quantity the further one is the newer one.
_RANK = {
    _S.PREPARED: 0,
    _S.SENDING: 1,
    _S.NOT_PLACED: 1,
    _S.UNKNOWN: 1,
    _S.OPEN: 2,
    _S.PARTIALLY_FILLED: 3,
    _S.CANCEL_PENDING: 4,
}

_AT_VENUE = frozenset(
    {_S.OPEN, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED}
)

MOVES: dict[OrderStatus, frozenset[OrderStatus]] = {
    _S.PREPARED: frozenset({_S.SENDING, _S.WITHDRAWN}),
    _S.SENDING: _AT_VENUE | {_S.UNKNOWN, _S.PREPARED},
    _S.UNKNOWN: _AT_VENUE | {_S.NOT_PLACED},
    # Watched: one that arrives after all is taken over, and said loudly.
    _S.NOT_PLACED: _AT_VENUE,
    _S.OPEN: _AT_VENUE | {_S.CANCEL_PENDING, _S.UNKNOWN},
    _S.PARTIALLY_FILLED: _AT_VENUE | {_S.CANCEL_PENDING, _S.UNKNOWN},
    _S.CANCEL_PENDING: _AT_VENUE | {_S.UNKNOWN},
}
"""Where our own steps may lead; the venue's word goes through `told`."""


def prepared(
    request: OrderRequest,
    exchange: ExchangeId,
    client_order_id: ClientOrderId,
    at: datetime,
    *,
    origin: OrderOrigin = OrderOrigin.ALPHAPULSE,
) -> Order:
    """The order of a request that passed its checks, before anything is sent."""
    return Order(
        account_id=request.account_id,
        exchange=exchange,
        symbol=request.symbol,
        exchange_order_id=None,
        client_order_id=client_order_id,
        side=request.side,
        type=request.type,
        time_in_force=request.time_in_force,
        post_only=request.post_only,
        reduce_only=request.reduce_only,
        quantity=request.quantity,
        filled_quantity=ZERO,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        average_price=None,
        status=_S.PREPARED,
        origin=origin,
        created_at=at,
        updated_at=at,
        quote_quantity=request.quote_quantity,
        expires_at=request.expires_at,
    )


def moved(order: Order, status: OrderStatus, at: datetime, reason: str | None = None) -> Order:
    """One step of our own protocol."""
    assert status in MOVES.get(order.status, frozenset()), f"{order.status} -> {status}"
    return _in(order, status, at, reason)


def quarantined(order: Order, reason: str, at: datetime) -> Order:
    """What cannot be: kept as it is, for a person to look at."""
    return _in(order, _S.QUARANTINED, at, reason)


def amending(order: Order, quantity: Decimal | None) -> Order:
    """The order while the venue is asked to change its quantity: fills up to the larger one may be
    told before the answer, and after an answer that never came."""
    if quantity is None or order.quantity_max is None or quantity <= order.quantity_max:
        return order
    return replace(order, amending_to=quantity)


def not_amended(order: Order, before: Decimal | None) -> Order:
    """The order after the venue refused that; ``before`` is what was in doubt before it."""
    is_whole = before is None and order.filled_quantity == order.quantity
    status = _S.FILLED if is_whole and order.status.is_open else order.status
    return replace(order, amending_to=before, status=status)


def told(known: Order, by_venue: Order, at: datetime) -> Order:
    """What we track of ``known`` after the venue described it as ``by_venue``.

    Streams and polls overtake and contradict each other; the order of their arrival changes
    nothing at the end. ``at`` is our time.
    """
    if (wrong := contradiction(known, by_venue)) is not None:
        return known if known.status is _S.QUARANTINED else quarantined(known, wrong, at)
    if by_venue.quantity is not None and by_venue.quantity == known.amending_to:
        # However old: nobody but our amendment made it so, and what is older was before it.
        updated_at = max(known.updated_at, by_venue.updated_at)
        known = replace(known, quantity=known.amending_to, amending_to=None, updated_at=updated_at)
    if not is_newer(by_venue, known):
        return _completed(known, by_venue)
    status = _status_after(known, by_venue)
    after = replace(
        _completed(known, by_venue),
        # Its owner may have amended it, here or at the venue.
        quantity=by_venue.quantity if by_venue.quantity is not None else known.quantity,
        limit_price=by_venue.limit_price or known.limit_price,
        stop_price=by_venue.stop_price or known.stop_price,
        average_price=by_venue.average_price or known.average_price,
        filled_quantity=max(known.filled_quantity, by_venue.filled_quantity),
        status=status,
        status_reason=by_venue.status_reason if status is not known.status else known.status_reason,
        acknowledged_at=_acknowledged_at(known, at),
        uncertain_since=_uncertain_since(known, status, at),
        updated_at=by_venue.updated_at,
        amending_to=_still_in_doubt(known, by_venue),
    )
    # A later look at the same order is no change.
    return known if replace(after, updated_at=known.updated_at) == known else after


def is_newer(by_venue: Order, known: Order) -> bool:
    """Whether a description may replace what is known; clocks decide last."""
    if by_venue.filled_quantity != known.filled_quantity:
        return by_venue.filled_quantity > known.filled_quantity
    if known.status.is_final and known.status is not _S.NOT_PLACED:
        return False
    if by_venue.status.is_final or known.status.is_uncertain:
        return True
    known_rank, told_rank = _RANK.get(known.status, 0), _RANK.get(by_venue.status, 0)
    if known.status is _S.CANCEL_PENDING:
        return by_venue.updated_at > known.updated_at
    return (told_rank, by_venue.updated_at) >= (known_rank, known.updated_at)


def contradiction(known: Order, by_venue: Order) -> str | None:
    """Why both cannot be the same order, or ``None``."""
    if by_venue.side is not known.side or by_venue.symbol != known.symbol:
        return "the venue shows another symbol or side under its id"
    ids = {known.exchange_order_id, by_venue.exchange_order_id} - {None}
    if len(ids) > 1:
        return "two orders at the venue for one intent"
    if known.status in {_S.PREPARED, _S.WITHDRAWN}:
        return "the venue has an order that was never sent"
    if known.status is _S.REJECTED and by_venue.status is not _S.REJECTED:
        return "the venue has an order that it rejected"
    quantity = by_venue.quantity
    if quantity is not None and by_venue.filled_quantity > quantity:
        return "more was filled than was asked for"
    return None


def filled(order: Order, fills: Iterable[Fill], at: datetime) -> Order:
    """The order after *all* of its fills known so far: they are facts in every state.

    A late fill moves an order that had ended; more than was asked for is a contradiction.
    """
    quantity = notional = ZERO
    # On the venue's clock: when we heard of it says nothing about other descriptions.
    updated_at = order.updated_at
    for one in fills:
        updated_at = max(updated_at, one.occurred_at)
        quantity = EXACT.add(quantity, one.quantity)
        notional = EXACT.add(notional, EXACT.multiply(one.quantity, one.price))
    if quantity <= order.filled_quantity:
        return order
    order = replace(
        order,
        filled_quantity=quantity,
        average_price=EXACT.divide(notional, quantity),
        acknowledged_at=_acknowledged_at(order, at),
        uncertain_since=None,
        updated_at=updated_at,
    )
    if order.quantity_max is not None and quantity > order.quantity_max:
        return quarantined(order, "more was filled than was asked for", at)
    if order.status in {_S.WITHDRAWN, _S.REJECTED}:
        return quarantined(order, f"a fill of an order that was {order.status}", at)
    if order.quantity is not None and quantity > order.quantity:
        # So it was amended.
        order = replace(order, quantity=order.amending_to, amending_to=None)
    return replace(order, status=_status_when_filled(order, quantity))


def disputed(order: Order, trade_id: str, at: datetime) -> Order:
    """The order after the venue told one of its fills with other numbers than before."""
    if order.status is _S.QUARANTINED:
        return order
    return quarantined(order, f"the venue told the trade {trade_id} in two ways", at)


def _status_when_filled(order: Order, quantity: Decimal) -> OrderStatus:
    if order.quantity_max is not None and quantity == order.quantity_max:
        return order.status if order.status is _S.QUARANTINED else _S.FILLED
    if order.status in {_S.CANCELED, _S.EXPIRED, _S.FILLED, _S.CANCEL_PENDING, _S.QUARANTINED}:
        return order.status
    return _S.PARTIALLY_FILLED


def _status_after(known: Order, by_venue: Order) -> OrderStatus:
    if known.status is _S.QUARANTINED:
        return known.status
    if known.status.is_final and known.status is not _S.NOT_PLACED:
        # Only more was filled: an end stays an end, and a complete one is complete.
        whole = by_venue.quantity is not None and by_venue.filled_quantity == by_venue.quantity
        return _S.FILLED if whole else known.status
    if known.status is _S.CANCEL_PENDING and by_venue.status.is_open:
        return known.status
    return by_venue.status


def _still_in_doubt(known: Order, by_venue: Order) -> Decimal | None:
    """The amendment that a description does not settle: it may be on its way still."""
    asked = known.amending_to
    if asked is None or by_venue.status.is_final or (by_venue.quantity or ZERO) >= asked:
        return None
    return asked


def _completed(known: Order, by_venue: Order) -> Order:
    """``known`` with the names the venue gave it."""
    return replace(
        known,
        exchange_order_id=known.exchange_order_id or by_venue.exchange_order_id,
        client_order_id=known.client_order_id or by_venue.client_order_id,
        time_in_force=known.time_in_force or by_venue.time_in_force,
    )


def _in(order: Order, status: OrderStatus, at: datetime, reason: str | None) -> Order:
    return replace(
        order,
        status=status,
        status_reason=reason,
        updated_at=at,
        sent_at=at if status is _S.SENDING else order.sent_at,
        uncertain_since=_uncertain_since(order, status, at),
    )


def _acknowledged_at(order: Order, at: datetime) -> datetime | None:
    return order.acknowledged_at or (at if order.is_ours else None)


def _uncertain_since(order: Order, status: OrderStatus, at: datetime) -> datetime | None:
    return (order.uncertain_since or at) if status is _S.UNKNOWN else None
