"""Manual prices: what a person says one unit of an asset is worth, where no market says it.

They hold for everybody who uses this installation: there is one price of an asset here, and who
said it is kept. One that is about now values what is held; one about a day of the past is also the
rate of that day for the cost basis.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from alphapulse.domain.identifiers import Asset, UserId
from alphapulse.domain.money import EXACT
from alphapulse.domain.rates import Rate, RateQuality
from alphapulse.domain.valuation import MANUAL, Leg
from alphapulse.errors import InvalidInput

DIGITS_MAX = 20
"""A market's price has 12 at most; with more, a value would not be exact at 60 any longer."""
SMALLEST, LARGEST = Decimal("1e-18"), Decimal("1e18")
FIRST_DAY = datetime(2009, 1, 3, tzinfo=UTC)
"""No coin is older: https://mempool.space/block/0"""


class ManualPrice(msgspec.Struct, frozen=True, gc=False):
    """One ``asset`` is worth ``value`` of ``currency``, as of ``as_of``."""

    asset: Asset
    value: Decimal
    currency: Asset
    as_of: datetime
    said_by: UserId
    said_at: datetime

    @property
    def counts_from(self) -> datetime:
        """The first moment whose cost basis it may change: it is the rate of its day."""
        return self.as_of.replace(hour=0, minute=0, second=0, microsecond=0)

    def age_ms(self, now: datetime) -> int:
        """Never negative."""
        return max(0, (now - self.as_of) // timedelta(milliseconds=1))

    @property
    def leg(self) -> Leg:
        """As one more market."""
        return Leg(self.asset, self.currency, self.value, self.as_of, MANUAL, MANUAL)

    @property
    def rate(self) -> Rate:
        """As the rate of its day."""
        return Rate(self.asset, self.value, self.currency, self.as_of, MANUAL, RateQuality.MANUAL)


def manual_price(
    asset: Asset,
    value: Decimal,
    currency: Asset,
    as_of: datetime | None,
    *,
    by: UserId,
    now: datetime,
) -> ManualPrice:
    """What a person says, once it can be believed.

    Args:
        as_of: ``None`` is now.

    Raises:
        InvalidInput: not a price, or not of a time that was.
    """
    if value <= 0:
        raise InvalidInput("a price is above zero", field="value")
    if not SMALLEST <= value <= LARGEST:
        raise InvalidInput("not between 1e-18 and 1e18", field="value")
    if len(EXACT.normalize(value).as_tuple().digits) > DIGITS_MAX:
        raise InvalidInput(f"more than {DIGITS_MAX} digits", field="value")
    if currency == asset:
        raise InvalidInput("must be another one than the asset", field="currency")
    return ManualPrice(asset, value, currency, moment_of(as_of or now, now), by, now)


def moment_of(as_of: datetime, now: datetime) -> datetime:
    """In UTC, to the millisecond, as the API tells it.

    Raises:
        InvalidInput: not a time that was.
    """
    if as_of > now:
        raise InvalidInput("must not be in the future", field="as_of")
    if as_of < FIRST_DAY:
        raise InvalidInput(f"must not be before {FIRST_DAY:%Y-%m-%d}", field="as_of")
    moment = as_of.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def newest(prices: Iterable[ManualPrice]) -> tuple[ManualPrice, ...]:
    """Of each asset the one that is about the latest time."""
    found: dict[Asset, ManualPrice] = {}
    for price in prices:
        known = found.get(price.asset)
        if known is None or price.as_of > known.as_of:
            found[price.asset] = price
    return tuple(found.values())
