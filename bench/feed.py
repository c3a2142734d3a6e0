"""A local exchange that only publishes book tickers, in a process of its own.

    python -m bench.feed MESSAGES PER_SECOND     (0 per second: as fast as it can)

Prints its port, then serves until its standard input ends. Each connection that subscribes to book
tickers gets the same messages, ten in one write: bursts are what feeds are made of.
"""

import asyncio
import json
import random
import struct
import sys
from dataclasses import dataclass
from subprocess import PIPE, Popen
from types import TracebackType
from typing import Self

from aiohttp import web

SYMBOLS = tuple(f"C{number}USDT" for number in range(200))
GROUP = 10


def book_frames(count: int, *, seed: int = 1, first_id: int = 1) -> list[bytes]:
    """Combined-stream book tickers of all symbols, each moved by a few ticks from its last."""
    chance = random.Random(seed)
    ticks = {symbol: chance.randrange(1_000, 10_000_000) for symbol in SYMBOLS}
    frames = []
    for number in range(count):
        symbol = SYMBOLS[number % len(SYMBOLS)]
        # Never the same price twice in a row, so that every frame is a tick.
        ticks[symbol] = max(100, ticks[symbol] + chance.choice((-3, -2, -1, 1, 2, 3)))
        bid, ask = ticks[symbol] / 100, (ticks[symbol] + 1) / 100
        data = (
            f'{{"u":{first_id + number},"s":"{symbol}","b":"{bid:.8f}","B":"3.78826000",'
            f'"a":"{ask:.8f}","A":"1.54698000"}}'
        )
        frames.append(f'{{"stream":"{symbol.lower()}@bookTicker","data":{data}}}'.encode())
    return frames


@dataclass
class FeedProcess:
    """The feed, started and stopped."""

    messages: int
    per_second: int
    url: str = ""
    _process: "Popen[str] | None" = None

    def __enter__(self) -> Self:
        arguments = [sys.executable, "-m", "bench.feed", str(self.messages), str(self.per_second)]
        self._process = Popen(arguments, stdin=PIPE, stdout=PIPE, text=True)
        assert self._process.stdout is not None
        self.url = f"ws://127.0.0.1:{self._process.stdout.readline().strip()}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


class _Feed:
    def __init__(self, messages: int, per_second: int) -> None:
        self._pause_s = GROUP / per_second if per_second else 0.0
        wire = [_text_frame(frame) for frame in book_frames(messages)]
        self._groups = [b"".join(wire[at : at + GROUP]) for at in range(0, len(wire), GROUP)]

    async def serve(self, http: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(http)
        publishing: asyncio.Task[None] | None = None
        async for message in socket:
            request = json.loads(message.data)
            await socket.send_str(json.dumps({"result": None, "id": request["id"]}))
            if publishing is None and "@bookTicker" in message.data:
                assert http.transport is not None
                publishing = asyncio.create_task(self._publish(http.transport))
        if publishing is not None:
            publishing.cancel()
        return socket

    async def _publish(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0.5)  # the client may ask for more than one batch of streams
        due = loop.time()
        for group in self._groups:
            while transport.get_write_buffer_size() > 1024 * 1024:
                await asyncio.sleep(0.001)
            transport.write(group)
            due += self._pause_s
            if self._pause_s and due > loop.time():
                await asyncio.sleep(due - loop.time())


def _text_frame(payload: bytes) -> bytes:
    """A server's unmasked text frame; payloads here are longer than 125 bytes and below 64 kB."""
    size = len(payload)
    return (bytes((0x81, size)) if size < 126 else struct.pack("!BBH", 0x81, 126, size)) + payload


async def _main(messages: int, per_second: int) -> None:
    app = web.Application()
    app.router.add_get("/{path:.*}", _Feed(messages, per_second).serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = site._server
    assert isinstance(server, asyncio.Server)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
