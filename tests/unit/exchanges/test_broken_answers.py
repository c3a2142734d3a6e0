"""Zero false truths: a 2xx whose body is no answer never becomes data, on any exchange."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, ExchangeOrderId, Symbol
from alphapulse.domain.market import Timeframe
from alphapulse.errors import ExchangeUnavailable, OrderOutcomeUnknown
from alphapulse.exchanges.adapters.binance.exchange import BinanceExchange
from alphapulse.exchanges.adapters.bybit.exchange import BybitExchange
from alphapulse.exchanges.adapters.generic import exchange as generic
from alphapulse.exchanges.adapters.generic.exchange import GenericExchange
from alphapulse.exchanges.ccxt import loading
from alphapulse.exchanges.ccxt.client import MarketType, purpose
from alphapulse.exchanges.ccxt.errors import Intent
from alphapulse.exchanges.ccxt.transport import Answer, NoAnswer
from alphapulse.exchanges.port import Exchange
from tests.fixtures.clock import HandClock
from tests.unit.exchanges.answers import CannedTransport, answer, list_market, make_session

BTC = Symbol("BTC/USDT")
SINCE = datetime(2026, 11, 20, tzinfo=UTC)
ME = AccountId("me")

HTML = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>"
BODIES = {
    "html": answer(HTML, content_type="text/html"),
    "html said to be json": answer(HTML),
    "cut json": answer(b'[{"symbol": "BTCUSDT", "id": 1, "orderId": 2, "pri'),
    "empty": answer(b""),
    "empty object": answer({}),
    "empty list": answer([]),
    "null": answer(None),
    "a word": answer("ok"),
    "a number": answer(1795435200000),
    "not utf-8": answer(b'{"result": "\xff\xfe"}'),
}

# What Binance is asked first, to know which wallets there are.
MAY_TRADE: dict[str, Answer | NoAnswer | list[Answer]] = {
    "/apiRestrictions": answer({"enableReading": True, "enableFutures": True})
}

# Of these an empty list is the whole truth: nothing is open, nothing was traded.
HONEST_EMPTY_LISTS = {
    ("binance", "open orders"),
    ("binance", "fills"),
    ("binance", "candles"),
    ("mexc", "open orders"),
    ("mexc", "fills"),
    ("mexc", "candles"),
    ("gate", "open orders"),
    ("gate", "fills"),
    ("gate", "candles"),
}

NAMED = ("binance", "bybit")
OTHERS = ("kraken", "okx", "kucoin", "gate", "mexc", "bitget", "htx", "coinbase")

CALLS: dict[str, Callable[[Exchange], Awaitable[Any]]] = {
    "instruments": lambda exchange: exchange.load_instruments(),
    "balances": lambda exchange: exchange.fetch_balances(),
    "open orders": lambda exchange: exchange.fetch_open_orders(),
    "order": lambda exchange: exchange.fetch_order(BTC, exchange_order_id=ExchangeOrderId("7")),
    "fills": lambda exchange: exchange.fetch_fills(exchange.first_fill_cursors([BTC], SINCE)[0]),
    "tickers": lambda exchange: exchange.fetch_tickers([BTC]),
    "candles": lambda exchange: exchange.fetch_candles(BTC, Timeframe.M1, SINCE, 10),
    "clock": lambda exchange: exchange.measure_clock(),
}
NAMED_CALLS = CALLS | {"permissions": lambda exchange: exchange.fetch_permissions()}
BYBIT_CALLS = NAMED_CALLS | {
    "usd index": lambda exchange: exchange.fetch_usd_index(Asset("BTC"), SINCE, 10)
}


def make_exchange(name: str, transport: CannedTransport, clock: Clock, *, known: bool) -> Exchange:
    session = make_session(transport, clock, exchange=name)
    if known:
        list_market(session, MarketType.SPOT, BTC)
        list_market(session, MarketType.SWAP, "BTC/USDT:USDT")
    if name == "binance":
        return BinanceExchange(ME, session)
    if name == "bybit":
        return BybitExchange(ME, session)
    exchange = ExchangeId(name)
    return GenericExchange(exchange, ME, session, generic.capabilities(exchange))


MATRIX = [
    *(("binance", call) for call in NAMED_CALLS),
    *(("bybit", call) for call in BYBIT_CALLS),
    *((name, call) for name in OTHERS for call in CALLS),
]


@pytest.mark.parametrize(("name", "call"), MATRIX)
async def test_a_broken_body_is_no_answer(name: str, call: str, clock: HandClock) -> None:
    if call == "clock" and not exchange_tells_its_time(name):
        pytest.skip("this exchange has no clock to ask")
    transport = CannedTransport({} if call == "permissions" else MAY_TRADE)
    exchange = make_exchange(name, transport, clock, known=call != "instruments")

    for body, broken in BODIES.items():
        if body == "empty list" and (name, call) in HONEST_EMPTY_LISTS:
            continue
        transport.default, transport.sent = broken, []
        clock.advance(60)  # the rate budget is whole again
        with pytest.raises(ExchangeUnavailable):
            pytest.fail(f"{body} became {await BYBIT_CALLS[call](exchange)}")
        assert transport.sent, "nothing was asked"


def exchange_tells_its_time(name: str) -> bool:
    return name in NAMED or bool(loading.exchange_class(name)().has.get("fetchTime"))


@pytest.mark.parametrize(("name", "call"), sorted(HONEST_EMPTY_LISTS))
async def test_an_empty_list_may_be_the_whole_truth(name: str, call: str, clock: Clock) -> None:
    transport = CannedTransport(MAY_TRADE, default=answer([]))
    exchange = make_exchange(name, transport, clock, known=True)

    found = await CALLS[call](exchange)

    assert (found.fills if call == "fills" else found) == ()


WRONG_SHAPES: list[tuple[str, str, Answer]] = [
    ("binance", "balances", answer({"updateTime": 0})),
    ("binance", "balances", answer({"balances": {"asset": "BTC"}})),
    ("binance", "balances", answer({"balances": [{"asset": "BTC", "free": "1"}]})),
    ("binance", "open orders", answer({"orders": []})),
    ("binance", "open orders", answer([{"symbol": "BTCUSDT"}])),
    ("binance", "fills", answer([{"id": 1, "orderId": 2}])),
    ("binance", "tickers", answer([{"symbol": "BTCUSDT"}])),
    ("binance", "clock", answer({"time": 1})),
    ("binance", "order", answer({"orderId": 7})),
    ("binance", "permissions", answer({"ipRestrict": True})),
    ("bybit", "balances", answer({"retCode": 0, "result": {}})),
    ("bybit", "balances", answer({"retCode": 0, "result": {"list": [{"coin": []}]}})),
    ("bybit", "fills", answer({"retCode": 0, "result": {"list": [{"execId": "1"}]}})),
    ("bybit", "open orders", answer({"retCode": 0, "result": {"list": None}})),
    ("bybit", "open orders", answer({"result": {"list": []}})),
    ("bybit", "permissions", answer({"retCode": 0, "result": {"readOnly": 0}})),
    ("bybit", "usd index", answer({"retCode": 0, "result": {"list": None}})),
    ("bybit", "usd index", answer({"retCode": 0, "result": {"symbol": "BTCUSD", "list": ["1"]}})),
    ("okx", "balances", answer({"msg": ""})),
    ("kraken", "balances", answer({"error": []})),
]


@pytest.mark.parametrize(("name", "call", "wrong"), WRONG_SHAPES)
async def test_json_of_another_shape_is_no_answer(
    name: str, call: str, wrong: Answer, clock: Clock
) -> None:
    paths = {} if call == "permissions" else MAY_TRADE
    exchange = make_exchange(name, CannedTransport(paths, default=wrong), clock, known=True)

    with pytest.raises(ExchangeUnavailable):
        await BYBIT_CALLS[call](exchange)


@pytest.mark.parametrize("body", BODIES)
async def test_a_broken_body_after_a_write_leaves_the_order_unknown(
    body: str, clock: Clock
) -> None:
    session = make_session(CannedTransport(default=BODIES[body]), clock)
    client = session.client(MarketType.SPOT)

    with purpose(Intent.PLACE), pytest.raises(OrderOutcomeUnknown):
        await client.private_post_order({"symbol": "BTCUSDT"})
