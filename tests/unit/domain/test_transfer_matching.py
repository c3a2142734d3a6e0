"""Which ends of transfers are paired, by what evidence, and which are left alone."""

from datetime import timedelta

import pytest

from alphapulse.domain.cash_flow import FlowKind
from alphapulse.domain.ledger import Entry
from alphapulse.domain.transfer_matching import EntryRef, Evidence, Pair, match_transfers
from tests.ledgers import bought, day, flowed


def sent(number: int, quantity: str = "1", **more: str) -> Entry:
    return flowed(number, FlowKind.WITHDRAWAL, "BTC", f"-{quantity}", **more)  # type: ignore[arg-type]


def received(number: int, quantity: str = "1", account: str = "b", **more: str) -> Entry:
    return flowed(number, FlowKind.DEPOSIT, "BTC", quantity, account=account, **more)  # type: ignore[arg-type]


def ref(entry: Entry) -> EntryRef:
    return EntryRef(entry.account_id, entry.key)


def pair(outgoing: Entry, incoming: Entry) -> Pair:
    return ref(outgoing), ref(incoming)


def pairs(
    *entries: Entry, made: tuple[Pair, ...] = (), refused: tuple[Pair, ...] = ()
) -> list[Pair]:
    matches = match_transfers(entries, made=made, refused=refused)
    return [(match.outgoing, match.incoming) for match in matches]


def test_the_same_reference_is_certain_however_it_is_spelled() -> None:
    out, arrival = sent(0, reference="0xABC"), received(20, "0.99", reference="abc")
    (match,) = match_transfers([arrival, out])
    assert (match.outgoing, match.incoming) == pair(out, arrival)
    assert match.evidence is Evidence.REFERENCE
    assert match.sent == 1
    assert match.received == arrival.change("BTC")


def test_the_same_quantity_within_days_is_likely_and_says_so() -> None:
    out, arrival = sent(0), received(1)
    (match,) = match_transfers([out, arrival])
    assert match.evidence is Evidence.QUANTITY
    assert match.reason == "1 BTC at both ends, 1440 min apart, no other"


def test_the_fee_the_sender_was_told_is_not_part_of_the_quantity() -> None:
    out = flowed(0, FlowKind.WITHDRAWAL, "BTC", "-1", fee="0.0005")
    assert pairs(out, received(1)) == [pair(out, received(1))]


@pytest.mark.parametrize(
    "arrival",
    [
        received(1, "0.9"),
        received(4),
        flowed(1, FlowKind.DEPOSIT, "ETH", "1", account="b"),
        flowed(1, FlowKind.DEPOSIT, "BTC", "1", account="a"),
        flowed(1, FlowKind.REWARD, "BTC", "1", account="b"),
        received(1, reference="another"),
    ],
    ids=[
        "other quantity",
        "too late",
        "other asset",
        "same account",
        "a reward",
        "other reference",
    ],
)
def test_what_is_not_alike_is_no_transfer(arrival: Entry) -> None:
    assert pairs(sent(0, reference="one"), arrival) == []


def test_two_candidates_are_none() -> None:
    first, second = received(1), received(2, account="c")
    assert pairs(sent(0), first, second) == []
    assert pairs(sent(0), sent(1, name="again"), received(2)) == []


def test_a_certain_match_frees_the_other_candidate() -> None:
    certain, likely = received(1, reference="x"), received(2, account="c")
    out, other = sent(0, reference="x"), sent(0, name="again")
    assert sorted(pairs(out, other, certain, likely)) == sorted(
        [pair(out, certain), pair(other, likely)]
    )


def test_of_several_payments_in_one_transaction_the_quantities_decide() -> None:
    outs = [sent(0, "1", reference="t", name="1"), sent(0, "2", reference="t", name="2")]
    arrivals = [received(0, "2", reference="t", name="2"), received(0, "1", reference="t")]
    assert sorted(pairs(*outs, *arrivals)) == sorted(
        [pair(outs[0], arrivals[1]), pair(outs[1], arrivals[0])]
    )


def test_more_cannot_arrive_than_was_sent() -> None:
    assert pairs(sent(0, "1", reference="x"), received(1, "1.5", reference="x")) == []


def test_a_deposit_may_be_dated_a_little_before_its_withdrawal() -> None:
    def arrival(before: timedelta) -> Entry:
        return flowed(1, FlowKind.DEPOSIT, "BTC", "1", account="b", at=day(1) - before)

    assert len(pairs(sent(1), arrival(timedelta(minutes=30)))) == 1
    assert pairs(sent(1), arrival(timedelta(hours=2))) == []


def test_wallets_of_one_account_are_two_ends_where_the_venue_says_transfer() -> None:
    out = flowed(0, FlowKind.TRANSFER, "USDT", "-40", name="out")
    back = flowed(0, FlowKind.TRANSFER, "USDT", "40", name="in")
    assert pairs(out, back) == [pair(out, back)]


class TestAPerson:
    def test_may_undo_a_match_for_good(self) -> None:
        out, arrival = sent(0, reference="x"), received(1, reference="x")
        assert pairs(out, arrival, refused=(pair(out, arrival),)) == []

    def test_may_undo_one_of_two_candidates(self) -> None:
        out, first, second = sent(0), received(1), received(2, account="c")
        assert pairs(out, first, second, refused=(pair(out, first),)) == [pair(out, second)]

    def test_may_make_one_that_nothing_suggests(self) -> None:
        out, arrival = sent(0), received(40, "0.7")
        (match,) = match_transfers([out, arrival], made=[pair(out, arrival)])
        assert match.evidence is Evidence.MANUAL

    def test_decides_before_any_other_evidence(self) -> None:
        out, certain, mine = sent(0, reference="x"), received(1, reference="x"), received(2, "0.5")
        assert pairs(out, certain, mine, made=(pair(out, mine),)) == [pair(out, mine)]

    def test_cannot_pair_what_are_no_two_ends(self) -> None:
        purchase = bought(0, "BTC/USD", "1", "1")
        with pytest.raises(ValueError, match="no two ends of one transfer"):
            match_transfers([purchase, received(1)], made=[pair(purchase, received(1))])


def test_the_order_of_entries_does_not_matter() -> None:
    entries = [sent(0), received(1), sent(3, "2"), received(4, "2"), sent(9, "1", reference="z")]
    assert match_transfers(entries) == match_transfers(entries[::-1])
