"""Rate limits: never more than allowed in any window, and an exact word on when to come back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.errors import TooManyRequests
from alphapulse.security.rate_limit import LoginLimiter, Rate, RateLimiter
from tests.fixtures.clock import HandClock


def test_hits_within_the_rate_count_down_and_the_next_is_refused(clock: HandClock) -> None:
    limiter = RateLimiter(Rate(3, 60), clock)
    assert [limiter.hit("a").remaining for _ in range(3)] == [2, 1, 0]
    with pytest.raises(TooManyRequests):
        limiter.hit("a")
    assert limiter.hit("b").remaining == 2


def test_a_refusal_says_when_the_next_hit_is_free_and_is_right(clock: HandClock) -> None:
    limiter = RateLimiter(Rate(2, 60), clock)
    limiter.hit("a")
    clock.advance(20)
    limiter.hit("a")
    clock.advance(1)
    with pytest.raises(TooManyRequests) as refusal:
        limiter.hit("a")
    assert refusal.value.retry_after_s == 39
    clock.advance(39)
    assert limiter.hit("a").reset_s == 20


def test_asking_again_while_refused_does_not_lengthen_the_wait(clock: HandClock) -> None:
    limiter = RateLimiter(Rate(1, 60), clock)
    limiter.hit("a")
    for _ in range(59):
        clock.advance(1)
        with pytest.raises(TooManyRequests):
            limiter.hit("a")
    clock.advance(1)
    limiter.hit("a")


@given(st.lists(st.floats(0, 30), max_size=60))
def test_no_window_ever_holds_more_than_the_rate(pauses: list[float]) -> None:
    from datetime import UTC, datetime

    clock = HandClock(datetime(2026, 11, 23, tzinfo=UTC))
    limiter = RateLimiter(Rate(5, 60), clock)
    allowed: list[float] = []
    for pause in pauses:
        clock.advance(pause)
        try:
            limiter.hit("a")
        except TooManyRequests:
            continue
        allowed.append(clock.monotonic_s())
    for first, sixth in zip(allowed, allowed[5:], strict=False):
        assert sixth - first >= 60


def test_memory_is_bounded_and_the_longest_unseen_key_goes_first(clock: HandClock) -> None:
    limiter = RateLimiter(Rate(1, 60), clock, capacity_keys=3)
    for key in ("a", "b", "c", "d"):
        limiter.hit(key)
    assert len(limiter._hits) == 3
    limiter.hit("a")
    with pytest.raises(TooManyRequests):
        limiter.hit("d")


def test_guessing_one_name_from_many_addresses_is_slowed(clock: HandClock) -> None:
    logins = LoginLimiter(clock)
    for number in range(5):
        logins.attempt("Alice", f"10.0.0.{number}")
    with pytest.raises(TooManyRequests):
        logins.attempt("alice", "10.0.0.99")
    clock.advance(60)
    logins.attempt("alice", "10.0.0.99")


def test_guessing_many_names_from_one_address_is_slowed(clock: HandClock) -> None:
    logins = LoginLimiter(clock)
    for number in range(5):
        logins.attempt(f"user{number}", "10.0.0.1")
    with pytest.raises(TooManyRequests):
        logins.attempt("user99", "10.0.0.1")
    logins.attempt("user99", "10.0.0.2")


def test_ten_thousand_guesses_in_three_minutes_are_hardly_looked_at(clock: HandClock) -> None:
    logins = LoginLimiter(clock)
    evaluated = 0
    for _ in range(10_000):
        clock.advance(180 / 10_000)
        try:
            logins.attempt("alice", "10.0.0.1")
        except TooManyRequests:
            continue
        evaluated += 1
    assert evaluated <= 20


def test_a_login_that_succeeds_forgets_the_typos_but_not_those_of_the_address(
    clock: HandClock,
) -> None:
    logins = LoginLimiter(clock)
    for _ in range(4):
        logins.attempt("alice", "10.0.0.1")
    logins.attempt("alice", "10.0.0.2")
    logins.succeeded("ALICE")
    logins.attempt("alice", "10.0.0.1")
    with pytest.raises(TooManyRequests):
        logins.attempt("alice", "10.0.0.1")
