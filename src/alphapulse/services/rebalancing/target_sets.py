"""Business Logic, rebalancing: targets under a name, and how far the portfolio is from them."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from alphapulse.database.connection import Database
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.money import EXACT, ZERO, total
from alphapulse.domain.rebalance.records import TargetSet
from alphapulse.domain.rebalance.targets import Weights
from alphapulse.errors import AlphaPulseError, NotFound, VersionMismatch
from alphapulse.services.portfolio import PortfolioService
from alphapulse.services.rebalancing.aims import Aims
from alphapulse.services.rebalancing.planning import Planner, PlanWish
from alphapulse.services.viewer import Caller, Viewer

_SHARE_STEP = Decimal("1e-8")
_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class DriftLine:
    """One asset; shares of what the set is about, ``drift`` is ``weight`` less ``target``."""

    asset: Asset
    weight: Decimal
    target: Decimal

    @property
    def drift(self) -> Decimal:
        return EXACT.subtract(self.weight, self.target)


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a portfolio is from its targets; ``unknown`` says why that cannot be told."""

    lines: tuple[DriftLine, ...] = ()
    unknown: str | None = None

    @property
    def max_pct(self) -> Decimal | None:
        """The largest drift in points of weight, unsigned; ``None`` when it is not known."""
        if self.unknown is not None:
            return None
        return EXACT.multiply(max((abs(one.drift) for one in self.lines), default=ZERO), _HUNDRED)


class TargetSetService:
    """Each method refuses sets that the caller may not see."""

    def __init__(
        self,
        database: Database,
        planner: Planner,
        aims: Aims,
        portfolio: PortfolioService,
        clock: Clock,
    ) -> None:
        self._database = database
        self._planner = planner
        self._aims = aims
        self._portfolio = portfolio
        self._clock = clock

    async def list(self, viewer: Viewer) -> tuple[TargetSet, ...]:
        """The viewer's, by name."""
        async with self._database.read() as tx:
            return await tx.target_sets.list(viewer.owner_id)

    async def load(self, viewer: Viewer, set_id: str) -> TargetSet:
        """One; `NotFound` also for somebody else's."""
        async with self._database.read() as tx:
            return await _visible(tx, viewer, set_id)

    async def add(self, caller: Caller, new: TargetSet) -> TargetSet:
        """Keep a new one under an id of its own.

        Raises:
            InvalidInput: targets that cannot be meant.
            NotFound: one of its accounts.
            Conflict: the caller has one of this name.
        """
        await self._require_meant(caller, new)
        now = self._clock.now()
        one = replace(
            new,
            id=f"targets-{secrets.token_hex(6)}",
            user_id=caller.user_id,
            version=1,
            created_at=now,
            updated_at=now,
        )
        async with self._database.begin() as tx:
            await tx.target_sets.add(one)
        return one

    async def change(self, caller: Caller, set_id: str, version: int, new: TargetSet) -> TargetSet:
        """Replace everything a person sets; raises as `add`, and `VersionMismatch`."""
        await self._require_meant(caller, new)
        async with self._database.begin() as tx:
            known = await _visible(tx, caller.viewer, set_id)
            if known.version != version:
                raise VersionMismatch(
                    f"this target set is at version {known.version} by now", current=known.version
                )
            one = replace(
                new,
                id=known.id,
                user_id=known.user_id,
                version=version + 1,
                created_at=known.created_at,
                updated_at=self._clock.now(),
                proposed_plan_id=known.proposed_plan_id,
                proposed_at=known.proposed_at,
            )
            await tx.target_sets.save(one)
        return one

    async def remove(self, caller: Caller, set_id: str) -> None:
        """Forget it; plans that were made for it stay. Raises `NotFound`."""
        async with self._database.begin() as tx:
            await _visible(tx, caller.viewer, set_id)
            await tx.target_sets.remove(set_id)

    async def proposed(self, one: TargetSet, plan_id: str) -> None:
        """Remember the plan that was proposed for a set, if that is still there."""
        async with self._database.begin() as tx:
            known = await tx.target_sets.load(one.id)
            after = replace(known, proposed_plan_id=plan_id, proposed_at=self._clock.now())
            await tx.target_sets.save(after)

    async def drift(self, viewer: Viewer, one: TargetSet) -> Drift:
        """How far the set's accounts are from its targets, at the prices that are known."""
        try:
            accounts = self._planner.accounts(viewer, one.accounts)
            weights, _ = await self._aims.weights(one.choice, accounts, viewer.currency)
            snapshot = self._portfolio.snapshot(viewer, [account.id for account in accounts])
        except AlphaPulseError as error:
            return Drift(unknown=error.message)
        values: dict[Asset, Decimal] = {}
        for line in snapshot.valuation.holdings:
            asset = line.holding.balance.asset
            if asset in one.constraints.exclude or line.holding.balance.is_empty:
                continue
            if line.net is None:
                return Drift(unknown=f"nothing says what {asset} is worth; exclude it")
            values[asset] = EXACT.add(values.get(asset, ZERO), line.net)
        whole = total(list(values.values()))
        if whole <= 0:
            return Drift(unknown="nothing is held")
        return Drift(tuple(_lines(values, weights, whole)))

    async def _require_meant(self, caller: Caller, one: TargetSet) -> None:
        accounts = self._planner.accounts(caller.viewer, one.accounts)
        await self._aims.require_meant(one.choice, accounts, caller.viewer.currency)


def wish_for(one: TargetSet, ttl_s: int | None = None) -> PlanWish:
    """The plan towards a target set."""
    return PlanWish(
        choice=one.choice,
        accounts=one.accounts,
        tolerance=one.tolerance,
        constraints=one.constraints,
        style=one.style,
        method=one.method,
        ttl_s=ttl_s,
        target_set_id=one.id,
    )


def _lines(values: dict[Asset, Decimal], weights: Weights, whole: Decimal) -> Iterator[DriftLine]:
    for asset in sorted(values.keys() | weights.keys()):
        share = EXACT.quantize(EXACT.divide(values.get(asset, ZERO), whole), _SHARE_STEP)
        target = weights.get(asset, ZERO)
        if share or target:
            yield DriftLine(asset, share, target)


async def _visible(tx: UnitOfWork, viewer: Viewer, set_id: str) -> TargetSet:
    one = await tx.target_sets.load(set_id)
    if viewer.owner_id not in {None, one.user_id}:
        raise NotFound("no such target set", target_set=set_id)
    return one
