"""Transfer matching: which outgoing and which incoming movement are the two ends of one transfer.

A match is a claim with its evidence: the same reference is certain; the same quantity of the same
asset within a while is likely, and counts only where nothing else would fit either end. A person
may refuse a match or make one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.ledger import Book, Entry, EntryKind
from alphapulse.domain.money import plain

# A congested chain keeps a withdrawal for a day or two.
ARRIVES_WITHIN = timedelta(days=3)

# Some venues date a withdrawal when it was confirmed, which is after the other credited it.
DATED_EARLY = timedelta(hours=1)

_OUTGOING = frozenset({EntryKind.WITHDRAWAL, EntryKind.TRANSFER})
_INCOMING = frozenset({EntryKind.DEPOSIT, EntryKind.TRANSFER})
_ELSEWHERE = frozenset({Book.EXTERNAL, Book.TRANSIT})


class EntryRef(NamedTuple):
    """An entry, by its name in its account."""

    account_id: AccountId
    key: str


Pair: TypeAlias = tuple[EntryRef, EntryRef]
"""The outgoing end, the incoming end."""


class Evidence(StrEnum):
    """Why two ends are held to be one transfer, surest first."""

    MANUAL = "manual"
    """A person said so."""
    REFERENCE = "reference"
    """Both show the same reference."""
    QUANTITY = "quantity"
    """Same asset, same quantity, close in time, and no other candidate for either: likely."""


@dataclass(frozen=True, slots=True)
class Match:
    """Two ends of one transfer. What was ``sent`` and not ``received`` was its network's fee."""

    outgoing: EntryRef
    incoming: EntryRef
    asset: Asset
    sent: Decimal
    """Without the fee that the sender was told."""
    received: Decimal
    sent_at: datetime
    received_at: datetime
    evidence: Evidence
    reason: str
    """The evidence in words."""


class _End(NamedTuple):
    ref: EntryRef
    kind: EntryKind
    asset: Asset
    quantity: Decimal
    """Unsigned."""
    at: datetime
    reference: str | None


def match_transfers(
    entries: Iterable[Entry],
    *,
    made: Collection[Pair] = (),
    refused: Collection[Pair] = (),
    within: timedelta = ARRIVES_WITHIN,
) -> tuple[Match, ...]:
    """Pair the ends of transfers between one owner's accounts, sorted by when they were sent.

    Args:
        entries: of all accounts; others than deposits, withdrawals and transfers are passed over.
        made: pairs a person made; they come before any other.
        refused: pairs a person undid; they are never made again.
        within: from sending to arrival, for matches by quantity.

    Raises:
        ValueError: a pair of ``made`` is not an outgoing and an incoming entry of one asset.
    """
    outgoing: list[_End] = []
    incoming: list[_End] = []
    for entry in entries:
        end, goes_out = _end_of(entry)
        if end is not None:
            (outgoing if goes_out else incoming).append(end)
    refusals = frozenset(refused)

    def fits(sent: _End, received: _End) -> bool:
        return (sent.ref, received.ref) not in refusals and received.quantity <= sent.quantity

    matches = _made(outgoing, incoming, made)
    for find in (_by_reference, _by_reference_and_quantity, _by_quantity(within)):
        matched = {ref for match in matches for ref in (match.outgoing, match.incoming)}
        matches += find(
            [end for end in outgoing if end.ref not in matched],
            [end for end in incoming if end.ref not in matched],
            fits,
        )
    return tuple(sorted(matches, key=attrgetter("sent_at", "outgoing")))


_Fits: TypeAlias = Callable[[_End, _End], bool]


def _end_of(entry: Entry) -> tuple[_End | None, bool]:
    for posting in entry.postings:
        if posting.book in _ELSEWHERE and posting.quantity and ":" not in posting.subject:
            goes_out = posting.quantity > 0
            if entry.kind in (_OUTGOING if goes_out else _INCOMING):
                ref = EntryRef(entry.account_id, entry.key)
                asset, quantity = Asset(posting.subject), abs(posting.quantity)
                at, reference = entry.occurred_at, _spelled(entry.reference)
                return _End(ref, entry.kind, asset, quantity, at, reference), goes_out
    return None, False


def _spelled(reference: str | None) -> str | None:
    """Venues differ in the case and the prefix of the hash of one transaction."""
    return reference.lower().removeprefix("0x") or None if reference else None


