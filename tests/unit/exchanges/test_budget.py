"""Rate budget: reads leave room for orders, the venue's own count is believed, bans hold."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.errors import RateLimited
from alphapulse.exchanges.budget import READ_SHARE, Budgets, KeyBudgets, RateBudget
from alphapulse.exchanges.venues import Limit
from alphapulse.runtime.clock import SystemClock
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


# 50 units a second; an endpoint that costs 5 is allowed 10 requests.
KEY = Limit(50, 1.0, size_header="X-Limit", left_header="X-Left", is_even=True)
FILLS = "/v5/execution/list"


def make_key_budgets(clock: HandClock) -> KeyBudgets:
    return Budgets("bybit", clock, max_wait_s=0.0).of_key("key", KEY)


async def read_for(clock: HandClock, budgets: KeyBudgets, seconds: float) -> list[float]:
    """When each read went out that found the endpoint free, looked at every millisecond."""
    sent: list[float] = []
    for _ in range(round(seconds * 1000)):
        try:
            await budgets.spend(FILLS, 5, urgent=False)
        except RateLimited:
            pass
        else:
            sent.append(clock.monotonic_s())
        clock.advance(0.001)
    return sent


async def test_reads_of_an_endpoint_are_evenly_spaced_before_the_venue_said_anything(
    clock: HandClock,
) -> None:
    sent = await read_for(clock, make_key_budgets(clock), 3)

    assert len(sent) == pytest.approx(3 * 10 * READ_SHARE, abs=1)
    gaps = [later - earlier for earlier, later in pairwise(sent)]
    assert min(gaps) >= 1 / (10 * READ_SHARE) - 1e-9


async def test_the_pace_follows_the_limit_the_venue_tells(clock: HandClock) -> None:
    budgets = make_key_budgets(clock)
    await budgets.spend(FILLS, 5, urgent=False)

    budgets.observe(FILLS, {"X-Limit": "50", "X-Left": "49"})
    assert len(await read_for(clock, budgets, 2)) == pytest.approx(2 * 50 * READ_SHARE, rel=0.1)

    budgets.observe(FILLS, {"X-Limit": "5"})
    clock.advance(1)
    assert len(await read_for(clock, budgets, 2)) == pytest.approx(2 * 5 * READ_SHARE, abs=1)


async def test_a_window_that_another_program_used_up_is_waited_for_exactly(
    clock: HandClock,
) -> None:
    budgets = make_key_budgets(clock)
    await budgets.spend(FILLS, 5, urgent=False)
    clock.advance(0.25)
    budgets.observe(FILLS, {"X-Limit": "50", "X-Left": "0"})
    clock.advance(0.25)

    with pytest.raises(RateLimited) as caught:
        await budgets.spend(FILLS, 5, urgent=False)
    assert caught.value.retry_after_s == pytest.approx(0.75)

    clock.advance(0.75)
    await budgets.spend(FILLS, 5, urgent=False)


async def test_orders_wait_for_no_distance_and_use_what_reads_leave(clock: HandClock) -> None:
    budgets = make_key_budgets(clock)

    for _ in range(10):
        await budgets.spend("/v5/order/create", 5, urgent=True)

    with pytest.raises(RateLimited):
        await budgets.spend("/v5/order/create", 5, urgent=True)
    await budgets.spend("/v5/order/cancel", 5, urgent=True)


async def test_a_limit_of_one_endpoint_holds_up_no_other_and_no_other_key(
    clock: HandClock,
) -> None:
    budgets = Budgets("bybit", clock, max_wait_s=0.0)
    mine, other = budgets.of_key("mine", KEY), budgets.of_key("other", KEY)
    for one in (mine, other):
        await one.spend(FILLS, 5, urgent=False)
    clock.advance(1)

    mine.hold(FILLS, 30)

    with pytest.raises(RateLimited) as caught:
        await mine.spend(FILLS, 5, urgent=False)
    assert caught.value.retry_after_s == pytest.approx(30)
    await mine.spend("/v5/account/wallet-balance", 1, urgent=False)
    await other.spend(FILLS, 5, urgent=False)
    assert budgets.used == 0


async def test_all_who_hold_a_key_share_its_budgets_and_the_last_takes_them_along(
    clock: HandClock,
) -> None:
    budgets = Budgets("bybit", clock, max_wait_s=0.0)
    one, two = budgets.of_key("key", KEY), budgets.of_key("key", KEY)
    await one.spend(FILLS, 5, urgent=False)

    with pytest.raises(RateLimited):
        await two.spend(FILLS, 5, urgent=False)

    del one, two
    await budgets.of_key("key", KEY).spend(FILLS, 5, urgent=False)


async def test_where_costs_are_equal_a_cheap_request_counts_like_any_other(
    clock: HandClock,
) -> None:
    budget = make_budget(clock, Limit(10, 5, costs_are_equal=True))
    for _ in range(8):
        await budget.spend(0.1, urgent=False)

    with pytest.raises(RateLimited):
        await budget.spend(0.1, urgent=False)


async def test_a_wait_is_bounded_as_a_whole_however_often_others_go_first() -> None:
    clock = SystemClock()
    budget = RateBudget("bybit", Limit(1, 0.05, is_even=True), clock, max_wait_s=0.2)

    ends = await asyncio.gather(
        *(budget.spend(1, urgent=False) for _ in range(200)), return_exceptions=True
    )

    refused = [end for end in ends if isinstance(end, RateLimited)]
    assert 0 < len(refused) < 200
    assert all(end is None or isinstance(end, RateLimited) for end in ends)
