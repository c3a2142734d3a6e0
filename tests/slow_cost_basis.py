"""The cost basis once more, slowly and by other means: fractions, and lists sorted at each sale.

It reads what happened, not the ledger, and knows none of the product's code. `Step` is both its
input and what `entries_of` tells the product.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from alphapulse.domain.cash_flow import FlowKind
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.ledger import Entry
from alphapulse.domain.transfer_matching import EntryRef, Evidence, Match
from tests.ledgers import bought, day, flowed, sold


@dataclass(frozen=True)
class Step:
    """What happened on one day. Only what its ``kind`` needs is looked at."""

    kind: str
    """buy, sell, deposit, withdraw, move, reward or funding"""
    account: str
    asset: str
    quantity: Decimal
    price: Decimal = Decimal(1)
    quote: str = "USDT"
    fee: Decimal = Decimal(0)
    fee_asset: str = "USDT"
    to: str = ""
    told_fee: bool = False
    """Of a move: whether the sender says its fee, or it just does not arrive."""


def entries_of(steps: Iterable[Step]) -> tuple[list[Entry], list[Match]]:
    """As the ledger tells it, in order of time, and the matches of the moves."""
    entries: list[Entry] = []
    matches: list[Match] = []
    for number, step in enumerate(steps):
        if step.kind == "move":
            sent, received, match = _move(number, step)
            entries += [sent, received]
            matches.append(match)
        else:
            entries.append(_entry(number, step))
    return entries, matches


def _entry(number: int, step: Step) -> Entry:
    if step.kind in ("buy", "sell"):
        tell = bought if step.kind == "buy" else sold
        paid = (step.fee, step.fee_asset) if step.fee else None
        pair = f"{step.asset}/{step.quote}"
        return tell(number, pair, step.quantity, step.price, paid, step.account)
    kind = {
        "deposit": FlowKind.DEPOSIT,
        "withdraw": FlowKind.WITHDRAWAL,
        "reward": FlowKind.REWARD,
        "funding": FlowKind.FUNDING,
    }[step.kind]
    quantity = -step.quantity if step.kind == "withdraw" else step.quantity
    symbol = "BTC/USDT:USDT" if step.kind == "funding" else None
    fee = step.fee if step.kind == "withdraw" and step.fee else None
    return flowed(number, kind, step.asset, quantity, account=step.account, symbol=symbol, fee=fee)


def _move(number: int, step: Step) -> tuple[Entry, Entry, Match]:
    told, untold = (step.fee or None, Decimal(0)) if step.told_fee else (None, step.fee)
    kinds = FlowKind.WITHDRAWAL, FlowKind.DEPOSIT
    out = step.quantity + untold
    sent = flowed(number, kinds[0], step.asset, -out, account=step.account, fee=told)
    received = flowed(number, kinds[1], step.asset, step.quantity, account=step.to)
    match = Match(
        EntryRef(sent.account_id, sent.key),
        EntryRef(received.account_id, received.key),
        Asset(step.asset),
        out,
        step.quantity,
        day(number),
        day(number),
        Evidence.MANUAL,
        "",
    )
    return sent, received, match


@dataclass
class Heap:
    """Some of an asset: how much, at what cost in all, since when, and its cost per unit."""

    quantity: Fraction
    cost: Fraction | None
    date: int
    order: int
    each: Fraction | None


@dataclass
class Gain:
    account: str
    asset: str
    quantity: Fraction
    proceeds: Fraction | None
    gain: Fraction | None
    """Of the part that is known; ``None`` where no part is."""


@dataclass
class SlowCostBasis:
    method: str
    rates: Mapping[str, Decimal]
    """The same on each day; what is not in it is unknown, and USD is 1."""
    held: dict[tuple[str, str], list[Heap]] = field(default_factory=dict)
    gains: list[Gain] = field(default_factory=list)
    order: int = 0
    ignore_fees: bool = False
    """A fault to be found: a recount that differs must be seen to differ."""

    def recount(self, steps: Iterable[Step]) -> None:
        for number, step in enumerate(steps):
            getattr(self, f"_{step.kind}")(number, step)

    def _worth(self, asset: str, quantity: Fraction) -> Fraction | None:
        if asset == "USD":
            return quantity
        return Fraction(self.rates[asset]) * quantity if asset in self.rates else None

    def _buy(self, number: int, step: Step) -> None:
        quantity = Fraction(step.quantity)
        price = Fraction(step.price) * quantity
        worth = self._worth(step.quote, price)
        if worth is None:
            worth = self._worth(step.asset, quantity)
        self._out(step.account, step.quote, price, worth)
        fee = Fraction(0 if self.ignore_fees else step.fee)
        cost = worth
        if fee and step.fee_asset == step.asset:
            quantity -= fee
            fee = Fraction(0)
        elif fee:
            charge = self._worth(step.fee_asset, fee)
            cost = None if cost is None or charge is None else cost + charge
        self._in(step.account, step.asset, quantity, cost, number)
        if fee:
            self._out(step.account, step.fee_asset, fee, self._worth(step.fee_asset, fee))

    def _sell(self, number: int, step: Step) -> None:
        quantity = Fraction(step.quantity)
        price = Fraction(step.price) * quantity
        worth = self._worth(step.quote, price)
        if worth is None:
            worth = self._worth(step.asset, quantity)
        fee = Fraction(0 if self.ignore_fees else step.fee)
        charge = self._worth(step.fee_asset, fee) if fee else fee
        net = None if worth is None or charge is None else worth - charge
        self._out(step.account, step.asset, quantity, net)
        self._in(step.account, step.quote, price, worth, number)
        if fee:
            self._out(step.account, step.fee_asset, fee, charge)

    def _deposit(self, number: int, step: Step) -> None:
        self._in(step.account, step.asset, Fraction(step.quantity), None, number)

    def _reward(self, number: int, step: Step) -> None:
        quantity = Fraction(step.quantity)
        self._in(step.account, step.asset, quantity, self._worth(step.asset, quantity), number)

    def _funding(self, number: int, step: Step) -> None:
        if step.quantity > 0:
            self._reward(number, step)
        else:
            quantity = Fraction(-step.quantity)
            self._out(step.account, step.asset, quantity, self._worth(step.asset, quantity))

    def _withdraw(self, number: int, step: Step) -> None:
        fee = Fraction(step.fee)
        if fee:
            self._out(step.account, step.asset, fee, self._worth(step.asset, fee))
        self._remove(step.account, step.asset, Fraction(step.quantity))

    def _move(self, number: int, step: Step) -> None:
        fee = Fraction(step.fee)
        if fee:
            self._out(step.account, step.asset, fee, self._worth(step.asset, fee))
        quantity = Fraction(step.quantity)
        for heap in self._remove(step.account, step.asset, quantity):
            quantity -= heap.quantity
            self._add(step.to, step.asset, heap)
        if quantity:
            self._in(step.to, step.asset, quantity, None, number)

    def _in(
        self, account: str, asset: str, quantity: Fraction, cost: Fraction | None, number: int
    ) -> None:
        self.order += 1
        each = None if cost is None else cost / quantity
        self._add(account, asset, Heap(quantity, cost, number, self.order, each))

    def _add(self, account: str, asset: str, heap: Heap) -> None:
        if asset == "USD":
            return
        heaps = self.held.setdefault((account, asset), [])
        heaps.append(heap)
        if self.method == "average":
            known = [each for each in heaps if each.cost is not None]
            quantity = sum(each.quantity for each in known)
            cost = sum(each.cost or 0 for each in known)
            heaps[:] = [each for each in heaps if each.cost is None]
            if known:
                pool = Heap(Fraction(quantity), Fraction(cost), 0, 0, None)
                heaps.insert(0, pool)

    def _remove(self, account: str, asset: str, quantity: Fraction) -> list[Heap]:
        heaps = self.held.setdefault((account, asset), [])
        if self.method == "fifo":
            heaps.sort(key=lambda heap: (heap.date, heap.order))
        elif self.method == "lifo":
            heaps.sort(key=lambda heap: (heap.date, heap.order), reverse=True)
        elif self.method == "hifo":
            heaps.sort(key=lambda heap: (heap.date, heap.order))
            heaps.sort(key=lambda heap: -1 if heap.each is None else heap.each, reverse=True)
        else:
            heaps.sort(key=lambda heap: (heap.cost is None, heap.date, heap.order))
        removed = []
        while heaps and quantity:
            heap = heaps[0]
            if heap.quantity <= quantity:
                removed.append(heaps.pop(0))
            else:
                cost = None if heap.cost is None else heap.cost * quantity / heap.quantity
                removed.append(Heap(quantity, cost, heap.date, heap.order, heap.each))
                heap.quantity -= quantity
                if heap.cost is not None and cost is not None:
                    heap.cost -= cost
            quantity -= removed[-1].quantity
        return removed

    def _out(self, account: str, asset: str, quantity: Fraction, proceeds: Fraction | None) -> None:
        if asset == "USD":
            return
        known = [
            proceeds * heap.quantity / quantity - heap.cost
            for heap in self._remove(account, asset, quantity)
            if heap.cost is not None and proceeds is not None
        ]
        gain = sum(known, Fraction(0)) if known else None
        self.gains.append(Gain(account, asset, quantity, proceeds, gain))
