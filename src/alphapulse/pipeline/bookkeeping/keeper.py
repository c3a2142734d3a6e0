"""Keeper: the lots of one owner in one currency, kept in step with the ledger.

Counted to an hour ago there is a snapshot in the database. What is new is taken on top of what is
in memory; what comes late within that hour is counted again from the snapshot; and what comes
later than that, or a change of an opening, a match or a repair from before it, begins a new book
beside the old one. Entries are durable before any of this, so nothing is lost when it is cut off.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alphapulse.database.connection import Database
from alphapulse.database.repositories.bookkeeping import BasisBook, Owner
from alphapulse.database.repositories.ledger import Extent
from alphapulse.domain.clock import Clock
from alphapulse.domain.cost_basis.lots import Method
from alphapulse.domain.cost_basis.movements import joined
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.ledger import Entry, EntryKind, RecordedEntry
from alphapulse.domain.transaction_files.imports import is_taken_back
from alphapulse.pipeline.bookkeeping.count import Count, shelf_of
from alphapulse.pipeline.bookkeeping.inputs import Inputs, read_inputs
from alphapulse.pipeline.bookkeeping.rates import StoredPrices

SETTLED = timedelta(hours=1)
"""Exchanges and our reading of them are rarely later than this."""
SNAPSHOT_AFTER_ENTRIES = 2000
"""Counted again in about a second."""
JOINED_WITHIN = timedelta(seconds=5)
"""The two halves of a conversion are told apart by less."""
PAGE_ENTRIES = 500
"""A page is one transaction: a few thousand rows, and others write in between."""
SLICE_S = 0.01
"""So long the loop may be kept from its other tasks."""
REST_S = 0.005
"""After each slice, so that a long count leaves most of the interpreter to others."""

_JOINED = frozenset({EntryKind.FEE, EntryKind.CONVERSION})
"""May belong to an entry that was counted already."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be counted into which book. Entries up to ``since`` are in it already."""

    book: BasisBook
    inputs: Inputs
    extent: Extent
    now: datetime
    since: datetime | None = None
    settles_to: datetime | None = None
    """Snapshots are made on the way, as of then."""
    is_again: bool = False
    """What is stored of the time after ``since`` is replaced."""


