"""Fills, cancels and amendments of one order race each other and the news of them; whatever
overtakes what, nothing impossible is ever believed, and the truth is known at the end.

The venue is a model of a few lines and honest: it may be late, repeat itself and show old
snapshots, and it never lies. What arrives goes through `order_states` alone.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from unittest.mock import patch

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from alphapulse.domain import order_states
from alphapulse.domain.identifiers import ExchangeOrderId
from alphapulse.domain.money import ZERO
from alphapulse.domain.order import Fill, Order, OrderOrigin, OrderStatus
from tests.builders import NOW, make_fill, make_own_order
from tests.effects import effects_of

S = OrderStatus

RUNS = settings(max_examples=50, stateful_step_count=25)
"""Of up to 25 rules each: about a thousand races, fills and tellings."""

HUNT = settings(
    RUNS,
    max_examples=1000,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
"""Of a wrong rule: the first failure will do, as it is found."""

# A draw of some number picks one of what there is to tell: hypothesis shrinks numbers well.
some = st.integers(0, 30)


class ModelVenue:
    """One order at its venue: its versions, of which the last is true, and its fills."""

    def __init__(self, quantity: int) -> None:
        self.seconds = 0
        ours = make_own_order(quantity=Decimal(quantity), exchange_order_id=ExchangeOrderId("1"))
        self.versions = [replace(ours, status=S.OPEN, origin=OrderOrigin.EXTERNAL)]
        self.fills: list[Fill] = []

    @property
    def truth(self) -> Order:
        return self.versions[-1]

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def fill(self, part: int) -> None:
        """So much of what is left; also of an order that has just been canceled."""
        left = self.truth.remaining_quantity or ZERO
        quantity = min(Decimal(part), left)
        number = len(self.fills) + 1
        ours = self.truth.client_order_id
        self._now_is(filled_quantity=self.truth.filled_quantity + quantity)
        one = make_fill(number, quantity=quantity, client_order_id=ours, occurred_at=self.now())
        self.fills.append(one)
        if quantity == left:
            self._become(S.FILLED)
        elif self.truth.status.is_open:
            self._become(S.PARTIALLY_FILLED)

    def end(self, status: OrderStatus) -> None:
        self._now_is(status=status)

    def amend(self, quantity: Decimal) -> None:
        """To less or more, and never to what is filled already."""
        self._now_is(quantity=quantity)

    def _now_is(self, **changes: object) -> None:
        self.seconds += 1
        self.versions.append(replace(self.truth, updated_at=self.now(), **changes))  # type: ignore[arg-type]

    def _become(self, status: OrderStatus) -> None:
        self.versions[-1] = replace(self.truth, status=status)


class OrderRaces(RuleBasedStateMachine):
    """``known`` is what we believe of the order, ``heard`` the fills that we were told."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: dict[str, Fill] = {}
        self.asks_cancel = False
        self.asks_for: Decimal | None = None
        """The larger quantity that is on its way to the venue."""

    @initialize(quantity=st.integers(2, 6), is_answered=st.booleans())
    def place(self, quantity: int, is_answered: bool) -> None:
        self.venue = ModelVenue(quantity)
        ours = replace(self.venue.truth, exchange_order_id=None, origin=OrderOrigin.ALPHAPULSE)
        self.known = replace(ours, status=S.SENDING, sent_at=NOW)
        if is_answered:
            self.poll()

    # What happens at the venue.

    @precondition(lambda self: self.venue.truth.status.is_open)
    @rule(part=st.integers(1, 3))
    def fill(self, part: int) -> None:
        self.venue.fill(part)

    @precondition(lambda self: self.venue.truth.status is S.CANCELED)
    @rule()
    def fill_what_was_just_canceled(self) -> None:
        if self.venue.truth.remaining_quantity:
            self.venue.fill(1)

    @precondition(lambda self: self.venue.truth.status.is_open and len(self.venue.versions) > 3)
    @rule(status=st.sampled_from([S.CANCELED, S.EXPIRED]))
    def end(self, status: OrderStatus) -> None:
        self.venue.end(status)

    @precondition(lambda self: self.venue.truth.status.is_open)
    @rule(by=st.integers(1, 2))
    def amend_down(self, by: int) -> None:
        truth = self.venue.truth
        quantity = (truth.quantity or ZERO) - by
        if quantity > truth.filled_quantity:
            self.venue.amend(quantity)

    # What we do.

    @precondition(lambda self: self.known.status in {S.OPEN, S.PARTIALLY_FILLED})
    @rule()
    def ask_to_cancel(self) -> None:
        self.asks_cancel = True
        self._become(order_states.moved(self.known, S.CANCEL_PENDING, self._later()))

    @precondition(lambda self: self.asks_cancel)
    @rule()
    def cancel_arrives(self) -> None:
        self.asks_cancel = False
        if self.venue.truth.status.is_open:
            self.venue.end(S.CANCELED)

    @precondition(lambda self: self.known.status in {S.OPEN, S.PARTIALLY_FILLED})
    @precondition(lambda self: self.asks_for is None and self.known.amending_to is None)
    @rule(by=st.integers(1, 3))
    def ask_for_more(self, by: int) -> None:
        """More than it ever had: what a description shows is then said once and for all."""
        most = max(one.quantity or ZERO for one in self.venue.versions)
        self.asks_for = most + by
        self._become(order_states.amending(self.known, self.asks_for))

    @precondition(lambda self: self.asks_for is not None)
    @rule()
    def amendment_arrives(self) -> None:
        quantity, self.asks_for = self.asks_for, None
        if quantity is not None and self.venue.truth.status.is_open:
            self.venue.amend(quantity)

    @precondition(lambda self: S.UNKNOWN in order_states.MOVES.get(self.known.status, ()))
    @rule()
    def hear_nothing_for_too_long(self) -> None:
        self._become(order_states.moved(self.known, S.UNKNOWN, self._later()))

    # What we are told.

    @rule(which=some)
    def be_told_a_version(self, which: int) -> None:
        """By the stream, late or twice; or by a poll, from a snapshot that is old."""
        versions = self.venue.versions
        self._hear(versions[which % len(versions)])

    @rule()
    def poll(self) -> None:
        self._hear(self.venue.truth)

    @precondition(lambda self: self.venue.fills)
    @rule(which=some)
    def be_told_a_fill(self, which: int) -> None:
        self._hear_fill(self.venue.fills[which % len(self.venue.fills)])

    @rule()
    def be_told_every_fill(self) -> None:
        for one in self.venue.fills:
            self._hear_fill(one)

    def _hear(self, version: Order) -> None:
        self._become(order_states.told(self.known, version, self._later()))

    def _hear_fill(self, fill: Fill) -> None:
        self.heard[fill.trade_id] = fill
        self._become(order_states.filled(self.known, self.heard.values(), self._later()))

    def _become(self, after: Order) -> None:
        assert after.filled_quantity >= self.known.filled_quantity, "it is filled less"
        self.known = after

    def _later(self) -> datetime:
        """We hear of everything after it happened."""
        self.venue.seconds += 1
        return self.venue.now()

    # What may never be.

    @invariant()
    def nothing_impossible_is_believed(self) -> None:
        known, truth = self.known, self.venue.truth
        assert known.status is not S.QUARANTINED, known.status_reason
        assert known.filled_quantity <= (known.quantity or ZERO), "more than was asked for"
        assert known.filled_quantity <= truth.filled_quantity, "more than was executed"
        if known.status.is_final:
            assert not truth.status.is_open, f"{known.status}, and {truth.status} at the venue"

    @invariant()
    def fills_are_counted_once(self) -> None:
        heard = sum((one.quantity for one in self.heard.values()), ZERO)
        assert heard <= self.known.filled_quantity

    def teardown(self) -> None:
        """All is told, in its order and against it; and then the truth is known."""
        if not hasattr(self, "venue"):
            return
        if self.asks_cancel:
            self.cancel_arrives()
        self.amendment_arrives()
        self.be_told_every_fill()
        for version in (*self.venue.versions, *reversed(self.venue.versions)):
            self._hear(version)
        self.nothing_impossible_is_believed()
        known, truth = self.known, self.venue.truth
        assert (known.status, known.filled_quantity) == (truth.status, truth.filled_quantity)
        if truth.status.is_final:
            assert known.quantity == truth.quantity
        assert effects_of(self.heard.values()) == effects_of(self.venue.fills)


TestOrderRaces = OrderRaces.TestCase
TestOrderRaces.settings = RUNS


# Wrong rules, each of which somebody in a hurry would make.


def _told_last(by_venue: Order, known: Order) -> bool:
    return True


def _whole(order: Order, quantity: Decimal) -> OrderStatus:
    return S.FILLED


def _on_top(order: Order, fills: object, at: datetime) -> Order:
    return replace(order, filled_quantity=order.filled_quantity + 1)


def _not_yet(order: Order, quantity: Decimal | None) -> Order:
    return order


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("is_newer", _told_last),
        ("_status_when_filled", _whole),
        ("filled", _on_top),
        ("amending", _not_yet),
    ],
)
def test_races_find_a_wrong_rule(name: str, wrong: Callable[..., object]) -> None:
    with patch.object(order_states, name, wrong), pytest.raises(AssertionError):
        run_state_machine_as_test(OrderRaces, settings=HUNT)
