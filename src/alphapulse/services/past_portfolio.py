"""Past portfolio: what accounts held at a moment by the ledger, at the closes of that minute."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from alphapulse.database.connection import Database
from alphapulse.database.rate_books import read_rate_book
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.account import Account
from alphapulse.domain.balance import Balance, Wallet
from alphapulse.domain.books import opening_of
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, Asset, Symbol
from alphapulse.domain.ledger import Book, Subject, Sum
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.past_prices import PricesThen
from alphapulse.domain.portfolio import Holding, Unpriced, Valuation, value_portfolio
from alphapulse.domain.sync import SyncKind, SyncState
from alphapulse.domain.valuation import settle_of
from alphapulse.errors import InvalidInput
from alphapulse.services.live_state import LiveState
from alphapulse.services.portfolio import AccountHealth, PortfolioService, Snapshot
from alphapulse.services.viewer import Viewer

NO_PRICE = "no price of that minute is known, or not yet"


@dataclass(frozen=True, slots=True)
class PastSnapshot(Snapshot):
    """A snapshot of then. ``health`` says whether the history of an account is read."""

    first_activity_at: datetime
    assumed: tuple[Asset, ...]
    """No entry tells how they came in: they are taken to have been there from the beginning."""
    contracts: tuple[Symbol, ...]
    """Open then; their profit is in no total."""
    owing: tuple[AccountId, ...]
    """They owe something now; what they owed then nobody knows."""


@dataclass(frozen=True, slots=True)
class _Held:
    """By one account; ``quantities`` of assets, and of contracts by symbol."""

    first_at: datetime | None
    quantities: Mapping[Subject, Decimal]
    assumed: frozenset[Subject]


class PastPortfolio:
    """Reads the ledger; whatever is held now has no say in it.

    The ledger tells no wallets, no debts and no prices at which contracts were opened.
    """

    def __init__(
        self, database: Database, live: LiveState, portfolio: PortfolioService, clock: Clock
    ) -> None:
        self._database = database
        self._live = live
        self._portfolio = portfolio
        self._clock = clock

    async def snapshot(
        self, viewer: Viewer, only: Iterable[AccountId], at: datetime
    ) -> PastSnapshot:
        """Of the viewer's accounts at a moment. Prices that nobody knows yet are asked for, and
        there a little later.

        Raises:
            NotFound: one of the accounts does not exist, or is not the viewer's to know of.
            InvalidInput: ``at`` lies in the future, or before anything happened.
        """
        if at > self._clock.now():
            raise InvalidInput("this lies in the future", field="as_of")
        accounts = self._portfolio.accounts(viewer, only)
        async with self._database.read() as tx:
            held = {account: await _held(tx, account.id, at) for account in accounts}
        first_at = min((one.first_at for one in held.values() if one.first_at), default=None)
        if first_at is None or at < first_at:
            raise InvalidInput(
                "nothing is known of that time: it lies before the first activity",
                field="as_of",
                first_activity_at=None if first_at is None else first_at.isoformat(),
            )
        valuation = await self._valued(held, viewer.currency, at)
        contracts = _contracts(held)
        return PastSnapshot(
            valuation=replace(
                valuation,
                unpriced=(
                    *(replace(line, reason=NO_PRICE) for line in valuation.unpriced),
                    *_profits(contracts),
                ),
            ),
            accounts=accounts,
            health={account.id: self._health(account) for account in accounts},
            first_activity_at=first_at,
            assumed=tuple(sorted({Asset(name) for one in held.values() for name in one.assumed})),
            contracts=tuple(sorted(contracts)),
            owing=tuple(account.id for account in accounts if self._owes(account)),
        )

    async def _valued(
        self, held: Mapping[Account, _Held], currency: Asset, at: datetime
    ) -> Valuation:
        holdings = [
            Holding(
                account.id,
                account.exchange,
                Balance(Wallet.SPOT, Asset(subject), quantity, ZERO, ZERO),
                at,
            )
            for account, one in held.items()
            for subject, quantity in sorted(one.quantities.items())
            if quantity and ":" not in subject
        ]
        assets = {holding.balance.asset for holding in holdings}
        prices = PricesThen(await read_rate_book(self._database, currency, assets, [at]))
        valuation = value_portfolio(holdings, (), prices, {}, currency, at)
        if prices.wanted:
            async with self._database.begin() as tx:
                await tx.rates.want(prices.wanted)
        return valuation

    def _owes(self, account: Account) -> bool:
        return any(one.balance.borrowed for one in self._live.holdings.get(account.id, ()))

    def _health(self, account: Account) -> AccountHealth:
        """Whether all that happened is in the ledger."""
        statuses = [
            self._portfolio.status_of(account, kind) for kind in (SyncKind.FILLS, SyncKind.FLOWS)
        ]
        is_read = all(
            status.state is SyncState.OK and status.progress is None
            for status in statuses
            if status is not None
        )
        return AccountHealth.OK if is_read else AccountHealth.STALE


async def _held(tx: UnitOfWork, account_id: AccountId, at: datetime) -> _Held:
    moved = {
        subject: one
        for (book, subject), one in (await tx.ledger.sums(account_id)).items()
        if book is Book.VENUE
    }
    quantities = await tx.ledger.held_at(account_id, at)
    books = await tx.reconciliations.books(account_id)
    openings = {book.subject: opening_of(book, moved.get(book.subject, Sum())) for book in books}
    for subject, opening in openings.items():
        quantities[subject] = EXACT.add(quantities.get(subject, ZERO), opening)
    began_at = await tx.ledger.began_at(account_id)
    times = [*(book.opened_at for book in books), *([began_at] if began_at else [])]
    assumed = frozenset(subject for subject, opening in openings.items() if opening)
    return _Held(min(times, default=None), quantities, assumed)


def _contracts(held: Mapping[Account, _Held]) -> dict[Symbol, tuple[AccountId, ...]]:
    """Those open then, and in which accounts."""
    found: dict[Symbol, list[AccountId]] = {}
    for account, one in held.items():
        for subject, quantity in one.quantities.items():
            if quantity and ":" in subject:
                found.setdefault(Symbol(subject), []).append(account.id)
    return {symbol: tuple(sorted(accounts)) for symbol, accounts in found.items()}


def _profits(contracts: Mapping[Symbol, tuple[AccountId, ...]]) -> list[Unpriced]:
    return [
        Unpriced(settle_of(symbol), None, accounts, f"nobody knows the profit of {symbol} then")
        for symbol, accounts in sorted(contracts.items())
    ]
