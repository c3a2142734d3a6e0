"""Repository Pattern Implementation: the ledger, its sums, and how far cash flows were read."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from loguru import logger
from sqlalchemy import ColumnElement, Row, Select, delete, func, literal, select, tuple_, update

from alphapulse.database.statements import Statements
from alphapulse.database.tables.ledger import (
    flow_cursors,
    ledger_entries,
    ledger_postings,
    ledger_sums,
)
from alphapulse.database.tables.trading import asset_books
from alphapulse.domain.cash_flow import FlowCursor
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.ledger import (
    Book,
    Entry,
    EntryKind,
    Posting,
    RecordedEntry,
    Subject,
    Sum,
    is_after_opening,
)
from alphapulse.domain.money import EXACT
from alphapulse.observability.metrics import LEDGER_CONTRADICTIONS

KEYS_AT_ONCE = 5000
"""SQLite takes so many values in one statement, and more."""
ENTRIES_AT_ONCE = 10_000
ENTRIES_SUMMED_AT_ONCE = 2000
"""By a loop that serves users, which must not wait for more."""

Key: TypeAlias = tuple[AccountId, str]
Place: TypeAlias = tuple[AccountId, Book, Subject]
Sums: TypeAlias = dict[tuple[Book, Subject], Sum]

_E = ledger_entries.c
_P = ledger_postings.c
_ENTRY = tuple(ledger_entries.c)
_POSTING = (_P.book, _P.subject, _P.quantity)
_COUNTED: tuple[ColumnElement[Any], ...] = (
    func.count(_E.id).label("entries"),
    func.min(_E.occurred_at).label("oldest"),
    func.max(_E.id).label("newest_id"),
)
_EXTENT = select(*_COUNTED)


@dataclass(frozen=True, slots=True)
class KnownEntry:
    """What of a stored entry may be told otherwise."""

    reference: str | None
    postings: tuple[Posting, ...]


class Extent(NamedTuple):
    """How far accounts' entries go: those up to a row, those after it."""

    before: int
    new: int
    oldest_new: datetime | None
    """When the earliest of them occurred."""
    newest_id: int


