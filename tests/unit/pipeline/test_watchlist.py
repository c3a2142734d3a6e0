"""Which symbols value what is held, and which may have fills."""

from alphapulse.domain.identifiers import Asset, Symbol
from alphapulse.domain.instrument import Instrument, InstrumentType
from alphapulse.pipeline.sync.watchlist import tradable, valuing
from tests.builders import make_instrument


def listed(*symbols: str) -> list[Instrument]:
    return [make_instrument(symbol) for symbol in symbols]


def assets(*names: str) -> list[Asset]:
    return [Asset(name) for name in names]


def test_a_coin_is_watched_against_the_dollars() -> None:
    instruments = listed("SOL/USDT", "SOL/USDC", "SOL/BTC", "ADA/USDT")
    symbols, unpriced = valuing(instruments, assets("SOL"))
    assert symbols == {"SOL/USDT", "SOL/USDC"}
    assert not unpriced


def test_a_coin_without_a_dollar_market_is_watched_against_what_there_is() -> None:
    symbols, _ = valuing(listed("XYZ/BTC", "BTC/USDT"), assets("XYZ"))
    assert symbols == {"XYZ/BTC", "BTC/USDT"}


def test_money_is_watched_from_either_side_and_bitcoin_always() -> None:
    instruments = listed("USDC/USDT", "EUR/USDT", "USDT/TRY", "BTC/USDT", "BTC/EUR")
    symbols, unpriced = valuing(instruments, assets("TRY", "USDT"))
    assert symbols == {"USDC/USDT", "EUR/USDT", "USDT/TRY", "BTC/USDT"}
    assert not unpriced


def test_what_no_market_prices_is_named() -> None:
    _, unpriced = valuing(listed("BTC/USDT"), assets("LDUSDT", "BTC"))
    assert unpriced == {"LDUSDT"}


def test_halted_and_derivative_markets_price_nothing() -> None:
    instruments = [
        make_instrument("SOL/USDT", is_active=False),
        make_instrument("SOL/USDC", type=InstrumentType.PERPETUAL),
    ]
    symbols, unpriced = valuing(instruments, assets("SOL"))
    assert not symbols
    assert unpriced == {"SOL"}


def test_fills_may_be_wherever_one_side_was_held() -> None:
    instruments = listed("BTC/USDT", "SOL/USDT", "SOL/BTC", "ADA/EUR")
    found = tradable(instruments, assets("USDT", "BTC"), known=())
    # Bought and sold again: only the other side is left, so one side is enough.
    assert found == ("BTC/USDT", "SOL/BTC", "SOL/USDT")


def test_known_symbols_come_first_even_when_delisted_or_gone() -> None:
    instruments = [*listed("BTC/USDT"), make_instrument("LUNA/USDT", is_active=False)]
    known = [Symbol("LUNA/USDT"), Symbol("GONE/USDT")]
    found = tradable(instruments, assets("BTC"), known)
    assert found == ("LUNA/USDT", "BTC/USDT", "GONE/USDT")
