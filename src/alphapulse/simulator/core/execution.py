"""Execution: matches accepted orders, books both sides of each trade, and ends orders."""

from collections.abc import Callable

from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.book import Match
from alphapulse.simulator.core.events import Happening
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import Fill, Order, OrderKind, OrderState, TimeInForce
from alphapulse.simulator.core.settlement import Settlement, settle_house
from alphapulse.simulator.core.teller import Teller


class Execution:
    """Every trade goes through here, customers' and the house's."""

    def __init__(
        self,
        house: Account,
        accounts: dict[str, Account],
        settlement: Settlement,
        teller: Teller,
        now_ms: Callable[[], int],
    ) -> None:
        self._house = house
        self._accounts = accounts
        self._settlement = settlement
        self._teller = teller
        self._now_ms = now_ms
        self._resting: dict[int, Order] = {}
        self._moved: dict[str, Account] = {}

    def work(self, account: Account, market: Market, order: Order) -> None:
        """Match an accepted order; rest or end what is left."""
        limit = order.ticks or None
        wanted = order.open_lots
        is_hopeless = (
            order.time_in_force is TimeInForce.FOK
            and market.book.fillable(order.side, limit, wanted)[0] < wanted
        )
        if not is_hopeless:
            self.match(market, order)
        if not order.state.is_open:
            return
        if order.kind is OrderKind.LIMIT and order.time_in_force.can_rest:
            self.rest(market, order)
            return
        self.end(account, order, OrderState.EXPIRED)
        self._teller.order(order, Happening.EXPIRED)
        self._teller.balances(account, order.locked_asset)

    def match(self, market: Market, order: Order) -> None:
        """Trade what the book has for an order, and leave the rest of it open."""
        matches = market.book.match(order.side, order.ticks or None, order.open_lots)
        self._execute(market, order.side, order, matches)

    def rest(self, market: Market, order: Order) -> None:
        """Put what is open of a limit order into the book; it must not cross."""
        market.book.add(order.side, order.ticks, order.open_lots, order.id)
        self._resting[order.id] = order

    def withdraw(self, market: Market, order: Order) -> None:
        """Take an order out of the book, if it rests there; it stays open."""
        market.book.remove(order.id)
        self._resting.pop(order.id, None)

    def is_resting(self, order: Order) -> bool:
        return order.id in self._resting

    def take(self, market: Market, side: Side, limit_ticks: int | None, lots: int) -> None:
        """The house's own flow: hit what rests, customers' orders as well."""
        self._execute(market, side, None, market.book.match(side, limit_ticks, lots))

    def take_over(self, market: Market, order: Order, ticks: int) -> None:
        """Fill what is open of an order with the house, past the book."""
        if order.open_lots:
            self._execute(market, order.side, order, [Match(0, ticks, order.open_lots, 0)])

    def end(self, account: Account, order: Order, state: OrderState) -> None:
        """Make an order final and give back what it had set aside."""
        order.state = state
        order.updated_ms = self._now_ms()
        self._resting.pop(order.id, None)
        self._settlement.release(account, order)
        account.archive(order)

    def take_moved(self) -> list[Account]:
        """Whose positions changed since the last call."""
        moved = list(self._moved.values())
        self._moved.clear()
        return moved

    def _execute(
        self, market: Market, side: Side, taker: Order | None, matches: list[Match]
    ) -> None:
        """Print the trades of one taker, then book both sides of each."""
        if not matches:
            return
        now_ms = self._now_ms()
        parts = [(m.ticks, m.lots, max(0, m.order_id)) for m in matches]
        trades, aggregates = market.print_trades(side, parts, taker.id if taker else 0, now_ms)
        self._teller.trades(market, trades, aggregates)
        other = Side.SELL if side is Side.BUY else Side.BUY
        for match, trade in zip(matches, trades, strict=True):
            maker = self._resting.get(match.order_id)
            if maker is None and taker is None:
                continue
            self._book_side(market, side, taker, match, trade.id, is_maker=False)
            self._book_side(market, other, maker, match, trade.id, is_maker=True)

    def _book_side(
        self,
        market: Market,
        side: Side,
        order: Order | None,
        match: Match,
        trade_id: int,
        *,
        is_maker: bool,
    ) -> None:
        now_ms = self._now_ms()
        if order is None:
            settle_house(self._house, market.instrument, side, match.ticks, match.lots, now_ms)
            return
        account = self._accounts[order.account_id]
        fill = self._settlement.settle(
            account, order, match.ticks, match.lots, trade_id, now_ms, is_maker=is_maker
        )
        if order.open_lots:
            order.state = OrderState.PARTIALLY_FILLED
        else:
            self.end(account, order, OrderState.FILLED)
        self._tell_fill(account, order, fill)

    def _tell_fill(self, account: Account, order: Order, fill: Fill) -> None:
        instrument = order.instrument
        self._teller.order(order, Happening.FILLED, fill=fill)
        if instrument.category is Category.LINEAR:
            self._moved[account.id] = account
            self._teller.position(account, instrument, order.position_side)
            self._teller.balances(account, instrument.quote, category=Category.LINEAR)
        else:
            self._teller.balances(account, instrument.base, instrument.quote, fill.fee_asset)
