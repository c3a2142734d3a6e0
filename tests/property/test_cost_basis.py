"""What holds for every history and method: nothing is lost, and a recount by other means agrees."""

import json
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse.domain.cost_basis.disposals import Disposal, Reason
from alphapulse.domain.cost_basis.engine import CostBasis
from alphapulse.domain.cost_basis.lots import BasisQuality, Lot, Method
from alphapulse.domain.cost_basis.records import Place
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.ledger import Book, sums_of
from alphapulse.domain.money import ZERO, total
from tests.ledgers import USD, RateTable
from tests.slow_cost_basis import Gain, Heap, SlowCostBasis, Step, entries_of

WORTH = {"BTC": "30123.45", "ETH": "1999.999", "BNB": "612.345678", "USDT": "0.99987"}
RATES = RateTable(WORTH)
"""NIL has none."""

# Costs are rounded to 18 decimals, at most once for each part of each step.
CLOSE = Fraction(1, 10**15)

ACCOUNTS = ("a", "b")
ASSETS = ("BTC", "ETH", "BNB", "NIL")
PLACES = [(account, asset) for account in ACCOUNTS for asset in (*ASSETS, "USDT")]

amounts = st.integers(1, 50 * 10**8).map(lambda units: Decimal(units).scaleb(-8))
prices = st.integers(1, 70000 * 100).map(lambda cents: Decimal(cents).scaleb(-2))
small = st.sampled_from([Decimal(text) for text in ("0", "0.00000001", "0.000333", "0.75")])


def trades(accounts: tuple[str, ...]) -> st.SearchStrategy[Step]:
    return st.builds(
        _trade,
        st.sampled_from(("buy", "buy", "sell")),
        st.sampled_from(accounts),
        st.sampled_from(ASSETS),
        st.sampled_from(("USDT", "USD")),
        amounts,
        prices,
        small,
        st.integers(0, 2),
    )


def _trade(
    kind: str,
    account: str,
    asset: str,
    quote: str,
    quantity: Decimal,
    price: Decimal,
    fee: Decimal,
    paid_in: int,
) -> Step:
    fee_asset = (asset, quote, "BNB")[paid_in]
    if fee_asset == asset and fee >= quantity:
        fee = ZERO
    return Step(kind, account, asset, quantity, price, quote, fee, fee_asset)


others = st.builds(
    lambda kind, account, asset, quantity, fee: Step(kind, account, asset, quantity, fee=fee),
    st.sampled_from(("deposit", "withdraw", "reward")),
    st.sampled_from(ACCOUNTS),
    st.sampled_from((*ASSETS, "USDT")),
    amounts,
    small,
)
fundings = st.builds(
    lambda account, quantity, sign: Step("funding", account, "USDT", quantity * sign),
    st.sampled_from(ACCOUNTS),
    amounts,
    st.sampled_from((1, -1)),
)
moves = st.builds(
    lambda accounts, asset, quantity, fee, told: Step(
        "move", accounts[0], asset, quantity, fee=fee, to=accounts[1], told_fee=told
    ),
    st.permutations(ACCOUNTS),
    st.sampled_from((*ASSETS, "USDT")),
    amounts,
    small,
    st.booleans(),
)
histories = st.lists(st.one_of(trades(ACCOUNTS), others, fundings, moves), max_size=20)
methods = st.sampled_from(Method)


def counted(steps: Iterable[Step], method: Method) -> tuple[CostBasis, list[Disposal]]:
    entries, matches = entries_of(steps)
    basis = CostBasis(USD, method, RATES, transfers=matches)
    return basis, [disposal for entry in entries for disposal in basis.take(entry)]


def held(basis: CostBasis, account: str, asset: str) -> Decimal:
    return basis.books.quantity(Place(AccountId(account), Asset(asset)))


@given(histories, methods)
def test_lots_follow_the_ledger_to_the_last_unit(steps: list[Step], method: Method) -> None:
    """Each entry changes what is held as it changes the account; only where that was not there,
    nothing is left and what is missing is said."""
    entries, matches = entries_of(steps)
    basis = CostBasis(USD, method, RATES, transfers=matches)
    for entry in entries:
        before = {place: held(basis, *place) for place in PLACES}
        missing = dict.fromkeys(PLACES, ZERO)
        for disposal in basis.take(entry):
            if disposal.reason is not Reason.NETWORK_FEE:
                missing[entry.account_id, disposal.asset] += disposal.missing
        for parcel in basis.parcels():
            if parcel.entry == (entry.account_id, entry.key):
                missing[entry.account_id, parcel.asset] += parcel.missing
        for place in PLACES:
            mine = place[0] == entry.account_id
            change = entry.change(place[1]) if mine else ZERO
            assert held(basis, *place) == total([before[place], change, missing[place]])
            assert not missing[place] or not held(basis, *place)
    for lot in basis.books.lots():
        assert 0 < lot.left <= lot.quantity or method is Method.AVERAGE


