"""Server of the simulated exchange: one port for every venue, by the real host name.

The host is the first segment of the path (``/api.binance.com/api/v3/time``) or, for clients whose
resolver was bent (TLS), the ``Host`` header. Faces answer; this module owns sockets, limits and
the doing of faults.
"""

import asyncio
import random
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from aiohttp import web

from alphapulse.simulator import spoiling
from alphapulse.simulator.faults import requests as faults
from alphapulse.simulator.faults.answers import Backstage
from alphapulse.simulator.faults.fault import CONNECT, HANDSHAKE, Occasion, When
from alphapulse.simulator.faults.script import FaultScript
from alphapulse.simulator.listener import DeadEnd, Listener, abort
from alphapulse.simulator.upheaval import Upheaval
from alphapulse.simulator.venues.face import Answer, Face, Request
from alphapulse.simulator.wire import Wire

# A client with hundreds of subscriptions opens tens of connections; beyond this it is a leak.
CONNECTIONS_MAX = 512

# The largest request of any venue is a batch of orders, a few kB.
BODY_BYTES_MAX = 256 * 1024

# Handlers end at once when told; a second covers a busy machine.
SHUTDOWN_S = 1.0

Trouble = Sequence[faults.RequestFault]


class SimulatorServer:
    """Serves faces until stopped. Belongs to the loop it was started on.

    ``upheaval`` changes the world for those faults that do; ``seed`` fixes the tails of latencies.
    ``late_s`` says how late a venue's next write arrives.
    """

    def __init__(
        self,
        faces: Iterable[Face],
        script: FaultScript,
        upheaval: Upheaval,
        *,
        late_s: Callable[[str], float],
        seed: int = 0,
    ) -> None:
        self._faces = {host: face for face in faces for host in face.hosts}
        self._script = script
        self._upheaval = upheaval
        self._late_s = late_s
        self._under_way: set[asyncio.Task[Answer]] = set()
        self._random = random.Random(seed)
        self._stopped_venues: set[str] = set()
        self._venue_of: dict[asyncio.Transport, str] = {}
        self._wires: set[Wire] = set()
        self._stopping = asyncio.Event()
        self._listeners: list[Listener] = []
        self._reopening: asyncio.Task[None] | None = None
        self._app = web.Application(client_max_size=BODY_BYTES_MAX)
        # A handler that waits out a fault must end when its client goes.
        self._runner = web.AppRunner(
            self._app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S
        )

    def add_routes(self, routes: Iterable[web.AbstractRouteDef]) -> None:
        """Serve something beside the venues; before `start`."""
        self._app.add_routes(routes)

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen; the port, which is a free one when 0 was asked. Once more with ``tls`` to serve
        both.

        Raises:
            PortTaken: somebody else listens there.
        """
        if self._runner.server is None:
            self._app.router.add_route("*", "/{path:.*}", self._handle)
            await self._runner.setup()
        listener = Listener(self._accept, tls)
        bound = await listener.bind(host, port)
        self._listeners.append(listener)
        return bound

    async def stop(self) -> None:
        """Drop every connection and stop listening; nothing of ours is left on the loop."""
        self._stopping.set()
        if self._reopening is not None:
            self._reopening.cancel()
            with suppress(asyncio.CancelledError):
                await self._reopening
        for travelling in tuple(self._under_way):
            travelling.cancel()
        for listener in self._listeners:
            listener.stop()
        for wire in tuple(self._wires):
            wire.abort()
        await self._runner.cleanup()

    def stop_venue(self, venue: str) -> None:
        """Abort the venue's connections; new requests are cut off without an answer.

        They are read first: a client cannot know that nothing was done. See `close_port`.
        """
        self._stopped_venues.add(venue)
        self._abort_connections({venue})

    def start_venue(self, venue: str) -> None:
        """Answer again."""
        self._stopped_venues.discard(venue)

    def is_stopped(self, venue: str) -> bool:
        return venue in self._stopped_venues

    def close_port(self) -> None:
        """Abort every venue's connections and refuse new ones: what a client sends next, it
        cannot send."""
        for listener in self._listeners:
            listener.close()
        self._abort_connections(set(self._venue_of.values()))

    async def open_port(self) -> None:
        """Accept connections again."""
        for listener in self._listeners:
            await listener.open()

    async def drained(self) -> None:
        """Return when every stream's reader has caught up."""
        for wire in tuple(self._wires):
            await wire.drained()

    @property
    def stream_count(self) -> int:
        """Open WebSockets."""
        return len(self._wires)

    @property
    def late_requests(self) -> int:
        """Requests that are under way and have not arrived."""
        return len(self._under_way)

    def _accept(self) -> asyncio.BaseProtocol:
        for fault in self._script.on_connect(Occasion("", "", "", CONNECT)):
            return DeadEnd(fault.how)
        assert self._runner.server is not None
        return self._runner.server()

    def _abort_connections(self, venues: set[str]) -> None:
        for transport, owner in tuple(self._venue_of.items()):
            if owner in venues:
                abort(transport)
                del self._venue_of[transport]

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        host, path = self._address(http)
        face = self._faces.get(host)
        if face is None:
            raise web.HTTPNotFound(text="no such venue; the first path segment is its host name")
        if self._remember(http, face.venue) and face.venue not in self._stopped_venues:
            request = await _request(http, host, path)
            return await self._serve(http, face, request)
        return spoiling.cut(http)

    def _address(self, http: web.Request) -> tuple[str, str]:
        """Venue host and path, from the path's first segment or from the Host header."""
        path = http.raw_path.partition("?")[0]
        first, _, rest = path.lstrip("/").partition("/")
        host = first.partition(":")[0].lower()
        if host in self._faces:
            return host, f"/{rest}"
        return (http.host or "").partition(":")[0].lower(), path

    def _remember(self, http: web.Request, venue: str) -> bool:
        """Note whose connection this is; false when there are too many."""
        transport = http.transport
        if transport is None:
            return False
        if transport not in self._venue_of:
            for known in [t for t in self._venue_of if t.is_closing()]:
                del self._venue_of[known]
        self._venue_of[transport] = venue
        return len(self._venue_of) <= CONNECTIONS_MAX

    async def _serve(self, http: web.Request, face: Face, request: Request) -> web.StreamResponse:
        is_socket = http.headers.get("Upgrade", "").lower() == "websocket"
        occasion = _occasion(face, request, HANDSHAKE if is_socket else request.method)
        for change in self._script.changes(occasion):
            self._upheaval.apply(change, occasion)
        trouble = self._script.on_request(occasion)
        await self._delay(trouble, When.BEFORE)
        for fault in trouble:
            if _is_instead(fault, When.BEFORE):
                return await self._spoil(http, face, request, fault)
        if is_socket:
            return await self._converse(http, face, request, occasion)
        answer = await self._arrive(face, request, occasion, trouble)
        await self._delay(trouble, When.AFTER)
        for fault in trouble:
            if isinstance(fault, faults.Truncated):
                return await spoiling.truncated(http, answer)
            if _is_instead(fault, When.AFTER):
                return await self._spoil(http, face, request, fault)
        return spoiling.response(answer)

    async def _arrive(
        self, face: Face, request: Request, occasion: Occasion, trouble: Trouble
    ) -> Answer:
        """Execute a request, a late one also when its client is gone by then."""
        late_s = 0.0 if request.method == "GET" else self._late_s(face.venue)
        if not late_s:
            return self._answer(face, request, occasion, trouble)

        async def travel() -> Answer:
            await asyncio.sleep(late_s)
            return self._answer(face, request, occasion, trouble)

        travelling = asyncio.create_task(travel(), name="simulator-late-request")
        self._under_way.add(travelling)
        travelling.add_done_callback(self._under_way.discard)
        return await asyncio.shield(travelling)

    def _answer(self, face: Face, request: Request, occasion: Occasion, trouble: Trouble) -> Answer:
        """The request is executed here; what comes back may be bent."""
        if any(isinstance(fault, faults.BadSignature) for fault in trouble):
            request = spoiling.missigned(request)
        answer = face.answer(request)
        backstage = Backstage(self._upheaval.now_ms(face.venue), face.refusal)
        return self._script.on_answer(occasion, answer, backstage)

    async def _delay(self, trouble: Trouble, when: When) -> None:
        for fault in trouble:
            if isinstance(fault, faults.Latency) and fault.when is when:
                tail_s = self._random.expovariate(1 / fault.tail_s) if fault.tail_s else 0.0
                await self._wait(fault.delay_s + tail_s)

    async def _wait(self, seconds: float) -> None:
        """Real seconds, cut short by `stop`."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _spoil(
        self, http: web.Request, face: Face, request: Request, fault: faults.RequestFault
    ) -> web.StreamResponse:
        """What the client gets instead of an answer."""
        if isinstance(fault, faults.Timeout):
            await self._wait(fault.hold_s)
        if isinstance(fault, faults.ClosedPort):
            self._close_port_for(fault.for_s)
        other = spoiling.other_answer(face, request, fault)
        return spoiling.cut(http) if other is None else spoiling.response(other)

    def _close_port_for(self, seconds: float) -> None:
        async def reopen() -> None:
            await self._wait(seconds)
            await self.open_port()

        if self._reopening is not None:
            self._reopening.cancel()
        self.close_port()
        self._reopening = asyncio.create_task(reopen(), name="simulator-reopening")

    async def _converse(
        self, http: web.Request, face: Face, request: Request, occasion: Occasion
    ) -> web.StreamResponse:
        wire = Wire(self._script, occasion, ping_interval_s=face.ping_interval_s)
        session = face.connect(request, wire)
        if isinstance(session, Answer):
            return spoiling.response(session)
        self._wires.add(wire)
        try:
            return await wire.carry(http, session)
        finally:
            self._wires.discard(wire)
            session.on_close()


async def _request(http: web.Request, host: str, path: str) -> Request:
    return Request(
        method=http.method,
        host=host,
        path=path,
        query=http.raw_path.partition("?")[2],
        headers=http.headers,
        body=await http.read(),
        remote=http.remote or "",
    )


def _occasion(face: Face, request: Request, method: str) -> Occasion:
    subject = face.subject(request)
    return Occasion(
        venue=face.venue,
        host=request.host,
        path=request.path,
        method=method,
        account=subject.account or "",
        symbol=subject.symbol or "",
    )


def _is_instead(fault: faults.RequestFault, when: When) -> bool:
    """Whether a fault takes the answer's place at this moment."""
    return isinstance(fault, faults.InsteadOfAnswer) and fault.when is when
