"""Limits of a venue: they are kept before they are met, and a ban outlives a restart."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.events import SyncStatusChanged
from alphapulse.domain.identifiers import AccountId, ExchangeId
from alphapulse.domain.sync import SyncKind, SyncState
from alphapulse.exchanges.factory import ExchangeFactory
from alphapulse.exchanges.port import Credentials
from alphapulse.exchanges.settings import ExchangesSettings
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.runtime.clock import SystemClock
from alphapulse.simulator.settings import (
    GeneratorSettings,
    SimulatedAccountSettings,
    SimulatorSettings,
)
from alphapulse.simulator.simulator import Simulator
from alphapulse.simulator.venues.bybit import limits
from tests.eventually import eventually
from tests.fixtures.scripted_exchange import OneKey
from tests.fixtures.sync import Sync, credentials_of, running_sync
from tests.integration.database.builders import make_account

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


class KeyOfEach(OneKey):
    """A vault with the key that the simulator gave each account."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__()
        self._simulator = simulator

    async def load(self, account_id: AccountId) -> Credentials:
        return credentials_of(self._simulator.account(account_id))


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
        sqlite_settings, factory, *accounts, settings=a_hundred_days, vault=KeyOfEach(simulator)
    ) as sync:
        await eventually(lambda: all(_is_read(sync, label) for label in LABELS), within_s=60)

        assert simulator.refusals("bybit") == 0
        told = [e.status for e in sync.bus.events if isinstance(e, SyncStatusChanged)]
        assert [status for status in told if status.error_code] == []


def _is_read(sync: Sync, label: str) -> bool:
    status = sync.status(SyncKind.FILLS, AccountId(label), BYBIT)
    return status.state is SyncState.OK and status.progress is None
