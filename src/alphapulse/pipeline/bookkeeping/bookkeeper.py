"""Bookkeeper: follows the ledger, and keeps everyone's lots in step with it."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.database.repositories.bookkeeping import BasisBook, Owner
from alphapulse.database.repositories.rates import WantCounts
from alphapulse.domain.account import Account
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import BasisChanged
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.market import Ticker
from alphapulse.domain.user import Role, User
from alphapulse.domain.valuation import USD
from alphapulse.errors import DatabaseError
from alphapulse.pipeline.bookkeeping.keeper import Keeper
from alphapulse.pipeline.bookkeeping.rates import NOTED_WITHIN, LiveRates, assets_of
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.retry import Backoff

GATHER_S = 0.5
"""News comes in bursts."""
IDLE_S = 60.0
"""Accounts, users and books change without a word about the ledger."""
REST_TIMES = 4
"""Counting takes at most a fifth of the time, however often history comes in late."""
RATES_AGAIN_S = 600.0
"""While prices of the past still come in, what lacked them is counted anew no sooner."""
CLEARED_AT_ONCE = 2000
NEWS_MAX = 1000


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One owner's accounts, in one currency."""

    owner_id: Owner
    currency: Asset
    account_ids: tuple[AccountId, ...]


class Bookkeeper:
    """One `Keeper` for each owner and each currency in which somebody sees the accounts."""

    def __init__(self, database: Database, bus: EventBus, clock: Clock) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._live = LiveRates()
        self._keepers: dict[tuple[Owner, Asset], Keeper] = {}
        self._is_asked = asyncio.Event()
        self._rates_again_at_s = clock.monotonic_s()

    def hear(self, ticker: Ticker) -> None:
        """Learn a price, to be noted when something moves."""
        self._live.hear(ticker)

    def ask(self) -> None:
        """There may be something to count."""
        self._is_asked.set()

    async def run(self) -> None:
        """Count what there is, then follow; supervised."""
        backoff, failures = Backoff(max_s=5.0), 0
        while True:
            began_s = self._clock.monotonic_s()
            self._is_asked.clear()
            try:
                await self.catch_up()
            except DatabaseError as error:
                if not failures:
                    logger.bind(error=str(error)).warning("bookkeeping waits for the database")
                failures += 1
                await asyncio.sleep(backoff.delay_s(failures))
                continue
            failures = 0
            took_s = self._clock.monotonic_s() - began_s
            await asyncio.sleep(max(GATHER_S, REST_TIMES * took_s))
            await self._wait()

    async def catch_up(self) -> None:
        """Bring every book up to the ledger, once."""
        now = self._clock.now()
        async with self._database.read() as tx:
            accounts, users = await tx.accounts.list(), await tx.users.list()
            books = await tx.bookkeeping.books()
            wants = await tx.rates.want_counts(now)
        wanted = list(_wanted(accounts, users))
        await self._note_rates(wanted)
        learned = self._learned(wants)
        has_changed = False
        for one in wanted:
            keeper, anew = self._keeper(one, books), one.currency in learned
            has_changed = await keeper.catch_up(one.account_ids, anew=anew) or has_changed
        for currency in learned:
            async with self._database.begin() as tx:
                await tx.rates.forget_answered(currency, now)
        if has_changed:
            self._bus.publish(BasisChanged())
        await self._clear({(one.owner_id, one.currency) for one in wanted})

    def _learned(self, wants: Mapping[Asset, WantCounts]) -> frozenset[Asset]:
        """The currencies whose books are counted anew, with rates they lacked before."""
        now_s = self._clock.monotonic_s()
        is_due = now_s >= self._rates_again_at_s
        learned = {c for c, one in wants.items() if one.answered and (is_due or not one.open)}
        if learned:
            self._rates_again_at_s = now_s + RATES_AGAIN_S
        return frozenset(learned)

    def _keeper(self, wanted: _Wanted, books: Iterable[BasisBook]) -> Keeper:
        key = (wanted.owner_id, wanted.currency)
        if key not in self._keepers:
            mine = [one for one in books if one.is_current and (one.owner_id, one.currency) == key]
            self._keepers[key] = Keeper(
                *key, mine[0] if mine else None, self._database, self._clock
            )
        return self._keepers[key]

    async def _note_rates(self, wanted: Sequence[_Wanted]) -> None:
        """Of what moves now the price of now is known best; later nobody could say."""
        now = self._clock.now()
        for one in wanted:
            async with self._database.read() as tx:
                news = await tx.ledger.chronological(
                    one.account_ids, since=now - NOTED_WITHIN, limit=NEWS_MAX
                )
            assets = assets_of((stored.entry for stored in news), one.currency)
            rates = self._live.to_note(assets, one.currency, now) if assets else []
            if rates:
                async with self._database.begin() as tx:
                    await tx.rates.save(rates)

    async def _clear(self, wanted: set[tuple[Owner, Asset]]) -> None:
        """Remove what was half counted, what was replaced, and what nobody sees any more."""
        async with self._database.read() as tx:
            books = await tx.bookkeeping.books()
        for book in books:
            key = (book.owner_id, book.currency)
            if key not in wanted:
                self._keepers.pop(key, None)
            if key not in wanted or not book.is_current:
                is_gone = False
                while not is_gone:
                    async with self._database.begin() as tx:
                        is_gone = await tx.bookkeeping.clear(book.id, CLEARED_AT_ONCE)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(IDLE_S):
                await self._is_asked.wait()
        except TimeoutError:
            return


def _wanted(accounts: Iterable[Account], users: Sequence[User]) -> Iterator[_Wanted]:
    """Owners see their accounts in their currency, administrators see everyone's in theirs."""
    owned: dict[Owner, list[AccountId]] = {}
    for account in accounts:
        owned.setdefault(account.owner_id or "", []).append(account.id)
    for owner_id, account_ids in sorted(owned.items()):
        seers = [user for user in users if user.role is Role.ADMIN or user.id == owner_id]
        for currency in sorted({user.currency for user in seers} or {USD}):
            yield _Wanted(owner_id, Asset(currency), tuple(sorted(account_ids)))
