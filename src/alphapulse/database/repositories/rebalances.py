"""Repository Pattern Implementation: plans, the runs that execute them, and target sets."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, delete, select

from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.rebalance import (
    rebalance_legs,
    rebalance_plans,
    rebalance_runs,
    target_sets,
)
from alphapulse.domain.identifiers import AccountId, UserId
from alphapulse.domain.rebalance.constraints import Style
from alphapulse.domain.rebalance.plan import Plan, PlanRequest
from alphapulse.domain.rebalance.records import RunRecord, StoredPlan, TargetSet
from alphapulse.domain.rebalance.run import Leg, Run, RunStatus
from alphapulse.domain.rebalance.trades import Trade
from alphapulse.errors import NotFound

LEG = Rows(Leg, rebalance_legs)

_UNFINISHED = [status for status in RunStatus if not status.is_final]


class Rebalances:
    """A plan is executed at most once: its run has the plan's id for a key of its own."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def add_plan(self, plan: StoredPlan) -> None:
        """A plan that was shown."""
        row = {
            "id": plan.id,
            "user_id": plan.user_id,
            "request": _json(plan.request),
            "accounts": " ".join(plan.accounts),
            "plan": _json(plan.plan),
            "created_at": plan.created_at,
            "expires_at": plan.expires_at,
            "target_set_id": plan.target_set_id,
        }
        await self._statements.insert(rebalance_plans, [row])

    async def load_plan(self, plan_id: str) -> StoredPlan:
        """Raises `NotFound`."""
        row = await self._statements.row(
            select(rebalance_plans).where(rebalance_plans.c.id == plan_id)
        )
        if row is None:
            raise NotFound("no such plan", plan=plan_id)
        return StoredPlan(
            id=row.id,
            user_id=UserId(row.user_id),
            request=msgspec.json.decode(row.request, type=PlanRequest),
            accounts=_accounts(row.accounts),
            plan=msgspec.json.decode(row.plan, type=Plan),
            created_at=row.created_at,
            expires_at=row.expires_at,
            target_set_id=row.target_set_id,
        )

    async def forget_plans(self, expired_before: datetime) -> int:
        """Those that expired earlier and were never executed; how many there were."""
        c = rebalance_plans.c
        executed = select(rebalance_runs.c.plan_id)
        old = (c.expires_at < expired_before) & c.id.not_in(executed)
        return await self._statements.run(delete(rebalance_plans).where(old))

    async def save_run(self, record: RunRecord) -> None:
        """A run as it is now, all of its legs with it.

        Raises:
            Conflict: its plan has another run.
        """
        run = record.run
        row = {
            "id": run.id,
            "plan_id": record.plan_id,
            "user_id": record.user_id,
            "accounts": " ".join(record.accounts),
            "style": _json(run.style),
            "status": run.status,
            "is_stopping": run.is_stopping,
            "started_at": record.started_at,
            "updated_at": record.updated_at,
            "ended_at": record.ended_at,
        }
        await self._statements.upsert(rebalance_runs, [row])
        legs = [_leg_row(leg) for leg in record.legs]
        await self._statements.upsert(rebalance_legs, legs)

    async def load_run(self, run_id: str) -> RunRecord:
        """Raises `NotFound`."""
        found = await self._runs(rebalance_runs.c.id == run_id)
        if not found:
            raise NotFound("no such run", run=run_id)
        return found[0]

    async def run_of(self, plan_id: str) -> RunRecord | None:
        """The run that executes a plan, or did."""
        found = await self._runs(rebalance_runs.c.plan_id == plan_id)
        return found[0] if found else None

    async def unfinished(self) -> tuple[RunRecord, ...]:
        """Every run that has not ended, oldest first."""
        return await self._runs(rebalance_runs.c.status.in_(_UNFINISHED))

    async def in_progress(self, accounts: Collection[AccountId]) -> RunRecord | None:
        """A run that has not ended and trades in one of these accounts."""
        wanted = set(accounts)
        runs = await self.unfinished()
        return next((one for one in runs if wanted & set(one.accounts)), None)

    async def newest_runs(self, user_id: UserId | None, limit: int) -> tuple[RunRecord, ...]:
        """Of one user, or of all, the newest first."""
        c = rebalance_runs.c
        conditions = [] if user_id is None else [c.user_id == user_id]
        return (await self._runs(*conditions, limit=limit))[::-1]

    async def _runs(
        self, *conditions: ColumnElement[bool], limit: int | None = None
    ) -> tuple[RunRecord, ...]:
        c = rebalance_runs.c
        newest = select(rebalance_runs).where(*conditions).order_by(c.started_at.desc(), c.id)
        rows = await self._statements.rows(newest if limit is None else newest.limit(limit))
        legs = await self._legs([row.id for row in rows])
        return tuple(_record(row, legs.get(row.id, [])) for row in reversed(rows))

    async def _legs(self, run_ids: Sequence[str]) -> dict[str, list[Leg]]:
        c = rebalance_legs.c
        wanted = select(*LEG.columns).where(c.run_id.in_(run_ids)).order_by(c.run_id, c.seq)
        found: dict[str, list[Leg]] = {}
        for row in await self._statements.rows(wanted):
            found.setdefault(row.run_id, []).append(_leg(row))
        return found


