"""The book trades as an independent one does: same orders, same trades, in the same order.

The other is `bourse` (Rust, MIT), which shares no code with ours. Broken books are tried as well:
a comparison that could not tell them apart would show nothing.
"""

import random
from dataclasses import dataclass
from typing import NamedTuple

import pytest
from bourse.core import OrderBook
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse.domain.order import Side
from alphapulse.simulator.core.book import Book, Match


class Trade(NamedTuple):
    taker: int
    maker: int
    ticks: int
    lots: int


class State(NamedTuple):
    """What both books can be asked for after each step."""

    trades: list[Trade]
    best: tuple[int, int]
    best_lots: tuple[int, int]


@dataclass(frozen=True)
class Place:
    side: Side
    ticks: int | None
    lots: int


@dataclass(frozen=True)
class Cancel:
    which: int


@dataclass(frozen=True)
class Reduce:
    """Take lots off an order; it keeps its place."""

    which: int
    lots: int


@dataclass(frozen=True)
class Move:
    """Another price; the order goes to the end of its new queue, or trades."""

    which: int
    ticks: int


Step = Place | Cancel | Reduce | Move
NO_BID, NO_ASK = 0, 2**32 - 1


class Ours:
    """Our book, with the little that a desk does around it."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._sides: list[Side] = []
        self._trades: list[Trade] = []

    def do(self, step: Step) -> None:
        match step:
            case Place():
                self._sides.append(step.side)
                self._work(len(self._sides) - 1, step.ticks, step.lots)
            case Cancel():
                self._book.remove(step.which)
            case Reduce():
                self._book.reduce(step.which, step.lots)
            case Move():
                self._work(step.which, step.ticks, self._book.remove(step.which))

    def resting(self) -> list[tuple[int, int]]:
        """Orders in the book and what is left of them."""
        left = ((order, self._book.lots_of(order)) for order in range(len(self._sides)))
        return [(order, lots) for order, lots in left if lots]

    def state(self) -> State:
        bid, ask = self._book.best(Side.BUY), self._book.best(Side.SELL)
        best = (bid[0] or NO_BID, ask[0] or NO_ASK)
        return State(list(self._trades), best, (bid[1], ask[1]))

    def _work(self, order: int, ticks: int | None, lots: int) -> None:
        side = self._sides[order]
        for hit in self._book.match(side, ticks, lots):
            self._trades.append(Trade(order, hit.order_id, hit.ticks, hit.lots))
            lots -= hit.lots
        if lots and ticks is not None:
            self._book.add(side, ticks, lots, order)


class Theirs:
    """The other book; it numbers orders from 0, as we do."""

    def __init__(self) -> None:
        self._book = OrderBook(0, 1, True)
        self._now = 0

    def do(self, step: Step) -> None:
        # It tells orders of one price apart by their time alone.
        self._now += 1
        self._book.set_time(self._now)
        match step:
            case Place():
                self._book.place_order(step.side is Side.BUY, step.lots, 0, price=step.ticks)
            case Cancel():
                self._book.cancel_order(step.which)
            case Reduce():
                left = self._book.get_orders()[step.which][4]
                self._book.modify_order(step.which, new_vol=left - step.lots)
            case Move():
                self._book.modify_order(step.which, new_price=step.ticks)

    def state(self) -> State:
        trades = [
            Trade(taker, maker, ticks, lots)
            for _, _, ticks, lots, taker, maker in self._book.get_trades()
        ]
        volumes = (self._book.best_bid_vol(), self._book.best_ask_vol())
        return State(trades, self._book.bid_ask(), volumes)


def disagreement(book: Book, wishes: list[tuple[int, ...]]) -> str | None:
    """Do the same to both books; the first step after which they differ."""
    ours, theirs = Ours(book), Theirs()
    done: list[Step] = []
    for wish in wishes:
        step = possible(wish, ours.resting())
        if step is None:
            continue
        done.append(step)
        ours.do(step)
        theirs.do(step)
        if ours.state() != theirs.state():
            return f"{done}: ours {ours.state()}, theirs {theirs.state()}"
    return None


def possible(wish: tuple[int, ...], resting: list[tuple[int, int]]) -> Step | None:
    """A wish as a step that makes sense with what rests; ``None`` when none does."""
    kind, side, ticks, lots, which = wish
    if kind < 6:
        return Place(tuple(Side)[side], None if kind == 0 else ticks, lots)
    if not resting:
        return None
    order, left = resting[which % len(resting)]
    if kind == 6:
        return Cancel(order)
    if kind == 7:
        return Reduce(order, lots) if lots < left else None
    return Move(order, ticks)


wishes = st.lists(
    st.tuples(
        st.integers(0, 8),
        st.integers(0, 1),
        st.integers(95, 105),
        st.integers(1, 20),
        st.integers(0, 30),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(wishes)
def test_same_orders_make_the_same_trades(wishes: list[tuple[int, ...]]) -> None:
    assert disagreement(Book(), wishes) is None


class NewestFirst(Book):
    """Forgets who came first."""

    def add(self, side: Side, ticks: int, lots: int, order_id: int) -> None:
        super().add(side, ticks, lots, order_id)
        queue = self._side(side).levels[ticks].queue
        others = {key: left for key, left in queue.items() if key != order_id}
        mine = queue[order_id]
        queue.clear()
        queue.update({order_id: mine, **others})


class OneTickTooFar(Book):
    """Lets a taker pay a little more than he said."""

    def match(self, taker: Side, limit_ticks: int | None, lots: int) -> list[Match]:
        if limit_ticks is not None:
            limit_ticks += 1 if taker is Side.BUY else -1
        return super().match(taker, limit_ticks, lots)


class LosesItsPlace(Book):
    """Sends an order to the end of the queue for asking less."""

    def reduce(self, order_id: int, lots: int) -> None:
        side, ticks = self._where[order_id]
        left = self.lots_of(order_id) - lots
        super().reduce(order_id, lots)
        if left:
            super().reduce(order_id, left)
            super().add(side, ticks, left, order_id)


class OneLotShort(Book):
    """Trades a lot less than it could, now and then."""

    def match(self, taker: Side, limit_ticks: int | None, lots: int) -> list[Match]:
        return super().match(taker, limit_ticks, lots - (lots == 13))


@pytest.mark.parametrize("broken", [NewestFirst, OneTickTooFar, LosesItsPlace, OneLotShort])
def test_broken_book_is_found_out(broken: type[Book]) -> None:
    chance = random.Random(1)
    flows = (
        [
            tuple(chance.randint(*span) for span in ((0, 8), (0, 1), (95, 105), (1, 20), (0, 30)))
            for _ in range(60)
        ]
        for _ in range(50)
    )

    assert any(disagreement(broken(), flow) for flow in flows)
