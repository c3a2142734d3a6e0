"""Accounts: connecting an exchange, checking its key, pausing it, letting it go."""

import asyncio
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.database.repositories.credentials import SealedField
from alphapulse.domain.account import UNKNOWN_PERMISSIONS, Account, AccountState, KeyCheck
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import AccountChanged, AccountRemoved
from alphapulse.domain.identifiers import AccountId, ExchangeId, UserId
from alphapulse.domain.sync import SyncKind
from alphapulse.errors import Conflict, KeyRefused, KeyTooPowerful, TooManyRequests
from alphapulse.exchanges.port import Credentials
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.worker import Worker
from alphapulse.security.rate_limit import REFRESHES, RateLimiter
from alphapulse.services.viewer import Viewer, load_account

_ALL_KINDS = (
    *(SyncKind.BALANCES, SyncKind.POSITIONS, SyncKind.ORDERS),
    *(SyncKind.FILLS, SyncKind.FLOWS),
)


class Synchronization(Protocol):
    """What lives on the exchange worker; only ever called through it."""

    async def check_credentials(
        self, exchange: ExchangeId, credentials: Credentials
    ) -> KeyCheck: ...

    async def adopt(self, account_id: AccountId) -> None: ...

    async def release(self, account_id: AccountId) -> None: ...

    async def sync_now(
        self, account_id: AccountId | None, kinds: Collection[SyncKind], *, timeout_s: float
    ) -> bool: ...


