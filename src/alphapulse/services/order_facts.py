"""Order Facts: what the checks of an order look at, gathered from the database and live prices."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.account import Account
from alphapulse.domain.clock import Clock
from alphapulse.domain.funds import available
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, Symbol, UserId
from alphapulse.domain.instrument import Instrument, InstrumentType
from alphapulse.domain.market import Ticker
from alphapulse.domain.money import EXACT, ZERO, multiply
from alphapulse.domain.order import OrderRequest
from alphapulse.domain.order_checks.situation import MINUTE_S, Allowance, OrderSituation
from alphapulse.domain.order_cost import cost_of
from alphapulse.domain.order_grid import on_grid
from alphapulse.domain.rebalance.situation import Headroom
from alphapulse.domain.sync import SyncKind, SyncState
from alphapulse.errors import AlphaPulseError
from alphapulse.exchanges.order_profiles import ORDER_PROFILES
from alphapulse.exchanges.port import FeeRates, OrderBook, OrderProfile
from alphapulse.runtime.worker import Worker
from alphapulse.services.live_state import LiveState
from alphapulse.services.trading_desk import TradingDesk
from alphapulse.services.trading_settings import TradingSettings
from alphapulse.services.viewer import Viewer

BOOK_DEPTH = 50
"""Levels of a book that are read: more than an order within the default limits ever eats."""

_HUNDRED = Decimal(100)

# CCXT has Binance's futures in a class of their own.
_CONTRACT_CLASSES = {"binance": "binanceusdm"}


@dataclass(frozen=True, slots=True)
class Asked:
    """An order somebody wants: checked as ``request``, for an account and a market that exist.

    ``held`` and ``counted`` are what an order that is only changed holds back and counts already.
    """

    request: OrderRequest
    account: Account
    instrument: Instrument
    ticker: Ticker | None
    owner_id: UserId | None
    is_paper: bool = False
    held: Decimal = ZERO
    counted: Decimal = ZERO


Subject = tuple[AccountId | None, UserId | None]
"""An account, or a user."""


def profile_of(exchange: ExchangeId, kind: InstrumentType) -> OrderProfile | None:
    """What an exchange takes in one kind of market; ``None`` where we do not trade."""
    if kind is InstrumentType.SPOT:
        return ORDER_PROFILES.get((exchange, "spot"))
    return ORDER_PROFILES.get((_CONTRACT_CLASSES.get(exchange, exchange), "swap"))


def subject_of(account_id: AccountId | None, user_id: UserId | None) -> str:
    """The name under which limits are stored."""
    return f"user:{user_id}" if account_id is None else f"account:{account_id}"


def subjects_of(account_id: AccountId, owner_id: UserId | None) -> list[Subject]:
    """Whose limits an order is under."""
    account: Subject = (account_id, None)
    return [account] if owner_id is None else [account, (None, owner_id)]


def day_of(moment: datetime) -> str:
    """The day the limits count by."""
    return f"{moment:%Y-%m-%d}"


class OrderFacts:
    """Reads; it decides nothing."""

    def __init__(
        self,
        live: LiveState,
        desk: TradingDesk,
        worker: Worker,
        clock: Clock,
        settings: TradingSettings,
    ) -> None:
        self._live = live
        self._desk = desk
        self._worker = worker
        self._clock = clock
        self._settings = settings

    async def ticker(self, account: Account, symbol: Symbol) -> Ticker | None:
        """The newest price there is.

        A market that is quiet, or that nothing is held in, sends none: its book is asked for. When
        the exchange's prices as a whole are late that is not papered over.
        """
        known = self._live.tickers.get(symbol, {}).get(account.exchange)
        if (known is not None and self._is_fresh(known)) or not self._hears(account.exchange):
            return known
        view = await self.market_view(account.id, symbol)
        if view is None or not view[0].bids.levels or not view[0].asks.levels:
            return known
        return _ticker_of(account.exchange, view[0])

    async def market_view(
        self, account_id: AccountId, symbol: Symbol
    ) -> tuple[OrderBook, FeeRates] | None:
        """The book and the fees of a market; ``None`` when the exchange did not say in time."""
        try:
            async with asyncio.timeout(self._settings.book_timeout_s):
                return await self._worker.call(
                    lambda: self._desk.market_view(account_id, symbol, BOOK_DEPTH)
                )
        except (AlphaPulseError, TimeoutError, ExceptionGroup):
            return None

    async def situation(self, tx: UnitOfWork, asked: Asked) -> OrderSituation:
        """Everything as it is now.

        In a transaction that writes, it stays so until that ends: money has one writer at a time,
        so no two orders are let through by the same remainder of a limit.
        """
        now = self._clock.now()
        account, instrument = asked.account, asked.instrument
        request = on_grid(asked.request, instrument)
        positions = self._live.positions.get(account.id, ())
        allowances = [
            await self.allowance(tx, whose) for whose in subjects_of(account.id, asked.owner_id)
        ]
        cost = cost_of(
            request,
            instrument,
            asked.ticker,
            leverage=request.leverage
            or next((p.leverage for p in positions if p.symbol == request.symbol), None),
            fee_rate=EXACT.divide(self._settings.contract_fee_pct, _HUNDRED),
        )
        if cost.needed is not None and asked.held:
            cost = replace(cost, needed=max(ZERO, EXACT.subtract(cost.needed, asked.held)))
        value = self._value_of(cost.notional, instrument, now)
        added = None if value is None else max(ZERO, EXACT.subtract(value, asked.counted))
        return OrderSituation(
            now=now,
            account=account,
            instrument=instrument,
            abilities=profile_of(account.exchange, instrument.type),
            ticker=asked.ticker,
            positions=positions,
            mode=await tx.switches.mode_of(account.id),
            allowances=tuple(allowances),
            cost=cost,
            available=await self._available(tx, account, instrument, cost.asset),
            value=value,
            added_value=added,
            currency=self._settings.currency,
            is_paper=asked.is_paper,
        )

    async def allowance(self, tx: UnitOfWork, whose: Subject) -> Allowance:
        """The limits of one subject, and how much of them is used."""
        now, minute = self._clock.now(), timedelta(seconds=MINUTE_S)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        subject, (account_id, user_id) = subject_of(*whose), whose
        counted = await tx.limits.used(subject, day_of(now))
        undone = await tx.intents.value_undone(midnight, account_id=account_id, user_id=user_id)
        stored = await tx.limits.load(subject)
        orders, oldest = await tx.intents.paced(
            now - minute, account_id=account_id, user_id=user_id
        )
        return Allowance(
            subject,
            self._settings.limits if stored is None else stored[0],
            counted,
            undone,
            orders,
            MINUTE_S if oldest is None else (oldest + minute - now).total_seconds(),
        )

    async def headroom(self, tx: UnitOfWork, account: Account, viewer: Viewer) -> Headroom:
        """What the limits of the account and of its viewer leave, in the viewer's currency; what
        cannot be converted limits nothing here, the order itself is checked anyway."""
        limits = Asset(self._settings.currency)
        now = self._clock.now()
        price = self._live.book.price(limits, viewer.currency, now=now, is_traded=True)
        if price is None:
            return Headroom()
        subjects = subjects_of(account.id, viewer.owner_id)
        allowances = [await self.allowance(tx, whose) for whose in subjects]
        orders = [one.limits.max_order_value for one in allowances]
        days = [one.left_today for one in allowances]
        return Headroom(_least(orders, price.value), _least(days, price.value))

    async def _available(
        self, tx: UnitOfWork, account: Account, instrument: Instrument, asset: Asset
    ) -> Decimal | None:
        status = self._live.status(account.exchange, account.id, SyncKind.BALANCES)
        if status is None or status.last_ok_at is None:
            return None
        balances = [holding.balance for holding in self._live.holdings.get(account.id, ())]
        holds = await tx.intents.holds(account.id)
        return available(balances, holds, asset, for_contract=instrument.settle is not None)

    def _value_of(
        self, notional: Decimal | None, instrument: Instrument, now: datetime
    ) -> Decimal | None:
        currency = Asset(self._settings.currency)
        price = self._live.book.price(
            instrument.quote, currency, now=now, near=instrument.exchange, is_traded=True
        )
        return None if notional is None or price is None else multiply(notional, price.value)

    def _is_fresh(self, ticker: Ticker) -> bool:
        limit_s = self._settings.max_price_age_s
        age = self._clock.now() - ticker.received_at
        has_sides = ticker.bid is not None and ticker.ask is not None
        return has_sides and (limit_s is None or age.total_seconds() <= limit_s)

    def _hears(self, exchange: ExchangeId) -> bool:
        """Whether the prices of an exchange arrive."""
        status = self._live.status(exchange, None, SyncKind.PRICES)
        return status is not None and status.state is SyncState.OK


def _ticker_of(exchange: ExchangeId, book: OrderBook) -> Ticker:
    """What a book says of the price: the middle of its best bid and ask."""
    (bid, _), (ask, _) = book.bids.levels[0], book.asks.levels[0]
    return Ticker(exchange, book.symbol, book.received_at, book.received_at, bid=bid, ask=ask)


def _least(amounts: Iterable[Decimal | None], rate: Decimal) -> Decimal | None:
    """The smallest of those there are, converted."""
    known = [amount for amount in amounts if amount is not None]
    return EXACT.multiply(min(known), rate) if known else None
