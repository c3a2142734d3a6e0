"""Guarded transport: the only way a request of CCXT leaves this process.

No redirects (CCXT's own client follows them to another host with key and signed body), no proxy
taken from the environment, a total time limit, a limit of size. What cannot be an answer is none.
"""

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import aiohttp
import msgspec
import yarl
from multidict import CIMultiDict

from alphapulse.exchanges.settings import ExchangesSettings

# Numbers with a point stay text: they reach Decimal without passing through a float.
_JSON = msgspec.json.Decoder(float_hook=str)


class NoAnswer(Exception):
    """Nothing that could be read came back.

    ``was_sent`` is false only when it is proved that no byte of the request left: then an order
    does not exist. The reason names no address, for addresses carry signatures.
    """

    def __init__(self, reason: str, *, was_sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.was_sent = was_sent


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as CCXT signed it."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a venue sent back, whatever its status. ``headers`` are found in any case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as an object or list; ``None`` for everything else.

        A page, a cut or empty body, ``null`` and bare words are all no answer.
        """
        if "html" in self.headers.get("Content-Type", "").lower():
            return None
        try:
            decoded = _JSON.decode(self.body)
        except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested without end
            return None
        return decoded if isinstance(decoded, dict | list) else None


class Transport:
    """Sends requests on the loop it was first used on; `close` before that loop ends."""

    def __init__(self, settings: ExchangesSettings) -> None:
        self._max_bytes = settings.max_answer_bytes
        self._timeout = aiohttp.ClientTimeout(
            total=settings.request_timeout_s, sock_connect=settings.connect_timeout_s
        )
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> Answer:
        """The venue's answer to one request, sent once.

        Raises:
            NoAnswer: connection, time limit, or a body that is cut or too large.
        """
        try:
            async with self._open().request(
                request.method,
                yarl.URL(request.url, encoded=True),
                data=None if request.body is None else request.body.encode(),
                headers=request.headers,
                allow_redirects=False,
            ) as response:
                return Answer(
                    response.status,
                    response.reason or "",
                    CIMultiDict(response.headers),
                    await self._body(response),
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as refused:
            raise NoAnswer(_why_refused(refused), was_sent=False) from None
        except TimeoutError:
            raise NoAnswer("no answer in time", was_sent=True) from None
        except aiohttp.ClientPayloadError:
            raise NoAnswer("the answer was cut off", was_sent=True) from None
        except (aiohttp.ClientError, OSError):
            raise NoAnswer("the connection broke", was_sent=True) from None

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(256 * 1024):
            body += chunk
            if len(body) > self._max_bytes:
                raise NoAnswer("the answer is too large", was_sent=True)
        return bytes(body)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                connector=aiohttp.TCPConnector(ssl=_tls()),
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def close(self) -> None:
        """Drop every connection; the transport may be used again afterwards."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # 30 ms to make: one for the process


def _why_refused(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name cannot be resolved"
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
        return "the certificate is not accepted"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no connection in time"
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(
        error.os_error, socket.gaierror
    ):
        return "the host name cannot be resolved"
    return "the connection was refused"