def _made(outgoing: list[_End], incoming: list[_End], made: Collection[Pair]) -> list[Match]:
    sent = {end.ref: end for end in outgoing}
    received = {end.ref: end for end in incoming}
    matches = []
    for out_ref, in_ref in made:
        ends = sent.get(out_ref), received.get(in_ref)
        if ends[0] is None or ends[1] is None or ends[0].asset != ends[1].asset:
            raise ValueError(f"{out_ref} and {in_ref} are no two ends of one transfer")
        matches.append(_match(ends[0], ends[1], Evidence.MANUAL, "made by hand"))
    return matches


def _by_reference(outgoing: list[_End], incoming: list[_End], fits: _Fits) -> list[Match]:
    return _unique(outgoing, incoming, fits, lambda end: (end.reference, end.asset))


def _by_reference_and_quantity(
    outgoing: list[_End], incoming: list[_End], fits: _Fits
) -> list[Match]:
    """Of several payments in one transaction, those that only one quantity fits."""
    return _unique(outgoing, incoming, fits, lambda end: (end.reference, end.asset, end.quantity))


def _unique(
    outgoing: list[_End], incoming: list[_End], fits: _Fits, name: Callable[[_End], Hashable]
) -> list[Match]:
    sent = _grouped((end for end in outgoing if end.reference), name)
    received = _grouped((end for end in incoming if end.reference), name)
    matches = []
    for key in sent.keys() & received.keys():
        if len(sent[key]) == len(received[key]) == 1 and fits(sent[key][0], received[key][0]):
            end = sent[key][0]
            reason = f"same reference {end.reference}"
            matches.append(_match(end, received[key][0], Evidence.REFERENCE, reason))
    return matches


def _by_quantity(
    within: timedelta,
) -> Callable[[list[_End], list[_End], _Fits], list[Match]]:
    def find(outgoing: list[_End], incoming: list[_End], fits: _Fits) -> list[Match]:
        received = _grouped(incoming, attrgetter("asset", "quantity"))
        candidates = {
            end.ref: [
                other
                for other in _in_time(received.get((end.asset, end.quantity), []), end.at, within)
                if fits(end, other) and _may_be_one(end, other)
            ]
            for end in outgoing
        }
        wooed: dict[EntryRef, int] = {}
        for others in candidates.values():
            for other in others:
                wooed[other.ref] = wooed.get(other.ref, 0) + 1
        return [
            _match(end, others[0], Evidence.QUANTITY, _likeness(end, others[0]))
            for end in outgoing
            if len(others := candidates[end.ref]) == 1 and wooed[others[0].ref] == 1
        ]

    return find


def _grouped(ends: Iterable[_End], name: Callable[[_End], Hashable]) -> dict[Hashable, list[_End]]:
    """Each group in the order of time."""
    groups: dict[Hashable, list[_End]] = {}
    for end in sorted(ends, key=attrgetter("at")):
        groups.setdefault(name(end), []).append(end)
    return groups


def _in_time(ends: Sequence[_End], sent_at: datetime, within: timedelta) -> Sequence[_End]:
    start = bisect_left(ends, sent_at - DATED_EARLY, key=attrgetter("at"))
    return ends[start : bisect_right(ends, sent_at + within, key=attrgetter("at"))]


def _may_be_one(sent: _End, received: _End) -> bool:
    """What shows two different references is two movements; and what leaves an account and comes
    back in the same quantity is no transfer, unless the venue calls both ends one."""
    if sent.reference and received.reference and sent.reference != received.reference:
        return False
    is_internal = sent.kind is received.kind is EntryKind.TRANSFER
    return is_internal or sent.ref.account_id != received.ref.account_id


def _likeness(sent: _End, received: _End) -> str:
    apart_min = round((received.at - sent.at).total_seconds() / 60)
    return f"{plain(sent.quantity)} {sent.asset} at both ends, {apart_min} min apart, no other"


def _match(sent: _End, received: _End, evidence: Evidence, reason: str) -> Match:
    return Match(
        outgoing=sent.ref,
        incoming=received.ref,
        asset=sent.asset,
        sent=sent.quantity,
        received=received.quantity,
        sent_at=sent.at,
        received_at=received.at,
        evidence=evidence,
        reason=reason,
    )
