"""Sums of recorded net worth, and which change of balances a flow explains."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from alphapulse.domain.cash_flow import FlowKind
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.ledger import Entry, RecordedEntry
from alphapulse.domain.net_worth import (
    Step,
    Worth,
    WorthFlow,
    came_in,
    inner_transfers,
    sampled,
    step_of,
    summed,
)
from alphapulse.domain.performance.history import Point
from alphapulse.domain.valuation import USD
from tests.ledgers import bought, day, flowed

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def worth(account: str, minute: int, value: str | None) -> Worth:
    known = None if value is None else Decimal(value)
    at = START + minute * MINUTE
    return Worth(AccountId(account), USD, at, known, (), True, False, is_comparable=True)


def flow(minute: int, amount: str, account: str = "a", *, is_seen: bool = True) -> WorthFlow:
    at = START + minute * MINUTE
    return WorthFlow(1, AccountId(account), USD, at, Decimal(amount), is_seen)


def points(worths: Sequence[Worth], *flows: WorthFlow) -> list[Point]:
    ordered = sorted(worths, key=lambda one: one.at)
    return [moment.point for moment in summed(ordered, flows)]


def step(number: int, **moved: str) -> Step:
    quantities: dict[str, Decimal] = {name: Decimal(one) for name, one in moved.items()}
    return Step(day(number), AccountId("a"), quantities, {}, ())


def recorded(*entries: Entry) -> list[RecordedEntry]:
    return [RecordedEntry(number, entry, START) for number, entry in enumerate(entries, start=1)]


def test_accounts_are_summed_moment_by_moment() -> None:
    told = points([worth("a", 0, "1"), worth("b", 0, "2"), worth("a", 5, "3"), worth("b", 5, "4")])
    assert [point.value for point in told] == [3, 7]


def test_a_sum_is_unknown_where_a_part_of_it_is() -> None:
    told = points(
        [
            *(worth("a", 0, "1"), worth("b", 0, "2")),
            *(worth("a", 5, "1"), worth("b", 5, None)),
            worth("a", 10, "1"),
            *(worth("a", 15, "1"), worth("b", 15, "2")),
        ]
    )
    assert [point.value for point in told] == [3, None, None, 3]


def test_who_joins_brings_all_it_has_as_a_flow() -> None:
    told = points([worth("a", 0, "1"), worth("a", 5, "1"), worth("b", 5, "9")])
    assert [point.value for point in told] == [1, 10]
    assert [point.flow for point in told] == [0, 9]


def test_a_flow_counts_at_the_first_moment_that_is_not_before_it() -> None:
    worths = [worth("a", minute, "5") for minute in (0, 5, 10)]
    told = points(worths, flow(0, "7"), flow(6, "1"), flow(7, "2"))
    assert [point.flow for point in told] == [0, 0, 3]


def test_a_flow_that_nobody_saw_makes_a_gap() -> None:
    worths = [worth("a", minute, "5") for minute in (0, 5)]
    assert points(worths, flow(3, "1", is_seen=False))[1].is_gap


def test_what_was_counted_differently_makes_the_flow_unknown() -> None:
    told = points([worth("a", 0, "5"), replace(worth("a", 5, "9"), is_comparable=False)])
    assert told[1].flow is None


def test_a_step_explains_a_flow_of_its_asset_and_direction_that_is_not_larger() -> None:
    deposit = flowed(1, FlowKind.DEPOSIT, "BTC", "2")
    assert step_of(deposit, [step(1, BTC="2")])
    assert step_of(deposit, [step(1, BTC="3", ETH="-1")])
    for other in (step(1, BTC="1"), step(1, BTC="-2"), step(1, ETH="2"), step(2, BTC="2")):
        assert step_of(deposit, [other]) is None


def test_a_step_explains_no_more_than_what_moved() -> None:
    deposit, moved = flowed(1, FlowKind.DEPOSIT, "BTC", "2"), step(1, BTC="3")
    moved.take(deposit)
    assert step_of(deposit, [moved]) is None


def test_of_several_steps_the_nearest_in_time_explains_it() -> None:
    deposit = flowed(1, FlowKind.DEPOSIT, "BTC", "2")
    early, late = step(1, BTC="2"), step(1, BTC="2")
    early.at, late.at = day(1) - 20 * MINUTE, day(1) + MINUTE
    assert step_of(deposit, [early, late]) is late


def test_the_fee_of_a_withdrawal_is_no_flow() -> None:
    withdrawal = flowed(1, FlowKind.WITHDRAWAL, "BTC", "-2", fee="0.1")
    assert came_in(withdrawal) == {"BTC": -2}
    assert came_in(bought(1, "BTC/USDT", "1", "5")) == {}


def test_transfers_between_the_wallets_of_an_account_cancel_out() -> None:
    out, back = (flowed(1, FlowKind.TRANSFER, "BTC", one, name=one) for one in ("-2", "2"))
    elsewhere = flowed(1, FlowKind.TRANSFER, "ETH", "2")
    assert inner_transfers(recorded(out, back, elsewhere)) == {1, 2}
    assert inner_transfers(recorded(out)) == set()


def test_a_sample_is_the_last_moment_of_its_stretch_with_all_that_came_in() -> None:
    worths = [worth("a", minute, str(minute)) for minute in (1, 2, 61, 62, 130)]
    told = sampled(summed(worths, [flow(2, "1"), flow(61, "3"), flow(62, "4")]), 60 * MINUTE)
    assert [one.value for one in told] == [2, 62, 130]
    assert [one.net_flow for one in told] == [0, 7, 0]
