"""Beside: long work without waits, on a thread of the pool, while the loop goes on."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def beside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What ``work`` returns. It must touch nothing of the loop; canceling does not end it."""
    return await asyncio.to_thread(work, *args, **kwargs)
