"""Business Logic, rebalancing: plans, made from the situation as it is, and made again."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from alphapulse.database.connection import Database
from alphapulse.domain.account import Account, AccountState
from alphapulse.domain.clock import Clock
from alphapulse.domain.cost_basis.lots import Method
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.money import plain
from alphapulse.domain.rebalance.choice import TargetChoice
from alphapulse.domain.rebalance.constraints import Constraints, Style, Tolerance
from alphapulse.domain.rebalance.fingerprint import moved_pct
from alphapulse.domain.rebalance.plan import Plan, PlanRequest, Refused, make_plan
from alphapulse.domain.rebalance.records import StoredPlan
from alphapulse.domain.rebalance.situation import Refusal, RefusalReason
from alphapulse.errors import (
    InputFault,
    InputsNotGood,
    InvalidInput,
    NotFound,
    PlanChanged,
)
from alphapulse.services.portfolio import PortfolioService
from alphapulse.services.rebalancing.aims import Aims
from alphapulse.services.rebalancing.settings import RebalanceSettings
from alphapulse.services.rebalancing.situation import Gatherer
from alphapulse.services.viewer import Caller, Viewer

# Of a quote, of a price, and of what the first two bring to light.
COMPLETIONS_MAX = 3

_WHY = {
    RefusalReason.NO_ACCOUNT: "there is no active account",
    RefusalReason.BALANCES_MISSING: "its balances were never read",
    RefusalReason.BALANCES_EMPTY: "it holds nothing, or its exchange says so",
    RefusalReason.BALANCES_STALE: "its balances are too old",
    RefusalReason.ORDER_UNKNOWN: "one of its orders may or may not exist; settle that first",
    RefusalReason.FEE_UNKNOWN: "its exchange did not tell the fees",
    RefusalReason.PRICE_MISSING: "no market says what it is worth; exclude it, or wait",
    RefusalReason.PRICE_STALE: "its price is too old",
    RefusalReason.PRICE_IN_OTHER_CURRENCY: "its price is in another currency",
    RefusalReason.QUOTE_MISSING: "nothing is bid or asked there",
    RefusalReason.QUOTE_STALE: "its bid and ask are too old",
    RefusalReason.BOOK_MISSING: "its book could not be read",
    RefusalReason.NOTHING_HELD: "nothing is held that could be rebalanced",
}


@dataclass(frozen=True, slots=True)
class PlanWish:
    """What somebody wants planned. No ``accounts``: every active one; ``ttl_s`` is how long the
    plan may be executed, ``None`` for what the settings say."""

    choice: TargetChoice
    accounts: tuple[AccountId, ...] = ()
    tolerance: Tolerance = field(default_factory=Tolerance)
    constraints: Constraints = field(default_factory=Constraints)
    style: Style = field(default_factory=Style)
    method: Method = Method.FIFO
    ttl_s: int | None = None
    target_set_id: str | None = None


class Planner:
    """Makes plans and keeps them; nothing is sent."""

    def __init__(
        self,
        database: Database,
        gatherer: Gatherer,
        aims: Aims,
        portfolio: PortfolioService,
        clock: Clock,
        settings: RebalanceSettings,
    ) -> None:
        self._database = database
        self._gatherer = gatherer
        self._aims = aims
        self._portfolio = portfolio
        self._clock = clock
        self._settings = settings

    async def plan(self, caller: Caller, wish: PlanWish, *, is_kept: bool = True) -> StoredPlan:
        """A plan, kept under an id so that it can be executed, unless it ``is_kept`` not.

        Raises:
            InvalidInput: targets or constraints that cannot be meant.
            NotFound: one of the accounts.
            InputsNotGood: something it would be made from is missing, stale or in doubt.
        """
        accounts = self.accounts(caller.viewer, wish.accounts)
        weights, rule = await self._aims.weights(wish.choice, accounts, caller.viewer.currency)
        request = PlanRequest(
            weights, wish.tolerance, wish.constraints, wish.style, wish.method, rule
        )
        plan = await self._made(caller.viewer, accounts, request)
        now = self._clock.now()
        stored = StoredPlan(
            id=f"plan-{secrets.token_hex(8)}",
            user_id=caller.user_id,
            request=request,
            accounts=tuple(account.id for account in accounts),
            plan=plan,
            created_at=now,
            expires_at=now + timedelta(seconds=wish.ttl_s or self._settings.ttl_s),
            target_set_id=wish.target_set_id,
        )
        if is_kept:
            async with self._database.begin() as tx:
                await tx.rebalances.add_plan(stored)
        return stored

    async def load(self, viewer: Viewer, plan_id: str) -> StoredPlan:
        """A plan that was made before; `NotFound` also for somebody else's."""
        async with self._database.read() as tx:
            stored = await tx.rebalances.load_plan(plan_id)
        if viewer.owner_id not in {None, stored.user_id}:
            raise NotFound("no such plan", plan=plan_id)
        return stored

    async def require_unchanged(self, viewer: Viewer, stored: StoredPlan) -> Plan:
        """The plan made again, when it is the same one.

        Raises:
            PlanChanged: balances, orders or markets are others, or a price moved too far.
            InputsNotGood: something it is made from is missing, stale or in doubt.
        """
        accounts = self.accounts(viewer, stored.accounts)
        currency = Viewer(stored.plan.currency, viewer.owner_id)
        plan = await self._made(currency, accounts, stored.request)
        if plan.plan_hash != stored.plan.plan_hash:
            raise PlanChanged("balances, orders or markets are not those of the plan")
        limit = self._settings.max_price_move_pct
        for asset, moved in moved_pct(stored.plan.prices, plan.prices).items():
            if moved is None or moved > limit:
                how_far = "is unknown" if moved is None else f"moved by {plain(moved)} %"
                raise PlanChanged(
                    f"the price of {asset} {how_far}; {plain(limit)} % are allowed",
                    check="price_move", limit=limit, value=moved,
                )  # fmt: skip
        return plan

    def accounts(self, viewer: Viewer, only: Iterable[AccountId]) -> tuple[Account, ...]:
        """Those that may trade.

        Raises:
            NotFound: one of them is not the viewer's.
            InvalidInput: one that was named is not active.
        """
        named = tuple(only)
        seen = self._portfolio.accounts(viewer, named)
        for account in seen:
            if named and account.state is not AccountState.ACTIVE:
                raise InvalidInput(f"{account.id} is {account.state}", field="accounts")
        return tuple(one for one in seen if one.state is AccountState.ACTIVE)

    async def _made(
        self, viewer: Viewer, accounts: Sequence[Account], request: PlanRequest
    ) -> Plan:
        wanted = [asset for asset, weight in request.weights.items() if weight]
        situation = await self._gatherer.gather(viewer, accounts, wanted, request.method)
        for _ in range(COMPLETIONS_MAX):
            made = make_plan(request, situation)
            if isinstance(made, Plan):
                return made
            completed = await self._gatherer.completed(situation, made.reasons)
            if completed is None:
                raise _refusal(made)
            situation = completed
        made = make_plan(request, situation)
        if isinstance(made, Plan):
            return made
        raise _refusal(made)


def _refusal(refused: Refused) -> InputsNotGood:
    faults = [
        InputFault(one.reason.value, one.subject, f"{one.subject}: {_why(one)}".lstrip(": "))
        for one in refused.reasons
    ]
    first = "; ".join(fault.detail for fault in faults[:3])
    return InputsNotGood(f"nothing is planned from what is not known: {first}", faults)


def _why(refusal: Refusal) -> str:
    why = _WHY[refusal.reason]
    return why if refusal.age_ms is None else f"{why} ({refusal.age_ms / 1000:.0f} s)"
