"""Book: price-time priority over integers. It knows ids, ticks and lots, and nobody's name."""

from bisect import bisect_left, insort
from dataclasses import dataclass, field

from alphapulse.domain.order import Side


@dataclass(frozen=True, slots=True)
class Match:
    """One resting order hit: at its price, for so many lots. ``left`` is what still rests."""

    order_id: int
    ticks: int
    lots: int
    left: int


@dataclass(frozen=True, slots=True)
class BookChange:
    """Levels that changed since the last look; ids count every change of a level."""

    first_id: int
    last_id: int
    bids: dict[int, int]
    asks: dict[int, int]


@dataclass(slots=True)
class _Level:
    """Resting lots by order id, in order of arrival."""

    lots: int = 0
    queue: dict[int, int] = field(default_factory=dict)


class _BookSide:
    """Levels of one side. Keys are signed so that the best level is the last in either side."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[int, _Level] = {}
        self.keys: list[int] = []

    def add(self, ticks: int, lots: int, order_id: int) -> None:
        level = self.levels.get(ticks)
        if level is None:
            level = self.levels[ticks] = _Level()
            insort(self.keys, ticks * self.sign)
        level.queue[order_id] = level.queue.get(order_id, 0) + lots
        level.lots += lots

    def take(self, ticks: int, lots: int, order_id: int) -> int:
        """Remove lots of one order; what it has left."""
        level = self.levels[ticks]
        left = level.queue[order_id] - lots
        level.lots -= lots
        if left:
            level.queue[order_id] = left
            return left
        del level.queue[order_id]
        if not level.queue:
            del self.levels[ticks]
            key = ticks * self.sign
            if self.keys[-1] == key:
                self.keys.pop()
            else:
                del self.keys[bisect_left(self.keys, key)]
        return 0

    @property
    def best(self) -> int | None:
        return self.keys[-1] * self.sign if self.keys else None

    def crosses(self, ticks: int, limit: int | None) -> bool:
        """Whether a taker with ``limit`` would trade at ``ticks`` of this side."""
        return limit is None or ticks * self.sign >= limit * self.sign


class Book:
    """Both sides of one market."""

    def __init__(self) -> None:
        self._bids = _BookSide(1)
        self._asks = _BookSide(-1)
        self._where: dict[int, tuple[Side, int]] = {}
        self._changed_bids: set[int] = set()
        self._changed_asks: set[int] = set()
        self.update_id = 1
        self.match_count = 0
        """Levels hit so far."""
        self._told_id = 1

    def add(self, side: Side, ticks: int, lots: int, order_id: int) -> None:
        """Rest an order behind those at its price. It must not cross; `match` first."""
        self._side(side).add(ticks, lots, order_id)
        self._where[order_id] = (side, ticks)
        self._touch(side, ticks)

    def remove(self, order_id: int) -> int:
        """Take an order out; how many lots it had left (0: it does not rest here)."""
        place = self._where.get(order_id)
        if place is None:
            return 0
        side, ticks = place
        lots = self._side(side).levels[ticks].queue[order_id]
        self.reduce(order_id, lots)
        return lots

    def reduce(self, order_id: int, lots: int) -> None:
        """Take some lots off a resting order; it keeps its place in the queue."""
        side, ticks = self._where[order_id]
        if not self._side(side).take(ticks, lots, order_id):
            del self._where[order_id]
        self._touch(side, ticks)

    def lots_of(self, order_id: int) -> int:
        """What an order has resting; 0 when it does not."""
        place = self._where.get(order_id)
        if place is None:
            return 0
        side, ticks = place
        return self._side(side).levels[ticks].queue[order_id]

    def match(self, taker: Side, limit_ticks: int | None, lots: int) -> list[Match]:
        """Fill up to ``lots`` against the other side, best price first, then oldest first."""
        matches: list[Match] = []
        opposite = self._opposite(taker)
        while lots:
            ticks = opposite.best
            if ticks is None or not opposite.crosses(ticks, limit_ticks):
                break
            lots -= self._match_level(taker, ticks, lots, matches)
        return matches

    def _match_level(self, taker: Side, ticks: int, lots: int, matches: list[Match]) -> int:
        opposite = self._opposite(taker)
        maker = Side.SELL if taker is Side.BUY else Side.BUY
        done = 0
        for order_id, resting in list(opposite.levels[ticks].queue.items()):
            part = min(resting, lots - done)
            left = opposite.take(ticks, part, order_id)
            if not left:
                del self._where[order_id]
            matches.append(Match(order_id, ticks, part, left))
            done += part
            if done == lots:
                break
        self._touch(maker, ticks)
        self.match_count += 1
        return done

    def fillable(self, taker: Side, limit_ticks: int | None, lots: int) -> tuple[int, int]:
        """What `match` would fill: lots, and the sum of lots times ticks."""
        filled = cost = 0
        opposite = self._opposite(taker)
        for key in reversed(opposite.keys):
            ticks = key * opposite.sign
            if filled == lots or not opposite.crosses(ticks, limit_ticks):
                break
            part = min(opposite.levels[ticks].lots, lots - filled)
            filled += part
            cost += part * ticks
        return filled, cost

    def lots_for(self, taker: Side, budget: int) -> int:
        """How many lots a market order trades for at most ``budget`` lots times ticks."""
        lots = 0
        opposite = self._opposite(taker)
        for key in reversed(opposite.keys):
            ticks = key * opposite.sign
            part = min(opposite.levels[ticks].lots, budget // ticks)
            lots += part
            budget -= part * ticks
            if part < opposite.levels[ticks].lots:
                break
        return lots

    def best(self, side: Side) -> tuple[int, int]:
        """Ticks and lots of the best level; zeros when the side is empty."""
        book_side = self._side(side)
        ticks = book_side.best
        return (ticks, book_side.levels[ticks].lots) if ticks is not None else (0, 0)

    def levels(self, side: Side, limit: int) -> list[tuple[int, int]]:
        """Ticks and lots of the best ``limit`` levels, best first."""
        book_side = self._side(side)
        keys = book_side.keys[-limit:] if limit else []
        ticks = [key * book_side.sign for key in reversed(keys)]
        return [(t, book_side.levels[t].lots) for t in ticks]

    def would_cross(self, taker: Side, ticks: int) -> bool:
        """Whether a limit order at ``ticks`` would trade at once."""
        opposite = self._opposite(taker)
        best = opposite.best
        return best is not None and opposite.crosses(best, ticks)

    def take_change(self) -> BookChange | None:
        """What changed since the last call; ``None`` when nothing did."""
        if self._told_id == self.update_id:
            return None
        change = BookChange(
            self._told_id + 1,
            self.update_id,
            self._totals(self._bids, self._changed_bids),
            self._totals(self._asks, self._changed_asks),
        )
        self._told_id = self.update_id
        self._changed_bids.clear()
        self._changed_asks.clear()
        return change

    def _totals(self, side: _BookSide, changed: set[int]) -> dict[int, int]:
        levels = side.levels
        return {t: levels[t].lots if t in levels else 0 for t in changed}

    def _side(self, side: Side) -> _BookSide:
        return self._bids if side is Side.BUY else self._asks

    def _opposite(self, side: Side) -> _BookSide:
        return self._asks if side is Side.BUY else self._bids

    def _touch(self, side: Side, ticks: int) -> None:
        self.update_id += 1
        (self._changed_bids if side is Side.BUY else self._changed_asks).add(ticks)
