"""The price-time book, alone and against a book that is too simple to be wrong."""

import random

from alphapulse.domain.order import Side
from alphapulse.simulator.core.book import Book, Match


def test_best_price_then_oldest_order_trades_first() -> None:
    book = Book()
    book.add(Side.SELL, 101, 5, order_id=1)
    book.add(Side.SELL, 100, 5, order_id=2)
    book.add(Side.SELL, 100, 5, order_id=3)

    matches = book.match(Side.BUY, 101, 12)

    assert matches == [Match(2, 100, 5, 0), Match(3, 100, 5, 0), Match(1, 101, 2, 3)]
    assert book.best(Side.SELL) == (101, 3)


def test_limit_stops_the_taker() -> None:
    book = Book()
    book.add(Side.BUY, 99, 5, order_id=1)
    book.add(Side.BUY, 98, 5, order_id=2)

    assert book.match(Side.SELL, 99, 8) == [Match(1, 99, 5, 0)]
    assert book.best(Side.BUY) == (98, 5)


def test_reduced_order_keeps_its_place_and_removed_one_is_gone() -> None:
    book = Book()
    for order_id in (1, 2, 3):
        book.add(Side.BUY, 50, 10, order_id)
    book.reduce(1, 4)
    assert book.remove(2) == 10
    assert book.remove(2) == 0

    assert [m.order_id for m in book.match(Side.SELL, None, 7)] == [1, 3]
    assert book.lots_of(3) == 9


def test_change_names_each_level_once_with_its_new_total() -> None:
    book = Book()
    book.add(Side.BUY, 50, 10, 1)
    book.add(Side.BUY, 50, 5, 2)
    book.add(Side.SELL, 51, 1, 3)
    first = book.take_change()
    book.match(Side.BUY, 51, 1)
    second = book.take_change()

    assert first is not None
    assert second is not None
    assert (first.bids, first.asks) == ({50: 15}, {51: 1})
    assert (second.bids, second.asks) == ({}, {51: 0})
    assert second.first_id == first.last_id + 1
    assert book.take_change() is None


def test_fillable_and_lots_for_foretell_the_match() -> None:
    book = Book()
    book.add(Side.SELL, 10, 4, 1)
    book.add(Side.SELL, 11, 4, 2)

    assert book.fillable(Side.BUY, None, 6) == (6, 4 * 10 + 2 * 11)
    assert book.fillable(Side.BUY, 10, 6) == (4, 40)
    assert book.lots_for(Side.BUY, 61) == 4 + 1
    assert book.lots_for(Side.BUY, 1_000) == 8


class PlainBook:
    """Sorts everything every time."""

    def __init__(self) -> None:
        self.orders: list[tuple[Side, int, int, int]] = []

    def match(self, taker: Side, limit: int, lots: int) -> list[tuple[int, int, int]]:
        sign = 1 if taker is Side.BUY else -1
        found = sorted(
            (o for o in self.orders if o[0] is not taker and o[1] * sign <= limit * sign),
            key=lambda o: (o[1] * sign, o[3]),
        )
        trades = []
        for side, ticks, resting, order_id in found:
            part = min(resting, lots)
            if not part:
                break
            lots -= part
            trades.append((order_id, ticks, part))
            self.orders.remove((side, ticks, resting, order_id))
            if resting > part:
                self.orders.append((side, ticks, resting - part, order_id))
        return trades


def test_ten_thousand_random_orders_trade_as_in_a_plain_book() -> None:
    source = random.Random(5)
    book, plain = Book(), PlainBook()
    for order_id in range(1, 10_001):
        if source.random() < 0.3 and plain.orders:
            gone = source.choice(plain.orders)
            plain.orders.remove(gone)
            assert book.remove(gone[3]) == gone[2]
            continue
        side, ticks = source.choice(list(Side)), source.randint(90, 110)
        lots = source.randint(1, 20)
        trades = [(m.order_id, m.ticks, m.lots) for m in book.match(side, ticks, lots)]
        assert trades == plain.match(side, ticks, lots)
        left = lots - sum(part for _, _, part in trades)
        if left:
            book.add(side, ticks, left, order_id)
            plain.orders.append((side, ticks, left, order_id))

    for side in Side:
        totals: dict[int, int] = {}
        for known, ticks, lots, _ in plain.orders:
            if known is side:
                totals[ticks] = totals.get(ticks, 0) + lots
        assert dict(book.levels(side, 1_000)) == totals
