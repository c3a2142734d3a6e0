"""Ledger: every movement of every asset as an entry whose postings sum to zero.

Entries are only ever added; a mistake is corrected by another entry. What an exchange holds for
an account is the sum of its `Book.VENUE` postings, and whatever came in came out of another book.
A contract is an asset of its own here, counted in contracts under its symbol: a position is the
sum of its fills.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from alphapulse.domain.cash_flow import CashFlow, FlowKind
from alphapulse.domain.identifiers import AccountId, Asset, Symbol
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.order import Fill, Side
from alphapulse.domain.valuation import parts

Subject: TypeAlias = str
"""An asset, or the symbol of a contract."""


class Book(StrEnum):
    """Where something is, or where it came from."""

    VENUE = "venue"
    """In the account, as the exchange counts it."""
    TRADES = "trades"
    """The other side of fills and conversions."""
    FEES = "fees"
    FUNDING = "funding"
    PROFIT = "profit"
    INCOME = "income"
    EXTERNAL = "external"
    """The world outside: deposits and withdrawals."""
    TRANSIT = "transit"
    """Between wallets and own accounts; empty when both ends are known."""
    ADJUSTMENTS = "adjustments"
    """What a person accepted without a movement behind it."""


class EntryKind(StrEnum):
    FILL = "fill"
    FEE = "fee"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"
    FUNDING = "funding"
    PROFIT = "profit"
    CONVERSION = "conversion"
    REWARD = "reward"
    INTEREST = "interest"
    OTHER = "other"
    ADJUSTMENT = "adjustment"


@dataclass(frozen=True, slots=True)
class Posting:
    """``quantity`` came into ``book``; negative went out of it."""

    book: Book
    subject: Subject
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement. ``key`` names it in its account, the same whenever it is told again.

    Raises:
        AssertionError: its postings do not sum to zero.
    """

    account_id: AccountId
    kind: EntryKind
    key: str
    occurred_at: datetime
    postings: tuple[Posting, ...]
    symbol: Symbol | None = None
    reference: str | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        sums = sums_of([self])
        assert not any(_by_subject(sums).values()), f"{self.key} does not sum to zero"

    def change(self, subject: Subject) -> Decimal:
        """Of what the exchange holds for the account."""
        return sums_of([self]).get((Book.VENUE, subject), ZERO)


@dataclass(frozen=True, slots=True)
class RecordedEntry:
    """An entry as it is stored. ``id`` grows in the order of recording, ``recorded_at`` is on our
    clock."""

    id: int
    entry: Entry
    recorded_at: datetime


Sums: TypeAlias = dict[tuple[Book, Subject], Decimal]


def sums_of(entries: Iterable[Entry]) -> Sums:
    """What entries moved, by book and subject."""
    sums: Sums = {}
    for entry in entries:
        for posting in entry.postings:
            place = (posting.book, posting.subject)
            sums[place] = EXACT.add(sums.get(place, ZERO), posting.quantity)
    return sums


@dataclass(frozen=True, slots=True)
class Sum:
    """What the entries of an account moved in one subject of one book."""

    quantity: Decimal = ZERO
    after_opening: Decimal = ZERO
    """Of it, what occurred after the book of the subject was opened."""

    def plus(self, quantity: Decimal, *, is_after_opening: bool) -> "Sum":
        after = quantity if is_after_opening else ZERO
        return Sum(EXACT.add(self.quantity, quantity), EXACT.add(self.after_opening, after))


def is_after_opening(at: datetime, subject: Subject, opened: Mapping[Subject, datetime]) -> bool:
    """Whether the book of ``subject`` was open already. What has no book of its own belongs to
    those opened first."""
    opened_at = opened.get(subject) or min(opened.values(), default=None)
    return opened_at is not None and at > opened_at


