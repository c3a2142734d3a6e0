"""A relay in front of the simulated exchange, in a process of its own: when did an order arrive?

    python -m bench.tap PORT

It prints its own port, and for every line that it reads, when each order came in since the last
one: seconds of the clock that all processes of a machine share.
"""

import asyncio
import json
import sys
import time
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import uvloop

HOST = "127.0.0.1"
ORDER = b"newClientOrderId="
CHUNK_BYTES = 64 * 1024


class Tap:
    """The process, as the measurement sees it."""

    def __init__(self, process: Process, url: str) -> None:
        self._process = process
        self.url = url

    async def arrivals_s(self) -> list[float]:
        """When each order came in since this was last asked, by `time.perf_counter`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        arrivals: list[float] = json.loads(await self._process.stdout.readline())
        return arrivals


@asynccontextmanager
async def tap_process(simulator_url: str) -> AsyncIterator[Tap]:
    """Whoever is told its URL speaks with the simulator."""
    port = str(urlsplit(simulator_url).port)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.tap", port), stdin=PIPE, stdout=PIPE
    )
    assert process.stdout is not None
    try:
        yield Tap(process, f"http://{HOST}:{int(await process.stdout.readline())}")
    finally:
        process.terminate()
        await process.wait()


async def serve(port: int) -> None:
    arrivals_s: list[float] = []

    async def relay(client: StreamReader, answers: StreamWriter) -> None:
        venue, requests = await asyncio.open_connection(HOST, port)
        await asyncio.gather(_pass_on(client, requests, arrivals_s), _pass_on(venue, answers, []))

    server = await asyncio.start_server(relay, HOST, 0)
    _say(server.sockets[0].getsockname()[1])
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        _say(arrivals_s)
        arrivals_s.clear()


async def _pass_on(source: StreamReader, target: StreamWriter, arrivals_s: list[float]) -> None:
    with suppress(ConnectionError):
        while chunk := await source.read(CHUNK_BYTES):
            if ORDER in chunk:
                arrivals_s.append(time.perf_counter())
            target.write(chunk)
    target.close()


def _say(words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
