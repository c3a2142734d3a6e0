"""Frames: finished WebSocket frames, written to as many connections as should have them.

A frame is made once and its bytes are shared; the cost of one more listener is one write.
"""

import asyncio
from collections import deque
from typing import Any, Protocol

from starlette.types import Scope, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HIGH_WATER_BYTES = 256 * 1024
"""What may wait for one client: a few seconds of a busy feed. Beyond it nothing more is written."""

EXTENSION = "alphapulse.frames"
"""Where in the ASGI scope the endpoint finds the connection."""


def text_frame(payload: bytes) -> bytes:
    """One unmasked, uncompressed text message of a server, RFC 6455 section 5.2."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class FrameWriter(Protocol):
    """A connection as the hub sees it. None of this waits."""

    def write_frame(self, frame: bytes) -> bool:
        """Send it, or refuse because too much waits already, or drop it because nobody is there.

        Returns:
            False only when it was refused.
        """
        ...

    @property
    def is_drained(self) -> bool:
        """Whether a slow client has caught up enough to be told so."""
        ...

    def disconnect(self, code: int, reason: str) -> None:
        """Say goodbye and close; at once where nobody reads."""
        ...


class FrameProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, which also takes finished frames.

    Compression is off in our server, so a frame needs no state of the connection and may go
    between any two messages that uvicorn writes itself.
    """

    async def run_asgi(self) -> None:
        extensions: dict[str, Any] = self.scope["extensions"]
        extensions[EXTENSION] = DirectFrames(self)
        await super().run_asgi()

    def close(self, code: int, reason: str) -> None:
        """Say goodbye to both sides; the client has a while to answer."""
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)


class DirectFrames:
    """Writes to the socket itself. Small, because each frame goes through a thousand of these:
    uvicorn's protocol has so many attributes that to look into each doubles the way to the socket.
    """

    __slots__ = ("_is_closing", "_protocol", "transport")

    def __init__(self, protocol: FrameProtocol) -> None:
        self.transport = protocol.transport
        self._protocol = protocol
        self._is_closing = False

    def write_frame(self, frame: bytes) -> bool:
        transport = self.transport
        if transport.get_write_buffer_size() > HIGH_WATER_BYTES:
            return False
        if not self._is_closing and not transport.is_closing():
            transport.write(frame)
        return True

    @property
    def is_drained(self) -> bool:
        return self.transport.get_write_buffer_size() < HIGH_WATER_BYTES // 4

    def disconnect(self, code: int, reason: str) -> None:
        if self._is_closing or self.transport.is_closing():
            return
        if self.is_drained:
            self._is_closing = True
            self._protocol.close(code, reason)
        else:
            self.transport.abort()


class AsgiFrames:
    """The same over plain ASGI, for any other server: a bounded queue and one task that sends."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: deque[dict[str, Any]] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._is_closing = False

    def write_frame(self, frame: bytes) -> bool:
        if self._waiting_bytes > HIGH_WATER_BYTES:
            return False
        if not self._is_closing:
            self._put({"type": "websocket.send", "text": _payload(frame).decode()})
        return True

    @property
    def is_drained(self) -> bool:
        return self._waiting_bytes < HIGH_WATER_BYTES // 4

    def disconnect(self, code: int, reason: str) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._waiting.clear()
            self._put({"type": "websocket.close", "code": code, "reason": reason})

    async def run(self) -> None:
        """Send what waits until closed; the endpoint runs this beside its receive loop."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                message = self._waiting.popleft()
                await self._send(message)
                self._waiting_bytes -= len(message.get("text", ""))
            if self._is_closing:
                return

    def _put(self, message: dict[str, Any]) -> None:
        self._waiting.append(message)
        self._waiting_bytes += len(message.get("text", ""))
        self._wake.set()


def writer_of(scope: Scope) -> DirectFrames | None:
    """The connection itself, when the server is ours."""
    writer = scope.get("extensions", {}).get(EXTENSION)
    return writer if isinstance(writer, DirectFrames) else None


def _payload(frame: bytes) -> bytes:
    start = {126: 4, 127: 10}.get(frame[1], 2)
    return frame[start:]
