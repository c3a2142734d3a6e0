"""Listener: one address of the simulator, which can refuse connections and keep its port."""

import asyncio
import errno
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, cast

from alphapulse.errors import PortTaken

Factory = Callable[[], asyncio.BaseProtocol]


class Listener:
    """Opened and closed any number of times, always on the same port."""

    def __init__(self, factory: Factory, tls: ssl.SSLContext | None = None) -> None:
        self._factory = factory
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._parked: socket.socket | None = None

    async def bind(self, host: str, port: int) -> int:
        """Listen for the first time; the port, which is a free one when 0 was asked.

        Raises:
            PortTaken: somebody else listens there.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._factory, host, port, ssl=self._tls)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortTaken("somebody else listens there", host=host, port=port) from error
        address: tuple[str, int] = self._server.sockets[0].getsockname()
        return address[1]

    def close(self) -> None:
        """Refuse connections from now on: the kernel answers for a port that nobody listens on."""
        if self._server is None:
            return
        (listening, *_) = self._server.sockets
        address, family = listening.getsockname(), listening.family
        self._server.close()
        self._server = None
        # Bound without listening, the port refuses everybody and is given to nobody.
        self._parked = socket.socket(family)
        self._parked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._parked.bind(address)

    async def open(self) -> None:
        """Accept connections again."""
        parked, self._parked = self._parked, None
        if parked is not None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._factory, sock=parked, ssl=self._tls)

    def stop(self) -> None:
        """Give the port back."""
        if self._server is not None:
            self._server.close()
        if self._parked is not None:
            self._parked.close()
        self._server = self._parked = None


class DeadEnd(asyncio.Protocol):
    """A connection that was accepted and leads nowhere."""

    def __init__(self, how: Literal["reset", "close", "silence"]) -> None:
        self._how = how

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The loops' transports are asyncio's by behavior, uvloop's not by class.
        if self._how == "reset":
            abort(cast(asyncio.Transport, transport))
        elif self._how == "close":
            transport.close()


def abort(transport: asyncio.Transport) -> None:
    """End a connection as a crashed peer does: by a reset."""
    # Lingering for 0 s turns the close into a reset.
    raw: socket.socket | None = transport.get_extra_info("socket")
    if raw is not None:
        with suppress(OSError):  # The client was quicker, and there is nothing left to reset.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
