"""Wire: one open WebSocket of the simulated exchange, with a bounded outbox and stream faults."""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import replace

import msgspec
from aiohttp import WSMsgType, web

from alphapulse.simulator.faults import streams as faults
from alphapulse.simulator.faults.fault import HANDSHAKE, MESSAGE, Occasion
from alphapulse.simulator.faults.script import FaultScript
from alphapulse.simulator.venues.face import Session

# About ten seconds of fifty busy symbols; a slower reader is disconnected, as the venues do.
OUTBOX_BYTES = 4 * 1024 * 1024

# A subscribe message with hundreds of topics is some 20 kB.
MESSAGE_BYTES_MAX = 128 * 1024

# Venues drop a connection that left a ping unanswered for three intervals.
PONG_INTERVALS = 3

# How long a close waits for the client's own close frame.
CLOSE_S = 1.0

PING = "ping"
"""The topic of a ping, of the protocol or in JSON, for a match."""

GOING_AWAY = 1001


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
        self._session: Session | None = None
        self._transport: asyncio.Transport | None = None
        self._outbox: deque[bytes] = deque()
        self._outbox_bytes = 0
        self._outbox_bytes_max = OUTBOX_BYTES
        self._held: list[bytes] = []
        self._timers: set[asyncio.TimerHandle] = set()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing: tuple[int, str] | None = None
        self._is_frozen = False
        self._is_rotating = False
        self._pings_unanswered = 0

    async def carry(self, http: web.Request, session: Session) -> web.WebSocketResponse:
        """Run the conversation to its end."""
        try:
            await self._socket.prepare(http)
        except ConnectionError:
            return self._socket  # it left before it was answered
        self._session = session
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
                for timer in self._timers:
                    timer.cancel()
                self._closing = self._closing or (1000, "")
                self._idle.set()
        return self._socket

    def send(self, frame: bytes, *, topic: str = "", symbol: str | None = None) -> None:
        """See `Socket.send`."""
        if self._is_mute:
            return
        behind, self._held = self._held, []
        frames = [frame]
        for fault in self._struck(topic, symbol):
            frames = self._do(fault, frames)
        if not self._is_mute:
            for one in (*frames, *behind):
                self._queue(one)

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

    @property
    def _is_mute(self) -> bool:
        """Whether nothing goes out any more."""
        return self._is_frozen or self._closing is not None

    def _struck(self, topic: str, symbol: str | None) -> tuple[faults.FrameFault, ...]:
        if not self._script.entries:
            return ()
        return self._script.on_frame(self._moment(HANDSHAKE, topic, symbol or ""))

    def _moment(self, method: str, topic: str, symbol: str = "") -> Occasion:
        return replace(
            self._occasion, method=method, account=self.account or "", topic=topic, symbol=symbol
        )

    def _do(self, fault: faults.FrameFault, frames: list[bytes]) -> list[bytes]:
        """What goes out now in place of ``frames``."""
        match fault:
            case faults.RepeatedFrame():
                return frames * fault.times
            case faults.ForeignFrame():
                return [fault.text.encode(), *frames]
            case faults.HugeFrame():
                # One frame, however big, is no sign of a slow reader.
                self._outbox_bytes_max += fault.size_bytes
                return [b'"%s"' % (b"x" * (fault.size_bytes - 2)), *frames]
            case faults.DelayedFrame():
                self._later(fault.delay_s, frames)
                return []
            case faults.ReorderedFrame():
                self._held += frames
                return []
            case _:
                return frames if self._goes_on(fault) else []

    def _goes_on(self, fault: faults.FrameFault) -> bool:
        """Change the connection; whether the frame is still sent."""
        match fault:
            case faults.SlowConsumer():
                self._outbox_bytes_max = fault.outbox_bytes
                return True
            case faults.RotatedStream():
                self._rotate(fault.notice_s)
                return True
            case faults.FrozenStream():
                self._is_frozen = True
            case faults.ClosedStream(code=1006):
                self.abort()
            case faults.ClosedStream():
                self.close(fault.code, fault.reason)
        return False

    def _rotate(self, notice_s: float) -> None:
        if self._is_rotating or self._session is None:
            return
        self._is_rotating = True
        self._session.on_shutdown()
        loop = asyncio.get_running_loop()
        self._timers.add(loop.call_later(notice_s, self.close, GOING_AWAY))

    def _later(self, delay_s: float, frames: list[bytes]) -> None:
        def send() -> None:
            self._timers.discard(timer)
            for frame in frames:
                self._queue(frame)

        timer = asyncio.get_running_loop().call_later(delay_s, send)
        self._timers.add(timer)

    def _queue(self, frame: bytes) -> None:
        self._outbox.append(frame)
        self._outbox_bytes += len(frame)
        if self._outbox_bytes > self._outbox_bytes_max:
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
                self._hear(session, message.data)
            elif message.type is WSMsgType.PING:
                if not self._befallen(PING):
                    await self._socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self._pings_unanswered = 0
        if self._is_frozen:
            # Not even a close is answered; the connection ends when the client drops it.
            await asyncio.Event().wait()
        await self._socket.close()

    def _hear(self, session: Session, text: str) -> None:
        verb = _verb(text) if self._script.entries else ""
        for fault in self._befallen(verb) if verb else ():
            if isinstance(fault, faults.RefusedMessage):
                session.on_refused(text, fault.code, fault.message)
            return
        session.on_text(text)

    def _befallen(self, verb: str) -> tuple[faults.MessageFault, ...]:
        if not self._script.entries:
            return ()
        return self._script.on_message(self._moment(MESSAGE, verb))

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


class _Asking(msgspec.Struct):
    """What a message asks for, as Bybit (``op``) and Binance (``method``) write it."""

    op: str = ""
    method: str = ""


def _verb(text: str) -> str:
    """Empty where it asks for nothing that a venue could understand."""
    try:
        message = msgspec.json.decode(text, type=_Asking)
    except msgspec.DecodeError:
        return ""
    return message.op or message.method