@given(histories, methods)
def test_no_value_is_lost_or_made(steps: list[Step], method: Method) -> None:
    """To the last unit of the 18th place: the cost of what is left, and cash, are the income and
    the gains, where an unknown cost counts as none."""
    steps = [step for step in steps if step.asset != "NIL"]
    entries, _ = entries_of(steps)
    basis, disposals = counted(steps, method)
    cash = sums_of(entries).get((Book.VENUE, USD), ZERO)
    lots = [*basis.books.lots(), *(lot for parcel in basis.parcels() for lot in parcel.lots)]
    cost = total([lot.cost for lot in lots if lot.cost])
    proceeds = total([each.proceeds for each in disposals if each.proceeds])
    spent = total([part.cost for each in disposals for part in each.parts if part.cost])
    income = total([flow.value for flow in basis.books.flows() if not flow.key.in_gains])
    assert total([cost, cash, spent]) == total([proceeds, income])


@given(histories, methods)
def test_a_disposal_is_the_sum_of_its_parts(steps: list[Step], method: Method) -> None:
    """In quantity, proceeds and gains to the last unit, and the totals are the sum of all."""
    basis, disposals = counted(steps, method)
    gains = dict.fromkeys(PLACES, ZERO)
    for each in disposals:
        assert each.quantity == total([part.quantity for part in each.parts])
        proceeds = [part.proceeds for part in each.parts]
        assert (each.proceeds is None) == (None in proceeds)
        assert (each.proceeds or ZERO) == total([brought or ZERO for brought in proceeds])
        known = total([part.gain for part in each.parts if part.gain is not None])
        gains[each.account_id, each.asset] += known
    realized = {line.place: line.gain for line in basis.books.realized()}
    assert {place: gain for place, gain in gains.items() if gain} == {
        place: gain for place, gain in realized.items() if gain
    }
    assert len({each.id for each in disposals}) == len(disposals)


@settings(max_examples=30)  # each counts the history four times
@given(histories)
def test_all_methods_agree_on_how_much_is_there(steps: list[Step]) -> None:
    bases = [counted(steps, method)[0] for method in Method]
    first, *others = [[held(basis, *place) for place in PLACES] for basis in bases]
    assert all(other == first for other in others)


@given(st.lists(trades(("a",)), max_size=20))
def test_the_average_is_what_is_written_in_books(steps: list[Step]) -> None:
    """Gain = proceeds - quantity x (cost of all / quantity of all)."""
    steps = [replace(step, asset="BTC", quote="USD", fee=ZERO) for step in steps]
    quantity, cost = Fraction(0), Fraction(0)
    expected = []
    for step in steps:
        amount, price = Fraction(step.quantity), Fraction(step.price)
        if step.kind == "buy":
            quantity, cost = quantity + amount, cost + amount * price
        else:
            covered = min(amount, quantity)
            each = cost / quantity if quantity else Fraction(0)
            expected.append(covered * (price - each))
            quantity, cost = quantity - covered, cost - covered * each
    _, disposals = counted(steps, Method.AVERAGE)
    for disposal, gain in zip(disposals, expected, strict=True):
        assert abs(known_gain(disposal) - gain) < CLOSE


def known_gain(disposal: Disposal) -> Fraction:
    return sum((Fraction(part.gain) for part in disposal.parts if part.gain), Fraction(0))


def differences(steps: list[Step], method: Method, slow: SlowCostBasis) -> list[str]:
    """Between the product and a recount, in words."""
    slow.recount(steps)
    basis, disposals = counted(steps, method)
    found = [] if len(disposals) == len(slow.gains) else ["another number of disposals"]
    for ours, theirs in zip(disposals, slow.gains, strict=False):
        found += _gains_differ(ours, theirs)
    for account, asset in PLACES:
        lots = list(basis.books.lots(Place(AccountId(account), Asset(asset))))
        found += _lots_differ(f"{asset} of {account}", lots, slow.held.get((account, asset), []))
    return found


