"""A Bybit client that is not CCXT: plain aiohttp, JSON with spaces, signed over its raw bytes."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import aiohttp

from alphapulse.simulator.simulator import Simulator
from alphapulse.simulator.world import SimulatedAccount
from tests.eventually import LIMIT_S

Json = Any


class PlainBybit:
    """Speaks to the simulator as any hand-written client speaks to the venue."""

    def __init__(
        self, http: aiohttp.ClientSession, simulator: Simulator, account: SimulatedAccount
    ) -> None:
        self._http = http
        self._simulator = simulator
        self.account = account
        self.offset_ms = 0
        self.headers: dict[str, str] = {}
        """Of the last answer."""

    async def public(self, path: str, **params: object) -> Json:
        async with self._http.get(f"{self._base}{path}", params=_texts(params)) as response:
            return await response.json()

    async def get(self, path: str, **params: object) -> Json:
        query = urlencode(_texts(params))
        headers = self._signed(query.encode())
        async with self._http.get(f"{self._base}{path}?{query}", headers=headers) as response:
            self.headers = dict(response.headers)
            return await response.json()

    async def post(self, path: str, **params: object) -> Json:
        body = json.dumps(params, indent=1).encode()
        headers = self._signed(body) | {"Content-Type": "application/json"}
        async with self._http.post(f"{self._base}{path}", data=body, headers=headers) as response:
            self.headers = dict(response.headers)
            return await response.json()

    @asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator["PlainSocket"]:
        url = f"{self._simulator.url}/stream.bybit.com{path}"
        # A frozen venue never answers a close; do not wait long for it.
        timeout = aiohttp.ClientWSTimeout(ws_close=0.3)
        async with self._http.ws_connect(url, timeout=timeout) as socket:
            yield PlainSocket(socket, self)

    def greeting(self) -> Json:
        """A signed ``auth`` op; the expiry as a number, as most clients but CCXT send it."""
        expires = int(time.time() * 1000) + 10_000
        signature = self._sign(f"GET/realtime{expires}".encode())
        return {"op": "auth", "args": [self.account.api_key, expires, signature]}

    def header(self) -> Json:
        """What comes with an order over the trade socket."""
        stamp = int(time.time() * 1000) + self.offset_ms
        return {"X-BAPI-TIMESTAMP": str(stamp), "X-BAPI-RECV-WINDOW": "5000"}

    @property
    def _base(self) -> str:
        return f"{self._simulator.url}/api.bybit.com"

    def _signed(self, payload: bytes) -> dict[str, str]:
        stamp = str(int(time.time() * 1000) + self.offset_ms)
        signature = self._sign(f"{stamp}{self.account.api_key}5000".encode() + payload)
        return {
            "X-BAPI-API-KEY": self.account.api_key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": "5000",
            "X-BAPI-SIGN-TYPE": "2",
            "X-BAPI-SIGN": signature,
        }

    def _sign(self, payload: bytes) -> str:
        return hmac.new(self.account.api_secret.encode(), payload, sha256).hexdigest()


class PlainSocket:
    """One WebSocket, message by message."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, client: PlainBybit) -> None:
        self.raw = socket
        self._client = client

    async def send(self, message: Json) -> None:
        await self.raw.send_str(json.dumps(message))

    async def receive(self, within_s: float = LIMIT_S) -> Json:
        """The next message.

        Raises:
            EOFError: the socket was closed; its code is ``raw.close_code``.
        """
        message = await asyncio.wait_for(self.raw.receive(), within_s)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise EOFError(message.type)
        return json.loads(message.data)

    async def until(self, wanted: Callable[[Json], bool], within_s: float = LIMIT_S) -> Json:
        """The first message that is wanted; others are dropped."""
        async with asyncio.timeout(within_s):
            while not wanted(message := await self.receive(within_s)):
                pass
        return message

    async def authenticate(self) -> Json:
        await self.send(self._client.greeting())
        return await self.receive()

    async def subscribe(self, *topics: str) -> Json:
        """Follow topics; the acknowledgement."""
        await self.send({"op": "subscribe", "req_id": "1", "args": list(topics)})
        return await self.until(lambda message: message.get("op") == "subscribe")

    async def topic(self, name: str, within_s: float = LIMIT_S) -> Json:
        """The next frame of one topic."""
        return await self.until(lambda message: message.get("topic") == name, within_s)


@asynccontextmanager
async def plain_bybit(
    simulator: Simulator, account: SimulatedAccount | None = None
) -> AsyncIterator[PlainBybit]:
    """A client of the demo account, or of another."""
    async with aiohttp.ClientSession() as http:
        yield PlainBybit(http, simulator, account or simulator.account("bybit-unified"))


def _texts(params: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in params.items()}
