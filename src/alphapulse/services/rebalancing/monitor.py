"""Business Logic, rebalancing: proposes a plan where a target set drifted, or its time came."""

import asyncio
from datetime import datetime, timedelta

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import RebalanceProposed
from alphapulse.domain.rebalance.records import RunRecord, TargetSet
from alphapulse.errors import AlphaPulseError
from alphapulse.runtime.bus import EventBus
from alphapulse.services.idempotency import Answer, RequestKey
from alphapulse.services.rebalancing.planning import Planner
from alphapulse.services.rebalancing.runs import Runs
from alphapulse.services.rebalancing.settings import RebalanceSettings
from alphapulse.services.rebalancing.target_sets import Drift, TargetSetService, wish_for
from alphapulse.services.users import UserService
from alphapulse.services.viewer import Caller

PROPOSED_FOR = timedelta(hours=1)
"""How long a proposal may be executed; while the drift lasts, the next one comes after it."""


class DriftMonitor:
    """One cheap look at every set, now and then; a plan is made only where one is due."""

    def __init__(
        self,
        database: Database,
        sets: TargetSetService,
        planner: Planner,
        runs: Runs,
        users: UserService,
        bus: EventBus,
        clock: Clock,
        settings: RebalanceSettings,
    ) -> None:
        self._database = database
        self._sets = sets
        self._planner = planner
        self._runs = runs
        self._users = users
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._said: dict[str, str] = {}
        """Why nothing could be proposed for a set, so that it is said once."""

    async def run(self) -> None:
        """Look for ever; supervised."""
        while True:
            await asyncio.sleep(self._settings.drift_interval_s)
            await self.look()

    async def look(self) -> None:
        """Once at every set."""
        async with self._database.read() as tx:
            sets = await tx.target_sets.list(None)
        for one in sets:
            try:
                await self._see_to(one)
            except AlphaPulseError as error:
                self._say(one, error)
            else:
                self._said.pop(one.id, None)

    async def _see_to(self, one: TargetSet) -> None:
        viewer = await self._users.viewer(one.user_id)
        caller = Caller(one.user_id, self._users.owner_id(one.user_id), viewer)
        if not is_due(one, await self._sets.drift(viewer, one), self._clock.now()):
            return
        wish = wish_for(one, int(PROPOSED_FOR.total_seconds()))
        stored = await self._planner.plan(caller, wish)
        await self._sets.proposed(one, stored.id)
        logger.bind(target_set=one.id, plan=stored.id).info("a rebalance is proposed")
        self._bus.publish(RebalanceProposed(one.id, stored.id, one.user_id))
        if one.may_execute and stored.plan.trades:
            key = RequestKey(one.user_id, f"target-set:{stored.id}", stored.id)
            await self._runs.execute(caller, stored.id, key, _noted)

    def _say(self, one: TargetSet, error: AlphaPulseError) -> None:
        if self._said.get(one.id) != error.code:
            self._said[one.id] = error.code
            logger.bind(target_set=one.id, code=error.code, error=str(error)).warning(
                "nothing could be proposed for a target set"
            )


def is_due(one: TargetSet, drift: Drift, now: datetime) -> bool:
    """Whether a plan is to be proposed: its time came, or it drifted and no proposal stands."""
    if one.every is not None and now >= (one.proposed_at or one.created_at) + one.every:
        return True
    stands = one.proposed_at is not None and now < one.proposed_at + PROPOSED_FOR
    if one.drift_threshold_pct is None or drift.max_pct is None or stands:
        return False
    return drift.max_pct > one.drift_threshold_pct


def _noted(record: RunRecord) -> Answer:
    return Answer(202, "{}", record.id)
