"""Which bars and markets a rule by risk looks at, and what it says of those that are missing."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.instrument import Instrument
from alphapulse.domain.market import Timeframe
from alphapulse.domain.rebalance.choice import RuleKind, TargetRule
from alphapulse.domain.rebalance.lookback import (
    ASSETS_MAX,
    Closes,
    Lookback,
    Past,
    key_of,
    past_of,
    pricing_of,
)
from alphapulse.errors import InvalidInput
from tests.unit.domain.rebalance.builders import BTC, ETH, USDT, market

EUR = Asset("EUR")
NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
DAYS = Lookback(Timeframe.D1, 3)


def listed(*names: str, **changes: object) -> list[Instrument]:
    """``binance:BTC/USDT``; without a name, of Binance."""
    found = []
    for name in names:
        exchange, _, symbol = name.rpartition(":")
        found.append(market(symbol, Decimal(1), exchange or "binance", **changes).instrument)
    return found


def day(back: int) -> datetime:
    return datetime(2026, 11, 23, tzinfo=UTC) - timedelta(days=back)


def closes(*prices: str, newest: int = 1) -> Closes:
    """Of days, oldest first; the newest so many days ago."""
    ages = range(newest + len(prices) - 1, newest - 1, -1)
    return {day(age): Decimal(price) for age, price in zip(ages, prices, strict=True)}


def rule(
    days: int, timeframe: Timeframe = Timeframe.D1, assets: Iterable[Asset] = (BTC, ETH)
) -> TargetRule:
    return TargetRule(RuleKind.RISK_PARITY, tuple(assets), None, days, timeframe)


@pytest.mark.parametrize(
    ("days", "timeframe", "bars"),
    [(90, Timeframe.D1, 90), (1, Timeframe.H1, 24), (41, Timeframe.H1, 984)],
)
def test_days_are_so_many_bars(days: int, timeframe: Timeframe, bars: int) -> None:
    assert Lookback.of(rule(days, timeframe)).bars == bars


@pytest.mark.parametrize(
    ("days", "timeframe"), [(19, Timeframe.D1), (991, Timeframe.D1), (42, Timeframe.H1)]
)
def test_too_few_bars_and_more_than_a_page_are_refused(days: int, timeframe: Timeframe) -> None:
    with pytest.raises(InvalidInput) as refused:
        Lookback.of(rule(days, timeframe))
    assert refused.value.facts["field"] == "rule/lookback_days"


def test_more_assets_than_may_be_asked_for_are_refused() -> None:
    many = [Asset(f"A{n}") for n in range(ASSETS_MAX + 1)]
    with pytest.raises(InvalidInput) as refused:
        Lookback.of(rule(90, assets=many))
    assert refused.value.facts["field"] == "rule/assets"


def test_the_window_ends_with_the_newest_bar_that_has_closed() -> None:
    known = closes("1", "2", "3", "4", "5")
    assert DAYS.times([known], NOW) == (day(4), day(3), day(2), day(1))
    assert DAYS.first(NOW) == day(5)


def test_a_market_that_does_not_tell_the_newest_bar_yet_moves_the_window_of_all() -> None:
    known, behind = closes("1", "2", "3", "4", "5"), closes("1", "2", "3", "4", newest=2)
    assert DAYS.times([known, behind], NOW) == (day(5), day(4), day(3), day(2))


def test_markets_in_the_currency_go_first() -> None:
    markets = listed("BTC/USDT", "ETH/USDT", "USDT/EUR", "BTC/EUR", "ETH/EUR")
    pricing = pricing_of([BTC, ETH], EUR, markets)
    assert (pricing.currency, pricing.quote, pricing.bridge) == (EUR, EUR, None)
    assert pricing.source(BTC) == "binance:BTC/EUR"


@pytest.mark.parametrize(
    ("bridge", "rate", "last"), [("EUR/USDT", "1.25", "40000"), ("USDT/EUR", "0.8", "40000")]
)
def test_a_market_that_leads_to_the_currency_converts_bar_by_bar(
    bridge: str, rate: str, last: str
) -> None:
    markets = listed("BTC/USDT", "ETH/USDT", bridge)
    pricing = pricing_of([BTC, ETH], EUR, markets)
    assert (pricing.currency, pricing.quote) == (EUR, USDT)
    assert pricing.source(ETH) == f"binance:ETH/USDT > binance:{bridge}"
    prices = (closes("1", "2", "3", "50000"), closes("1", "2", "3", "2500"))
    found = dict(zip(map(key_of, markets), (*prices, closes("1", "1", "1", rate)), strict=True))
    past = past_of(pricing, DAYS, found, NOW)
    assert isinstance(past, Past)
    assert past.closes[BTC][-1] == Decimal(last)


def test_the_quote_itself_moves_as_the_market_to_the_currency_does() -> None:
    markets = listed("BTC/USDT", "USDT/EUR")
    pricing = pricing_of([BTC, USDT], EUR, markets)
    found = {
        key_of(markets[0]): closes("1", "1", "1", "1"),
        key_of(markets[1]): closes("1", "1", "2", "2"),
    }
    past = past_of(pricing, DAYS, found, NOW)
    assert isinstance(past, Past)
    assert np.array_equal(past.returns([BTC, USDT]), [[0, 0], [1, 1], [0, 0]])


def test_where_no_market_leads_to_the_currency_the_quote_says_what_it_is() -> None:
    markets = listed("BTC/USDT", "ETH/USDT", "ETH/BTC")
    pricing = pricing_of([BTC, ETH], EUR, markets)
    assert (pricing.currency, pricing.bridge) == (USDT, None)


def test_a_halted_market_tells_nothing() -> None:
    markets = [*listed("BTC/USDT"), *listed("ETH/USDT", is_active=False)]
    with pytest.raises(InvalidInput, match="ETH") as refused:
        pricing_of([BTC, ETH], USDT, markets)
    assert refused.value.facts["field"] == "rule/assets"


def test_every_market_that_is_too_short_is_named_with_how_much_is_there() -> None:
    markets = listed("bybit:BTC/USDT", "ETH/USDT")
    pricing = pricing_of([BTC, ETH], USDT, markets)
    known = closes("1", "2", "3", "4")
    with_hole = {time: close for time, close in known.items() if time != day(2)}
    found = {key_of(markets[0]): with_hole, key_of(markets[1]): closes("3", "4")}
    lacks = past_of(pricing, DAYS, found, NOW)
    assert not isinstance(lacks, Past)
    assert [(one.asset, one.source, one.there, one.needed, one.since) for one in lacks] == [
        (BTC, "bybit:BTC/USDT", 3, 4, day(4)),
        (ETH, "binance:ETH/USDT", 2, 4, day(4)),
    ]


def test_a_past_that_ended_long_ago_is_none() -> None:
    markets = listed("BTC/USDT")
    found = {key_of(markets[0]): closes("1", "2", "3", "4", newest=30)}
    lacks = past_of(pricing_of([BTC], USDT, markets), DAYS, found, NOW)
    assert not isinstance(lacks, Past)
    assert [(one.there, one.needed) for one in lacks] == [(0, 4)]
