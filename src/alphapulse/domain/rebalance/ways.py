"""Ways: from the asset that is spent to the one that is got, through one spot market. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.identifiers import Asset, ExchangeId
from alphapulse.domain.instrument import InstrumentType
from alphapulse.domain.money import ZERO, round_down, round_up
from alphapulse.domain.order import OrderType, Side
from alphapulse.domain.order_cost import Level
from alphapulse.domain.portfolio import CASH
from alphapulse.domain.rebalance.constraints import Constraints, Style
from alphapulse.domain.rebalance.situation import (
    AccountFacts,
    Market,
    Refusal,
    RefusalReason,
    Situation,
    quote_refusal,
)

_TWO = Decimal(2)
_HUNDRED = Decimal(100)
_BPS = Decimal(10_000)


class Unreached(StrEnum):
    """Why a plan leaves an asset off its target."""

    BELOW_MIN_NOTIONAL = "below_min_notional"
    NO_MARKET = "no_market"
    WRONG_EXCHANGE = "wrong_exchange"
    """The money, or the only market, is on another exchange or in another account."""
    EXCLUDED = "excluded"
    LOCKED = "locked"
    """Held back by orders, or in a wallet that does not trade."""
    NO_FUNDS = "no_funds"
    CONSTRAINT = "constraint"


@dataclass(frozen=True, slots=True)
class Way:
    """One market in one direction. ``price`` is the worst that is expected, in its quote currency;
    ``limit_price`` is ``None`` for a market order. ``depth`` is how much base the book
    offers within the slippage that is allowed, ``None`` where no book was read."""

    market: Market
    side: Side
    price: Decimal
    limit_price: Decimal | None
    middle: Decimal
    depth: Decimal | None

    @property
    def base(self) -> Asset:
        return self.market.instrument.base

    @property
    def quote(self) -> Asset:
        return self.market.instrument.quote

    @property
    def spent(self) -> Asset:
        return self.base if self.side is Side.SELL else self.quote

    @property
    def got(self) -> Asset:
        return self.quote if self.side is Side.SELL else self.base

    @property
    def key(self) -> tuple[str, str, Side]:
        instrument = self.market.instrument
        return (instrument.exchange, instrument.symbol, self.side)


class Ways:
    """Every way there is, priced when it is first asked for; ``refused`` gathers what forbids the
    plan because a way that it would need is not known well enough."""

    def __init__(self, situation: Situation, constraints: Constraints, style: Style) -> None:
        self.refused: set[Refusal] = set()
        self._situation, self._constraints, self._style = situation, constraints, style
        self._markets: dict[tuple[ExchangeId, Asset, Asset], tuple[Market, Side]] = {}
        self._partners: dict[tuple[ExchangeId, Asset], set[Asset]] = defaultdict(set)
        self._quotes: dict[ExchangeId, Counter[Asset]] = defaultdict(Counter)
        self._found: dict[tuple[ExchangeId, Asset, Asset], Way | Unreached] = {}
        for market in situation.markets:
            self._add(market)

    def _add(self, market: Market) -> None:
        one = market.instrument
        if one.type is not InstrumentType.SPOT or not one.is_active:
            return
        self._markets[one.exchange, one.base, one.quote] = (market, Side.SELL)
        self._markets.setdefault((one.exchange, one.quote, one.base), (market, Side.BUY))
        self._partners[one.exchange, one.base].add(one.quote)
        self._partners[one.exchange, one.quote].add(one.base)
        self._quotes[one.exchange][one.quote] += 1

    def money_of(self, account: AccountFacts) -> Asset:
        """The asset an account trades in: named, or what most markets there are quoted in."""
        if account.quote is not None:
            return account.quote
        quotes = self._quotes[account.exchange]
        return min(
            quotes,
            key=lambda asset: (-quotes[asset], asset not in CASH, asset),
            default=self._situation.currency,
        )

    def exists(self, exchange: ExchangeId, spent: Asset, got: Asset) -> bool:
        """Whether there is a market at all."""
        return (exchange, spent, got) in self._markets

    def partners(self, exchange: ExchangeId, asset: Asset) -> Sequence[Asset]:
        """What has a market with ``asset``, by name."""
        return sorted(self._partners.get((exchange, asset), ()))

    def find(self, exchange: ExchangeId, spent: Asset, got: Asset) -> Way | Unreached:
        """The way, or why there is none. A quote that is missing or stale refuses the plan."""
        key = (exchange, spent, got)
        if key not in self._found:
            self._found[key] = self._priced(key)
        return self._found[key]

    def direct(self, exchange: ExchangeId, spent: Asset, got: Asset) -> Way | None:
        """A way that could be done without: one that is not known well enough is just not taken."""
        known = self._markets.get((exchange, spent, got))
        if known is None or quote_refusal(known[0], self._situation) is not None:
            return None
        way = self.find(exchange, spent, got)
        return way if isinstance(way, Way) else None

    def least(self, way: Way) -> Decimal:
        """The smallest value, in base currency, with which a way can be taken: the venue's
        minimums, one step, and what the person calls too small."""
        one, worth = way.market.instrument, self._situation.worth_of
        units = max(one.min_quantity or ZERO, one.lot_size)
        return max(
            units * worth(one.base),
            (one.min_notional or ZERO) * worth(one.quote),
            self._constraints.min_trade_value or ZERO,
        )

    def _priced(self, key: tuple[ExchangeId, Asset, Asset]) -> Way | Unreached:
        if key not in self._markets:
            return Unreached.NO_MARKET
        market, side = self._markets[key]
        refused = quote_refusal(market, self._situation)
        if refused is not None:
            self.refused.add(refused)
            return Unreached.CONSTRAINT
        bid, ask = _touch(market)
        middle = (bid + ask) / _TWO
        limit = self._constraints.max_spread_pct
        if limit is not None and (ask - bid) / middle * _HUNDRED > limit:
            return Unreached.CONSTRAINT
        if self._style.type is OrderType.MARKET:
            depth = self._depth(market, side)
            return Way(market, side, ask if side is Side.BUY else bid, None, middle, depth)
        price = self._limit_price(market, side)
        return Way(market, side, price, price, middle, None)

    def _limit_price(self, market: Market, side: Side) -> Decimal:
        """On the grid, a buy rounded down and a sale up: never worse than was meant."""
        bid, ask = _touch(market)
        offset = self._style.offset_bps / _BPS
        slippage_pct = self._constraints.max_slippage_pct
        if slippage_pct is not None and not self._style.post_only:
            offset = min(offset, slippage_pct / _HUNDRED)
        tick = market.instrument.tick_size
        if side is Side.BUY:
            wanted = bid * (1 - offset) if self._style.post_only else ask * (1 + offset)
            return max(tick, round_down(wanted, tick))
        wanted = ask * (1 + offset) if self._style.post_only else bid * (1 - offset)
        return max(tick, round_up(wanted, tick))

    def _depth(self, market: Market, side: Side) -> Decimal | None:
        slippage_pct = self._constraints.max_slippage_pct
        levels = market.asks if side is Side.BUY else market.bids
        if not levels and slippage_pct is None:
            return None
        if not levels:
            one = market.instrument
            self.refused.add(Refusal(RefusalReason.BOOK_MISSING, f"{one.exchange}:{one.symbol}"))
        return _offered(levels, slippage_pct)


def _touch(market: Market) -> tuple[Decimal, Decimal]:
    ticker = market.ticker
    assert ticker is not None
    assert ticker.bid is not None
    assert ticker.ask is not None
    return ticker.bid, ticker.ask


def _offered(levels: Iterable[Level], slippage_pct: Decimal | None) -> Decimal:
    """How much of a book is at most this much worse than its best price; all of it without a
    limit, for what was not read may not be there."""
    offered, best = ZERO, None
    for price, quantity in levels:
        best = price if best is None else best
        if slippage_pct is not None and abs(price - best) * _HUNDRED > slippage_pct * best:
            break
        offered += quantity
    return offered
