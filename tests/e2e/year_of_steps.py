"""A simulated year as the steps of the slow cost basis: told by the venues, not by the ledger."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from alphapulse.domain.ledger import Book, Entry, EntryKind
from alphapulse.domain.money import total
from alphapulse.domain.order import Side
from alphapulse.domain.valuation import parts
from alphapulse.simulator.core.events import Cause
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.ledger import LedgerEntry
from alphapulse.simulator.core.order import Fill
from alphapulse.simulator.settings import SimulatedAccountSettings
from alphapulse.simulator.simulator import Simulator
from tests.slow_cost_basis import Heap, SlowCostBasis, Step

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class DatedStep(Step):
    at: datetime = EPOCH
    mark: tuple[str, Decimal] = ("", Decimal(0))
    """What moved and how much, by which the entry of the ledger is found that tells it."""
    other_mark: tuple[str, Decimal] | None = None
    """Of the other half of a conversion; both count from the first of them on."""
    txid: str = ""
    """Of a move: its two ends are told apart, and other things happen in between."""


@dataclass
class DatedBasis(SlowCostBasis):
    """As it is, at the rates of each step's own moment."""

    rate: Callable[[str, datetime], Decimal | None] = lambda _asset, _at: None
    at: datetime = EPOCH
    parcels: dict[str, list[Heap]] = field(default_factory=dict)

    def recount(self, steps: Iterable[Step]) -> None:
        for number, step in enumerate(steps):
            assert isinstance(step, DatedStep)
            self.at = step.at
            getattr(self, f"_{step.kind}")(number, step)

    def _send(self, _: int, step: DatedStep) -> None:
        if fee := Fraction(step.fee):
            self._out(step.account, step.asset, fee, self._worth(step.asset, fee))
        self.parcels[step.txid] = self._remove(step.account, step.asset, Fraction(step.quantity))

    def _arrive(self, number: int, step: DatedStep) -> None:
        left = Fraction(step.quantity)
        for heap in self.parcels.pop(step.txid):
            left -= heap.quantity
            self._add(step.account, step.asset, heap)
        if left:
            self._in(step.account, step.asset, left, None, number)

    def _worth(self, asset: str, quantity: Fraction) -> Fraction | None:
        rate = Decimal(1) if asset == "USD" else self.rate(asset, self.at)
        return None if rate is None else Fraction(rate) * quantity


def steps_of(simulator: Simulator, accounts: Sequence[SimulatedAccountSettings]) -> list[DatedStep]:
    """Everything that moved money."""
    found: list[DatedStep] = []
    entries: list[tuple[str, LedgerEntry]] = []
    for account in accounts:
        venue = simulator.world.venues[account.venue]
        for fill in venue.accounts[account.label].fills:
            found += _of_fill(account.label, fill)
        entries += [(account.label, one) for one in venue.ledger.all_entries(account.label)]
    return [*found, *_of_entries(entries)]


def in_turn(steps: Iterable[DatedStep], entries: Iterable[Entry]) -> list[DatedStep]:
    """In the order of the ledger. Several things happen in one millisecond, and which of them comes
    first is anybody's choice; nothing may be told for another second than it happened in."""
    told: defaultdict[tuple[str, str, Decimal], list[tuple[datetime, int]]] = defaultdict(list)
    for number, entry in enumerate(entries):
        told[entry.account_id, *_mark_of(entry)].append((entry.occurred_at, number))
    turns: list[tuple[int, DatedStep]] = []
    sent: dict[str, int] = {}
    for step in sorted(steps, key=lambda one: one.at):
        marks = [step.mark] if step.other_mark is None else [step.mark, step.other_mark]
        turn = min(_turn(told[step.account, *mark], step) for mark in marks)
        if step.kind == "send":
            sent[step.txid] = len(turns)
        if step.kind == "arrive" and turn < turns[sent[step.txid]][0]:
            # Told to arrive before it is told to leave, it is taken from there; the fee follows.
            late, source = turns[sent[step.txid]]
            turns[sent[step.txid]] = (turn, replace(source, fee=Decimal(0)))
            fee = DatedStep("funding", source.account, source.asset, -source.fee, at=source.at)
            turns += [(turn, step), (late, fee)]
        else:
            turns.append((turn, step))
    return [step for _, step in sorted(turns, key=lambda one: one[0])]


def _turn(candidates: list[tuple[datetime, int]], step: DatedStep) -> int:
    """Of the entry that tells of it; nobody else's from now on."""
    nearest = min(candidates, key=lambda one: (abs(one[0] - step.at), one[1]), default=None)
    assert nearest is not None, f"nothing tells of {step}"
    assert abs(nearest[0] - step.at) < timedelta(seconds=1), f"told for {nearest[0]}: {step}"
    candidates.remove(nearest)
    return nearest[1]


