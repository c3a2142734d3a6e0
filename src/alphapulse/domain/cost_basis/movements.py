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
    movements = [
        Movement(posting.book, Asset(posting.subject), EXACT.minus(posting.quantity))
        for posting in entry.postings
        if posting.book is not Book.VENUE and posting.quantity and ":" not in posting.subject
    ]
    # A fill has two sides and a fee; only what was joined can have more of one kind.
    return movements if len(movements) <= 3 else _added_up(movements)


def _added_up(movements: list[Movement]) -> list[Movement]:
    sums: dict[tuple[Book, Asset], Decimal] = {}
    for book, asset, quantity in movements:
        sums[book, asset] = EXACT.add(sums.get((book, asset), ZERO), quantity)
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
