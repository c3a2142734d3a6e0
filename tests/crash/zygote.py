"""The zygote: imports everything once and forks a life on request, before any loop or thread.

It hears of lives on standard input and tells of each end on standard output; when its input ends,
so do the life and the zygote.
"""

import asyncio
import gc
import os
import pickle
import select
import signal
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO, cast

from loguru import logger

from tests.crash import life as lives
from tests.crash.life import Life
from tests.crash.wire import LENGTH, frame, read_frame

# Not the least of what forked lives save.
import alphapulse.database.adapters.postgresql  # noqa: F401  isort: skip

LONGEST_LIFE_S = 120.0
"""Only a life that hangs is ended so."""
HUNG = 99


class Zygote:
    """The parent's end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in = process.stdin
        self._out = process.stdout

    async def live(self, life: Life) -> int:
        """One life; the signal that ended it, 0 when it ended by itself.

        Raises:
            AssertionError: it failed, and its last words are on standard error.
        """
        self._in.write(frame(life))
        ended = cast(int, await read_frame(self._out))
        assert ended <= 0, f"a life failed with {ended}: {life}"
        return -ended


@asynccontextmanager
async def zygote() -> AsyncIterator[Zygote]:
    """A zygote of its own process, until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.crash.zygote"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        yield Zygote(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def serve() -> None:
    """The zygote's end."""
    logger.remove()
    gc.freeze()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while (life := _next(source)) is not None:
        sink.write(frame(_live(life)))
        sink.flush()


def _next(source: BinaryIO) -> Life | None:
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return cast(Life, pickle.loads(source.read(*LENGTH.unpack(head))))  # noqa: S301 - our own


def _live(life: Life) -> int:
    """Fork, wait, kill in time; how it ended, as `os.waitstatus_to_exitcode` says it."""
    ended, living = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ended)
        os._exit(_run(life))
    os.close(living)
    after_s = LONGEST_LIFE_S if life.kill_after_s is None else life.kill_after_s
    # The pipe ends with the life; our input ends when nobody asks any more.
    is_over = ended in select.select([ended, sys.stdin], [], [], after_s)[0]
    if not is_over:
        os.kill(pid, signal.SIGKILL)
    os.close(ended)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status if is_over or life.kill_after_s is not None else HUNG


def _run(life: Life) -> int:
    try:
        asyncio.run(lives.live(life))
    except BaseException:  # noqa: BLE001 - the last words of a life
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve()