def entry_of_fill(fill: Fill) -> Entry:
    """A trade and, where the venue told it already, its fee.

    Of a contract only the position moves: its profit is a cash flow of its own.
    """
    quantity = fill.quantity if fill.side is Side.BUY else EXACT.minus(fill.quantity)
    if ":" in fill.symbol:
        moved = _moved(Book.TRADES, fill.symbol, quantity)
    else:
        base, quote = parts(fill.symbol)
        cost = EXACT.minus(EXACT.multiply(quantity, fill.price))
        moved = (*_moved(Book.TRADES, base, quantity), *_moved(Book.TRADES, quote, cost))
    return Entry(
        fill.account_id,
        EntryKind.FILL,
        f"fill:{fill.symbol}:{fill.trade_id}",
        fill.occurred_at,
        (*moved, *_fee(fill.fee_asset, fill.fee)),
        symbol=fill.symbol,
        reference=fill.exchange_order_id,
    )


def late_fee_of(fill: Fill) -> Entry:
    """The fee of a fill that was told without one before."""
    return Entry(
        fill.account_id,
        EntryKind.FEE,
        f"fee:{fill.symbol}:{fill.trade_id}",
        fill.occurred_at,
        _fee(fill.fee_asset, fill.fee),
        symbol=fill.symbol,
        reference=fill.exchange_order_id,
    )


_OTHER_SIDES = {
    FlowKind.DEPOSIT: (EntryKind.DEPOSIT, Book.EXTERNAL),
    FlowKind.WITHDRAWAL: (EntryKind.WITHDRAWAL, Book.EXTERNAL),
    FlowKind.TRANSFER: (EntryKind.TRANSFER, Book.TRANSIT),
    FlowKind.FUNDING: (EntryKind.FUNDING, Book.FUNDING),
    FlowKind.PROFIT: (EntryKind.PROFIT, Book.PROFIT),
    FlowKind.CONVERSION: (EntryKind.CONVERSION, Book.TRADES),
    FlowKind.REWARD: (EntryKind.REWARD, Book.INCOME),
    FlowKind.INTEREST: (EntryKind.INTEREST, Book.INCOME),
    FlowKind.FEE: (EntryKind.FEE, Book.FEES),
    FlowKind.OTHER: (EntryKind.OTHER, Book.EXTERNAL),
}


_BOOKS = {
    EntryKind.FILL: Book.TRADES,
    EntryKind.ADJUSTMENT: Book.ADJUSTMENTS,
    **dict(_OTHER_SIDES.values()),
}


def entry_of_flow(flow: CashFlow) -> Entry:
    kind, other_side = _OTHER_SIDES[flow.kind]
    return Entry(
        flow.account_id,
        kind,
        f"flow:{flow.id}",
        flow.occurred_at,
        (*_moved(other_side, flow.asset, flow.quantity), *_fee(flow.asset, flow.fee)),
        symbol=flow.symbol,
        reference=flow.reference,
        note=flow.note,
    )


def other_side(kind: EntryKind) -> Book:
    """Where what an entry of that kind moves comes from, or goes to."""
    return _BOOKS[kind]


def reversal_of(entry: Entry, key: str, note: str) -> Entry:
    """What takes an entry back, as if it had never been: at its own time, out of its own books."""
    postings = (Posting(one.book, one.subject, EXACT.minus(one.quantity)) for one in entry.postings)
    return replace(entry, key=key, note=note, postings=tuple(postings))


def adjustment(
    account_id: AccountId, key: str, subject: Subject, quantity: Decimal, at: datetime, note: str
) -> Entry:
    """What a person accepts as it is, with their reason."""
    moved = _moved(Book.ADJUSTMENTS, subject, quantity)
    return Entry(account_id, EntryKind.ADJUSTMENT, f"adjustment:{key}", at, moved, note=note)


def _moved(from_book: Book, subject: Subject, quantity: Decimal) -> tuple[Posting, ...]:
    return (
        Posting(Book.VENUE, subject, quantity),
        Posting(from_book, subject, EXACT.minus(quantity)),
    )


def _fee(asset: Asset | None, fee: Decimal | None) -> tuple[Posting, ...]:
    """Negative is a rebate."""
    return () if asset is None or not fee else _moved(Book.FEES, asset, EXACT.minus(fee))


def _by_subject(sums: Sums) -> dict[Subject, Decimal]:
    totals: dict[Subject, Decimal] = {}
    for (_, subject), quantity in sums.items():
        totals[subject] = EXACT.add(totals.get(subject, ZERO), quantity)
    return totals