def _gains_differ(ours: Disposal, theirs: Gain) -> list[str]:
    is_same = ours.account_id == theirs.account and ours.asset == theirs.asset
    is_same = is_same and ours.quantity == theirs.quantity
    found = [] if is_same else [f"{ours.id}: another thing went"]
    if (ours.proceeds is None) != (theirs.proceeds is None):
        found.append(f"{ours.id}: brought another thing")
    if abs(known_gain(ours) - (theirs.gain or 0)) > CLOSE:
        found.append(f"{ours.id}: another gain")
    return found


def _lots_differ(what: str, lots: list[Lot], heaps: list[Heap]) -> list[str]:
    found = []
    if sum(Fraction(lot.left) for lot in lots) != sum(heap.quantity for heap in heaps):
        found.append(f"{what}: another quantity")
    cost = sum((Fraction(lot.cost or 0) for lot in lots), Fraction(0))
    if abs(cost - sum((heap.cost or Fraction(0) for heap in heaps), Fraction(0))) > CLOSE:
        found.append(f"{what}: another cost")
    unknown = sum(lot.cost is None for lot in lots)
    if unknown != sum(heap.cost is None for heap in heaps):
        found.append(f"{what}: other lots of unknown cost")
    return found


@given(histories, methods)
def test_a_slow_recount_agrees(steps: list[Step], method: Method) -> None:
    rates = {asset: Decimal(worth) for asset, worth in WORTH.items()}
    assert differences(steps, method, SlowCostBasis(method.value, rates)) == []


ROUND_TRIP = [
    Step("buy", "a", "BTC", Decimal(2), Decimal(100), "USD"),
    Step("buy", "a", "BTC", Decimal(1), Decimal(400), "USD", Decimal(3), "USD"),
    Step("buy", "a", "BTC", Decimal(1), Decimal(200), "USD"),
    Step("sell", "a", "BTC", Decimal("1.5"), Decimal(300), "USD"),
]


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("other", Method)
def test_the_recount_tells_methods_apart(method: Method, other: Method) -> None:
    """A comparison that agrees with everything would prove nothing."""
    found = differences(ROUND_TRIP, method, SlowCostBasis(other.value, {}))
    assert bool(found) == (method is not other)


def test_the_recount_would_notice_forgotten_fees() -> None:
    slow = SlowCostBasis("fifo", {}, ignore_fees=True)
    assert differences(ROUND_TRIP, Method.FIFO, slow) == ["BTC of a: another cost"]


@given(st.lists(trades(("a",)), max_size=20), st.integers(0, 20), methods)
def test_what_was_moved_is_as_if_it_had_never_been(
    steps: list[Step], cut: int, method: Method
) -> None:
    """All of an account goes to another one midway, and trading goes on there."""
    stayed, gains = counted(steps, method)
    there, _ = counted(steps[:cut], method)
    moving = [
        Step("move", "a", asset, quantity, to="b")
        for asset in (*WORTH, "NIL")
        if (quantity := held(there, "a", asset))
    ]
    went_on = [replace(step, account="b") for step in steps[cut:]]
    # The moves take days of their own; the dates after them do not count here.
    moved, gains_moved = counted([*steps[:cut], *moving, *went_on], method)
    assert [(each.asset, each.quantity, each.proceeds, each.gain) for each in gains] == [
        (each.asset, each.quantity, each.proceeds, each.gain) for each in gains_moved
    ]
    assert shape(stayed) == shape(moved)


def shape(basis: CostBasis) -> list[tuple[str, Decimal, Decimal | None, BasisQuality]]:
    return sorted(
        ((lot.asset, lot.left, lot.cost, lot.quality) for lot in basis.books.lots()), key=repr
    )


@given(histories, st.integers(0, 25), methods)
def test_counting_goes_on_from_a_snapshot(steps: list[Step], cut: int, method: Method) -> None:
    entries, matches = entries_of(steps)
    whole = CostBasis(USD, method, RATES, transfers=matches)
    expected = [whole.take(entry) for entry in entries]
    first = CostBasis(USD, method, RATES, transfers=matches)
    disposals = [first.take(entry) for entry in entries[:cut]]
    kept = json.loads(json.dumps(first.snapshot()))
    second = CostBasis.restored(kept, RATES, transfers=matches)
    disposals += [second.take(entry) for entry in entries[cut:]]
    assert disposals == expected
    assert second.snapshot() == whole.snapshot()
