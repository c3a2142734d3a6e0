"""What is durable around an order, on both engines."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from alphapulse.database.connection import Database
from alphapulse.database.repositories.idempotency import StoredRequest
from alphapulse.domain import order_states
from alphapulse.domain.identifiers import ExchangeOrderId, Symbol
from alphapulse.domain.order import OrderOrigin, OrderStatus
from alphapulse.domain.trading import TradingLimits, TradingMode, TradingSwitch
from alphapulse.errors import Conflict, NotFound
from tests.builders import (
    ACCOUNT,
    BTC,
    NOW,
    USER,
    make_fill,
    make_intent,
    make_order,
    make_own_order,
    make_request,
    make_user,
)
from tests.integration.database.intents import BOOK, REPORT

SECOND = timedelta(seconds=1)
LATER = NOW + timedelta(minutes=1)

OURS = make_own_order()
SENDING = order_states.moved(OURS, OrderStatus.SENDING, NOW)


@pytest.fixture
async def trading(account_database: Database) -> Database:
    """With a user, an account, and one order of ours that is on its way."""
    async with account_database.begin() as tx:
        await tx.users.add(make_user(), "hash")
        await tx.orders.add(OURS)
        await tx.intents.add(make_intent())
        await tx.orders.save(SENDING)
    return account_database


async def test_an_intent_comes_back_exactly_as_it_was(trading: Database) -> None:
    whole = make_intent(
        "key-2",
        request=make_request(
            quantity=None, quote_quantity=Decimal("0.00000001"), expires_at=LATER, reduce_only=True
        ),
    )
    claimed = whole.claimed(7, NOW, LATER)
    async with trading.begin() as tx:
        await tx.intents.add(whole)
        await tx.intents.save(claimed)
    async with trading.read() as tx:
        assert await tx.intents.load(whole.client_order_id) == claimed


async def test_a_second_intent_of_one_name_is_a_conflict(trading: Database) -> None:
    with pytest.raises(Conflict):
        async with trading.begin() as tx:
            await tx.intents.add(make_intent())


async def test_what_orders_hold_back_is_free_again_when_they_end(trading: Database) -> None:
    async with trading.read() as tx:
        (hold,) = await tx.intents.holds(ACCOUNT)
        assert (hold.asset, hold.amount) == ("USDT", Decimal("128000.20"))
        assert not hold.is_at_venue
        assert await tx.intents.value_undone(NOW, account_id=ACCOUNT) == 0
    async with trading.begin() as tx:
        await tx.orders.save(order_states.moved(SENDING, OrderStatus.REJECTED, LATER, "no funds"))
    async with trading.read() as tx:
        assert await tx.intents.holds(ACCOUNT) == ()
        assert await tx.intents.value_undone(NOW, user_id=USER) == Decimal("128000.20")
        assert await tx.intents.value_undone(LATER, user_id=USER) == 0


async def test_the_venues_word_finds_our_order_by_the_name_we_gave_it(trading: Database) -> None:
    described = make_order(9, client_order_id=OURS.client_order_id, updated_at=LATER)
    async with trading.begin() as tx:
        (change,) = await tx.orders.record([described], LATER)
        assert change.before == SENDING
        assert change.after.status is OrderStatus.OPEN
        assert change.after.origin is OrderOrigin.ALPHAPULSE
        assert change.after.exchange_order_id == "9"
        assert await tx.orders.load(ACCOUNT, OURS.key) == change.after
        assert await tx.orders.record([described], LATER) == ()


async def test_a_second_order_of_one_name_is_kept_and_the_first_is_quarantined(
    trading: Database,
) -> None:
    first = make_order(9, client_order_id=OURS.client_order_id)
    second = make_order(10, client_order_id=OURS.client_order_id)
    async with trading.begin() as tx:
        await tx.orders.record([first], NOW)
        changes = await tx.orders.record([second], NOW)
        assert {(c.after.key, c.after.status) for c in changes} == {
            (OURS.key, OrderStatus.QUARANTINED),
            ("BTC/USDT#10", OrderStatus.OPEN),
        }


async def test_a_fill_told_before_its_order_counts_when_the_order_is_known(
    trading: Database,
) -> None:
    fill = make_fill(1, exchange_order_id=ExchangeOrderId("9"), quantity=Decimal("0.5"))
    async with trading.begin() as tx:
        assert await tx.orders.count_in(await tx.fills.record([fill], NOW), NOW) == ()
        described = make_order(9, client_order_id=OURS.client_order_id)
        (change,) = await tx.orders.record([described], NOW)
        assert change.after.filled_quantity == Decimal("0.5")
        assert change.after.status is OrderStatus.PARTIALLY_FILLED


async def test_a_fill_finds_an_order_that_the_venue_has_not_named_yet(trading: Database) -> None:
    fill = make_fill(
        1,
        exchange_order_id=ExchangeOrderId("9"),
        client_order_id=OURS.client_order_id,
        quantity=Decimal(2),
    )
    async with trading.begin() as tx:
        (change,) = await tx.orders.count_in(await tx.fills.record([fill], NOW), NOW)
        assert change.after.status is OrderStatus.FILLED
        assert change.after.average_price == fill.price


async def test_a_fill_of_another_symbol_with_the_same_number_is_not_counted(
    trading: Database,
) -> None:
    other = make_fill(1, symbol=Symbol("ETH/USDT"), quantity=Decimal(1))
    async with trading.begin() as tx:
        await tx.orders.record([make_order(1)], NOW)
        assert await tx.orders.count_in(await tx.fills.record([other], NOW), NOW) == ()


async def test_every_step_of_an_order_is_kept(trading: Database) -> None:
    described = make_order(9, client_order_id=OURS.client_order_id, updated_at=LATER)
    async with trading.begin() as tx:
        await tx.orders.record([described], LATER)
    async with trading.read() as tx:
        steps = (await tx.orders.events(ACCOUNT, [OURS.key]))[OURS.key]
    assert [step.status for step in steps] == ["prepared", "sending", "open"]


async def test_the_step_of_an_order_that_is_not_there_is_not_found(trading: Database) -> None:
    with pytest.raises(NotFound):
        async with trading.begin() as tx:
            await tx.orders.save(make_own_order("never"))


async def test_orders_that_have_not_ended_for_certain_are_unsettled(trading: Database) -> None:
    unknown = order_states.moved(SENDING, OrderStatus.UNKNOWN, NOW, "no answer")
    async with trading.begin() as tx:
        await tx.orders.save(unknown)
        await tx.orders.record([make_order(1)], NOW)
        assert await tx.orders.unsettled(ACCOUNT) == (unknown,)
        await tx.orders.save(order_states.moved(unknown, OrderStatus.NOT_PLACED, LATER))
        assert await tx.orders.unsettled(ACCOUNT) == ()


async def test_a_key_is_taken_once_and_keeps_its_answer(trading: Database) -> None:
    request = StoredRequest(USER, "k", "hash", "process-1", NOW)
    async with trading.begin() as tx:
        await tx.idempotency_keys.add(request)
        await tx.idempotency_keys.save(replace(request, subject="ap1", status=201, body="{}"))
    with pytest.raises(Conflict):
        async with trading.begin() as tx:
            await tx.idempotency_keys.add(request)
    async with trading.begin() as tx:
        found = await tx.idempotency_keys.find(USER, "k")
        assert found is not None
        assert (found.status, found.body, found.subject) == (201, "{}", "ap1")
        assert await tx.idempotency_keys.forget_before(LATER) == 1
        assert await tx.idempotency_keys.find(USER, "k") is None


async def test_a_key_is_kept_as_long_as_its_order_lives(trading: Database) -> None:
    subject = f"{ACCOUNT}.{OURS.key}"
    async with trading.begin() as tx:
        await tx.idempotency_keys.add(StoredRequest(USER, "k", "hash", "p", NOW, subject))
        assert await tx.idempotency_keys.forget_before(LATER) == 0
        await tx.orders.save(order_states.moved(SENDING, OrderStatus.REJECTED, LATER, "no"))
        assert await tx.idempotency_keys.forget_before(LATER) == 1


async def test_a_lease_has_one_holder_and_a_new_holder_a_higher_number(trading: Database) -> None:
    async with trading.begin() as tx:
        first = await tx.leases.take(ACCOUNT, "one", NOW, 30)
        assert first is not None
        assert first.fence == 1
        assert await tx.leases.take(ACCOUNT, "two", NOW + SECOND, 30) is None
        renewed = await tx.leases.take(ACCOUNT, "one", NOW + SECOND, 30)
        assert renewed is not None
        assert renewed.fence == 1

        second = await tx.leases.take(ACCOUNT, "two", LATER, 30)
        assert second is not None
        assert second.fence == 2
        await tx.leases.give_back(ACCOUNT, "two", LATER)
        third = await tx.leases.take(ACCOUNT, "two", LATER + SECOND, 30)
        assert third is not None
        assert third.fence == 3


async def test_the_stricter_switch_counts(trading: Database) -> None:
    async with trading.begin() as tx:
        assert await tx.switches.mode_of(ACCOUNT) is TradingMode.ACTIVE
        await tx.switches.save(TradingSwitch(None, TradingMode.REDUCING, "storm", None, NOW))
        assert await tx.switches.mode_of(ACCOUNT) is TradingMode.REDUCING
        await tx.switches.save(TradingSwitch(ACCOUNT, TradingMode.HALTED, "odd", USER, NOW))
        await tx.switches.save(TradingSwitch(None, TradingMode.ACTIVE, "over", USER, NOW))
        assert await tx.switches.mode_of(ACCOUNT) is TradingMode.HALTED


async def test_limits_and_what_the_day_used_of_them_come_back(trading: Database) -> None:
    limits = TradingLimits(
        max_daily_value=Decimal("1000.5"), orders_per_minute=6, symbols=frozenset({BTC})
    )
    subject = f"account:{ACCOUNT}"
    async with trading.begin() as tx:
        assert await tx.limits.load(subject) is None
        assert await tx.limits.used(subject, "2026-11-23") == 0
        await tx.limits.save(subject, limits, 3, USER, NOW)
        await tx.limits.use(subject, "2026-11-23", Decimal("0.00000001"))
    async with trading.read() as tx:
        assert await tx.limits.load(subject) == (limits, 3)
        assert await tx.limits.used(subject, "2026-11-23") == Decimal("0.00000001")
        assert await tx.limits.used(subject, "2026-11-24") == 0


async def test_reports_and_books_of_a_reconciliation_come_back(trading: Database) -> None:
    async with trading.begin() as tx:
        await tx.reconciliations.add(REPORT)
        await tx.reconciliations.add(replace(REPORT, cause="timer"))
        await tx.reconciliations.replace_books(ACCOUNT, [BOOK])
        await tx.reconciliations.replace_books(
            ACCOUNT, [replace(BOOK, cycles_off=2, off_by=Decimal("0.5"))]
        )
        await tx.reconciliations.prune(ACCOUNT)
    async with trading.read() as tx:
        found = await tx.reconciliations.list(ACCOUNT, 10)
        assert [one.cause for one in found] == ["timer", "boot"]
        assert await tx.reconciliations.books(ACCOUNT) == (
            replace(BOOK, cycles_off=2, off_by=Decimal("0.5")),
        )
