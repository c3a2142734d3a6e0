"""Cost basis: takes the ledger entry by entry and says what every disposal gained.

The rules, in short. A swap disposes of what is given at its fair value and acquires what is
got at the same. Its fees lower the units bought when they are taken in them, and otherwise raise
the cost of what is bought or lower the proceeds of what is sold; the coin a fee is paid in is
itself disposed of. Funding, profit of contracts and income come in at their value, or are paid
from lots at their value. A matched transfer carries lots, with cost and date; what else comes in
without a price is of unknown basis, and what else goes out without one leaves without a gain.

The book currency has no lots: its unit is its value. Nothing unknown is counted as zero.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

import msgspec

from alphapulse.domain.cost_basis.books import LotBooks
from alphapulse.domain.cost_basis.disposals import Disposal, Reason
from alphapulse.domain.cost_basis.lots import Lot, LotId, Method, Source, rounded
from alphapulse.domain.cost_basis.movements import Movement, movements_of
from alphapulse.domain.cost_basis.records import (
    Ahead,
    FlowKey,
    LastTaken,
    Opening,
    Parcel,
    Place,
    Repair,
    State,
)
from alphapulse.domain.cost_basis.swaps import Swap, swap_of, terms_of
from alphapulse.domain.cost_basis.values import NOTHING, UNKNOWN, Value, Valuer
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.ledger import Book, Entry, EntryKind
from alphapulse.domain.money import EXACT
from alphapulse.domain.rates import Rates
from alphapulse.domain.transfer_matching import EntryRef, Match

_REASONS = {
    Book.TRADES: Reason.TRADE,
    Book.FEES: Reason.FEE,
    Book.FUNDING: Reason.CHARGE,
    Book.PROFIT: Reason.CHARGE,
    Book.INCOME: Reason.CHARGE,
}
"""The books that give and take at value, and what a payment to each is called."""

_FLOWS = {
    Book.FEES: EntryKind.FEE,
    Book.FUNDING: EntryKind.FUNDING,
    Book.PROFIT: EntryKind.PROFIT,
}


class CostBasis:
    """One owner's lots by one method, over all accounts.

    Entries come in the order of time, `joined` first where they come in batches. Among entries of
    one time theirs is the order they come in: a sale that comes before its purchase sells what is
    not there. A match must be known before its incoming end is taken; what left before that can
    still be claimed. After a change to what was taken already (an older entry, a match, an opening,
    a repair) count anew, from the start or from a snapshot of before.
    """

    def __init__(
        self,
        currency: Asset,
        method: Method,
        rates: Rates,
        *,
        transfers: Iterable[Match] = (),
        repairs: Mapping[LotId, Repair] | None = None,
    ) -> None:
        self.books = LotBooks(currency, method, repairs or {})
        """What is held and what was realized: read it there."""
        self.taken_to: LastTaken | None = None
        self._values = Valuer(currency, rates)
        self._matches: dict[tuple[EntryRef, Asset], Match] = {}
        # Between two wallets: lots lie in an account, and what happens between the two ends may
        # take them as if nothing moved.
        self._inside: set[tuple[EntryRef, Asset]] = set()
        self._parcels: dict[tuple[EntryRef, Asset], Parcel] = {}
        self._ahead: dict[tuple[EntryRef, Asset], Ahead] = {}
        for match in transfers:
            self.expect(match)

    def expect(self, match: Match) -> None:
        """Learn that what is still to arrive was sent from an account of the same owner."""
        self._matches[match.incoming, match.asset] = match
        is_inside = match.outgoing.account_id == match.incoming.account_id
        if is_inside and match.sent == match.received:
            self._inside |= {(match.outgoing, match.asset), (match.incoming, match.asset)}

    def parcels(self) -> Iterator[Parcel]:
        """What left without being sold and was not seen to arrive, with its lots."""
        return iter(self._parcels.values())

    def open(self, opening: Opening) -> None:
        """Take what was there before the known history; one for each account and asset."""
        ref = EntryRef(opening.account_id, "opening")
        if opening.quantity < 0:
            self._send(ref, opening.asset, EXACT.minus(opening.quantity), opening.at)
        elif opening.quantity:
            cost = UNKNOWN if opening.cost is None else Value(rounded(opening.cost))
            self.books.acquire(
                ref, opening.asset, opening.quantity, opening.at, Source.OPENING, cost
            )

    def take(self, entry: Entry) -> list[Disposal]:
        """Count one entry, and say what it disposed of.

        Raises:
            AssertionError: it is older than the last one.
            ValueError: a rate came in another currency or of another asset.
        """
        taken_to = self.taken_to
        assert taken_to is None or entry.occurred_at >= taken_to.occurred_at, (
            f"{entry.key} is older than {taken_to.entry}"
        )
        ref = EntryRef(entry.account_id, entry.key)
        self.taken_to = LastTaken(entry.occurred_at, ref)
        movements = movements_of(entry)
        swap = swap_of(entry, movements, self.books.currency)
        if swap is not None:
            return self._swap(entry, ref, swap)
        disposals = []
        for movement in sorted(movements, key=_turn):
            disposals += self._move(entry, ref, movement)
        return disposals

    def snapshot(self) -> object:
        """All it remembers, as plain data that JSON can hold."""
        books = self.books
        state = State(
            method=books.method,
            currency=books.currency,
            taken_to=self.taken_to,
            acquisitions=books.acquisitions,
            lots=list(books.lots()),
            parcels=list(self._parcels.values()),
            ahead=list(self._ahead.values()),
            flows=list(books.flows()),
            realized=list(books.realized()),
            unknown=list(books.holes()),
        )
        return msgspec.to_builtins(state)

    @classmethod
    def restored(
        cls,
        snapshot: object,
        rates: Rates,
        *,
        transfers: Iterable[Match] = (),
        repairs: Mapping[LotId, Repair] | None = None,
    ) -> "CostBasis":
        """Go on from a snapshot; matches and repairs are those of what is still to come.

        Raises:
            msgspec.ValidationError: this is no snapshot.
        """
        state = msgspec.convert(snapshot, State)
        basis = cls(state.currency, state.method, rates, transfers=transfers, repairs=repairs)
        basis.taken_to = state.taken_to
        basis.books.restore(state)
        basis._parcels = {(parcel.entry, parcel.asset): parcel for parcel in state.parcels}
        basis._ahead = {(ahead.entry, ahead.asset): ahead for ahead in state.ahead}
        return basis

    def _swap(self, entry: Entry, ref: EntryRef, swap: Swap) -> list[Disposal]:
        at = entry.occurred_at
        terms = terms_of(swap, at, self._values)
        cost = proceeds = terms.value
        fee_share = taken = NOTHING
        if swap.is_purchase:
            fee_share, cost = terms.fee_share, cost.minus(terms.fees)
        else:
            taken, proceeds = terms.fees.negated(), proceeds.plus(terms.fees)
        given, quantity = swap.given.asset, EXACT.minus(swap.given.quantity)
        got, received = swap.got.asset, swap.received
        disposals = self.books.spend(ref, given, quantity, at, Reason.TRADE, proceeds, taken)
        self.books.acquire(ref, got, received, at, Source.TRADE, cost, fees=fee_share)
        for fee, worth in zip(swap.withheld, terms.withheld, strict=True):
            self._count(entry, fee, worth, in_gains=True)
        for fee, worth in zip(swap.paid, terms.paid, strict=True):
            self._count(entry, fee, worth, in_gains=True)
            disposals += self._exchange_at(worth, entry, ref, fee)
        return disposals

    def _move(self, entry: Entry, ref: EntryRef, movement: Movement) -> list[Disposal]:
        book, asset, quantity = movement
        if book in _REASONS:
            value = self._values.value(asset, quantity, entry.occurred_at)
            self._count(entry, movement, value)
            return self._exchange_at(value, entry, ref, movement)
        if quantity > 0:
            return self._arrive(entry, ref, movement)
        return self._send(ref, asset, EXACT.minus(quantity), entry.occurred_at)

    def _count(
        self, entry: Entry, movement: Movement, value: Value, *, in_gains: bool = False
    ) -> None:
        book, asset, quantity = movement
        if book is not Book.TRADES:
            kind = _FLOWS.get(book, entry.kind)
            key = FlowKey(entry.account_id, kind, entry.symbol, asset, in_gains)
            self.books.flow(key, quantity, value.amount)

    def _exchange_at(
        self, value: Value, entry: Entry, ref: EntryRef, movement: Movement
    ) -> list[Disposal]:
        """Acquire what came in, dispose of what went out; the value has the movement's sign."""
        book, asset, quantity = movement
        at = entry.occurred_at
        if quantity > 0:
            source = Source.TRADE if book is Book.TRADES else Source.INCOME
            # A rebate may come in the very asset that is bought.
            part = "rebate" if book is Book.FEES else ""
            self.books.acquire(ref, asset, quantity, at, source, value, part=part)
            return []
        spent, worth = EXACT.minus(quantity), value.negated()
        return self.books.spend(ref, asset, spent, at, _REASONS[book], worth)

    def _arrive(self, entry: Entry, ref: EntryRef, movement: Movement) -> list[Disposal]:
        _, asset, quantity = movement
        at = entry.occurred_at
        match = self._matches.get((ref, asset))
        if match is None:
            self.books.acquire(ref, asset, quantity, at, Source.ARRIVAL, UNKNOWN)
            return []
        sent = (match.outgoing, asset)
        parcel = self._parcels.pop(sent, None)
        if parcel is None and (ref, asset) in self._inside:
            return []
        disposals: list[Disposal] = []
        if parcel is None:
            self._ahead[sent] = Ahead(*sent, quantity)
            lots, missing = self.books.take(Place(match.outgoing.account_id, asset), quantity)
        else:
            fee = EXACT.subtract(parcel.quantity, quantity)
            if fee > 0:
                disposals = self._lose(match.outgoing, asset, *parcel.take(fee), fee, at)
            lots, missing = parcel.take(quantity)
        for number, lot in enumerate(lots):
            self.books.put(lot.moved(ref, str(number or ""), match))
        if missing:
            self.books.acquire(ref, asset, missing, at, Source.ARRIVAL, UNKNOWN, part="missing")
        return disposals

    def _send(self, ref: EntryRef, asset: Asset, quantity: Decimal, at: datetime) -> list[Disposal]:
        """Let lots leave without a gain, to be claimed where they arrive."""
        place = Place(ref.account_id, asset)
        ahead = self._ahead.pop((ref, asset), None)
        if ahead is None:
            if (ref, asset) not in self._inside:
                lots = self.books.take(place, quantity)
                self._parcels[ref, asset] = Parcel(ref, asset, at, *lots)
            return []
        fee = EXACT.subtract(quantity, ahead.quantity)
        if fee <= 0:
            return []
        return self._lose(ref, asset, *self.books.take(place, fee), fee, at)

    def _lose(
        self,
        ref: EntryRef,
        asset: Asset,
        lots: list[Lot],
        missing: Decimal,
        quantity: Decimal,
        at: datetime,
    ) -> list[Disposal]:
        """What a network kept of a transfer."""
        value = self._values.value(asset, quantity, at)
        key = FlowKey(ref.account_id, EntryKind.FEE, None, asset, in_gains=False)
        self.books.flow(key, EXACT.minus(quantity), value.negated().amount)
        return self.books.dispose(ref, asset, lots, missing, at, Reason.NETWORK_FEE, value)


def _turn(movement: Movement) -> int:
    """What comes in may be spent at once, and a fee is paid before the rest leaves."""
    if movement.book is Book.FEES:
        return 1
    return 0 if movement.quantity > 0 else 2
