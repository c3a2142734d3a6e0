"""Alert Manager: raises an alert once when something is wrong for long enough, and ends it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from uuid import uuid4

from loguru import logger
from pydantic import BaseModel, ConfigDict, Field

from alphapulse.alerting.conditions import Problem
from alphapulse.alerting.situation import Situation
from alphapulse.database.connection import Database, open_database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.alert import Alert
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import AlertRaised, AlertResolved
from alphapulse.errors import Conflict, DatabaseError
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.mailbox import Mailbox
from alphapulse.runtime.supervisor import Supervisor


class AlertingSettings(BaseModel):
    """How long something must be wrong, and how long right again, before it is said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stale_for_s: float = Field(default=30.0, ge=0)
    """Shorter outages are ordinary; the status page shows them anyway."""
    recovered_for_s: float = Field(default=5.0, ge=0)
    """Keeps an alert that flutters firing."""
    evaluation_interval_s: float = Field(default=0.5, gt=0)
    """How often the rules are looked at: an alert comes this late at most."""


class AlertManager:
    """The alerting worker's service.

    Again and again it compares what is wrong with what is firing. Of one key at most one alert
    fires, also over restarts: the firing ones are stored.
    """

    EVENTS = Situation.EVENTS

    def __init__(
        self,
        settings: AlertingSettings,
        inbox: Mailbox,
        database: DatabaseSettings,
        bus: EventBus,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._inbox = inbox
        self._database = database
        self._bus = bus
        self._clock = clock
        self._situation = Situation()
        self._firing: dict[str, Alert] = {}
        self._wrong = _Since(clock)
        self._right = _Since(clock)
        self.supervisor = Supervisor("alerting tasks", clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Raise and resolve until the block ends."""
        async with (
            open_database(self._database, name="alerting") as database,
            self.supervisor as supervisor,
        ):
            supervisor.run("inbox", lambda: self._hear(database))
            supervisor.run("evaluation", lambda: self._keep_evaluating(database))
            yield

    async def _hear(self, database: Database) -> None:
        await self._load(database)
        while True:
            batch = await self._inbox.take()
            if batch.overflowed:
                await self._load(database)
            for event in batch.events:
                self._situation.note(event)

    async def _load(self, database: Database) -> None:
        """Read what is stored, as soon as the database lets us."""
        while True:
            with suppress(DatabaseError):
                async with database.read() as tx:
                    self._situation.load(
                        await tx.accounts.list(),
                        await tx.sync_status.list(),
                        await tx.orders.quarantined(),
                    )
                    self._firing = {alert.key: alert for alert in await tx.alerts.list_firing()}
                return
            await asyncio.sleep(self._settings.evaluation_interval_s)

    async def _keep_evaluating(self, database: Database) -> None:
        while True:
            await asyncio.sleep(self._settings.evaluation_interval_s)
            try:
                await self._evaluate(database)
            except (DatabaseError, Conflict) as error:
                # Nothing was said yet: the next look finds the same. A conflict is an account
                # that was removed this moment.
                logger.bind(error=str(error)).debug("alerts not stored; will try again")

    async def _evaluate(self, database: Database) -> None:
        problems = self._situation.problems(stale_for_s=self._settings.stale_for_s)
        new = self._wrong.keep(key for key in problems if key not in self._firing)
        over = self._right.keep(key for key in self._firing if key not in problems)
        for key, lasted_s in new.items():
            if lasted_s >= problems[key].for_s:
                await self._raise(database, problems[key])
        for key, lasted_s in over.items():
            if lasted_s >= self._settings.recovered_for_s:
                await self._resolve(database, self._firing[key])

    async def _raise(self, database: Database, problem: Problem) -> None:
        alert = Alert(
            id=str(uuid4()),
            key=problem.key,
            severity=problem.severity,
            title=problem.title,
            detail=problem.detail,
            fix=problem.fix,
            code=problem.code,
            exchange=problem.exchange,
            account_id=problem.account_id,
            started_at=self._clock.now(),
        )
        async with database.begin() as tx:
            is_new = await tx.alerts.add(alert)
        self._firing[alert.key] = alert
        if is_new:
            logger.bind(key=alert.key, detail=alert.detail).warning("alert raised")
            self._bus.publish(AlertRaised(alert))

    async def _resolve(self, database: Database, alert: Alert) -> None:
        now = self._clock.now()
        async with database.begin() as tx:
            await tx.alerts.resolve(alert.key, now)
        del self._firing[alert.key]
        logger.bind(key=alert.key).info("alert resolved")
        self._bus.publish(AlertResolved(replace(alert, resolved_at=now)))


class _Since:
    """For how long each key has been there without a break; durations never jump."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_s: dict[str, float] = {}

    def keep(self, keys: Iterable[str]) -> dict[str, float]:
        """Remember exactly these; seconds each has been there."""
        now_s = self._clock.monotonic_s()
        self._since_s = {key: self._since_s.get(key, now_s) for key in keys}
        return {key: now_s - since_s for key, since_s in self._since_s.items()}
