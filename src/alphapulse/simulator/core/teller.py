"""Teller: turns what the desk and the cashier did into events, and knows what was last told."""

from collections.abc import Callable, Sequence
from copy import copy
from decimal import Decimal

from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.events import (
    AggregatePrinted,
    BalancesChanged,
    BestChanged,
    Cause,
    CrossingChanged,
    DepthChanged,
    Happening,
    Movement,
    OrderChanged,
    PositionChanged,
    TradePrinted,
)
from alphapulse.simulator.core.feed import Feed
from alphapulse.simulator.core.instrument import Category, Instrument
from alphapulse.simulator.core.market import AggregateTrade, Market, PublicTrade
from alphapulse.simulator.core.order import Fill, Order
from alphapulse.simulator.core.position import PositionSide


class Teller:
    """Stamps events with the market's time."""

    def __init__(self, feed: Feed, now_ms: Callable[[], int]) -> None:
        self._feed = feed
        self._now_ms = now_ms
        self._best: dict[tuple[Category, str], tuple[int, int, int, int]] = {}

    def order(
        self,
        order: Order,
        happening: Happening,
        *,
        fill: Fill | None = None,
        cancel_id: str | None = None,
    ) -> None:
        event = OrderChanged(
            self._now_ms(), order.account_id, copy(order), happening, fill, cancel_id
        )
        self._feed.emit(event)

    def balances(
        self,
        account: Account,
        *assets: str,
        category: Category = Category.SPOT,
        cause: Cause = Cause.ORDER,
        delta: Decimal | None = None,
    ) -> None:
        named = tuple(dict.fromkeys(asset for asset in assets if asset))
        if named:
            self._feed.emit(
                BalancesChanged(self._now_ms(), account.id, named, cause, delta, category)
            )

    def movement(
        self, account: Account, asset: str, category: Category, cause: Cause, delta: Decimal,
        movement: Movement,
    ) -> None:  # fmt: skip
        """Money that moved without an order."""
        self._feed.emit(
            BalancesChanged(self._now_ms(), account.id, (asset,), cause, delta, category, movement)
        )

    def crossing(self, account_id: str) -> None:
        self._feed.emit(CrossingChanged(self._now_ms(), account_id))

    def position(
        self, account: Account, instrument: Instrument, side: PositionSide = PositionSide.BOTH
    ) -> None:
        position = account.position(instrument.name, side)
        self._feed.emit(PositionChanged(self._now_ms(), account.id, instrument, position, side))

    def trades(
        self, market: Market, trades: Sequence[PublicTrade], aggregates: Sequence[AggregateTrade]
    ) -> None:
        instrument = market.instrument
        for t in trades:
            self._feed.emit(
                TradePrinted(
                    t.at_ms,
                    instrument,
                    t.id,
                    t.ticks,
                    t.lots,
                    t.taker_side,
                    t.buyer_order_id,
                    t.seller_order_id,
                )
            )
        for a in aggregates:
            self._feed.emit(
                AggregatePrinted(
                    a.at_ms,
                    instrument,
                    a.id,
                    a.ticks,
                    a.lots,
                    a.taker_side,
                    a.first_trade_id,
                    a.last_trade_id,
                )
            )

    def book(self, market: Market) -> None:
        """Tell what changed in a book since the last time, if anything did."""
        change = market.book.take_change()
        if change is None:
            return
        at_ms, instrument = self._now_ms(), market.instrument
        self._feed.emit(
            DepthChanged(
                at_ms, instrument, change.first_id, change.last_id, change.bids, change.asks
            )
        )
        best = (*market.book.best(Side.BUY), *market.book.best(Side.SELL))
        if self._best.get(instrument.key) != best:
            self._best[instrument.key] = best
            self._feed.emit(BestChanged(at_ms, instrument, change.last_id, *best))
