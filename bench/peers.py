"""P2 and P13: the hot read and the start-up against freqtrade, both sides in one run.

P2 is server CPU per request: our authenticated summary of 50 assets against freqtrade's balance
with 50 open trades, offline, on the simulated Binance. Ours is sent as it was encoded when the
data last changed, theirs is computed for each request: the goal is a statement about design. So
our own recomputed answer is shown beside it.

P13 is what it takes from the start of the process to the first authenticated answer: `alphapulse
serve` on a data folder with three simulated accounts, against ``freqtrade webserver``, which opens
no account at all. Memory is compared when our exchanges are synchronized, which is later.

    python -m bench.peers
"""

import asyncio
import base64
import compileall
import statistics
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvloop
from loguru import logger
from tests.fixtures.simulator_process import SimulatorProcess, simulator_process

import alphapulse
from alphapulse.cli.client import LocalClient
from alphapulse.security.tokens import sign_local_token
from alphapulse.simulator.settings import CandleReplaySettings, SimulatorSettings
from bench.freqtrade import AUTHORIZATION, BALANCE, CONFIGURED, Freqtrade, freqtrade_in
from bench.http import ASSETS, CONNECTIONS, SUMMARY, portfolio_of, read
from bench.load import load_process
from bench.measure import interleave, report
from bench.server import ServerProcess, free_port

ROUNDS = 5
REQUESTS = 4_000
ROUTE_REQUESTS = 13 * CONNECTIONS
PEER_REQUESTS = 60
PEER_CONNECTIONS = 4  # more of them only queue for its thread pool
SETTLING_S = 5.0  # by then every account was read and every stream is open


async def hot_read(folder: Path) -> bool:
    """P2."""
    pairs = [f"C{number}/USDT" for number in range(ASSETS)]
    peer = freqtrade_in(folder / "trading")
    async with (
        simulator_process(quiet_market(folder, pairs)) as simulator,
        portfolio_of(ASSETS) as api,
        load_process() as load,
    ):
        with peer.trading(simulator.url, pairs) as server:
            server.until_answer(peer.port, BALANCE, AUTHORIZATION)
            lines = base64.b64encode(f"Authorization: {AUTHORIZATION}\r\n".encode()).decode()
            port = int(api.url.rpartition(":")[2])

            async def ask_peer() -> int:
                await load.ask("http", peer.port, PEER_CONNECTIONS, PEER_REQUESTS, lines, BALANCE)
                return PEER_REQUESTS

            async def ask(path: str, requests: int) -> int:
                return await read(load, port, api.token, path, requests)

            rounds = await interleave(
                {
                    "freqtrade": ask_peer,
                    "fast": lambda: ask(SUMMARY, REQUESTS),
                    "route": lambda: ask(f"{SUMMARY}?currency=USD", ROUTE_REQUESTS),
                },
                rounds=ROUNDS,
                cpu_s={"freqtrade": lambda: server.cpu_s},
            )
    return report(
        "peers.summary_vs_freqtrade_balance",
        ratio=rounds.ratio("freqtrade", "fast"),
        floor=100,
        n=rounds.operations,
        connections=CONNECTIONS,
        fast_us=rounds.median_us("fast"),
        recomputed_us=rounds.median_us("route"),
        freqtrade_us=rounds.median_us("freqtrade"),
        recomputed_ratio=rounds.ratio("freqtrade", "route"),
    )


def quiet_market(folder: Path, pairs: list[str]) -> SimulatorSettings:
    """Binance with a market in each pair whose price stands still, after a week of candles."""
    until = datetime.now(UTC).replace(second=0, microsecond=0, tzinfo=None)
    candles = folder / "candles.csv"
    rows = (
        f"{(until - timedelta(minutes=5 * age)).isoformat()},100,101,99,100,1000"
        for age in range(2000, -100, -1)
    )
    candles.write_text("\n".join(["date,open,high,low,close,volume", *rows]))
    return SimulatorSettings(
        driver=CandleReplaySettings(files=dict.fromkeys(pairs, candles)),
        accounts=(),
        is_paused=True,
    )


@dataclass(frozen=True)
class Start:
    """One start of a server: until its first answer, and its memory when it has settled."""

    wall_s: float
    cpu_s: float
    rss_mb: float
    settled_rss_mb: float


async def start_up(folder: Path) -> bool:
    """P13."""
    compileall.compile_dir(Path(alphapulse.__file__).parent, quiet=2)
    compileall.compile_dir(sysconfig.get_path("purelib"), quiet=2)
    peer = freqtrade_in(folder / "webserver")
    compileall.compile_dir(peer.environment / "lib", quiet=2)
    ours: list[Start] = []
    theirs: list[Start] = []
    async with simulator_process(SimulatorSettings()) as simulator:
        data = folder / "data"
        await connect_accounts(data, simulator)
        for number in range(ROUNDS + 1):
            start, peer_start = await start_ours(data, simulator.url), await start_peer(peer)
            if number:
                ours.append(start)
                theirs.append(peer_start)
    met = [
        report(
            f"peers.start_{name}",
            ratio=statistics.median(
                getattr(peer_start, name) / getattr(start, name)
                for start, peer_start in zip(ours, theirs, strict=True)
            ),
            floor=3,
            n=ROUNDS,
            alphapulse=statistics.median(getattr(start, name) for start in ours),
            freqtrade=statistics.median(getattr(start, name) for start in theirs),
        )
        for name in ("wall_s", "cpu_s", "rss_mb", "settled_rss_mb")
    ]
    return all(met)


async def start_ours(data: Path, simulator_url: str) -> Start:
    port = free_port()
    with serve(data, simulator_url, port) as server:
        return await _started(server, port, SUMMARY, f"Bearer {sign_local_token(data)}")


async def start_peer(peer: Freqtrade) -> Start:
    with peer.webserver() as server:
        return await _started(server, peer.port, CONFIGURED, AUTHORIZATION)


async def _started(server: ServerProcess, port: int, path: str, authorization: str) -> Start:
    wall_s = server.until_answer(port, path, authorization)
    cpu_s, rss_mb = server.cpu_s, server.rss_mb
    await asyncio.sleep(SETTLING_S)
    return Start(wall_s, cpu_s, rss_mb, server.rss_mb)


def serve(data: Path, simulator_url: str, port: int) -> ServerProcess:
    """`alphapulse serve`, as a user starts it."""
    command = (sys.executable, "-m", "alphapulse", "serve", "--data-dir", data)
    options = ("--simulator", simulator_url, "--port", str(port))
    return ServerProcess([*command, *options], log=data.with_suffix(".log"))


async def connect_accounts(data: Path, simulator: SimulatorProcess) -> None:
    """Make the data folder: schema, every simulated account, and its history."""
    with serve(data, simulator.url, free_port()):
        await until_announced(data)
        client = LocalClient(data)
        for account in simulator.accounts:
            client.post("/api/exchange/accounts", account)
        while any(one["stale"] for one in client.get(SUMMARY)["accounts"]):
            await asyncio.sleep(0.2)
        await asyncio.sleep(SETTLING_S)


async def until_announced(data: Path) -> None:
    """Until a server of that folder can be reached."""
    async with asyncio.timeout(60):
        while not (data / "server.json").exists():
            await asyncio.sleep(0.1)


async def measure() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        met = [await hot_read(Path(folder)), await start_up(Path(folder))]
    return all(met)


def main() -> int:
    logger.remove()
    return int(not uvloop.run(measure()))


if __name__ == "__main__":
    sys.exit(main())
