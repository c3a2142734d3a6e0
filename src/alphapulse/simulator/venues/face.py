"""Face: how a venue plugs into the server, so that one server carries them all.

A face is synchronous and does no I/O: it turns requests into calls of the core and events of the
core into frames. Waiting, sockets and faults are the server's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, or the handshake of a WebSocket, exactly as it came.

    Nothing is decoded, because signatures are over the raw bytes. ``host`` is the venue's real
    host name in lower case without a port, ``path`` starts with ``/`` and has no query, ``query``
    has no ``?``. ``headers`` ignores case. ``remote`` is the client's address.
    """

    method: str
    host: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    remote: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. ``body`` is complete; the server only adds its length."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> "Answer":
        """``value`` as JSON."""
        return cls(status, msgspec.json.encode(value), JSON, headers or {})


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request is about, for the fault script; ``None`` when it does not say.

    ``account`` is the label of the account, ``symbol`` the venue's own (``BTCUSDT``).
    """

    account: str | None = None
    symbol: str | None = None


class Socket(Protocol):
    """One open WebSocket as a session sees it."""

    account: str | None
    """Label of the account that authenticated here; the session sets it, faults match it."""

    def send(self, frame: bytes, *, topic: str = "", symbol: str | None = None) -> None:
        """Queue a text frame; never waits. A client that reads too slowly is disconnected.

        ``topic`` is the venue's stream name (``tickers.BTCUSDT``, ``btcusdt@ticker``), empty for
        replies, so that a fault can lose or repeat one stream's frames.
        """
        ...

    def close(self, code: int, reason: str = "") -> None:
        """Send what is queued, then a close frame."""
        ...


class Session(Protocol):
    """One client on one WebSocket."""

    def on_text(self, text: str) -> None:
        """A message of the client; whatever it holds, answer or close, never raise."""
        ...

    def on_refused(self, text: str, code: int, words: str) -> None:
        """A message of the client that must not be done: refuse it in the venue's envelope."""
        ...

    def on_shutdown(self) -> None:
        """The connection will be closed soon: say so, where the venue has a word for it."""
        ...

    def on_close(self) -> None:
        """The socket is gone: unsubscribe from the core."""
        ...


class Face(Protocol):
    """One venue over the core."""

    @property
    def venue(self) -> str:
        """``binance``, ``bybit``."""
        ...

    @property
    def hosts(self) -> frozenset[str]:
        """Real host names, lower case, without ports."""
        ...

    @property
    def ping_interval_s(self) -> float | None:
        """How often the venue sends protocol pings; ``None`` when it leaves that to the client."""
        ...

    def answer(self, request: Request) -> Answer:
        """Serve one REST request; refusals are answers too, nothing is raised."""
        ...

    def connect(self, request: Request, socket: Socket) -> Session | Answer:
        """Accept a WebSocket, or refuse it with an answer (404 on an unknown path)."""
        ...

    def subject(self, request: Request) -> Subject:
        """What the request is about; cheap, because it runs before every request."""
        ...

    def refusal(self, code: int, message: str) -> Answer:
        """The venue's own error envelope, for a fault that asks for one code."""
        ...
