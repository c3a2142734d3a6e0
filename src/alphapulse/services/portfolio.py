"""Portfolio: what everything is worth to one viewer, and how sure that is."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alphapulse.domain.account import Account, AccountState
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, Asset, asset
from alphapulse.domain.portfolio import Holding, Valuation, value_portfolio
from alphapulse.domain.position import Position
from alphapulse.domain.sync import SyncKind, SyncState, SyncStatus
from alphapulse.domain.valuation import Quality
from alphapulse.errors import InvalidInput, NotFound, NotReady
from alphapulse.services.live_state import LiveState
from alphapulse.services.paced import Paced
from alphapulse.services.viewer import Viewer


class AccountHealth(StrEnum):
    """How far an account's figures can be trusted."""

    OK = "ok"
    STALE = "stale"
    ERROR = "error"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A valuation, of which accounts, and how far each of these can be trusted."""

    valuation: Valuation
    accounts: tuple[Account, ...]
    health: dict[AccountId, AccountHealth]

    @property
    def is_complete(self) -> bool:
        """Everything is priced, and nothing in it is stale."""
        return (
            not self.valuation.unpriced
            and all(health is AccountHealth.OK for health in self.health.values())
            and all(
                line.price is None or line.price.quality is not Quality.STALE
                for line in self.valuation.holdings
            )
        )


class PortfolioService:
    """Values the live state, only when asked, and once for all who ask within a moment."""

    def __init__(self, live: LiveState, clock: Clock) -> None:
        self._live = live
        self._clock = clock
        self._snapshots: Paced[Snapshot] = Paced(live, clock)

    def snapshot(
        self, viewer: Viewer, only: Iterable[AccountId] = (), *, is_newest: bool = False
    ) -> Snapshot:
        """Everything the viewer may see, or of it the accounts in ``only`` when there are any.

        Of everything it is the same object until something moved or time passed; prices of the
        last `REMAKE_S` may be missing from it unless it must be ``is_newest``.

        Raises:
            NotFound: one of the accounts does not exist, or is not the viewer's to know of.
            NotReady: nothing has been read yet, from the database or from any exchange.
        """
        if only:
            return self.value(viewer, only)
        return self._snapshots.get(viewer, lambda: self.value(viewer), is_newest=is_newest)

    def value(self, viewer: Viewer, only: Iterable[AccountId] = ()) -> Snapshot:
        """The same, valued now whatever was valued before; raises the same."""
        live = self._live
        if not live.is_loaded:
            raise NotReady("the portfolio is being read from the database")
        accounts = self.accounts(viewer, only)
        self._require_first_sync(accounts)
        valuation = self.valued(
            [holding for a in accounts for holding in live.holdings.get(a.id, ())],
            [position for a in accounts for position in live.positions.get(a.id, ())],
            viewer.currency,
            unread=[account.id for account in accounts if self.as_of(account) is None],
        )
        return Snapshot(
            valuation=valuation,
            accounts=accounts,
            health={account.id: self.health_of(account) for account in accounts},
        )

    def valued(
        self,
        holdings: Iterable[Holding],
        positions: Iterable[Position],
        currency: Asset,
        *,
        unread: Collection[AccountId] = (),
    ) -> Valuation:
        """Lines of any accounts, at the prices of now."""
        marks = {
            (ticker.exchange, ticker.symbol): ticker.mark
            for ticker in self._live.markets()
            if ticker.mark is not None
        }
        now = self._clock.now()
        return value_portfolio(
            holdings, positions, self._live.book, marks, currency, now, unread=unread
        )

    def seen_in(self, viewer: Viewer, currency: str | None) -> Viewer:
        """The same eyes in another currency; theirs where none is named.

        Raises:
            InvalidInput: no such asset, or no market leads to it.
        """
        if currency is None:
            return viewer
        wanted = asset(currency.upper())
        if wanted != viewer.currency and not self._live.book.knows(wanted):
            raise InvalidInput("no market leads to this currency", field="currency")
        return Viewer(wanted, viewer.owner_id)

    def accounts(self, viewer: Viewer, only: Iterable[AccountId] = ()) -> tuple[Account, ...]:
        """The viewer's accounts, oldest first; raises `NotFound` for one that is not theirs."""
        seen = {a.id: a for a in self._live.accounts.values() if viewer.may_see(a)}
        wanted = set(only)
        if missing := wanted - seen.keys():
            raise NotFound("no such account", account=min(missing))
        return tuple(a for a in seen.values() if not wanted or a.id in wanted)

    def health_of(self, account: Account) -> AccountHealth:
        """The worst of what its synchronization says about balances and positions."""
        if account.state is not AccountState.ACTIVE:
            return AccountHealth.DISABLED
        states = [
            status.state
            for kind in (SyncKind.BALANCES, SyncKind.POSITIONS)
            if (status := self._live.status(account.exchange, account.id, kind)) is not None
        ]
        if SyncState.ERROR in states:
            return AccountHealth.ERROR
        if not states or any(state is not SyncState.OK for state in states):
            return AccountHealth.STALE
        return AccountHealth.OK

    def status_of(self, account: Account, kind: SyncKind) -> SyncStatus | None:
        return self._live.status(account.exchange, account.id, kind)

    def as_of(self, account: Account) -> datetime | None:
        """When its balances were last known to be right."""
        status = self.status_of(account, SyncKind.BALANCES)
        return None if status is None else status.last_ok_at

    def open_order_count(self, accounts: Iterable[Account]) -> int:
        return sum(len(self._live.open_orders.get(account.id, ())) for account in accounts)

    def _require_first_sync(self, accounts: tuple[Account, ...]) -> None:
        """Before anything was ever read, a total of zero would be a lie."""
        active = [account for account in accounts if account.state is AccountState.ACTIVE]
        statuses = [self.status_of(account, SyncKind.BALANCES) for account in active]
        if active and all(s is None or s.state is SyncState.PENDING for s in statuses):
            raise NotReady("no account has been read yet", accounts=len(active))
