"""Orders through the running synchronizer, on both databases: sent once, never lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from prometheus_client import REGISTRY

from alphapulse.database.connection import open_database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain import order_states
from alphapulse.domain.balance import Wallet
from alphapulse.domain.events import OrderAlarm, OrderAlarmed
from alphapulse.domain.identifiers import ClientOrderId, ExchangeOrderId
from alphapulse.domain.order import Order, OrderStatus
from alphapulse.domain.trading import CycleOutcome, TradingMode, TradingSwitch
from alphapulse.errors import (
    Conflict,
    ExchangeUnavailable,
    InsufficientFunds,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderRejected,
)
from alphapulse.exchanges.port import PrivateUpdate
from alphapulse.pipeline.execution.settings import ExecutionSettings
from alphapulse.runtime.clock import SystemClock
from tests.builders import (
    ACCOUNT,
    BINANCE,
    make_account,
    make_balance,
    make_fill,
    make_intent,
    make_order,
    make_own_order,
    make_user,
)
from tests.eventually import eventually
from tests.fixtures.scripted_exchange import Answer, ScriptedProvider, Venue
from tests.fixtures.sync import QUICK_EXECUTION, Sync, running_sync

S = OrderStatus
NO_ANSWER = OrderOutcomeUnknown("no answer in time")


class Trading:
    """One account, its scripted venue and what is stored."""

    def __init__(self, venue: Venue, sync: Sync) -> None:
        self.venue = venue
        self.sync = sync

    async def prepare(self, key: str = "key-1") -> ClientOrderId:
        """T1: an intent, durable and not sent."""
        now = SystemClock().now()
        order, intent = make_own_order(key), make_intent(key, created_at=now)
        async with self.sync.database.begin() as tx:
            await tx.orders.add(replace(order, created_at=now, updated_at=now))
            await tx.intents.add(intent)
        return intent.client_order_id

    async def place(self, key: str = "key-1") -> Order:
        name = await self.prepare(key)
        return await self.sync.synchronizer.place_order(ACCOUNT, name)

    async def order(self, key: str = "key-1") -> Order:
        async with self.sync.database.read() as tx:
            return await tx.orders.load(ACCOUNT, make_intent(key).client_order_id)

    async def becomes(self, status: OrderStatus, key: str = "key-1") -> Order:
        async def is_so() -> bool:
            return (await self.order(key)).status is status

        await eventually(is_so)
        return await self.order(key)

    def alarms(self) -> list[OrderAlarm]:
        return [event.alarm for event in self.sync.bus.of(OrderAlarmed) if not event.is_over]


def make_venue() -> Venue:
    venue = Venue()
    venue.balances = (make_balance("USDT", "200000"), make_balance("BTC", "1"))
    return venue


@asynccontextmanager
async def trading_on(
    settings: DatabaseSettings, venue: Venue, execution: ExecutionSettings = QUICK_EXECUTION
) -> AsyncIterator[Trading]:
    provider = ScriptedProvider(venue)
    async with running_sync(settings, provider, make_account(), execution=execution) as sync:
        async with sync.database.begin() as tx:
            if not await tx.users.count():
                await tx.users.add(make_user(), "hash")
        await eventually(lambda: sync.synchronizer.takes_orders(ACCOUNT))
        yield Trading(venue, sync)


@pytest.fixture
async def trading(database_settings: DatabaseSettings) -> AsyncIterator[Trading]:
    async with trading_on(database_settings, make_venue()) as running:
        yield running


async def test_an_order_is_sent_once_and_is_open(trading: Trading) -> None:
    order = await trading.place()
    assert (order.status, order.status_reason, order.exchange_order_id) == (S.OPEN, None, "1")
    assert order.sent_at is not None
    assert order.acknowledged_at is not None
    assert [name for _, name in trading.venue.placed] == [order.client_order_id]


async def test_asking_again_and_again_sends_once(trading: Trading) -> None:
    name = await trading.prepare()
    place = trading.sync.synchronizer.place_order
    answers = await asyncio.gather(*(place(ACCOUNT, name) for _ in range(20)))
    assert {order.status for order in answers} == {S.OPEN}
    assert await place(ACCOUNT, name) == answers[0]
    assert len(trading.venue.placed) == 1


async def test_a_caller_that_goes_away_does_not_stop_the_send(
    database_settings: DatabaseSettings,
) -> None:
    impatient = QUICK_EXECUTION.model_copy(update={"send_timeout_s": 0.2})
    async with trading_on(database_settings, make_venue(), impatient) as trading:
        trading.venue.hanging.add("prepare_order")
        name = await trading.prepare()
        caller = asyncio.create_task(trading.sync.synchronizer.place_order(ACCOUNT, name))
        await eventually(lambda: trading.venue.calls["prepare_order"])
        caller.cancel()
        await trading.becomes(S.WITHDRAWN)  # leverage was not confirmed in time
        assert trading.venue.placed == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OrderRejected("post only"), "post only"),
        (
            InsufficientFunds("not enough", venue_message="Margin is low.", venue_code="-2019"),
            "not enough (the exchange: Margin is low. -2019)",
        ),
    ],
)
async def test_a_definitive_refusal_is_rejected_with_its_reason(
    trading: Trading, error: OrderRejected, reason: str
) -> None:
    trading.venue.answers = [Answer(is_taken=False, error=error)]
    order = await trading.place()
    assert (order.status, order.status_reason) == (S.REJECTED, reason)


async def test_an_order_that_never_left_is_withdrawn(trading: Trading) -> None:
    trading.venue.answers = [Answer(is_taken=False, error=OrderNotSent("connection refused"))]
    assert (await trading.place()).status is S.WITHDRAWN


async def test_t01_a_lost_answer_to_an_accepted_order_is_found_and_not_sent_again(
    trading: Trading,
) -> None:
    trading.venue.answers = [Answer(is_taken=True, error=NO_ANSWER)]
    # A poll may find it before its own answer is given up.
    assert (await trading.place()).status in {S.UNKNOWN, S.OPEN}
    found = await trading.becomes(S.OPEN)
    assert found.exchange_order_id == "1"
    assert len(trading.venue.placed) == 1


async def test_t02_an_order_that_was_filled_before_the_look_is_found(trading: Trading) -> None:
    trading.venue.answers = [Answer(is_taken=True, error=NO_ANSWER)]
    trading.venue.failing["fetch_order"] = ExchangeUnavailable("no")
    await trading.place()
    (placed,) = trading.venue.open_orders
    trading.venue.put(
        replace(placed, status=S.FILLED, filled_quantity=Decimal(2), updated_at=datetime.now(UTC))
    )
    del trading.venue.failing["fetch_order"]
    assert (await trading.becomes(S.FILLED)).filled_quantity == Decimal(2)
    assert len(trading.venue.placed) == 1


async def test_an_order_that_never_arrived_is_proved_absent_and_not_before_its_time(
    trading: Trading,
) -> None:
    trading.venue.answers = [Answer(is_taken=False, error=NO_ANSWER)]
    unknown = await trading.place()
    gone = await trading.becomes(S.NOT_PLACED)
    assert gone.updated_at - unknown.updated_at >= timedelta(seconds=0.3)
    async with trading.sync.database.read() as tx:
        watched = await tx.intents.watched(ACCOUNT, SystemClock().now())
        assert [one.client_order_id for one in watched] == [gone.client_order_id]


async def test_t04_looks_that_fail_prove_nothing(trading: Trading) -> None:
    trading.venue.answers = [Answer(is_taken=True, error=NO_ANSWER)]
    for name in ("fetch_order", "fetch_open_orders"):
        trading.venue.failing[name] = ExchangeUnavailable("DNS is away")
    await trading.place()
    await eventually(lambda: trading.venue.calls["fetch_order"] > 6)
    assert (await trading.order()).status is S.UNKNOWN
    trading.venue.failing.clear()
    await trading.becomes(S.OPEN)


async def test_an_order_proved_absent_that_arrives_after_all_is_tracked_and_said(
    trading: Trading,
) -> None:
    trading.venue.answers = [Answer(is_taken=False, error=NO_ANSWER)]
    await trading.place()
    gone = await trading.becomes(S.NOT_PLACED)
    assert gone.client_order_id is not None
    trading.venue.accept(ACCOUNT, make_intent().request, gone.client_order_id)
    await trading.becomes(S.OPEN)
    assert OrderAlarm.PLACED_AFTER_ALL in trading.alarms()


async def test_an_order_unknown_for_long_is_said(trading: Trading) -> None:
    trading.venue.answers = [Answer(is_taken=True, error=NO_ANSWER)]
    for name in ("fetch_order", "fetch_open_orders"):
        trading.venue.failing[name] = ExchangeUnavailable("no")
    await trading.place()
    await eventually(lambda: OrderAlarm.UNRESOLVED in trading.alarms())


async def test_while_trading_is_halted_nothing_is_sent(trading: Trading) -> None:
    name = await trading.prepare()
    async with trading.sync.database.begin() as tx:
        now = SystemClock().now()
        await tx.switches.save(TradingSwitch(None, TradingMode.HALTED, "storm", None, now))
    order = await trading.sync.synchronizer.place_order(ACCOUNT, name)
    assert (order.status, order.status_reason) == (S.WITHDRAWN, "trading is halted")
    assert trading.venue.placed == []


async def test_another_process_that_sends_for_the_account_keeps_us_from_it(
    database_settings: DatabaseSettings,
) -> None:
    venue = make_venue()
    async with trading_on(database_settings, venue) as trading:
        await trading.place("key-1")
        name = await trading.prepare("key-2")
        async with trading.sync.database.begin() as tx:
            later = SystemClock().now() + timedelta(minutes=5)
            assert await tx.leases.take(ACCOUNT, "another", later, 3600)
        order = await trading.sync.synchronizer.place_order(ACCOUNT, name)
    assert order.status is S.WITHDRAWN
    assert len(venue.placed) == 1


async def test_what_a_run_left_behind_is_known_before_the_next_one_sends(
    database_settings: DatabaseSettings,
) -> None:
    venue = make_venue()
    async with trading_on(database_settings, venue) as trading:
        prepared, sent = await trading.prepare("never sent"), await trading.prepare("sent")
        venue.accept(ACCOUNT, make_intent().request, sent)
        async with trading.sync.database.begin() as tx:
            sending = order_states.moved(
                await tx.orders.load(ACCOUNT, sent), S.SENDING, SystemClock().now()
            )
            await tx.orders.save(sending)
    async with trading_on(database_settings, venue) as trading:
        await trading.becomes(S.OPEN, "sent")
        await trading.becomes(S.WITHDRAWN, "never sent")
        assert (await trading.place("new")).status is S.OPEN
    assert prepared not in [name for _, name in venue.placed]
    assert len(venue.placed) == 1


async def test_nothing_is_concluded_of_orders_that_another_process_may_be_sending(
    database_settings: DatabaseSettings,
) -> None:
    venue, now = make_venue(), SystemClock().now()
    async with trading_on(database_settings, venue) as trading:
        name = await trading.prepare("theirs")
    async with (
        open_database(database_settings, name="another") as database,
        database.begin() as tx,
    ):
        later = now + timedelta(minutes=5)
        lease = await tx.leases.take(ACCOUNT, "another", later, 3600)
        assert lease is not None
        order = await tx.orders.load(ACCOUNT, name)
        await tx.orders.save(order_states.moved(order, S.SENDING, now))
        intent = await tx.intents.load(name)
        await tx.intents.save(intent.claimed(lease.fence, now, now))
    async with running_sync(database_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: venue.opened > 3)
        for _ in range(5):
            await sync.synchronizer.reconcile(ACCOUNT)
        assert not sync.synchronizer.takes_orders(ACCOUNT)
        assert (await Trading(venue, sync).order("theirs")).status is S.SENDING


async def test_nothing_is_concluded_without_the_lease(trading: Trading) -> None:
    clock, reconcile = SystemClock(), trading.sync.synchronizer.reconcile
    trading.venue.failing["fetch_order"] = ExchangeUnavailable("no")
    trading.venue.answers = [Answer(is_taken=False, error=NO_ANSWER)]
    order = await trading.place()
    async with trading.sync.database.begin() as tx:
        later = clock.now() + timedelta(minutes=5)
        assert await tx.leases.take(ACCOUNT, "another", later, 3600)
        intent = await tx.intents.load(ClientOrderId(order.key))
    trading.venue.failing.clear()
    await eventually(lambda: intent.arrives_before and clock.now() > intent.arrives_before)
    for _ in range(5):
        await reconcile(ACCOUNT)
    assert (await trading.order()).status is S.UNKNOWN
    async with trading.sync.database.begin() as tx:
        await tx.leases.give_back(ACCOUNT, "another", clock.now())
    await trading.becomes(S.NOT_PLACED)


async def test_a_claim_that_was_written_and_not_acknowledged_is_looked_for(
    trading: Trading,
) -> None:
    name, now = await trading.prepare(), SystemClock().now()
    async with trading.sync.database.begin() as tx:
        intent = await tx.intents.load(name)
        await tx.intents.save(intent.claimed(1, now, now))
        order = await tx.orders.load(ACCOUNT, name)
        await tx.orders.save(order_states.moved(order, S.SENDING, now))
    gone = await trading.becomes(S.NOT_PLACED)
    assert gone.updated_at - now >= timedelta(seconds=0.3)
    assert trading.venue.placed == []


async def test_a_cancel_ends_the_order_at_the_venue(trading: Trading) -> None:
    order = await trading.place()
    canceled = await trading.sync.synchronizer.cancel_order(ACCOUNT, order.key)
    assert canceled.status is S.CANCELED
    again = await trading.sync.synchronizer.cancel_order(ACCOUNT, order.key)
    assert again == canceled
    async with trading.sync.database.read() as tx:
        steps = (await tx.orders.events(ACCOUNT, [order.key]))[order.key]
    assert [step.status for step in steps] == [
        "prepared", "sending", "open", "cancel_pending", "canceled",
    ]  # fmt: skip


async def test_a_cancel_without_an_answer_is_asked_again_until_the_order_has_ended(
    trading: Trading,
) -> None:
    order = await trading.place()
    trading.venue.cancel_answer = OrderOutcomeUnknown("no answer in time")
    pending = await trading.sync.synchronizer.cancel_order(ACCOUNT, order.key)
    assert pending.status is S.CANCEL_PENDING
    trading.venue.cancel_answer = None
    await trading.becomes(S.CANCELED)


async def test_a_refused_cancel_leaves_the_order_open(trading: Trading) -> None:
    order = await trading.place()
    trading.venue.cancel_answer = OrderRejected("not now")
    with pytest.raises(OrderRejected):
        await trading.sync.synchronizer.cancel_order(ACCOUNT, order.key)
    assert (await trading.order()).status is S.OPEN


async def test_cancel_all_ends_orders_of_others_too(trading: Trading) -> None:
    await trading.place()
    trading.venue.put(make_order(77))
    await trading.sync.synchronizer.reconcile(ACCOUNT)
    ended = await trading.sync.synchronizer.cancel_all(ACCOUNT, None)
    assert {order.status for order in ended} == {S.CANCELED}
    assert len(ended) == 2


async def test_an_amended_order_is_what_the_venue_shows(trading: Trading) -> None:
    order = await trading.place()
    amended = await trading.sync.synchronizer.amend_order(
        ACCOUNT, order.key, Decimal(1), Decimal(63000)
    )
    assert (amended.quantity, amended.limit_price) == (Decimal(1), Decimal(63000))
    assert trading.venue.amended == [(Decimal(1), Decimal(63000))]


async def test_a_fill_beyond_the_old_quantity_may_be_told_before_the_amendment(
    trading: Trading,
) -> None:
    order = await trading.place()
    trading.venue.failing["amend_order"] = NO_ANSWER
    amended = await trading.sync.synchronizer.amend_order(ACCOUNT, order.key, Decimal(5), None)
    assert (amended.quantity, amended.amending_to) == (Decimal(2), Decimal(5))
    now = datetime.now(UTC)
    number = ExchangeOrderId("1")
    fill = make_fill(1, exchange_order_id=number, quantity=Decimal(3), occurred_at=now)
    trading.venue.fills.append(fill)
    await trading.sync.synchronizer.sync_now(ACCOUNT)
    known = await trading.becomes(S.PARTIALLY_FILLED)
    assert (known.filled_quantity, known.quantity) == (Decimal(3), Decimal(5))
    assert trading.alarms() == []


async def test_a_refused_amendment_is_over(trading: Trading) -> None:
    order = await trading.place()
    trading.venue.failing["amend_order"] = OrderRejected("too much")
    with pytest.raises(OrderRejected):
        await trading.sync.synchronizer.amend_order(ACCOUNT, order.key, Decimal(5), None)
    assert (await trading.order()).amending_to is None


async def test_an_ended_order_is_not_amended(trading: Trading) -> None:
    order = await trading.place()
    await trading.sync.synchronizer.cancel_order(ACCOUNT, order.key)
    with pytest.raises(Conflict):
        await trading.sync.synchronizer.amend_order(ACCOUNT, order.key, Decimal(1), None)
    assert trading.venue.amended == []


async def test_t05_a_fill_after_the_end_moves_the_order_and_is_said(trading: Trading) -> None:
    order = await trading.place()
    await trading.sync.synchronizer.cancel_order(ACCOUNT, order.key)
    late = make_fill(
        1,
        exchange_order_id=ExchangeOrderId("1"),
        quantity=Decimal("0.5"),
        occurred_at=datetime.now(UTC),
    )
    trading.venue.fills.append(late)
    await trading.sync.synchronizer.sync_now(ACCOUNT)

    async def is_counted() -> bool:
        return (await trading.order()).filled_quantity == Decimal("0.5")

    await eventually(is_counted)
    assert (await trading.order()).status is S.CANCELED
    assert OrderAlarm.LATE_FILL in trading.alarms()
    assert len(trading.venue.placed) == 1


@pytest.mark.parametrize("way", ["stream", "poll"])
async def test_a_fill_that_is_told_with_other_numbers_is_said_once(
    trading: Trading, way: str
) -> None:
    await trading.place()
    now, number = datetime.now(UTC), ExchangeOrderId("1")
    first = make_fill(1, exchange_order_id=number, quantity=Decimal(1), occurred_at=now)
    other = replace(first, quantity=Decimal("1.5"))
    for told in (first, other, other):
        if way == "stream":
            assert trading.venue.private is not None
            await trading.venue.private(PrivateUpdate(fills=(told,)))
        else:
            trading.venue.fills = [told]
            await trading.sync.synchronizer.reconcile(ACCOUNT)
    known = await trading.becomes(S.QUARANTINED)
    assert (known.filled_quantity, known.status_reason) == (
        Decimal(1),
        "the venue told the trade 1 in two ways",
    )
    assert trading.alarms().count(OrderAlarm.QUARANTINED) == 1


async def test_an_order_of_our_name_without_a_record_is_a_lost_intent(trading: Trading) -> None:
    name = make_intent("forgotten").client_order_id
    trading.venue.accept(ACCOUNT, make_intent().request, name)
    await trading.sync.synchronizer.reconcile(ACCOUNT)
    assert OrderAlarm.LOST_INTENT in trading.alarms()


async def test_balances_that_no_fill_explains_are_a_drift(trading: Trading) -> None:
    reconcile = trading.sync.synchronizer.reconcile
    await eventually(lambda: trading.venue.calls["fetch_balances"] > 3)
    assert (await reconcile(ACCOUNT)).outcome is CycleOutcome.CLEAN
    trading.venue.balances = (make_balance("USDT", "199999"), make_balance("BTC", "1"))
    for _ in range(5):
        report = await reconcile(ACCOUNT)
    assert (report.outcome, report.differences) == (CycleOutcome.DRIFT, 1)
    assert report.detail is not None
    assert "USDT -1" in report.detail
    assert trading.alarms().count(OrderAlarm.DRIFT) == 1


async def test_balances_that_a_fill_explains_are_no_drift(trading: Trading) -> None:
    reconcile = trading.sync.synchronizer.reconcile
    await reconcile(ACCOUNT)
    order = await trading.place()
    fill = make_fill(
        1,
        exchange_order_id=ExchangeOrderId("1"),
        client_order_id=order.client_order_id,
        price=Decimal(64000),
        quantity=Decimal("0.5"),
        fee=Decimal("0.0005"),
        fee_asset="BTC",
        occurred_at=datetime.now(UTC),
    )
    trading.venue.fills.append(fill)
    trading.venue.balances = (
        make_balance("USDT", "168000"),
        make_balance("BTC", "1.4995", wallet=Wallet.SPOT),
    )
    await trading.sync.synchronizer.sync_now(ACCOUNT)
    for _ in range(5):
        report = await reconcile(ACCOUNT)
    assert (report.outcome, report.detail) == (CycleOutcome.CLEAN, None)


async def test_a_reconciliation_that_could_not_read_everything_concludes_nothing(
    trading: Trading,
) -> None:
    await trading.sync.synchronizer.reconcile(ACCOUNT)
    trading.venue.balances = ()
    trading.venue.failing["fetch_open_orders"] = ExchangeUnavailable("cut")
    report = await trading.sync.synchronizer.reconcile(ACCOUNT)
    assert report.outcome is CycleOutcome.VOID
    async with trading.sync.database.read() as tx:
        books = await tx.reconciliations.books(ACCOUNT)
    assert not any(book.off_by for book in books)


async def test_an_order_in_doubt_shows_in_the_metrics_and_how_long_each_stage_took(
    trading: Trading,
) -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"alphapulse_{name}", labels) or 0.0

    sends_before = value("order_stage_seconds_count", stage="send")
    trading.venue.answers = [Answer(is_taken=True, error=NO_ANSWER)]
    for name in ("fetch_order", "fetch_open_orders"):
        trading.venue.failing[name] = ExchangeUnavailable("no")
    await trading.place()
    await eventually(lambda: value("orders_unknown", exchange=BINANCE) == 1)
    await eventually(lambda: value("orders_unknown_age_seconds", exchange=BINANCE) > 0)
    assert value("order_stage_seconds_count", stage="send") == sends_before + 1
    trading.venue.failing.clear()
    await eventually(lambda: value("orders_unknown", exchange=BINANCE) == 0)
