"""Rates: whoever asks one says of what and in what."""

from decimal import Decimal

import pytest

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.rates import Rate, RateQuality, rate_of
from alphapulse.domain.valuation import Price, Quality
from tests.ledgers import START, USD

BTC = Asset("BTC")
RATE = Rate(BTC, Decimal("30000.5"), USD, START, "binance:BTC/USDT", RateQuality.CLOSE)


def test_a_rate_gives_the_worth_of_its_own_asset_in_its_own_currency() -> None:
    assert RATE.worth(BTC, Decimal("0.5"), USD) == Decimal("15000.25")


@pytest.mark.parametrize(("asset", "currency"), [("ETH", "USD"), ("BTC", "EUR")])
def test_it_can_pass_for_no_other(asset: str, currency: str) -> None:
    """T-22: a fallback price in another currency showed a holding 25 times too high."""
    with pytest.raises(ValueError, match="is none of"):
        RATE.worth(Asset(asset), Decimal(1), Asset(currency))


@pytest.mark.parametrize(
    ("price", "rate", "is_firm"),
    [
        (Quality.LIVE, RateQuality.LIVE, True),
        (Quality.ESTIMATED, RateQuality.ESTIMATED, False),
        (Quality.DELAYED, RateQuality.NEAREST, False),
        (Quality.MANUAL, RateQuality.MANUAL, True),
        (Quality.STALE, RateQuality.STALE, False),
    ],
)
def test_a_price_is_as_good_a_rate_as_it_is_a_price(
    price: Quality, rate: RateQuality, is_firm: bool
) -> None:
    made = rate_of(BTC, Price(Decimal(1), USD, START, "here", price))
    assert (made.quality, made.quality.is_firm) == (rate, is_firm)
    assert (made.asset, made.currency, made.source) == (BTC, USD, "here")
