"""Composition root: the only place that knows every part.

Reads as three questions: who hears what, who runs where, who serves users.
"""

from collections.abc import Callable

from alphapulse.alerting.manager import AlertManager
from alphapulse.api.app import Application, create_app
from alphapulse.config import Settings
from alphapulse.domain.clock import Clock
from alphapulse.exchanges.factory import ExchangeFactory
from alphapulse.observability.health import Health
from alphapulse.pipeline.processors.processing import Processing
from alphapulse.pipeline.sync.synchronizer import Synchronizer
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.mailbox import Mailbox, Merge
from alphapulse.runtime.supervisor import health_of
from alphapulse.runtime.worker import Worker
from alphapulse.security.cipher import Cipher
from alphapulse.security.key_file import KEY_FILE_NAME, MasterKey
from alphapulse.services.business_logic import BusinessLogic
from alphapulse.services.key_vault import KeyVault


def build(settings: Settings, clock: Clock, on_ready: Callable[[str | None], None]) -> Application:
    """Make everything, start nothing; the application's lifespan starts and stops it.

    Args:
        on_ready: called once everything runs, with a one-time set-up code when there is no user.
    """
    capacity, database = settings.mailbox_capacity_events, settings.database
    cipher = Cipher(master_key := MasterKey.load_or_create(settings.data_dir / KEY_FILE_NAME))

    # Who hears what.
    bus = EventBus()
    to_screens = Mailbox("screens", capacity)
    to_processing = Mailbox("processing", capacity, merge=Merge.FOLD)
    to_alerting = Mailbox("alerting", capacity, merge=Merge.FOLD)
    bus.subscribe(to_screens, *BusinessLogic.EVENTS)
    bus.subscribe(to_processing, *Processing.EVENTS)
    bus.subscribe(to_alerting, *AlertManager.EVENTS)

    # Who runs where: three threads, one loop each; the API has the main loop.
    synchronizer = Synchronizer(
        settings.sync,
        database,
        ExchangeFactory(settings.exchanges, clock),
        lambda opened: KeyVault(opened, cipher, clock),
        bus,
        clock,
        settings.execution,
    )
    manager = AlertManager(settings.alerting, to_alerting, database, bus, clock)
    exchange = Worker("exchange", synchronizer.running)
    processor = Processing(to_processing, database, bus, clock)
    processing = Worker("processing", processor.running)
    alerting = Worker("alerting", manager.running)

    # Who serves users.
    health = Health()
    for worker in (exchange, processing, alerting):
        health.register(worker.name, worker.health)
    for supervisor in (processor.supervisor, manager.supervisor):
        health.register(supervisor.name, supervisor.health)
    health.register("tasks", lambda: health_of("tasks", synchronizer.report().tasks))
    logic = BusinessLogic(
        database=database,
        inbox=to_screens,
        synchronizer=synchronizer,
        exchange_worker=exchange,
        bus=bus,
        health=health,
        mailboxes=(to_screens, to_processing, to_alerting),
        master_key=master_key,
        clock=clock,
        is_simulated=settings.exchanges.simulator_url is not None,
        trading=settings.trading,
        rebalance=settings.rebalance,
    )
    return create_app(
        settings.api,
        open_services=logic.running,
        workers=(alerting, processing, exchange),  # started in this order, stopped in reverse
        clock=clock,
        on_ready=on_ready,
    )
