"""The other side of a server: clients in a process of their own, told what to do line by line.

    python -m bench.load

``http PORT CONNECTIONS REQUESTS HEADERS PATH`` asks on every connection at once, and again when all
have their answer, so that every server finds as many whenever it looks; ``done`` at the end;
``listen PORT CONNECTIONS TOKEN CHANNEL`` connects WebSockets and answers ``done`` when every one
has its snapshot, ``plain PORT CONNECTIONS`` connects sockets that only read, ``heard`` answers how
many bytes came so far, ``close`` closes all.
"""

import asyncio
import base64
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import uvloop

HOST = "127.0.0.1"


class HttpClient(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self, request: bytes, answered: asyncio.Semaphore) -> None:
        self._request = request
        self._answered = answered
        self._missing_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self) -> None:
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._missing_bytes:
            head, found, _ = data.partition(b"\r\n\r\n")
            assert found, "the head of the answer is cut"
            assert head.startswith(b"HTTP/1.1 200"), head
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self._missing_bytes = len(head) + 4 + int(length)
        self._missing_bytes -= len(data)
        if not self._missing_bytes:
            self._answered.release()


class Listener(asyncio.Protocol):
    """Reads and counts; a WebSocket one asks for a channel first."""

    heard_bytes = 0

    def __init__(self, opening: list[bytes], marks: list[bytes]) -> None:
        self._opening = opening
        self._marks = marks
        self._seen = b""
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._go_on()

    def data_received(self, data: bytes) -> None:
        Listener.heard_bytes += len(data)
        if self._marks:
            self._seen += data
            if self._marks[0] in self._seen:
                self._marks.pop(0)
                self._go_on()

    def _go_on(self) -> None:
        if self._opening:
            self.transport.write(self._opening.pop(0))
        if not self._marks and not self.ready.done():
            self.ready.set_result(None)


def masked(message: object) -> bytes:
    """A text frame of a client, under the mask of zeros."""
    payload = json.dumps(message).encode()
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + payload


def handshake(port: int) -> bytes:
    key = base64.b64encode(bytes(16)).decode()
    return (
        f"GET /api/ws HTTP/1.1\r\nHost: {HOST}:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


class Load:
    """Does what the lines say."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    async def http(
        self, port: str, connections: str, requests: str, headers: str, path: str
    ) -> str:
        lines = base64.b64decode(headers).decode()
        request = f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n{lines}\r\n".encode()
        loop, answered = asyncio.get_running_loop(), asyncio.Semaphore(0)
        clients = []
        for _ in range(int(connections)):
            _, client = await loop.create_connection(
                lambda: HttpClient(request, answered), HOST, int(port)
            )
            clients.append(client)
        for _ in range(int(requests) // len(clients)):
            for client in clients:
                client.ask()
            for _ in clients:
                await answered.acquire()
        for client in clients:
            client.transport.close()
        return "done"

    async def listen(self, port: str, connections: str, token: str, channel: str) -> str:
        subscribe = {"op": "subscribe", "id": 1, "channels": [channel], "max_hz": 20}
        asking = [handshake(int(port)), masked({"op": "auth", "token": token}) + masked(subscribe)]
        await self._connect(port, connections, asking, [b"hello", b"snapshot"])
        return "done"

    async def plain(self, port: str, connections: str) -> str:
        await self._connect(port, connections, [], [])
        return "done"

    async def heard(self) -> str:
        return str(Listener.heard_bytes)

    async def close(self) -> str:
        for listener in self._listeners:
            listener.transport.abort()
        self._listeners.clear()
        return "done"

    async def _connect(
        self, port: str, connections: str, opening: list[bytes], marks: list[bytes]
    ) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(int(connections)):
            _, listener = await loop.create_connection(
                lambda: Listener(list(opening), list(marks)), HOST, int(port)
            )
            await listener.ready
            self._listeners.append(listener)


class LoadProcess:
    """The process, as the measurement sees it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, *words: object) -> str:
        """Have it do one thing and wait until that is done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        answer = await self._process.stdout.readline()
        assert answer, "the load process ended"
        return answer.decode().strip()


def keep_apart(*loads: LoadProcess) -> None:
    """This process on the first core and ``loads`` on the others, so that nobody is pushed aside
    by the other side, which costs whoever is measured. Linux only."""
    first, *others = sorted(os.sched_getaffinity(0))
    if others:
        os.sched_setaffinity(0, {first})
        for load in loads:
            os.sched_setaffinity(load.pid, others)


@asynccontextmanager
async def load_process() -> AsyncIterator[LoadProcess]:
    """Clients that cost this process nothing."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.load", stdin=PIPE, stdout=PIPE
    )
    try:
        yield LoadProcess(process)
    finally:
        process.terminate()
        await process.wait()


async def serve() -> None:
    load = Load()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, *words = line.split()
        sys.stdout.write(await getattr(load, name)(*words) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve())
