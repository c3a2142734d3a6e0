"""Manual prices: what people say an asset is worth, for everybody who uses this installation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import ManualPricesChanged
from alphapulse.domain.identifiers import Asset, UserId
from alphapulse.domain.manual_prices import ManualPrice, manual_price, moment_of, newest
from alphapulse.domain.valuation import USD
from alphapulse.errors import InvalidInput, NotFound
from alphapulse.runtime.bus import EventBus
from alphapulse.services.live_state import LiveState
from alphapulse.services.viewer import Caller


@dataclass(frozen=True, slots=True)
class SaidPrices:
    """Prices, and the names of those who said them, as far as they are still users."""

    prices: Sequence[ManualPrice]
    names: dict[UserId, str]


class ManualPriceService:
    """Stores what people say; the live state and the bookkeeper hear of it and load it."""

    def __init__(self, database: Database, live: LiveState, bus: EventBus, clock: Clock) -> None:
        self._database = database
        self._live = live
        self._bus = bus
        self._clock = clock

    async def list(self, asset: Asset | None = None) -> SaidPrices:
        """The newest of each asset, or all of one asset, the latest moment first."""
        async with self._database.read() as unit:
            prices = await unit.manual_prices.list(asset)
            names = await _names(unit)
        return SaidPrices(newest(prices) if asset is None else prices, names)

    async def say(
        self, caller: Caller, asset: Asset, value: Decimal, currency: Asset, as_of: datetime | None
    ) -> SaidPrices:
        """Believe what the caller says; what was said of the same moment is replaced.

        Raises:
            InvalidInput: not a price, not of a time that was, or no such currency.
        """
        now = self._clock.now()
        price = manual_price(asset, value, currency, as_of, by=caller.user_id, now=now)
        if currency not in {USD, caller.viewer.currency} and not self._live.book.knows(currency):
            raise InvalidInput("no market leads to this currency", field="currency")
        async with self._database.begin() as unit:
            await unit.manual_prices.save(price)
            names = await _names(unit)
        self._bus.publish(ManualPricesChanged())
        logger.bind(asset=asset, user_id=caller.user_id).info("the price of an asset was said")
        return SaidPrices([price], names)

    async def take_back(self, caller: Caller, asset: Asset, as_of: datetime | None) -> None:
        """Believe nothing that was said of an asset any more, or only not what was said of one
        moment.

        Raises:
            NotFound: nothing was.
            InvalidInput: not a time that was.
        """
        now = self._clock.now()
        moment = None if as_of is None else moment_of(as_of, now)
        async with self._database.begin() as unit:
            count = await unit.manual_prices.take_back(asset, moment, by=caller.user_id, at=now)
        if not count:
            raise NotFound("nobody said what it is worth", asset=asset)
        self._bus.publish(ManualPricesChanged())
        logger.bind(asset=asset, user_id=caller.user_id).info("the price of an asset is unsaid")


async def _names(unit: UnitOfWork) -> dict[UserId, str]:
    return {user.id: user.username for user in await unit.users.list()}
