"""Net Worth Recorder: writes down what everything is worth, every five minutes and at each flow.

It watches the live state: when balances change, what was held before and what is held now are
valued at the same prices and remembered. When the ledger later tells of a deposit or withdrawal
that explains the change, these two moments are stored beside it. No moment is ever made up: while
nothing could be valued, nothing is stored, and the next moment says that it follows a gap.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TypeAlias

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.database.repositories.net_worth import ENTRIES_AT_ONCE
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.ledger import RecordedEntry, Subject
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.net_worth import (
    Picture,
    Step,
    Worth,
    WorthFlow,
    came_in,
    inner_transfers,
    pictures_of,
    step_of,
    summed,
)
from alphapulse.domain.performance.thinning import TIERS, thinned
from alphapulse.domain.portfolio import Holding
from alphapulse.domain.position import Position
from alphapulse.domain.valuation import USD
from alphapulse.errors import DatabaseError, NotReady
from alphapulse.services.live_state import Changes, LiveState
from alphapulse.services.portfolio import AccountHealth, PortfolioService, Snapshot
from alphapulse.services.viewer import Viewer

INTERVAL = timedelta(minutes=5)
GAP = 2 * INTERVAL
"""Two moments further apart than this have a gap between them."""

WAKE_S = 15.0
"""How soon a flow that the ledger tells of is settled."""

PATIENCE = timedelta(minutes=10)
"""So long a flow may be told before the balances show it."""

JUST_BEFORE = timedelta(milliseconds=1)

STEPS_KEPT = 500
"""Changes of balances that a flow may still explain: hours of ordinary trading."""

PENDING_MAX = 288
"""Moments kept while the database is away: a day; then the oldest go, and leave a gap."""

OVERLAP = 1000
"""Entries looked at once more: on PostgreSQL a lower id may become visible after a higher one."""

DAYS_AGAIN = 3
"""Thinned once more each day, for the days on which nobody did."""

_DAY = timedelta(days=1)

_Held: TypeAlias = tuple[tuple[Holding, ...], tuple[Position, ...]]
_Pictures: TypeAlias = dict[tuple[AccountId, Asset], Picture]


class NetWorthRecorder:
    """Lives on the main loop, beside the live state. `on_changes` listens, `run` is supervised.

    ``revision`` rises whenever something was stored, in each of the ``currencies``.
    """

    def __init__(
        self, database: Database, live: LiveState, portfolio: PortfolioService, clock: Clock
    ) -> None:
        self._database = database
        self._live = live
        self._portfolio = portfolio
        self._clock = clock
        self.currencies: tuple[Asset, ...] = ()
        self._held: dict[AccountId, _Held] = {}
        self._pictures: _Pictures = {}
        self._last_at: datetime | None = None
        self._steps: deque[Step] = deque(maxlen=STEPS_KEPT)
        self._pending: deque[tuple[Worth, ...]] = deque()
        self._flows: dict[int, list[WorthFlow]] = {}
        self._settled_to = 0
        self._thinned_on: date | None = None
        self._facts_revision = 0
        self._may_begin = asyncio.Event()
        self.revision = 0

    def on_changes(self, _: Changes) -> None:
        """Notice which balances changed; called after each batch of the live state."""
        if self._last_at is None and self._live.facts_revision != self._facts_revision:
            self._facts_revision = self._live.facts_revision
            self._may_begin.set()
        before: dict[AccountId, _Held] = {}
        for account_id, holdings in self._live.holdings.items():
            held = (holdings, self._live.positions.get(account_id, ()))
            known = self._held.get(account_id, held)
            if known[0] is not holdings and _moved(known[0], holdings):
                before[account_id] = known
            self._held[account_id] = held
        if before and self._last_at is not None:
            self._remember(before, self._clock.now())

    async def run(self) -> None:
        """Record for as long as the program runs; a database that is away is tried again."""
        was_away = False
        while True:
            try:
                await self.do()
                was_away = False
            except DatabaseError as error:
                if not was_away:
                    logger.bind(error=str(error)).warning("net worth is kept until it is stored")
                was_away = True
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s()):
                    await self._may_begin.wait()
            self._may_begin.clear()

    async def do(self) -> None:
        """Take a moment when one is due, settle flows, and store both.

        Raises:
            DatabaseError: not now; what was taken is kept.
        """
        if not self._live.is_loaded:
            return
        if not self.currencies:
            await self._read_currencies()
        now = self._clock.now()
        if self._last_at is None or _slot(now) > _slot(self._last_at):
            self._take(now)
        await self._settle(now)
        await self._store()
        await self._thin(now)

    def _take(self, now: datetime) -> None:
        is_gap = self._last_at is None or now - self._last_at > GAP
        pictures: _Pictures = {}
        worths = self._look(self._snapshots(), now, self._pictures, pictures, is_gap=is_gap)
        if worths:
            self._last_at, self._pictures = now, pictures
            self._keep(worths)

    def _remember(self, before: Mapping[AccountId, _Held], now: datetime) -> None:
        """What was worth what right before balances changed, and right after."""
        snapshots = self._snapshots()
        between: _Pictures = {}
        earlier = self._look(snapshots, now - JUST_BEFORE, self._pictures, between, held=before)
        worths = (*earlier, *self._look(snapshots, now, between, {}))
        for account_id, (holdings, _) in before.items():
            moved = _moved(holdings, self._live.holdings[account_id])
            prices = self._prices(account_id, moved, now)
            self._steps.append(Step(now, account_id, moved, prices, worths))

    def _snapshots(self) -> dict[Asset, Snapshot]:
        """Every account, valued now in each currency; none while that cannot be done."""
        try:
            return {
                currency: self._portfolio.value(Viewer(currency, None))
                for currency in self.currencies
                if self._live.book.knows(currency)
            }
        except NotReady:
            return {}

    def _look(
        self,
        snapshots: Mapping[Asset, Snapshot],
        at: datetime,
        before: _Pictures,
        pictures: _Pictures,
        *,
        held: Mapping[AccountId, _Held] | None = None,
        is_gap: bool = False,
    ) -> tuple[Worth, ...]:
        """A line for each account and currency.

        Args:
            before: what was counted at the moment before.
            pictures: is filled with what is counted now.
            held: by some accounts, instead of what they hold now.
        """
        worths = []
        for currency, snapshot in snapshots.items():
            now = pictures_of(snapshot.valuation, [one.id for one in snapshot.accounts])
            for account_id, (holdings, positions) in (held or {}).items():
                valuation = self._portfolio.valued(holdings, positions, currency)
                now |= pictures_of(valuation, [account_id])
            for account_id, picture in now.items():
                pictures[account_id, currency] = picture
                is_ok = snapshot.health.get(account_id) is AccountHealth.OK
                worths.append(
                    Worth(
                        account_id=account_id,
                        currency=currency,
                        at=at,
                        value=picture.value,
                        unpriced=tuple(sorted(picture.unpriced)),
                        is_complete=is_ok and not picture.unpriced and not picture.is_stale,
                        is_gap=is_gap,
                        is_comparable=picture.is_comparable(before.get((account_id, currency))),
                    )
                )
        return tuple(worths)

    def _prices(
        self, account_id: AccountId, moved: Iterable[Subject], now: datetime
    ) -> dict[tuple[Subject, Asset], Decimal | None]:
        account = self._live.accounts.get(account_id)
        near = None if account is None else account.exchange
        prices: dict[tuple[Subject, Asset], Decimal | None] = {}
        for subject in moved:
            for currency in self.currencies:
                price = self._live.book.price(Asset(subject), currency, now=now, near=near)
                prices[subject, currency] = None if price is None else price.value
        return prices

    def _keep(self, worths: tuple[Worth, ...]) -> None:
        self._pending.append(worths)
        if len(self._pending) > PENDING_MAX:
            self._pending.popleft()
            self._pending[0] = tuple(replace(one, is_gap=True) for one in self._pending[0])

    async def _settle(self, now: datetime) -> None:
        """Find out for each flow that the ledger tells of where it showed."""
        async with self._database.read() as unit:
            newest = await unit.ledger.newest_id()
            if newest <= self._settled_to:
                return
            entries = await unit.net_worth.unsettled(self._settled_to - OVERLAP)
        inner = inner_transfers(entries)
        waiting = [
            recorded.id
            for recorded in entries
            if recorded.id not in self._flows and not self._is_settled(recorded, inner, now)
        ]
        reached = entries[-1].id if len(entries) == ENTRIES_AT_ONCE else newest
        self._settled_to = min(waiting, default=reached + 1) - 1

    def _is_settled(self, recorded: RecordedEntry, inner: set[int], now: datetime) -> bool:
        entry = recorded.entry
        if recorded.id in inner:
            self._put(recorded, entry.occurred_at, dict.fromkeys(self.currencies, ZERO))
            return True
        step = step_of(entry, self._steps)
        if step is not None:
            step.take(entry)
            self._keep(step.worths)
            self._put(recorded, step.at, self._amounts(recorded, step.prices))
            return True
        if now - recorded.recorded_at < PATIENCE:
            return False
        # Nobody saw it: its worth is known only while the prices are still those of then.
        is_fresh = now - entry.occurred_at <= PATIENCE + INTERVAL
        prices = self._prices(entry.account_id, came_in(entry) if is_fresh else (), now)
        amounts = self._amounts(recorded, prices)
        self._put(recorded, entry.occurred_at, amounts, is_seen=False)
        return True

    def _amounts(
        self, recorded: RecordedEntry, prices: Mapping[tuple[Subject, Asset], Decimal | None]
    ) -> dict[Asset, Decimal | None]:
        amounts: dict[Asset, Decimal | None] = {}
        for currency in self.currencies:
            amount: Decimal | None = ZERO
            for subject, quantity in came_in(recorded.entry).items():
                price = prices.get((subject, currency))
                known = None if price is None else EXACT.multiply(quantity, price)
                amount = None if amount is None or known is None else EXACT.add(amount, known)
            amounts[currency] = amount
        return amounts

    def _put(
        self,
        recorded: RecordedEntry,
        at: datetime,
        amounts: Mapping[Asset, Decimal | None],
        *,
        is_seen: bool = True,
    ) -> None:
        account_id = recorded.entry.account_id
        self._flows[recorded.id] = [
            WorthFlow(recorded.id, account_id, currency, at, amount, is_seen)
            for currency, amount in amounts.items()
        ]

    async def _store(self) -> None:
        if not self._pending and not self._flows:
            return
        worths = [one for moment in self._pending for one in moment]
        flows = [one for each in self._flows.values() for one in each]
        taken = len(self._pending)
        async with self._database.begin() as unit:
            there = {account.id for account in await unit.accounts.list()}
            await unit.net_worth.add([one for one in worths if one.account_id in there])
            await unit.net_worth.add_flows([one for one in flows if one.account_id in there])
        for _ in range(taken):
            self._pending.popleft()
        self._flows.clear()
        self.revision += 1
        await self._read_currencies()

    async def _read_currencies(self) -> None:
        async with self._database.read() as unit:
            told = await unit.users.currencies()
        self.currencies = tuple(sorted({USD, *told}))

    async def _thin(self, now: datetime) -> None:
        """Once a day, of the days that have just become old enough to need fewer moments."""
        if self._thinned_on == now.date():
            return
        for tier in TIERS:
            if tier.age is not None:
                for back in range(1, DAYS_AGAIN + 1):
                    await self._thin_day((now - tier.age).date() - back * _DAY, now)
        self._thinned_on = now.date()

    async def _thin_day(self, day: date, now: datetime) -> None:
        """Keep the moments that any account needs in any currency, so that all can be summed."""
        start = datetime.combine(day, time(), UTC)
        every: set[datetime] = set()
        needed: set[datetime] = set()
        async with self._database.read() as unit:
            for account in await unit.accounts.list():
                for currency in self.currencies:
                    lines = await unit.net_worth.series([account.id], currency, start, start + _DAY)
                    points = [moment.point for moment in summed(*lines)]
                    every |= {point.at for point in points}
                    needed |= {point.at for point in thinned(points, now)}
        if every != needed:
            async with self._database.begin() as unit:
                await unit.net_worth.forget(every - needed)

    def _pause_s(self) -> float:
        """Until the next full interval of the clock, or until flows are looked for again."""
        left_s = INTERVAL.total_seconds() - self._clock.now().timestamp() % INTERVAL.total_seconds()
        return min(WAKE_S, left_s)


def _slot(at: datetime) -> int:
    """The intervals of the clock, numbered."""
    return int(at.timestamp() // INTERVAL.total_seconds())


def _moved(before: tuple[Holding, ...], after: tuple[Holding, ...]) -> dict[Subject, Decimal]:
    """By how much what is held of each asset changed."""
    moved: dict[Subject, Decimal] = {}
    for lines, add in ((after, EXACT.add), (before, EXACT.subtract)):
        for line in lines:
            asset = line.balance.asset
            moved[asset] = add(moved.get(asset, ZERO), line.balance.total)
    return {asset: quantity for asset, quantity in moved.items() if quantity}