class TargetSets:
    """Names are unique for each user."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def add(self, one: TargetSet) -> None:
        """Raises `Conflict` when the user has one of this name."""
        await self._statements.insert(target_sets, [_set_row(one)])

    async def save(self, one: TargetSet) -> None:
        """Raises `Conflict` when the user has another one of this name."""
        await self._statements.upsert(target_sets, [_set_row(one)])

    async def load(self, set_id: str) -> TargetSet:
        """Raises `NotFound`."""
        row = await self._statements.row(select(target_sets).where(target_sets.c.id == set_id))
        if row is None:
            raise NotFound("no such target set", target_set=set_id)
        return _set(row)

    async def list(self, user_id: UserId | None) -> tuple[TargetSet, ...]:
        """Of one user, or of all, by name."""
        c = target_sets.c
        conditions = [] if user_id is None else [c.user_id == user_id]
        wanted = select(target_sets).where(*conditions).order_by(c.name, c.id)
        return tuple(_set(row) for row in await self._statements.rows(wanted))

    async def remove(self, set_id: str) -> None:
        await self._statements.run(delete(target_sets).where(target_sets.c.id == set_id))


def _json(thing: object) -> str:
    return msgspec.json.encode(thing).decode()


def _accounts(text: str) -> tuple[AccountId, ...]:
    return tuple(map(AccountId, text.split()))


def _leg_row(leg: Leg) -> dict[str, object]:
    return LEG.values(leg, seq=leg.seq, trade=_json(leg.trade))


def _leg(row: Row[Any]) -> Leg:
    stored = LEG.read(row)
    trade = msgspec.json.decode(str(stored.trade), type=Trade)
    return replace(stored, trade=trade)


def _record(row: Row[Any], legs: list[Leg]) -> RunRecord:
    style = msgspec.json.decode(row.style, type=Style)
    return RunRecord(
        run=Run(row.id, style, row.status, row.is_stopping),
        legs=tuple(legs),
        plan_id=row.plan_id,
        user_id=UserId(row.user_id),
        accounts=_accounts(row.accounts),
        started_at=row.started_at,
        updated_at=row.updated_at,
        ended_at=row.ended_at,
    )


def _set_row(one: TargetSet) -> dict[str, object]:
    return {
        "id": one.id,
        "user_id": one.user_id,
        "version": one.version,
        "name": one.name,
        "body": _json(one),
    }


def _set(row: Row[Any]) -> TargetSet:
    return msgspec.json.decode(row.body, type=TargetSet)
