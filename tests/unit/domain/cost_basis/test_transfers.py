"""Lots that move between accounts, come from before the known history, or are repaired."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from alphapulse.domain.cash_flow import FlowKind
from alphapulse.domain.cost_basis.disposals import Reason
from alphapulse.domain.cost_basis.engine import CostBasis
from alphapulse.domain.cost_basis.lots import BasisQuality, Lot, LotId, Method
from alphapulse.domain.cost_basis.movements import joined
from alphapulse.domain.cost_basis.records import Opening, Place, Repair, Unexplained
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.ledger import Entry, EntryKind, adjustment, entry_of_fill, late_fee_of
from alphapulse.domain.order import Side
from alphapulse.domain.transfer_matching import match_transfers
from tests.ledgers import START, USD, RateTable, bought, day, flowed, sold, taken, trade

RATES = RateTable({"BTC": "20000"})
A, B = AccountId("a"), AccountId("b")
BTC = Asset("BTC")

PURCHASE = bought(0, "BTC/USD", "1", "10000")
SENT = flowed(1, FlowKind.WITHDRAWAL, "BTC", "-1", reference="0xab")
ARRIVED = flowed(1, FlowKind.DEPOSIT, "BTC", "1", account="b", reference="0xab")
SALE = sold(2, "BTC/USD", "1", "15000", account="b")


def matched(*entries: Entry, method: Method = Method.FIFO) -> CostBasis:
    return CostBasis(USD, method, RATES, transfers=match_transfers(entries))


def only_lot(basis: CostBasis, account: AccountId) -> Lot:
    (lot,) = basis.books.lots(Place(account, BTC))
    return lot


@pytest.mark.parametrize("method", Method)
def test_a_transfer_carries_cost_and_date(method: Method) -> None:
    history = [PURCHASE, SENT, ARRIVED]
    basis = matched(*history, method=method)
    assert taken(basis, history) == []
    lot = only_lot(basis, B)
    assert (lot.cost, lot.acquired_at, lot.account_id) == (Decimal(10000), day(0), B)
    assert lot.entry == (A, PURCHASE.key)
    assert basis.books.quantity(Place(A, BTC)) == 0
    (sale,) = basis.take(SALE)
    assert sale.gain == 5000


def test_what_moves_between_two_wallets_can_be_sold_meanwhile() -> None:
    out = flowed(1, FlowKind.TRANSFER, "BTC", "-1", name="out", reference="x")
    into = flowed(3, FlowKind.TRANSFER, "BTC", "1", name="in", reference="x")
    sale = sold(2, "BTC/USD", "1", "15000")
    basis = matched(PURCHASE, out, sale, into)
    (found,) = taken(basis, [PURCHASE, out, sale, into])
    assert [found.gain, basis.books.quantity(Place(A, BTC))] == [5000, 0]
    assert list(basis.books.unknown()) == []


def test_what_left_a_wallet_before_its_other_end_was_told_comes_back() -> None:
    out = flowed(1, FlowKind.TRANSFER, "BTC", "-1", name="out", reference="x")
    into = flowed(3, FlowKind.TRANSFER, "BTC", "1", name="in", reference="x")
    basis = matched()
    taken(basis, [PURCHASE, out])
    for match in match_transfers([out, into]):
        basis.expect(match)
    taken(basis, [into])
    assert [only_lot(basis, A).cost, basis.books.quantity(Place(A, BTC))] == [10000, 1]


def test_a_lot_tells_each_transfer_with_its_evidence() -> None:
    basis = matched(PURCHASE, SENT, ARRIVED)
    taken(basis, [PURCHASE, SENT, ARRIVED])
    (transfer,) = only_lot(basis, B).transfers
    assert (transfer.outgoing, transfer.incoming) == ((A, SENT.key), (B, ARRIVED.key))
    assert transfer.reason == "same reference ab"


def test_without_a_match_a_deposit_is_of_unknown_cost() -> None:
    basis = CostBasis(USD, Method.FIFO, RATES)
    (sale,) = taken(basis, [PURCHASE, SENT, ARRIVED, SALE])
    assert sale.gain is None
    (hole,) = basis.books.unknown()
    assert (hole.place, hole.reason) == ((B, BTC), Unexplained.ORIGIN)
    assert hole.lot_id == sale.parts[0].lot_id == f"b|{ARRIVED.key}|BTC"
    (parcel,) = basis.parcels()
    assert [lot.cost for lot in parcel.lots] == [Decimal(10000)]


def test_what_was_sent_before_its_match_is_known_can_still_be_claimed() -> None:
    basis = CostBasis(USD, Method.FIFO, RATES)
    taken(basis, [PURCHASE, SENT])
    (match,) = match_transfers([SENT, ARRIVED])
    basis.expect(match)
    basis.take(ARRIVED)
    assert only_lot(basis, B).cost == 10000


def test_a_deposit_dated_before_its_withdrawal_takes_the_lots_along() -> None:
    late = replace(SENT, occurred_at=day(1) + timedelta(minutes=20))
    history = [PURCHASE, ARRIVED, late]
    basis = matched(*history)
    assert taken(basis, history) == []
    assert only_lot(basis, B).cost == 10000
    assert list(basis.books.lots(Place(A, BTC))) == []
    assert list(basis.books.unknown()) == []


@pytest.mark.parametrize("deposit_first", [False, True])
def test_what_did_not_arrive_was_the_fee_of_the_network(deposit_first: bool) -> None:
    """1 BTC of 10,000 is sent, 0.99 arrive: 0.01, worth 200 by then, had cost 100."""
    arrived = flowed(1, FlowKind.DEPOSIT, "BTC", "0.99", account="b", reference="0xab")
    ends = [arrived, SENT] if deposit_first else [SENT, arrived]
    basis = matched(PURCHASE, *ends)
    (fee,) = taken(basis, [PURCHASE, *ends])
    assert (fee.reason, fee.account_id, fee.quantity) == (Reason.NETWORK_FEE, A, Decimal("0.01"))
    assert fee.id == f"a|{SENT.key}|BTC|network_fee"
    assert fee.gain == 100
    assert (only_lot(basis, B).left, only_lot(basis, B).cost) == (Decimal("0.99"), Decimal(9900))
    (total,) = basis.books.flows()
    assert (total.key.kind, total.quantity, total.value) == (
        EntryKind.FEE,
        Decimal("-0.01"),
        Decimal(-200),
    )


def test_a_fee_the_sender_was_told_is_paid_by_the_sender() -> None:
    sent = flowed(1, FlowKind.WITHDRAWAL, "BTC", "-0.9", fee="0.1", reference="0xab")
    arrived = flowed(1, FlowKind.DEPOSIT, "BTC", "0.9", account="b", reference="0xab")
    basis = matched(PURCHASE, sent, arrived)
    (fee,) = taken(basis, [PURCHASE, sent, arrived])
    assert (fee.reason, fee.gain) == (Reason.FEE, Decimal(1000))
    assert only_lot(basis, B).cost == 9000


def test_lots_that_arrive_are_sold_by_when_they_were_bought() -> None:
    newer = bought(0, "BTC/USD", "1", "12000", account="b")
    newer = replace(newer, occurred_at=START + timedelta(hours=1))
    basis = matched(PURCHASE, newer, SENT, ARRIVED)
    (sale,) = taken(basis, [PURCHASE, newer, SENT, ARRIVED, SALE])
    assert sale.gain == 5000


def test_a_transfer_of_more_than_was_held_arrives_as_unknown() -> None:
    sent = flowed(1, FlowKind.WITHDRAWAL, "BTC", "-3", reference="0xab")
    arrived = flowed(1, FlowKind.DEPOSIT, "BTC", "3", account="b", reference="0xab")
    basis = matched(PURCHASE, sent, arrived)
    taken(basis, [PURCHASE, sent, arrived])
    lots = basis.books.lots(Place(B, BTC))
    assert [(lot.left, lot.cost) for lot in lots] == [
        (Decimal(1), Decimal(10000)),
        (Decimal(2), None),
    ]


class TestOpenings:
    def test_one_without_a_cost_is_unknown(self) -> None:
        basis = CostBasis(USD, Method.FIFO, RATES)
        basis.open(Opening(A, BTC, Decimal(2), START))
        (hole,) = basis.books.unknown()
        assert (hole.quantity, hole.since, hole.reason) == (Decimal(2), START, Unexplained.ORIGIN)

    def test_one_with_a_cost_is_sold_at_it(self) -> None:
        basis = CostBasis(USD, Method.FIFO, RATES)
        basis.open(Opening(A, BTC, Decimal(2), START, cost=Decimal(3000)))
        (sale,) = basis.take(sold(1, "BTC/USD", "1", "2000"))
        assert sale.gain == 500

    def test_less_than_history_explains_leaves_without_a_gain(self) -> None:
        basis = CostBasis(USD, Method.FIFO, RATES)
        basis.take(PURCHASE)
        basis.open(Opening(A, BTC, Decimal("-0.4"), day(1)))
        assert only_lot(basis, A).left == Decimal("0.6")
        assert list(basis.books.realized()) == []


class TestRepairs:
    lot_id = LotId(f"b|{ARRIVED.key}|BTC")

    def test_a_lot_of_unknown_cost_has_what_a_person_says(self) -> None:
        repairs = {self.lot_id: Repair(Decimal(7000), acquired_at=START - timedelta(days=900))}
        basis = CostBasis(USD, Method.FIFO, RATES, repairs=repairs)
        (sale,) = taken(basis, [ARRIVED, SALE])
        assert (sale.gain, sale.parts[0].acquired_at) == (
            Decimal(8000),
            START - timedelta(days=900),
        )
        assert list(basis.books.unknown()) == []

    def test_a_known_cost_is_not_overruled(self) -> None:
        repairs = {LotId(f"a|{PURCHASE.key}|BTC"): Repair(Decimal(1))}
        basis = CostBasis(USD, Method.FIFO, RATES, repairs=repairs)
        basis.take(PURCHASE)
        assert only_lot(basis, A).cost == 10000

    def test_a_repaired_lot_joins_the_average(self) -> None:
        repairs = {self.lot_id: Repair(Decimal(20000))}
        basis = CostBasis(USD, Method.AVERAGE, RATES, repairs=repairs)
        taken(basis, [bought(0, "BTC/USD", "1", "10000", account="b"), ARRIVED])
        lot = only_lot(basis, B)
        assert (lot.left, lot.quality) == (Decimal(2), BasisQuality.COMPLETE)
        assert lot.unit_cost == 15000


@pytest.mark.parametrize("method", [Method.HIFO, Method.AVERAGE])
def test_methods_by_cost_sell_what_has_none_at_last(method: Method) -> None:
    basis = CostBasis(USD, method, RATES)
    (sale,) = taken(basis, [ARRIVED, bought(1, "BTC/USD", "1", "10000", account="b"), SALE])
    assert sale.gain == 5000
    assert only_lot(basis, B).cost is None


def test_an_adjustment_comes_without_a_cost_and_goes_without_a_gain() -> None:
    basis = CostBasis(USD, Method.FIFO, RATES)
    found = adjustment(A, "1", "BTC", Decimal(1), day(0), "found")
    lost = adjustment(A, "2", "BTC", Decimal("-0.25"), day(1), "lost")
    assert taken(basis, [found, lost]) == []
    assert (only_lot(basis, A).left, only_lot(basis, A).cost) == (Decimal("0.75"), None)


def test_a_late_fee_is_as_if_it_had_been_told_with_the_fill() -> None:
    whole = trade(0, Side.BUY, "BTC/USD", "1", "10000", fee=("0.01", "BTC"))
    early = entry_of_fill(replace(whole, fee=None, fee_asset=None))
    for told in ([early, late_fee_of(whole)], [late_fee_of(whole), early]):
        basis = CostBasis(USD, Method.FIFO, RATES)
        (entry,) = joined(told)
        assert (entry.kind, entry.key) == (EntryKind.FILL, told[0].key.replace("fee:", "fill:"))
        taken(basis, [entry])
        assert (only_lot(basis, A).left, only_lot(basis, A).cost) == (
            Decimal("0.99"),
            Decimal(10000),
        )


def test_two_fees_of_one_fill_in_one_coin_are_paid_as_one() -> None:
    whole = trade(1, Side.BUY, "ETH/USD", "1", "1000", fee=("0.01", "BTC"))
    basis = CostBasis(USD, Method.FIFO, RATES)
    (fee,) = taken(basis, joined([PURCHASE, entry_of_fill(whole), late_fee_of(whole)]))
    assert (fee.reason, fee.quantity) == (Reason.FEE, Decimal("0.02"))


def test_joining_leaves_all_else_as_it_is() -> None:
    alone = [
        PURCHASE,
        SENT,
        flowed(2, FlowKind.CONVERSION, "BTC", "1", reference="x"),
        flowed(2, FlowKind.CONVERSION, "BTC", "1", reference="x", account="b"),
        flowed(2, FlowKind.CONVERSION, "ETH", "1"),
        flowed(2, FlowKind.FEE, "BNB", "-1"),
    ]
    assert joined(alone) == alone


def test_an_entry_that_comes_twice_is_not_joined_with_itself() -> None:
    with pytest.raises(AssertionError, match="is told twice"):
        joined([PURCHASE, PURCHASE])


def test_what_is_held_is_held_since_the_earliest_lot_that_is_left() -> None:
    for method, since in ((Method.FIFO, day(3)), (Method.LIFO, day(0)), (Method.AVERAGE, day(0))):
        basis = CostBasis(USD, method, RATES)
        taken(basis, [PURCHASE, bought(3, "BTC/USD", "1", "1"), sold(4, "BTC/USD", "1", "1")])
        assert basis.books.held_since(Place(A, BTC)) == since
        taken(basis, [sold(5, "BTC/USD", "1", "1")])
        assert basis.books.held_since(Place(A, BTC)) is None


def test_what_was_there_before_history_is_held_since_nobody_knows_when_unless_it_is_said() -> None:
    opening = Opening(A, BTC, Decimal(1), START)
    for repair, since in (
        (None, None),
        (Repair(Decimal(1)), None),
        (Repair(Decimal(1), day(-9)), day(-9)),
    ):
        repairs = {} if repair is None else {LotId("a|opening|BTC"): repair}
        basis = CostBasis(
            USD, Method.FIFO, RATES, transfers=match_transfers([SENT, ARRIVED]), repairs=repairs
        )
        basis.open(opening)
        assert basis.books.held_since(Place(A, BTC)) == since
        taken(basis, [SENT, ARRIVED])
        assert basis.books.held_since(Place(B, BTC)) == since
