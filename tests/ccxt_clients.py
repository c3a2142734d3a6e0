"""Unmodified CCXT, pointed at the simulator in the two ways that work for real users.

``rewrite`` replaces the addresses (plain HTTP); ``tls`` changes no address at all: the resolver
is bent to this machine and the simulator's authority is trusted.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import AF_INET, AddressFamily
from typing import Any

import aiohttp
import ccxt.pro
from aiohttp.abc import AbstractResolver, ResolveResult

from alphapulse.simulator.simulator import Simulator
from alphapulse.simulator.world import SimulatedAccount

Ccxt = Any


class LoopbackResolver(AbstractResolver):
    """Every name is this machine, and every port the simulator's."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=self._port, family=AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Nothing is held."""


@asynccontextmanager
async def ccxt_client(
    simulator: Simulator,
    exchange: str,
    account: SimulatedAccount | None,
    *,
    reach: str = "rewrite",
    **config: object,
) -> AsyncIterator[Ccxt]:
    """A CCXT Pro exchange, which serves REST as well; closed at the end."""
    keys = {"apiKey": account.api_key, "secret": account.api_secret} if account else {}
    client = getattr(ccxt.pro, exchange)({**keys, **config})
    session = None
    if reach == "tls":
        assert simulator.authority is not None
        assert simulator.tls_port is not None
        connector = aiohttp.TCPConnector(
            ssl=simulator.authority.client_context(),
            resolver=LoopbackResolver(simulator.tls_port),
        )
        session = client.session = aiohttp.ClientSession(connector=connector)
    else:
        _rewrite(client, client.urls["api"], simulator)
    try:
        yield client
    finally:
        await client.close()
        if session is not None:
            await session.close()


def _rewrite(client: Ccxt, urls: dict[str, Any], simulator: Simulator) -> None:
    for name, url in urls.items():
        if isinstance(url, dict):
            _rewrite(client, url, simulator)
        elif isinstance(url, str):
            scheme, _, rest = client.implode_hostname(url).partition("://")
            plain = "ws" if scheme.startswith("ws") else "http"
            urls[name] = f"{plain}://127.0.0.1:{simulator.port}/{rest}"
