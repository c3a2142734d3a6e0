"""Live State: what is known right now, kept in memory on the main loop for every screen.

Holdings come from the database, and again whenever an event says that they changed; prices come
with the events themselves. One task applies the events, so a reader on this loop always sees a
whole batch or none of it.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import singledispatchmethod

from alphapulse.database.connection import Database
from alphapulse.database.repositories.balances import StoredBalance
from alphapulse.database.repositories.bookkeeping import Owner
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.account import Account
from alphapulse.domain.cost_basis.figures import Figures
from alphapulse.domain.cost_basis.lots import Method
from alphapulse.domain.events import (
    AccountChanged,
    AccountRemoved,
    BalancesChanged,
    BasisChanged,
    CandleClosed,
    CandleUpdated,
    Event,
    FillReceived,
    ManualPricesChanged,
    OrderChanged,
    PositionsChanged,
    RebalanceChanged,
    SyncStatusChanged,
    TickerUpdated,
)
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, Symbol
from alphapulse.domain.ledger import Subject
from alphapulse.domain.manual_prices import newest
from alphapulse.domain.market import Candle, Ticker, Timeframe
from alphapulse.domain.order import Fill, Order
from alphapulse.domain.portfolio import Holding
from alphapulse.domain.position import Position
from alphapulse.domain.rebalance.records import RunRecord
from alphapulse.domain.sync import SyncKind, SyncState, SyncStatus
from alphapulse.domain.valuation import PriceBook, parts
from alphapulse.errors import NotFound
from alphapulse.runtime.mailbox import Mailbox

CONFLATE_S = 0.025
"""How long news may gather before it is applied: 40 screens a second are more than enough, and
the mailbox keeps only the newest ticker of each market meanwhile."""

RUNS_KEPT = 50
"""Rebalances that ended are shown for as long as there are not many newer ones."""

CandleKey = tuple[ExchangeId, Symbol, Timeframe]


@dataclass(slots=True)
class Changes:
    """What one batch of events changed. ``is_reload``: anything may differ."""

    orders: list[Order] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    is_reload: bool = False


class LiveState:
    """Everything the API shows without asking the database.

    ``revision`` rises whenever something that a screen shows has changed, ``facts_revision`` when
    it was more than prices.
    """

    EVENTS: tuple[type[Event], ...] = (
        TickerUpdated,
        CandleUpdated,
        CandleClosed,
        BalancesChanged,
        PositionsChanged,
        OrderChanged,
        FillReceived,
        RebalanceChanged,
        AccountChanged,
        AccountRemoved,
        SyncStatusChanged,
        BasisChanged,
        ManualPricesChanged,
    )

    def __init__(self, inbox: Mailbox, database: Database) -> None:
        self._inbox = inbox
        self._database = database
        self._listeners: list[Callable[[Changes], None]] = []
        self._reloads: set[AccountId] = set()
        self._changes = Changes()
        self.revision = 0
        self.facts_revision = 0
        self.is_loaded = False
        self.book = PriceBook()
        self.tickers: dict[Symbol, dict[ExchangeId, Ticker]] = {}
        self.candles: dict[CandleKey, Candle] = {}
        self.accounts: dict[AccountId, Account] = {}
        self.holdings: dict[AccountId, tuple[Holding, ...]] = {}
        self.positions: dict[AccountId, tuple[Position, ...]] = {}
        self.open_orders: dict[AccountId, dict[str, Order]] = {}
        self.unsettled: dict[AccountId, dict[str, Order]] = {}
        """Ours that are neither open nor ended: on their way, unknown or quarantined."""
        self.ordered_at: dict[AccountId, datetime] = {}
        """When an order of each account last changed, since the start, on our clock."""
        self.last_trades: dict[tuple[AccountId, Subject], datetime] = {}
        """When each account last traded a contract, or an asset for another one."""
        self.runs: dict[str, RunRecord] = {}
        """Rebalances that have not ended, and the last that did, oldest first."""
        self.figures: dict[tuple[Owner, Asset, Method], Figures] = {}
        """What lots add up to, by owner, currency and method."""
        self.basis_revision = 0
        self._has_basis_changed = False
        self._has_said_changed = False
        self.statuses: dict[tuple[ExchangeId, AccountId | None, SyncKind], SyncStatus] = {}

    def listen(self, listener: Callable[[Changes], None]) -> None:
        """Call ``listener`` after each batch; it must not wait."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Load everything, then follow the events; supervised."""
        await self.load()
        while True:
            batch = await self._inbox.take()
            if batch.overflowed:
                await self.load()
            for event in batch.events:
                self._apply(event)
                self.facts_revision += not isinstance(event, TickerUpdated)
            await self._reload_accounts()
            await self._reload_basis()
            await self._reload_said()
            self._tell()
            await asyncio.sleep(CONFLATE_S)

    async def load(self) -> None:
        """Read everything there is from the database."""
        async with self._database.read() as unit:
            accounts = await unit.accounts.list()
            self.accounts = {account.id: account for account in accounts}
            self.statuses = {status.key: status for status in await unit.sync_status.list()}
            self.holdings, self.positions = {}, {}
            self.open_orders, self.unsettled, self.last_trades = {}, {}, {}
            for (account_id, symbol), at in (await unit.fills.last_trades()).items():
                self._traded(account_id, symbol, at)
            for account in accounts:
                await self._load_account(unit, account)
            last_runs = await unit.rebalances.newest_runs(None, RUNS_KEPT)
            unfinished = await unit.rebalances.unfinished()
            self.runs = {one.id: one for one in (*reversed(last_runs), *unfinished)}
            self.figures = await _figures(unit)
            self.basis_revision += 1
            self.book.say(one.leg for one in newest(await unit.manual_prices.list()))
        async with self._database.read_market() as market:
            for ticker in await market.tickers.list():
                self._put(ticker)
        self._hear_silence()
        self.is_loaded = True
        self.facts_revision += 1
        self._changes.is_reload = True
        self._tell()

    def status(
        self, exchange: ExchangeId, account_id: AccountId | None, kind: SyncKind
    ) -> SyncStatus | None:
        return self.statuses.get((exchange, account_id, kind))

    def markets(self) -> Iterable[Ticker]:
        """The newest ticker of every market."""
        return (ticker for venues in self.tickers.values() for ticker in venues.values())

    @singledispatchmethod
    def _apply(self, event: Event) -> None:
        raise NotImplementedError(f"{type(event).__name__} is not in EVENTS")

    @_apply.register
    def _(self, event: TickerUpdated) -> None:
        self._put(event.ticker)

    @_apply.register(CandleUpdated)
    @_apply.register(CandleClosed)
    def _(self, event: CandleUpdated | CandleClosed) -> None:
        candle = event.candle
        self.candles[candle.exchange, candle.symbol, candle.timeframe] = candle

    @_apply.register(BalancesChanged)
    @_apply.register(PositionsChanged)
    def _(self, event: BalancesChanged | PositionsChanged) -> None:
        self._reloads.add(event.account_id)

    @_apply.register
    def _(self, event: AccountChanged) -> None:
        if event.account.id not in self.accounts:
            self._reloads.add(event.account.id)
        self.accounts[event.account.id] = event.account

    @_apply.register
    def _(self, event: AccountRemoved) -> None:
        self._forget(event.account_id)

    @_apply.register
    def _(self, event: OrderChanged) -> None:
        order = event.order
        is_open, is_over = order.status.is_open, order.status.is_final
        _keep(self.open_orders, order, is_in=is_open)
        _keep(self.unsettled, order, is_in=not is_open and not is_over)
        self.ordered_at[order.account_id] = order.updated_at
        self._changes.orders.append(order)

    @_apply.register
    def _(self, event: FillReceived) -> None:
        fill = event.fill
        self._traded(fill.account_id, fill.symbol, fill.occurred_at)
        self._changes.fills.append(fill)

    @_apply.register
    def _(self, event: RebalanceChanged) -> None:
        self.runs[event.record.id] = event.record
        ended = [one.id for one in self.runs.values() if one.run.status.is_final]
        for run_id in ended[: max(0, len(self.runs) - RUNS_KEPT)]:
            del self.runs[run_id]

    @_apply.register
    def _(self, event: SyncStatusChanged) -> None:
        self.statuses[event.status.key] = event.status
        self._hear_silence()

    @_apply.register
    def _(self, event: BasisChanged) -> None:
        self._has_basis_changed = True

    @_apply.register
    def _(self, event: ManualPricesChanged) -> None:
        self._has_said_changed = True

    def _traded(self, account_id: AccountId, symbol: Symbol, at: datetime) -> None:
        for subject in (symbol,) if ":" in symbol else parts(symbol):
            key = (account_id, subject)
            self.last_trades[key] = max(at, self.last_trades.get(key, at))

    def _put(self, ticker: Ticker) -> None:
        self.tickers.setdefault(ticker.symbol, {})[ticker.exchange] = ticker
        self.book.put(ticker)

    def _hear_silence(self) -> None:
        self.book.silence(
            status.exchange
            for status in self.statuses.values()
            if status.kind is SyncKind.PRICES
            and status.state in {SyncState.STALE, SyncState.ERROR, SyncState.PAUSED}
        )

    async def _reload_accounts(self) -> None:
        if not self._reloads:
            return
        async with self._database.read() as unit:
            for account_id in sorted(self._reloads):
                try:
                    account = await unit.accounts.load(account_id)
                except NotFound:
                    self._forget(account_id)  # removed since; its own event is on its way
                else:
                    self.accounts[account_id] = account
                    await self._load_account(unit, account)
        self._reloads.clear()

    async def _reload_basis(self) -> None:
        if self._has_basis_changed:
            self._has_basis_changed = False
            async with self._database.read() as unit:
                self.figures = await _figures(unit)
            self.basis_revision += 1

    async def _reload_said(self) -> None:
        if self._has_said_changed:
            self._has_said_changed = False
            async with self._database.read() as unit:
                said = await unit.manual_prices.list()
            self.book.say(one.leg for one in newest(said))

    async def _load_account(self, unit: UnitOfWork, account: Account) -> None:
        stored = await unit.balances.list(account.id)
        self.holdings[account.id] = tuple(_holding(one, account.exchange) for one in stored)
        self.positions[account.id] = await unit.positions.list(account.id)
        self.open_orders[account.id] = {
            order.key: order for order in await unit.orders.open(account.id)
        }
        self.unsettled[account.id] = {
            order.key: order
            for order in await unit.orders.unsettled(account.id)
            if not order.status.is_open
        }

    def _forget(self, account_id: AccountId) -> None:
        self.accounts.pop(account_id, None)
        self.holdings.pop(account_id, None)
        self.positions.pop(account_id, None)
        self.open_orders.pop(account_id, None)
        self.unsettled.pop(account_id, None)
        self.ordered_at.pop(account_id, None)
        self.statuses = {key: one for key, one in self.statuses.items() if key[1] != account_id}
        trades = self.last_trades.items()
        self.last_trades = {key: at for key, at in trades if key[0] != account_id}

    def _tell(self) -> None:
        self.revision += 1
        changes, self._changes = self._changes, Changes()
        for listener in self._listeners:
            listener(changes)


async def _figures(unit: UnitOfWork) -> dict[tuple[Owner, Asset, Method], Figures]:
    told = await unit.bookkeeping.figures()
    return {(owner, one.currency, one.method): one for owner, one in told}


def _holding(stored: StoredBalance, exchange: ExchangeId) -> Holding:
    return Holding(stored.account_id, exchange, stored.balance, stored.occurred_at)


def _keep(kept: dict[AccountId, dict[str, Order]], order: Order, *, is_in: bool) -> None:
    mine = kept.setdefault(order.account_id, {})
    if is_in:
        mine[order.key] = order
    else:
        mine.pop(order.key, None)
