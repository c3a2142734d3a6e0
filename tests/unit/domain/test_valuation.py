"""Which path a price takes, how it is rounded, and how old it says it is."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from alphapulse.domain.identifiers import Asset, ExchangeId, Symbol
from alphapulse.domain.market import Ticker
from alphapulse.domain.money import plain
from alphapulse.domain.valuation import PriceBook, Quality, settle_of

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BINANCE = ExchangeId("binance")
BYBIT = ExchangeId("bybit")


def ticker(
    symbol: str,
    last: str | None,
    *,
    exchange: ExchangeId = BINANCE,
    age_s: float = 0,
    **more: Any,
) -> Ticker:
    at = NOW - timedelta(seconds=age_s)
    return Ticker(
        exchange=exchange,
        symbol=Symbol(symbol),
        occurred_at=at,
        received_at=at,
        last=None if last is None else Decimal(last),
        **more,
    )


def book_of(*tickers: Ticker) -> PriceBook:
    book = PriceBook()
    for one in tickers:
        book.put(one)
    return book


def test_a_direct_market_is_the_price_as_the_venue_wrote_it() -> None:
    price = book_of(ticker("BTC/USDT", "64213.10")).price(Asset("BTC"), Asset("USDT"), now=NOW)

    assert price is not None
    assert str(price.value) == "64213.10"
    assert price.source == "binance:BTC/USDT"
    assert price.quality is Quality.LIVE


def test_an_asset_in_its_own_currency_is_one() -> None:
    price = PriceBook().price(Asset("EUR"), Asset("EUR"), now=NOW)

    assert price is not None
    assert (price.value, price.source) == (Decimal(1), "identity")


def test_an_asset_without_a_path_has_no_price() -> None:
    book = book_of(ticker("BTC/USDT", "64213.1"))

    assert book.price(Asset("AIRDROP"), Asset("USDT"), now=NOW) is None
    assert book.price(Asset("BTC"), Asset("USD"), now=NOW) is None


def test_a_stablecoin_is_worth_what_its_markets_say() -> None:
    book = book_of(
        ticker("BTC/USDT", "64000", exchange=BYBIT, index_price_usd=Decimal("63936")),
    )

    price = book.price(Asset("USDT"), Asset("USD"), now=NOW)

    assert price is not None
    assert price.value == Decimal("0.999")
    assert price.source == "1/bybit:BTC/USDT > bybit:index"


def test_a_market_passed_backwards_is_kept_to_12_digits() -> None:
    price = book_of(ticker("EUR/USDT", "3")).price(Asset("USDT"), Asset("EUR"), now=NOW)

    assert price is not None
    assert str(price.value) == "0.333333333333"


def test_a_path_that_only_multiplies_is_exact() -> None:
    book = book_of(ticker("SOL/BTC", "0.00230123"), ticker("BTC/USDT", "64213.12345678"))

    price = book.price(Asset("SOL"), Asset("USDT"), now=NOW)

    assert price is not None
    assert price.value == Decimal("0.00230123") * Decimal("64213.12345678")


def test_a_fresh_detour_beats_a_stale_direct_market() -> None:
    book = book_of(
        ticker("SOL/EUR", "100", age_s=600),
        ticker("SOL/USDT", "120"),
        ticker("EUR/USDT", "1.2"),
    )

    price = book.price(Asset("SOL"), Asset("EUR"), now=NOW)

    assert price is not None
    assert price.source == "binance:SOL/USDT > 1/binance:EUR/USDT"
    assert price.quality is Quality.LIVE


def test_fewer_legs_beat_the_holders_own_exchange() -> None:
    book = book_of(
        ticker("SOL/BTC", "0.002", exchange=BYBIT),
        ticker("BTC/USDT", "64000", exchange=BYBIT),
        ticker("SOL/USDT", "127"),
    )

    price = book.price(Asset("SOL"), Asset("USDT"), now=NOW, near=BYBIT)

    assert price is not None
    assert price.source == "binance:SOL/USDT"


@pytest.mark.parametrize("near", [BINANCE, BYBIT])
def test_among_equals_the_holders_own_exchange_prices(near: ExchangeId) -> None:
    book = book_of(
        ticker("BTC/USDT", "64000"),
        ticker("BTC/USDT", "64001", exchange=BYBIT),
    )

    price = book.price(Asset("BTC"), Asset("USDT"), now=NOW, near=near)

    assert price is not None
    assert price.source == f"{near}:BTC/USDT"


def test_a_derivative_prices_an_asset_only_by_its_index() -> None:
    perpetual = ticker("BTC/USDT:USDT", "64500", exchange=BYBIT, mark=Decimal(64490))
    assert book_of(perpetual).price(Asset("BTC"), Asset("USDT"), now=NOW) is None

    with_index = ticker("BTC/USDT:USDT", "64500", exchange=BYBIT, index=Decimal(64400))
    price = book_of(with_index).price(Asset("BTC"), Asset("USDT"), now=NOW)
    assert price is not None
    assert price.value == 64400


@pytest.mark.parametrize(
    ("age_s", "quality"),
    [(0, Quality.LIVE), (15, Quality.LIVE), (16, Quality.DELAYED), (121, Quality.STALE)],
)
def test_quality_follows_age(age_s: int, quality: Quality) -> None:
    book = book_of(ticker("BTC/USDT", "64000", age_s=age_s))

    price = book.price(Asset("BTC"), Asset("USDT"), now=NOW)

    assert price is not None
    assert price.quality is quality
    assert price.age_ms(NOW) == age_s * 1000


def test_a_path_is_as_old_and_as_bad_as_its_worst_leg() -> None:
    book = book_of(ticker("SOL/BTC", "0.002", age_s=60), ticker("BTC/USDT", "64000", age_s=1))

    price = book.price(Asset("SOL"), Asset("USDT"), now=NOW)

    assert price is not None
    assert price.as_of == NOW - timedelta(seconds=60)
    assert price.quality is Quality.DELAYED


def test_prices_of_an_exchange_that_fell_silent_are_stale_at_once() -> None:
    book = book_of(ticker("BTC/USDT", "64000"))
    book.price(Asset("BTC"), Asset("USDT"), now=NOW)

    book.silence([BINANCE])

    price = book.price(Asset("BTC"), Asset("USDT"), now=NOW)
    assert price is not None
    assert price.quality is Quality.STALE


def test_a_market_without_a_trade_is_an_estimate() -> None:
    quoted = ticker("NEW/USDT", None, bid=Decimal("1.0"), ask=Decimal("1.2"))

    price = book_of(quoted).price(Asset("NEW"), Asset("USDT"), now=NOW)

    assert price is not None
    assert (price.value, price.quality) == (Decimal("1.1"), Quality.ESTIMATED)


def test_a_newer_price_shows_at_once_although_routes_are_kept() -> None:
    book = book_of(ticker("BTC/USDT", "64000"))
    book.price(Asset("BTC"), Asset("USDT"), now=NOW)

    book.put(ticker("BTC/USDT", "65000"))

    price = book.price(Asset("BTC"), Asset("USDT"), now=NOW)
    assert price is not None
    assert price.value == 65000


def test_a_price_of_zero_is_no_price() -> None:
    assert book_of(ticker("RUG/USDT", "0")).price(Asset("USDT"), Asset("RUG"), now=NOW) is None


@pytest.mark.parametrize(
    ("symbol", "settle"),
    [("BTC/USDT:USDT", "USDT"), ("BTC/USD:BTC-261225", "BTC"), ("BTC/USDT", "USDT")],
)
def test_settle_currency_of_a_symbol(symbol: str, settle: str) -> None:
    assert settle_of(Symbol(symbol)) == settle


def change(book: PriceBook, asset: str, currency: str = "USD") -> tuple[str, str] | None:
    told = book.day_change(Asset(asset), Asset(currency), now=NOW, near=BYBIT)
    return None if told is None else (plain(told.now.normalize()), plain(told.then.normalize()))


def test_a_day_is_compared_along_the_path_of_the_price() -> None:
    book = book_of(
        ticker("ETH/BTC", "0.05", open_24h=Decimal("0.04")),
        ticker("BTC/USDT", "60000", open_24h=Decimal("50000")),
    )

    told = book.day_change(Asset("ETH"), Asset("USDT"), now=NOW)
    assert told is not None
    assert told == (Decimal(3000), Decimal(2000))
    assert (told.percent, told.gain_of(Decimal(6000))) == (Decimal(50), Decimal(2000))
    # Passed backwards the past is, too.
    assert change(book, "USDT", "BTC") == ("0.0000166666666667", "0.00002")
    assert change(book, "BTC", "BTC") == ("1", "1")


def test_an_index_has_the_past_that_was_learned_and_none_before() -> None:
    index = (Asset("BTC"), Asset("USD"), BYBIT, True)
    book = book_of(
        ticker(
            "BTC/USDT",
            "60000",
            exchange=BYBIT,
            open_24h=Decimal("50000"),
            index_price_usd=Decimal("59940"),
        ),
        ticker(
            "SOL/USDT",
            "200",
            exchange=BYBIT,
            open_24h=Decimal("100"),
            index_price_usd=Decimal("200.1"),
        ),
    )
    assert (change(book, "BTC"), change(book, "SOL")) == (None, None)

    book.know_past({index: Decimal("50050")})
    assert change(book, "BTC") == ("59940", "50050")
    # Its own index has no past, so now and then are both told by its market.
    assert change(book, "SOL") == ("199.8", "100.1")
    price = book.price(Asset("SOL"), Asset("USD"), now=NOW, near=BYBIT)
    assert price is not None
    assert price.source == "bybit:index"

    book.know_past({})
    assert change(book, "BTC") is None


def test_a_market_that_is_stale_or_tells_no_past_changes_nothing() -> None:
    book = book_of(
        ticker("BTC/USDT", "60000", age_s=600, open_24h=Decimal("50000")),
        ticker("ETH/USDT", "3000"),
        ticker("SOL/USDT:USDT", "200", open_24h=Decimal("100"), index=Decimal(201)),
    )

    assert [change(book, asset, "USDT") for asset in ("BTC", "ETH", "SOL", "XYZ")] == [None] * 4
    fresh = ticker("BTC/USDT", "60000", open_24h=Decimal("50000"))
    book.put(fresh)
    book.silence([BINANCE])
    assert change(book, "BTC", "USDT") is None
