"""Runs: an order path of paper that crashes, refuses, fills in parts and forgets to answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse.domain.money import ZERO
from alphapulse.domain.order import OrderStatus, OrderType, Side
from alphapulse.domain.rebalance.constraints import OnTimeout, Style
from alphapulse.domain.rebalance.plan import Plan
from alphapulse.domain.rebalance.run import (
    ATTEMPTS_MAX,
    Cancel,
    Leg,
    LegOrder,
    LegStatus,
    Run,
    RunStatus,
    Send,
    advance,
    begin,
    halt,
    pause,
    resume,
    stop,
)
from alphapulse.errors import Conflict
from tests.unit.domain.rebalance.builders import FEE, NOW, plan, situation

PRICES = {"BTC": "50000", "ETH": "2500", "SOL": "100"}


def make_plan(**style: object) -> Plan:
    """Sell 0.06 BTC for 3,000, buy ETH for 2,000 and SOL for 1,000."""
    world = situation(PRICES, {"BTC": "0.2"})
    targets = {"BTC": "0.7", "ETH": "0.2", "SOL": "0.1"}
    return plan(world, targets, style=Style(**style))  # type: ignore[arg-type]


@dataclass
class Paper:
    """Stores a run and its legs, and does what a step says, as the order path would."""

    plan: Plan
    run: Run = field(init=False)
    legs: tuple[Leg, ...] = field(init=False)
    orders: dict[str, LegOrder] = field(default_factory=dict)
    sends: list[Send] = field(default_factory=list)
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.run, self.legs = begin("r1", self.plan)

    def step(self, crash_before: int | None = None) -> None:
        """Store, then act; a crash loses the actions from the named one on."""
        step = advance(self.run, self.legs, self.orders, self.now)
        self.run, self.legs = step.run, step.legs
        for action in step.actions[:crash_before]:
            if isinstance(action, Send) and action.key not in self.orders:
                self.sends.append(action)
                self.orders[action.key] = LegOrder(OrderStatus.OPEN, ZERO, ZERO)
            elif isinstance(action, Cancel) and self.orders[action.key].status.is_open:
                self.tell(action.key, OrderStatus.CANCELED)

    def tell(self, key: str, status: OrderStatus, filled: Decimal | None = None) -> None:
        """The venue says what became of an order."""
        known = self.orders[key]
        quantity = known.filled_quantity if filled is None else filled
        sent = next(one for one in self.sends if one.key == key).request
        trade = next(leg.trade for leg in self.legs if leg.key == key)
        brought = quantity
        if sent.side is Side.SELL:
            brought = quantity * trade.est_price * (1 - FEE)
        self.orders[key] = LegOrder(status, quantity, brought)

    def fill(self, key: str, share: str = "1") -> None:
        request = next(one for one in self.sends if one.key == key).request
        assert request.quantity is not None
        quantity = request.quantity * Decimal(share)
        self.tell(key, OrderStatus.FILLED if share == "1" else OrderStatus.CANCELED, quantity)

    @property
    def statuses(self) -> list[str]:
        return [leg.status.value for leg in self.legs]

    @property
    def sent(self) -> Mapping[str, Decimal | None]:
        return {one.key: one.request.quantity for one in self.sends}


def key(seq: int, attempt: int = 0) -> str:
    return f"rebalance:r1:{seq}:{attempt}"


def test_purchases_wait_for_the_sale_and_go_as_planned_after_it() -> None:
    paper = Paper(make_plan())
    paper.step()
    assert paper.statuses == ["sent", "waiting", "waiting"]
    paper.step()
    assert list(paper.sent) == [key(1)]
    paper.fill(key(1))
    paper.step()
    assert paper.sent == {key(t.seq): t.quantity for t in paper.plan.trades}
    assert paper.sends[1].request.limit_price == paper.plan.trades[1].limit_price
    paper.fill(key(2))
    paper.fill(key(3))
    paper.step()
    assert paper.run.status is RunStatus.DONE


def test_purchases_are_scaled_to_what_the_sale_really_brought() -> None:
    paper = Paper(make_plan())
    paper.step()
    paper.fill(key(1), "0.5")
    paper.step()
    for trade in paper.plan.trades[1:]:
        sent = paper.sent[key(trade.seq)]
        assert sent is not None
        assert trade.quantity / 2 - trade.lot_size <= sent <= trade.quantity / 2
    paper.fill(key(2))
    paper.fill(key(3))
    paper.step()
    assert paper.run.status is RunStatus.PARTIAL
    assert paper.statuses == ["partly", "filled", "filled"]


def test_without_proceeds_nothing_is_bought() -> None:
    """MCRBot#17 the other way round: no purchase is sent with money that never came."""
    paper = Paper(make_plan())
    paper.step()
    paper.tell(key(1), OrderStatus.REJECTED)
    paper.step()
    assert paper.statuses == ["failed", "skipped", "skipped"]
    assert [leg.reason for leg in paper.legs] == ["rejected", "no_proceeds", "no_proceeds"]
    assert paper.run.status is RunStatus.FAILED