class Ledger:
    """Entries, each once however often it is told, and what they sum up to."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def record(self, told: Sequence[Entry], now: datetime) -> tuple[Entry, ...]:
        """Store what is not there yet and add it to the sums; the new ones.

        A reference that was missing is filled in: a chain names a payment later than the venue. A
        key that is told with other postings than before is not believed: the first entry stays,
        and the contradiction is logged and counted.
        """
        if not told:
            return ()
        known = await self.known(told)
        new: dict[Key, Entry] = {}
        for entry in told:
            key = (entry.account_id, entry.key)
            before = new.get(key) or known.get(key)
            if before is None:
                new[key] = entry
            elif before.postings != entry.postings:
                _contradicted(entry)
            elif before.reference is None and entry.reference is not None:
                await self._name(key, entry.reference)
        entries = tuple(new.values())
        if entries:
            await self._insert(entries, now)
            await self._add_up(entries)
        return entries

    async def sums(self, account_id: AccountId) -> Sums:
        """What the account's entries moved, by book and subject."""
        c = ledger_sums.c
        wanted = select(c.book, c.subject, c.quantity, c.quantity_after_opening)
        rows = await self._statements.rows(wanted.where(c.account_id == account_id))
        return {
            (row.book, row.subject): Sum(row.quantity, row.quantity_after_opening) for row in rows
        }

    async def held_at(self, account_id: AccountId, at: datetime) -> dict[Subject, Decimal]:
        """What the account's entries up to a moment add up to at the exchange, by subject."""
        held = {
            subject: one.quantity
            for (book, subject), one in (await self.sums(account_id)).items()
            if book is Book.VENUE
        }
        last = 0
        while rows := await self._held_after(account_id, at, last):
            for row in rows:
                if row.subject is not None:
                    held[row.subject] = EXACT.subtract(held[row.subject], row.quantity)
            last = rows[-1].id
        return held

    async def open_books(self, account_id: AccountId, opened: Mapping[Subject, datetime]) -> None:
        """Count anew what moved after the books of these subjects were opened."""
        stored = await self.sums(account_id)
        found = {place: Sum(one.quantity) for place, one in stored.items() if place[1] in opened}
        since = min(opened.values())
        wanted = (
            select(_E.occurred_at, *_POSTING)
            .join(ledger_postings, _P.entry_id == _E.id)
            .where(_E.account_id == account_id, _E.occurred_at > since, _P.subject.in_(opened))
        )
        for row in await self._statements.rows(wanted):
            if row.occurred_at > opened[row.subject]:
                before = found[row.book, row.subject]
                after = EXACT.add(before.after_opening, row.quantity)
                found[row.book, row.subject] = Sum(before.quantity, after)
        await self._save_sums({(account_id, *place): one for place, one in found.items()})

    async def rebuild(self, account_id: AccountId) -> bool:
        """Sum everything up again; whether the sums were wrong."""
        opened = (await self._openings({account_id})).get(account_id, {})
        found: dict[Place, Sum] = {}
        last = 0
        while rows := await self._moved_after(account_id, last):
            for row in rows:
                place = (account_id, row.book, row.subject)
                is_after = is_after_opening(row.occurred_at, row.subject, opened)
                before = found.get(place, Sum())
                found[place] = before.plus(row.quantity, is_after_opening=is_after)
            last = rows[-1].id
        stored = {(account_id, *place): one for place, one in (await self.sums(account_id)).items()}
        if found == stored:
            return False
        await self._forget_sums(account_id)
        await self._save_sums(found)
        return True

    async def after(
        self, row_id: int, limit: int, *, account_ids: Collection[AccountId] | None = None
    ) -> tuple[RecordedEntry, ...]:
        """Entries that were recorded after a row, in the order of recording."""
        wanted = select(*_ENTRY).where(_E.id > row_id)
        if account_ids is not None:
            wanted = wanted.where(_E.account_id.in_(account_ids))
        return await self._read(wanted.order_by(_E.id).limit(limit))

    async def chronological(
        self,
        account_ids: Collection[AccountId],
        *,
        after: RecordedEntry | None = None,
        since: datetime | None = None,
        kinds: Collection[EntryKind] | None = None,
        limit: int = ENTRIES_AT_ONCE,
    ) -> tuple[RecordedEntry, ...]:
        """Entries in the order in which they occurred, of equal times the first recorded first.

        Args:
            account_ids: whose.
            after: the last one of the page before; ``None`` for the first.
            since: none that occurred before.
            kinds: only of these.
            limit: how many.
        """
        wanted = select(*_ENTRY).where(_E.account_id.in_(account_ids))
        if since is not None:
            wanted = wanted.where(_E.occurred_at >= since)
        if kinds is not None:
            wanted = wanted.where(_E.kind.in_(kinds))
        if after is not None:
            at = literal(after.entry.occurred_at, _E.occurred_at.type)
            place = tuple_(at, literal(after.id, _E.id.type))
            wanted = wanted.where(tuple_(_E.occurred_at, _E.id) > place)
        return await self._read(wanted.order_by(_E.occurred_at, _E.id).limit(limit))

    async def extent(self, account_ids: Collection[AccountId], row_id: int) -> Extent:
        """How many entries were recorded up to a row, and what came after it."""
        mine = _E.account_id.in_(account_ids)
        older = await self._statements.row(_EXTENT.where(mine, _E.id <= row_id))
        newer = await self._statements.row(_EXTENT.where(mine, _E.id > row_id))
        assert older is not None
        assert newer is not None
        newest_id = row_id if newer.newest_id is None else newer.newest_id
        return Extent(older.entries, newer.entries, newer.oldest, newest_id)

    async def has_after(self, account_ids: Collection[AccountId], row_id: int) -> bool:
        """Whether anything was recorded after a row."""
        newer = select(_E.id).where(_E.account_id.in_(account_ids), _E.id > row_id)
        return await self._statements.row(newer.order_by(_E.id).limit(1)) is not None

    async def find(self, account_id: AccountId, key: str) -> RecordedEntry | None:
        """The entry of that key."""
        wanted = select(*_ENTRY).where(_E.account_id == account_id, _E.key == key)
        found = await self._read(wanted)
        return found[0] if found else None

    async def began_at(self, account_id: AccountId) -> datetime | None:
        """When the first entry of the account occurred."""
        wanted = select(_E.occurred_at).where(_E.account_id == account_id)
        row = await self._statements.row(wanted.order_by(_E.occurred_at).limit(1))
        return None if row is None else row.occurred_at

    async def by_ids(self, ids: Collection[int]) -> tuple[RecordedEntry, ...]:
        """Those of them that exist, by id."""
        return await self._read(select(*_ENTRY).where(_E.id.in_(ids)).order_by(_E.id))

    async def newest_id(self) -> int:
        """Of the entry that was recorded last; 0 before the first."""
        row = await self._statements.row(select(func.max(_E.id)))
        return 0 if row is None or row[0] is None else int(row[0])

    async def with_postings(self, rows: Sequence[Row[Any]]) -> tuple[RecordedEntry, ...]:
        """Entries whose columns, `ENTRY_COLUMNS`, come first in ``rows``; in their order."""
        postings: dict[int, list[Posting]] = {row[0]: [] for row in rows}
        for ids in _portions(postings):
            wanted = select(_P.entry_id, *_POSTING).where(_P.entry_id.in_(ids))
            found = await self._statements.rows(wanted.order_by(_P.entry_id, _P.number))
            for row in found:
                postings[row.entry_id].append(_posting(row))
        return tuple(
            RecordedEntry(row[0], _entry(row, postings[row[0]]), row.recorded_at) for row in rows
        )

    async def _read(self, wanted: Select[Any]) -> tuple[RecordedEntry, ...]:
        return await self.with_postings(await self._statements.rows(wanted))

    async def _moved_after(self, account_id: AccountId, row_id: int) -> Sequence[Row[Any]]:
        """The postings of the next entries, in the order of recording."""
        mine = (_E.account_id == account_id) & (_E.id > row_id)
        entries = select(_E.id, _E.occurred_at).where(mine).order_by(_E.id).limit(ENTRIES_AT_ONCE)
        page = entries.subquery()
        wanted = select(page.c.id, page.c.occurred_at, *_POSTING)
        wanted = wanted.join(ledger_postings, _P.entry_id == page.c.id).order_by(page.c.id)
        return await self._statements.rows(wanted)

    async def _held_after(
        self, account_id: AccountId, at: datetime, row_id: int
    ) -> Sequence[Row[Any]]:
        """What the next entries after a moment moved at the exchange, in the order of recording."""
        mine = (_E.account_id == account_id) & (_E.occurred_at > at) & (_E.id > row_id)
        page = select(_E.id).where(mine).order_by(_E.id).limit(ENTRIES_SUMMED_AT_ONCE).subquery()
        theirs = (_P.entry_id == page.c.id) & (_P.book == Book.VENUE)
        wanted = select(page.c.id, _P.subject, _P.quantity)
        wanted = wanted.join(ledger_postings, theirs, isouter=True).order_by(page.c.id)
        return await self._statements.rows(wanted)

    async def _name(self, key: Key, reference: str) -> None:
        mine = (_E.account_id == key[0]) & (_E.key == key[1])
        named = update(ledger_entries).where(mine).values(reference=reference)
        await self._statements.run(named)

    async def known(self, told: Sequence[Entry]) -> dict[Key, KnownEntry]:
        """Those that are stored under the keys of ``told``."""
        accounts = {entry.account_id for entry in told}
        found: dict[Key, tuple[str | None, list[Posting]]] = {}
        for keys in _portions({entry.key for entry in told}):
            wanted = (
                select(_E.account_id, _E.key, _E.reference, *_POSTING)
                .join(ledger_postings, _P.entry_id == _E.id, isouter=True)
                .where(_E.account_id.in_(accounts), _E.key.in_(keys))
                .order_by(_E.id, _P.number)
            )
            for row in await self._statements.rows(wanted):
                _, postings = found.setdefault((row.account_id, row.key), (row.reference, []))
                if row.book is not None:
                    postings.append(_posting(row))
        return {
            key: KnownEntry(reference, tuple(postings))
            for key, (reference, postings) in found.items()
        }

    async def _insert(self, entries: Sequence[Entry], now: datetime) -> None:
        await self._statements.insert(
            ledger_entries,
            [
                {
                    "account_id": entry.account_id,
                    "kind": entry.kind,
                    "key": entry.key,
                    "occurred_at": entry.occurred_at,
                    "recorded_at": now,
                    "symbol": entry.symbol,
                    "reference": entry.reference,
                    "note": entry.note,
                }
                for entry in entries
            ],
        )
        ids = await self.ids(entries)
        await self._statements.insert(
            ledger_postings,
            [
                {
                    "entry_id": ids[entry.account_id, entry.key],
                    "number": number,
                    "book": posting.book,
                    "subject": posting.subject,
                    "quantity": posting.quantity,
                }
                for entry in entries
                for number, posting in enumerate(entry.postings)
            ],
        )

    async def ids(self, entries: Sequence[Entry]) -> dict[Key, int]:
        """Of those that are stored."""
        accounts = {entry.account_id for entry in entries}
        ids: dict[Key, int] = {}
        for keys in _portions({entry.key for entry in entries}):
            wanted = select(_E.account_id, _E.key, _E.id)
            wanted = wanted.where(_E.account_id.in_(accounts), _E.key.in_(keys))
            for row in await self._statements.rows(wanted):
                ids[row.account_id, row.key] = row.id
        return ids

    async def _add_up(self, entries: Sequence[Entry]) -> None:
        accounts = {entry.account_id for entry in entries}
        touched = {(e.account_id, p.book, p.subject) for e in entries for p in e.postings}
        stored = {
            (account_id, *place): one
            for account_id in accounts
            for place, one in (await self.sums(account_id)).items()
        }
        found = {place: stored.get(place, Sum()) for place in touched}
        _count(entries, await self._openings(accounts), found)
        await self._save_sums(found)

    async def _openings(
        self, account_ids: Collection[AccountId]
    ) -> dict[AccountId, dict[Subject, datetime]]:
        """When the book of each subject was opened."""
        c = asset_books.c
        wanted = select(c.account_id, c.subject, c.opened_at).where(c.account_id.in_(account_ids))
        openings: dict[AccountId, dict[Subject, datetime]] = {}
        for row in await self._statements.rows(wanted):
            openings.setdefault(row.account_id, {})[row.subject] = row.opened_at
        return openings

    async def _save_sums(self, sums: Mapping[Place, Sum]) -> None:
        names = ("account_id", "book", "subject", "quantity", "quantity_after_opening")
        rows = [
            dict(zip(names, (*place, one.quantity, one.after_opening), strict=True))
            for place, one in sums.items()
        ]
        await self._statements.upsert(ledger_sums, rows)

    async def _forget_sums(self, account_id: AccountId) -> None:
        mine = ledger_sums.c.account_id == account_id
        await self._statements.run(delete(ledger_sums).where(mine))


