"""Watchdog: a loop that stands still is seen from outside, with the line it stands at."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from loguru import logger

from alphapulse.runtime import watchdog
from alphapulse.runtime.heartbeat import Heartbeat
from alphapulse.runtime.watchdog import watching


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


async def test_a_blocked_loop_is_reported_once_with_its_stack_and_once_when_it_moves(
    said: list[dict[str, object]],
) -> None:
    heartbeat = Heartbeat("main")
    with heartbeat.beating(), watching([heartbeat]):
        the_blocking_line(0.6)
        await asyncio.sleep(0.25)

    blocked, moves = said
    assert (blocked["level"], blocked["loop"]) == ("INFO", "main")
    assert "the_blocking_line" in str(blocked["stack"])
    assert moves["level"] == "INFO"
    assert float(str(moves["blocked_s"])) >= 0.25


async def test_a_loop_that_stays_stuck_is_an_error(
    said: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "BLOCKED_S", 0.05)
    monkeypatch.setattr(watchdog, "STUCK_S", 0.2)
    heartbeat = Heartbeat("main")
    with heartbeat.beating(), watching([heartbeat]):
        the_blocking_line(0.5)

    assert [entry["level"] for entry in said][:2] == ["INFO", "ERROR"]


async def test_a_loop_that_turns_is_left_alone(said: list[dict[str, object]]) -> None:
    heartbeat = Heartbeat("main")
    with heartbeat.beating(), watching([heartbeat]):
        await asyncio.sleep(0.4)
    assert said == []


async def test_lag_is_how_late_a_beat_came() -> None:
    heartbeat = Heartbeat("main")
    with heartbeat.beating():
        the_blocking_line(0.25)
        assert heartbeat.overdue_s >= 0.14
        await asyncio.sleep(0.01)
        assert heartbeat.lag_s >= 0.14
    assert (heartbeat.overdue_s, heartbeat.age_s) == (0, 0)
