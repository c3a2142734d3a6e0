"""An order of Binance is read as CCXT reads it; only its moment is not."""

from itertools import product
from typing import Any

import pytest

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId
from alphapulse.errors import ExchangeUnavailable, InstrumentUnavailable
from alphapulse.exchanges.adapters.binance.desk import BinanceDesk
from alphapulse.exchanges.adapters.binance.exchange import BinanceExchange
from alphapulse.exchanges.ccxt.client import MarketType
from tests.unit.exchanges.answers import (
    CannedTransport,
    LeapingClock,
    list_market,
    make_session,
)

AT_MS = 1795435200000

ROW: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "orderId": 4711,
    "clientOrderId": "apabcdefghijklmnopqrstuvwxyz",
    "price": "95123.45000000",
    "origQty": "0.30000000",
    "executedQty": "0.00000000",
    "status": "NEW",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
    "stopPrice": "0.00000000",
    "time": AT_MS,
    "updateTime": AT_MS + 700,
    "isWorking": True,
    "workingTime": AT_MS,
}

SPOT = ROW | {"cummulativeQuoteQty": "0.00000000", "origQuoteOrderQty": "0.00000000"}
USDM = ROW | {
    **{"avgPrice": "0.00", "cumQuote": "0", "positionSide": "BOTH", "reduceOnly": False},
    **{"origType": "LIMIT", "goodTillDate": 0},
}

STEPS: list[dict[str, Any]] = [
    {},
    {"status": "PARTIALLY_FILLED", "executedQty": "0.10000000"},
    {"status": "FILLED", "executedQty": "0.30000000"},
    {"status": "CANCELED", "executedQty": "0.00700000"},
    {"status": "EXPIRED"},
    {"status": "EXPIRED_IN_MATCH"},
    {"status": "REJECTED"},
]
PAID = [
    {"cummulativeQuoteQty": "7927.00000001", "avgPrice": "95123.33333"},
    {"cummulativeQuoteQty": "-1.00000000", "avgPrice": "0.00000"},
    {"cummulativeQuoteQty": "0.00000000", "avgPrice": "0.00000"},
]
KINDS: list[dict[str, Any]] = [
    {},
    {"side": "SELL", "timeInForce": "IOC"},
    {"type": "MARKET", "price": "0.00000000"},
    {"type": "MARKET", "price": "0.00000000", "origQty": "0.00", "origQuoteOrderQty": "100.00"},
    {"type": "LIMIT_MAKER"},
    {"timeInForce": "GTX", "reduceOnly": True},
    {"timeInForce": "GTD", "goodTillDate": AT_MS + 999_000},
    {"type": "STOP_LOSS", "stopPrice": "90000.00"},
    {"type": "STOP_LOSS_LIMIT", "stopPrice": "90000.00"},
    {"type": "TAKE_PROFIT", "stopPrice": "99000.00"},
    {"type": "TAKE_PROFIT_LIMIT", "stopPrice": "99000.00", "trailingDelta": 50},
    {"type": "STOP", "stopPrice": "90000.00", "origType": "STOP"},
    {"type": "STOP_MARKET", "stopPrice": "90000.00", "price": "0", "origType": "STOP_MARKET"},
    {"type": "TAKE_PROFIT_MARKET", "stopPrice": "99000.00", "price": "0"},
    {"type": "TRAILING_STOP_MARKET", "origType": "TRAILING_STOP_MARKET", "price": "0"},
    {"type": "LIMIT", "origType": "STOP", "stopPrice": "90000.00"},
    {"type": "SOMETHING_NEW"},
]


def desk_of(market_type: MarketType, clock: Clock) -> tuple[BinanceDesk, BinanceExchange, Any]:
    session = make_session(CannedTransport(), clock, budget_clock=LeapingClock())
    list_market(session, MarketType.SPOT, "BTC/USDT")
    list_market(session, MarketType.SWAP, "BTC/USDT:USDT")
    exchange = BinanceExchange(AccountId("me"), session)
    desk = exchange._desks[market_type]
    assert isinstance(desk, BinanceDesk)
    return desk, exchange, session


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(("market_type", "row"), [(MarketType.SPOT, SPOT), (MarketType.SWAP, USDM)])
async def test_every_order_is_read_as_ccxt_reads_it(
    market_type: MarketType, row: dict[str, Any], kind: dict[str, Any], clock: Clock
) -> None:
    desk, exchange, session = desk_of(market_type, clock)
    client = await session.loaded(market_type)
    for step, paid in product(STEPS, PAID):
        told = row | step | {name: paid[name] for name in paid if name in row} | kind
        read = client.parse_order(told) | {"timestamp": told["time"]}
        (by_ccxt,) = exchange.orders_of([read | desk.more(told)])
        assert desk.order(client, told) == by_ccxt, told


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"status": "PENDING_SOMETHING"}, ExchangeUnavailable),
        ({"side": "BOTH"}, ExchangeUnavailable),
        ({"executedQty": "many"}, ExchangeUnavailable),
        ({"orderId": ""}, ExchangeUnavailable),
        ({"symbol": "NEWUSDT"}, InstrumentUnavailable),
    ],
    ids=str,
)
async def test_what_cannot_be_an_order_is_a_broken_answer(
    change: dict[str, Any], error: type[Exception], clock: Clock
) -> None:
    desk, _, session = desk_of(MarketType.SPOT, clock)
    client = await session.loaded(MarketType.SPOT)
    with pytest.raises(error):
        desk.order(client, SPOT | change)
