"""Query Builders: the ledger in pages, newest first."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select

from alphapulse.database.queries.page import Listed, Page, newest_first
from alphapulse.database.repositories.ledger import ENTRY_COLUMNS
from alphapulse.database.tables.ledger import ledger_entries, ledger_postings
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.ledger import EntryKind, RecordedEntry, Subject


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
    c, p = ledger_entries.c, ledger_postings.c
    query = select(*ENTRY_COLUMNS)
    if wanted.account_ids is not None:
        query = query.where(c.account_id.in_(wanted.account_ids))
    if wanted.kinds is not None:
        query = query.where(c.kind.in_(wanted.kinds))
    if wanted.subject is not None:
        moves = (p.entry_id == c.id) & (p.subject == wanted.subject)
        query = query.where(exists().where(moves))
    if wanted.start is not None:
        query = query.where(c.occurred_at >= wanted.start)
    if wanted.end is not None:
        query = query.where(c.occurred_at < wanted.end)
    rows, next_cursor = await newest_first(
        tx.statements, query, time=c.occurred_at, id=c.id, cursor=cursor, limit=limit
    )
    found = await tx.ledger.with_postings(rows)
    return Page(tuple(Listed(stored.id, stored) for stored in found), next_cursor)
