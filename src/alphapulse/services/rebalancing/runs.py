"""Business Logic, rebalancing: runs, started once for each plan, paused, resumed and stopped."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import RebalanceChanged
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.rebalance import run as runs
from alphapulse.domain.rebalance.plan import Plan
from alphapulse.domain.rebalance.records import RunRecord, StoredPlan
from alphapulse.domain.rebalance.run import Run
from alphapulse.domain.trading import TradingMode
from alphapulse.errors import NotFound, PlanExpired, RunInProgress, TradingHalted
from alphapulse.runtime.bus import EventBus
from alphapulse.services.idempotency import Answer, IdempotentRequests, RequestKey
from alphapulse.services.rebalancing.planning import Planner
from alphapulse.services.viewer import Caller, Viewer

Compose = Callable[[RunRecord], Answer]
"""Puts a run into the words of the API."""


class Runs:
    """Each method refuses plans and runs that the caller may not see."""

    def __init__(
        self,
        database: Database,
        planner: Planner,
        requests: IdempotentRequests,
        bus: EventBus,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._planner = planner
        self._requests = requests
        self._bus = bus
        self._clock = clock
        self._wake = wake

    async def execute(
        self, caller: Caller, plan_id: str, key: RequestKey, compose: Compose
    ) -> Answer:
        """Start the run of a plan; of one that was started before, that run is the answer.

        Raises:
            NotFound: no such plan.
            PlanExpired: it is too old.
            PlanChanged: prices or balances are not those of the plan any more.
            RunInProgress: another run trades in one of its accounts.
            TradingHalted: the kill switch is on.
            InputsNotGood: something it is made from is missing, stale or in doubt.
            IdempotencyKeyReused: the key came with another body before.
        """

        async def work() -> Answer:
            stored = await self._planner.load(caller.viewer, plan_id)
            return compose(await self._started(caller, stored, key))

        return await self._requests.once(key, work, self._resuming(compose))

    async def check(self, caller: Caller, plan_id: str) -> Plan:
        """Everything `execute` looks at, and nothing is started; the plan as it is now."""
        stored = await self._planner.load(caller.viewer, plan_id)
        async with self._database.read() as tx:
            await self._require_startable(tx, stored)
        return await self._planner.require_unchanged(caller.viewer, stored)

    async def find(self, viewer: Viewer, run_id: str) -> RunRecord:
        """One run; `NotFound` also for somebody else's."""
        async with self._database.read() as tx:
            return await _visible(tx, viewer, run_id)

    async def newest(self, viewer: Viewer, limit: int) -> tuple[RunRecord, ...]:
        """The newest runs first."""
        async with self._database.read() as tx:
            return await tx.rebalances.newest_runs(viewer.owner_id, limit)

    async def pause(self, caller: Caller, run_id: str) -> RunRecord:
        """Send nothing new; open orders stay. Raises `NotFound`, `Conflict`."""
        return await self._moved(caller, run_id, runs.pause)

    async def stop(self, caller: Caller, run_id: str) -> RunRecord:
        """Cancel what is open, send nothing more, end. Raises `NotFound`, `Conflict`."""
        return await self._moved(caller, run_id, runs.stop)

    async def resume(self, caller: Caller, run_id: str) -> RunRecord:
        """Go on where it was paused or halted.

        Raises:
            NotFound: no such run.
            Conflict: it is neither paused nor halted.
            TradingHalted: the kill switch is on.
        """
        return await self._moved(caller, run_id, runs.resume, needs_trading=True)

    async def _started(self, caller: Caller, stored: StoredPlan, key: RequestKey) -> RunRecord:
        async with self._database.read() as tx:
            known = await tx.rebalances.run_of(stored.id)
            if known is None:
                await self._require_startable(tx, stored)
        if known is None:
            await self._planner.require_unchanged(caller.viewer, stored)
        now = self._clock.now()
        async with self._database.begin() as tx:
            record = await tx.rebalances.run_of(stored.id)
            if record is None:
                await self._require_startable(tx, stored)
                run, legs = runs.begin(f"run-{secrets.token_hex(8)}", stored.plan)
                record = RunRecord(run, legs, stored.id, caller.user_id, stored.accounts, now, now)
                await tx.rebalances.save_run(record)
                logger.bind(run=record.id, plan=stored.id).info("a rebalance was started")
            await tx.idempotency_keys.add(self._requests.row(key, record.id, now))
        self._told(record)
        return record

    async def _require_startable(self, tx: UnitOfWork, stored: StoredPlan) -> None:
        now = self._clock.now()
        if now > stored.expires_at:
            raise PlanExpired(f"the plan expired at {stored.expires_at:%H:%M:%S} UTC")
        await _require_trading(tx, stored.accounts)
        other = await tx.rebalances.in_progress(stored.accounts)
        if other is not None:
            raise RunInProgress(f"{other.id} is not over yet", run=other.id)

    async def _moved(
        self,
        caller: Caller,
        run_id: str,
        move: Callable[[Run], Run],
        *,
        needs_trading: bool = False,
    ) -> RunRecord:
        async with self._database.begin() as tx:
            record = await _visible(tx, caller.viewer, run_id)
            if needs_trading:
                await _require_trading(tx, record.accounts)
            record = replace(record, run=move(record.run), updated_at=self._clock.now())
            await tx.rebalances.save_run(record)
        self._told(record)
        return record

    def _told(self, record: RunRecord) -> None:
        self._bus.publish(RebalanceChanged(record))
        self._wake()

    def _resuming(self, compose: Compose) -> Callable[[str], Awaitable[Answer]]:
        async def resume(subject: str) -> Answer:
            async with self._database.read() as tx:
                return compose(await tx.rebalances.load_run(subject))

        return resume


async def is_trading(tx: UnitOfWork, record: RunRecord) -> bool:
    """Whether the kill switch is off for every account of a run."""
    modes = [await tx.switches.mode_of(account_id) for account_id in record.accounts]
    return all(mode is TradingMode.ACTIVE for mode in modes)


async def _require_trading(tx: UnitOfWork, accounts: tuple[AccountId, ...]) -> None:
    for account_id in accounts:
        mode = await tx.switches.mode_of(account_id)
        if mode is not TradingMode.ACTIVE:
            raise TradingHalted(f"trading in {account_id} is {mode}")


async def _visible(tx: UnitOfWork, viewer: Viewer, run_id: str) -> RunRecord:
    record = await tx.rebalances.load_run(run_id)
    if viewer.owner_id not in {None, record.user_id}:
        raise NotFound("no such run", run=run_id)
    return record
