"""The server that carries the API: uvicorn on uvloop, with our frames and its own noise off."""

from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from alphapulse.api.settings import ApiSettings
from alphapulse.api.websocket.frames import FrameProtocol

MESSAGE_BYTES_MAX = 64 * 1024
"""What a client may send at once over the WebSocket; a subscription to 200 channels is 5 kB."""

GRACE_S = 5
"""How long requests in flight may take to end when the server stops."""


class Server(uvicorn.Server):
    """Uvicorn that leaves signals alone: it would raise them again after serving, and end the
    process before its owner has put things away. Set ``should_exit`` to stop it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_of(app: ASGIApp, settings: ApiSettings) -> Server:
    """A server to ``serve(sockets=[...])`` with; binding the socket is the caller's, who can say
    why it failed."""
    return Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http="httptools",
            ws=FrameProtocol,
            ws_max_size=MESSAGE_BYTES_MAX,
            ws_per_message_deflate=False,
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=settings.is_behind_tls_proxy,
            timeout_graceful_shutdown=GRACE_S,
        )
    )
