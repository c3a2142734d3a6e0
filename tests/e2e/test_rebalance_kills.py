"""A rebalance whose process is killed at each of its legs ends all the same, and doubles nothing.

The exchange lives on in this process. It answers late, so the product is killed when an order is
there and nobody has heard of it.
"""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from alphapulse.cli.folder import running_server
from alphapulse.errors import AlphaPulseError
from alphapulse.security.tokens import sign_local_token
from alphapulse.simulator.faults.fault import When
from alphapulse.simulator.faults.menu import ORDERS
from alphapulse.simulator.faults.requests import Latency
from alphapulse.simulator.simulator import Simulator
from tests.eventually import eventually
from tests.fixtures.product import key_of
from tests.fixtures.trading import LABEL

PATH = "/api/portfolio/rebalance"
OTHERS = ["ETHW", "BNB", "ADA", "DOGE", "LINK", "LTC", "USDC", "XRP"]
ENDED_S = 120
LIMITS = {
    "ALPHAPULSE_TRADING__MAX_ORDER_VALUE": "1000000",
    "ALPHAPULSE_TRADING__MAX_DAILY_VALUE": "1000000",
}


class Life:
    """One process of the product on the folder, with the rights of who owns that."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self._folder = folder

    async def ask(self, verb: str, path: str, body: object = None, key: str = "") -> Any:
        """The body of an answer that is a success; `AssertionError` for any other."""
        headers = {"Authorization": f"Bearer {sign_local_token(self._folder)}"}
        headers |= {"Idempotency-Key": key} if key else {}
        url = running_server(self._folder).url + path
        async with (
            aiohttp.ClientSession(headers=headers) as client,
            client.request(verb, url, json=body) as answer,
        ):
            said = await answer.json(content_type=None)
            assert answer.status < 300, said
            return said


@asynccontextmanager
async def living(folder: Path, simulator: Simulator) -> AsyncIterator[Life]:
    """Started as a person does, and killed at the end, whatever it does then."""
    with_simulator = ("--simulator", simulator.url, "--data-dir", str(folder), "--port", "0")
    (folder / "server.json").unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "alphapulse", "serve", *with_simulator,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | LIMITS,
    )  # fmt: skip
    try:
        yield Life(process, folder)
    finally:
        process.kill()
        await process.wait()


async def test_killed_at_each_leg_a_run_ends_and_no_order_is_there_twice(
    tmp_path: Path, simulator: Simulator
) -> None:
    log = simulator.faults.add(Latency(match=ORDERS, count=None, when=When.AFTER, delay_s=1))
    async with living(tmp_path, simulator) as life:
        await eventually(lambda: _is_up(life))
        body = key_of(simulator, LABEL)
        account = (await life.ask("POST", "/api/exchange/accounts", body))["account"]["id"]
        run = await _started(life, str(account))
        await eventually(lambda: log.seen, within_s=ENDED_S)
    assert {one["phase"] for one in run["orders"]} == {"sell", "buy"}

    for _ in run["orders"]:
        before = log.seen
        async with living(tmp_path, simulator) as life:

            async def is_further(of: Life = life, seen: int = before) -> bool:
                return log.seen > seen or await _is_over(of, run)

            await eventually(is_further, within_s=ENDED_S)
        if log.seen == before:
            break  # it is over already

    async with living(tmp_path, simulator) as life:
        await eventually(lambda: _is_over(life, run), within_s=ENDED_S)
        done = await life.ask("GET", f"{PATH}/{run['run_id']}")
        orders = (await life.ask("GET", "/api/exchange/orders?status=all"))["items"]

    mine = [order for order in orders if order["origin"] == "rebalance"]
    filled = Counter(one["symbol"] for one in mine if Decimal(one["filled_quantity"]))
    assert filled == {one["symbol"]: 1 for one in done["orders"] if one["status"] == "filled"}
    assert simulator.orders_seen == sum(filled.values())
    # A machine that stands still has no fresh price for a while; then a leg says so, and ends.
    assert done["status"] in {"done", "partial"}
    assert filled
    assert all(one["status"] == "filled" or one["reason"] for one in done["orders"])


async def _started(life: Life, account: str) -> Any:
    """Half bitcoin, half dollars, of these and what is to be sold for them."""
    wish = {
        "targets": [{"asset": "BTC", "weight": "0.5"}],
        "rest_asset": "USDT",
        "accounts": [account],
        "constraints": {"exclude": OTHERS},
        "style": {"type": "market"},
        "ttl_s": 600,
    }
    plans: list[Any] = []

    async def is_planned() -> bool:
        plans.append(await life.ask("POST", PATH, wish))
        return True

    await eventually(is_planned, within_s=ENDED_S)
    order = {"mode": "execute", "plan_id": plans[0]["plan_id"]}
    return await life.ask("POST", PATH, order, "the only one")


async def _is_up(life: Life) -> bool:
    try:
        await life.ask("GET", "/api/system/version")
    except (AlphaPulseError, aiohttp.ClientError):
        return False
    return True


async def _is_over(life: Life, run: Any) -> bool:
    try:
        shown = await life.ask("GET", f"{PATH}/{run['run_id']}")
    except (AlphaPulseError, aiohttp.ClientError):
        return False
    return shown["ended_at"] is not None
