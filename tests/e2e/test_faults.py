"""Bad input and faults, through the whole product: each is named, and ends without a restart.

A problem or a status says code, cause and next step; what was known before stays, and the rest of
the product goes on. How the parts do it is shown in ``tests/faults``.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alphapulse.database.adapters.folder import SqliteFiles
from alphapulse.database.migrations import schema
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain import valuation
from alphapulse.domain.identifiers import ExchangeId
from alphapulse.domain.valuation import Freshness
from alphapulse.simulator.core.instrument import MarketStatus
from alphapulse.simulator.faults.fault import Match
from alphapulse.simulator.faults.requests import Garbled, Latency, Status, Truncated
from alphapulse.simulator.faults.script import Fault
from alphapulse.simulator.faults.streams import FrozenStream, LostFrame
from alphapulse.simulator.settings import GeneratorSettings, SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.eventually import eventually
from tests.fixtures.postgres import PostgresServer, url
from tests.fixtures.product import Product, key_of, running_product
from tests.fixtures.sync import SIMULATED

BINANCE, BYBIT = "binance-main", "bybit-unified"
BALANCE_PATHS = {BINANCE: "*/api/v3/account", BYBIT: "*/v5/account/wallet-balance"}
ACCOUNTS = "/api/exchange/accounts"
SILENCE_S = 6  # so long that even a busy machine sees it
SYNC = SIMULATED.model_copy(update={"reference_exchange": ExchangeId("bybit")})


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return SimulatorSettings(seed=7, history_days=0, driver=GeneratorSettings(history_minutes=2))


@pytest.fixture
async def product(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> AsyncIterator[Product]:
    async with running_product(sqlite_settings, tmp_path, simulator.url, SYNC) as product:
        yield product


async def account_of(product: Product, account_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await product.get(f"{ACCOUNTS}/{account_id}"))["account"]
    return found


async def balances_are(product: Product, account_id: str, state: str, code: str | None) -> bool:
    """Whether the balances of an account are in this state for this reason; if so, with its fix."""
    lines = {line["kind"]: line for line in (await account_of(product, account_id))["sync"]}
    line = lines["balances"]
    error = line["error"] or {"class": None, "message": "none", "fix": "none"}
    assert (line["state"], error["class"]) == (state, code)
    return bool(error["message"]) and bool(error["fix"])


async def is_well(product: Product) -> bool:
    """Nothing is stale, disabled or in error, and the prices come by their streams."""
    accounts = (await product.get(ACCOUNTS))["items"]
    streams = {e["stream"] for e in (await product.get("/api/system/status"))["exchanges"]}
    assert [account["status"] for account in accounts] == ["ok"] * len(accounts)
    assert streams == {"connected"}
    return await product.is_complete()


async def connected(product: Product, simulator: Simulator, label: str) -> str:
    account_id = await product.connect(simulator, label)
    await eventually(lambda: is_well(product))
    return account_id


async def total(product: Product) -> Decimal:
    return Decimal((await product.get("/api/portfolio/summary"))["total_value"])


# Keys


@pytest.mark.parametrize("label", [BINANCE, BYBIT])
async def test_a_wrong_key_is_refused_with_the_step_that_failed(
    product: Product, simulator: Simulator, label: str
) -> None:
    wrong = key_of(simulator, label, api_secret="not-the-secret-of-this-key")

    problem = await product.refused("POST", ACCOUNTS, 422, "key_refused", json=wrong)

    assert "key_invalid" in {error["code"] for error in problem["errors"]}
    assert "not-the-secret" not in str(problem)
    assert (await product.get(ACCOUNTS))["items"] == []
    await connected(product, simulator, label)


async def test_a_key_revoked_in_mid_run_disables_its_account_until_it_works_again(
    product: Product, simulator: Simulator
) -> None:
    account_id = await connected(product, simulator, BYBIT)
    venue = simulator.world.venues[simulator.account(BYBIT).venue]
    key = venue.key(simulator.account(BYBIT).api_key)
    assert key is not None
    simulator.world.revoke_key(BYBIT)

    async def is_disabled() -> bool:
        account = await account_of(product, account_id)
        return account["state"] == "disabled" and bool(account["state_reason"])

    await eventually(is_disabled)
    await eventually(lambda: balances_are(product, account_id, "error", "key_invalid"))
    assert await total(product) > 0
    check = await product.post(f"{ACCOUNTS}/{account_id}/test", {})
    assert "key_invalid" in {step["code"] for step in check["steps"]}

    venue.add_key(key)
    await product.post(f"{ACCOUNTS}/{account_id}/resume", {})
    await eventually(lambda: is_well(product))


async def test_a_key_that_may_withdraw_is_refused_unless_that_is_accepted(
    product: Product, simulator: Simulator
) -> None:
    simulator.world.permit(BINANCE, withdraw=True)
    body = key_of(simulator, BINANCE)

    problem = await product.refused("POST", ACCOUNTS, 422, "key_can_withdraw", json=body)
    accepted = await product.post(ACCOUNTS, body | {"allow_withdraw": True}, status=201)

    assert "allow_withdraw" in problem["fix"]
    assert accepted["account"]["permissions"]["withdraw"] is True


# What an exchange may answer


async def test_a_clock_off_by_thirty_seconds_is_measured_shown_and_followed(
    product: Product, simulator: Simulator
) -> None:
    account_id = await connected(product, simulator, BINANCE)
    venue = simulator.account(BINANCE).venue
    simulator.world.skew_clock(venue, 30_000)

    async def is_shown() -> bool:
        offset = (await product.get("/api/system/status"))["clock"]["offset_ms"][venue]
        return offset is not None and abs(offset - 30_000) < 2_000

    await eventually(is_shown)
    await eventually(lambda: is_well(product))
    check = await product.post(f"{ACCOUNTS}/{account_id}/test", {})
    assert check["ok"]
    assert abs(check["clock_offset_ms"] - 30_000) < 2_000


@pytest.mark.parametrize(
    ("label", "broken"),
    [
        (BINANCE, lambda match: Garbled(match=match, count=None, body="html")),
        (BYBIT, lambda match: Truncated(match=match, count=None)),
    ],
    ids=["html_instead_of_json", "truncated_body"],
)
async def test_an_answer_that_cannot_be_read_is_named_and_the_last_value_stays(
    product: Product, simulator: Simulator, label: str, broken: Callable[[Match], Fault]
) -> None:
    account_id = await connected(product, simulator, label)
    simulator.pause()
    before = await total(product)
    simulator.faults.add(broken(Match(path=BALANCE_PATHS[label])))

    await eventually(lambda: balances_are(product, account_id, "stale", "exchange_unavailable"))
    summary = await product.get("/api/portfolio/summary")
    assert summary["meta"]["complete"] is False
    assert summary["accounts"][0]["stale"]
    assert summary["accounts"][0]["last_error"]
    assert abs(await total(product) / before - 1) < Decimal("0.01")

    simulator.faults.clear()
    simulator.resume()
    await eventually(lambda: is_well(product))


@pytest.mark.parametrize(("label", "status"), [(BINANCE, 418), (BYBIT, 429)])
async def test_an_exchange_that_asks_for_silence_gets_it_and_the_status_says_so(
    product: Product, simulator: Simulator, label: str, status: int
) -> None:
    account_id = await connected(product, simulator, label)
    venue = simulator.account(label).venue
    match = Match(path=BALANCE_PATHS[label])
    began_s = time.monotonic()
    simulator.faults.add(Status(match=match, status=status, retry_after_s=SILENCE_S))

    async def is_silent() -> bool:
        exchanges = (await product.get("/api/system/status"))["exchanges"]
        return {"silent"} == {e["circuit"] for e in exchanges if e["id"] == venue}

    await eventually(is_silent)
    counter = simulator.faults.add(
        Latency(match=Match(venue=venue, method="GET"), count=None, delay_s=0)
    )
    await eventually(lambda: balances_are(product, account_id, "stale", "exchange_rate_limited"))
    # What was under way may end.
    await eventually(lambda: counter.struck > SYNC.requests_at_once)
    assert time.monotonic() - began_s >= SILENCE_S
    await eventually(lambda: is_well(product))


# Streams


async def test_a_stream_that_falls_silent_is_polled_and_comes_back(
    product: Product, simulator: Simulator
) -> None:
    await connected(product, simulator, BINANCE)
    venue = simulator.account(BINANCE).venue
    host = "stream.binance.com*"  # market data alone
    simulator.faults.add(FrozenStream(match=Match(host=host), count=None))

    async def is_polled() -> bool:
        exchanges = (await product.get("/api/system/status"))["exchanges"]
        prices = next(e for e in exchanges if (e["id"], e["kind"]) == (venue, "prices"))
        return prices["stream"] in {"polling", "down"} and prices["status"] == "ok"

    await eventually(is_polled)
    simulator.faults.clear()
    await eventually(lambda: is_well(product))


async def test_a_lost_delta_of_bybit_leaves_no_wrong_price(
    product: Product, simulator: Simulator
) -> None:
    await connected(product, simulator, BYBIT)
    lost = simulator.faults.add(
        LostFrame(match=Match(venue="bybit", topic="*orderbook*"), count=20, probability=0.5)
    )
    await eventually(lambda: lost.is_spent)
    simulator.pause()

    async def is_the_venue_s() -> bool:
        true = simulator.world.prices("bybit")
        for item in (await product.get("/api/market/prices", exchange="bybit"))["items"]:
            shown = {name: item[name] for name in ("last", "bid", "ask")}
            market = true[item["symbol"]]
            assert Decimal(shown["last"]) == market.last, (item, market)
            assert shown["bid"] is None or Decimal(shown["bid"]) == market.bid, (item, market)
            assert shown["ask"] is None or Decimal(shown["ask"]) == market.ask, (item, market)
        return True

    await eventually(is_the_venue_s)


async def test_a_delisted_symbol_keeps_its_last_value_marked_stale(
    sqlite_settings: DatabaseSettings,
    tmp_path: Path,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Two minutes without a price are a long time for a test.
    quick = Freshness(live=timedelta(seconds=6), delayed=timedelta(seconds=9))
    monkeypatch.setattr(valuation, "Freshness", lambda: quick)
    async with running_product(sqlite_settings, tmp_path, simulator.url, SYNC) as product:
        await connected(product, simulator, BINANCE)

        async def is_shown(quality: str) -> bool:
            shown = await product.get("/api/market/prices", symbols="SOL/USDT", exchange="binance")
            assert shown["items"][0]["quality"] == quality
            return shown["items"][0]["last"] is not None

        await eventually(lambda: is_shown("live"))
        last = simulator.world.prices("binance")["SOL/USDT"].last
        simulator.world.set_status("binance", "SOL/USDT", MarketStatus.DELISTED)

        await eventually(lambda: is_shown("stale"))
        prices = await product.get("/api/market/prices", symbols="SOL/USDT", exchange="binance")
        assert abs(Decimal(prices["items"][0]["last"]) / last - 1) < Decimal("0.02")
        positions = (await product.get("/api/portfolio/positions", asset="SOL"))["items"]
        assert all(position["value"] is not None for position in positions)

        async def others_are_live() -> bool:
            others = await product.get("/api/market/prices", symbols="BTC/USDT")
            return {item["quality"] for item in others["items"]} == {"live"}

        await eventually(others_are_live)

        simulator.world.set_status("binance", "SOL/USDT", MarketStatus.TRADING)
        await eventually(lambda: is_well(product))


# The database


def impatient(url: str) -> DatabaseSettings:
    return DatabaseSettings(url=url, busy_timeout_s=0.5)


async def lock(file: Path) -> sqlite3.Connection:
    """Hold the database as another process would; `close` lets it go."""

    def hold() -> sqlite3.Connection:
        holder = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        holder.execute("BEGIN EXCLUSIVE")
        return holder

    return await asyncio.to_thread(hold)


async def test_a_locked_database_refuses_writes_by_name_and_goes_on_reading(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    settings = impatient(sqlite_settings.url)
    async with running_product(settings, tmp_path, simulator.url, SYNC) as product:
        account_id = await connected(product, simulator, BINANCE)
        holder = await lock(SqliteFiles.of(settings.url).money)

        pause = f"{ACCOUNTS}/{account_id}/pause"
        await product.refused("POST", pause, 503, "database_busy")
        assert (await product.get(ACCOUNTS))["items"][0]["state"] == "active"
        await eventually(lambda: balances_are(product, account_id, "stale", "database_busy"))

        await asyncio.to_thread(holder.close)
        await eventually(lambda: is_well(product))

        async def is_paused() -> bool:
            async with product.client.post(product.url + pause, json={}) as answer:
                return answer.status == 200

        await eventually(is_paused)  # who else writes may take half a second on a busy machine
        assert (await product.get(ACCOUNTS))["items"][0]["state"] == "paused"


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this test alone, to stop and start."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def test_a_database_that_is_gone_is_named_and_used_again_when_it_is_back(
    server: PostgresServer, tmp_path: Path, simulator: Simulator
) -> None:
    settings = impatient(url(server.folder, "postgres"))
    await schema.upgrade(settings)
    async with running_product(settings, tmp_path, simulator.url, SYNC) as product:
        account_id = await connected(product, simulator, BYBIT)
        await asyncio.to_thread(server.stop)

        await product.refused("GET", ACCOUNTS, 503, "database_unavailable")
        await product.refused("POST", f"{ACCOUNTS}/{account_id}/pause", 503, "database_unavailable")
        status = await product.get("/api/system/status", status=503)
        parts = {part["name"]: part for part in status["components"]}
        assert status["status"] == "down"
        assert parts["database"]["status"] == "down"
        assert parts["database"]["detail"]
        assert await total(product) > 0

        await asyncio.to_thread(server.start)
        await eventually(lambda: is_listed(product))
        await eventually(lambda: is_well(product))


async def is_listed(product: Product) -> bool:
    async with product.client.get(product.url + ACCOUNTS) as answer:
        return answer.status == 200


# Input


BAD_INPUT: dict[str, tuple[str, str, int, str, dict[str, Any]]] = {
    "malformed symbol": ("GET", "/api/market/prices?symbols=BTCUSDT", 422, "/symbols", {}),
    "malformed symbol of orders": ("GET", "/api/exchange/orders?symbol=B/", 422, "/symbol", {}),
    "malformed decimal": ("GET", "/api/portfolio/positions?min_value=1e5", 422, "/min_value", {}),
    "unknown currency": ("GET", "/api/portfolio/summary?currency=XQZ", 422, "/currency", {}),
    "bad cursor": ("GET", "/api/exchange/orders?cursor=nonsense", 422, "/cursor", {}),
    "bad cursor of accounts": ("GET", f"{ACCOUNTS}?cursor=nonsense", 422, "/cursor", {}),
    "bad cursor of positions": ("GET", "/api/portfolio/positions?cursor=x", 422, "/cursor", {}),
    "unknown parameter": ("GET", "/api/market/prices?colour=red", 422, "/colour", {}),
    "unknown body field": (
        *("POST", ACCOUNTS, 422, "/colour"),
        {"json": {"exchange": "bybit", "label": "a", "api_key": "k", "api_secret": "s"}
         | {"colour": "red"}},
    ),
    "missing body field": ("POST", ACCOUNTS, 422, "/api_key", {"json": {"exchange": "bybit"}}),
}  # fmt: skip


async def test_input_that_cannot_be_right_is_refused_at_the_field(
    product: Product, simulator: Simulator, subtests: pytest.Subtests
) -> None:
    await connected(product, simulator, BINANCE)
    for name, (verb, path, status, pointer, request) in BAD_INPUT.items():
        with subtests.test(name):
            code = "validation_failed"
            problem = await product.refused(verb, path, status, code, **request)
            assert pointer in {error["pointer"] for error in problem["errors"]}, problem
    for name, body in {"broken": b'{"exchange": "bin', "twice": b'{"a": 1, "a": 2}'}.items():
        with subtests.test(f"JSON {name}"):
            sent = {"data": body, "headers": {"Content-Type": "application/json"}}
            await product.refused("POST", ACCOUNTS, 400, "bad_request", **sent)
    await eventually(lambda: is_well(product))


async def test_an_unknown_exchange_is_refused_with_the_names_that_are_close(
    product: Product, simulator: Simulator
) -> None:
    body = key_of(simulator, BINANCE, exchange="binanse")

    problem = await product.refused("POST", ACCOUNTS, 422, "validation_failed", json=body)

    assert problem["errors"][0]["pointer"] == "/exchange"
    assert "binance" in problem["detail"]
    await connected(product, simulator, BINANCE)
