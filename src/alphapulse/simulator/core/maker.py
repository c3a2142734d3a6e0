"""Liquidity maker: rests quotes around the driver's price, so that the book is never empty."""

from dataclasses import dataclass
from decimal import Decimal

from alphapulse.domain.money import EXACT
from alphapulse.domain.order import Side
from alphapulse.simulator.core.book import Book
from alphapulse.simulator.core.instrument import Instrument


@dataclass(frozen=True, slots=True)
class MakerSettings:
    """How deep the books are. Shares are of the price."""

    levels: int = 25
    replay_levels: int = 3
    """Of a market that replays a recording: its prices leap, and all levels with them, maybe
    thousands of times a second."""
    half_spread: Decimal = Decimal("0.00005")
    step: Decimal = Decimal("0.0002")
    """Distance of levels behind the best one; half a per cent deep with 25."""
    level_notional_usd: Decimal = Decimal(25_000)
    """Worth of an average level."""


class LiquidityMaker:
    """The quotes of one market. Moving them touches only the levels that change.

    Levels behind the best ones lie on a fixed grid and their sizes follow from their price, so a
    small move changes few of them. Ids of quotes are negative; customers' are positive.
    """

    def __init__(self, instrument: Instrument, settings: MakerSettings) -> None:
        self._instrument = instrument
        self._settings = settings
        self._quotes: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}
        self._grids: dict[Side, range] = {}
        self._matches_seen = 0
        self._next_id = -1
        self._level_lots = 0
        self._priced_at = Decimal(0)

    def withdraw_crossed(self, book: Book, mid: Decimal) -> tuple[int, int]:
        """Take away quotes that the new best ones would cross; return those, bid and ask ticks."""
        bid, ask = self._best(mid)
        for ticks in [t for t in self._quotes[Side.BUY] if t > bid]:
            book.remove(self._quotes[Side.BUY].pop(ticks))
        for ticks in [t for t in self._quotes[Side.SELL] if t < ask]:
            book.remove(self._quotes[Side.SELL].pop(ticks))
        return bid, ask

    def must_resize(self, mid: Decimal) -> bool:
        """Sizes follow the price, but only when it has gone far: else every level would change."""
        return not self._priced_at or abs(mid - self._priced_at) * 10 >= self._priced_at

    def resize(self, mid: Decimal, quote_usd: Decimal) -> None:
        """Let levels be worth the same again, at ``quote_usd`` dollars per unit of quote asset."""
        self._priced_at = mid
        units = EXACT.divide(self._settings.level_notional_usd, EXACT.multiply(mid, quote_usd))
        self._level_lots = max(2, self._instrument.lots(units))
        self._grids.clear()

    def quote(self, book: Book, mid: Decimal, best: tuple[int, int], *, is_replay: bool) -> None:
        """Rest the ladder around ``mid``; the book must hold nothing it would cross.

        Args:
            best: ticks of the best bid and ask, as `withdraw_crossed` returned them.
            is_replay: fewer levels, as `MakerSettings.replay_levels` says why.
        """
        levels = self._settings.replay_levels if is_replay else self._settings.levels
        bid, ask = best
        step = max(1, self._instrument.ticks(EXACT.multiply(mid, self._settings.step)))
        if self._matches_seen != book.match_count:
            self._grids.clear()
        self._matches_seen = book.match_count
        behind = step * (levels - 1)
        lower = (bid - 1) // step * step
        self._rest(book, Side.BUY, bid, range(lower, max(0, lower - behind), -step))
        upper = (ask // step + 1) * step
        self._rest(book, Side.SELL, ask, range(upper, upper + behind, step))

    def withdraw(self, book: Book) -> None:
        """Take every quote away."""
        for quotes in self._quotes.values():
            for order_id in quotes.values():
                book.remove(order_id)
            quotes.clear()
        self._grids.clear()

    def _best(self, mid: Decimal) -> tuple[int, int]:
        instrument = self._instrument
        middle = instrument.ticks(mid)
        half = int(
            EXACT.divide(EXACT.multiply(mid, self._settings.half_spread), instrument.tick_size)
        )
        bid = max(1, middle - half)
        return bid, max(bid + 1, middle + half)

    def _rest(self, book: Book, side: Side, best: int, grid: range) -> None:
        quotes = self._quotes[side]
        is_grid_known = self._grids.get(side) == grid
        self._grids[side] = grid
        for ticks in [t for t in quotes if t != best and t not in grid]:
            book.remove(quotes.pop(ticks))
        self._top_up(book, side, best)
        if not is_grid_known:
            for ticks in grid:
                self._top_up(book, side, ticks)

    def _top_up(self, book: Book, side: Side, ticks: int) -> None:
        # Knuth's multiplicative hash: sizes differ from level to level and never flicker.
        lots = self._level_lots // 2 + ticks * 2654435761 % (self._level_lots + 1)
        quotes = self._quotes[side]
        resting = book.lots_of(quotes[ticks]) if ticks in quotes else 0
        if resting == 0:
            quotes[ticks] = self._next_id
            self._next_id -= 1
        if lots > resting:
            book.add(side, ticks, lots - resting, quotes[ticks])
        elif lots < resting:
            book.reduce(quotes[ticks], resting - lots)
