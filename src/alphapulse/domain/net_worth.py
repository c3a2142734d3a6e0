"""Domain: net worth over time. What was known of each account's worth, and what that sums up to.

Every moment has a line for each account that was there, so that any of them can be summed. A flow
belongs to the moment in which it showed in the balances: the worth right before it and right after
it is known at the same prices, so the difference is the flow, however large.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from operator import attrgetter

from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.ledger import Book, Entry, EntryKind, RecordedEntry, Subject
from alphapulse.domain.money import EXACT, ZERO, total
from alphapulse.domain.performance.history import Point
from alphapulse.domain.portfolio import Valuation
from alphapulse.domain.valuation import Quality

FLOW_KINDS = (EntryKind.DEPOSIT, EntryKind.WITHDRAWAL, EntryKind.TRANSFER, EntryKind.OTHER)
"""Entries that may bring money into an account from outside it, or take it there."""

STEP_NEAR = timedelta(hours=1)
"""How far the venue's time of a flow may lie from where it showed in the balances."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OUTSIDE = frozenset({Book.EXTERNAL, Book.TRANSIT})


@dataclass(frozen=True, slots=True)
class Worth:
    """What an account was worth at a moment, in one currency."""

    account_id: AccountId
    currency: Asset
    at: datetime
    value: Decimal | None
    """The sum of what had a price; ``None`` where nothing had."""
    unpriced: tuple[Subject, ...]
    """What is held and not in ``value``."""
    is_complete: bool
    """Nothing was unpriced, and nothing was stale."""
    is_gap: bool
    """Nobody watched since the moment before."""
    is_comparable: bool
    """What was held at the moment before, too, is counted in both or in neither."""


@dataclass(frozen=True, slots=True)
class WorthFlow:
    """What an entry of the ledger brought into an account from outside; negative took it there."""

    entry_id: int
    account_id: AccountId
    currency: Asset
    at: datetime
    """When it showed in the balances; the venue's time where nobody saw that."""
    amount: Decimal | None
    """``None`` where nobody knows what it was worth."""
    is_seen: bool
    """The worth right before and right after it is known."""


@dataclass(slots=True)
class Picture:
    """What of an account was counted at a moment."""

    value: Decimal | None
    priced: set[Subject] = field(default_factory=set)
    unpriced: set[Subject] = field(default_factory=set)
    is_stale: bool = False

    def is_comparable(self, before: "Picture | None") -> bool:
        """Whether nothing that is held now and was held ``before`` was counted in one only."""
        if before is None:
            return True
        return not (before.priced & self.unpriced or before.unpriced & self.priced)


def pictures_of(valuation: Valuation, account_ids: Iterable[AccountId]) -> dict[AccountId, Picture]:
    """What of each account a valuation counted."""
    pictures = {one: Picture(valuation.accounts.get(one, ZERO)) for one in account_ids}
    for held in valuation.holdings:
        balance, price = held.holding.balance, held.price
        if not balance.is_empty:
            picture = pictures[held.holding.account_id]
            (picture.unpriced if price is None else picture.priced).add(balance.asset)
            picture.is_stale |= price is not None and price.quality is Quality.STALE
    for opened in valuation.positions:
        picture = pictures[opened.position.account_id]
        (picture.unpriced if opened.value is None else picture.priced).add(opened.position.symbol)
    return pictures


@dataclass(slots=True)
class Step:
    """The balances of an account changed, seen as it happened."""

    at: datetime
    account_id: AccountId
    moved: dict[Subject, Decimal]
    """By how much, of what no flow has explained yet."""
    prices: Mapping[tuple[Subject, Asset], Decimal | None]
    """Of what moved, in each currency."""
    worths: tuple[Worth, ...]
    """Of every account, right before and right after, at the same prices."""

    def explains(self, entry: Entry) -> bool:
        """Whether the balances may have changed by this entry."""
        if abs(self.at - entry.occurred_at) > STEP_NEAR or self.account_id != entry.account_id:
            return False
        return all(
            _covers(self.moved.get(subject, ZERO), entry.change(subject))
            for subject in came_in(entry)
        )

    def take(self, entry: Entry) -> None:
        """What ``entry`` explains is explained."""
        for subject in came_in(entry):
            self.moved[subject] = EXACT.subtract(self.moved[subject], entry.change(subject))


def _covers(moved: Decimal, wanted: Decimal) -> bool:
    return wanted <= moved if wanted > 0 else moved <= wanted < 0


