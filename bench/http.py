"""P1, the hot read: an authenticated summary of 50 assets against a constant of equal length.

CPU per request of the server: at most 1.3 times a bare uvicorn that sends a constant body and
asks nobody who they are. The same path through the framework, recomputed each time, is shown beside
it, and so is the fast path while prices move.

    python -m bench.http
"""

import asyncio
import base64
import gc
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import uvicorn
import uvloop
from loguru import logger
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.fixtures.api import RunningApi, serve_api

from alphapulse.api.settings import ApiSettings
from alphapulse.database.migrations import schema
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.events import TickerUpdated
from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.market import Ticker
from bench.load import LoadProcess, keep_apart, load_process
from bench.measure import interleave, report

ASSETS = 50
CONNECTIONS = 32
REQUESTS = 200 * CONNECTIONS
ROUTE_REQUESTS = 13 * CONNECTIONS
ROUNDS = 7
TICKS_PER_S = 200
SUMMARY = "/api/portfolio/summary"


def constant(body: bytes) -> ASGIApp:
    """The least that an ASGI application can do."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


@asynccontextmanager
async def bare_uvicorn(app: ASGIApp) -> AsyncIterator[int]:
    """An application on a server with everything off; the port."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            log_level="error",
            proxy_headers=False,
            server_header=False,
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server._serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def portfolio_of(assets: int) -> AsyncIterator[RunningApi]:
    """Our server, logged in, with that many priced assets."""
    with tempfile.TemporaryDirectory() as folder:
        database = DatabaseSettings(url=f"sqlite:///{folder}/database")
        await schema.upgrade(database)
        settings = ApiSettings(port=0, requests_per_minute=100_000_000)
        async with serve_api(database, Path(folder), settings) as api:
            await api.set_up()
            for number in range(assets):
                api.bus.publish(tick(api, number, Decimal(100 + number)))
            await api.add_account(**{f"A{number}": "12.34567891" for number in range(assets)})
            yield api


def tick(api: RunningApi, number: int, last: Decimal) -> TickerUpdated:
    now = api.clock.now()
    return TickerUpdated(
        Ticker(
            exchange=ExchangeId("binance"),
            symbol=Symbol(f"A{number}/USD"),
            occurred_at=now,
            received_at=now,
            last=last,
        )
    )


async def prices_move(api: RunningApi) -> None:
    """What a busy feed does to the portfolio while it is read."""
    number = 0
    while True:
        for _ in range(TICKS_PER_S // 100):
            number += 1
            api.bus.publish(tick(api, number % ASSETS, Decimal(100 + number % 977)))
        await asyncio.sleep(0.01)


async def read(load: LoadProcess, port: int, token: str, path: str, requests: int) -> int:
    """Have the other process read ``path`` that often."""
    lines = base64.b64encode(f"Authorization: Bearer {token}\r\n".encode()).decode()
    await load.ask("http", port, CONNECTIONS, requests, lines, path)
    return requests


async def measure() -> bool:
    """Compare the sides in one run; whether the goal is met."""
    async with portfolio_of(ASSETS) as api, load_process() as load:
        keep_apart(load)
        body = await (await api.get(SUMMARY)).read()
        port = int(api.url.rpartition(":")[2])

        async def while_prices_move() -> int:
            feed = asyncio.create_task(prices_move(api))
            try:
                return await read(load, port, api.token, SUMMARY, REQUESTS)
            finally:
                feed.cancel()
                await asyncio.wait([feed])

        async with bare_uvicorn(constant(body)) as bare:
            # As `serve` does when it is ready: whoever is measured when all of it is looked
            # through for garbage pays for everybody.
            gc.collect()
            gc.freeze()
            rounds = await interleave(
                {
                    "bare": lambda: read(load, bare, api.token, "/", REQUESTS),
                    "fast": lambda: read(load, port, api.token, SUMMARY, REQUESTS),
                    "moving": while_prices_move,
                    "route": lambda: read(
                        load, port, api.token, f"{SUMMARY}?currency=USD", ROUTE_REQUESTS
                    ),
                },
                rounds=ROUNDS,
            )
    return report(
        "http.summary_vs_constant",
        ratio=rounds.ratio("bare", "fast"),
        floor=1 / 1.3,
        n=rounds.operations,
        bytes=len(body),
        bare_us=rounds.median_us("bare"),
        fast_us=rounds.median_us("fast"),
        fast_to_bare=rounds.ratio("fast", "bare"),
        moving_to_bare=rounds.ratio("moving", "bare"),
        route_to_bare=rounds.ratio("route", "bare"),
    )


def main() -> int:
    logger.remove()
    return int(not uvloop.run(measure()))


if __name__ == "__main__":
    sys.exit(main())
