"""Connection: one venue's public sockets, opened, subscribed, watched for silence and rotated.

The venue's module brings a `Dialect`: its words, its limits and the function that takes a frame.
Frames are decoded and handed out inside the loop turn that read them, by one reader a socket and
no task a message. A stream is alive while data comes; pings and pongs prove nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

import aiohttp
from loguru import logger

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.instrument import Instrument
from alphapulse.errors import AlphaPulseError, InstrumentUnavailable, StreamLost
from alphapulse.exchanges.streams.memory import StreamMemory
from alphapulse.exchanges.streams.watchdog import StreamLimits, Topic, Watchdog

# No venue sends a market frame near this; more is an attack or a fault.
FRAME_BYTES_MAX = 10 * 1024 * 1024

# How long a close waits for the venue's own close frame; a dead peer never sends one.
CLOSE_S = 1.0

# Sockets of one stream are replaced this far apart, so that not all are young at once.
ROTATION_SPREAD_S = 60.0

Socket = aiohttp.ClientWebSocketResponse[bool]


@dataclass(frozen=True, slots=True)
class Reply:
    """The venue's answer to a request of ours; ``error`` is its text, ``None`` when it agreed."""

    request_id: str
    error: str | None


class ShuttingDown:
    """The venue says that it will close this connection soon."""


Notice = Reply | ShuttingDown


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one venue's public socket expects, and how its frames are taken.

    ``take`` reads one frame, hands what it says to the sink and returns a notice where the frame
    is about the connection itself. It raises `StreamLost` when what it holds is no longer right.
    """

    exchange: ExchangeId
    url: str
    subscribe: Callable[[int, Sequence[str]], str]
    unsubscribe: Callable[[int, Sequence[str]], str]
    take: Callable[[bytes, datetime], Notice | None]
    topics_per_request: int
    request_interval_s: float
    ping: str | None = None
    """Text to send every ``ping_interval_s``, where the venue wants one of its own."""
    ping_interval_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Line:
    """The topics that share one connection."""

    dialect: Dialect
    topics: tuple[Topic, ...]


async def watch_lines(
    lines: Sequence[Line],
    memory: StreamMemory,
    *,
    on_connected: Callable[[], None],
    clock: Clock,
    limits: StreamLimits,
    open_session: Callable[[], aiohttp.ClientSession],
) -> None:
    """Keep every line open until canceled; ``on_connected`` is called when all are confirmed.

    Raises:
        StreamLost: one line ended, fell silent or lost a message; the others are closed.
        InstrumentUnavailable: the venue refuses a subscription.
    """
    unconfirmed = len(lines)

    def confirm() -> None:
        nonlocal unconfirmed
        unconfirmed -= 1
        if unconfirmed == 0:
            on_connected()

    if not lines:
        on_connected()
    async with open_session() as session, together() as tasks:
        for number, line in enumerate(lines):
            rotate_after_s = limits.rotate_after_s - number * ROTATION_SPREAD_S
            keeper = _Keeper(line, session, memory, clock, limits)
            tasks.create_task(keeper.run(confirm, rotate_after_s))


def instrument_of(
    exchange: ExchangeId, symbol: Symbol, instruments: Mapping[Symbol, Instrument]
) -> Instrument:
    """The instrument a symbol names.

    Raises:
        InstrumentUnavailable: the venue has none of that name.
    """
    instrument = instruments.get(symbol)
    if instrument is None:
        raise InstrumentUnavailable("unknown symbol", exchange=exchange, symbol=symbol)
    return instrument


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that lasts until one of its tasks fails or it is canceled; the first failure
    comes out bare, as the error the caller is told of."""
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
            # Where a task fails while the group only waits for it, the request to cancel us that
            # the group makes of it stays behind. After that no time limit works on Python 3.11.2,
            # and we look as if we had been asked to end.
            await asyncio.Event().wait()
    except BaseExceptionGroup as group:
        failure = group.exceptions[0]
    if failure is not None:
        raise failure  # outside the handler, so that its own cause stays what is shown


class _Keeper:
    """Keeps one line open over rotations: the next connection is confirmed before the last ends.

    While both are open every frame comes twice; decoders drop what is not newer.
    """

    def __init__(
        self,
        line: Line,
        session: aiohttp.ClientSession,
        memory: StreamMemory,
        clock: Clock,
        limits: StreamLimits,
    ) -> None:
        self._line = line
        self._session = session
        self._memory = memory
        self._clock = clock
        self._limits = limits

    async def run(self, on_confirmed: Callable[[], None], rotate_after_s: float) -> None:
        async with together() as tasks:
            current = self._connection()
            task = tasks.create_task(current.run())
            await current.confirmed.wait()
            on_confirmed()
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(rotate_after_s):
                        await current.shutting_down.wait()
                following = self._connection()
                following_task = tasks.create_task(following.run())
                await following.confirmed.wait()
                await asyncio.sleep(self._limits.overlap_s)
                task.cancel()
                current, task = following, following_task

    def _connection(self) -> "_Connection":
        return _Connection(self._line, self._session, self._memory, self._clock, self._limits)


