"""Business Logic, rebalancing: the executor, which takes every run step by step to its end.

Each step is stored before its orders are placed, under keys that the order path knows: whenever
the process ends, the next one repeats the same step, and nothing is sent twice.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import RebalanceChanged
from alphapulse.domain.identifiers import AccountId, ClientOrderId
from alphapulse.domain.intent import client_order_id
from alphapulse.domain.money import EXACT, ZERO, total
from alphapulse.domain.order import Fill, Order, OrderOrigin, OrderStatus, Side
from alphapulse.domain.rebalance.records import RunRecord
from alphapulse.domain.rebalance.run import (
    Action,
    Cancel,
    Leg,
    LegOrder,
    LegStatus,
    RunStatus,
    Send,
    advance,
    halt,
)
from alphapulse.domain.rebalance.trades import Trade
from alphapulse.domain.trading import CycleOutcome
from alphapulse.errors import (
    AlphaPulseError,
    DatabaseError,
    InProgress,
    NotEnoughFree,
    NotReady,
    OrderBudgetSpent,
    PriceNotGood,
    TradingHalted,
    WorkerStopped,
)
from alphapulse.runtime.bus import EventBus
from alphapulse.services.idempotency import Answer, RequestKey
from alphapulse.services.live_state import Changes
from alphapulse.services.order_placing import NewOrder, PlacedOrder
from alphapulse.services.orders import fills_of, id_of, key_of
from alphapulse.services.rebalancing.runs import is_trading
from alphapulse.services.rebalancing.settings import RebalanceSettings
from alphapulse.services.trading import TradingService
from alphapulse.services.users import UserService
from alphapulse.services.viewer import Caller

# What passes: the order is tried again until the time of its step is over.
_PASSING = (
    *(NotEnoughFree, PriceNotGood, OrderBudgetSpent, InProgress, NotReady),
    *(TradingHalted, WorkerStopped, DatabaseError),
)


class Executor:
    """One task for all runs: a run is never looked at twice at once."""

    def __init__(
        self,
        database: Database,
        trading: TradingService,
        users: UserService,
        bus: EventBus,
        clock: Clock,
        settings: RebalanceSettings,
    ) -> None:
        self._database = database
        self._trading = trading
        self._users = users
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._news = asyncio.Event()
        self._began_at = clock.now()
        self._refused: dict[str, str] = {}
        """Why the order of a key was refused before anything was stored of it."""
        self._failing: dict[str, datetime] = {}
        """Since when the order of a key cannot be placed."""

    def wake(self) -> None:
        """Look now: something changed."""
        self._news.set()

    def on_changes(self, changes: Changes) -> None:
        """Take what the live state just learned."""
        if changes.is_reload or changes.orders or changes.fills:
            self._news.set()

    async def run(self) -> None:
        """Take every run to its end, for ever; supervised."""
        while True:
            self._news.clear()
            async with self._database.read() as tx:
                waiting = [record.id for record in await tx.rebalances.unfinished()]
            if await self._look_at(waiting):
                continue
            try:
                async with asyncio.timeout(self._settings.look_interval_s if waiting else None):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _look_at(self, run_ids: Iterable[str]) -> bool:
        """One step of each; every one is over before what one of them met is raised."""
        acted = False
        looks = (self.look(run_id) for run_id in run_ids)
        for outcome in await asyncio.gather(*looks, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
            acted |= outcome
        return acted

    async def look(self, run_id: str) -> bool:
        """One step of one run; whether an order was placed or canceled."""
        async with self._database.begin() as tx:
            before = await tx.rebalances.load_run(run_id)
            now, run = self._clock.now(), before.run
            if run.status is RunStatus.RUNNING and not await is_trading(tx, before):
                run = halt(run)
            step = advance(run, before.legs, await self._orders(tx, before), now)
            after = replace(before, run=step.run, legs=step.legs)
            if after != before:
                after = replace(after, updated_at=now, ended_at=_ended_at(after, now))
                await tx.rebalances.save_run(after)
            ready = await self._ready(tx, step.actions, after)
        if after != before:
            self._told(before, after)
        done = await asyncio.gather(*(self._act(after, action) for action in ready))
        return any(done)

    def _told(self, before: RunRecord, after: RunRecord) -> None:
        self._bus.publish(RebalanceChanged(after))
        if after.run.status is not before.run.status:
            log = logger.bind(run=after.id, status=after.run.status.value)
            log.info("a rebalance moved on")
        for leg in after.legs:
            if leg.status.is_final:
                self._refused.pop(leg.key, None)
                self._failing.pop(leg.key, None)

    async def _orders(self, tx: UnitOfWork, record: RunRecord) -> dict[str, LegOrder]:
        """What the order path knows of the orders that are out."""
        out = {
            (leg.trade.account_id, self._name(record, leg)): leg
            for leg in record.legs
            if leg.status is LegStatus.SENT
        }
        known = {
            leg.key: LegOrder(OrderStatus.REJECTED, ZERO, ZERO, self._refused[leg.key])
            for leg in out.values()
            if leg.key in self._refused
        }
        for account_id in {account_id for account_id, _ in out}:
            names = [name for of, name in out if of == account_id]
            orders = await tx.orders.named(account_id, names)
            fills = await fills_of(tx, orders) or {}
            for order in orders:
                leg = out[account_id, ClientOrderId(order.key)]
                known[leg.key] = leg_order(leg.trade, order, fills.get(key_of(order), []))
        return known

    async def _ready(
        self, tx: UnitOfWork, actions: tuple[Action, ...], record: RunRecord
    ) -> list[Action]:
        """Those that may be done: an account is compared with its exchange before it trades."""
        ready: list[Action] = []
        open_accounts: dict[AccountId, bool] = {}
        legs = {leg.seq: leg for leg in record.legs}
        for action in actions:
            account_id = legs[action.seq].trade.account_id
            if account_id not in open_accounts:
                open_accounts[account_id] = await self._is_open(tx, account_id)
            if open_accounts[account_id]:
                ready.append(action)
        return ready

    async def _is_open(self, tx: UnitOfWork, account_id: AccountId) -> bool:
        """Whether it was compared with its exchange since this process began: before that, what an
        earlier one left behind is not known, and no order is taken."""
        cycles = await tx.reconciliations.list(account_id, 1)
        return any(
            one.ended_at >= self._began_at and one.outcome is not CycleOutcome.VOID
            for one in cycles
        )

    async def _act(self, record: RunRecord, action: Action) -> bool:
        if isinstance(action, Cancel):
            return await self._cancel(record, action)
        return await self._send(record, action)

    async def _send(self, record: RunRecord, send: Send) -> bool:
        """Place an order, once; whether it was, or is known to be refused."""
        wanted = NewOrder(send.request, allow_duplicate=True, origin=OrderOrigin.REBALANCE)
        key = RequestKey(record.user_id, send.key, send.key)
        try:
            await self._trading.place(await self._caller(record), wanted, key, _noted)
        except _PASSING as error:
            return self._is_over(record, send, error)
        except AlphaPulseError as error:
            self._refuse(send, error)
        return True

    def _is_over(self, record: RunRecord, send: Send, error: AlphaPulseError) -> bool:
        """Whether what hinders an order has lasted as long as a step may."""
        now = self._clock.now()
        since = self._failing.setdefault(send.key, now)
        if isinstance(error, TradingHalted):
            return True  # the next look finds the switch
        if now < since + timedelta(seconds=record.run.style.step_timeout_s):
            return False
        self._refuse(send, error)
        return True

    def _refuse(self, send: Send, error: AlphaPulseError) -> None:
        logger.bind(order=send.key, code=error.code, error=str(error)).warning(
            "an order of a rebalance was refused"
        )
        self._refused[send.key] = error.code

    async def _cancel(self, record: RunRecord, cancel: Cancel) -> bool:
        """One that has ended meanwhile is no error; what fails is asked again by the run."""
        leg = next(leg for leg in record.legs if leg.seq == cancel.seq)
        order_id = f"{leg.trade.account_id}.{self._name(record, leg)}"
        try:
            await self._trading.cancel(await self._caller(record), order_id)
        except AlphaPulseError as error:
            logger.bind(order=order_id, error=str(error)).warning("a cancel was not taken")
            return False
        return True

    def _name(self, record: RunRecord, leg: Leg) -> ClientOrderId:
        owner_id = self._users.owner_id(record.user_id)
        return client_order_id(leg.trade.account_id, owner_id, leg.key)

    async def _caller(self, record: RunRecord) -> Caller:
        """Raises `TokenRevoked` or `UserDisabled` when the user may do nothing any more."""
        viewer = await self._users.viewer(record.user_id)
        return Caller(record.user_id, self._users.owner_id(record.user_id), viewer)


def leg_order(trade: Trade, order: Order, fills: list[Fill]) -> LegOrder:
    """What is known of the order of a leg.

    One that ended is not over before every fill of it was told: what it brought is not known.
    """
    told = total([one.quantity for one in fills])
    brought = total([_brought(trade, one) for one in fills])
    is_short = order.status.is_final and told < order.filled_quantity
    status = OrderStatus.SENDING if is_short else order.status
    return LegOrder(status, order.filled_quantity, brought, order.status_reason)


def _brought(trade: Trade, fill: Fill) -> Decimal:
    """What one fill brought of the asset the trade gets; a fee that is not told yet counts as
    planned."""
    amount = fill.quantity
    if trade.side is Side.SELL:
        amount = EXACT.multiply(fill.quantity, fill.price)
    if fill.fee is None:
        return EXACT.subtract(amount, EXACT.multiply(amount, trade.fee_rate))
    return EXACT.subtract(amount, fill.fee) if fill.fee_asset == trade.gets else amount


def _noted(placed: PlacedOrder) -> Answer:
    """The run reads what became of the order; nobody else asks with this key."""
    return Answer(201, "{}", id_of(placed.order))


def _ended_at(record: RunRecord, now: datetime) -> datetime | None:
    return record.ended_at or (now if record.run.status.is_final else None)
