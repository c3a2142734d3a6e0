"""Books: what an account must hold by its ledger, compared with what the exchange shows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from alphapulse.domain.balance import Balance
from alphapulse.domain.identifiers import Asset, Symbol
from alphapulse.domain.ledger import Subject, Sum
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.position import Position
from alphapulse.domain.trading import AssetBook, ResidualCause
from alphapulse.domain.valuation import settle_of

SETTLED_UNIT = Decimal("1e-8")
"""What contracts settle is rounded by the venue to so many places of the asset, fill by fill."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known besides the figures when one account is compared."""

    compared_at: datetime
    is_fee_in_doubt: bool = False
    are_fills_read: bool = True
    are_flows_read: bool = True
    """True where the venue tells of none through us."""
    in_transit: Mapping[Subject, Decimal] = field(default_factory=dict)
    """Transfers of which one end is known."""
    settled: frozenset[Asset] = frozenset()
    """In what the account's contracts settle."""


def held(balances: Iterable[Balance], positions: Iterable[Position]) -> dict[Subject, Decimal]:
    """What the exchange shows, by asset over all wallets, and by symbol in contracts."""
    shown: dict[Subject, Decimal] = {}
    for balance in balances:
        shown[balance.asset] = EXACT.add(shown.get(balance.asset, ZERO), balance.total)
    for position in positions:
        before = shown.get(position.symbol, ZERO)
        shown[position.symbol] = EXACT.add(before, position.signed_quantity)
    return shown


def opening_of(book: AssetBook, moved: Sum) -> Decimal:
    """What no entry explains: the anchor without what the ledger moved up to then."""
    before = EXACT.subtract(moved.quantity, moved.after_opening)
    return EXACT.subtract(book.anchor, before)


def settled_in(symbols: Iterable[Symbol]) -> frozenset[Asset]:
    """The assets in which the contracts among ``symbols`` settle."""
    return frozenset(settle_of(symbol) for symbol in symbols if ":" in symbol)


def untold(balances: Iterable[Balance], settled: frozenset[Asset]) -> frozenset[Subject]:
    """Assets that more than fills move, at a venue that does not tell us of it: those in which
    contracts settle, and what is borrowed."""
    borrowed = (balance.asset for balance in balances if balance.borrowed)
    return frozenset((*settled, *borrowed))


def compared(
    books: Iterable[AssetBook],
    moved: Mapping[Subject, Decimal],
    shown: Mapping[Subject, Decimal],
    evidence: Evidence,
) -> tuple[AssetBook, ...]:
    """The books after one comparison, each difference with its likely cause."""
    after = [_compared(book, moved, shown, evidence) for book in books]
    off = [book for book in after if book.off_by]
    causes = {book.subject: _cause(book, off, evidence) for book in off}
    return tuple(replace(book, cause=causes.get(book.subject)) for book in after)


def _compared(
    book: AssetBook,
    moved: Mapping[Subject, Decimal],
    shown: Mapping[Subject, Decimal],
    evidence: Evidence,
) -> AssetBook:
    after = replace(
        book,
        moved=moved.get(book.subject, ZERO),
        held=shown.get(book.subject, ZERO),
        compared_at=evidence.compared_at,
    )
    off_by = EXACT.subtract(after.held, after.expected)
    if book.subject in evidence.settled and abs(off_by) <= SETTLED_UNIT:
        off_by = ZERO
    if not off_by:
        return replace(after, off_by=ZERO, cycles_off=0, off_since=None)
    # What is still to be told may explain it: nothing is concluded before.
    waits = evidence.is_fee_in_doubt or not evidence.are_flows_read
    return replace(
        after,
        off_by=off_by,
        cycles_off=book.cycles_off if waits else book.cycles_off + 1,
        off_since=book.off_since or evidence.compared_at,
    )


def _cause(book: AssetBook, off: Iterable[AssetBook], evidence: Evidence) -> ResidualCause:
    """The first that the evidence allows."""
    if evidence.is_fee_in_doubt:
        return ResidualCause.FEE_IN_DOUBT
    if not evidence.are_flows_read:
        return ResidualCause.UNREAD_FLOWS
    if not evidence.are_fills_read:
        return ResidualCause.MISSING_FILLS
    if book.cycles_off == 1:
        return ResidualCause.VENUE_LAG
    if ":" in book.subject or any(_is_other_half(book, other) for other in off):
        return ResidualCause.MISSING_FILLS
    if evidence.in_transit.get(book.subject, ZERO) * book.off_by > 0:
        return ResidualCause.UNMATCHED_TRANSFER
    is_more = book.off_by > 0
    return ResidualCause.UNKNOWN_DEPOSIT if is_more else ResidualCause.UNKNOWN_WITHDRAWAL


def _is_other_half(book: AssetBook, other: AssetBook) -> bool:
    """A trade that is missing leaves two assets off at once, one up and one down."""
    is_opposite = (book.off_by > 0) is not (other.off_by > 0)
    return is_opposite and ":" not in other.subject and book.off_since == other.off_since