def _mark_of(entry: Entry) -> tuple[str, Decimal]:
    if entry.symbol is not None and entry.kind is EntryKind.FILL:
        traded = entry.symbol if ":" in entry.symbol else parts(entry.symbol)[0]
        return entry.symbol, abs(_sum(entry, Book.TRADES, traded))
    subject = entry.postings[0].subject
    return subject, _sum(entry, Book.VENUE, subject)


def _sum(entry: Entry, book: Book, subject: str) -> Decimal:
    return total([p.quantity for p in entry.postings if (p.book, p.subject) == (book, subject)])


def _moment(at_ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=at_ms)


def _of_fill(account: str, fill: Fill) -> Iterator[DatedStep]:
    at, instrument = _moment(fill.at_ms), fill.instrument
    if instrument.category is Category.SPOT:
        yield DatedStep(
            "buy" if fill.side is Side.BUY else "sell",
            account,
            instrument.base,
            fill.quantity,
            fill.price,
            instrument.quote,
            fill.fee,
            fill.fee_asset,
            at=at,
            mark=(instrument.unified, fill.quantity),
        )
        return
    mark = (instrument.unified, fill.quantity)
    yield DatedStep("funding", account, fill.fee_asset, -fill.fee, at=at, mark=mark)
    if profit := fill.realized_pnl:
        mark = (instrument.quote, profit)
        yield DatedStep("funding", account, instrument.quote, profit, at=at, mark=mark)


def _of_entries(entries: Iterable[tuple[str, LedgerEntry]]) -> Iterator[DatedStep]:
    sent: dict[str, tuple[str, LedgerEntry]] = {}
    halves: dict[str, LedgerEntry] = {}
    for account, one in sorted(entries, key=lambda told: (told[1].at_ms, told[1].amount)):
        txid = "" if one.movement is None else one.movement.reference
        match one.cause:
            case Cause.WITHDRAWAL:
                sent[txid] = (account, one)
            case Cause.DEPOSIT if txid in sent:
                yield from _moved(sent.pop(txid), account, one)
            case Cause.DEPOSIT:
                yield _flow("deposit", account, one)
            case Cause.CONVERSION if txid in halves:
                yield _converted(account, halves.pop(txid), one)
            case Cause.CONVERSION:
                halves[txid] = one
            case Cause.REWARD | Cause.INTEREST | Cause.FUNDING:
                yield _flow("funding", account, one)
            case _:  # what stays within one account
                assert one.cause is Cause.TRANSFER
    yield from map(_withdrawn, sent.values())


def _flow(kind: str, account: str, one: LedgerEntry) -> DatedStep:
    mark = (one.asset, one.amount)
    return DatedStep(kind, account, one.asset, one.amount, at=_moment(one.at_ms), mark=mark)


def _fee(one: LedgerEntry) -> Decimal:
    return Decimal(0) if one.movement is None else one.movement.fee


def _withdrawn(source: tuple[str, LedgerEntry]) -> DatedStep:
    account, one = source
    return DatedStep(
        "withdraw",
        account,
        one.asset,
        -one.amount - _fee(one),
        fee=_fee(one),
        at=_moment(one.at_ms),
        mark=(one.asset, one.amount),
    )


def _moved(source: tuple[str, LedgerEntry], to: str, arrived: LedgerEntry) -> Iterator[DatedStep]:
    account, one = source
    assert one.movement is not None
    txid, fee = one.movement.reference, -one.amount - arrived.amount
    at, mark = _moment(one.at_ms), (one.asset, one.amount)
    yield DatedStep(
        "send", account, one.asset, arrived.amount, fee=fee, at=at, mark=mark, txid=txid
    )
    at, mark = _moment(arrived.at_ms), (arrived.asset, arrived.amount)
    yield DatedStep("arrive", to, one.asset, arrived.amount, at=at, mark=mark, txid=txid)


def _converted(account: str, given: LedgerEntry, got: LedgerEntry) -> DatedStep:
    """Dust: the coin that was got prices it, before what it cost."""
    quantity, full = -given.amount, got.amount + _fee(got)
    price = Fraction(full) / Fraction(quantity)
    return DatedStep(
        "sell",
        account,
        given.asset,
        quantity,
        price,  # type: ignore[arg-type]
        got.asset,
        _fee(got),
        got.asset,
        at=_moment(given.at_ms),
        mark=(given.asset, given.amount),
        other_mark=(got.asset, got.amount),
    )