@dataclass(slots=True)
class _Connection:
    """One socket from its handshake to its end."""

    line: Line
    session: aiohttp.ClientSession
    memory: StreamMemory
    clock: Clock
    limits: StreamLimits
    confirmed: asyncio.Event = field(default_factory=asyncio.Event)
    shutting_down: asyncio.Event = field(default_factory=asyncio.Event)
    _request_ids: Iterator[int] = field(default_factory=lambda: count(1))
    _pending: dict[str, tuple[Topic, ...]] = field(default_factory=dict)
    _answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Never returns.

        Raises:
            StreamLost: not opened, not confirmed, ended or silent.
            InstrumentUnavailable: the venue refuses a subscription.
        """
        socket = await self._open()
        try:
            async with together() as tasks:
                tasks.create_task(self._read(socket))
                tasks.create_task(self._speak(socket))
        finally:
            await socket.close()

    async def _open(self) -> Socket:
        try:
            async with asyncio.timeout(self.limits.open_s):
                return await self.session.ws_connect(
                    self.line.dialect.url,
                    max_msg_size=FRAME_BYTES_MAX,
                    decode_text=False,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
                )
        except aiohttp.WSServerHandshakeError as refused:
            facts = retry_after(refused.headers)
            raise self._lost("stream refused", http_status=refused.status, **facts) from refused
        except (aiohttp.ClientError, OSError, TimeoutError) as unreachable:
            raise self._lost("stream cannot be opened", reason=repr(unreachable)) from unreachable

    async def _read(self, socket: Socket) -> None:
        take, now, receive = self.line.dialect.take, self.clock.now, socket.receive
        frames = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
        while (message := await receive()).type in frames:
            notice = take(message.data, now())
            if notice is not None:
                self._on_notice(notice)
        if message.type is aiohttp.WSMsgType.ERROR:
            raise self._lost("stream broken", reason=repr(message.data))
        raise self._lost("stream ended", close_code=socket.close_code)

    def _on_notice(self, notice: Notice) -> None:
        if isinstance(notice, ShuttingDown):
            self.shutting_down.set()
            return
        topics = self._pending.pop(notice.request_id, ())
        if notice.error is not None:
            raise self._refused(notice.error, topics)
        self._answered.set()

    async def _speak(self, socket: Socket) -> None:
        """Subscribe, wait for the venue's word, then keep the connection and its topics alive."""
        dialect = self.line.dialect
        await self._request(socket, dialect.subscribe, self.line.topics)
        try:
            async with asyncio.timeout(self.limits.confirm_s):
                while self._pending:
                    self._answered.clear()
                    await self._answered.wait()
        except TimeoutError as unanswered:
            raise self._lost("stream not confirmed") from unanswered
        self.memory.counts.connects += 1
        self.confirmed.set()
        logger.bind(exchange=dialect.exchange, topics=len(self.line.topics)).debug("stream open")
        watchdog = Watchdog(self.line.topics, self.clock, self.limits)
        pinged_at = self.clock.monotonic_s()
        while True:
            await asyncio.sleep(min(1.0, self.limits.silence_s / 4))
            if dialect.ping and self.clock.monotonic_s() - pinged_at >= dialect.ping_interval_s:
                pinged_at = self.clock.monotonic_s()
                await self._send(socket, dialect.ping)
            if watchdog.look() > self.limits.silence_s:
                raise self._lost("stream silent", silence_s=self.limits.silence_s)
            if silent := watchdog.silent_topics():
                self.memory.counts.renewed += len(silent)
                await self._request(socket, dialect.unsubscribe, silent)
                await self._request(socket, dialect.subscribe, silent)

    async def _request(
        self,
        socket: Socket,
        text: Callable[[int, Sequence[str]], str],
        topics: Sequence[Topic],
    ) -> None:
        dialect = self.line.dialect
        for start in range(0, len(topics), dialect.topics_per_request):
            if start:
                await asyncio.sleep(dialect.request_interval_s)
            batch = tuple(topics[start : start + dialect.topics_per_request])
            request_id = next(self._request_ids)
            self._pending[str(request_id)] = batch
            await self._send(socket, text(request_id, [topic.name for topic in batch]))

    async def _send(self, socket: Socket, text: str) -> None:
        try:
            await socket.send_str(text)
        except (aiohttp.ClientError, ConnectionError) as gone:
            raise self._lost("stream ended", reason=repr(gone)) from gone

    def _refused(self, text: str, topics: Sequence[Topic]) -> AlphaPulseError:
        """Venues refuse a whole request and name the culprit, if at all, only in the text."""
        named = [topic for topic in self.line.topics if topic.name in text] or topics
        if len(named) != 1:
            return self._lost("subscription refused", venue_message=text)
        return InstrumentUnavailable(
            "the venue refuses the stream of this symbol",
            exchange=self.line.dialect.exchange,
            symbol=named[0].symbol,
            topic=named[0].name,
            venue_message=text,
        )

    def _lost(self, message: str, **facts: object) -> StreamLost:
        return StreamLost(message, exchange=self.line.dialect.exchange, **facts)


def retry_after(headers: Mapping[str, str] | None) -> dict[str, float]:
    """The venue's wish to be left alone, as a fact; empty when it has none."""
    text = headers.get("Retry-After", "") if headers is not None else ""
    return {"retry_after_s": float(text)} if text.isdecimal() else {}
