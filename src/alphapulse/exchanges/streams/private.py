"""Private streams: one account's orders, fills, balances and positions, over CCXT Pro's sockets.

CCXT opens the socket, signs and keeps it alive; every message is taken here, before CCXT's own
handlers, which keep caches that tell only the last of a burst.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import aiohttp
from loguru import logger

from alphapulse.domain.identifiers import ExchangeId
from alphapulse.errors import AlphaPulseError, StreamLost
from alphapulse.exchanges.ccxt import loading
from alphapulse.exchanges.port import PrivateUpdate
from alphapulse.exchanges.streams.connection import together
from alphapulse.exchanges.streams.pro import ProLayer, close
from alphapulse.exchanges.streams.watchdog import DEFAULT_LIMITS, StreamLimits

# A busy account sends some tens a second; this many behind, reading it all again is quicker.
INBOX_UPDATES = 10_000

T = TypeVar("T")

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answered:
    """The venue's word on the request before it; ``refusal`` is what to raise."""

    refusal: AlphaPulseError | None = None


class Face(Protocol):
    """How one venue's private stream is entered and read."""

    @property
    def exchange(self) -> ExchangeId: ...

    def url(self, client: Any) -> str:
        """Where CCXT says the stream is."""
        ...

    def requests(self, client: Any) -> Sequence[Message]:
        """What to send after connecting, each once the one before it is answered."""
        ...

    def read(self, message: Message) -> PrivateUpdate | Answered | None:
        """What a message says; ``None`` where it is CCXT's to handle, like a pong.

        Raises:
            StreamLost: the venue ends the stream.
            AlphaPulseError: it says something we cannot read.
        """
        ...


class Taking(ProLayer):
    """Laid over a CCXT Pro class: its messages, and the end of its socket, come to an inbox."""

    _face: Face
    _inbox: "Inbox"

    def take_with(self, face: Face, inbox: "Inbox") -> None:
        """Before the first socket is opened."""
        self._face = face
        self._inbox = inbox

    def on_message(self, socket: Any, message: Any) -> None:
        said = self._face.read(message) if isinstance(message, dict) else None
        if said is None:
            super().on_message(socket, message)
        else:
            self._inbox.put(said)

    def on_end(self, lost: StreamLost) -> None:
        self._inbox.end(lost)


class Inbox:
    """What one connection said, in order, and how it ended; bounded."""

    def __init__(self, exchange: ExchangeId, capacity_updates: int = INBOX_UPDATES) -> None:
        self._exchange = exchange
        self._capacity = capacity_updates
        self._said: deque[PrivateUpdate] = deque()
        self._answers: deque[Answered] = deque()
        self._end: AlphaPulseError | None = None
        self._wake = asyncio.Event()

    def put(self, said: PrivateUpdate | Answered) -> None:
        """Never waits; a full inbox ends the stream instead of losing from its middle."""
        if isinstance(said, Answered):
            self._answers.append(said)
        elif len(self._said) < self._capacity:
            self._said.append(said)
        else:
            self.end(StreamLost("private stream not read in time", exchange=self._exchange))
        self._wake.set()

    def end(self, error: AlphaPulseError) -> None:
        """The first word on the end counts; what came before is still taken."""
        self._end = self._end or error
        self._wake.set()

    async def opened(self, connected: "asyncio.Future[Any]") -> None:
        """Wait until the socket is open; raise how the stream ended if it ends before that.

        CCXT tells a refused connection to its handlers and leaves this future pending for ever.
        """
        connected.add_done_callback(lambda _: self._wake.set())
        while not connected.done():
            if self._end is not None:
                raise self._end
            self._wake.clear()
            await self._wake.wait()
        connected.result()

    async def answer(self) -> None:
        """Wait for the answer to a request; raise its refusal, or how the stream ended."""
        answered = await self._next(self._answers)
        if answered.refusal is not None:
            raise answered.refusal

    async def take(self) -> PrivateUpdate:
        """The oldest update; when all are taken, raise how the stream ended."""
        return await self._next(self._said)

    async def _next(self, queue: deque[T]) -> T:
        while not queue:
            if self._end is not None:
                raise self._end
            self._wake.clear()
            await self._wake.wait()
        return queue.popleft()


async def watch(
    client: Any,
    face: Face,
    sink: Callable[[PrivateUpdate], Awaitable[None]],
    *,
    on_connected: Callable[[], Awaitable[None]],
    limits: StreamLimits = DEFAULT_LIMITS,
) -> None:
    """Hand every message of the account to ``sink``, in the venue's order, until canceled.

    Args:
        client: a CCXT Pro instance with `Taking` laid over it; closed at the end.
        on_connected: awaited when the subscription is confirmed; what comes meanwhile waits.

    Raises:
        StreamLost: not opened, not confirmed, ended, or it said what cannot be read.
        AuthenticationFailed, PermissionMissing, ClockSkewed: the venue's definite refusal.
    """
    inbox = Inbox(face.exchange)
    client.take_with(face, inbox)
    try:
        await _enter(client, face, inbox, limits)
        logger.bind(exchange=face.exchange).debug("private stream open")
        await on_connected()
        while True:
            await sink(await inbox.take())
    finally:
        await close(client)


async def watch_all(
    parts: Sequence[tuple[Any, Face]],
    sink: Callable[[PrivateUpdate], Awaitable[None]],
    *,
    on_connected: Callable[[], Awaitable[None]],
    keep_alive: Sequence[Callable[[], Awaitable[None]]] = (),
    limits: StreamLimits = DEFAULT_LIMITS,
) -> None:
    """`watch` several streams of one account as one: all are open, or none is.

    ``on_connected`` is awaited once, when the last is confirmed, and before any message is handed
    out. What ``keep_alive`` does goes on beside them, and its error ends them.
    """
    outside, opened, one_at_a_time = len(parts), asyncio.Event(), asyncio.Lock()

    async def entered() -> None:
        nonlocal outside
        outside -= 1
        if outside == 0:
            await on_connected()
            opened.set()
        await opened.wait()

    async def hand_on(update: PrivateUpdate) -> None:
        async with one_at_a_time:
            await sink(update)

    async with together() as tasks:
        for client, face in parts:
            watching = watch(client, face, hand_on, on_connected=entered, limits=limits)
            tasks.create_task(watching)
        for keep in keep_alive:
            tasks.create_task(_awaited(keep))


async def _awaited(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def _enter(client: Any, face: Face, inbox: Inbox, limits: StreamLimits) -> None:
    reason = "no answer in time"
    try:
        async with asyncio.timeout(limits.open_s + limits.confirm_s):
            client.open()
            socket = client.client(face.url(client))
            await inbox.opened(socket.connect(client.session))
            for request in face.requests(client):
                await socket.send(request)
                await inbox.answer()
            return
    except TimeoutError:
        pass
    except (loading.base_error(), aiohttp.ClientError, OSError) as raised:
        # CCXT's text holds addresses; they must not travel.
        reason = type(raised).__name__
    raise StreamLost("private stream cannot be opened", exchange=face.exchange, reason=reason)
