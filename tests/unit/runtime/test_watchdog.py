"""Watchdog: a loop that stands still is seen from outside, with the line it stands at."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from loguru import logger

from alphapulse.runtime import watchdog
from alphapulse.runtime.heartbeat import Heartbeat
from alphapulse.runtime.watchdog import watching
from tests.eventually import eventually


@pytest.fixture
def said() -> Iterator[list[dict[str, object]]]:
    """What was logged: level, message and the bound values."""
    records: list[dict[str, object]] = []
    sink = logger.add(
        lambda message: records.append(
            {
                "level": message.record["level"].name,
                "message": message.record["message"],
                **message.record["extra"],
            }
        )
    )
    yield records
    logger.remove(sink)


def the_blocking_line(seconds: float) -> None:
    time.sleep(seconds)


def told(said: list[dict[str, object]], message: str) -> list[dict[str, object]]:
    """What was said of the loop under test; a busy machine may stand still in other ways too."""
    return [entry for entry in said if entry["message"] == message and entry["loop"] == "main"]


async def test_a_blocked_loop_is_reported_once_with_its_stack_and_once_when_it_moves(
    said: list[dict[str, object]],
) -> None:
    blocks = 0

    async def is_reported() -> bool:
        nonlocal blocks
        blocks += 1
        the_blocking_line(0.6)
        await asyncio.sleep(0.25)
        return bool(at_the_line()) and bool(told(said, "event loop moves again"))

    def at_the_line() -> list[dict[str, object]]:
        reports = told(said, "event loop blocked")
        return [report for report in reports if "the_blocking_line" in str(report["stack"])]

    heartbeat = Heartbeat("main")
    with heartbeat.beating(), watching([heartbeat]):
        await eventually(is_reported)  # a thread that got no turn in 0.6 s saw nothing

    assert len(at_the_line()) <= blocks
    assert at_the_line()[0]["level"] == "INFO"
    moves = told(said, "event loop moves again")[-1]
    assert moves["level"] == "INFO"
    assert float(str(moves["blocked_s"])) >= 0.25


async def test_a_loop_that_stays_stuck_is_an_error(
    said: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "BLOCKED_S", 0.05)
    monkeypatch.setattr(watchdog, "STUCK_S", 0.2)

    def is_reported() -> bool:
        the_blocking_line(0.5)
        return bool(told(said, "event loop stuck"))

    heartbeat = Heartbeat("main")
    with heartbeat.beating(), watching([heartbeat]):
        await eventually(is_reported)

    assert told(said, "event loop blocked")
    assert {entry["level"] for entry in told(said, "event loop stuck")} == {"ERROR"}


class Late(Heartbeat):
    """A pulse that is always late by as much as the test says."""

    def __init__(self, overdue_s: float) -> None:
        super().__init__("main")
        self.looks = 0
        self._late_s = overdue_s

    @property
    def overdue_s(self) -> float:
        self.looks += 1
        return self._late_s


@pytest.mark.parametrize(("overdue_s", "reports"), [(0.24, 0), (0.26, 1)])
async def test_a_loop_that_is_a_little_late_is_left_alone(
    overdue_s: float, reports: int, said: list[dict[str, object]]
) -> None:
    heartbeat = Late(overdue_s)
    with watching([heartbeat]):
        await eventually(lambda: heartbeat.looks >= 5)

    assert len(told(said, "event loop blocked")) == reports


async def test_lag_is_how_late_a_beat_came() -> None:
    heartbeat = Heartbeat("main")

    async def is_measured() -> bool:
        the_blocking_line(0.25)
        assert heartbeat.overdue_s >= 0.14
        await asyncio.sleep(0.01)
        return heartbeat.lag_s >= 0.14  # unless the machine let the next beat pass as well

    with heartbeat.beating():
        await eventually(is_measured)
    assert (heartbeat.overdue_s, heartbeat.age_s) == (0, 0)
