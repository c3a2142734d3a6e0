"""Order states: only evidence moves an order, and what cannot be is left for a person."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from alphapulse.domain import order_states
from alphapulse.domain.identifiers import ExchangeOrderId, Symbol
from alphapulse.domain.order import Fill, Order, OrderStatus, Side
from tests.builders import NOW, make_fill, make_order, make_own_order

LATER = NOW + timedelta(minutes=1)
S = OrderStatus

PREPARED = make_own_order()
SENDING = order_states.moved(PREPARED, S.SENDING, NOW)
UNKNOWN = order_states.moved(SENDING, S.UNKNOWN, NOW, "no answer")
NOT_PLACED = order_states.moved(UNKNOWN, S.NOT_PLACED, NOW)


def at_venue(status: OrderStatus = S.OPEN, filled: str = "0", **changes: object) -> Order:
    described = make_order(9, client_order_id=PREPARED.client_order_id, status=status)
    return replace(described, filled_quantity=Decimal(filled), **changes)  # type: ignore[arg-type]


OPEN = order_states.told(SENDING, at_venue(), NOW)
PENDING = order_states.moved(OPEN, S.CANCEL_PENDING, NOW)
FILLED = order_states.told(SENDING, at_venue(S.FILLED, "2"), NOW)
CANCELED = order_states.told(OPEN, at_venue(S.CANCELED), NOW)
REJECTED = order_states.moved(SENDING, S.REJECTED, NOW, "no funds")
WITHDRAWN = order_states.moved(PREPARED, S.WITHDRAWN, NOW)


@pytest.mark.parametrize("known", [SENDING, UNKNOWN, NOT_PLACED], ids=lambda o: o.status)
def test_what_the_venue_shows_ends_all_doubt(known: Order) -> None:
    found = order_states.told(known, at_venue(S.PARTIALLY_FILLED, "0.5"), LATER)
    assert (found.status, found.filled_quantity) == (S.PARTIALLY_FILLED, Decimal("0.5"))
    assert found.exchange_order_id == "9"
    assert found.uncertain_since is None
    assert found.acknowledged_at == LATER


def test_doubt_remembers_when_it_began() -> None:
    assert UNKNOWN.uncertain_since == NOW
    assert UNKNOWN.status_reason == "no answer"
    assert SENDING.sent_at == NOW


@pytest.mark.parametrize(
    ("known", "described"),
    [
        (FILLED, at_venue(S.CANCELED, "2", updated_at=LATER)),
        (FILLED, at_venue(S.OPEN, "1", updated_at=LATER)),
        (CANCELED, at_venue(S.OPEN, updated_at=LATER)),
        (OPEN, at_venue(updated_at=LATER)),
        (order_states.told(OPEN, at_venue(S.PARTIALLY_FILLED, "1"), NOW), at_venue(S.OPEN)),
    ],
    ids=["filled then canceled", "filled then open", "canceled then open", "same", "older"],
)
def test_what_is_old_or_no_news_changes_nothing(known: Order, described: Order) -> None:
    assert order_states.told(known, described, LATER) == known


def test_an_order_that_is_being_canceled_stays_so_until_it_has_ended() -> None:
    half = order_states.told(PENDING, at_venue(S.PARTIALLY_FILLED, "1"), LATER)
    assert (half.status, half.filled_quantity) == (S.CANCEL_PENDING, Decimal(1))
    ended = order_states.told(half, at_venue(S.CANCELED, "1"), LATER)
    assert ended.status is S.CANCELED


def test_a_canceled_order_that_was_filled_after_all_moves() -> None:
    late = order_states.told(CANCELED, at_venue(S.CANCELED, "0.5"), LATER)
    assert (late.status, late.filled_quantity) == (S.CANCELED, Decimal("0.5"))
    whole = order_states.told(CANCELED, at_venue(S.FILLED, "2"), LATER)
    assert whole.status is S.FILLED


@pytest.mark.parametrize(
    ("known", "described"),
    [
        (OPEN, at_venue(side=Side.SELL)),
        (OPEN, at_venue(symbol=Symbol("ETH/USDT"))),
        (OPEN, at_venue(exchange_order_id=ExchangeOrderId("10"))),
        (OPEN, at_venue(S.FILLED, "3")),
        (WITHDRAWN, at_venue()),
        (PREPARED, at_venue()),
        (REJECTED, at_venue()),
    ],
    ids=["side", "symbol", "second order", "overfilled", "withdrawn", "prepared", "rejected"],
)
def test_what_cannot_be_is_quarantined(known: Order, described: Order) -> None:
    found = order_states.told(known, described, LATER)
    assert found.status is S.QUARANTINED
    assert found.status_reason
    assert found.exchange_order_id == known.exchange_order_id
    assert order_states.told(found, described, LATER).status is S.QUARANTINED


def test_a_rejection_the_venue_repeats_is_no_contradiction() -> None:
    assert order_states.told(REJECTED, at_venue(S.REJECTED), LATER).status is S.REJECTED


def test_an_order_that_its_owner_amended_follows_the_venue() -> None:
    amended = at_venue(quantity=Decimal(3), limit_price=Decimal(63000), updated_at=LATER)
    found = order_states.told(OPEN, amended, LATER)
    assert (found.quantity, found.limit_price) == (Decimal(3), Decimal(63000))


def test_fills_count_in_every_state_and_in_any_order() -> None:
    one, two = make_fill(1, quantity=Decimal(1)), make_fill(2, quantity=Decimal(1))
    assert order_states.filled(OPEN, [one], LATER).status is S.PARTIALLY_FILLED
    assert order_states.filled(PENDING, [one], LATER).status is S.CANCEL_PENDING
    assert order_states.filled(CANCELED, [one], LATER).filled_quantity == Decimal(1)
    whole = order_states.filled(CANCELED, [two, one], LATER)
    assert whole == order_states.filled(CANCELED, [one, two], LATER)
    assert whole.status is S.FILLED
    assert order_states.filled(whole, [one], LATER) == whole


@pytest.mark.parametrize("known", [WITHDRAWN, REJECTED], ids=lambda o: o.status)
def test_a_fill_of_an_order_that_never_was_is_a_contradiction(known: Order) -> None:
    found = order_states.filled(known, [make_fill(1, quantity=Decimal(1))], LATER)
    assert found.status is S.QUARANTINED
    assert found.filled_quantity == Decimal(1)


def test_more_fills_than_were_asked_for_are_a_contradiction() -> None:
    found = order_states.filled(OPEN, [make_fill(1, quantity=Decimal("2.1"))], LATER)
    assert found.status is S.QUARANTINED


def test_a_fill_that_was_heard_of_late_makes_no_description_old() -> None:
    fill = make_fill(1, quantity=Decimal(1), occurred_at=NOW)
    known = order_states.filled(OPEN, [fill], LATER)
    amended = at_venue(S.PARTIALLY_FILLED, "1", limit_price=Decimal(63000), updated_at=NOW)
    assert order_states.told(known, amended, LATER).limit_price == Decimal(63000)


def fills_of(quantity: str) -> list[Fill]:
    return [make_fill(1, quantity=Decimal(quantity))]


AMENDING = order_states.amending(OPEN, Decimal(5))


def test_until_the_venue_has_said_which_an_amended_order_may_be_filled_to_either_quantity() -> None:
    old = order_states.filled(AMENDING, fills_of("2"), LATER)
    assert (old.status, old.quantity) == (S.PARTIALLY_FILLED, Decimal(2))
    more = order_states.filled(AMENDING, fills_of("3"), LATER)
    assert (more.status, more.quantity) == (S.PARTIALLY_FILLED, Decimal(5))
    whole = order_states.filled(AMENDING, fills_of("5"), LATER)
    assert (whole.status, whole.quantity) == (S.FILLED, Decimal(5))
    assert order_states.filled(AMENDING, fills_of("5.1"), LATER).status is S.QUARANTINED


def test_the_venues_description_settles_an_amendment_however_late_it_is_told() -> None:
    amended = at_venue(quantity=Decimal(5), updated_at=LATER)
    found = order_states.told(AMENDING, amended, LATER)
    assert (found.quantity, found.amending_to) == (Decimal(5), None)
    ahead = order_states.filled(AMENDING, fills_of("2"), LATER)
    behind = order_states.told(ahead, replace(amended, updated_at=NOW), LATER)
    assert (behind.quantity, behind.filled_quantity) == (Decimal(5), Decimal(2))
    assert (behind.status, behind.amending_to) == (S.PARTIALLY_FILLED, None)


def test_a_description_from_before_an_amendment_does_not_undo_it_when_it_is_told_after() -> None:
    amended = order_states.told(AMENDING, at_venue(quantity=Decimal(5), updated_at=LATER), LATER)
    late = order_states.told(amended, at_venue(updated_at=AMENDING.updated_at), LATER)
    assert (late.quantity, late.updated_at) == (Decimal(5), LATER)


def test_a_description_from_before_an_amendment_settles_nothing() -> None:
    before = order_states.told(AMENDING, at_venue(S.PARTIALLY_FILLED, "1", updated_at=LATER), LATER)
    assert (before.quantity, before.amending_to) == (Decimal(2), Decimal(5))
    ended = order_states.told(AMENDING, at_venue(S.FILLED, "2", updated_at=LATER), LATER)
    assert (ended.status, ended.quantity, ended.amending_to) == (S.FILLED, Decimal(2), None)


def test_a_refused_amendment_leaves_the_order_as_its_fills_made_it() -> None:
    assert order_states.not_amended(AMENDING, None) == OPEN
    whole = order_states.filled(AMENDING, fills_of("2"), LATER)
    assert order_states.not_amended(whole, None).status is S.FILLED
    # An earlier one is in doubt still.
    assert order_states.not_amended(AMENDING, Decimal(3)).amending_to == Decimal(3)


def test_an_amendment_to_less_leaves_the_limit_where_it_is() -> None:
    assert order_states.amending(OPEN, Decimal(1)) == OPEN
    assert order_states.amending(OPEN, None) == OPEN
    assert order_states.amending(AMENDING, Decimal(3)) == AMENDING


@pytest.mark.parametrize(
    ("known", "to"),
    [(PREPARED, S.OPEN), (FILLED, S.OPEN), (OPEN, S.NOT_PLACED), (CANCELED, S.UNKNOWN)],
    ids=lambda x: str(getattr(x, "status", x)),
)
def test_our_own_steps_follow_the_machine(known: Order, to: OrderStatus) -> None:
    with pytest.raises(AssertionError):
        order_states.moved(known, to, LATER)
