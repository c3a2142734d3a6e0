"""The synchronizer where it lives: on the exchange worker's thread and loop."""

import pytest

from alphapulse.database.connection import open_database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.identifiers import ExchangeId
from alphapulse.domain.sync import SyncKind, SyncState
from alphapulse.exchanges.factory import ExchangeFactory
from alphapulse.exchanges.settings import ExchangesSettings
from alphapulse.pipeline.sync.synchronizer import Synchronizer
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.clock import SystemClock
from alphapulse.runtime.worker import Worker
from alphapulse.simulator.simulator import Simulator
from tests.builders import make_account
from tests.eventually import eventually
from tests.fixtures.scripted_exchange import OneKey
from tests.fixtures.sync import SIMULATED, credentials_of

pytestmark = pytest.mark.usefixtures("loop_debug")


async def test_it_syncs_on_its_own_thread_is_called_from_another_and_leaves_nothing(
    simulator: Simulator, sqlite_settings: DatabaseSettings
) -> None:
    simulated = simulator.account("binance-main")
    clock = SystemClock()
    synchronizer = Synchronizer(
        SIMULATED,
        sqlite_settings,
        ExchangeFactory(ExchangesSettings(simulator_url=simulator.url), clock),
        lambda _: OneKey(credentials_of(simulated)),
        EventBus(),
        clock,
    )
    worker = Worker("exchange", synchronizer.running)
    await worker.start()
    try:
        check = await worker.call(
            lambda: synchronizer.check_credentials(ExchangeId("binance"), credentials_of(simulated))
        )
        assert check.is_ok
        account = make_account("binance-main")
        async with open_database(sqlite_settings, name="test") as database:
            async with database.begin() as tx:
                await tx.accounts.add(account)
            await worker.call(lambda: synchronizer.adopt(account.id))
            await worker.call(lambda: synchronizer.sync_now(account.id, {SyncKind.BALANCES}))

            # The report may be read from this thread.
            await eventually(
                lambda: {s.state for s in synchronizer.report().statuses} == {SyncState.OK},
            )
            held = simulator.books("binance-main").balances
            async with database.read() as tx:
                stored = await tx.balances.list(account.id)
        totals = {s.balance.asset: s.balance.total for s in stored}
        assert totals == {asset: book.free + book.locked for asset, book in held.items()}
    finally:
        await worker.stop()
