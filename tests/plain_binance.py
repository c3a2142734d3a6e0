"""A Binance client that is not CCXT: plain aiohttp, parameters wherever the caller puts them."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import aiohttp

from alphapulse.simulator.simulator import Simulator
from alphapulse.simulator.world import SimulatedAccount
from tests.eventually import LIMIT_S

Json = Any


class Where(StrEnum):
    """Where signed parameters travel."""

    QUERY = "query"
    BODY = "body"
    BOTH = "both"


class PlainBinance:
    """Speaks to the simulator as any hand-written client speaks to the venue."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        simulator: Simulator,
        account: SimulatedAccount,
        host: str = "api.binance.com",
    ) -> None:
        self._http = http
        self._simulator = simulator
        self.account = account
        self._host = host
        self.offset_ms = 0
        self.status = 0
        """Of the last answer."""
        self.headers: dict[str, str] = {}
        """Of the last answer."""

    async def public(self, path: str, **params: object) -> Json:
        return await self._send("GET", f"{path}?{urlencode(_texts(params))}", b"", {})

    async def signed(
        self, method: str, path: str, where: Where = Where.QUERY, /, **params: object
    ) -> Json:
        """Sign over the bytes as they travel; ``BOTH`` puts the first parameter into the query."""
        stamped = {**_texts(params), "timestamp": str(self._now_ms())}
        pairs = list(stamped.items())
        split = {Where.QUERY: len(pairs), Where.BODY: 0, Where.BOTH: 1}[where]
        query, body = urlencode(pairs[:split]), urlencode(pairs[split:])
        signature = f"signature={self.sign(query + body)}"
        if body:
            body = f"{body}&{signature}"
        else:
            query = f"{query}&{signature}"
        headers = {"X-MBX-APIKEY": self.account.api_key}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return await self._send(method, f"{path}?{query}", body.encode(), headers)

    async def keyed(self, method: str, path: str) -> Json:
        """With the key alone, unsigned, as listen keys are asked for."""
        return await self._send(method, path, b"", {"X-MBX-APIKEY": self.account.api_key})

    def signed_params(self, **params: object) -> dict[str, object]:
        """Parameters for the WebSocket API: numbers stay numbers, the signature is over both."""
        named = {**params, "apiKey": self.account.api_key, "timestamp": self._now_ms()}
        payload = "&".join(f"{name}={value}" for name, value in sorted(named.items()))
        return {**named, "signature": self.sign(payload)}

    def sign(self, payload: str) -> str:
        secret = self.account.api_secret.encode()
        return hmac.new(secret, payload.encode(), sha256).hexdigest()

    @asynccontextmanager
    async def socket(
        self, path: str = "/stream", host: str = "stream.binance.com:9443"
    ) -> AsyncIterator["PlainSocket"]:
        async with self._http.ws_connect(f"{self._simulator.url}/{host}{path}") as socket:
            yield PlainSocket(socket)

    @asynccontextmanager
    async def api_socket(self) -> AsyncIterator["PlainSocket"]:
        async with self.socket("/ws-api/v3", "ws-api.binance.com:443") as socket:
            yield socket

    def _now_ms(self) -> int:
        return int(time.time() * 1000) + self.offset_ms

    async def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Json:
        url = f"{self._simulator.url}/{self._host}{path}"
        async with self._http.request(method, url, data=body or None, headers=headers) as response:
            self.status, self.headers = response.status, dict(response.headers)
            return await response.json()


class PlainSocket:
    """One WebSocket; ``sent`` texts are JSON with spaces."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, message: Json) -> None:
        await self._socket.send_str(json.dumps(message))

    async def send_text(self, text: str) -> None:
        await self._socket.send_str(text)

    async def receive(self, within_s: float = LIMIT_S) -> Json:
        async with asyncio.timeout(within_s):
            return json.loads(await self._socket.receive_str())

    async def receive_text(self, within_s: float = LIMIT_S) -> str:
        async with asyncio.timeout(within_s):
            return await self._socket.receive_str()

    async def until(self, is_wanted: Callable[[Json], bool], within_s: float = LIMIT_S) -> Json:
        """The next message that is wanted; others are passed over."""
        async with asyncio.timeout(within_s):
            while True:
                message = json.loads(await self._socket.receive_str())
                if is_wanted(message):
                    return message

    async def of_stream(self, stream: str) -> Json:
        """The next frame of one stream of a combined connection."""
        return await self.until(lambda m: m.get("stream") == stream)

    async def subscribe(self, *streams: str, method: str = "SUBSCRIBE") -> Json:
        message_id = str(uuid4())
        await self.send({"method": method, "params": list(streams), "id": message_id})
        return await self.until(lambda m: m.get("id") == message_id)

    async def call(self, method: str, params: Json = None) -> Json:
        """A request of the WebSocket API and its reply."""
        message_id = str(uuid4())
        await self.send({"id": message_id, "method": method, "params": params or {}})
        return await self.until(lambda m: m.get("id") == message_id)


@asynccontextmanager
async def plain_binance(
    simulator: Simulator, label: str = "binance-main", host: str = "api.binance.com"
) -> AsyncIterator[PlainBinance]:
    async with aiohttp.ClientSession() as http:
        yield PlainBinance(http, simulator, simulator.account(label), host)


def _texts(params: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in params.items()}
