"""Traps around balances that move without a fill: each is known, and the books stay exact."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.ledger import EntryKind
from alphapulse.domain.order import Side
from alphapulse.domain.sync import SyncKind
from alphapulse.domain.trading import AssetBook, CycleOutcome
from tests.eventually import eventually
from tests.traps.customer import Customer

PERPETUAL = Symbol("BTC/USDT:USDT")


async def _books(customer: Customer) -> dict[str, AssetBook]:
    async with customer.sync.database.read() as tx:
        books = await tx.reconciliations.books(customer.account)
    return {book.subject: book for book in books}


async def _are_flows_read(customer: Customer) -> bool:
    async with customer.sync.database.read() as tx:
        stored = await tx.flow_cursors.list(customer.account)
    return bool(stored) and all(one.complete for one in stored)


async def _entries_besides_fills(customer: Customer) -> int:
    async with customer.sync.database.read() as tx:
        stored = await tx.ledger.after(0, 10_000)
    return sum(one.entry.kind is not EntryKind.FILL for one in stored)


async def test_whatever_moves_a_balance_is_known_to_the_last_unit(customer: Customer) -> None:
    await eventually(lambda: _are_flows_read(customer))
    assert (await customer.reconcile()).outcome is CycleOutcome.CLEAN
    before, known = await _books(customer), await _entries_besides_fills(customer)
    # Binance dates withdrawals by the second: of one in the second in which the books were opened
    # nobody can tell on which side of it it was.
    opened_at = max(book.opened_at for book in before.values())
    await eventually(lambda: datetime.now(UTC) > opened_at + timedelta(seconds=1))
    world = customer.simulator.world

    world.deposit(customer.label, "USDT", Decimal("1234.56"))
    world.withdraw(customer.label, "USDT", Decimal("100"), fee=Decimal("1.5"))
    world.reward(customer.label, "BTC", Decimal("0.00000007"))
    customer.trade(Side.BUY, "0.002")
    customer.trade(Side.BUY, "0.01", PERPETUAL)
    customer.move_price("1.01", PERPETUAL)
    customer.trade(Side.SELL, "0.004", PERPETUAL)
    world.settle_funding(customer.venue)
    await customer.sync.synchronizer.sync_now(customer.account, {SyncKind.FILLS, SyncKind.FLOWS})

    async def are_told() -> bool:
        """A deposit, a withdrawal, a reward, a profit and funding."""
        return await _entries_besides_fills(customer) >= known + 5

    # To compare again and again instead would use up what the venue allows for reading them.
    await eventually(are_told)

    async def is_clean() -> bool:
        report = await customer.reconcile()
        assert (report.outcome, report.detail) == (CycleOutcome.CLEAN, None)
        return True

    await eventually(is_clean)
    after = await _books(customer)
    assert {subject: book.anchor for subject, book in before.items()} == {
        subject: after[subject].anchor for subject in before
    }, "a book was opened anew"
    assert after["USDT"].moved != before["USDT"].moved
    assert after[PERPETUAL].moved == Decimal("0.006")
    assert after["BTC"].held == customer.simulator.books(customer.label).balances["BTC"].total


async def test_a_deposit_that_is_told_late_is_no_drift_once_it_is_told(
    customer: Customer,
) -> None:
    await eventually(lambda: _are_flows_read(customer))
    assert (await customer.reconcile()).outcome is CycleOutcome.CLEAN
    customer.simulator.world.deposit(customer.label, "USDT", Decimal("7.5"))

    async def is_clean() -> bool:
        report = await customer.reconcile()
        assert (report.outcome, report.detail) == (CycleOutcome.CLEAN, None)
        return True

    await eventually(is_clean)
    assert (await _books(customer))["USDT"].moved == Decimal("7.5")