class Vault(Protocol):
    """Where keys are encrypted and decrypted."""

    def seal(
        self, account_id: AccountId, owner_id: UserId | None, credentials: Credentials
    ) -> tuple[SealedField, ...]: ...

    async def load(self, account_id: AccountId) -> Credentials: ...


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What a user connects. ``allow_withdraw`` accepts a key that could empty the account."""

    exchange: ExchangeId
    label: str
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    password: str | None = field(default=None, repr=False)
    allow_withdraw: bool = False

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.api_key, self.api_secret, self.password)


class AccountService:
    """Accounts of every user; each method refuses those the viewer may not see."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        synchronization: Synchronization,
        worker: Worker,
        bus: EventBus,
        clock: Clock,
        *,
        is_simulated: bool,
    ) -> None:
        self._database = database
        self._vault = vault
        self._synchronization = synchronization
        self._worker = worker
        self._bus = bus
        self._clock = clock
        self._is_simulated = is_simulated
        self._refreshes = RateLimiter(REFRESHES, clock)

    async def connect(self, owner_id: UserId | None, new: NewAccount) -> tuple[Account, KeyCheck]:
        """Check the key at the exchange, then store it encrypted and begin to synchronize.

        Raises:
            KeyRefused: a step of the check failed; the facts carry the whole check.
            KeyTooPowerful: the key may withdraw, and that was not allowed.
            Conflict: the same label is taken on this exchange.
            InvalidInput: no such exchange, or a credential it needs is missing.
        """
        await self._require_free_label(new)
        check = await self._check(new.exchange, new.credentials)
        if not check.is_ok:
            raise KeyRefused("the exchange did not accept the key", check=check)
        if check.permissions.withdraw and not new.allow_withdraw:
            raise KeyTooPowerful("this key may withdraw", check=check)
        now = self._clock.now()
        account = Account(
            id=AccountId(f"{new.exchange}-{secrets.token_hex(4)}"),
            owner_id=owner_id,
            exchange=new.exchange,
            label=new.label,
            state=AccountState.ACTIVE,
            state_reason=None,
            is_simulated=self._is_simulated,
            permissions=check.permissions,
            permissions_checked_at=now,
            created_at=now,
            updated_at=now,
        )
        sealed = self._vault.seal(account.id, owner_id, new.credentials)
        async with self._database.begin() as unit:
            await unit.accounts.add(account)
            await unit.credentials.save(account.id, sealed)
        logger.bind(account=account.id, exchange=account.exchange).info("account connected")
        self._bus.publish(AccountChanged(account))
        await self._worker.call(lambda: self._synchronization.adopt(account.id))
        return account, check

    async def test(self, viewer: Viewer, account_id: AccountId) -> tuple[Account, KeyCheck]:
        """Check the stored key again and remember what it may do."""
        account = await self.load(viewer, account_id)
        credentials = await self._vault.load(account_id)
        check = await self._check(account.exchange, credentials)
        if check.permissions != UNKNOWN_PERMISSIONS:
            account = await self._save(
                account,
                permissions=check.permissions,
                permissions_checked_at=self._clock.now(),
            )
        return account, check

    async def pause(self, viewer: Viewer, account_id: AccountId) -> Account:
        """Stop reading the account; what is known of it stays, marked."""
        account = await self.load(viewer, account_id)
        if account.state is AccountState.PAUSED:
            return account
        account = await self._save(account, state=AccountState.PAUSED, state_reason="by the user")
        await self._worker.call(lambda: self._synchronization.release(account_id))
        return account

    async def resume(self, viewer: Viewer, account_id: AccountId) -> Account:
        """Read the account again, also one that was disabled because its key was refused."""
        account = await self.load(viewer, account_id)
        if account.state is AccountState.ACTIVE:
            return account
        account = await self._save(account, state=AccountState.ACTIVE, state_reason=None)
        await self._worker.call(lambda: self._synchronization.adopt(account_id))
        return account

    async def remove(self, viewer: Viewer, account_id: AccountId) -> None:
        """Forget the account, its key and everything read from it.

        Raises:
            Conflict: an order that was placed here is open there, or its fate unknown; nobody
                would look for it any more.
        """
        await self.load(viewer, account_id)
        async with self._database.read() as unit:
            live = await unit.orders.unsettled(account_id)
        if live:
            raise Conflict(
                f"{len(live)} orders that were placed here have not ended; cancel them first",
                account=account_id,
            )
        # First of all the reading ends, or it would write rows of an account that is gone.
        await self._worker.call(lambda: self._synchronization.release(account_id))
        async with self._database.begin() as unit:
            await unit.accounts.remove(account_id)
        logger.bind(account=account_id).info("account removed")
        self._bus.publish(AccountRemoved(account_id))

    async def sync(
        self,
        viewer: Viewer,
        account_id: AccountId | None = None,
        kinds: Collection[SyncKind] = (),
        *,
        timeout_s: float,
    ) -> tuple[Account, ...]:
        """Have accounts read now; one, or all that the viewer may see and that are active.

        Returns when the readings have ended, well or badly, or after ``timeout_s``; they go on
        then. How they went is in the sync status.

        Raises:
            Conflict: the account is paused or disabled.
        """
        if account_id is not None:
            account = await self.load(viewer, account_id)
            if account.state is not AccountState.ACTIVE:
                raise Conflict("the account is not active", state=account.state.value)
            wanted: tuple[Account, ...] = (account,)
        else:
            active = await self.list(viewer)
            wanted = tuple(a for a in active if a.state is AccountState.ACTIVE)
        await self._read(wanted, kinds or _ALL_KINDS, timeout_s=timeout_s)
        return wanted

    async def refresh(
        self, accounts: Iterable[Account], kinds: Collection[SyncKind], *, timeout_s: float
    ) -> tuple[Account, ...]:
        """Have the active ones of ``accounts`` read before they are shown, side by side.

        Returns when the readings have ended, well or badly, or after ``timeout_s``: then those
        that go on.

        Raises:
            TooManyRequests: one of them was refreshed again and again.
        """
        active = [account for account in accounts if account.state is AccountState.ACTIVE]
        for account in active:
            try:
                self._refreshes.hit(account.id)
            except TooManyRequests as error:
                detail = f"the account {account.label} is refreshed too often"
                wait_s = error.retry_after_s
                raise TooManyRequests(detail, account=account.id, retry_after_s=wait_s) from None
        return await self._read(active, kinds, timeout_s=timeout_s)

    async def _read(
        self, accounts: Collection[Account], kinds: Collection[SyncKind], *, timeout_s: float
    ) -> tuple[Account, ...]:
        ended = await asyncio.gather(
            *(self._sync_one(account.id, kinds, timeout_s) for account in accounts)
        )
        return tuple(
            account for account, has_ended in zip(accounts, ended, strict=True) if not has_ended
        )

    async def list(self, viewer: Viewer) -> tuple[Account, ...]:
        """The viewer's accounts, the oldest first."""
        async with self._database.read() as unit:
            return tuple(a for a in await unit.accounts.list() if viewer.may_see(a))

    async def load(self, viewer: Viewer, account_id: AccountId) -> Account:
        """One of the viewer's accounts; `NotFound` also for somebody else's."""
        async with self._database.read() as unit:
            return await load_account(unit, viewer, account_id)

    async def _check(self, exchange: ExchangeId, credentials: Credentials) -> KeyCheck:
        return await self._worker.call(
            lambda: self._synchronization.check_credentials(exchange, credentials)
        )

    async def _sync_one(
        self, account_id: AccountId, kinds: Collection[SyncKind], timeout_s: float
    ) -> bool:
        return await self._worker.call(
            lambda: self._synchronization.sync_now(account_id, kinds, timeout_s=timeout_s)
        )

    async def _save(self, account: Account, **changes: object) -> Account:
        account = replace(account, updated_at=self._clock.now(), **changes)  # type: ignore[arg-type]
        async with self._database.begin() as unit:
            await unit.accounts.save(account)
        self._bus.publish(AccountChanged(account))
        return account

    async def _require_free_label(self, new: NewAccount) -> None:
        async with self._database.read() as unit:
            taken = {(a.exchange, a.label.casefold()) for a in await unit.accounts.list()}
        if (new.exchange, new.label.casefold()) in taken:
            raise Conflict("an account of this exchange has the label already", label=new.label)