def test_an_order_of_unknown_fate_holds_its_account() -> None:
    paper = Paper(make_plan())
    paper.step()
    paper.tell(key(1), OrderStatus.UNKNOWN)
    paper.now += timedelta(hours=1)
    paper.step()
    assert list(paper.sent) == [key(1)]
    assert paper.statuses == ["sent", "waiting", "waiting"]
    paper.fill(key(1))
    paper.step()
    assert len(paper.sends) == 3


@pytest.mark.parametrize(
    ("on_timeout", "statuses", "run"),
    [
        (OnTimeout.CANCEL, ["partly", "sent", "sent"], RunStatus.RUNNING),
        (OnTimeout.LEAVE, ["sent", "sent", "sent"], RunStatus.RUNNING),
        (OnTimeout.MARKET, ["sent", "waiting", "waiting"], RunStatus.RUNNING),
    ],
)
def test_a_limit_order_that_is_not_filled_in_time(
    on_timeout: OnTimeout, statuses: list[str], run: RunStatus
) -> None:
    paper = Paper(make_plan(on_timeout=on_timeout))
    paper.step()
    paper.tell(key(1), OrderStatus.PARTIALLY_FILLED, Decimal("0.02"))
    paper.now += timedelta(seconds=60)
    for _ in range(3):
        paper.step()
    assert paper.statuses == statuses
    assert paper.run.status is run
    if on_timeout is OnTimeout.MARKET:
        request = paper.sends[-1].request
        assert (paper.sends[-1].key, request.type) == (key(1, 1), OrderType.MARKET)
        assert request.quantity == paper.plan.trades[0].quantity - Decimal("0.02")
        assert request.limit_price is None
        paper.fill(key(1, 1))
        paper.step()
        assert paper.legs[0].filled == paper.plan.trades[0].quantity
        assert paper.legs[0].brought == paper.plan.trades[0].got
        assert paper.sent[key(2)] == paper.plan.trades[1].quantity


def test_a_paused_run_sends_nothing_new_and_goes_on_where_it_was() -> None:
    paper = Paper(make_plan())
    paper.step()
    paper.run = pause(paper.run)
    paper.fill(key(1))
    paper.step()
    assert paper.statuses == ["filled", "waiting", "waiting"]
    paper.run = resume(paper.run)
    paper.step()
    assert paper.statuses == ["filled", "sent", "sent"]


def test_a_halted_run_does_not_send_what_it_had_decided() -> None:
    paper = Paper(make_plan())
    paper.step(crash_before=0)
    paper.run = halt(paper.run)
    paper.step()
    assert paper.sends == []
    paper.run = resume(paper.run)
    paper.step()
    assert list(paper.sent) == [key(1)]


def test_a_stopped_run_cancels_what_is_open_and_drops_the_rest() -> None:
    paper = Paper(make_plan())
    paper.step()
    paper.tell(key(1), OrderStatus.PARTIALLY_FILLED, Decimal("0.02"))
    paper.run = stop(paper.run)
    paper.step()
    assert not paper.run.status.is_final
    paper.step()
    assert paper.run.status is RunStatus.STOPPED
    assert paper.statuses == ["partly", "skipped", "skipped"]
    assert paper.legs[0].filled == Decimal("0.02")
    with pytest.raises(Conflict):
        stop(paper.run)


def test_an_order_left_in_the_book_is_canceled_by_a_stop() -> None:
    paper = Paper(make_plan(on_timeout=OnTimeout.LEAVE))
    paper.step()
    paper.now += timedelta(seconds=60)
    paper.step()
    assert paper.legs[0].is_left
    paper.run = stop(paper.run)
    paper.step()
    paper.step()
    assert not any(one.status.is_open for one in paper.orders.values())
    assert paper.run.status is RunStatus.STOPPED


def test_a_cancel_that_was_lost_is_asked_again() -> None:
    paper = Paper(make_plan())
    paper.step()
    paper.now += timedelta(seconds=60)
    paper.step(crash_before=0)
    assert paper.orders[key(1)].status is OrderStatus.OPEN
    paper.now += timedelta(seconds=60)
    paper.step()
    assert paper.orders[key(1)].status is OrderStatus.CANCELED


def test_a_plan_without_trades_is_done_at_once() -> None:
    paper = Paper(replace(make_plan(), trades=()))
    paper.step()
    assert paper.run.status is RunStatus.DONE


