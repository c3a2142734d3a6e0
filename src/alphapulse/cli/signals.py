"""Waiting for the end: SIGTERM, Ctrl+C, or the parent process going away."""

import asyncio
import signal
import sys


async def stop_asked(*, stdin: bool = False) -> None:
    """Return when the process is told to stop, or, with ``stdin``, when that is closed."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    if stdin:
        loop.add_reader(sys.stdin, _until_closed, asked)
    try:
        await asked.wait()
    finally:
        if stdin:
            loop.remove_reader(sys.stdin)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _until_closed(asked: asyncio.Event) -> None:
    if not sys.stdin.readline():
        asked.set()
