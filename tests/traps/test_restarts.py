"""Traps of a restart: nothing is invented, dropped, repeated or given to somebody else."""

from dataclasses import replace
from decimal import Decimal

from sqlalchemy import func, select

from alphapulse.database.connection import Database, open_database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.database.tables.base import money_tables
from alphapulse.domain.order import OrderOrigin, OrderStatus, Side
from alphapulse.domain.sync import SyncKind, SyncState
from alphapulse.simulator.faults.fault import Match, When
from alphapulse.simulator.faults.requests import Latency, Reset, Status
from alphapulse.simulator.simulator import Simulator
from tests.eventually import eventually
from tests.traps.customer import BTC, CREATE_PATHS, LABELS, Customer, customer_of

S = OrderStatus
WORKING = 14

# A start asks Binance for more than a tenth of what it allows in a minute.
RESTARTS = {"binance": 3, "bybit": 10}
TRADES = {"binance": "*/myTrades", "bybit": "*/v5/execution/list"}
FACTS = ("orders", "order_events", "fills", "intents", "positions")


async def rows_of(database: Database) -> dict[str, int]:
    """How many rows there are of what happened."""
    tables = {table.name: table for table in money_tables.sorted_tables}
    async with database.read() as tx:
        return {
            name: (await tx.statements.rows(select(func.count()).select_from(tables[name])))[0][0]
            for name in FACTS
        }


async def is_read(customer: Customer) -> bool:
    """Whether every kind was read well in this run."""
    statuses = customer.sync.synchronizer.report().statuses
    of_account = [status for status in statuses if status.account_id == customer.account]
    return len(of_account) >= 3 and all(s.state is SyncState.OK for s in of_account)


async def test_t06_a_restart_invents_no_fill_against_a_position(
    simulator: Simulator, sqlite_settings: DatabaseSettings
) -> None:
    symbol = "BTC/USDT:USDT"
    async with customer_of("bybit", simulator, sqlite_settings) as customer:
        await eventually(lambda: is_read(customer))
        await customer.is_sound()
        held = await positions_of(customer)
    assert symbol in held
    sent = simulator.orders_seen

    # While we were away somebody else sold a part.
    simulator.world.trade(LABELS["bybit"], symbol, Side.SELL, Decimal("0.1"))
    async with customer_of("bybit", simulator, sqlite_settings) as customer:
        await eventually(lambda: is_read(customer))
        await customer.is_sound()
        assert await positions_of(customer) == {
            position.symbol: position.quantity
            for position in simulator.books("bybit-unified").positions
        }
    assert simulator.orders_seen == sent + 1


async def positions_of(customer: Customer) -> dict[str, Decimal]:
    async with customer.sync.database.read() as tx:
        stored = await tx.positions.list(customer.account)
    return {one.symbol: one.signed_quantity for one in stored}


async def test_t07_working_orders_survive_a_history_that_does_not_explain_them(
    venue: str, simulator: Simulator, sqlite_settings: DatabaseSettings
) -> None:
    keys = [f"key {number}" for number in range(WORKING)]
    async with customer_of(venue, simulator, sqlite_settings) as customer:
        for key in keys:
            assert (await customer.place(key)).status is S.OPEN
        names = customer.names

    # The venue tells no trade at all any more: neither orders nor positions can be rebuilt.
    silence = Status(match=Match(path=TRADES[venue]), status=502, count=None)
    silent = simulator.faults.add(silence)
    async with customer_of(venue, simulator, sqlite_settings, until_ready=False) as customer:
        customer.names = names
        await eventually(lambda: silent.struck > 3)
        assert {(await customer.order(key)).status for key in keys} == {S.OPEN}
        assert not customer.sync.synchronizer.takes_orders(customer.account)

        simulator.faults.clear()
        await eventually(lambda: customer.sync.synchronizer.takes_orders(customer.account))
        assert {(await customer.order(key)).status for key in keys} == {S.OPEN}
        assert len(simulator.world.venues[venue].accounts[customer.label].open_orders) == WORKING
        await customer.is_sound()


async def test_t08_restarts_add_no_row(
    venue: str, simulator: Simulator, sqlite_settings: DatabaseSettings
) -> None:
    async with customer_of(venue, simulator, sqlite_settings) as customer:
        await customer.place("resting")
        await customer.place("to be filled")
        customer.trade(Side.BUY, "0.002")
        await eventually(lambda: is_read(customer))
        await customer.is_sound()
        await customer.reconcile()
        before, names = await rows_of(customer.sync.database), customer.names
    for _ in range(RESTARTS[venue]):
        async with customer_of(venue, simulator, sqlite_settings) as customer:
            customer.names = names
            await eventually(lambda: is_read(customer))
            await customer.reconcile()
            await customer.is_sound()
    async with open_database(sqlite_settings, name="test") as database:
        assert await rows_of(database) == before
    assert min(before["orders"], before["fills"]) > 0


async def test_t09_an_order_is_found_by_its_name_and_never_by_its_time(customer: Customer) -> None:
    create = Match(venue=customer.venue, method="POST", path=CREATE_PATHS[customer.venue])
    customer.fault(Reset(match=create, when=When.BEFORE))
    request = customer.request()
    assert (await customer.place()).status is S.UNKNOWN
    # The same order, in the same second, by hand.
    theirs = customer.simulator.world.trade(
        customer.label, BTC, request.side, request.quantity or Decimal(0),
        limit_price=request.limit_price,
    )  # fmt: skip
    filled = customer.trade(Side.BUY, "0.001")

    looks = customer.simulator.faults.add(
        Latency(
            match=Match(venue=customer.venue, method="GET", path="*/order*"), delay_s=0, count=None
        )
    )
    seen = looks.struck
    await eventually(lambda: looks.struck > seen + 6)
    await customer.sync.synchronizer.sync_now(customer.account, {SyncKind.ORDERS, SyncKind.FILLS})
    await eventually(customer.is_even)

    ours = await customer.order()
    assert (ours.status, ours.exchange_order_id, ours.filled_quantity) == (
        S.UNKNOWN,
        None,
        Decimal(0),
    )
    async with customer.sync.database.read() as tx:
        (external,) = await tx.orders.open(customer.account)
    assert (external.origin, external.limit_price) == (OrderOrigin.EXTERNAL, request.limit_price)
    assert external.quantity == theirs.quantity
    (fill,) = [f for f in await customer.fills() if f.quantity == filled.filled_quantity]
    assert fill.client_order_id != customer.names["key"]
    assert customer.at_venue() == []


async def test_t09_a_fill_of_the_last_order_is_not_given_to_the_next(customer: Customer) -> None:
    first, second = "first", "second"
    await customer.place(first)
    customer.move_price("0.95")
    bought = await customer.becomes(S.FILLED, first)
    await customer.place(second, side=Side.SELL, limit_price=customer.price("1.03"))
    opened = await customer.becomes(S.OPEN, second)
    await customer.reconcile()
    assert await customer.order(second) == replace(
        opened, updated_at=(await customer.order(second)).updated_at
    )
    assert (await customer.order(first)).filled_quantity == bought.filled_quantity