def test_a_run_that_has_ended_moves_no_more() -> None:
    paper = Paper(replace(make_plan(), trades=()))
    paper.step()
    for move in (pause, resume, halt, stop):
        with pytest.raises(Conflict):
            move(paper.run)


@settings(max_examples=150)
@given(st.integers(0, 2**32))
def test_whatever_happens_each_leg_is_sent_once_and_no_purchase_exceeds_the_money(
    seed: int,
) -> None:
    random = Random(seed)
    paper = Paper(make_plan(on_timeout=random.choice(list(OnTimeout))))
    for _ in range(60):
        paper.step(random.choice([None, None, 0, 1]))
        _happen(paper, random)
        money = sum((leg.brought for leg in paper.legs if leg.trade.side is Side.SELL), ZERO)
        bought = [leg for leg in paper.legs if leg.trade.side is Side.BUY]
        taken = sum(
            ((leg.filled_before + (leg.quantity or 0)) * leg.trade.est_price * (1 + FEE)
             for leg in bought if leg.status is not LegStatus.SKIPPED), ZERO,
        )  # fmt: skip
        assert taken <= money
    keys = [one.key for one in paper.sends]
    assert len(keys) == len(set(keys))
    for leg in paper.legs:
        assert leg.filled <= leg.trade.quantity
        mine = [one for one in paper.sends if one.seq == leg.seq]
        assert len(mine) <= 1 + (paper.run.style.on_timeout is OnTimeout.MARKET)


@settings(max_examples=100)
@given(st.integers(0, 2**32))
def test_every_run_comes_to_an_end(seed: int) -> None:
    random = Random(seed)
    paper = Paper(make_plan(on_timeout=random.choice(list(OnTimeout))))
    for _ in range(20):
        paper.step(random.choice([None, 0, 1]))
        _happen(paper, random)
    for _ in range(12):
        paper.now += timedelta(seconds=61)
        for one, order in list(paper.orders.items()):
            if order.status is OrderStatus.UNKNOWN:
                paper.tell(one, OrderStatus.OPEN)
        if paper.run.status in {RunStatus.PAUSED, RunStatus.HALTED} and not paper.run.is_stopping:
            paper.run = resume(paper.run)
        paper.step()
    assert paper.run.status.is_final
    again = advance(paper.run, paper.legs, paper.orders, paper.now)
    assert (again.run, again.legs, again.actions) == (paper.run, paper.legs, ())


def _happen(paper: Paper, random: Random) -> None:
    """Something at the venue, or a person."""
    paper.now += timedelta(seconds=random.choice([1, 20, 61]))
    present = {leg.key for leg in paper.legs}
    alive = [key for key, one in paper.orders.items() if not one.status.is_final and key in present]
    if alive:
        one = random.choice(alive)
        left = next(sent for sent in paper.sends if sent.key == one).request.quantity or ZERO
        done = paper.orders[one].filled_quantity
        more = done + (left - done) * random.choice([ZERO, Decimal("0.5")])
        status = random.choice(list(OrderStatus))
        if status in {OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED, OrderStatus.CANCELED}:
            paper.tell(one, status, more)
        elif status is OrderStatus.FILLED:
            paper.tell(one, status, left)
        elif status in {OrderStatus.UNKNOWN, OrderStatus.REJECTED} and not done:
            paper.tell(one, status)
    move = random.choice([None, None, None, None, pause, resume, halt, stop])
    if move is not None and random.random() < 0.3:
        try:
            paper.run = move(paper.run)
        except Conflict:
            return


def test_a_wrong_order_path_that_forgets_a_key_would_be_caught() -> None:
    """The control: an order that is lost from the books is sent again, and counted twice."""
    paper = Paper(make_plan())
    paper.step()
    paper.orders.clear()
    paper.step()
    keys = [one.key for one in paper.sends]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_an_order_that_was_never_sent_is_tried_again_under_the_next_key() -> None:
    paper = Paper(make_plan())
    paper.step()
    sent = paper.sends[-1]
    paper.tell(sent.key, OrderStatus.WITHDRAWN, Decimal(0))
    paper.step()

    again = paper.sends[-1]
    assert (again.seq, again.request) == (sent.seq, sent.request)
    assert again.key != sent.key


def test_an_order_that_is_never_sent_ends_its_leg_at_last() -> None:
    paper = Paper(make_plan())
    for _ in range(2 * ATTEMPTS_MAX):
        paper.step()
        for leg in paper.legs:
            if leg.status is LegStatus.SENT:
                paper.tell(leg.key, OrderStatus.WITHDRAWN, Decimal(0))

    assert paper.run.status is RunStatus.FAILED
    assert len(paper.sends) == len({send.key for send in paper.sends}) == ATTEMPTS_MAX
