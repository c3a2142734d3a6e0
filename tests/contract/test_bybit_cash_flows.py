"""Bybit's cash flows and fills together are every change of the balances, to the last unit."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from alphapulse.domain.cash_flow import CashFlow, FlowKind
from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.ledger import Book, entry_of_fill, entry_of_flow, sums_of
from alphapulse.domain.order import Fill, Side
from alphapulse.simulator.core.treasury import Route
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.contract.bench import HISTORY, LABELS, Bench
from tests.fixtures.simulator import QUICK
from tests.plain_bybit import plain_bybit

LABEL = LABELS["bybit"]
SPOT, SWAP = Symbol("BTC/USDT"), Symbol("BTC/USDT:USDT")


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update={"is_paused": True})


@pytest.fixture
async def bench(simulator: Simulator) -> AsyncIterator[Bench]:
    bench = Bench("bybit", simulator, LABEL)
    yield bench
    for exchange in bench.opened:
        await exchange.close()


async def flows_of(bench: Bench) -> list[CashFlow]:
    found: list[CashFlow] = []
    for cursor in bench.exchange.first_flow_cursors(datetime.now(UTC) - HISTORY):
        for _ in range(1000):
            page = await bench.exchange.fetch_cash_flows(cursor)
            found += page.flows
            cursor = page.next_cursor
            if page.is_last:
                break
    return found


def held(fills: list[Fill], flows: list[CashFlow]) -> dict[str, Decimal]:
    """What the venue must hold for an account that began with nothing."""
    entries = [*map(entry_of_fill, fills), *map(entry_of_flow, flows)]
    sums = sums_of(entries)
    return {
        subject: amount for (book, subject), amount in sums.items() if book is Book.VENUE and amount
    }


def in_books(bench: Bench) -> dict[str, Decimal]:
    totals = {asset: book.total for asset, book in bench.books.balances.items() if book.total}
    return totals | {one.symbol: one.quantity for one in bench.books.positions}


HAPPENED = {
    FlowKind.DEPOSIT,
    FlowKind.WITHDRAWAL,
    FlowKind.FUNDING,
    FlowKind.PROFIT,
    FlowKind.FEE,
    FlowKind.REWARD,
    FlowKind.INTEREST,
    FlowKind.CONVERSION,
}


def live(bench: Bench) -> None:
    """Everything that can befall an account."""
    world = bench.simulator.world
    world.deposit(LABEL, "USDT", Decimal("1234.567890123"))
    for symbol in (SPOT, SWAP):
        world.trade(LABEL, symbol, Side.BUY, Decimal("0.013"))
        world.trade(LABEL, symbol, Side.SELL, Decimal("0.007"))
    world.settle_funding("bybit")
    world.withdraw(LABEL, "USDT", Decimal("33.3"), fee=Decimal("0.000000001"))
    world.withdraw(LABEL, "BTC", Decimal("0.01"), Route(after_ms=3_600_000), fee=Decimal("0.0002"))
    given_back = world.withdraw(LABEL, "BTC", Decimal("0.02"), Route(after_ms=3_600_000))
    world.fail(LABEL, given_back.id)
    world.reward(LABEL, "ETH", Decimal("0.000000000001"))
    world.reward(LABEL, "USDT", Decimal("-0.7"), is_interest=True)
    world.convert(LABEL, {"ETH": Decimal("0.00123"), "BTC": Decimal("0.00001")}, "USDT")
    world.deleverage(LABEL, SWAP, Decimal("0.001"))
    world.liquidate(LABEL, SWAP)


async def test_flows_and_fills_are_the_balances_to_the_last_unit(bench: Bench) -> None:
    live(bench)

    fills, _ = await bench.fills()
    flows = await flows_of(bench)

    assert held(fills, flows) == in_books(bench)


async def test_without_any_one_kind_they_are_not(bench: Bench) -> None:
    live(bench)
    fills, _ = await bench.fills()
    flows = await flows_of(bench)

    kinds = {flow.kind for flow in flows}
    assert kinds == HAPPENED
    for kind in kinds:
        assert held(fills, [flow for flow in flows if flow.kind is not kind]) != in_books(bench)
    assert held(fills[1:], flows) != in_books(bench)


async def test_each_movement_is_told_under_one_name_and_again_under_the_same(bench: Bench) -> None:
    live(bench)
    first = await flows_of(bench)
    again = await flows_of(bench)

    assert len({flow.id for flow in first}) == len(first)
    assert again == first


async def test_both_ends_of_a_transfer_between_accounts_show_one_name(bench: Bench) -> None:
    world = bench.simulator.world
    out, _ = world.send(LABEL, LABEL, "USDT", Decimal(5), fee=Decimal("0.5"))

    found = [flow for flow in await flows_of(bench) if flow.reference == out.txid]

    told = {(flow.kind, str(flow.quantity), flow.fee and str(flow.fee)) for flow in found}
    assert told == {(FlowKind.WITHDRAWAL, "-5", "0.5"), (FlowKind.DEPOSIT, "5", None)}


async def test_fees_in_the_log_are_those_of_the_fills(bench: Bench) -> None:
    live(bench)
    fills, _ = await bench.fills()
    fees = {fill.trade_id: (fill.fee, fill.fee_asset) for fill in fills}

    async with plain_bybit(bench.simulator) as client:
        answer = await client.get("/v5/account/transaction-log", type="TRADE", limit=50)

    rows = answer["result"]["list"]
    charged = {row["tradeId"]: row for row in rows if Decimal(row["fee"])}
    assert len(charged) >= 4
    for trade_id, row in charged.items():
        assert fees[trade_id] == (Decimal(row["fee"]), row["currency"])
