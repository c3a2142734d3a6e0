"""Groups: which exchanges and accounts are being synchronized, each as one supervised task.

One that fails, hangs or is refused has its own client, its own tasks and its own status; the
others do not notice.
"""

import asyncio
from collections.abc import Collection
from dataclasses import replace

from loguru import logger

from alphapulse.domain.account import Account, AccountState
from alphapulse.domain.events import AccountChanged
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId
from alphapulse.domain.sync import SyncKind, SyncState
from alphapulse.errors import (
    AlphaPulseError,
    AuthenticationFailed,
    ConfigurationInvalid,
    Conflict,
    DatabaseError,
    InvalidInput,
)
from alphapulse.exchanges.port import ExchangeProvider
from alphapulse.observability import metrics
from alphapulse.pipeline.sync.account import KINDS, AccountSync, kinds_of
from alphapulse.pipeline.sync.context import CredentialVault, SyncContext
from alphapulse.pipeline.sync.status import Track
from alphapulse.pipeline.sync.venue import VenueSync
from alphapulse.runtime.supervisor import Supervisor

Tracks = dict[SyncKind, Track]


class SyncGroups:
    """Starts and stops groups; an async context manager's worth of them lives in ``supervisor``."""

    def __init__(
        self,
        context: SyncContext,
        provider: ExchangeProvider,
        vault: CredentialVault,
        supervisor: Supervisor,
    ) -> None:
        self._context = context
        self._provider = provider
        self._vault = vault
        self._supervisor = supervisor
        self.venues: dict[ExchangeId, VenueSync] = {}
        self.accounts: dict[AccountId, AccountSync] = {}

    async def start(self) -> None:
        """Every exchange that is wanted or has an account, and every active account."""
        for exchange in self._context.settings.exchanges:
            self._open_venue(exchange)
        async with self._context.database.read() as tx:
            accounts = await tx.accounts.list()
        for account in accounts:
            self._begin(account)

    async def adopt(self, account_id: AccountId) -> None:
        """Begin to sync an account, or begin anew with its new key; nothing when it is paused.

        Raises:
            NotFound: no such account.
        """
        async with self._context.database.read() as tx:
            account = await tx.accounts.load(account_id)
        await self._supervisor.cancel(_task(account_id))
        self._begin(account)

    async def release(self, account_id: AccountId) -> None:
        """Stop to sync an account that was paused, or that is going to be removed."""
        await self._supervisor.cancel(_task(account_id))
        async with self._context.database.read() as tx:
            accounts = {account.id: account for account in await tx.accounts.list()}
        account = accounts.pop(account_id, None)
        if account is not None and account.state is AccountState.PAUSED:
            self._begin(account)
        else:
            self._context.board.forget_account(account_id)
            await self._close_venues_except({other.exchange for other in accounts.values()})

    async def sync_now(self, account_id: AccountId | None, kinds: Collection[SyncKind]) -> None:
        """Read these kinds now; return when that has ended, well or badly.

        Raises:
            Conflict: this account is not being synchronized.
        """
        if account_id is None:
            groups: list[AccountSync | VenueSync] = [
                *self.venues.values(),
                *self.accounts.values(),
            ]
        else:
            groups = [self.account(account_id)]
        await asyncio.gather(*(group.sync_now(frozenset(kinds)) for group in groups))

    def account(self, account_id: AccountId) -> AccountSync:
        """Raises `Conflict` when this account is not being synchronized, so not traded either."""
        if (account := self.accounts.get(account_id)) is None:
            raise Conflict("this account is not being synchronized", account=account_id)
        return account

    def venue(self, exchange: ExchangeId) -> VenueSync:
        """Raises `Conflict` when this exchange is not being synchronized."""
        if (venue := self.venues.get(exchange)) is None:
            raise Conflict("this exchange is not being synchronized", exchange=exchange)
        return venue

    def pulse(self) -> None:
        """The watchdogs' look, several times a second."""
        for venue in self.venues.values():
            venue.pulse()
        for account in self.accounts.values():
            account.pulse()
        for exchange in self.venues:
            self._measure_orders(exchange)

    def _measure_orders(self, exchange: ExchangeId) -> None:
        mine = [one for one in self.accounts.values() if one.account.exchange == exchange]
        uncertain = [order for one in mine for order in one.desk.resolver.uncertain]
        now = self._context.clock.now()
        ages_s = [(now - (o.uncertain_since or o.updated_at)).total_seconds() for o in uncertain]
        reports = [one.settlement.reconciler.last for one in mine]
        metrics.ORDERS_UNKNOWN.labels(exchange).set(len(uncertain))
        metrics.ORDERS_UNKNOWN_AGE.labels(exchange).set(max(ages_s, default=0.0))
        metrics.BOOKS_OFF.labels(exchange).set(sum(r.differences for r in reports if r))

    async def close(self) -> None:
        """Close what no task owns."""
        for venue in self.venues.values():
            await venue.exchange.close()

    def _begin(self, account: Account) -> None:
        try:
            self._require_same_world(account)
            venue = self._open_venue(account.exchange)
        except (ConfigurationInvalid, InvalidInput) as unusable:
            # One account that cannot be read here keeps no other from starting.
            _fail(self._tracks(account, KINDS), unusable, SyncState.ERROR, next_in_s=None)
            return
        venue.holdings_changed()
        tracks = self._tracks(
            account, kinds_of(venue.exchange, self._context.settings.history_start)
        )
        if account.state is AccountState.ACTIVE:
            self._supervisor.run(_task(account.id), lambda: self._sync_account(account, tracks))
        elif account.state is AccountState.DISABLED:
            refusal = AuthenticationFailed(account.state_reason or "the exchange refused the key")
            _fail(tracks, refusal, SyncState.ERROR, next_in_s=None)
        else:
            for track in tracks.values():
                track.paused()

    def _require_same_world(self, account: Account) -> None:
        """Real keys go to no simulator, and nothing simulated is looked for at a real venue."""
        if account.is_simulated != self._provider.is_simulated(account.exchange):
            raise ConfigurationInvalid(
                "a simulated account and a real exchange do not go together, nor the reverse",
                exchange=account.exchange,
                account=account.id,
            )

    def _tracks(self, account: Account, kinds: Collection[SyncKind]) -> Tracks:
        board = self._context.board
        return {kind: board.track(account.exchange, account.id, kind) for kind in kinds}

    async def _sync_account(self, account: Account, tracks: Tracks) -> None:
        """Until canceled, or until there is no key to do it with."""
        failures = 0
        while True:
            try:
                refusal = await self._sync_with_key(account, tracks)
                return await self._disable(account.id, refusal, tracks)
            except DatabaseError as error:
                failures += 1
                wait_s = self._context.read_backoff.delay_s(failures)
                _fail(tracks, error, SyncState.STALE, next_in_s=wait_s)
                await asyncio.sleep(wait_s)
            except AlphaPulseError as error:
                # The key cannot be read, or the exchange not be opened: a person must act.
                return _fail(tracks, error, SyncState.ERROR, next_in_s=None)

    async def _sync_with_key(self, account: Account, tracks: Tracks) -> AuthenticationFailed:
        credentials = await self._vault.load(account.id)
        exchange = self._provider.open(account.exchange, account.id, credentials)
        try:
            venue = self.venues[account.exchange]
            sync = AccountSync(account, exchange, venue, tracks, self._context)
            self.accounts[account.id] = sync
            return await sync.run()
        finally:
            self.accounts.pop(account.id, None)
            await exchange.close()

    async def _disable(
        self, account_id: AccountId, refusal: AuthenticationFailed, tracks: Tracks
    ) -> None:
        _fail(tracks, refusal, SyncState.ERROR, next_in_s=None)
        async with self._context.database.begin() as tx:
            account = await tx.accounts.load(account_id)
            disabled = replace(
                account,
                state=AccountState.DISABLED,
                state_reason=refusal.message,
                updated_at=self._context.clock.now(),
            )
            await tx.accounts.save(disabled)
        logger.bind(account_id=account_id, reason=str(refusal)).warning("account disabled")
        self._context.bus.publish(AccountChanged(disabled))

    def _open_venue(self, exchange_id: ExchangeId) -> VenueSync:
        if (known := self.venues.get(exchange_id)) is not None:
            return known
        venue = VenueSync(
            self._provider.open(exchange_id, None, None),
            self._context,
            foreign_assets=lambda: self._unpriced_elsewhere(exchange_id),
            on_change=self._on_venue,
        )
        # A ban that was told before the last stop is not over because of it.
        silence_s = self._context.board.silence_s(exchange_id)
        self._provider.hold(exchange_id, silence_s)
        venue.gate.silence(silence_s)
        self.venues[exchange_id] = venue
        self._supervisor.run(f"exchange {exchange_id}", lambda: self._sync_venue(venue))
        return venue

    async def _sync_venue(self, venue: VenueSync) -> None:
        failures = 0
        while True:
            try:
                return await venue.run()
            except DatabaseError as error:
                failures += 1
                wait_s = self._context.read_backoff.delay_s(failures)
                _fail(venue.tracks, error, SyncState.STALE, next_in_s=wait_s)
                await asyncio.sleep(wait_s)

    async def _close_venues_except(self, used: set[ExchangeId]) -> None:
        settings = self._context.settings
        for exchange_id in self.venues.keys() - used - settings.exchanges:
            await self._supervisor.cancel(f"exchange {exchange_id}")
            # Whoever releases another account of it at this moment may have been quicker.
            if (venue := self.venues.pop(exchange_id, None)) is not None:
                await venue.exchange.close()
                self._context.board.forget_exchange(exchange_id)

    def _unpriced_elsewhere(self, exchange_id: ExchangeId) -> frozenset[Asset]:
        """What the reference exchange prices for the others."""
        if exchange_id != self._context.settings.reference_exchange:
            return frozenset()
        others = [venue for venue in self.venues.values() if venue.id != exchange_id]
        return frozenset[Asset]().union(*(venue.unpriced for venue in others))

    def _on_venue(self, changed: VenueSync) -> None:
        for account in self.accounts.values():
            if account.account.exchange == changed.id:
                account.on_instruments()
        for venue in self.venues.values():
            if venue.id == self._context.settings.reference_exchange and venue is not changed:
                venue.holdings_changed()


def _task(account_id: AccountId) -> str:
    return f"account {account_id}"


def _fail(
    tracks: Tracks, error: AlphaPulseError, state: SyncState, *, next_in_s: float | None
) -> None:
    for track in tracks.values():
        track.failed(error, state, next_in_s=next_in_s)
