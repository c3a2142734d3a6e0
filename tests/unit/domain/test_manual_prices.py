"""What a person says an asset is worth: what is believed, and when a market knows better."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from alphapulse.domain.identifiers import Asset, ExchangeId, UserId
from alphapulse.domain.manual_prices import ManualPrice, manual_price, newest
from alphapulse.domain.valuation import PriceBook, Quality
from alphapulse.errors import InvalidInput
from tests.unit.domain.test_valuation import BINANCE, NOW, book_of, ticker

LUNA, USD, USDT, EUR = (Asset(one) for one in ("LUNA", "USD", "USDT", "EUR"))
ADA = UserId("ada")


def said(value: str = "2", currency: Asset = USD, *, age_s: float = 0) -> ManualPrice:
    as_of = NOW - timedelta(seconds=age_s)
    return manual_price(LUNA, Decimal(value), currency, as_of, by=ADA, now=NOW)


def saying(book: PriceBook, *prices: ManualPrice) -> PriceBook:
    book.say(one.leg for one in prices)
    return book


def seen(book: PriceBook, currency: Asset = USD) -> tuple[str, str, Quality] | None:
    price = book.price(LUNA, currency, now=NOW, near=BINANCE)
    return None if price is None else (str(price.value), price.source, price.quality)


def test_what_no_market_prices_is_worth_what_a_person_says_with_its_age() -> None:
    price = saying(PriceBook(), said(age_s=90)).price(LUNA, USD, now=NOW)
    assert price is not None
    assert (price.value, price.source, price.quality) == (Decimal(2), "manual", Quality.MANUAL)
    assert price.age_ms(NOW) == 90_000


def test_it_is_converted_by_markets_and_markets_lead_over_it() -> None:
    book = saying(book_of(ticker("USDT/EUR", "0.9"), ticker("FOO/LUNA", "3")), said("2", USDT))
    assert seen(book, EUR) == ("1.8", "manual > binance:USDT/EUR", Quality.MANUAL)
    price = book.price(Asset("FOO"), EUR, now=NOW)
    assert price is not None
    assert (str(price.value), price.quality) == ("5.4", Quality.MANUAL)


@pytest.mark.parametrize("age_s", [0, 100])
def test_a_market_that_is_live_or_delayed_always_goes_first(age_s: float) -> None:
    book = saying(book_of(ticker("LUNA/USD", "5", age_s=age_s)), said())
    found = seen(book)
    assert found is not None
    assert found[:2] == ("5", "binance:LUNA/USD")


def test_of_a_market_that_fell_silent_and_a_person_the_later_word_counts() -> None:
    book = book_of(ticker("LUNA/USD", "5", age_s=86_400))
    assert seen(saying(book, said(age_s=90_000))) == ("5", "binance:LUNA/USD", Quality.STALE)
    assert seen(saying(book, said(age_s=60))) == ("2", "manual", Quality.MANUAL)


def test_an_exchange_that_fell_silent_just_now_does_not_bring_back_an_older_word() -> None:
    book = saying(book_of(ticker("LUNA/USD", "5", age_s=10)), said(age_s=3600))
    book.silence([ExchangeId("binance")])
    assert seen(book) == ("5", "binance:LUNA/USD", Quality.STALE)


def test_where_no_market_leads_to_the_currency_an_older_word_counts_too() -> None:
    book = saying(book_of(ticker("LUNA/XYZ", "5")), said(age_s=3600))
    assert seen(book) == ("2", "manual", Quality.MANUAL)


def test_what_is_said_anew_replaces_all_that_was_said() -> None:
    book = saying(PriceBook(), said("2", USD))
    saying(book, said("3", EUR))
    assert (seen(book, USD), book.knows(USD)) == (None, False)
    assert seen(book, EUR) == ("3", "manual", Quality.MANUAL)
    assert seen(saying(book), EUR) is None


def test_what_guards_orders_hears_markets_only() -> None:
    book = saying(book_of(ticker("LUNA/USDT", "5"), ticker("FOO/USD", "1")), said())
    assert book.price(LUNA, USD, now=NOW, is_traded=True) is None
    price = book.price(LUNA, USDT, now=NOW, is_traded=True)
    assert price is not None
    assert price.value == 5
    assert seen(book) == ("2", "manual", Quality.MANUAL)


@pytest.mark.parametrize(
    ("value", "currency", "as_of", "field"),
    [
        ("0", USD, NOW, "value"),
        ("-1", USD, NOW, "value"),
        ("1e-19", USD, NOW, "value"),
        ("1e19", USD, NOW, "value"),
        ("1.00000000000000000000000000000000000001", USD, NOW, "value"),
        ("1", LUNA, NOW, "currency"),
        ("1", USD, NOW + timedelta(seconds=1), "as_of"),
        ("1", USD, datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), "as_of"),
    ],
)
def test_what_is_no_price_or_of_no_time_is_refused(
    value: str, currency: Asset, as_of: datetime, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        manual_price(LUNA, Decimal(value), currency, as_of, by=ADA, now=NOW)
    assert refused.value.facts["field"] == field


def test_a_moment_is_kept_in_utc_to_the_millisecond_and_counts_for_its_day() -> None:
    tokyo = timezone(timedelta(hours=9))
    at = datetime(2026, 11, 22, 1, 2, 3, 456_789, tzinfo=tokyo)
    price = manual_price(LUNA, Decimal(1), USD, at, by=ADA, now=NOW)
    assert price.as_of == datetime(2026, 11, 21, 16, 2, 3, 456_000, tzinfo=UTC)
    assert price.counts_from == datetime(2026, 11, 21, tzinfo=UTC)


def test_the_newest_is_the_one_about_the_latest_time() -> None:
    assert [one.value for one in newest([said("1", age_s=60), said("2"), said("3", age_s=5)])] == [
        2
    ]
