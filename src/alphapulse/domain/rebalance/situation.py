"""Situation: all that a plan is made from, as it is at one moment. Pure.

A plan is all-known or nothing (reliability.md O-8, T-15): what is missing, empty, too old or in
doubt is a refusal, and all of them are told at once.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.funds import Hold
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId
from alphapulse.domain.instrument import Instrument
from alphapulse.domain.market import Ticker
from alphapulse.domain.order_cost import Level
from alphapulse.domain.portfolio import Holding, PositionValue
from alphapulse.domain.rebalance.gains import HeldLots
from alphapulse.domain.valuation import Price, Quality


@dataclass(frozen=True, slots=True)
class Headroom:
    """What the limits of trading leave, in the base currency: to one order, and to all orders
    until midnight UTC. ``None``: as much as one likes."""

    order: Decimal | None = None
    day: Decimal | None = None


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """One account that may trade.

    ``holds`` is what its orders hold back. ``read_at`` is when its balances were last confirmed,
    on our clock; ``None`` if never. ``fee_rate`` is the taker's, a share of the notional.
    ``quote`` is the money it trades in; ``None`` takes what most of its markets are quoted in.
    """

    id: AccountId
    exchange: ExchangeId
    read_at: datetime | None
    fee_rate: Decimal | None
    holds: tuple[Hold, ...] = ()
    is_in_doubt: bool = False
    """One of its orders may or may not exist."""
    quote: Asset | None = None
    headroom: Headroom = Headroom()


@dataclass(frozen=True, slots=True)
class Market:
    """One instrument, what is bid and asked, and its book as far as it was read, best first."""

    instrument: Instrument
    ticker: Ticker | None
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()


@dataclass(frozen=True, slots=True)
class Situation:
    """``currency`` is the base currency: prices and every value of the plan are in it. ``lots`` is
    ``None`` where they are not counted in it, or not up to now."""

    now: datetime
    currency: Asset
    accounts: tuple[AccountFacts, ...]
    holdings: tuple[Holding, ...]
    prices: Mapping[Asset, Price]
    markets: tuple[Market, ...]
    positions: tuple[PositionValue, ...] = ()
    lots: HeldLots | None = None
    max_age: timedelta = timedelta(seconds=10)

    @property
    def known_assets(self) -> frozenset[Asset]:
        """What may be a target: held somewhere, or one side of a spot market."""
        spot = [m.instrument for m in self.markets if m.instrument.settle is None]
        held = {holding.balance.asset for holding in self.holdings}
        return frozenset(held | {one.base for one in spot} | {one.quote for one in spot})

    def price_of(self, asset: Asset) -> Price | None:
        """One unit in base currency; one of that itself is worth one."""
        if asset == self.currency:
            return Price(Decimal(1), asset, self.now, "identity", Quality.LIVE)
        return self.prices.get(asset)

    def worth_of(self, asset: Asset) -> Decimal:
        """One unit in base currency, where it is known that there is a price."""
        price = self.price_of(asset)
        assert price is not None, asset
        return price.value


class RefusalReason(StrEnum):
    NO_ACCOUNT = "no_account"
    BALANCES_MISSING = "balances_missing"
    BALANCES_EMPTY = "balances_empty"
    """The account holds nothing at all, or its venue says so."""
    BALANCES_STALE = "balances_stale"
    ORDER_UNKNOWN = "order_unknown"
    FEE_UNKNOWN = "fee_unknown"
    PRICE_MISSING = "price_missing"
    PRICE_STALE = "price_stale"
    PRICE_IN_OTHER_CURRENCY = "price_in_other_currency"
    QUOTE_MISSING = "quote_missing"
    """No bid and ask, or a bid above the ask."""
    QUOTE_STALE = "quote_stale"
    BOOK_MISSING = "book_missing"
    NOTHING_HELD = "nothing_held"


@dataclass(frozen=True, slots=True, order=True)
class Refusal:
    """``subject`` is an account, an asset, or ``exchange:symbol``."""

    reason: RefusalReason
    subject: str
    age_ms: int | None = None


def refusals(situation: Situation, assets: Collection[Asset]) -> Iterator[Refusal]:
    """What of the accounts and of the prices of ``assets`` forbids any plan."""
    if not situation.accounts:
        yield Refusal(RefusalReason.NO_ACCOUNT, "")
    filled = {one.account_id for one in situation.holdings if not one.balance.is_empty}
    for account in situation.accounts:
        yield from _account_refusals(account, account.id not in filled, situation)
    for asset in sorted(assets):
        found = _price_refusal(asset, situation)
        if found is not None:
            yield found


def quote_refusal(market: Market, situation: Situation) -> Refusal | None:
    """What is wrong with the bid and ask of a market that a trade would use."""
    ticker = market.ticker
    subject = f"{market.instrument.exchange}:{market.instrument.symbol}"
    if ticker is None or not ticker.bid or not ticker.ask or not 0 < ticker.bid <= ticker.ask:
        return Refusal(RefusalReason.QUOTE_MISSING, subject)
    age = situation.now - min(ticker.occurred_at, ticker.received_at)
    if age > situation.max_age:
        return Refusal(RefusalReason.QUOTE_STALE, subject, _ms(age))
    return None


def _account_refusals(
    account: AccountFacts, is_empty: bool, situation: Situation
) -> Iterator[Refusal]:
    if account.is_in_doubt:
        yield Refusal(RefusalReason.ORDER_UNKNOWN, account.id)
    if account.fee_rate is None:
        yield Refusal(RefusalReason.FEE_UNKNOWN, account.id)
    if account.read_at is None:
        yield Refusal(RefusalReason.BALANCES_MISSING, account.id)
    elif (age := situation.now - account.read_at) > situation.max_age:
        yield Refusal(RefusalReason.BALANCES_STALE, account.id, _ms(age))
    elif is_empty:
        yield Refusal(RefusalReason.BALANCES_EMPTY, account.id)


def _price_refusal(asset: Asset, situation: Situation) -> Refusal | None:
    price = situation.price_of(asset)
    if price is None or price.value <= 0:
        return Refusal(RefusalReason.PRICE_MISSING, asset)
    if price.currency != situation.currency:
        return Refusal(RefusalReason.PRICE_IN_OTHER_CURRENCY, asset)
    age = situation.now - price.as_of
    if age > situation.max_age or price.quality is Quality.STALE:
        return Refusal(RefusalReason.PRICE_STALE, asset, _ms(age))
    return None


def _ms(age: timedelta) -> int:
    return max(0, age // timedelta(milliseconds=1))
