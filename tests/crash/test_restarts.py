"""Restarts, in whatever state the orders are: nothing new, nothing changed, nothing lost."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, event, select

from alphapulse.database.connection import open_database
from alphapulse.database.repositories.orders import ORDER
from alphapulse.database.settings import DatabaseSettings
from alphapulse.database.tables.portfolio import fills, positions
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.identifiers import ClientOrderId, ExchangeOrderId
from alphapulse.domain.order import Order, OrderStatus
from alphapulse.domain.trading import CycleOutcome
from alphapulse.errors import ExchangeUnavailable, OrderOutcomeUnknown, OrderRejected
from tests.builders import (
    ACCOUNT,
    NOW,
    make_account,
    make_balance,
    make_fill,
    make_intent,
    make_own_order,
    make_position,
    make_user,
)
from tests.eventually import eventually
from tests.fixtures.scripted_exchange import Answer, ScriptedProvider, Venue
from tests.fixtures.sync import Sync, running_sync

S = OrderStatus
RESTARTS = 25  # on each database
UNSETTLED = {S.PREPARED, S.SENDING, S.UNKNOWN, S.CANCEL_PENDING}
NO_ANSWER = OrderOutcomeUnknown("no answer in time")

AWAY = ExchangeUnavailable("nobody answers")


@dataclass(frozen=True, slots=True)
class Stored:
    """Orders by key, and the rows of other tables."""

    orders: dict[str, Order]
    rows: dict[str, tuple[tuple[Any, ...], ...]]


class Act(StrEnum):
    """What happened to an order before the restart."""

    RESTS = "rests"
    PARTLY_FILLED = "partly filled"
    FILLED = "filled"
    CANCELED = "canceled"
    CANCEL_UNANSWERED = "a cancel without an answer"
    ARRIVED_UNANSWERED = "arrived, without an answer"
    NEVER_ARRIVED = "never arrived, without an answer"
    REJECTED = "rejected"
    PREPARED = "prepared and not sent"


ANSWERS = {
    Act.ARRIVED_UNANSWERED: Answer(is_taken=True, error=NO_ANSWER),
    Act.NEVER_ARRIVED: Answer(is_taken=False, error=NO_ANSWER),
    Act.REJECTED: Answer(is_taken=False, error=OrderRejected("post only")),
}
SHARES = {Act.PARTLY_FILLED: Decimal("0.5"), Act.FILLED: Decimal(2)}


@asynccontextmanager
async def started(settings: DatabaseSettings, venue: Venue) -> AsyncIterator[Sync]:
    """Until the account takes orders again."""
    async with running_sync(settings, ScriptedProvider(venue), make_account()) as sync:
        async with sync.database.begin() as tx:
            if not await tx.users.count():
                await tx.users.add(make_user(), "hash")
        await eventually(lambda: sync.synchronizer.takes_orders(ACCOUNT))
        yield sync


def make_venue() -> Venue:
    venue = Venue()
    venue.capabilities = replace(venue.capabilities, positions=True, private_stream=False)
    venue.balances = (make_balance("USDT", "9000000"), make_balance("BTC", "10"))
    venue.positions = (make_position(),)
    return venue


async def test_restarts_change_nothing(database_settings: DatabaseSettings) -> None:
    venue, chance = make_venue(), random.Random(50)
    before: Stored | None = None
    for number in range(RESTARTS + 1):
        sent = len(venue.placed)
        async with started(database_settings, venue) as sync:
            await until_settled(sync, venue)
            if before is not None:
                expect_the_same(before, await stored_now(sync), venue)
            assert len(venue.placed) == sent
            await act(sync, venue, chance.choice(list(Act)), f"key {number}")
            before = await stored_now(sync)
        venue.failing.pop("fetch_open_orders", None)
        if chance.random() < 0.7:  # else single orders are not told of after the next start either
            venue.failing.clear()
            venue.cancel_answer = None


async def test_a_thousand_open_orders_are_read_and_not_asked_for_one_by_one(
    database_settings: DatabaseSettings,
) -> None:
    venue = make_venue()
    known = [open_order(venue, number) for number in range(1000)]
    async with open_database(database_settings, name="before") as database:
        async with database.begin() as tx:
            await tx.users.add(make_user(), "hash")
            await tx.accounts.add(make_account())
            await tx.orders.record(known, NOW)
            for number in range(1000):
                await tx.intents.add(make_intent(f"key {number}").claimed(1, NOW, NOW))
        async with database.read() as tx:
            before = await stored(tx)
    venue.calls.clear()
    with counted_statements() as statements:
        async with started(database_settings, venue) as sync:
            asked, written = venue.calls.copy(), len(statements)
            assert (await sync.synchronizer.reconcile(ACCOUNT)).outcome is CycleOutcome.CLEAN
            after = await stored_now(sync)
    assert after.orders == before.orders
    assert asked["fetch_order"] == 0
    assert asked.total() < 50
    assert written < 300
    assert venue.placed == []


def open_order(venue: Venue, number: int) -> Order:
    """One that rests, here and there."""
    order = make_own_order(
        f"key {number}",
        status=S.OPEN,
        exchange_order_id=ExchangeOrderId(f"{number + 1}"),
        acknowledged_at=NOW,
    )
    venue.put(order)
    return order


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    """Every statement sent to a database within the block."""
    statements: list[str] = []

    def count(connection: object, cursor: object, statement: str, *rest: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", count)


async def act(sync: Sync, venue: Venue, what: Act, key: str) -> None:
    """One order comes into the state in which the restart meets it."""
    now, name = sync.clock.now(), make_intent(key).client_order_id
    async with sync.database.begin() as tx:
        await tx.orders.add(make_own_order(key, created_at=now, updated_at=now))
        await tx.intents.add(make_intent(key, created_at=now))
    if what is Act.PREPARED:
        return
    if what in ANSWERS:
        venue.answers = [ANSWERS[what]]
    if what in {Act.ARRIVED_UNANSWERED, Act.NEVER_ARRIVED}:
        venue.failing["fetch_order"] = venue.failing["fetch_open_orders"] = AWAY
    order = await sync.synchronizer.place_order(ACCOUNT, name)
    venue.answers = []
    if order.status is not S.OPEN:
        return
    if what in {Act.CANCELED, Act.CANCEL_UNANSWERED}:
        venue.cancel_answer = NO_ANSWER if what is Act.CANCEL_UNANSWERED else None
        await sync.synchronizer.cancel_order(ACCOUNT, name)
    elif what in SHARES:
        fill(venue, venue.orders[order.exchange_order_id or ""], SHARES[what])
        await sync.synchronizer.sync_now(ACCOUNT)
        await eventually(lambda: has_filled(sync, name))


async def has_filled(sync: Sync, name: ClientOrderId) -> bool:
    async with sync.database.read() as tx:
        return bool((await tx.orders.load(ACCOUNT, name)).filled_quantity)


def fill(venue: Venue, order: Order, quantity: Decimal) -> None:
    """So much of it is executed."""
    status = S.FILLED if quantity == order.quantity else S.PARTIALLY_FILLED
    now = datetime.now(UTC)
    venue.put(replace(order, status=status, filled_quantity=quantity, updated_at=now))
    venue.fills.append(
        make_fill(
            len(venue.fills) + 1,
            exchange_order_id=order.exchange_order_id,
            client_order_id=order.client_order_id,
            quantity=quantity,
            occurred_at=now,
        )
    )


async def until_settled(sync: Sync, venue: Venue) -> None:
    """As far as the venue tells."""

    async def is_settled() -> bool:
        async with sync.database.read() as tx:
            left = {order.status for order in await tx.orders.unsettled(ACCOUNT)}
        return not left & UNSETTLED

    await sync.synchronizer.sync_now(ACCOUNT)
    if not venue.failing and venue.cancel_answer is None:
        await eventually(is_settled)


async def stored_now(sync: Sync) -> Stored:
    async with sync.database.read() as tx:
        return await stored(tx)


async def stored(tx: UnitOfWork) -> Stored:
    rows = {}
    for table in (fills, positions):
        every = select(table).order_by(*table.primary_key)
        rows[table.name] = tuple(map(tuple, await tx.statements.rows(every)))
    known = map(ORDER.read, await tx.statements.rows(select(*ORDER.columns)))
    return Stored({order.key: order for order in known}, rows)


def expect_the_same(before: Stored, after: Stored, venue: Venue) -> None:
    """What was certain is as it was; what was not is what the venue has, or still uncertain."""
    assert after.rows == before.rows
    assert after.orders.keys() == before.orders.keys()
    there = {order.client_order_id: order for order in venue.orders.values()}
    for key, known in before.orders.items():
        found = after.orders[key]
        if known.status not in UNSETTLED:
            assert found == known
        elif found.status not in UNSETTLED:
            true = there.get(known.client_order_id)
            ends = {S.NOT_PLACED, S.WITHDRAWN} if true is None else {true.status}
            assert found.status in ends
