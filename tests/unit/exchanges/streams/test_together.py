"""Tasks that live and end together."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from alphapulse.errors import StreamLost
from alphapulse.exchanges.streams.connection import together


async def lose() -> None:
    await asyncio.sleep(0)
    raise StreamLost("lost")


async def lead(*works: Coroutine[Any, Any, Any]) -> None:
    async with together() as tasks:
        for work in works:
            tasks.create_task(work)


async def test_a_failure_comes_out_bare_and_leaves_no_request_to_cancel_behind() -> None:
    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(StreamLost, match="lost"):
        await lead(asyncio.Event().wait(), lose())
    assert task.cancelling() == 0
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 0.001)


async def test_being_canceled_ends_them_all() -> None:
    ended: list[str] = []

    async def live(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    leading = asyncio.create_task(lead(live("one"), live("other")))
    await asyncio.sleep(0.01)
    leading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leading
    assert sorted(ended) == ["one", "other"]
