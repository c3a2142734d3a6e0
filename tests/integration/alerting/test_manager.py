"""The alert manager over both real databases."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from alphapulse.alerting.manager import AlertingSettings, AlertManager
from alphapulse.database.connection import Database, open_database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.account import AccountState
from alphapulse.domain.events import (
    AccountChanged,
    AlertRaised,
    AlertResolved,
    SyncStatusChanged,
    TaskFaulted,
    TaskRestarted,
)
from alphapulse.domain.sync import SyncKind, SyncState, SyncStatus
from alphapulse.runtime.clock import SystemClock
from alphapulse.runtime.mailbox import Mailbox
from tests.builders import ACCOUNT, BINANCE, make_account
from tests.eventually import eventually
from tests.fixtures.sync import Recorder

KEY = "sync:binance:public"
LASTING = AlertingSettings(stale_for_s=0.2, recovered_for_s=0.2, evaluation_interval_s=0.02)
PATIENT = AlertingSettings(stale_for_s=60, recovered_for_s=60, evaluation_interval_s=0.02)


class Alerting:
    """A running manager and what it published."""

    def __init__(self) -> None:
        self.bus = Recorder()
        self.inbox = Mailbox("alerting", 100)
        self.bus.subscribe(self.inbox, *AlertManager.EVENTS)

    @asynccontextmanager
    async def running(
        self, database: DatabaseSettings, settings: AlertingSettings = LASTING
    ) -> AsyncIterator[None]:
        manager = AlertManager(settings, self.inbox, database, self.bus, SystemClock())
        async with manager.running():
            yield

    def prices_are(self, state: SyncState) -> None:
        code = "exchange_unavailable" if state is SyncState.STALE else None
        status = SyncStatus(BINANCE, None, SyncKind.PRICES, state, error_code=code)
        self.bus.publish(SyncStatusChanged(status))

    @property
    def raised(self) -> list[str]:
        return [event.alert.key for event in self.bus.of(AlertRaised)]

    @property
    def resolved(self) -> list[str]:
        return [event.alert.key for event in self.bus.of(AlertResolved)]


async def firing(database: Database) -> list[str]:
    async with database.read() as tx:
        return [alert.key for alert in await tx.alerts.list_firing()]


async def test_an_outage_that_lasts_is_raised_once_and_resolved_once(
    database_settings: DatabaseSettings, database: Database
) -> None:
    alerting = Alerting()
    async with alerting.running(database_settings):
        alerting.prices_are(SyncState.STALE)
        await eventually(lambda: alerting.raised)
        assert await firing(database) == [KEY]

        alerting.prices_are(SyncState.OK)
        await eventually(lambda: alerting.resolved)
        assert await firing(database) == []

    assert alerting.raised == alerting.resolved == [KEY]


async def test_an_outage_that_does_not_last_is_not_raised(
    sqlite_settings: DatabaseSettings,
) -> None:
    alerting = Alerting()
    async with alerting.running(sqlite_settings, PATIENT):
        alerting.prices_are(SyncState.STALE)
        await eventually(lambda: alerting.inbox.depth == 0)
        alerting.prices_are(SyncState.OK)
        await eventually(lambda: alerting.inbox.depth == 0)
        # A refused key is told at once, which shows that evaluations went on meanwhile.
        alerting.bus.publish(AccountChanged(make_account(state=AccountState.DISABLED)))
        async with database_with_account(sqlite_settings):
            await eventually(lambda: alerting.raised)
    assert alerting.raised == [f"account:{ACCOUNT}"]


@asynccontextmanager
async def database_with_account(settings: DatabaseSettings) -> AsyncIterator[Database]:
    async with open_database(settings, name="test") as database:
        async with database.begin() as tx:
            await tx.accounts.add(make_account(state=AccountState.DISABLED))
        yield database


async def test_an_alert_that_fires_is_not_raised_again_after_a_restart(
    database_settings: DatabaseSettings, database: Database
) -> None:
    before = Alerting()
    async with before.running(database_settings):
        before.prices_are(SyncState.STALE)
        await eventually(lambda: before.raised)

    after = Alerting()
    async with after.running(database_settings):
        after.prices_are(SyncState.STALE)
        await eventually(lambda: after.inbox.depth == 0)
        assert await firing(database) == [KEY]
        after.prices_are(SyncState.OK)
        await eventually(lambda: after.resolved == [KEY])
    assert after.raised == []


async def test_a_task_that_was_given_up_is_told_at_once(
    sqlite_settings: DatabaseSettings,
) -> None:
    alerting = Alerting()
    async with alerting.running(sqlite_settings):
        alerting.bus.publish(TaskFaulted("exchange binance/stream", "ValueError: a bug"))
        await eventually(lambda: alerting.raised == ["task:exchange binance/stream"])
        alerting.bus.publish(TaskRestarted("exchange binance/stream"))
        await eventually(lambda: alerting.resolved)
