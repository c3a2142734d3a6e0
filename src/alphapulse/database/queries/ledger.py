"""Query Builders: the ledger in pages, newest first or in order."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import ColumnElement, exists, literal, select, tuple_

from alphapulse.database.queries.page import Listed, Page, newest_first
from alphapulse.database.repositories.ledger import ENTRY_COLUMNS
from alphapulse.database.tables.ledger import ledger_entries, ledger_postings
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.ledger import Book, EntryKind, RecordedEntry, Subject


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries; ``None`` means any. Occurred in ``start <= t < end``.

    ``subject`` is an asset, or the symbol of a contract, that the entry moved.
    """

    account_ids: Collection[AccountId] | None = None
    kinds: Collection[EntryKind] | None = None
    subject: Subject | None = None
    start: datetime | None = None
    end: datetime | None = None


async def entry_page(
    tx: UnitOfWork, wanted: EntryFilter, *, cursor: str | None = None, limit: int
) -> Page[RecordedEntry]:
    """Entries by when they occurred. Raises `InvalidInput` for a broken cursor or limit."""
    c = ledger_entries.c
    rows, next_cursor = await newest_first(
        tx.statements,
        select(*ENTRY_COLUMNS).where(*_conditions(wanted)),
        time=c.occurred_at,
        id=c.id,
        cursor=cursor,
        limit=limit,
    )
    found = await tx.ledger.with_postings(rows)
    return Page(tuple(Listed(stored.id, stored) for stored in found), next_cursor)


async def entries_in_order(
    tx: UnitOfWork,
    wanted: EntryFilter,
    *,
    newest_id: int,
    after: RecordedEntry | None = None,
    limit: int,
) -> tuple[RecordedEntry, ...]:
    """The next entries by when they occurred, the earliest first.

    Args:
        tx: a reading unit of work; each page may have its own.
        wanted: which entries.
        newest_id: none that was recorded later. As nothing is ever removed, pages that are read
            one after another are together what was there at one moment.
        after: the last one of the page before.
        limit: how many.
    """
    c = ledger_entries.c
    query = select(*ENTRY_COLUMNS).where(*_conditions(wanted), c.id <= newest_id)
    if after is not None:
        at = literal(after.entry.occurred_at, c.occurred_at.type)
        place = tuple_(at, literal(after.id, c.id.type))
        query = query.where(tuple_(c.occurred_at, c.id) > place)
    query = query.order_by(c.occurred_at, c.id).limit(limit)
    return await tx.ledger.with_postings(await tx.statements.rows(query))


async def moves(
    tx: UnitOfWork, account_id: AccountId, subject: Subject, *, since: datetime | None, limit: int
) -> list[tuple[datetime, Decimal]]:
    """When and by how much what the exchange holds of a subject changed, the newest first."""
    c, p = ledger_entries.c, ledger_postings.c
    query = (
        select(c.occurred_at, p.quantity)
        .join(ledger_postings, p.entry_id == c.id)
        .where(c.account_id == account_id, p.book == Book.VENUE, p.subject == subject)
    )
    if since is not None:
        query = query.where(c.occurred_at >= since)
    query = query.order_by(c.occurred_at.desc(), c.id.desc(), p.number.desc()).limit(limit)
    return [(row.occurred_at, row.quantity) for row in await tx.statements.rows(query)]


async def contracts_moved(tx: UnitOfWork, after_id: int) -> set[tuple[AccountId, Subject]]:
    """The contracts that entries moved which were recorded after that one, and whose."""
    c, p = ledger_entries.c, ledger_postings.c
    query = (
        select(c.account_id, p.subject)
        .join(ledger_postings, p.entry_id == c.id)
        .where(c.id > after_id, p.book == Book.VENUE, p.subject.contains(":"))
    )
    rows = await tx.statements.rows(query.distinct())
    return {(row.account_id, row.subject) for row in rows}


def _conditions(wanted: EntryFilter) -> Iterator[ColumnElement[bool]]:
    c, p = ledger_entries.c, ledger_postings.c
    if wanted.account_ids is not None:
        yield c.account_id.in_(wanted.account_ids)
    if wanted.kinds is not None:
        yield c.kind.in_(wanted.kinds)
    if wanted.subject is not None:
        yield exists().where((p.entry_id == c.id) & (p.subject == wanted.subject))
    if wanted.start is not None:
        yield c.occurred_at >= wanted.start
    if wanted.end is not None:
        yield c.occurred_at < wanted.end
