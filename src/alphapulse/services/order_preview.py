"""Order Preview: what an order would become in the book and do to the account. Nothing is sent."""

from dataclasses import dataclass, replace
from decimal import Decimal

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.money import EXACT, ZERO, add, multiply, plain, total
from alphapulse.domain.order import OrderRequest, OrderType, Side
from alphapulse.domain.order_checks.check import Check
from alphapulse.domain.order_checks.situation import OrderSituation
from alphapulse.domain.order_cost import Execution, execution_in, slippage_pct
from alphapulse.domain.order_grid import on_grid
from alphapulse.errors import NotReady, PriceNotGood, PriceOutOfBand
from alphapulse.exchanges.port import FeeRates, OrderBook
from alphapulse.services.live_state import LiveState
from alphapulse.services.order_facts import Asked, OrderFacts
from alphapulse.services.portfolio import PortfolioService
from alphapulse.services.viewer import Viewer

_SHARE_STEP = Decimal("1e-8")


@dataclass(frozen=True, slots=True)
class OrderPreview:
    """Estimates are ``None`` where they cannot be made, and ``unknown`` says why.

    ``request`` is on the venue's grid. Cost and fee are in quote currency. ``balance_after`` is
    what would be free, by asset; ``weight_after`` the share of the base asset in the portfolio.
    """

    request: OrderRequest
    checks: tuple[Check, ...]
    cost: Decimal | None
    fee: Decimal | None
    average_price: Decimal | None
    slippage_pct: Decimal | None
    balance_after: dict[Asset, Decimal]
    weight_after: Decimal | None
    unknown: tuple[str, ...] = ()


def slippage_check(asked: Asked, book: OrderBook | None, limit_pct: Decimal) -> Check:
    """Whether the book would fill the order near enough to its best price."""
    found = None if book is None else _slippage(asked, book, _execution(asked, book))
    if found is None:
        unknown = PriceNotGood(
            "the book could not be read, or is too thin, to say how far the price would slip",
            field="max_slippage_pct", check="slippage", limit=limit_pct,
        )  # fmt: skip
        return Check("slippage", plain(limit_pct), None, unknown)
    failure = None
    if found > limit_pct:
        failure = PriceOutOfBand(
            f"the price would slip by {plain(found)} %; {plain(limit_pct)} % are allowed",
            field="max_slippage_pct", check="slippage", limit=limit_pct, value=found,
        )  # fmt: skip
    return Check("slippage", plain(limit_pct), plain(found), failure)


class Previewer:
    """Asks the exchange for book and fees, and the portfolio for weights."""

    def __init__(self, facts: OrderFacts, live: LiveState, portfolio: PortfolioService) -> None:
        self._facts = facts
        self._live = live
        self._portfolio = portfolio

    async def preview(
        self,
        viewer: Viewer,
        asked: Asked,
        situation: OrderSituation,
        checks: tuple[Check, ...],
        max_slippage_pct: Decimal | None,
    ) -> OrderPreview:
        """What is known of the order before it is placed."""
        asked = replace(asked, request=on_grid(asked.request, asked.instrument))
        view = await self._facts.market_view(asked.account.id, asked.request.symbol)
        book, fees = (None, None) if view is None else view
        if max_slippage_pct is not None:
            checks = (*checks, slippage_check(asked, book, max_slippage_pct))
        found = None if book is None else _execution(asked, book)
        is_taker = asked.request.type is not OrderType.LIMIT
        average = found.average_price if found is not None and is_taker else situation.cost.price
        cost = found.notional if found is not None and is_taker else situation.cost.notional
        return OrderPreview(
            request=asked.request,
            checks=checks,
            cost=cost,
            fee=_fee(asked.request, situation, cost, fees),
            average_price=average,
            slippage_pct=None if book is None else _slippage(asked, book, found),
            balance_after=self._balance_after(asked, situation, cost),
            weight_after=self._weight_after(viewer, asked, situation),
            unknown=_unknown(book, found),
        )

    def _balance_after(
        self, asked: Asked, situation: OrderSituation, cost: Decimal | None
    ) -> dict[Asset, Decimal]:
        """What would be free of the asset it takes, and on spot of the one it brings."""
        needed, available = situation.cost.needed, situation.available
        if needed is None or available is None:
            return {}
        after = {situation.cost.asset: EXACT.subtract(available, needed)}
        instrument, request = asked.instrument, asked.request
        if instrument.settle is not None or cost is None:
            return after
        brings = instrument.base if request.side is Side.BUY else instrument.quote
        gained = request.quantity if request.side is Side.BUY else cost
        if gained is not None:
            holdings = self._live.holdings.get(asked.account.id, ())
            free = total([h.balance.free for h in holdings if h.balance.asset == brings])
            after[brings] = add(free, gained)
        return after

    def _weight_after(
        self, viewer: Viewer, asked: Asked, situation: OrderSituation
    ) -> Decimal | None:
        """On spot: the total stays, but for the fee."""
        notional, instrument = situation.cost.notional, asked.instrument
        if instrument.settle is not None or notional is None:
            return None
        try:
            valuation = self._portfolio.snapshot(viewer).valuation
        except NotReady:
            return None
        rate = self._live.book.price(instrument.quote, valuation.currency, now=situation.now)
        if rate is None or valuation.total is None or valuation.total <= 0:
            return None
        held = [
            line.net
            for line in valuation.holdings
            if line.holding.balance.asset == instrument.base and line.net is not None
        ]
        sign = Decimal(1 if asked.request.side is Side.BUY else -1)
        after = add(total(held), multiply(sign, multiply(notional, rate.value)))
        share = EXACT.divide(max(ZERO, after), valuation.total)
        return EXACT.quantize(share, _SHARE_STEP)


def _execution(asked: Asked, book: OrderBook) -> Execution | None:
    side = book.asks if asked.request.side is Side.BUY else book.bids
    return execution_in(side.levels, asked.request, asked.instrument)


def _slippage(asked: Asked, book: OrderBook, found: Execution | None) -> Decimal | None:
    """``None`` where the book does not reach far enough."""
    side = book.asks if asked.request.side is Side.BUY else book.bids
    if found is None or not found.is_whole:
        return None
    return slippage_pct(asked.request.side, side.levels[0][0], found.average_price)


def _fee(
    request: OrderRequest, situation: OrderSituation, cost: Decimal | None, fees: FeeRates | None
) -> Decimal | None:
    """By the taker's rate, unless the order cannot but wait in the book."""
    if cost is None or fees is None:
        return None
    return multiply(cost, fees.maker if _rests(request, situation) else fees.taker)


def _rests(request: OrderRequest, situation: OrderSituation) -> bool:
    ticker, price = situation.ticker, request.limit_price
    if request.post_only:
        return True
    if ticker is None or price is None or request.type is not OrderType.LIMIT:
        return False
    touch = ticker.ask if request.side is Side.BUY else ticker.bid
    if touch is None:
        return False
    return price < touch if request.side is Side.BUY else price > touch


def _unknown(book: OrderBook | None, found: Execution | None) -> tuple[str, ...]:
    if book is None:
        return ("the exchange did not tell its book and fees in time",)
    if found is None or not found.is_whole:
        return ("the book, as far as it was read, is too thin for the whole order",)
    return ()
