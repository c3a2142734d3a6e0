"""Books: what differs is found to the last unit, and gets the cause that the evidence allows."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from alphapulse.domain.books import Evidence, compared, held, settled_in, untold
from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.trading import AssetBook, ResidualCause
from tests.builders import ACCOUNT, NOW, make_balance, make_position

EVIDENCE = Evidence(compared_at=NOW + timedelta(minutes=1))
LATER = replace(EVIDENCE, compared_at=NOW + timedelta(minutes=2))


def make_book(subject: str = "BTC", anchor: str = "2", **changes: object) -> AssetBook:
    book = AssetBook(ACCOUNT, subject, Decimal(anchor), NOW, Decimal(0), Decimal(anchor), NOW)
    return replace(book, **changes)  # type: ignore[arg-type]


def after(
    *shown: str, evidence: Evidence = EVIDENCE, subjects: tuple[str, ...] = ("BTC",)
) -> tuple[AssetBook, ...]:
    """The books of ``subjects``, each of 2, when the exchange shows these amounts twice."""
    books: tuple[AssetBook, ...] = tuple(make_book(subject) for subject in subjects)
    amounts = dict(zip(subjects, map(Decimal, shown), strict=True))
    for one in (evidence, replace(evidence, compared_at=LATER.compared_at)):
        books = compared(books, {}, amounts, one)
    return books


def test_what_the_ledger_moved_is_expected_to_the_last_unit() -> None:
    moved = {"BTC": Decimal("-0.00000001")}
    (book,) = compared([make_book()], moved, {"BTC": Decimal("1.99999999")}, EVIDENCE)
    assert [book.off_by, book.cycles_off, book.cause] == [0, 0, None]
    assert (book.expected, book.held) == (Decimal("1.99999999"), Decimal("1.99999999"))

    (book,) = compared([book], moved, {"BTC": Decimal(2)}, LATER)
    assert (book.off_by, book.cycles_off) == (Decimal("0.00000001"), 1)


def test_a_difference_keeps_its_first_date_until_it_is_gone() -> None:
    (book,) = after("3")
    assert (book.cycles_off, book.off_since) == (2, EVIDENCE.compared_at)
    (book,) = compared([book], {}, {"BTC": Decimal(2)}, LATER)
    assert (book.cycles_off, book.off_since, book.cause) == (0, None, None)


def test_what_is_not_shown_is_not_there() -> None:
    (book,) = compared([make_book()], {}, {}, EVIDENCE)
    assert book.off_by == -2


def test_what_contracts_settle_may_differ_by_one_unit_of_the_venue() -> None:
    evidence = replace(
        EVIDENCE, settled=settled_in([Symbol("ETH/BTC:BTC-261225"), Symbol("ETH/USDT")])
    )
    shown = {"BTC": Decimal("2.00000001")}
    (book,) = compared([make_book()], {}, shown, evidence)
    assert [book.off_by, book.held] == [0, shown["BTC"]]
    (book,) = compared([make_book()], {}, {"BTC": Decimal("2.00000002")}, evidence)
    assert book.off_by == Decimal("0.00000002")


@pytest.mark.parametrize(
    ("shown", "evidence", "cause"),
    [
        ("3", EVIDENCE, ResidualCause.UNKNOWN_DEPOSIT),
        ("1", EVIDENCE, ResidualCause.UNKNOWN_WITHDRAWAL),
        ("1", replace(EVIDENCE, are_fills_read=False), ResidualCause.MISSING_FILLS),
        ("1", replace(EVIDENCE, are_flows_read=False), ResidualCause.UNREAD_FLOWS),
        ("1", replace(EVIDENCE, is_fee_in_doubt=True), ResidualCause.FEE_IN_DOUBT),
        ("3", replace(EVIDENCE, in_transit={"BTC": Decimal(1)}), ResidualCause.UNMATCHED_TRANSFER),
        ("1", replace(EVIDENCE, in_transit={"BTC": Decimal(1)}), ResidualCause.UNKNOWN_WITHDRAWAL),
    ],
)
def test_the_cause_follows_the_evidence(
    shown: str, evidence: Evidence, cause: ResidualCause
) -> None:
    (book,) = after(shown, evidence=evidence)
    assert book.cause is cause


def test_one_look_alone_may_be_the_venues_lag() -> None:
    (book,) = compared([make_book()], {}, {"BTC": Decimal(3)}, EVIDENCE)
    assert book.cause is ResidualCause.VENUE_LAG


def test_two_assets_that_moved_against_each_other_are_a_trade() -> None:
    causes = {book.cause for book in after("3", "1", subjects=("BTC", "USDT"))}
    assert causes == {ResidualCause.MISSING_FILLS}
    causes = {book.cause for book in after("3", "4", subjects=("BTC", "USDT"))}
    assert causes == {ResidualCause.UNKNOWN_DEPOSIT}


def test_only_trades_move_a_position() -> None:
    (book,) = after("3", subjects=("BTC/USDT:USDT",))
    assert book.cause is ResidualCause.MISSING_FILLS


@pytest.mark.parametrize(
    "waiting",
    [replace(EVIDENCE, is_fee_in_doubt=True), replace(EVIDENCE, are_flows_read=False)],
)
def test_what_may_still_be_told_is_no_drift_yet(waiting: Evidence) -> None:
    (book,) = after("3", evidence=waiting)
    assert [book.off_by, book.cycles_off] == [1, 0]


def test_an_asset_is_held_over_all_wallets_and_a_contract_under_its_symbol() -> None:
    position = make_position()
    balances = [make_balance("BTC", "1"), make_balance("BTC", "2"), make_balance("USDT", "3")]
    shown = held(balances, [position])
    assert shown == {
        "BTC": Decimal("3.5"),
        "USDT": Decimal("3.25"),
        position.symbol: position.signed_quantity,
    }


def test_more_than_fills_moves_what_contracts_settle_and_what_is_borrowed() -> None:
    balances = [make_balance("ETH", borrowed=Decimal(1)), make_balance("BTC")]
    assert untold(balances, settled_in([Symbol("ETH/USDT:USDT"), Symbol("SOL/EUR")])) == {
        "ETH",
        "USDT",
    }
