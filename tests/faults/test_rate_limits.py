"""Limits of a venue: they are kept before they are met, and a ban outlives a restart."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.events import SyncStatusChanged
from alphapulse.domain.identifiers import AccountId, ExchangeId
from alphapulse.domain.sync import SyncKind, SyncState, SyncStatus
from alphapulse.exchanges.factory import ExchangeFactory
from alphapulse.exchanges.settings import ExchangesSettings
from alphapulse.pipeline.sync.gate import CircuitState
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.runtime.clock import SystemClock
from alphapulse.simulator.faults.fault import Match
from alphapulse.simulator.faults.requests import Latency, Status
from alphapulse.simulator.settings import (
    GeneratorSettings,
    SimulatedAccountSettings,
    SimulatorSettings,
)
from alphapulse.simulator.simulator import Simulator
from alphapulse.simulator.venues.bybit import limits
from tests.builders import make_account
from tests.eventually import eventually
from tests.fixtures.simulator import QUICK
from tests.fixtures.sync import (
    SIMULATED_EXECUTION,
    KeyOfEach,
    Sync,
    credentials_of,
    running_sync,
    simulated_sync,
)

BYBIT = ExchangeId("bybit")
LABELS = ("bybit-one", "bybit-two", "bybit-three")


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    accounts = tuple(
        SimulatedAccountSettings(venue="bybit", label=label, deposits={"USDT": Decimal(1000)})
        for label in LABELS
    )
    driver = GeneratorSettings(history_minutes=2)
    return SimulatorSettings(seed=7, history_days=5, driver=driver, accounts=accounts)


@pytest.fixture
async def ban_simulator() -> AsyncIterator[Simulator]:
    async with Simulator.running(QUICK.model_copy(update={"history_days": 0})) as simulator:
        yield simulator


async def test_the_history_of_several_accounts_is_read_without_one_refusal(
    simulator: Simulator, sqlite_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half of what is documented, so that a slow machine would be too fast as well.
    monkeypatch.setitem(limits.PER_SECOND, "/v5/execution/list", 5)
    factory = ExchangeFactory(ExchangesSettings(simulator_url=simulator.url), SystemClock())
    accounts = [make_account(label, exchange=BYBIT, label=label) for label in LABELS]
    a_hundred_days = SyncSettings(
        reference_exchange=None, history_start=datetime.now(UTC) - timedelta(days=100)
    )
    async with running_sync(
        sqlite_settings,
        factory,
        *accounts,
        settings=a_hundred_days,
        execution=SIMULATED_EXECUTION,
        vault=KeyOfEach(simulator),
    ) as sync:
        await eventually(lambda: all(_is_read(sync, label) for label in LABELS))

        assert simulator.refusals("bybit") == 0
        told = {event.status.error_code for event in sync.bus.of(SyncStatusChanged)}
        assert "exchange_rate_limited" not in told


BINANCE = ExchangeId("binance")
MAIN = AccountId("binance-main")


async def test_a_ban_outlives_restarts_and_nothing_is_sent(
    ban_simulator: Simulator, sqlite_settings: DatabaseSettings
) -> None:
    told = await _banned(ban_simulator, sqlite_settings, seconds=120)
    venue = ban_simulator.faults.add(Latency(match=Match(venue="binance"), count=None, delay_s=0))

    for _ in range(2):
        async with simulated_sync(ban_simulator, sqlite_settings, MAIN) as sync:
            await eventually(lambda: _is_silent(sync))
            assert not await sync.synchronizer.sync_now(timeout_s=0.5)
            check = await sync.synchronizer.check_credentials(
                BINANCE, credentials_of(ban_simulator.account(MAIN))
            )
            assert not check.is_ok
            status = sync.status(SyncKind.BALANCES, MAIN)
            assert status.error_code == told.error_code
            assert status.next_try_at is not None
            assert told.next_try_at is not None
            # Each reading that meets the ban works out its end anew, from what is left of it.
            assert abs(status.next_try_at - told.next_try_at) < timedelta(seconds=1)

    assert venue.seen == 0


async def test_a_ban_that_is_over_after_a_restart_is_over(
    ban_simulator: Simulator, sqlite_settings: DatabaseSettings
) -> None:
    told = await _banned(ban_simulator, sqlite_settings, seconds=5)
    venue = ban_simulator.faults.add(Latency(match=Match(venue="binance"), count=None, delay_s=0))

    async with simulated_sync(ban_simulator, sqlite_settings, MAIN) as sync:
        await eventually(lambda: venue.seen > 0)
        assert told.next_try_at is not None
        assert datetime.now(UTC) >= told.next_try_at
        await eventually(lambda: sync.status(SyncKind.BALANCES, MAIN).state is SyncState.OK)


async def _banned(
    simulator: Simulator, sqlite_settings: DatabaseSettings, *, seconds: int
) -> SyncStatus:
    """Run into a ban, see that it is stored, and stop; what was told of it."""
    told: list[SyncStatus] = []

    async def is_stored(sync: Sync) -> bool:
        async with sync.database.read() as tx:
            statuses = await tx.sync_status.list()
        told[:] = [
            status
            for status in statuses
            if (status.kind, status.error_code) == (SyncKind.BALANCES, "exchange_rate_limited")
        ]
        return bool(told)

    async with simulated_sync(simulator, sqlite_settings, MAIN) as sync:
        await eventually(lambda: sync.status(SyncKind.PRICES).state is SyncState.OK)
        match = Match(venue="binance", path="*/api/v3/account")
        simulator.faults.add(Status(match=match, status=418, retry_after_s=seconds))
        await eventually(lambda: is_stored(sync))
    await eventually(lambda: simulator.stream_count == 0)
    return told[0]


def _is_silent(sync: Sync) -> bool:
    parts = sync.synchronizer.report().exchanges
    return any(part.circuit is CircuitState.SILENT for part in parts)


def _is_read(sync: Sync, label: str) -> bool:
    status = sync.status(SyncKind.FILLS, AccountId(label), BYBIT)
    return status.state is SyncState.OK and status.progress is None