def step_of(entry: Entry, steps: Iterable[Step]) -> Step | None:
    """The step in which the entry showed: of those that it may have, the nearest in time."""
    possible = [step for step in steps if step.explains(entry)]
    return min(possible, key=lambda step: abs(step.at - entry.occurred_at), default=None)


def came_in(entry: Entry) -> dict[Subject, Decimal]:
    """What the entry brought in from outside the account."""
    sums: dict[Subject, Decimal] = {}
    for posting in entry.postings:
        if posting.book in _OUTSIDE:
            brought = EXACT.minus(posting.quantity)
            sums[posting.subject] = EXACT.add(sums.get(posting.subject, ZERO), brought)
    return {subject: quantity for subject, quantity in sums.items() if quantity}


def inner_transfers(entries: Sequence[RecordedEntry]) -> set[int]:
    """The ids of transfers that only moved something between the wallets of one account: told as
    two, one out and one in, that cancel out."""
    by_subject: dict[tuple[AccountId, Subject], list[RecordedEntry]] = defaultdict(list)
    for recorded in entries:
        if recorded.entry.kind is EntryKind.TRANSFER:
            for subject in came_in(recorded.entry):
                by_subject[recorded.entry.account_id, subject].append(recorded)
    return {
        recorded.id
        for (_, subject), group in by_subject.items()
        if not total([came_in(recorded.entry)[subject] for recorded in group])
        for recorded in group
    }


@dataclass(frozen=True, slots=True)
class Moment:
    """A point of the sum of several accounts."""

    point: Point
    is_complete: bool


def summed(worths: Iterable[Worth], flows: Iterable[WorthFlow]) -> tuple[Moment, ...]:
    """What accounts were worth together.

    An account that joins others brings all it has as a flow: what it was worth before, nobody
    knows.

    Args:
        worths: in one currency, in the order of time.
        flows: of the same accounts in the same currency, in the order of time.
    """
    waiting = list(reversed(list(flows)))
    there: set[AccountId] = set()
    moments = []
    for at, group in groupby(worths, key=attrgetter("at")):
        lines, came = list(group), []
        while waiting and waiting[-1].at <= at:
            came.append(waiting.pop())
        came = [flow for flow in came if flow.account_id in there]
        moments.append(_moment(at, lines, came, there))
        there |= {line.account_id for line in lines if line.value is not None}
    return tuple(moments)


def _moment(
    at: datetime, lines: Sequence[Worth], came: Sequence[WorthFlow], there: set[AccountId]
) -> Moment:
    known = [line for line in lines if line.account_id in there]
    joined = [line for line in lines if line.account_id not in there and line.value is not None]
    values = [line.value for line in (*known, *joined)]
    is_whole = bool(values) and len(known) == len(there)
    brought = [flow.amount for flow in came] + [line.value for line in joined if there]
    brought += [None for line in known if not line.is_comparable]
    value = _sum_if_known(values) if is_whole else None
    is_gap = any(line.is_gap for line in known) or not all(flow.is_seen for flow in came)
    return Moment(
        Point(at, value, _sum_if_known(brought), is_gap),
        is_complete=value is not None and all(line.is_complete for line in lines),
    )


def _sum_if_known(numbers: Sequence[Decimal | None]) -> Decimal | None:
    known = [number for number in numbers if number is not None]
    return total(known) if len(known) == len(numbers) else None


@dataclass(frozen=True, slots=True)
class Sample:
    """The last moment of a stretch of the clock, with all that happened in the stretch."""

    at: datetime
    value: Decimal | None
    net_flow: Decimal | None
    """Since the sample before; of the first, nothing."""
    is_gap: bool
    """For some of the time since the sample before nobody watched."""
    is_complete: bool


def sampled(moments: Iterable[Moment], interval: timedelta) -> tuple[Sample, ...]:
    """One sample for each stretch of the clock that has a moment."""
    samples: list[Sample] = []
    for _, group in groupby(moments, key=lambda one: (one.point.at - _EPOCH) // interval):
        some = list(group)
        last = some[-1].point
        # What came in before the first sample belongs to the time before.
        counted = some if samples else []
        samples.append(
            Sample(
                last.at,
                last.value,
                _sum_if_known([one.point.flow for one in counted]),
                any(one.point.is_gap for one in counted),
                some[-1].is_complete,
            )
        )
    return tuple(samples)
