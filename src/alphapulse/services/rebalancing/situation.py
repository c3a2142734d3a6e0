"""Business Logic, rebalancing: everything a plan is made from, read anew and in one piece."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from alphapulse.database.connection import Database
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.account import Account
from alphapulse.domain.clock import Clock
from alphapulse.domain.cost_basis.lots import Method
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, Symbol
from alphapulse.domain.instrument import Instrument, InstrumentType
from alphapulse.domain.market import Ticker
from alphapulse.domain.money import EXACT
from alphapulse.domain.portfolio import Holding
from alphapulse.domain.rebalance.situation import (
    AccountFacts,
    Market,
    Refusal,
    RefusalReason,
    Situation,
)
from alphapulse.domain.sync import SyncKind
from alphapulse.domain.valuation import Price, Quality
from alphapulse.errors import AlphaPulseError
from alphapulse.exchanges.port import OrderBook
from alphapulse.runtime.worker import Worker
from alphapulse.services.live_state import LiveState
from alphapulse.services.lots import LotService, LotsWanted
from alphapulse.services.order_facts import OrderFacts
from alphapulse.services.portfolio import PortfolioService
from alphapulse.services.rebalancing.settings import RebalanceSettings
from alphapulse.services.viewer import Viewer

_READ_ANEW = (SyncKind.BALANCES, SyncKind.ORDERS)

# Statuses are told every few seconds at most, so what was just read may be told as a little older.
_JUST_READ = timedelta(seconds=6)
# The exchange tells piece by piece what an order did to the balances.
_SETTLED = timedelta(seconds=2)
_TOLD_TRIES, _TOLD_PAUSE_S = 40, 0.05

_INSTRUMENTS_KEPT_S = 60.0

_FAILURE_KEPT_S = 2.0
"""A venue that did not tell its fees is not asked again at once."""

_OF_PRICE = {RefusalReason.PRICE_MISSING, RefusalReason.PRICE_STALE}
_OF_MARKET = {
    *(RefusalReason.QUOTE_MISSING, RefusalReason.QUOTE_STALE, RefusalReason.BOOK_MISSING),
}
_TWO = Decimal(2)


class Reader(Protocol):
    """What reads an account anew; lives on the exchange worker."""

    async def sync_now(
        self, account_id: AccountId | None, kinds: Collection[SyncKind], *, timeout_s: float
    ) -> bool: ...


class Gatherer:
    """Reads; it decides nothing. What could not be read is left out, and refuses the plan."""

    def __init__(
        self,
        database: Database,
        live: LiveState,
        facts: OrderFacts,
        portfolio: PortfolioService,
        lots: LotService,
        reader: Reader,
        worker: Worker,
        clock: Clock,
        settings: RebalanceSettings,
    ) -> None:
        self._database = database
        self._live = live
        self._facts = facts
        self._portfolio = portfolio
        self._lots = lots
        self._reader = reader
        self._worker = worker
        self._clock = clock
        self._settings = settings
        self._fees: dict[AccountId, tuple[Decimal | None, float]] = {}
        self._listed: dict[ExchangeId, tuple[tuple[Instrument, ...], float]] = {}

    async def gather(
        self,
        viewer: Viewer,
        accounts: Sequence[Account],
        wanted: Collection[Asset],
        method: Method,
    ) -> Situation:
        """The situation of these accounts, as it is now.

        Args:
            wanted: assets that are to be held, whether or not they are now.
            method: by which sales take lots.

        Raises:
            NotReady: nothing was ever read.
        """
        await asyncio.gather(*(self._read_anew(account) for account in accounts))
        listed = await self.spot_markets({account.exchange for account in accounts})
        async with self._database.read() as tx:
            holdings = [one for account in accounts for one in await _holdings(tx, account)]
            facts = [await self._facts_of(tx, account, viewer) for account in accounts]
        lots = await self._lots.held(LotsWanted(accounts, viewer.currency, method))
        assets = {one.balance.asset for one in holdings if not one.balance.is_empty} | set(wanted)
        markets = tuple(self._market(one) for one in listed if _touches(one, assets))
        facts = list(await asyncio.gather(*(self._with_fee(one, markets) for one in facts)))
        now = self._clock.now()
        near = dict(_nearest(holdings))
        snapshot = self._portfolio.value(viewer, [one.id for one in accounts])
        moneys = {one.instrument.quote for one in markets}
        return Situation(
            now=now,
            currency=viewer.currency,
            accounts=tuple(facts),
            holdings=tuple(holdings),
            prices=dict(self._prices(assets | moneys, viewer.currency, near, now)),
            markets=markets,
            positions=snapshot.valuation.positions,
            lots=lots,
            max_age=timedelta(seconds=self._settings.max_age_s),
        )

    async def known_assets(self, accounts: Sequence[Account]) -> frozenset[Asset]:
        """What may be a target: held in one of them, or traded where one of them is."""
        listed = await self.spot_markets({account.exchange for account in accounts})
        held = {
            one.balance.asset
            for account in accounts
            for one in self._live.holdings.get(account.id, ())
        }
        return frozenset(held | {one.base for one in listed} | {one.quote for one in listed})

    async def spot_markets(self, exchanges: Collection[ExchangeId]) -> list[Instrument]:
        """All that are listed there, as they were read within the last minute."""
        now_s = self._clock.monotonic_s()
        old = [
            one
            for one in exchanges
            if one not in self._listed or now_s - self._listed[one][1] > _INSTRUMENTS_KEPT_S
        ]
        if old:
            # What a venue lists is empty before it was first read: that is not kept.
            async with self._database.read() as tx:
                for exchange in old:
                    listed = await tx.instruments.list(exchange)
                    spot = tuple(one for one in listed if one.type is InstrumentType.SPOT)
                    self._listed[exchange] = (spot, now_s if spot else float("-inf"))
        return [one for exchange in sorted(exchanges) for one in self._listed[exchange][0]]

    async def completed(self, situation: Situation, refused: Iterable[Refusal]) -> Situation | None:
        """The situation with the books of the markets that a plan was refused for; ``None`` when
        no book would help.

        A market that is quiet, or that nothing is held in, sends no prices: its book is asked for.
        """
        wanted = _lacking(situation, refused)
        if not wanted or len(wanted) > self._settings.books_per_plan:
            return None
        read = await asyncio.gather(*(self._with_book(market, situation) for market in wanted))
        fresh = {_key(market): market for market in read if market is not None}
        if not fresh:
            return None
        now = self._clock.now()
        prices = dict(situation.prices)
        for market in fresh.values():
            price = self._price_of(market, situation, now)
            if price is not None and _is_older(prices.get(market.instrument.base), price):
                prices[market.instrument.base] = price
        markets = tuple(fresh.get(_key(one), one) for one in situation.markets)
        return replace(situation, now=now, markets=markets, prices=prices)

    async def _read_anew(self, account: Account) -> None:
        """Have balances and orders read now unless they just were, and wait until that is told;
        what fails is seen by its age. Who plans again and again does not use up the rate budget.
        """
        ordered_at, read_at = self._live.ordered_at.get(account.id), self._read_at(account)
        is_settled = ordered_at is None or (
            read_at is not None and read_at - ordered_at >= _SETTLED
        )
        if is_settled and self._is_just_read(account):
            return
        timeout_s = self._settings.read_timeout_s
        try:
            await self._worker.call(
                lambda: self._reader.sync_now(account.id, _READ_ANEW, timeout_s=timeout_s)
            )
        except AlphaPulseError:
            return
        for _ in range(_TOLD_TRIES):
            if self._is_just_read(account):
                return
            await asyncio.sleep(_TOLD_PAUSE_S)

    def _is_just_read(self, account: Account) -> bool:
        read_at = self._read_at(account)
        return read_at is not None and self._clock.now() - read_at <= _JUST_READ

    def _read_at(self, account: Account) -> datetime | None:
        status = self._live.status(account.exchange, account.id, SyncKind.BALANCES)
        return None if status is None else status.last_ok_at

    async def _facts_of(self, tx: UnitOfWork, account: Account, viewer: Viewer) -> AccountFacts:
        unsettled = await tx.orders.unsettled(account.id)
        external = await tx.orders.external_in_doubt(account.id)
        return AccountFacts(
            id=account.id,
            exchange=account.exchange,
            read_at=self._read_at(account),
            fee_rate=None,
            holds=await tx.intents.holds(account.id),
            is_in_doubt=bool(external) or any(not one.status.is_open for one in unsettled),
            headroom=await self._facts.headroom(tx, account, viewer),
        )

    async def _with_fee(self, facts: AccountFacts, markets: Iterable[Market]) -> AccountFacts:
        now_s, kept = self._clock.monotonic_s(), self._fees.get(facts.id)
        kept_s = _FAILURE_KEPT_S if kept is None or kept[0] is None else self._settings.fees_kept_s
        if kept is not None and now_s - kept[1] < kept_s:
            return replace(facts, fee_rate=kept[0])
        mine = (one.instrument for one in markets if one.instrument.exchange == facts.exchange)
        market = next((one for one in mine if one.is_active), None)
        if market is None:
            return facts
        view = await self._facts.market_view(facts.id, market.symbol)
        rate = None if view is None else view[1].taker
        self._fees[facts.id] = (rate, now_s)
        return replace(facts, fee_rate=rate)

    def _market(self, instrument: Instrument) -> Market:
        ticker = self._live.tickers.get(instrument.symbol, {}).get(instrument.exchange)
        return Market(instrument, ticker)

    def _prices(
        self,
        assets: Iterable[Asset],
        currency: Asset,
        near: dict[Asset, ExchangeId],
        now: datetime,
    ) -> Iterator[tuple[Asset, Price]]:
        for asset in assets:
            price = self._live.book.price(
                asset, currency, now=now, near=near.get(asset), is_traded=True
            )
            if price is not None:
                yield asset, price

    async def _with_book(self, market: Market, situation: Situation) -> Market | None:
        """A market with its book and, from that, a quote."""
        one = market.instrument
        account = next((a for a in situation.accounts if a.exchange == one.exchange), None)
        if account is None:
            return None
        view = await self._facts.market_view(account.id, one.symbol)
        if view is None or not view[0].bids.levels or not view[0].asks.levels:
            return None
        book = view[0]
        return Market(one, _ticker(one.exchange, book), book.bids.levels, book.asks.levels)

    def _price_of(self, market: Market, situation: Situation, now: datetime) -> Price | None:
        """What the middle of a book says of its base asset, in the currency of the plan."""
        one, ticker = market.instrument, market.ticker
        rate = self._live.book.price(
            one.quote, situation.currency, now=now, near=one.exchange, is_traded=True
        )
        if rate is None or ticker is None or ticker.bid is None or ticker.ask is None:
            return None
        middle = EXACT.divide(EXACT.add(ticker.bid, ticker.ask), _TWO)
        return Price(
            value=EXACT.multiply(middle, rate.value),
            currency=situation.currency,
            as_of=min(ticker.received_at, rate.as_of),
            source=f"{one.exchange}:{one.symbol} book > {rate.source}",
            quality=max(Quality.ESTIMATED, rate.quality, key=lambda quality: quality.rank),
        )


async def _holdings(tx: UnitOfWork, account: Account) -> list[Holding]:
    stored = await tx.balances.list(account.id)
    return [Holding(account.id, account.exchange, one.balance, one.occurred_at) for one in stored]


def _touches(instrument: Instrument, assets: Collection[Asset]) -> bool:
    return instrument.base in assets and instrument.is_active


def _nearest(holdings: Iterable[Holding]) -> Iterator[tuple[Asset, ExchangeId]]:
    """Where each asset is held: its own market there prices it."""
    for one in holdings:
        yield one.balance.asset, one.exchange


def _lacking(situation: Situation, refused: Iterable[Refusal]) -> list[Market]:
    """The markets whose books would answer what a plan was refused for."""
    quotes = {one.subject for one in refused if one.reason in _OF_MARKET}
    assets = {one.subject for one in refused if one.reason in _OF_PRICE}
    found = []
    for market in situation.markets:
        base = market.instrument.base
        if ":".join(_key(market)) in quotes or base in assets:
            found.append(market)
            assets.discard(base)
    return found


def _key(market: Market) -> tuple[ExchangeId, Symbol]:
    return market.instrument.exchange, market.instrument.symbol


def _is_older(known: Price | None, price: Price) -> bool:
    return known is None or known.as_of < price.as_of


def _ticker(exchange: ExchangeId, book: OrderBook) -> Ticker:
    (bid, _), (ask, _) = book.bids.levels[0], book.asks.levels[0]
    return Ticker(exchange, book.symbol, book.received_at, book.received_at, bid=bid, ask=ask)
