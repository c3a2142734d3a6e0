"""P12, an order: what we add to one over raw aiohttp and CCXT, and what its durability costs.

Client CPU of one create against the same simulated Binance, in a process of its own: raw aiohttp
with a signature by hand, CCXT's ``create_order`` with its rate limiter off, and our adapter with
budgets, signature, the verdict on the answer and exact parsing. Then the whole way, from a request
to our API to the signed one at the venue's socket, beside raw aiohttp and CCXT on the same way.
Then the transactions around a send, without a network: T1 makes the intent durable, T2 claims it,
T3 records the answer.

    python -m bench.orders
"""

import asyncio
import hashlib
import hmac
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
import uvloop
from loguru import logger
from tests.builders import USER, make_account, make_intent, make_own_order, make_request, make_user
from tests.fixtures.postgres import SMALL, PostgresServer, url
from tests.fixtures.scripted_exchange import ScriptedExchange, Venue
from tests.fixtures.simulator_process import simulator_process

from alphapulse.cli.client import LocalClient, RefusedByServer
from alphapulse.config import SETTINGS_FILE
from alphapulse.database.connection import Database, open_database
from alphapulse.database.migrations import schema
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.identifiers import AccountId, ClientOrderId, ExchangeId, Symbol
from alphapulse.domain.order import OrderStatus, TimeInForce
from alphapulse.exchanges.ccxt import loading
from alphapulse.exchanges.factory import ExchangeFactory
from alphapulse.exchanges.port import Credentials, TradingExchange
from alphapulse.exchanges.settings import ExchangesSettings
from alphapulse.pipeline.execution.context import ExecutionContext
from alphapulse.pipeline.execution.desk import OrderDesk
from alphapulse.pipeline.execution.settings import ExecutionSettings
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.clock import SystemClock
from alphapulse.security.tokens import sign_local_token
from alphapulse.simulator.settings import SimulatorSettings
from bench.http import SUMMARY
from bench.measure import interleave, report
from bench.peers import serve, until_announced
from bench.server import ServerProcess, free_port
from bench.tap import Tap, tap_process

BINANCE = ExchangeId("binance")
BTC = Symbol("BTC/USDT")
ACCOUNT = AccountId("account-1")
LABEL = "binance-main"
ORDER = "/api/exchange/order"
ORDERS = 150
ARRIVING = 30
IDLE_S = 5.0
ROUNDS = 7
QUANTITY = Decimal("0.10000")
ADDED_US = 100
DURABLE = 200
SUSTAINED = 400


class SkippingClock(SystemClock):
    """Time passes faster with each order, so that no rate budget is ever used up."""

    skipped_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.skipped_s


Create = Callable[[str], Awaitable[object]]


async def client_cpu() -> bool:
    """The three clients in one run."""
    settings = SimulatorSettings(enforce_limits=False, is_paused=True, history_days=0)
    async with simulator_process(settings) as simulator:
        key = next(one for one in simulator.accounts if one["label"] == LABEL)
        credentials = Credentials(str(key["api_key"]), str(key["api_secret"]))
        where = ExchangesSettings(simulator_url=simulator.url)
        price = await below_the_market(where)
        async with (
            raw_aiohttp(where, credentials, price) as raw,
            bare_ccxt(where, credentials, price) as ccxt,
            our_adapter(where, credentials, price) as ours,
        ):
            latencies: dict[str, list[float]] = {"raw": [], "ccxt": [], "ours": []}
            rounds = await interleave(
                {
                    "raw": lambda: _some(raw, latencies["raw"]),
                    "ccxt": lambda: _some(ccxt, latencies["ccxt"]),
                    "ours": lambda: _some(ours, latencies["ours"]),
                },
                rounds=ROUNDS,
            )
    raw_us, ours_us = rounds.median_us("raw"), rounds.median_us("ours")
    facts = {
        f"{side}_{name}_ms": statistics.quantiles(latencies[side], n=100)[at - 1] * 1000
        for side in latencies
        for name, at in (("p50", 50), ("p99", 99))
    }
    added = report(
        "orders.client_cpu_added",
        ratio=ADDED_US / (ours_us - raw_us),
        floor=1,
        n=rounds.operations,
        raw_us=raw_us,
        ours_us=ours_us,
        added_us=ours_us - raw_us,
    )
    beaten = report(
        "orders.client_cpu_vs_ccxt",
        ratio=rounds.ratio("ccxt", "ours"),
        floor=1,
        n=rounds.operations,
        ccxt_us=rounds.median_us("ccxt"),
        **facts,
    )
    return added and beaten


