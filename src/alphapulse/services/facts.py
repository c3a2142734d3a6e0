"""Facts: what a summary says beyond the live state, read beside it so that no summary waits.

Every few seconds the database is asked what it knows of each account; what a viewer is told is
put together of that.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.domain.account import Account
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.net_worth import Worth, WorthFlow, summed
from alphapulse.domain.performance.change import WINDOWS, Change, changes
from alphapulse.domain.performance.history import Point
from alphapulse.domain.trading import AssetBook
from alphapulse.errors import DatabaseError
from alphapulse.services.net_worth_recorder import INTERVAL, NetWorthRecorder
from alphapulse.services.openings import Openings

REFRESH_S = 10.0

STALE_AFTER_S = 3 * REFRESH_S
"""Two readings in a row were missed."""

HISTORY = max(WINDOWS) * 11 / 10
"""The longest change may begin a tenth of its length earlier."""

SERIES_KEPT = 100
"""A household has a handful of viewers."""

_Key: TypeAlias = tuple[tuple[AccountId, ...], Asset]


FIELDS = ("change", "residuals", "first_activity_at")
"""What a summary says of them."""


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What is known of one account. A residual is a book that is off."""

    first_activity_at: datetime | None
    residuals: tuple[AssetBook, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of some accounts together as of ``as_of``; what is ``None`` was not read
    yet. ``is_stale``: newer facts should be there, and are not."""

    as_of: datetime | None = None
    is_stale: bool = False
    changes: tuple[Change, ...] | None = None
    first_activity_at: datetime | None = None
    residuals: tuple[AssetBook, ...] | None = None

    @property
    def unread(self) -> tuple[str, ...]:
        """The fields of a summary that cannot be told yet."""
        return FIELDS if self.residuals is None else ()


NO_FACTS = Facts()


class FactsService:
    """Lives on the main loop; `run` is supervised, `of` waits for nothing."""

    def __init__(self, database: Database, recorder: NetWorthRecorder, clock: Clock) -> None:
        self._database = database
        self._recorder = recorder
        self._clock = clock
        self.as_of: datetime | None = None
        """When everything was last read; ``None`` before the first time."""
        self.openings = Openings()
        self._accounts: dict[AccountId, AccountFacts] = {}
        self._recorded: tuple[object, ...] = ()
        self._worths: dict[Asset, list[Worth]] = {}
        self._flows: dict[Asset, list[WorthFlow]] = {}
        self._points: dict[_Key, tuple[Point, ...]] = {}

    async def run(self) -> None:
        """Refresh for as long as the program runs; what the database refuses is tried again."""
        was_away = False
        while True:
            try:
                await self.refresh()
                was_away = False
            except DatabaseError as error:
                if not was_away:
                    logger.bind(error=str(error)).warning("the facts of the summary grow old")
                was_away = True
            await asyncio.sleep(REFRESH_S)

    async def refresh(self) -> None:
        """Read everything again that may have changed.

        Raises:
            DatabaseError: not now; what was read before stays.
        """
        now = self._clock.now()
        found: dict[AccountId, AccountFacts] = {}
        async with self._database.read() as unit:
            for account in await unit.accounts.list():
                books = await unit.reconciliations.books(account.id)
                off = sorted((one for one in books if one.off_by), key=lambda one: one.subject)
                first_at = await unit.ledger.began_at(account.id)
                found[account.id] = AccountFacts(first_at, tuple(off))
            await self.openings.refresh(unit)
        recorded = (self._recorder.revision, self._recorder.currencies, tuple(found))
        if recorded != self._recorded:
            await self._read_history(list(found))
            self._recorded = recorded
        self._accounts, self.as_of = found, now

    @property
    def is_stale(self) -> bool:
        """Whether the database has not told anything new for too long."""
        age = None if self.as_of is None else self._clock.now() - self.as_of
        return age is not None and age > timedelta(seconds=STALE_AFTER_S)

    def of(self, accounts: Collection[Account], currency: Asset) -> Facts:
        """What is known of these accounts together, right now."""
        known = [self._accounts.get(account.id) for account in accounts]
        there = [one for one in known if one is not None]
        if len(there) < len(known):
            return NO_FACTS
        began = [one.first_activity_at for one in there if one.first_activity_at is not None]
        return Facts(
            as_of=self.as_of,
            is_stale=self.is_stale,
            changes=changes(self._series(accounts, currency), self._clock.now()),
            first_activity_at=min(began, default=None),
            residuals=tuple(book for one in there for book in one.residuals),
        )

    def _series(self, accounts: Collection[Account], currency: Asset) -> tuple[Point, ...]:
        ids = tuple(account.id for account in accounts)
        if (ids, currency) not in self._points:
            if len(self._points) >= SERIES_KEPT:
                self._points.clear()
            moments = summed(
                [one for one in self._worths.get(currency, ()) if one.account_id in ids],
                [one for one in self._flows.get(currency, ()) if one.account_id in ids],
            )
            self._points[ids, currency] = tuple(moment.point for moment in moments)
        return self._points[ids, currency]

    async def _read_history(self, ids: list[AccountId]) -> None:
        now = self._clock.now()
        worths: dict[Asset, list[Worth]] = {}
        flows: dict[Asset, list[WorthFlow]] = {}
        for currency in self._recorder.currencies:
            async with self._database.read() as unit:
                told = await unit.net_worth.series(ids, currency, now - HISTORY, now + INTERVAL)
            worths[currency], flows[currency] = list(told[0]), list(told[1])
        self._worths, self._flows = worths, flows
        self._points.clear()
