"""Rate book: which of the stored prices is the rate of a moment, and in which currency."""

from datetime import datetime, timedelta
from decimal import Decimal

from alphapulse.domain.identifiers import Asset, ExchangeId, Symbol
from alphapulse.domain.market import Candle
from alphapulse.domain.rate_book import RateBook
from alphapulse.domain.rates import Rate, RateQuality
from tests.builders import make_candle
from tests.ledgers import day

BNB, BTC, USD, USDT = (Asset(one) for one in ("BNB", "BTC", "USD", "USDT"))
AT = day(1) + timedelta(hours=12, seconds=30)


def note(value: str, at: datetime, quality: RateQuality, currency: Asset = USD) -> Rate:
    return Rate(BNB, Decimal(value), currency, at, "note", quality)


def close(symbol: str, value: str, exchange: str = "binance") -> Candle:
    """Of the minute in which `AT` lies."""
    return make_candle(
        exchange=ExchangeId(exchange),
        symbol=Symbol(symbol),
        open_time=AT.replace(second=0),
        close=Decimal(value),
    )


def test_what_a_person_said_of_that_day_comes_before_any_market() -> None:
    said = note("1", AT + timedelta(hours=3), RateQuality.MANUAL)
    live = note("2", AT, RateQuality.LIVE)
    assert RateBook(USD, [said, live], [close("BNB/USD", "3")]).rate(BNB, AT) == said


def test_a_live_price_of_the_moment_comes_before_a_close() -> None:
    live = note("2", AT + timedelta(seconds=20), RateQuality.LIVE)
    assert RateBook(USD, [live], [close("BNB/USD", "3")]).rate(BNB, AT) == live
    old = note("2", AT - timedelta(minutes=2), RateQuality.LIVE)
    rate = RateBook(USD, [old], [close("BNB/USD", "3")]).rate(BNB, AT)
    assert rate is not None
    assert [rate.value, rate.quality] == [3, RateQuality.CLOSE]


def test_a_market_is_read_backwards_where_there_is_no_other() -> None:
    rate = RateBook(BTC, [], [close("BTC/USDT", "50000")]).rate(USDT, AT)
    assert rate is not None
    assert (rate.value, rate.currency, rate.quality) == (
        Decimal("0.00002"),
        BTC,
        RateQuality.CLOSE,
    )
    assert rate.source == "1/binance:BTC/USDT 1m"


def test_without_a_market_it_is_converted_over_one_more_coin_and_says_so() -> None:
    closes = [close("BNB/USDT", "600"), close("USDT/USD", "0.999")]
    rate = RateBook(USD, [], closes).rate(BNB, AT)
    assert rate is not None
    assert (rate.value, rate.currency, rate.quality) == (
        Decimal("599.4"),
        USD,
        RateQuality.CLOSE,
    )
    assert rate.source == "binance:BNB/USDT 1m > binance:USDT/USD 1m"


def test_a_conversion_with_a_rate_of_another_hour_is_an_estimate() -> None:
    dollar = Rate(USDT, Decimal("0.999"), USD, AT - timedelta(hours=2), "note", RateQuality.LIVE)
    rate = RateBook(USD, [dollar], [close("BNB/USDT", "600")]).rate(BNB, AT)
    assert rate is not None
    assert (rate.value, rate.quality) == (Decimal("599.4"), RateQuality.ESTIMATED)


def test_the_close_that_was_fetched_is_that_of_its_minute_only() -> None:
    fetched = note("3", AT.replace(second=0) + timedelta(minutes=1), RateQuality.CLOSE)
    book = RateBook(USD, [fetched], [close("BNB/USD", "4")])
    assert book.rate(BNB, AT) == fetched
    before = book.rate(BNB, AT - timedelta(minutes=1))
    assert before is not None
    assert [before.value, before.quality] == [3, RateQuality.NEAREST]


def test_the_nearest_note_within_a_day_is_better_than_nothing_and_marked() -> None:
    before = note("2", AT - timedelta(hours=20), RateQuality.LIVE)
    after = note("4", AT + timedelta(hours=5), RateQuality.LIVE)
    rate = RateBook(USD, [before, after], []).rate(BNB, AT)
    assert rate is not None
    assert [rate.value, rate.quality] == [4, RateQuality.NEAREST]
    assert RateBook(USD, [before], []).rate(BNB, AT + timedelta(hours=5)) is None


def test_of_two_exchanges_the_same_one_decides_in_whatever_order_they_come() -> None:
    closes = [close("BNB/USD", "3"), close("BNB/USD", "4", "bybit")]
    rates = {RateBook(USD, [], told).rate(BNB, AT) for told in (closes, closes[::-1])}
    assert [rate.value for rate in rates if rate is not None] == [3]


def test_no_rate_in_another_currency_is_ever_given() -> None:
    notes = [note("2", AT, RateQuality.LIVE, USDT), note("3", AT, RateQuality.MANUAL, USDT)]
    assert RateBook(USD, notes, [close("BNB/USDT", "600")]).rate(BNB, AT) is None


def test_an_open_candle_tells_nothing() -> None:
    candle = make_candle(symbol=Symbol("BNB/USD"), open_time=AT.replace(second=0), is_closed=False)
    assert RateBook(USD, [], [candle]).rate(BNB, AT) is None


def test_what_a_person_said_in_another_currency_is_converted_by_markets_of_the_moment() -> None:
    said = note("2", AT + timedelta(hours=3), RateQuality.MANUAL, USDT)
    rate = RateBook(USD, [said], [close("USDT/USD", "0.5")]).rate(BNB, AT)
    assert rate is not None
    assert (rate.value, rate.currency, rate.quality) == (Decimal("1.0"), USD, RateQuality.MANUAL)
    assert rate.source == "note > binance:USDT/USD 1m"


def test_where_nobody_knows_that_currency_a_market_of_the_asset_still_counts() -> None:
    said = note("2", AT, RateQuality.MANUAL, USDT)
    book = RateBook(USD, [said], [close("BNB/USD", "3")])
    rate = book.rate(BNB, AT)
    assert rate is not None
    assert (rate.value, book.lacking(BNB, AT)) == (Decimal(3), USDT)
    assert book.lacking(BNB, AT + timedelta(days=1)) == BNB
