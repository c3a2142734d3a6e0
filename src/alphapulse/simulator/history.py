"""History: what the demo accounts did before the simulator was started.

Played through the same core as everything else, on a clock that is in the past, so that balances,
fills, fees and positions agree to the last unit.
"""

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal

from alphapulse.domain.money import EXACT, round_down
from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.clock import MarketClock
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import Order, OrderKind, OrderRequest, TimeInForce
from alphapulse.simulator.core.refusal import Refused
from alphapulse.simulator.errands import Errands
from alphapulse.simulator.far_past import STAND_MS, STEP_MS, Walk

ORDERS_PER_STEP = 3
OPEN_ORDERS = 4


class PastClock:
    """Stands where history is told, then hands over to the market's clock."""

    def __init__(self, live: MarketClock, start_ms: int) -> None:
        self._live = live
        self._past_ms: int | None = start_ms

    def now_ms(self) -> int:
        return self._live.now_ms() if self._past_ms is None else self._past_ms

    def move_to(self, now_ms: int) -> None:
        """Tell the next part."""
        self._past_ms = now_ms

    def arrive(self) -> None:
        """The past is over."""
        self._past_ms = None


class History:
    """Trades of some accounts over some weeks, at prices that lead to today's.

    Args:
        positions: signed quantities of perpetuals to hold at the end, by account and symbol.
        walk: the prices, and the chances of all that happens.
        errands: what they do besides trading; ``None`` for nothing.
    """

    def __init__(
        self,
        venues: Sequence[Venue],
        positions: Mapping[str, Mapping[str, Decimal]],
        walk: Walk,
        errands: Errands | None = None,
    ) -> None:
        self._venues = venues
        self._positions = positions
        self._errands = errands
        self._walk = walk
        self._random = walk.chance

    def play(self, clock: PastClock, end_ms: int) -> None:
        """Tell it, then let nothing happen until ``end_ms``."""
        self._keep_off_charts(is_on=True)
        span = self._walk.span
        for step in range(span.steps):
            # Not on the minute: nobody trades like that.
            jitter_ms = self._random.randrange(STAND_MS)
            clock.move_to(span.start_ms + step * STEP_MS + jitter_ms)
            prices = self._walk.prices(step)
            for venue in self._venues:
                self._live(venue, prices, step, span.steps)
            if self._errands is not None:
                self._errands.run()
        clock.move_to(end_ms)
        for venue in self._venues:
            venue.advance()
        self._keep_off_charts(is_on=False)

    def _keep_off_charts(self, *, is_on: bool) -> None:
        """A few trades in a month are no candles, and ask for no deep books; `FarPast` tells what
        there was between them."""
        for venue in self._venues:
            for market in venue.charted:
                market.is_recorded = is_on

    def _live(self, venue: Venue, prices: dict[str, float], step: int, steps: int) -> None:
        for account in venue.accounts.values():
            markets = self._tradable(venue, account, prices)
            for market in self._random.sample(markets, min(ORDERS_PER_STEP, len(markets))):
                self._trade(venue, account, market, prices)
            for name, quantity in self._positions.get(account.id, {}).items():
                self._carry(venue, account, name, quantity, prices, step * 3 // steps)

    def _tradable(self, venue: Venue, account: Account, prices: dict[str, float]) -> list[Market]:
        """Spot markets against USDT of what the account holds."""
        return [
            market
            for (category, _), market in venue.markets.items()
            if category is Category.SPOT
            and market.instrument.unified in prices
            and account.wallet[market.instrument.base].free
        ]

    def _trade(
        self, venue: Venue, account: Account, market: Market, prices: dict[str, float]
    ) -> None:
        """One order, taken or rested and met by the market a moment later."""
        instrument = market.instrument
        price = _decimal(prices[instrument.unified])
        venue.set_price(market, price)
        side = self._random.choice((Side.BUY, Side.SELL))
        share = _decimal(self._random.uniform(0.01, 0.05))
        free = account.wallet.free(instrument.base if side is Side.SELL else instrument.quote)
        most = free if side is Side.SELL else EXACT.divide(free, price)
        quantity = round_down(EXACT.multiply(most, share), instrument.lot_size)
        is_taker = self._random.random() < 0.5
        try:
            if is_taker:
                request = OrderRequest(side=side, kind=OrderKind.MARKET, quantity=quantity)
                venue.place(account, market, request)
            else:
                self._rest_and_meet(venue, account, market, side, quantity, price)
        except Refused:
            return  # Too small for this market; not every day is a good day to trade.

    def _rest_and_meet(
        self,
        venue: Venue,
        account: Account,
        market: Market,
        side: Side,
        quantity: Decimal,
        price: Decimal,
    ) -> None:
        rest_limit_order(venue, account, market, side, quantity, Decimal("0.004"))
        away = Decimal("0.994") if side is Side.BUY else Decimal("1.006")
        venue.set_price(market, EXACT.multiply(price, away))

    def _carry(
        self,
        venue: Venue,
        account: Account,
        name: str,
        quantity: Decimal,
        prices: dict[str, float],
        third: int,
    ) -> None:
        """Open a position in two halves, in the second and the last third; pay its funding."""
        market = venue.market(Category.LINEAR, name)
        instrument = market.instrument
        held = account.positions.get(name)
        have = abs(held.quantity) if held is not None else Decimal(0)
        half = round_down(EXACT.divide(abs(quantity), Decimal(2)), instrument.lot_size)
        target = (Decimal(0), half, abs(quantity))[third]
        spot = prices[instrument.unified.partition(":")[0]]
        venue.set_price(market, _decimal(spot))
        if have:
            venue.settle_funding(market)
        if target > have:
            side = Side.BUY if quantity > 0 else Side.SELL
            request = OrderRequest(side=side, kind=OrderKind.MARKET, quantity=target - have)
            with suppress(Refused):  # a bad year leaves too little margin
                venue.place(account, market, request)


def rest_limit_order(
    venue: Venue,
    account: Account,
    market: Market,
    side: Side,
    quantity: Decimal,
    distance: Decimal,
) -> Order:
    """Rest an order away from the market, by a share of its price.

    Raises:
        Refused: it does not fit the market or the wallet.
    """
    sign = -1 if side is Side.BUY else 1
    price = EXACT.multiply(market.mark_price, 1 + sign * distance)
    request = OrderRequest(
        side=side,
        kind=OrderKind.LIMIT,
        quantity=quantity,
        limit_price=round_down(price, market.instrument.tick_size),
        time_in_force=TimeInForce.POST_ONLY,
    )
    return venue.place(account, market, request)


def rest_open_orders(venue: Venue, account: Account, seed: int) -> None:
    """Some orders that are open when the simulator starts: a few per cent away from the market."""
    chance = random.Random(f"{seed} {account.id}")
    markets = [
        market
        for (category, _), market in venue.markets.items()
        if category is Category.SPOT
        and market.instrument.quote == "USDT"
        and market.last_price
        and account.wallet.free(market.instrument.base) * market.last_price > 200
    ]
    for market in chance.sample(markets, min(OPEN_ORDERS, len(markets))):
        side = chance.choice((Side.BUY, Side.SELL))
        share = EXACT.divide(account.wallet.free(market.instrument.base), Decimal(10))
        quantity = round_down(share, market.instrument.lot_size)
        distance = _decimal(chance.uniform(0.03, 0.08))
        try:
            rest_limit_order(venue, account, market, side, quantity, distance)
        except Refused:
            continue


def _decimal(value: float) -> Decimal:
    return Decimal(f"{value:.8g}")
