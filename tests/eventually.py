"""Waiting for something to become true; what tests use instead of sleeping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

LIMIT_S = 60.0
"""How long a test waits for what must come. Only a failing test ever waits so long, and a slow,
busy machine is no failure."""


async def eventually(
    condition: Callable[[], object | Awaitable[object]], within_s: float = LIMIT_S
) -> None:
    """Return as soon as ``condition()`` is truthy; fail with its last value after ``within_s``.

    An `AssertionError` inside the condition counts as "not yet" and is shown at the end.
    """
    deadline = time.monotonic() + within_s
    last: object = None
    while True:
        try:
            result = condition()
            last = await result if inspect.isawaitable(result) else result
            if last:
                return
        except AssertionError as not_yet:
            last = not_yet
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s; last seen: {last!r}")
        await asyncio.sleep(0.01)
