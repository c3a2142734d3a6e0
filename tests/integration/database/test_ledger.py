"""The ledger: each movement once, sums that can be made again, and what is read from it."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import delete, select, update

from alphapulse.database.adapters.adapter import Store
from alphapulse.database.connection import Database, open_database
from alphapulse.database.migrations import schema
from alphapulse.database.settings import DatabaseSettings
from alphapulse.database.tables.ledger import ledger_entries, ledger_sums
from alphapulse.domain.cash_flow import CashFlow, FlowCursor, FlowKind
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.ledger import (
    Book,
    EntryKind,
    Sum,
    entry_of_fill,
    entry_of_flow,
    late_fee_of,
    sums_of,
)
from alphapulse.domain.trading import AssetBook
from tests.builders import ACCOUNT, BINANCE, NOW, make_account, make_fill

OTHER = AccountId("account-2")
USDT = Asset("USDT")


def make_flow(number: int = 1, **changes: object) -> CashFlow:
    flow = CashFlow(
        account_id=ACCOUNT,
        exchange=BINANCE,
        id=f"deposit:{number}",
        kind=FlowKind.DEPOSIT,
        asset=USDT,
        quantity=Decimal("250.00000001"),
        occurred_at=NOW + timedelta(minutes=number),
    )
    return replace(flow, **changes)  # type: ignore[arg-type]


def make_book(subject: str, minutes: float) -> AssetBook:
    at = NOW + timedelta(minutes=minutes)
    return AssetBook(ACCOUNT, subject, Decimal(0), at, Decimal(0), Decimal(0), at)


async def test_an_entry_is_new_only_once(account_database: Database) -> None:
    first, second = entry_of_flow(make_flow(1)), entry_of_flow(make_flow(2))
    async with account_database.begin() as tx:
        assert await tx.ledger.record([first, first], NOW) == (first,)
    async with account_database.begin() as tx:
        assert await tx.ledger.record([second, first], NOW) == (second,)
        assert await tx.ledger.record([], NOW) == ()

    async with account_database.read() as tx:
        assert [stored.entry for stored in await tx.ledger.after(0, 10)] == [first, second]
        assert (await tx.ledger.sums(ACCOUNT))[Book.VENUE, USDT].quantity == Decimal("500.00000002")


async def test_a_reference_that_is_told_later_is_filled_in_and_stays(
    account_database: Database,
) -> None:
    told = [entry_of_flow(make_flow(1, reference=name)) for name in (None, "tx-1", None, "tx-2")]
    async with account_database.begin() as tx:
        for entry in told:
            await tx.ledger.record([entry], NOW)
        (stored,) = await tx.ledger.after(0, 10)
    assert stored.entry.reference == "tx-1"


async def test_of_an_entry_that_is_told_differently_the_first_version_stays(
    account_database: Database,
) -> None:
    flow = make_flow()
    async with account_database.begin() as tx:
        await tx.ledger.record([entry_of_flow(flow)], NOW)
        changed = entry_of_flow(replace(flow, quantity=Decimal(9)))
        assert await tx.ledger.record([changed], NOW) == ()
        (stored,) = await tx.ledger.after(0, 10)
        assert stored.entry == entry_of_flow(flow)
        assert (await tx.ledger.sums(ACCOUNT))[Book.VENUE, USDT].quantity == flow.quantity


async def test_equal_keys_of_two_accounts_are_two_entries(account_database: Database) -> None:
    mine = entry_of_flow(make_flow())
    async with account_database.begin() as tx:
        await tx.accounts.add(make_account(OTHER))
        theirs = replace(mine, account_id=OTHER)
        assert await tx.ledger.record([mine, theirs], NOW) == (mine, theirs)
        assert await tx.ledger.sums(OTHER) == await tx.ledger.sums(ACCOUNT)
        await tx.accounts.remove(OTHER)
        assert [one.entry for one in await tx.ledger.after(0, 10)] == [mine]
        assert await tx.ledger.sums(OTHER) == {}


async def test_a_fill_and_the_fee_that_is_told_later_are_recorded_with_it(
    account_database: Database,
) -> None:
    fill = make_fill(1)
    silent = replace(fill, fee=None, fee_asset=None)
    async with account_database.begin() as tx:
        await tx.fills.record([silent], NOW)
        assert await tx.fills.is_fee_in_doubt(ACCOUNT, fill.occurred_at - timedelta(seconds=1))
        assert not await tx.fills.is_fee_in_doubt(ACCOUNT, fill.occurred_at)
    for _ in range(2):
        async with account_database.begin() as tx:
            await tx.fills.record([fill], NOW)

    expected = [entry_of_fill(silent), late_fee_of(fill)]
    async with account_database.read() as tx:
        assert [stored.entry for stored in await tx.ledger.after(0, 10)] == expected
        assert {
            place: one.quantity for place, one in (await tx.ledger.sums(ACCOUNT)).items()
        } == sums_of(expected)
        assert not await tx.fills.is_fee_in_doubt(ACCOUNT, fill.occurred_at - timedelta(days=1))


async def test_what_moved_after_the_books_were_opened_is_summed_apart(
    account_database: Database,
) -> None:
    async with account_database.begin() as tx:
        await tx.ledger.record([entry_of_flow(make_flow(n)) for n in (1, 2, 3)], NOW)
        book = make_book("USDT", minutes=2)
        await tx.reconciliations.replace_books(ACCOUNT, [book, make_book("BTC", minutes=5)])
        await tx.ledger.open_books(ACCOUNT, {"USDT": book.opened_at})
        assert (await tx.ledger.sums(ACCOUNT))[Book.VENUE, USDT] == Sum(
            Decimal("750.00000003"), Decimal("250.00000001")
        )
        # Told late, of before and after the opening; and of an asset that had no book.
        late = [make_flow(4, occurred_at=NOW), make_flow(5), make_flow(6, asset=Asset("DOGE"))]
        await tx.ledger.record(list(map(entry_of_flow, late)), NOW)
        sums = await tx.ledger.sums(ACCOUNT)
        assert sums[Book.VENUE, USDT].after_opening == Decimal("500.00000002")
        assert sums[Book.EXTERNAL, USDT].after_opening == Decimal("-500.00000002")
        assert sums[Book.VENUE, Asset("DOGE")].after_opening == Decimal("250.00000001")
        assert not await tx.ledger.rebuild(ACCOUNT)


async def test_sums_that_are_wrong_are_found_and_made_again(account_database: Database) -> None:
    entries = [entry_of_fill(make_fill(n)) for n in range(5)]
    async with account_database.begin() as tx:
        await tx.ledger.record(entries, NOW)
        right = await tx.ledger.sums(ACCOUNT)
        await tx.statements.run(update(ledger_sums).values(quantity=Decimal(1)))
        assert await tx.ledger.rebuild(ACCOUNT)
        assert await tx.ledger.sums(ACCOUNT) == right
        await tx.statements.run(delete(ledger_sums))
        assert await tx.ledger.rebuild(ACCOUNT)
        assert await tx.ledger.sums(ACCOUNT) == right
        assert not await tx.ledger.rebuild(ACCOUNT)


async def test_entries_are_read_in_the_order_they_were_told_and_in_that_they_occurred(
    account_database: Database,
) -> None:
    entries = [
        entry_of_flow(make_flow(n, occurred_at=NOW + timedelta(minutes=at)))
        for n, at in ((1, 3), (2, 1), (3, 1), (4, 2))
    ]
    async with account_database.begin() as tx:
        await tx.ledger.record(entries, NOW)
        told = await tx.ledger.after(0, 2)
        assert [one.entry for one in told] == entries[:2]
        rest = await tx.ledger.after(told[-1].id, 10)
        assert [one.entry for one in rest] == entries[2:]
        assert await tx.ledger.newest_id() == rest[-1].id

        read, last = [], None
        while page := await tx.ledger.chronological([ACCOUNT], after=last, limit=2):
            read += [one.entry.key for one in page]
            last = page[-1]
        assert read == [entries[n].key for n in (1, 2, 3, 0)]
        assert await tx.ledger.chronological([OTHER]) == ()


async def test_a_flow_cursor_comes_back(account_database: Database) -> None:
    async with account_database.begin() as tx:
        await tx.flow_cursors.save(ACCOUNT, FlowCursor("income", "1"), complete=False)
        await tx.flow_cursors.save(ACCOUNT, FlowCursor("deposits", "7"), complete=False)
        await tx.flow_cursors.save(ACCOUNT, FlowCursor("income", "2"), complete=True)
        assert [(one.cursor, one.complete) for one in await tx.flow_cursors.list(ACCOUNT)] == [
            (FlowCursor("deposits", "7"), False),
            (FlowCursor("income", "2"), True),
        ]


async def test_the_migration_records_the_fills_that_are_stored(
    empty_settings: DatabaseSettings,
) -> None:
    fills = [
        make_fill(1),
        make_fill(2, side="sell", fee=Decimal("-0.00001"), fee_asset="BNB"),
        make_fill(3, symbol="ETH/USDT:USDT", fee=None, fee_asset=None),
        make_fill(1, symbol="ETH/BTC", account_id=OTHER, fee=Decimal(0)),
    ]
    await schema.upgrade(empty_settings)
    async with open_database(empty_settings, name="test") as database, database.begin() as tx:
        for owner in (ACCOUNT, OTHER):
            await tx.accounts.add(make_account(owner))
        await tx.fills.record(fills, NOW)
        told = [one.entry for one in await tx.ledger.after(0, 10)]
        sums = [await tx.ledger.sums(owner) for owner in (ACCOUNT, OTHER)]

    await schema.downgrade(empty_settings, Store.MONEY, "0002")
    await schema.upgrade(empty_settings)

    async with open_database(empty_settings, name="test") as database, database.begin() as tx:
        assert [one.entry for one in await tx.ledger.after(0, 10)] == told
        assert [await tx.ledger.sums(owner) for owner in (ACCOUNT, OTHER)] == sums
        assert {one.entry.kind for one in await tx.ledger.after(0, 10)} == {EntryKind.FILL}
        assert (await tx.fills.record(fills, NOW)).new == ()
        assert await tx.ledger.record(list(map(entry_of_fill, fills)), NOW) == ()


@pytest.mark.parametrize("count", [6_000])
async def test_a_history_of_more_entries_than_a_statement_takes(
    account_database: Database, count: int
) -> None:
    entries = [entry_of_flow(make_flow(n, quantity=Decimal(1))) for n in range(count)]
    async with account_database.begin() as tx:
        assert len(await tx.ledger.record(entries, NOW)) == count
        assert await tx.ledger.record(entries, NOW) == ()
        assert (await tx.ledger.sums(ACCOUNT))[Book.VENUE, USDT].quantity == count
        assert not await tx.ledger.rebuild(ACCOUNT)
        rows = await tx.statements.rows(select(ledger_entries.c.id))
        assert len(rows) == count
