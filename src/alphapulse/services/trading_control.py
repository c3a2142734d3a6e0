"""Trading Control: the kill switch, the limits, and whether books and exchange agree."""

from dataclasses import dataclass
from decimal import Decimal

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, UserId
from alphapulse.domain.order import Order
from alphapulse.domain.trading import CycleReport, TradingLimits, TradingMode, TradingSwitch
from alphapulse.errors import NotFound, VersionMismatch
from alphapulse.runtime.worker import Worker
from alphapulse.services.order_facts import OrderFacts, subject_of
from alphapulse.services.trading_desk import TradingDesk
from alphapulse.services.trading_settings import TradingSettings
from alphapulse.services.viewer import Caller, Viewer, load_account


@dataclass(frozen=True, slots=True)
class TradingState:
    """The switches the viewer may see, the one over all accounts first, and the orders whose fate
    is unknown. ``mode`` is that of all accounts."""

    mode: TradingMode
    switches: tuple[TradingSwitch, ...]
    uncertain: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class LimitsInForce:
    """The limits of one account or one user; version 0 are those of the settings."""

    account_id: AccountId | None
    user_id: UserId | None
    version: int
    limits: TradingLimits
    used_today: Decimal
    currency: str


class TradingControl:
    """Each method refuses accounts that the caller may not see."""

    def __init__(
        self,
        database: Database,
        facts: OrderFacts,
        desk: TradingDesk,
        worker: Worker,
        clock: Clock,
        settings: TradingSettings,
    ) -> None:
        self._database = database
        self._facts = facts
        self._desk = desk
        self._worker = worker
        self._clock = clock
        self._settings = settings

    async def state(self, viewer: Viewer) -> TradingState:
        """How trading is now."""
        async with self._database.read() as tx:
            seen = {one.id for one in await tx.accounts.list() if viewer.may_see(one)}
            switches = await tx.switches.list()
            uncertain = await tx.orders.uncertain()
        return TradingState(
            mode=next((s.mode for s in switches if s.account_id is None), TradingMode.ACTIVE),
            switches=tuple(s for s in switches if s.account_id is None or s.account_id in seen),
            uncertain=tuple(order for order in uncertain if order.account_id in seen),
        )

    async def switch(
        self, caller: Caller, mode: TradingMode, *, account_id: AccountId | None, reason: str
    ) -> TradingState:
        """Set the kill switch: of one account; of all, for who sees all; else of the caller's own.

        It holds before this returns, and from then on for orders that are about to be sent too.
        """
        async with self._database.begin() as tx:
            for subject in await self._subjects(tx, caller.viewer, account_id):
                switch = TradingSwitch(subject, mode, reason, caller.user_id, self._clock.now())
                await tx.switches.save(switch)
        logger.bind(mode=mode.value, account=account_id, reason=reason).warning(
            "the trading switch was set"
        )
        return await self.state(caller.viewer)

    async def limits(self, caller: Caller) -> tuple[LimitsInForce, ...]:
        """Those of the caller's accounts and of the caller."""
        async with self._database.read() as tx:
            accounts = [a for a in await tx.accounts.list() if caller.viewer.may_see(a)]
            found = [await self._limits_of(tx, account.id, None) for account in accounts]
            if caller.owner_id is not None:
                found.append(await self._limits_of(tx, None, caller.owner_id))
        return tuple(found)

    async def set_limits(
        self,
        caller: Caller,
        limits: TradingLimits,
        *,
        account_id: AccountId | None,
        version: int,
    ) -> LimitsInForce:
        """Replace the limits of one account, or without one of the caller.

        Raises:
            NotFound: no such account, or the caller is a command and has no limits.
            VersionMismatch: somebody else changed them since they were read.
        """
        owner_id = None if account_id is not None else caller.owner_id
        async with self._database.begin() as tx:
            if account_id is not None:
                await load_account(tx, caller.viewer, account_id)
            elif owner_id is None:
                raise NotFound(
                    "a command on this machine has no limits of its own; name an account"
                )
            subject = subject_of(account_id, owner_id)
            known = await tx.limits.load(subject)
            current = 0 if known is None else known[1]
            if version != current:
                raise VersionMismatch(
                    f"these limits are at version {current} by now", current=current
                )
            by, now = caller.user_id, self._clock.now()
            await tx.limits.save(subject, limits, version + 1, by, now)
            logger.bind(subject=subject, version=version + 1).warning("trading limits were set")
            return await self._limits_of(tx, account_id, owner_id)

    async def reconcile(self, viewer: Viewer, account_id: AccountId) -> CycleReport:
        """Compare an account with its exchange now.

        Raises:
            NotFound: no such account.
            Conflict: it is not being synchronized.
        """
        async with self._database.read() as tx:
            await load_account(tx, viewer, account_id)
        return await self._worker.call(lambda: self._desk.reconcile(account_id))

    async def reconciliations(
        self, viewer: Viewer, account_id: AccountId, limit: int
    ) -> tuple[CycleReport, ...]:
        """What the last comparisons found, the newest first."""
        async with self._database.read() as tx:
            await load_account(tx, viewer, account_id)
            return await tx.reconciliations.list(account_id, limit)

    async def _subjects(
        self, tx: UnitOfWork, viewer: Viewer, account_id: AccountId | None
    ) -> list[AccountId | None]:
        if account_id is not None:
            await load_account(tx, viewer, account_id)
            return [account_id]
        if viewer.owner_id is None:
            return [None]
        return [one.id for one in await tx.accounts.list() if viewer.may_see(one)]

    async def _limits_of(
        self, tx: UnitOfWork, account_id: AccountId | None, user_id: UserId | None
    ) -> LimitsInForce:
        subject = subject_of(account_id, user_id)
        stored = await tx.limits.load(subject)
        limits, version = (self._settings.limits, 0) if stored is None else stored
        allowance = await self._facts.allowance(tx, (account_id, user_id))
        return LimitsInForce(
            account_id, user_id, version, limits, allowance.used_today, self._settings.currency
        )
