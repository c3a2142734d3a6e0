"""Server of the simulated exchange: one port for every venue, by the real host name.

The host is the first segment of the path (``/api.binance.com/api/v3/time``) or, for clients whose
resolver was bent (TLS), the ``Host`` header. Faces answer; this module owns sockets, limits and
the doing of faults.
"""

import asyncio
import errno
import random
import socket
import ssl
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress

from aiohttp import web

from alphapulse.errors import PortTaken
from alphapulse.simulator import faults
from alphapulse.simulator.faults import FaultScript, Occasion, When
from alphapulse.simulator.venues.face import Answer, Face, Request
from alphapulse.simulator.wire import Wire

# A client with hundreds of subscriptions opens tens of connections; beyond this it is a leak.
CONNECTIONS_MAX = 512

# The largest request of any venue is a batch of orders, a few kB.
BODY_BYTES_MAX = 256 * 1024

# Handlers end at once when told; a second covers a busy machine.
SHUTDOWN_S = 1.0

HTML = "<html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"
GARBLED = {"html": HTML.encode(), "empty": b"", "null": b"null", "object": b"{}"}

ApplyWorldFault = Callable[[faults.WorldFault, Occasion], None]


class SimulatorServer:
    """Serves faces until stopped. Belongs to the loop it was started on.

    ``apply`` changes the world for those faults that do; ``seed`` fixes the tails of latencies.
    """

    def __init__(
        self,
        faces: Iterable[Face],
        script: FaultScript,
        *,
        apply: ApplyWorldFault,
        seed: int = 0,
    ) -> None:
        self._faces = {host: face for face in faces for host in face.hosts}
        self._script = script
        self._apply = apply
        self._random = random.Random(seed)
        self._stopped_venues: set[str] = set()
        self._venue_of: dict[asyncio.Transport, str] = {}
        self._wires: set[Wire] = set()
        self._stopping = asyncio.Event()
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
        site = web.TCPSite(self._runner, host, port, ssl_context=tls)
        try:
            await site.start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortTaken("somebody else listens there", host=host, port=port) from error
        address: tuple[str, int] = self._runner.addresses[-1]
        return address[1]

    async def stop(self) -> None:
        """Drop every connection and stop listening; nothing of ours is left on the loop."""
        self._stopping.set()
        for wire in tuple(self._wires):
            wire.abort()
        await self._runner.cleanup()

    def stop_venue(self, venue: str) -> None:
        """Abort the venue's connections; new requests are cut off without an answer."""
        self._stopped_venues.add(venue)
        for transport, owner in tuple(self._venue_of.items()):
            if owner == venue:
                _abort(transport)
                del self._venue_of[transport]

    def start_venue(self, venue: str) -> None:
        """Answer again."""
        self._stopped_venues.discard(venue)

    def is_stopped(self, venue: str) -> bool:
        return venue in self._stopped_venues

    async def drained(self) -> None:
        """Return when every stream's reader has caught up."""
        for wire in tuple(self._wires):
            await wire.drained()

    @property
    def stream_count(self) -> int:
        """Open WebSockets."""
        return len(self._wires)

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        host, path = self._address(http)
        face = self._faces.get(host)
        if face is None:
            raise web.HTTPNotFound(text="no such venue; the first path segment is its host name")
        if self._remember(http, face.venue) and face.venue not in self._stopped_venues:
            request = await _request(http, host, path)
            return await self._serve(http, face, request)
        return _cut(http)

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
        occasion = _occasion(face, request, faults.HANDSHAKE if is_socket else request.method)
        struck = self._script.on_request(occasion)
        for change in struck:
            if isinstance(change, faults.WorldFault):
                self._apply(change, occasion)
        trouble = [fault for fault in struck if isinstance(fault, faults.RequestFault)]
        await self._delay(trouble)
        for fault in trouble:
            if isinstance(fault, faults.InsteadOfAnswer) and fault.when is When.BEFORE:
                return await self._spoil(http, face, fault)
        if is_socket:
            return await self._converse(http, face, request, occasion)
        answer = face.answer(request)
        for fault in trouble:
            if not isinstance(fault, faults.Latency):
                return await self._spoil(http, face, fault, answer)
        return _response(answer)

    async def _delay(self, trouble: list[faults.RequestFault]) -> None:
        for fault in trouble:
            if isinstance(fault, faults.Latency):
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
        self,
        http: web.Request,
        face: Face,
        fault: faults.RequestFault,
        answer: Answer | None = None,
    ) -> web.StreamResponse:
        """What the client gets instead of ``answer``."""
        match fault:
            case faults.Timeout():
                await self._wait(fault.hold_s)
                return _cut(http)
            case faults.Truncated() if answer is not None:
                return await _truncated(http, answer)
            case faults.Garbled():
                kind = "text/html" if fault.body == "html" else "application/json"
                return _response(Answer(fault.status, GARBLED[fault.body], kind))
            case faults.Status():
                return _response(_status(fault))
            case faults.VenueError():
                return _response(face.refusal(fault.code, fault.message))
            case _:
                return _cut(http)

    async def _converse(
        self, http: web.Request, face: Face, request: Request, occasion: Occasion
    ) -> web.StreamResponse:
        wire = Wire(self._script, occasion, ping_interval_s=face.ping_interval_s)
        session = face.connect(request, wire)
        if isinstance(session, Answer):
            return _response(session)
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


def _response(answer: Answer) -> web.Response:
    return web.Response(
        status=answer.status,
        body=answer.body,
        headers={**answer.headers, "Content-Type": answer.content_type},
    )


def _status(fault: faults.Status) -> Answer:
    headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
    kind = "application/json" if fault.body.startswith(("{", "[")) else "text/html"
    return Answer(fault.status, fault.body.encode(), kind, headers)


async def _truncated(http: web.Request, answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(
        status=answer.status, headers={"Content-Type": answer.content_type}
    )
    response.content_length = len(answer.body)
    await response.prepare(http)
    await response.write(answer.body[: len(answer.body) // 2])
    if http.transport is not None:
        http.transport.close()
    return response


def _cut(http: web.Request) -> web.Response:
    """End the connection without an answer; the response never reaches anybody."""
    if http.transport is not None:
        _abort(http.transport)
    return web.Response(status=503)


def _abort(transport: asyncio.Transport) -> None:
    # Lingering for 0 s turns the close into a reset, which is what a crashed peer sends.
    raw: socket.socket | None = transport.get_extra_info("socket")
    if raw is not None:
        with suppress(OSError):  # The client was quicker, and there is nothing left to reset.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