async def below_the_market(where: ExchangesSettings) -> Decimal:
    """Where an order that is filled at once or not at all is acknowledged, and gone."""
    address = where.address("binance", "https://api.binance.com/api/v3/ticker/price")
    async with (
        aiohttp.ClientSession() as session,
        session.get(address, params={"symbol": "BTCUSDT"}) as answer,
    ):
        last = Decimal((await answer.json())["price"])
    return (last * Decimal("0.9")).quantize(Decimal("0.01"))


async def _some(create: Create, latencies: list[float]) -> int:
    for _ in range(ORDERS):
        name = f"ap{next(_NAMES):026d}"
        began = time.perf_counter()
        await create(name)
        latencies.append(time.perf_counter() - began)
    return ORDERS


_NAMES = itertools.count()


@asynccontextmanager
async def raw_aiohttp(
    where: ExchangesSettings, key: Credentials, price: Decimal
) -> AsyncIterator[Create]:
    """The least that places an order: sign, post, decode."""
    address = where.address("binance", "https://api.binance.com/api/v3/order")
    decode = msgspec.json.Decoder().decode
    async with aiohttp.ClientSession(headers={"X-MBX-APIKEY": key.api_key}) as session:

        async def create(name: str) -> object:
            asked = urlencode(
                {
                    "symbol": "BTCUSDT",
                    "side": "BUY",
                    "type": "LIMIT",
                    "timeInForce": "IOC",
                    "quantity": str(QUANTITY),
                    "price": str(price),
                    "newClientOrderId": name,
                    "timestamp": int(time.time() * 1000),
                }
            )
            signature = hmac.new(key.api_secret.encode(), asked.encode(), hashlib.sha256)
            body = f"{asked}&signature={signature.hexdigest()}"
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            async with session.post(address, data=body, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                return decode(await answer.read())

        yield create


@asynccontextmanager
async def bare_ccxt(
    where: ExchangesSettings, key: Credentials, price: Decimal
) -> AsyncIterator[Create]:
    """CCXT as it comes."""
    client: Any = loading.exchange_class("binance")(
        {
            "apiKey": key.api_key,
            "secret": key.api_secret,
            "enableRateLimit": False,
            "options": {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False},
            "has": {"fetchCurrencies": False},
        }
    )
    api = client.urls["api"]
    for name, address in api.items():
        if isinstance(address, str):
            api[name] = where.address("binance", address)
    try:
        await client.load_markets()

        async def create(name: str) -> object:
            params = {"newClientOrderId": name, "timeInForce": "IOC"}
            args = ("BTC/USDT", "limit", "buy", float(QUANTITY), float(price), params)
            order = await client.create_order(*args)
            assert order["clientOrderId"] == name
            return order

        yield create
    finally:
        await client.close()


@asynccontextmanager
async def our_adapter(
    where: ExchangesSettings, key: Credentials, price: Decimal
) -> AsyncIterator[Create]:
    """What the exchange worker calls."""
    clock = SkippingClock()
    exchange: TradingExchange = ExchangeFactory(where, clock).open(BINANCE, ACCOUNT, key)
    request = make_request(quantity=QUANTITY, limit_price=price, time_in_force=TimeInForce.IOC)
    try:
        await exchange.load_instruments()

        async def create(name: str) -> object:
            clock.skipped_s += 1
            return await exchange.create_order(request, ClientOrderId(name))

        yield create
    finally:
        await exchange.close()


async def whole_way(engine: str, database: DatabaseSettings) -> bool:
    """From the call to the venue's socket: through our API and both databases, and without.

    The CPU is that of the process which places the order, until its answer is there.
    """
    settings = SimulatorSettings(enforce_limits=False, history_days=0)
    with tempfile.TemporaryDirectory() as folder:
        async with simulator_process(settings) as simulator, tap_process(simulator.url) as tap:
            key = next(one for one in simulator.accounts if one["label"] == LABEL)
            credentials = Credentials(str(key["api_key"]), str(key["api_secret"]))
            where = ExchangesSettings(simulator_url=tap.url)
            price = await below_the_market(where)
            data = Path(folder) / "data"
            write_settings(data, database)
            async with (
                raw_aiohttp(where, credentials, price) as raw,
                bare_ccxt(where, credentials, price) as ccxt,
                our_server(data, tap.url, key, price) as (server, product),
            ):
                idle_cpu_s = await _cpu_s_of_a_second(server)
                took_s: dict[str, list[float]] = {"raw": [], "ccxt": [], "product": []}
                rounds = await interleave(
                    {
                        "raw": lambda: _arriving(tap, raw, took_s["raw"]),
                        "ccxt": lambda: _arriving(tap, ccxt, took_s["ccxt"]),
                        "product": lambda: _arriving(tap, product, took_s["product"]),
                    },
                    rounds=ROUNDS,
                    cpu_s={"product": lambda: server.cpu_s},
                )
    facts = {
        f"{side}_{name}_ms": statistics.quantiles(took_s[side], n=100)[at - 1] * 1000
        for side in took_s
        for name, at in (("p50", 50), ("p99", 99))
    }
    return report(
        f"orders.post_to_socket_{engine}",
        ratio=rounds.ratio("ccxt", "product"),
        floor=0,
        n=rounds.operations,
        raw_us=rounds.median_us("raw"),
        ccxt_us=rounds.median_us("ccxt"),
        product_us=rounds.median_us("product"),
        idle_cpu_pct=idle_cpu_s * 100,
        **facts,
    )


def write_settings(data: Path, database: DatabaseSettings) -> None:
    """No limit is in the way."""
    data.mkdir(mode=0o700)
    (data / SETTINGS_FILE).write_text(
        f"""
        [database]
        url = "{database.url}"
        [trading]
        max_order_value = 1e12
        max_daily_value = 1e12
        orders_per_minute = 1000000
        price_band_pct = 50
        max_price_age_s = 60
        [api]
        writes_per_minute = 1000000
        requests_per_minute = 1000000
        """
    )


@asynccontextmanager
async def our_server(
    data: Path, simulator_url: str, key: Mapping[str, str], price: Decimal
) -> AsyncIterator[tuple[ServerProcess, Create]]:
    """`alphapulse serve` with one account, and an order by its API."""
    with serve(data, simulator_url, free_port()) as server:
        await until_announced(data)
        client = LocalClient(data)
        account = client.post("/api/exchange/accounts", dict(key))["account"]["id"]
        while not _is_read(client):
            await asyncio.sleep(0.2)
        order = {
            "account_id": account,
            "symbol": BTC,
            "side": "buy",
            "type": "limit",
            "time_in_force": "ioc",
            "quantity": str(QUANTITY),
            "limit_price": str(price),
        }
        # Between two rounds the server closes what is idle for 5 s: be the first to let go, or a
        # request is written to a connection that closes.
        connector = aiohttp.TCPConnector(keepalive_timeout=2.0)
        async with aiohttp.ClientSession(base_url=client.url, connector=connector) as session:

            async def create(name: str) -> object:
                token = sign_local_token(data)
                headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": name}
                async with session.post(ORDER, json=order, headers=headers) as answer:
                    assert answer.status == 201, await answer.text()
                    return await answer.json()

            yield server, create


def _is_read(client: LocalClient) -> bool:
    try:
        return not any(one["stale"] for one in client.get(SUMMARY)["accounts"])
    except RefusedByServer:
        return False  # not one account was read


async def _cpu_s_of_a_second(server: ServerProcess) -> float:
    """What it takes while nobody asks: the streams of a market that moves."""
    before = server.cpu_s
    await asyncio.sleep(IDLE_S)
    return (server.cpu_s - before) / IDLE_S


async def _arriving(tap: Tap, create: Create, took_s: list[float]) -> int:
    began_s = []
    for _ in range(ARRIVING):
        name = f"ap{next(_NAMES):026d}"
        began_s.append(time.perf_counter())
        await create(name)
    took_s += [at - began for began, at in zip(began_s, await tap.arrivals_s(), strict=True)]
    return ARRIVING


@contextmanager
def both_databases() -> Iterator[dict[str, DatabaseSettings]]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server = PostgresServer(SMALL)  # it waits for the disk, as it does in earnest
        stack.callback(server.remove)
        server.start()
        yield {
            "sqlite": DatabaseSettings(url=f"sqlite:///{Path(folder) / 'database'}"),
            "postgresql": DatabaseSettings(url=url(server.folder, "postgres")),
        }


@dataclass
class Trading:
    """Accounts with a desk each, at a venue in memory."""

    database: Database
    desks: dict[AccountId, OrderDesk]
    prepare_s: list[float]
    send_s: list[float]

    async def order(self, account: AccountId) -> None:
        """T1, then T2, the send and T3."""
        key = f"key {next(_NAMES)}"
        now = SystemClock().now()
        request = make_request(account_id=account)
        intent = make_intent(key, account_id=account, request=request, created_at=now)
        name = ClientOrderId(f"{intent.client_order_id}{account[8:]}")
        intent = replace(intent, client_order_id=name)
        order = replace(
            make_own_order(key, client_order_id=name, account_id=account),
            created_at=now,
            updated_at=now,
        )
        began = time.perf_counter()
        async with self.database.begin() as tx:
            await tx.orders.add(order)
            await tx.intents.add(intent)
        prepared = time.perf_counter()
        sent = await self.desks[account].place(name)
        assert sent.status is OrderStatus.OPEN, sent
        self.prepare_s.append(prepared - began)
        self.send_s.append(time.perf_counter() - prepared)


@asynccontextmanager
async def trading(settings: DatabaseSettings, accounts: int) -> AsyncIterator[Trading]:
    await schema.upgrade(settings)
    ids = [AccountId(f"account-{next(_NAMES)}") for _ in range(accounts)]
    async with open_database(settings, name="bench") as database:
        async with database.begin() as tx:
            if not await tx.users.count():
                await tx.users.add(make_user(id=USER), "hash")
            for account in ids:
                await tx.accounts.add(make_account(account, label=account))
        desks = {}
        for account in ids:
            context = ExecutionContext(
                account,
                ScriptedExchange(Venue(), account),
                database,
                EventBus(),
                SystemClock(),
                ExecutionSettings(),
                "bench",
            )
            desks[account] = OrderDesk(context, on_sent=lambda order: None, on_failed=lambda: None)
            await desks[account].open_for_orders()
        yield Trading(database, desks, [], [])


async def durability(engine: str, settings: DatabaseSettings) -> bool:
    """What the transactions of one order take, and how many orders a second they allow."""
    async with trading(settings, 1) as one:
        (account,) = one.desks
        began_cpu = time.process_time()
        for _ in range(DURABLE):
            await one.order(account)
        cpu_us = (time.process_time() - began_cpu) / DURABLE * 1e6
        alone = await _orders_per_s(one, SUSTAINED)
    async with trading(settings, 20) as twenty:
        together = await _orders_per_s(twenty, SUSTAINED)
    return report(
        f"orders.durable_{engine}",
        ratio=together / alone,
        floor=0,
        n=DURABLE + 2 * SUSTAINED,
        t1_ms=statistics.median(one.prepare_s[:DURABLE]) * 1000,
        t2_t3_ms=statistics.median(one.send_s[:DURABLE]) * 1000,
        t2_t3_p99_ms=statistics.quantiles(one.send_s[:DURABLE], n=100)[98] * 1000,
        cpu_us=cpu_us,
        one_account_per_s=alone,
        twenty_accounts_per_s=together,
    )


async def _orders_per_s(trading: Trading, count: int) -> float:
    """As many at once as a desk sends; the accounts in turn."""
    accounts = itertools.cycle(trading.desks)
    slots = asyncio.Semaphore(16)

    async def order(account: AccountId) -> None:
        async with slots:
            await trading.order(account)

    began = time.perf_counter()
    await asyncio.gather(*(order(next(accounts)) for _ in range(count)))
    return count / (time.perf_counter() - began)


async def measure(databases: Mapping[str, DatabaseSettings]) -> bool:
    met = [await client_cpu()]
    for engine, settings in databases.items():
        met.append(await durability(engine, settings))
        met.append(await whole_way(engine, settings))
    return all(met)


def main() -> int:
    logger.remove()
    with both_databases() as databases:
        return int(not uvloop.run(measure(databases)))


if __name__ == "__main__":
    sys.exit(main())
