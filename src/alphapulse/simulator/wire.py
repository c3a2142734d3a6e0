"""Wire: one open WebSocket of the simulated exchange, with a bounded outbox and stream faults."""

import asyncio
from collections import deque
from contextlib import suppress

from aiohttp import WSMsgType, web

from alphapulse.simulator import faults
from alphapulse.simulator.faults import FaultScript, Occasion
from alphapulse.simulator.venues.face import Session

# About ten seconds of fifty busy symbols; a slower reader is disconnected, as the venues do.
OUTBOX_BYTES = 4 * 1024 * 1024

# A subscribe message with hundreds of topics is some 20 kB.
MESSAGE_BYTES_MAX = 128 * 1024

# Venues drop a connection that left a ping unanswered for three intervals.
PONG_INTERVALS = 3

# How long a close waits for the client's own close frame.
CLOSE_S = 1.0


class Wire:
    """The server's side of a socket, as `Socket` for its session."""

    def __init__(
        self, script: FaultScript, occasion: Occasion, *, ping_interval_s: float | None
    ) -> None:
        self.account: str | None = None
        self._script = script
        self._occasion = occasion
        self._ping_interval_s = ping_interval_s
        self._socket = web.WebSocketResponse(
            autoping=False,
            autoclose=False,
            timeout=CLOSE_S,
            max_msg_size=MESSAGE_BYTES_MAX,
            compress=False,
        )
        self._transport: asyncio.Transport | None = None
        self._outbox: deque[bytes] = deque()
        self._outbox_bytes = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing: tuple[int, str] | None = None
        self._is_frozen = False
        self._pings_unanswered = 0

    async def carry(self, http: web.Request, session: Session) -> web.WebSocketResponse:
        """Run the conversation to its end."""
        await self._socket.prepare(http)
        self._transport = http.transport
        async with asyncio.TaskGroup() as tasks:
            helpers = [tasks.create_task(self._write())]
            if self._ping_interval_s is not None:
                helpers.append(tasks.create_task(self._ping(self._ping_interval_s)))
            try:
                # Aborted by us or gone by itself: either way nobody is left to tell.
                with suppress(ConnectionError):
                    await self._read(session)
            finally:
                for helper in helpers:
                    helper.cancel()
                self._closing = self._closing or (1000, "")
                self._idle.set()
        return self._socket

    def send(self, frame: bytes, *, topic: str = "", symbol: str | None = None) -> None:
        """See `Socket.send`."""
        for _ in range(self._copies(topic, symbol)):
            self._queue(frame)

    def close(self, code: int, reason: str = "") -> None:
        """See `Socket.close`."""
        self._closing = self._closing or (code, reason)
        self._wake.set()

    async def drained(self) -> None:
        """Return when everything queued has been handed to the socket, or it is gone."""
        await self._idle.wait()

    def abort(self) -> None:
        """End the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def _copies(self, topic: str = "", symbol: str | None = None) -> int:
        """How often this frame goes out, after the faults that strike it."""
        if self._is_frozen or self._closing is not None:
            return 0
        copies = 1
        for fault in self._strike(topic, symbol):
            match fault:
                case faults.LostFrame():
                    copies = 0
                case faults.RepeatedFrame():
                    copies *= 2
                case faults.FrozenStream():
                    self._is_frozen = True
                    return 0
                case faults.ClosedStream(code=1006):
                    self.abort()
                    return 0
                case faults.ClosedStream():
                    self.close(fault.code, fault.reason)
                    return 0
        return copies

    def _strike(self, topic: str, symbol: str | None) -> tuple[faults.StreamFault, ...]:
        if not self._script.entries:
            return ()
        base = self._occasion
        return self._script.on_frame(
            Occasion(
                venue=base.venue,
                host=base.host,
                path=base.path,
                method=faults.HANDSHAKE,
                account=self.account or "",
                symbol=symbol or "",
                topic=topic,
            )
        )

    def _queue(self, frame: bytes) -> None:
        self._outbox.append(frame)
        self._outbox_bytes += len(frame)
        if self._outbox_bytes > OUTBOX_BYTES:
            self.abort()
        self._idle.clear()
        self._wake.set()

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._outbox:
                    frame = self._outbox.popleft()
                    await self._socket.send_frame(frame, WSMsgType.TEXT)
                    self._outbox_bytes -= len(frame)
                self._idle.set()
                if self._closing is not None:
                    code, reason = self._closing
                    await self._socket.close(code=code, message=reason.encode())
        except ConnectionError:
            return  # The client left; the reader sees it too and ends the conversation.

    async def _read(self, session: Session) -> None:
        async for message in self._socket:
            if self._is_frozen:
                continue
            if message.type is WSMsgType.TEXT:
                session.on_text(message.data)
            elif message.type is WSMsgType.PING:
                if self._copies():
                    await self._socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self._pings_unanswered = 0
        if self._is_frozen:
            # Not even a close is answered; the connection ends when the client drops it.
            await asyncio.Event().wait()
        await self._socket.close()

    async def _ping(self, interval_s: float) -> None:
        try:
            while self._pings_unanswered < PONG_INTERVALS:
                await asyncio.sleep(interval_s)
                if not self._is_frozen:
                    self._pings_unanswered += 1
                    await self._socket.ping()
            self.abort()
        except ConnectionError:
            return