ENTRY_COLUMNS = _ENTRY
"""What `Ledger.with_postings` wants to be selected first."""


def _entry(row: Row[Any], postings: Iterable[Posting]) -> Entry:
    return Entry(
        account_id=row.account_id,
        kind=row.kind,
        key=row.key,
        occurred_at=row.occurred_at,
        postings=tuple(postings),
        symbol=row.symbol,
        reference=row.reference,
        note=row.note,
    )


def _posting(row: Row[Any]) -> Posting:
    return Posting(row.book, row.subject, row.quantity)


def _count(
    entries: Iterable[Entry],
    openings: Mapping[AccountId, Mapping[Subject, datetime]],
    sums: dict[Place, Sum],
) -> None:
    """Add entries to sums."""
    for entry in entries:
        opened = openings.get(entry.account_id, {})
        for posting in entry.postings:
            place = (entry.account_id, posting.book, posting.subject)
            is_after = is_after_opening(entry.occurred_at, posting.subject, opened)
            before = sums.get(place, Sum())
            sums[place] = before.plus(posting.quantity, is_after_opening=is_after)


def _contradicted(entry: Entry) -> None:
    LEDGER_CONTRADICTIONS.inc()
    logger.bind(account_id=entry.account_id, entry=entry.key).warning(
        "a movement is told differently than before; the first version stays"
    )


def _portions(values: Iterable[Any]) -> Iterable[list[Any]]:
    every = list(values)
    for start in range(0, len(every), KEYS_AT_ONCE):
        yield every[start : start + KEYS_AT_ONCE]


@dataclass(frozen=True, slots=True)
class StoredFlowCursor:
    """Where the reading of one list stands, and whether it has reached the end once."""

    cursor: FlowCursor
    complete: bool


class FlowCursors:
    """One cursor for each list of cash flows that the venue has."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def save(self, account_id: AccountId, cursor: FlowCursor, complete: bool) -> None:
        """Move a cursor; in the same unit of work as the entries before it."""
        row = {
            "account_id": account_id,
            "source": cursor.source,
            "position": cursor.position,
            "is_complete": complete,
        }
        await self._statements.upsert(flow_cursors, [row])

    async def list(self, account_id: AccountId) -> tuple[StoredFlowCursor, ...]:
        """All of the account's, by source."""
        c = flow_cursors.c
        wanted = select(flow_cursors).where(c.account_id == account_id).order_by(c.source)
        return tuple(
            StoredFlowCursor(FlowCursor(row.source, row.position), row.is_complete)
            for row in await self._statements.rows(wanted)
        )
