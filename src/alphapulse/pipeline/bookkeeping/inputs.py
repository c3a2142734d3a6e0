"""Inputs: what lots are counted from beside the entries of the ledger themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

import msgspec

from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.books import opening_of
from alphapulse.domain.cost_basis.lots import LotId
from alphapulse.domain.cost_basis.records import Opening, Repair
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.ledger import Book, Entry, EntryKind, RecordedEntry, Sum
from alphapulse.domain.manual_prices import ManualPrice
from alphapulse.domain.transaction_files.imports import is_taken_back
from alphapulse.domain.transfer_matching import Match, match_transfers

ENDS = frozenset({EntryKind.DEPOSIT, EntryKind.WITHDRAWAL, EntryKind.TRANSFER})
"""What may be one end of a transfer."""
ENDS_AT_ONCE = 1000
JUST_BEFORE = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Of one owner's accounts, in one book currency. ``newest_id``: later entries do not count."""

    account_ids: tuple[AccountId, ...]
    currency: Asset
    newest_id: int
    openings: tuple[Opening, ...]
    matches: tuple[Match, ...]
    repairs: Mapping[LotId, Repair]
    prices: tuple[ManualPrice, ...] = ()
    """What people say of assets that ever moved in these accounts."""

    def digest(self, until: datetime | None = None) -> str:
        """The same for the same openings, matches and manual prices up to then, of all times where
        none is named, and the same accounts and repairs."""
        said = [
            self.account_ids,
            [one for one in self.openings if until is None or one.at <= until],
            [one for one in self.matches if until is None or one.received_at <= until],
            sorted(self.repairs.items()),
            [one.rate for one in self.prices if until is None or one.counts_from <= until],
        ]
        return blake2b(msgspec.json.encode(said), digest_size=16).hexdigest()


async def read_inputs(
    tx: UnitOfWork, account_ids: Sequence[AccountId], currency: Asset, newest_id: int
) -> Inputs:
    """As of this transaction."""
    openings = [one for account in account_ids for one in await _openings(tx, account)]
    decisions = await tx.transfers.decisions(account_ids)
    ends = await _ends(tx, account_ids, newest_id)
    return Inputs(
        tuple(account_ids),
        currency,
        newest_id,
        tuple(sorted(openings, key=lambda one: (one.at, one.account_id, one.asset))),
        match_transfers(ends, made=decisions.made, refused=decisions.refused),
        await tx.repairs.of(account_ids, currency),
        await _prices(tx, account_ids),
    )


async def _prices(tx: UnitOfWork, account_ids: Sequence[AccountId]) -> tuple[ManualPrice, ...]:
    said = await tx.manual_prices.list()
    if not said:
        return ()
    moved = {subject for one in account_ids for _, subject in await tx.ledger.sums(one)}
    return tuple(one for one in said if one.asset in moved)


async def _openings(tx: UnitOfWork, account_id: AccountId) -> list[Opening]:
    """What was there before is dated before history; what history has too much of leaves when the
    books were opened."""
    first = await tx.ledger.chronological([account_id], limit=1)
    sums = await tx.ledger.sums(account_id)
    openings = []
    for book in await tx.reconciliations.books(account_id):
        moved = sums.get((Book.VENUE, book.subject), Sum())
        quantity = opening_of(book, moved)
        if quantity and ":" not in book.subject:
            at = book.opened_at
            if quantity > 0 and first:
                at = min(at, first[0].entry.occurred_at - JUST_BEFORE)
            openings.append(Opening(account_id, Asset(book.subject), quantity, at))
    return openings


async def _ends(tx: UnitOfWork, account_ids: Sequence[AccountId], newest_id: int) -> list[Entry]:
    ends: list[Entry] = []
    after: RecordedEntry | None = None
    is_last = False
    while not is_last:
        page = await tx.ledger.chronological(
            account_ids, after=after, kinds=ENDS, limit=ENDS_AT_ONCE
        )
        known = (stored.entry for stored in page if stored.id <= newest_id)
        ends += [entry for entry in known if not is_taken_back(entry.key)]
        is_last = len(page) < ENDS_AT_ONCE
        after = page[-1] if page else None
    return ends
