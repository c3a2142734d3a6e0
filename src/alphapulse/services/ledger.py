"""Ledger: every movement, and the proof that they add up to what the exchanges show."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.database.queries.ledger import EntryFilter, entry_page
from alphapulse.database.queries.page import Page
from alphapulse.database.repositories.ledger import Sums
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.account import Account
from alphapulse.domain.books import opening_of
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import LedgerChanged
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.ledger import Book, Entry, RecordedEntry, Subject, Sum, adjustment
from alphapulse.domain.money import EXACT, ZERO, plain
from alphapulse.domain.trading import AssetBook, CycleReport
from alphapulse.errors import Conflict, NotFound
from alphapulse.runtime.bus import EventBus
from alphapulse.services.idempotency import Answer, IdempotentRequests, RequestKey
from alphapulse.services.viewer import Caller, load_account


@dataclass(frozen=True, slots=True)
class ProofLine:
    """One asset or position of one account: opening + entries = expected, and held by the exchange
    is expected + residual, all as of the last comparison.

    ``opening`` is what no entry explains: what was there before the history that is known.
    """

    book: AssetBook
    opening: Decimal
    entries: Decimal


@dataclass(frozen=True, slots=True)
class Proof:
    """Of one account. ``is_read``: fills and cash flows are known to their end."""

    account: Account
    lines: tuple[ProofLine, ...]
    is_read: bool
    report: CycleReport | None


@dataclass(frozen=True, slots=True)
class Residual:
    """What a person accepts. ``quantity`` is what they saw: another one is refused."""

    account_id: AccountId
    subject: Subject
    quantity: Decimal
    reason: str


class LedgerService:
    """Reads the database; whose accounts they are is the caller's to know."""

    def __init__(
        self, database: Database, requests: IdempotentRequests, bus: EventBus, clock: Clock
    ) -> None:
        self._database = database
        self._requests = requests
        self._bus = bus
        self._clock = clock

    async def page(
        self,
        accounts: Sequence[Account],
        wanted: EntryFilter,
        *,
        cursor: str | None,
        limit: int,
    ) -> Page[RecordedEntry]:
        """Entries of ``accounts``, newest first.

        Raises:
            InvalidInput: a cursor that is not ours.
        """
        wanted = replace(wanted, account_ids={account.id for account in accounts})
        async with self._database.read() as unit:
            return await entry_page(unit, wanted, cursor=cursor, limit=limit)

    async def proofs(self, accounts: Sequence[Account]) -> tuple[Proof, ...]:
        """How far the books of each account agree with its exchange, by the last comparison."""
        async with self._database.read() as unit:
            return tuple([await _proof(unit, account) for account in accounts])

    async def accept(
        self,
        caller: Caller,
        residual: Residual,
        key: RequestKey,
        compose: Callable[[RecordedEntry], Answer],
    ) -> Answer:
        """Book a residual as an adjustment, once.

        Raises:
            NotFound: no such account, or nothing is known of the asset in it.
            Conflict: the residual is another by now.
            IdempotencyKeyReused: the key came with another body before.
        """

        async def book() -> Answer:
            return compose(await self._book(caller, residual, key))

        async def resume(entry_key: str) -> Answer:
            async with self._database.read() as unit:
                stored = await unit.ledger.find(residual.account_id, entry_key)
            assert stored is not None, "the key was stored together with its entry"
            return compose(stored)

        return await self._requests.once(key, book, resume)

    async def _book(self, caller: Caller, residual: Residual, key: RequestKey) -> RecordedEntry:
        now = self._clock.now()
        async with self._database.begin() as unit:
            account = await load_account(unit, caller.viewer, residual.account_id)
            books = await unit.reconciliations.books(account.id)
            book = next((one for one in books if one.subject == residual.subject), None)
            if book is None:
                raise NotFound("the account has no book of this", asset=residual.subject)
            entry = _adjustment(book, residual, f"{key.user_id}:{key.key}", now)
            await unit.idempotency_keys.add(self._requests.row(key, entry.key, now))
            await unit.ledger.record([entry], now)
            after = [_accepted(one, residual) if one is book else one for one in books]
            await unit.reconciliations.replace_books(account.id, after)
            stored = await unit.ledger.find(account.id, entry.key)
        assert stored is not None
        self._bus.publish(LedgerChanged(account.id))
        logger.bind(account_id=account.id, subject=book.subject, quantity=plain(book.off_by)).info(
            "a residual was accepted as an adjustment"
        )
        return stored


async def _proof(unit: UnitOfWork, account: Account) -> Proof:
    sums = await unit.ledger.sums(account.id)
    fills = [one.complete for one in await unit.fill_cursors.list(account.id)]
    flows = [one.complete for one in await unit.flow_cursors.list(account.id)]
    reports = await unit.reconciliations.list(account.id, 1)
    books = await unit.reconciliations.books(account.id)
    return Proof(
        account=account,
        lines=tuple(_line(book, sums) for book in sorted(books, key=lambda one: one.subject)),
        is_read=bool(fills) and all(fills) and all(flows),
        report=reports[0] if reports else None,
    )


def _line(book: AssetBook, sums: Sums) -> ProofLine:
    opening = opening_of(book, sums.get((Book.VENUE, book.subject), Sum()))
    before = EXACT.subtract(book.anchor, opening)
    return ProofLine(book=book, opening=opening, entries=EXACT.add(before, book.moved))


def _adjustment(book: AssetBook, residual: Residual, key: str, now: datetime) -> Entry:
    if not book.off_by or book.off_by != residual.quantity:
        raise Conflict(
            f"the residual of {book.subject} is {plain(book.off_by)} by now",
            asset=book.subject,
        )
    return adjustment(book.account_id, key, book.subject, book.off_by, now, residual.reason)


def _accepted(book: AssetBook, residual: Residual) -> AssetBook:
    moved = EXACT.add(book.moved, residual.quantity)
    return replace(book, moved=moved, off_by=ZERO, cycles_off=0, off_since=None, cause=None)
