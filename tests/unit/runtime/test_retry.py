"""Retry: as often as the policy says, and never sooner than we were asked to wait."""

import pytest

from alphapulse.errors import ExchangeUnavailable, RateLimited, WorkerStopped
from alphapulse.runtime.retry import Backoff, Retry, retry
from tests.eventually import LIMIT_S

QUICK = Retry(on=ExchangeUnavailable, attempts=4, total_s=LIMIT_S, first_s=0.001, factor=1.0)


class FailsFirst:
    def __init__(self, times: int, error: Exception | None = None) -> None:
        self.tries = 0
        self._times = times
        self._error = error or ExchangeUnavailable("gone")

    async def __call__(self) -> str:
        self.tries += 1
        if self.tries <= self._times:
            raise self._error
        return "answer"


async def test_an_answer_after_failures_is_the_answer() -> None:
    operation = FailsFirst(3)
    assert await retry(QUICK, operation) == "answer"
    assert operation.tries == 4


async def test_the_last_error_is_raised_when_the_attempts_are_used_up() -> None:
    operation = FailsFirst(4)
    with pytest.raises(ExchangeUnavailable):
        await retry(QUICK, operation)
    assert operation.tries == 4


async def test_an_error_that_is_not_in_the_policy_is_not_tried_again() -> None:
    operation = FailsFirst(1, WorkerStopped("stopped"))
    with pytest.raises(WorkerStopped):
        await retry(QUICK, operation)
    assert operation.tries == 1


async def test_no_try_begins_after_the_total_time() -> None:
    operation = FailsFirst(1)
    policy = Retry(on=ExchangeUnavailable, total_s=1, first_s=10, jitter=0)
    with pytest.raises(ExchangeUnavailable):
        await retry(policy, operation)
    assert operation.tries == 1


async def test_a_wait_that_was_asked_for_is_kept_or_the_error_raised() -> None:
    asked = RateLimited("slow down", retry_after_s=3)
    policy = Retry(on=RateLimited, total_s=2, first_s=0.001)
    assert policy.wait_s(1, asked) == 3
    operation = FailsFirst(1, asked)
    with pytest.raises(RateLimited):
        await retry(policy, operation)
    assert operation.tries == 1


def test_backoff_grows_to_its_limit_and_leaves_a_share_to_chance() -> None:
    exact = Backoff(first_s=0.5, factor=2, max_s=5, jitter=0)
    assert [exact.delay_s(n) for n in (1, 2, 3, 4, 5, 10_000)] == [0.5, 1, 2, 4, 5, 5]

    random = [Backoff(first_s=1, jitter=0.5).delay_s(1) for _ in range(200)]
    assert all(0.5 <= delay <= 1 for delay in random)
    assert max(random) - min(random) > 0.2
