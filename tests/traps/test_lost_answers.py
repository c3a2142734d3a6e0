"""Traps around an answer that never came: looked for and found, never sent again."""

import asyncio
import sqlite3
from decimal import Decimal
from typing import Any

import pytest
from loguru import logger

from alphapulse.database.adapters.folder import SqliteFiles
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.order import OrderStatus, OrderType, Side
from alphapulse.errors import DatabaseError
from alphapulse.simulator.faults.answers import MissingFields
from alphapulse.simulator.faults.fault import Match, When
from alphapulse.simulator.faults.requests import (
    Garbled,
    Latency,
    Reset,
    Status,
    Timeout,
    Truncated,
    VenueError,
)
from alphapulse.simulator.faults.script import Fault
from alphapulse.simulator.simulator import Simulator
from tests.eventually import eventually
from tests.traps.customer import CREATE_PATHS, Customer, customer_of

S = OrderStatus
MARKET: dict[str, Any] = {"type": OrderType.MARKET, "limit_price": None, "time_in_force": None}


def create(customer: Customer) -> Match:
    return Match(venue=customer.venue, method="POST", path=CREATE_PATHS[customer.venue])


def lost_answers(match: Match) -> dict[str, Fault]:
    """Ways in which a request is executed and its client learns nothing of it."""
    return {
        "timeout": Timeout(match=match, when=When.AFTER, hold_s=0.2),
        "reset": Reset(match=match, when=When.AFTER),
        "gateway": Status(match=match, when=When.AFTER, status=504, body="<html>"),
        "truncated": Truncated(match=match),
    }


def answers_without_id(match: Match) -> dict[str, Fault]:
    return {
        "html": Garbled(match=match, when=When.AFTER, body="html"),
        "empty": Garbled(match=match, when=When.AFTER, body="empty"),
        "null": Garbled(match=match, when=When.AFTER, body="null"),
        "object": Garbled(match=match, when=When.AFTER, body="object"),
        "no id": MissingFields(match=match, fields=("orderId",)),
    }


async def test_t01_an_order_whose_answer_is_lost_is_placed_once(customer: Customer) -> None:
    customer.silence_stream()
    for key, fault in lost_answers(create(customer)).items():
        customer.fault(fault)
        # A listing that is read at this moment may tell of it before the answer is given up.
        assert (await customer.place(key)).status in {S.UNKNOWN, S.OPEN}, key
        again = await customer.sync.synchronizer.place_order(customer.account, customer.names[key])
        assert again.status in {S.UNKNOWN, S.OPEN}
    for key in lost_answers(create(customer)):
        found = await customer.becomes(S.OPEN, key)
        (placed,) = customer.at_venue(key)
        assert found.quantity == placed.quantity
        assert found.exchange_order_id is not None


async def test_t02_an_order_filled_before_the_look_is_found_and_not_repeated(
    customer: Customer,
) -> None:
    # No stream tells of it, and the look by name is denied at first, as on a venue that lags.
    customer.silence_stream()
    customer.fault(Reset(match=create(customer), when=When.AFTER))
    code = {"binance": -2013, "bybit": 110001}[customer.venue]
    path = {"binance": "*/api/v3/order", "bybit": "*/v5/order/realtime"}[customer.venue]
    denial = VenueError(
        match=Match(venue=customer.venue, method="GET", path=path),
        code=code,
        message="Order does not exist.",
        count=2,
    )
    customer.fault(denial)

    assert (await customer.place(**MARKET)).status in {S.UNKNOWN, S.FILLED}
    (placed,) = customer.at_venue()
    assert placed.filled_quantity == Decimal("0.001")

    found = await customer.becomes(S.FILLED)
    assert found.filled_quantity == Decimal("0.001")
    assert len(customer.at_venue()) == 1


async def hold(file: object) -> sqlite3.Connection:
    """Another process has the database to itself; until `close`."""

    def begin() -> sqlite3.Connection:
        holder = sqlite3.connect(str(file), isolation_level=None, check_same_thread=False)
        holder.execute("PRAGMA busy_timeout = 60000")
        holder.execute("BEGIN EXCLUSIVE")
        return holder

    return await asyncio.to_thread(begin)


async def test_t03_a_locked_database_sends_nothing_and_loses_no_answer(
    venue: str, simulator: Simulator, sqlite_settings: DatabaseSettings
) -> None:
    impatient = sqlite_settings.model_copy(update={"busy_timeout_s": 0.1, "pool_timeout_s": 0.5})
    money = SqliteFiles.of(sqlite_settings.url).money
    async with customer_of(venue, simulator, impatient) as customer:
        name = await customer.prepare("before")
        holder = await hold(money)
        # Another task of ours may hold back the claim for longer: every try must end so.
        with pytest.raises(DatabaseError):
            await customer.sync.synchronizer.place_order(customer.account, name)
        assert customer.at_venue("before") == []
        with pytest.raises(DatabaseError):
            await customer.prepare("not durable")
        holder.close()
        assert (await customer.order("before")).status is S.PREPARED
        assert customer.at_venue("before") == []

        late = Latency(match=create(customer), when=When.AFTER, delay_s=1.0)
        customer.fault(late)
        sending = asyncio.create_task(customer.place("after"))
        await eventually(lambda: "after" in customer.names and customer.at_venue("after"))
        holder = await hold(money)
        unwritten: list[str] = []
        said = logger.add(lambda line: unwritten.append(line.record["name"] or ""), level="ERROR")
        await eventually(lambda: any(name.endswith("sender") for name in unwritten))
        logger.remove(said)
        holder.close()
        await sending
        found = await customer.becomes(S.OPEN, "after")
        assert found.exchange_order_id is not None
        assert len(customer.at_venue("after")) == 1
        await customer.is_sound()


async def test_t04_an_outage_after_the_send_ends_no_order(customer: Customer) -> None:
    customer.silence_stream()
    away = Match(venue=customer.venue, method="GET")
    customer.fault(Reset(match=create(customer), when=When.AFTER, count=2))
    await customer.place("resting")
    outage = customer.simulator.faults.add(Status(match=away, status=503, count=None))
    await eventually(lambda: outage.struck > 20)
    assert (await customer.order("resting")).status in {S.UNKNOWN, S.OPEN}
    assert len(customer.at_venue("resting")) == 1

    # While nothing can be reached the venue fills it: nobody hears of that either.
    customer.move_price("0.95")
    await eventually(lambda: customer.at_venue("resting")[0].fills)
    customer.simulator.faults.clear()
    assert (await customer.becomes(S.FILLED, "resting")).filled_quantity == Decimal("0.001")


async def test_t10_an_answer_without_an_id_is_unknown_and_never_a_row_without_one(
    customer: Customer,
) -> None:
    customer.silence_stream()
    for key, fault in answers_without_id(create(customer)).items():
        customer.fault(fault)
        order = await customer.place(key, side=Side.BUY)
        assert order.status in {S.UNKNOWN, S.OPEN}, key
        assert (order.exchange_order_id is None) == (order.status is S.UNKNOWN), key
    ids = set()
    for key in answers_without_id(create(customer)):
        found = await customer.becomes(S.OPEN, key)
        assert len(customer.at_venue(key)) == 1
        ids.add(found.exchange_order_id)
    assert None not in ids
    assert len(ids) == len(answers_without_id(create(customer)))
