"""Rate budget: reads leave room for orders, the venue's own count is believed, bans hold."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.errors import RateLimited
from alphapulse.exchanges.budget import READ_SHARE, Budgets, RateBudget
from alphapulse.exchanges.venues import Limit
from tests.fixtures.clock import HandClock

MINUTE = Limit(100, 60, used_header="X-Used")


def make_budget(clock: HandClock, limit: Limit = MINUTE) -> RateBudget:
    return RateBudget("binance", limit, clock, max_wait_s=0.0)


async def test_reads_stop_where_the_reserve_for_orders_begins(clock: HandClock) -> None:
    budget = make_budget(clock)
    for _ in range(8):
        await budget.spend(10, urgent=False)

    with pytest.raises(RateLimited):
        await budget.spend(1, urgent=False)
    await budget.spend(20, urgent=True)
    with pytest.raises(RateLimited):
        await budget.spend(1, urgent=True)
    assert budget.used == 1


async def test_what_was_sent_is_forgotten_when_its_window_is_over(clock: HandClock) -> None:
    budget = make_budget(clock)
    await budget.spend(50, urgent=False)
    clock.advance(30)
    await budget.spend(30, urgent=False)

    with pytest.raises(RateLimited) as caught:
        await budget.spend(10, urgent=False)
    assert caught.value.retry_after_s == pytest.approx(30)

    clock.advance(30)
    await budget.spend(50, urgent=False)
    assert budget.used == Decimal("0.8")


async def test_the_venue_is_believed_where_it_counts_more(clock: HandClock) -> None:
    budget = make_budget(clock)
    await budget.spend(1, urgent=False)

    budget.observe({"X-Used": "79"})
    assert budget.used == Decimal("0.79")
    budget.observe({"X-Used": "5"})
    assert budget.used == Decimal("0.79")
    budget.observe({"X-Used": "nonsense"})

    with pytest.raises(RateLimited):
        await budget.spend(2, urgent=False)


async def test_a_hold_stops_orders_too_until_it_is_over(clock: HandClock) -> None:
    budget = make_budget(clock)
    budget.hold(30)
    budget.hold(5)  # a shorter one does not end it

    with pytest.raises(RateLimited) as caught:
        await budget.spend(1, urgent=True)
    assert caught.value.retry_after_s == pytest.approx(30)
    assert budget.used == 1

    clock.advance(30)
    await budget.spend(1, urgent=True)


async def test_a_ban_holds_every_limit_of_the_exchange(clock: HandClock) -> None:
    budgets = Budgets("binance", clock, max_wait_s=0.0)
    spot, futures = budgets.of("binance", MINUTE), budgets.of("binanceusdm", MINUTE)

    budgets.hold(10)

    for budget in (spot, futures, budgets.of("made later", MINUTE)):
        with pytest.raises(RateLimited):
            await budget.spend(1, urgent=True)


async def test_accounts_of_one_exchange_share_its_budget(clock: HandClock) -> None:
    budgets = Budgets("binance", clock, max_wait_s=0.0)
    await budgets.of("binance", MINUTE).spend(80, urgent=False)

    with pytest.raises(RateLimited):
        await budgets.of("binance", MINUTE).spend(1, urgent=False)
    assert budgets.used == Decimal("0.8")


async def test_a_request_larger_than_the_budget_goes_when_all_of_it_is_free(
    clock: HandClock,
) -> None:
    budget = make_budget(clock)

    await budget.spend(500, urgent=False)

    with pytest.raises(RateLimited):
        await budget.spend(1, urgent=False)


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(1, 30)), max_size=60))
def test_no_window_ever_holds_more_than_reads_may_use(steps: list[tuple[float, int]]) -> None:
    clock = HandClock(datetime(2026, 11, 23, tzinfo=UTC))
    budget = make_budget(clock)
    sent: list[tuple[float, int]] = []
    for pause_s, units in steps:
        clock.advance(pause_s)
        if budget.wait_s(units, urgent=False) == 0:
            budget.take(units)
            sent.append((clock.monotonic_s(), units))

    for at_s, _ in sent:
        window = [units for when_s, units in sent if at_s <= when_s < at_s + 60]
        assert sum(window) <= 100 * READ_SHARE
