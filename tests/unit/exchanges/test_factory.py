"""Exchange factory: the right adapter, close matches for typing errors, missing fields named."""

import pytest

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, ExchangeId
from alphapulse.errors import InvalidInput
from alphapulse.exchanges.adapters.binance.exchange import BinanceExchange
from alphapulse.exchanges.adapters.bybit.exchange import BybitExchange
from alphapulse.exchanges.adapters.generic.exchange import GenericExchange
from alphapulse.exchanges.factory import ExchangeFactory
from alphapulse.exchanges.port import Credentials
from alphapulse.exchanges.settings import ExchangesSettings

ME = AccountId("me")


@pytest.fixture
def factory(clock: Clock) -> ExchangeFactory:
    return ExchangeFactory(ExchangesSettings(), clock)


@pytest.mark.parametrize(
    ("name", "adapter"),
    [("binance", BinanceExchange), ("bybit", BybitExchange), ("kraken", GenericExchange)],
)
def test_an_exchange_has_its_own_adapter_or_the_generic_one(
    factory: ExchangeFactory, name: str, adapter: type
) -> None:
    exchange = factory.open(ExchangeId(name), ME, Credentials("key", "secret"))

    assert type(exchange) is adapter
    assert exchange.id == name
    assert exchange.capabilities == factory.capabilities(ExchangeId(name))


def test_a_misspelt_exchange_is_refused_with_what_was_meant(factory: ExchangeFactory) -> None:
    with pytest.raises(InvalidInput) as caught:
        factory.open(ExchangeId("binnance"), ME, None)

    assert caught.value.facts["field"] == "exchange"
    assert "close to it: binance" in caught.value.message


@pytest.mark.parametrize(
    ("name", "credentials", "field"),
    [
        ("okx", Credentials("key", "secret"), "password"),
        ("binance", Credentials("key", ""), "api_secret"),
        ("bybit", Credentials("", "secret"), "api_key"),
        ("hyperliquid", Credentials("key", "secret"), "privateKey"),
    ],
)
def test_a_missing_field_of_a_key_is_named(
    factory: ExchangeFactory, name: str, credentials: Credentials, field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        factory.open(ExchangeId(name), ME, credentials)

    assert caught.value.facts["field"] == field


def test_every_exchange_of_ccxt_has_a_row_in_the_table_of_capabilities(
    factory: ExchangeFactory,
) -> None:
    known = factory.known()

    assert known[:2] == ("binance", "bybit")
    assert len(known) == len(set(known)) > 100
    table = {name: factory.capabilities(name) for name in known}
    assert all(row.spot or row.perpetual for row in table.values())
    # Only where the form of a client id is known can a lost order be found again.
    trading = {name for name, row in table.items() if row.trading}
    assert trading == {"binance", "bybit", "okx", "kucoin", "gate", "bitget", "mexc", "htx"}


def test_only_what_needs_a_key_needs_an_account(factory: ExchangeFactory) -> None:
    public = factory.open(ExchangeId("binance"), None, None)

    assert isinstance(public, BinanceExchange)
    with pytest.raises(InvalidInput, match="needs an account"):
        _ = public.account_id


@pytest.mark.parametrize(
    ("base", "url", "there"),
    [
        (
            None,
            "https://api.binance.com/api/v3/time?a=1",
            "https://api.binance.com/api/v3/time?a=1",
        ),
        (
            "http://127.0.0.1:8800",
            "https://api.binance.com/api/v3/time?a=%20",
            "http://127.0.0.1:8800/api.binance.com/api/v3/time?a=%20",
        ),
        (
            "http://127.0.0.1:8800/",
            "wss://stream.binance.com:9443/ws/0",
            "ws://127.0.0.1:8800/stream.binance.com/ws/0",
        ),
        (
            "https://sim.example/base",
            "wss://stream.bybit.com/v5/private",
            "wss://sim.example/base/stream.bybit.com/v5/private",
        ),
    ],
)
def test_a_venues_address_is_rewritten_host_first(base: str | None, url: str, there: str) -> None:
    assert ExchangesSettings(simulator_url=base).address("binance", url) == there


def test_one_exchange_alone_may_be_elsewhere() -> None:
    settings = ExchangesSettings(endpoints={"bybit": "http://127.0.0.1:1"})

    assert settings.address("binance", "https://a.b/c") == "https://a.b/c"
    assert settings.address("bybit", "https://a.b/c") == "http://127.0.0.1:1/a.b/c"