class Keeper:
    """Asked again and again, it does what there is to do."""

    def __init__(
        self,
        owner_id: Owner,
        currency: Asset,
        book: BasisBook | None,
        database: Database,
        clock: Clock,
    ) -> None:
        self._owner_id = owner_id
        self._currency = currency
        self._book = book
        self._database = database
        self._clock = clock
        self._count: Count | None = None
        self._digest = ""
        self._unsettled = 0
        """Entries since the snapshot."""
        self._prices = StoredPrices(database, currency)

    async def catch_up(self, account_ids: Sequence[AccountId], *, anew: bool = False) -> bool:
        """Count what is new; whether anything was.

        Args:
            account_ids: all of the owner's.
            anew: count from the start whether there is anything new or not.
        """
        book = self._book
        async with self._database.read() as tx:
            extent = await tx.ledger.extent(account_ids, 0 if book is None else book.counted_to)
            inputs = await read_inputs(tx, account_ids, self._currency, extent.newest_id)
            matches = await tx.transfers.matches(account_ids)
        if set(matches.values()) != set(inputs.matches):
            async with self._database.begin() as tx:
                await tx.transfers.replace(account_ids, inputs.matches)
        if anew or book is None or not _still_holds(book, extent, inputs):
            await self._count_anew(inputs, extent)
        elif self._count is None or inputs.digest() != self._digest:
            await self._count_from_snapshot(book, inputs, extent)
        elif extent.new:
            await self._go_on(self._count, book, inputs, extent)
        else:
            return False
        self._digest = inputs.digest()
        return True

    async def _count_anew(self, inputs: Inputs, extent: Extent) -> None:
        now = self._clock.now()
        async with self._database.begin() as tx:
            book_id = await tx.bookkeeping.add(self._owner_id, self._currency, now)
        book = BasisBook(
            book_id, self._owner_id, self._currency, False, 0, 0, None, "", counted_at=now
        )
        work = _Work(book, inputs, extent, now, settles_to=now - SETTLED)
        self._unsettled = 0
        await self._take(Count(inputs, self._prices), work)

    async def _count_from_snapshot(self, book: BasisBook, inputs: Inputs, extent: Extent) -> None:
        now = self._clock.now()
        async with self._database.read() as tx:
            snapshots = await tx.bookkeeping.snapshots(book.id)
            stored = {m: shelf_of(await tx.bookkeeping.lots(book.id, m)) for m in Method}
        count = Count(
            inputs, self._prices, snapshots=snapshots, stored=stored, since=book.settled_to
        )
        is_due = self._unsettled >= SNAPSHOT_AFTER_ENTRIES
        self._unsettled = 0
        settles_to = now - SETTLED if is_due else None
        await self._take(
            count, _Work(book, inputs, extent, now, book.settled_to, settles_to, is_again=True)
        )

    async def _go_on(self, count: Count, book: BasisBook, inputs: Inputs, extent: Extent) -> None:
        """On top of what is in memory, where everything new is younger than that."""
        since, oldest = count.taken_to, extent.oldest_new
        is_due = self._unsettled >= SNAPSHOT_AFTER_ENTRIES
        if since is None or oldest is None or oldest <= since or is_due:
            await self._count_from_snapshot(book, inputs, extent)
            return
        async with self._database.read() as tx:
            may_join = await tx.ledger.chronological(
                inputs.account_ids, since=oldest, kinds=_JOINED, limit=1
            )
        if may_join:
            await self._count_from_snapshot(book, inputs, extent)
            return
        await self._take(count, _Work(book, inputs, extent, self._clock.now(), since))

    async def _take(self, count: Count, work: _Work) -> None:
        """Count, store and keep. Where this is cut off, the next time begins from what is
        stored."""
        self._count = None
        snapshots = None
        async for page in self._pages(work):
            await self._prices.load(page)
            settled = [one for one in page if _is_up_to(one, work.settles_to)]
            await self._take_slowly(count, settled)
            if work.settles_to is not None and snapshots is None and len(settled) < len(page):
                count.pass_to(work.settles_to)
                snapshots = count.snapshots()
            await self._take_slowly(count, page[len(settled) :])
            self._unsettled += len(page) - len(settled)
            if not work.book.is_current:
                async with self._database.begin() as tx:
                    await count.save(tx, work.book.id)
        if work.settles_to is not None and snapshots is None:
            count.pass_to(work.settles_to)
            snapshots = count.snapshots()
        count.pass_to(None)
        await self._finish(count, work, snapshots)

    async def _finish(
        self, count: Count, work: _Work, snapshots: Mapping[Method, str] | None
    ) -> None:
        """In one transaction what is left, and that it is the current book."""
        settled_to = work.settles_to or work.book.settled_to
        book = replace(
            work.book,
            is_current=True,
            counted_to=work.extent.newest_id,
            entry_count=work.extent.before + work.extent.new,
            settled_to=settled_to,
            inputs=work.inputs.digest(settled_to),
            counted_at=work.now,
        )
        async with self._database.begin() as tx:
            if work.is_again and work.since is not None:
                await tx.bookkeeping.drop_disposals(book.id, work.since)
            await count.save(tx, book.id)
            await tx.bookkeeping.save(book, count.states(snapshots))
            await tx.rates.want(self._prices.take_wanted())
        self._book, self._count = book, count

    async def _pages(self, work: _Work) -> AsyncIterator[list[Entry]]:
        """Entries in the order of time, `joined`, none twice. What may still be joined with an
        entry of the next page waits for it."""
        since = None if work.since is None else work.since - JOINED_WITHIN
        waiting: list[Entry] = []
        last: RecordedEntry | None = None
        is_last = False
        while not is_last:
            async with self._database.read() as tx:
                page = await tx.ledger.chronological(
                    work.inputs.account_ids, after=last, since=since, limit=PAGE_ENTRIES
                )
            is_last = len(page) < PAGE_ENTRIES
            known = (one.entry for one in page if one.id <= work.extent.newest_id)
            fresh = [entry for entry in known if not is_taken_back(entry.key)]
            told = joined([*waiting, *fresh])
            until = None
            if page and not is_last:
                last = page[-1]
                until = last.entry.occurred_at - JOINED_WITHIN
            ready = [one for one in told if _is_up_to(one, until)]
            waiting = told[len(ready) :]
            if work.since is not None:
                ready = [one for one in ready if one.occurred_at > work.since]
            yield ready

    async def _take_slowly(self, count: Count, entries: Sequence[Entry]) -> None:
        began_s = self._clock.monotonic_s()
        for entry in entries:
            count.take(entry)
            if self._clock.monotonic_s() - began_s > SLICE_S:
                await asyncio.sleep(REST_S)
                began_s = self._clock.monotonic_s()


def _still_holds(book: BasisBook, extent: Extent, inputs: Inputs) -> bool:
    """Whether what was settled is as it would be counted now."""
    return (
        book.settled_to is not None
        and extent.before == book.entry_count
        and (extent.oldest_new is None or extent.oldest_new > book.settled_to)
        and inputs.digest(book.settled_to) == book.inputs
    )


def _is_up_to(entry: Entry, moment: datetime | None) -> bool:
    return moment is None or entry.occurred_at <= moment
