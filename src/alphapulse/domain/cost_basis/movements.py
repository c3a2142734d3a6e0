"""Movements: what an entry of the ledger brought and took, as the cost basis sees it."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.ledger import Book, Entry, EntryKind
from alphapulse.domain.money import EXACT, ZERO


class Movement(NamedTuple):
    """``quantity`` came out of ``book`` into the account; negative went there."""

    book: Book
    asset: Asset
    quantity: Decimal


def movements_of(entry: Entry) -> list[Movement]:
    """All but contracts, which have no lots: their profit and funding move assets."""
    sums: dict[tuple[Book, Asset], Decimal] = {}
    for posting in entry.postings:
        if posting.book is not Book.VENUE and ":" not in posting.subject:
            name = (posting.book, Asset(posting.subject))
            sums[name] = EXACT.subtract(sums.get(name, ZERO), posting.quantity)
    return [Movement(book, asset, quantity) for (book, asset), quantity in sums.items() if quantity]


def joined(entries: Iterable[Entry]) -> list[Entry]:
    """Make one entry of what was told in several: a fill and its late fee, the two halves of a
    conversion. It stands where the first stood. The rest stays as it is."""
    whole: dict[tuple[AccountId, str], Entry] = {}
    for entry in entries:
        name = (entry.account_id, _name(entry))
        first = whole.get(name)
        whole[name] = entry if first is None else _joined(first, entry)
    return list(whole.values())


def _name(entry: Entry) -> str:
    if entry.kind is EntryKind.CONVERSION and entry.reference:
        return f"conversion:{entry.reference}"
    if entry.kind is EntryKind.FEE and entry.key.startswith("fee:"):
        return "fill:" + entry.key.removeprefix("fee:")
    return entry.key


def _joined(first: Entry, second: Entry) -> Entry:
    assert first.key != second.key, f"{first.key} is told twice"
    whole = second if first.kind is EntryKind.FEE else first
    postings = (*first.postings, *second.postings)
    return replace(whole, occurred_at=first.occurred_at, postings=postings)
