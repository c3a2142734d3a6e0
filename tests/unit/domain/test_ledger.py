"""Entries: what each movement posts where."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from alphapulse.domain.cash_flow import CashFlow, FlowKind
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, ExchangeOrderId, Symbol
from alphapulse.domain.ledger import (
    Book,
    Entry,
    EntryKind,
    Posting,
    adjustment,
    entry_of_fill,
    entry_of_flow,
    late_fee_of,
    sums_of,
)
from alphapulse.domain.order import Fill, Side

AT = datetime(2026, 1, 2, tzinfo=UTC)
ACCOUNT = AccountId("a1")
BOUGHT = Fill(
    account_id=ACCOUNT,
    exchange=ExchangeId("binance"),
    symbol=Symbol("BTC/USDT"),
    trade_id="7",
    exchange_order_id=ExchangeOrderId("1"),
    client_order_id=None,
    side=Side.BUY,
    price=Decimal(30000),
    quantity=Decimal("0.5"),
    fee=Decimal("0.0005"),
    fee_asset=Asset("BTC"),
    is_maker=False,
    occurred_at=AT,
)


def flow(kind: FlowKind, quantity: str, **more: object) -> CashFlow:
    told = CashFlow(
        ACCOUNT, ExchangeId("binance"), "deposit:1", kind, Asset("USDT"), Decimal(quantity), AT
    )
    return replace(told, **more)  # type: ignore[arg-type]


def test_a_purchase_brings_the_base_less_its_fee_and_costs_the_quote() -> None:
    entry = entry_of_fill(BOUGHT)
    assert entry.change("BTC") == Decimal("0.4995")
    assert entry.change("USDT") == Decimal(-15000)


def test_a_sale_costs_the_base_and_brings_the_quote() -> None:
    sold = replace(BOUGHT, side=Side.SELL, fee=Decimal(15), fee_asset=Asset("USDT"))
    entry = entry_of_fill(sold)
    assert entry.change("BTC") == Decimal("-0.5")
    assert entry.change("USDT") == Decimal(14985)


def test_a_fill_of_a_contract_moves_the_position_and_pays_only_its_fee() -> None:
    contract = replace(
        BOUGHT, symbol=Symbol("BTC/USDT:USDT"), fee=Decimal(6), fee_asset=Asset("USDT")
    )
    entry = entry_of_fill(contract)
    assert entry.change("BTC/USDT:USDT") == Decimal("0.5")
    assert entry.change("USDT") == Decimal(-6)


def test_a_fee_told_later_completes_the_fill() -> None:
    early = entry_of_fill(replace(BOUGHT, fee=None, fee_asset=None))
    assert sums_of([early, late_fee_of(BOUGHT)]) == sums_of([entry_of_fill(BOUGHT)])


@pytest.mark.parametrize("kind", FlowKind)
def test_every_kind_of_flow_changes_what_the_venue_holds(kind: FlowKind) -> None:
    entry = entry_of_flow(flow(kind, "-25.5"))
    assert entry.change("USDT") == Decimal("-25.5")


def test_the_fee_of_a_withdrawal_leaves_on_top() -> None:
    entry = entry_of_flow(flow(FlowKind.WITHDRAWAL, "-100", fee=Decimal("0.8")))
    assert entry.change("USDT") == Decimal("-100.8")
    assert sums_of([entry])[Book.FEES, "USDT"] == Decimal("0.8")


def test_both_ends_of_a_transfer_leave_nothing_in_transit() -> None:
    ends = [entry_of_flow(flow(FlowKind.TRANSFER, amount)) for amount in ("40", "-40")]
    assert sums_of(ends)[Book.TRANSIT, "USDT"] == 0


def test_an_adjustment_is_booked_as_one() -> None:
    entry = adjustment(ACCOUNT, "1", "BTC", Decimal("0.1"), AT, "found")
    assert entry.kind is EntryKind.ADJUSTMENT
    assert sums_of([entry])[Book.ADJUSTMENTS, "BTC"] == Decimal("-0.1")


def test_an_entry_that_makes_something_of_nothing_is_no_entry() -> None:
    with pytest.raises(AssertionError, match="does not sum to zero"):
        Entry(ACCOUNT, EntryKind.OTHER, "x", AT, (Posting(Book.VENUE, "BTC", Decimal(1)),))
