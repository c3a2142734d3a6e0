"""Traps around fills: each once, whoever tells it and how often, with its fee."""

from decimal import Decimal
from typing import Any

import pytest

from alphapulse.domain.events import OrderAlarm
from alphapulse.domain.money import round_down
from alphapulse.domain.order import OrderStatus, OrderType, Side
from alphapulse.domain.sync import SyncKind
from alphapulse.domain.trading import CycleOutcome
from alphapulse.simulator.faults.answers import OddValues, StaleRead
from alphapulse.simulator.faults.fault import Match
from alphapulse.simulator.faults.streams import DelayedFrame, RepeatedFrame
from tests.eventually import eventually
from tests.traps.customer import Customer

S = OrderStatus
MARKET: dict[str, Any] = {"type": OrderType.MARKET, "limit_price": None, "time_in_force": None}
TRADES = {"binance": "*/myTrades", "bybit": "*/v5/execution/list"}
TRADE_ID = {"binance": "id", "bybit": "execId"}


async def test_t13_a_fill_told_by_stream_and_poll_counts_once(customer: Customer) -> None:
    told = Match(venue=customer.venue, method="WS", account=customer.label, topic="?*")
    # The poll first, the stream later and twice.
    customer.fault(DelayedFrame(match=told, delay_s=1.0, count=4))
    await customer.place("late stream", **MARKET)
    await customer.sync.synchronizer.sync_now(customer.account, {SyncKind.FILLS})
    await customer.becomes(S.FILLED, "late stream")
    # The stream first and three times, the poll later.
    customer.fault(RepeatedFrame(match=told, times=3, count=4))
    await customer.place("eager stream", **MARKET)
    await customer.becomes(S.FILLED, "eager stream")
    for _ in range(2):
        await customer.sync.synchronizer.sync_now(customer.account, {SyncKind.FILLS})
        await customer.reconcile()
    for key in ("late stream", "eager stream"):
        assert (await customer.order(key)).filled_quantity == Decimal("0.001")
    await customer.is_even()


async def test_t14_a_fill_without_an_id_is_no_fill_and_comes_when_it_has_one(
    customer: Customer,
) -> None:
    await eventually(customer.is_even)
    customer.silence_stream()
    match = Match(venue=customer.venue, path=TRADES[customer.venue])
    nameless = OddValues(match=match, fields=(TRADE_ID[customer.venue],), value="", count=None)
    entry = customer.simulator.faults.add(nameless)
    customer.trade(Side.BUY, "0.002")
    before = len(await customer.fills())
    await customer.sync.synchronizer.sync_now(customer.account, {SyncKind.FILLS})
    await eventually(lambda: entry.struck)
    assert len(await customer.fills()) == before
    customer.simulator.faults.clear()
    await customer.sync.synchronizer.sync_now(customer.account, {SyncKind.FILLS})
    await eventually(customer.is_even)


async def test_t20_whatever_the_fee_is_paid_in_what_is_booked_can_be_sold(
    customer: Customer,
) -> None:
    assert (await customer.reconcile()).outcome is CycleOutcome.CLEAN
    await customer.place("with BNB on Binance, in the coin on Bybit", **MARKET)
    await customer.becomes(S.FILLED, "with BNB on Binance, in the coin on Bybit")
    # Sold are coins that were there before and all but the dust of those that were bought.
    booked = (await held(customer))["BTC"]
    everything = round_down(booked, customer.instrument().lot_size)
    await customer.place("sell", side=Side.SELL, quantity=everything, **MARKET)
    assert (await customer.becomes(S.FILLED, "sell")).filled_quantity == everything

    assert (await held(customer)).get("BTC", Decimal(0)) == booked - everything
    fees = {fill.fee_asset for fill in await customer.fills() if fill.fee}
    assert fees == ({"BNB"} if customer.venue == "binance" else {"BTC", "USDT"})
    await eventually(customer.is_even)
    report = await customer.reconcile()
    assert (report.outcome, report.detail) == (CycleOutcome.CLEAN, None)


async def held(customer: Customer) -> dict[str, Decimal]:
    """What is stored, when it is what the venue has."""
    books = customer.simulator.books(customer.label).balances
    true = {asset: book.total for asset, book in books.items() if book.total}

    async def is_read() -> bool:
        await customer.sync.synchronizer.sync_now(customer.account, {SyncKind.BALANCES})
        totals = await customer.sync.totals(customer.account)
        return all(totals.get(asset) == total for asset, total in true.items() if asset != "USDT")

    await eventually(is_read)
    return true


@pytest.mark.parametrize("venue", ["binance"])
async def test_t24_a_history_that_keeps_a_fill_back_is_found_by_the_books(
    customer: Customer,
) -> None:
    assert (await customer.reconcile()).outcome is CycleOutcome.CLEAN
    customer.silence_stream()
    kept_back = Match(venue=customer.venue, path=TRADES[customer.venue])
    customer.fault(StaleRead(match=kept_back, for_ms=3_600_000, count=None))
    customer.trade(Side.BUY, "0.002")

    reports = [await customer.reconcile() for _ in range(3)]

    assert reports[-1].outcome is CycleOutcome.DRIFT
    assert "BTC 0.002" in (reports[-1].detail or "")
    assert customer.alarms().count(OrderAlarm.DRIFT) >= 1
    customer.simulator.faults.clear()
    await customer.sync.synchronizer.sync_now(customer.account, {SyncKind.FILLS})
    await eventually(customer.is_even)
    assert (await customer.reconcile()).outcome is CycleOutcome.CLEAN
