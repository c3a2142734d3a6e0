"""Instruments Sync: what an exchange lists, refreshed and compared."""

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.domain.events import InstrumentsChanged
from alphapulse.domain.instrument import Instrument
from alphapulse.errors import ExchangeUnavailable
from alphapulse.exchanges.port import Exchange
from alphapulse.runtime.bus import EventBus


class InstrumentSync:
    """Keeps one exchange's instruments; the last known list serves while the venue is away."""

    def __init__(self, exchange: Exchange, database: Database, bus: EventBus) -> None:
        self._exchange = exchange
        self._database = database
        self._bus = bus
        self.instruments: tuple[Instrument, ...] = ()

    async def load(self) -> None:
        """Begin with what is stored."""
        async with self._database.read() as tx:
            self.instruments = tuple(await tx.instruments.list(self._exchange.id))

    async def read(self) -> bool:
        """Fetch and store the list; whether something was listed, delisted, halted or re-stepped.

        Raises:
            ExchangeUnavailable: an empty list is no answer.
        """
        instruments = await self._exchange.load_instruments()
        if not instruments:
            raise ExchangeUnavailable("an empty instrument list", exchange=self._exchange.id)
        async with self._database.begin() as tx:
            is_changed = await tx.instruments.replace(self._exchange.id, instruments)
        gone = _active(self.instruments) - _active(instruments)
        if gone:
            logger.bind(exchange=self._exchange.id, symbols=sorted(gone)[:20]).info(
                "symbols are no longer traded"
            )
        has_news = is_changed or not self.instruments
        self.instruments = instruments
        if is_changed:
            self._bus.publish(InstrumentsChanged(self._exchange.id))
        return has_news


def _active(instruments: tuple[Instrument, ...]) -> set[str]:
    return {i.symbol for i in instruments if i.is_active}
