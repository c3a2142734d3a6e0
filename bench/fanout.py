"""P5, fan-out: one ticker to a thousand WebSocket clients.

CPU per delivery of the server: at most 1.25 times a bare uvloop protocol that writes one shared
frame to a thousand sockets. Ours is the whole way: the price enters the live state, the row is
compared, encoded, numbered and framed, and goes to every client through its high-water mark.

    python -m bench.fanout
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import uvloop
from loguru import logger
from tests.fixtures.api import RunningApi

from alphapulse.api.websocket.frames import text_frame
from alphapulse.services.live_state import Changes
from bench.http import portfolio_of, tick
from bench.load import HOST, LoadProcess, keep_apart, load_process
from bench.measure import interleave, report

CLIENTS = 1000
BROADCASTS = 20
ROUNDS = 7
PAUSE_S = 0.02  # the fastest pace a client may ask for is 20 a second
CHANNEL = "ticker:A0/USD"


class Bare(asyncio.Protocol):
    """Keeps its transport; the least a server can do."""

    def __init__(self, transports: list[asyncio.WriteTransport]) -> None:
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transports.append(transport)  # type: ignore[arg-type]


@asynccontextmanager
async def bare_server(load: LoadProcess) -> AsyncIterator[list[asyncio.WriteTransport]]:
    """A thousand sockets with nothing around them."""
    transports: list[asyncio.WriteTransport] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Bare(transports), HOST, 0)
    port = server.sockets[0].getsockname()[1]
    await load.ask("plain", port, CLIENTS)
    try:
        yield transports
    finally:
        server.close()
        for transport in transports:
            transport.abort()


async def bare_broadcasts(transports: list[asyncio.WriteTransport], frame: bytes) -> int:
    for _ in range(BROADCASTS):
        for transport in transports:
            transport.write(frame)
        await asyncio.sleep(PAUSE_S)
    return BROADCASTS * len(transports)


async def our_broadcasts(api: RunningApi, started: int) -> int:
    """What the live state and the hub do for one changed price, that many times."""
    hub = api.hub
    for number in range(BROADCASTS):
        api.services.live._apply(tick(api, 0, Decimal(started + number)))
        hub.on_changes(Changes())
        hub.flush_due(float("inf"))
        for pace in hub._paces.values():
            pace.due_s = 0.0
        await asyncio.sleep(PAUSE_S)
    assert hub.dropped == 0, "a client was too slow to count"
    return BROADCASTS * hub.client_count


async def measure() -> bool:
    """Compare the sides in one run; whether the goal is met."""
    round_number = 0
    async with portfolio_of(1) as api, load_process() as ours, load_process() as theirs:
        keep_apart(ours, theirs)
        port = api.url.rpartition(":")[2]
        await ours.ask("listen", port, CLIENTS, api.token, CHANNEL)
        assert api.hub.client_count == CLIENTS
        (topic,) = [t for pace in api.hub._paces.values() for t in pace.topics.values()]
        (row,) = api.hub._rows.current(topic.channel, topic.viewer)
        frame = text_frame(
            b'{"type":"delta","ch":"%s","seq":12,"data":[%s]}' % (CHANNEL.encode(), row.encode())
        )

        async def our_side() -> int:
            nonlocal round_number
            round_number += 1
            return await our_broadcasts(api, 1000 * round_number)

        async with bare_server(theirs) as transports:
            rounds = await interleave(
                {"bare": lambda: bare_broadcasts(transports, frame), "hub": our_side},
                rounds=ROUNDS,
            )
        heard = int(await ours.ask("heard"))
    assert heard > BROADCASTS * CLIENTS * ROUNDS * len(frame) // 2, "it did not arrive"
    return report(
        "fanout.delivery_vs_shared_frame",
        ratio=rounds.ratio("bare", "hub"),
        floor=1 / 1.25,
        n=rounds.operations,
        clients=CLIENTS,
        frame_bytes=len(frame),
        bare_us=rounds.median_us("bare"),
        hub_us=rounds.median_us("hub"),
        hub_to_bare=rounds.ratio("hub", "bare"),
    )


def main() -> int:
    logger.remove()
    return int(not uvloop.run(measure()))


if __name__ == "__main__":
    sys.exit(main())
