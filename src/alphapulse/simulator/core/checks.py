"""Checks: the venue's filters, pure. An order that passes them fits the integer book."""

from decimal import Decimal

from alphapulse.domain.money import EXACT, is_multiple
from alphapulse.simulator.core.instrument import Instrument
from alphapulse.simulator.core.order import OrderKind, OrderRequest
from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.core.trigger import WHOLE_BIPS, TriggerRequest


def check(request: OrderRequest, instrument: Instrument, reference: Decimal) -> None:
    """Refuse what does not fit the grid and the limits of the instrument.

    Args:
        reference: the price the band and a market order's notional are measured by.

    Raises:
        Refused: PRICE_FILTER, PERCENT_PRICE, LOT_SIZE, MARKET_LOT_SIZE, NOTIONAL or
            TRIGGER_INVALID.
    """
    if request.kind is OrderKind.LIMIT:
        check_price(_needed(request.limit_price), instrument, reference)
    if request.quantity is not None:
        check_quantity(request.quantity, instrument)
    if request.kind is OrderKind.MARKET:
        _check_market_size(request, instrument)
    if request.trigger is not None:
        _check_trigger(request.trigger, instrument, reference)
    if not (request.reduce_only or request.close_position):
        _check_notional(request, instrument, reference)


def check_price(price: Decimal, instrument: Instrument, reference: Decimal) -> None:
    """On the grid, above zero, and not absurdly far from the market."""
    if price <= 0 or not is_multiple(price, instrument.tick_size):
        raise Refused(RefusalReason.PRICE_FILTER)
    band = instrument.price_band
    if price > EXACT.multiply(reference, band) or EXACT.multiply(price, band) < reference:
        raise Refused(RefusalReason.PERCENT_PRICE)


def check_quantity(quantity: Decimal, instrument: Instrument) -> None:
    """On the grid and within the limits."""
    is_within = instrument.min_quantity <= quantity <= instrument.max_quantity
    if quantity <= 0 or not is_within or not is_multiple(quantity, instrument.lot_size):
        raise Refused(RefusalReason.LOT_SIZE)


def check_notional(price: Decimal, quantity: Decimal, instrument: Instrument) -> None:
    """Not worth less than the venue bothers with."""
    if EXACT.multiply(price, quantity) < instrument.min_notional:
        raise Refused(RefusalReason.NOTIONAL)


def _check_trigger(trigger: TriggerRequest, instrument: Instrument, reference: Decimal) -> None:
    """Something to wait for: a price on the grid, a trail within reason, or both."""
    if trigger.price is not None:
        check_price(trigger.price, instrument, reference)
    if trigger.trail is None:
        if trigger.price is None:
            raise Refused(RefusalReason.TRIGGER_INVALID)
        return
    bips, distance = trigger.trail.bips, trigger.trail.distance
    is_one = (bips > 0) != (distance > 0)
    if not is_one or not 0 <= bips < WHOLE_BIPS or distance < 0:
        raise Refused(RefusalReason.TRIGGER_INVALID)


def _check_market_size(request: OrderRequest, instrument: Instrument) -> None:
    if request.quantity is not None and request.quantity > instrument.max_market_quantity:
        raise Refused(RefusalReason.MARKET_LOT_SIZE)


def _check_notional(request: OrderRequest, instrument: Instrument, reference: Decimal) -> None:
    if request.quantity is None:
        if _needed(request.quote_quantity) < instrument.min_notional:
            raise Refused(RefusalReason.NOTIONAL)
        return
    price = request.limit_price or (request.trigger.price if request.trigger else None)
    check_notional(price or reference, request.quantity, instrument)


def _needed(value: Decimal | None) -> Decimal:
    if value is None:
        raise ValueError("a limit order needs a price, an order some quantity")
    return value
