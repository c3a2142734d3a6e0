"""Difference: what a file would bring into a ledger, before anything of it is written. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from alphapulse.domain.ledger import Book, Entry, Posting, Subject, Sum, is_after_opening
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.trading import AssetBook
from alphapulse.domain.transaction_files.imports import is_taken_back
from alphapulse.domain.transaction_files.rows import ReadEntry

SIMILAR_WITHIN = timedelta(minutes=1)
"""Other programs keep times to the minute."""

Moved: TypeAlias = frozenset[tuple[Subject, Decimal]]
"""What an entry changed in the account, by asset."""


class Contradiction(NamedTuple):
    """An entry that is known under its key, with other amounts. The known one stays."""

    told: ReadEntry
    stored: tuple[Posting, ...]


class Similar(NamedTuple):
    """An entry that the ledger seems to have under another key."""

    told: ReadEntry
    stored: Entry


class Effect(NamedTuple):
    """What the new entries do to one asset, or contract.

    ``opening`` is what no entry explains, before and after; ``None`` while the exchange was never
    compared. ``after_opening`` is what is told of a time that the exchange's own history covers:
    it leaves a residual of that much, unless that history missed it.
    """

    subject: Subject
    sum_before: Decimal
    change: Decimal
    after_opening: Decimal
    opening_before: Decimal | None
    opening_after: Decimal | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Every entry of a file is in one of the first four."""

    new: tuple[ReadEntry, ...]
    known: tuple[ReadEntry, ...]
    contradicting: tuple[Contradiction, ...]
    similar: tuple[Similar, ...]
    effects: tuple[Effect, ...]

    @property
    def first_at(self) -> datetime | None:
        return min((one.entry.occurred_at for one in self.new), default=None)

    @property
    def last_at(self) -> datetime | None:
        return max((one.entry.occurred_at for one in self.new), default=None)


class SimilarEntries:
    """Finds entries that a ledger has already under another key: as much moved, besides fees,
    within a minute. One that is there stands for one that is told."""

    def __init__(self, told: Iterable[ReadEntry]) -> None:
        self._told: dict[Moved, list[ReadEntry]] = {}
        for one in told:
            self._told.setdefault(moved_by(one.entry), []).append(one)
        self._found: dict[str, Similar] = {}

    def look_at(self, stored: Entry) -> None:
        """Take one entry of the ledger."""
        if is_taken_back(stored.key):
            return
        for one in self._told.get(moved_by(stored), ()):
            is_near = abs(one.entry.occurred_at - stored.occurred_at) <= SIMILAR_WITHIN
            if is_near and one.entry.key not in self._found:
                self._found[one.entry.key] = Similar(one, stored)
                return

    @property
    def found(self) -> tuple[Similar, ...]:
        """In the order of the file."""
        return tuple(sorted(self._found.values(), key=lambda one: one.told.line))


def moved_by(entry: Entry) -> Moved:
    """Fees apart: some programs tell them with the trade and some do not."""
    others = [one for one in entry.postings if one.book is not Book.VENUE]
    totals: dict[Subject, Decimal] = {}
    for one in [one for one in others if one.book is not Book.FEES] or others:
        totals[one.subject] = EXACT.add(totals.get(one.subject, ZERO), one.quantity)
    return frozenset(totals.items())


def effects_of(
    entries: Iterable[Entry],
    sums: Mapping[tuple[Book, Subject], Sum],
    books: Iterable[AssetBook],
) -> tuple[Effect, ...]:
    """What ``entries`` add to each asset of their account.

    Args:
        entries: those that are new.
        sums: of the account, without them.
        books: of the account, as last compared.
    """
    known = {book.subject: book for book in books}
    opened = {book.subject: book.opened_at for book in known.values()}
    added: dict[Subject, Sum] = {}
    for entry in entries:
        for one in entry.postings:
            if one.book is Book.VENUE:
                is_after = is_after_opening(entry.occurred_at, one.subject, opened)
                before = added.get(one.subject, Sum())
                added[one.subject] = before.plus(one.quantity, is_after_opening=is_after)
    return tuple(
        _effect(subject, change, sums.get((Book.VENUE, subject), Sum()), known.get(subject))
        for subject, change in sorted(added.items())
    )


def _effect(subject: Subject, change: Sum, stored: Sum, book: AssetBook | None) -> Effect:
    opening = None
    if book is not None:
        earlier = EXACT.subtract(stored.quantity, stored.after_opening)
        opening = EXACT.subtract(book.anchor, earlier)
    explained = EXACT.subtract(change.quantity, change.after_opening)
    return Effect(
        subject=subject,
        sum_before=stored.quantity,
        change=change.quantity,
        after_opening=change.after_opening,
        opening_before=opening,
        opening_after=None if opening is None else EXACT.subtract(opening, explained),
    )
