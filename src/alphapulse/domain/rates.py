"""Rates: what one unit of an asset was worth in the book currency at a moment, and who says so."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.money import EXACT
from alphapulse.domain.valuation import Price, Quality


class RateQuality(StrEnum):
    """How far a rate can be trusted for its moment, best first."""

    LIVE = "live"
    """Of that moment, as it was traded."""
    CLOSE = "close"
    """The close of the candle that the moment lies in."""
    MANUAL = "manual"
    """A person said so."""
    NEAREST = "nearest"
    """The closest that is known, before or after."""
    ESTIMATED = "estimated"
    """Derived, not traded."""
    STALE = "stale"

    @property
    def is_firm(self) -> bool:
        """Whether a basis made with it may be called complete."""
        return self in _FIRM


TOLD_AFTER = timedelta(seconds=90)

_FIRM = frozenset({RateQuality.LIVE, RateQuality.CLOSE, RateQuality.MANUAL})

_OF_PRICES = {
    Quality.LIVE: RateQuality.LIVE,
    Quality.ESTIMATED: RateQuality.ESTIMATED,
    Quality.DELAYED: RateQuality.NEAREST,
    Quality.MANUAL: RateQuality.MANUAL,
    Quality.STALE: RateQuality.STALE,
}


class Rate(msgspec.Struct, frozen=True, gc=False):
    """One ``asset`` is worth ``value`` of ``currency``, as of ``as_of``, says ``source``."""

    asset: Asset
    value: Decimal
    currency: Asset
    as_of: datetime
    source: str
    quality: RateQuality

    def worth(self, asset: Asset, quantity: Decimal, currency: Asset) -> Decimal:
        """The value of ``quantity``, unrounded.

        Whoever asks says of what and in what, so that a rate of another asset, or into another
        currency, can never pass for the right one.

        Raises:
            ValueError: this rate is about something else.
        """
        if (asset, currency) != (self.asset, self.currency):
            raise ValueError(
                f"a rate of {self.asset} in {self.currency} is none of {asset} in {currency}"
            )
        return EXACT.multiply(quantity, self.value)


@dataclass(frozen=True, slots=True, order=True)
class RateWant:
    """The close of the one minute candle that opens at ``minute``, which somebody's books lack."""

    currency: Asset
    asset: Asset
    minute: datetime

    @property
    def told_at(self) -> datetime:
        """When that minute is over, and every exchange tells of it."""
        return self.minute + TOLD_AFTER


class Rates(Protocol):
    """The rates of one book currency."""

    def rate(self, asset: Asset, at: datetime) -> Rate | None:
        """One unit of ``asset`` at ``at``; ``None`` where nobody knows."""
        ...


def rate_of(asset: Asset, price: Price) -> Rate:
    """A market price as a rate."""
    quality = _OF_PRICES[price.quality]
    return Rate(asset, price.value, price.currency, price.as_of, price.source, quality)
