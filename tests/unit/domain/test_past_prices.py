"""Past prices: over which markets the price of a past minute is found, and what it is."""

from datetime import timedelta
from decimal import Decimal

from alphapulse.domain.identifiers import Asset, ExchangeId
from alphapulse.domain.past_prices import PastMarkets, close_along
from alphapulse.domain.rates import RateQuality, RateWant
from alphapulse.domain.valuation import LegKey
from tests.ledgers import day

ADA, BTC, USD, USDT = (Asset(one) for one in ("ADA", "BTC", "USD", "USDT"))
BINANCE, BYBIT = ExchangeId("binance"), ExchangeId("bybit")
BTC_USDT, ADA_USDT = (BTC, USDT, BINANCE, False), (ADA, USDT, BINANCE, False)
ELSEWHERE = (BTC, USDT, BYBIT, False)
INDEX = (BTC, USD, BYBIT, True)
NOTHING: frozenset[LegKey] = frozenset()


def test_a_coin_reaches_dollars_over_the_index_of_another() -> None:
    markets = PastMarkets([BTC_USDT, ADA_USDT, INDEX])
    route = markets.route(ADA, USD, NOTHING)
    assert route == ((ADA_USDT, False), (BTC_USDT, True), (INDEX, False))

    want = RateWant(USD, ADA, day(1))
    rate = close_along(route, map(Decimal, ("0.5", "50000", "49950")), want)
    assert (rate.value, rate.quality) == (Decimal("0.4995"), RateQuality.CLOSE)
    assert rate.as_of == day(1) + timedelta(minutes=1)
    assert rate.source == "binance:ADA/USDT 1m > 1/binance:BTC/USDT 1m > bybit:BTC index 1m"


def test_another_market_serves_where_one_was_not_there_yet() -> None:
    markets = PastMarkets([BTC_USDT, ELSEWHERE, INDEX])
    assert markets.route(USDT, USD, NOTHING) == ((BTC_USDT, True), (INDEX, False))
    without = frozenset({BTC_USDT})
    assert markets.route(USDT, USD, without) == ((ELSEWHERE, True), (INDEX, False))
    assert markets.route(USDT, USD, without | {INDEX}) is None


def test_what_is_no_market_has_no_price() -> None:
    assert PastMarkets([BTC_USDT]).route(ADA, USD, NOTHING) is None
