"""Bybit's past: exactly the minutes that were asked for, in US dollars where it publishes them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from alphapulse.domain.identifiers import Asset, ExchangeId, Symbol
from alphapulse.domain.market import Timeframe
from alphapulse.errors import ExchangeUnavailable, InvalidInput
from alphapulse.exchanges.adapters.bybit.exchange import BybitExchange
from alphapulse.exchanges.adapters.generic import exchange as generic
from alphapulse.exchanges.adapters.generic.exchange import GenericExchange
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.transport import Answer, Request
from alphapulse.exchanges.port import Exchange, MinuteClose
from tests.fixtures.clock import HandClock
from tests.unit.exchanges.answers import CannedTransport, answer, list_market, make_session

BTC = Asset("BTC")
PAIR = Symbol("BTC/USDT")
LAST_YEAR = datetime(2025, 11, 3, 12, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def ms(at: datetime) -> str:
    return str(round(at.timestamp() * 1000))


def told(
    *minutes: tuple[datetime, str], symbol: str = "BTCUSD", at: datetime | None = None
) -> Answer:
    """The venue's answer: newest first, open, high and low around the close."""
    rows = [[ms(at), close, close, close, close] for at, close in sorted(minutes, reverse=True)]
    now = at or datetime(2026, 11, 23, 12, tzinfo=UTC)
    result = {"symbol": symbol, "category": "inverse", "list": rows}
    return answer({"retCode": 0, "retMsg": "OK", "result": result, "time": int(ms(now))})


def bybit(clock: HandClock, reply: Answer | None = None) -> tuple[Exchange, CannedTransport]:
    transport = CannedTransport(default=reply or told())
    session = make_session(transport, clock, exchange="bybit", credentials=None)
    list_market(session, MarketType.SPOT, PAIR)
    list_market(session, MarketType.SWAP, PAIR + ":USDT")
    return BybitExchange(None, session), transport


def query(request: Request) -> dict[str, Any]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}


async def test_the_index_is_asked_for_from_its_first_to_its_last_millisecond(
    clock: HandClock,
) -> None:
    exchange, transport = bybit(clock)

    await exchange.fetch_usd_index(BTC, LAST_YEAR, 3)

    (request,) = transport.sent_to("/v5/market/index-price-kline")
    assert query(request) == {
        "category": "inverse",
        "symbol": "BTCUSD",
        "interval": "1",
        "start": ms(LAST_YEAR),
        "end": str(int(ms(LAST_YEAR + 3 * MINUTE)) - 1),
        "limit": "3",
    }


async def test_the_index_comes_oldest_first_and_exact(clock: HandClock) -> None:
    rows = [(LAST_YEAR + n * MINUTE, f"67000.1{n}") for n in range(3)]
    exchange, _ = bybit(clock, told(*rows))

    found = await exchange.fetch_usd_index(BTC, LAST_YEAR, 3)

    assert found == tuple(MinuteClose(at, Decimal(close)) for at, close in rows)


async def test_minutes_that_were_not_asked_for_are_left_out(clock: HandClock) -> None:
    rows = [(LAST_YEAR + n * MINUTE, "67000") for n in (-1, 0, 1, 2)]
    exchange, _ = bybit(clock, told(*rows))

    found = await exchange.fetch_usd_index(BTC, LAST_YEAR, 2)

    assert [one.open_time for one in found] == [LAST_YEAR, LAST_YEAR + MINUTE]


async def test_the_minute_that_is_not_over_is_left_out(clock: HandClock) -> None:
    clock.advance(30)
    now = clock.now()
    full = now.replace(second=0)
    exchange, transport = bybit(clock, told((full - MINUTE, "67000"), (full, "67001"), at=now))

    found = await exchange.fetch_usd_index(BTC, full - MINUTE, 10)

    assert [one.open_time for one in found] == [full - MINUTE]
    (request,) = transport.sent
    assert int(query(request)["end"]) < int(ms(now))


async def test_a_venue_whose_clock_runs_behind_ours_says_itself_what_is_over(
    clock: HandClock,
) -> None:
    now = clock.now().replace(second=0)
    behind = now - timedelta(seconds=20)
    exchange, _ = bybit(clock, told((now - 2 * MINUTE, "1"), (now - MINUTE, "2"), at=behind))

    found = await exchange.fetch_usd_index(BTC, now - 2 * MINUTE, 2)

    assert [one.open_time for one in found] == [now - 2 * MINUTE]


async def test_the_future_is_not_asked_for(clock: HandClock) -> None:
    exchange, transport = bybit(clock)

    assert await exchange.fetch_usd_index(BTC, clock.now(), 10) == ()
    assert transport.sent == []


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_no_more_than_a_page_is_asked_for(limit: int, clock: HandClock) -> None:
    exchange, transport = bybit(clock)

    with pytest.raises(InvalidInput):
        await exchange.fetch_usd_index(BTC, LAST_YEAR, limit)

    assert transport.sent == []


@pytest.mark.parametrize("close", ["0", "-1", "", "NaN", "dear"])
async def test_a_price_that_cannot_be_spoils_the_page(close: str, clock: HandClock) -> None:
    exchange, _ = bybit(clock, told((LAST_YEAR, "67000"), (LAST_YEAR + MINUTE, close)))

    with pytest.raises(ExchangeUnavailable):
        await exchange.fetch_usd_index(BTC, LAST_YEAR, 2)


async def test_the_index_of_another_contract_is_no_answer(clock: HandClock) -> None:
    exchange, _ = bybit(clock, told((LAST_YEAR, "3000"), symbol="ETHUSD"))

    with pytest.raises(ExchangeUnavailable):
        await exchange.fetch_usd_index(BTC, LAST_YEAR, 1)


async def test_an_asset_without_an_index_is_refused(clock: HandClock) -> None:
    exchange, transport = bybit(clock)

    assert exchange.capabilities.usd_index == {"BTC", "ETH"}
    with pytest.raises(InvalidInput):
        await exchange.fetch_usd_index(Asset("DOGE"), LAST_YEAR, 1)

    assert transport.sent == []


async def test_an_exchange_without_an_index_refuses_every_asset(clock: HandClock) -> None:
    name = ExchangeId("kraken")
    session = make_session(CannedTransport(), clock, exchange=name, credentials=None)
    exchange = GenericExchange(name, None, session, generic.capabilities(name))

    assert exchange.capabilities.usd_index == set()
    with pytest.raises(InvalidInput):
        await exchange.fetch_usd_index(BTC, LAST_YEAR, 1)


@pytest.mark.parametrize(
    ("timeframe", "length"),
    [(Timeframe.M1, timedelta(minutes=1)), (Timeframe.H4, timedelta(hours=4))],
)
async def test_candles_are_asked_for_with_a_start_and_an_end(
    timeframe: Timeframe, length: timedelta, clock: HandClock
) -> None:
    exchange, transport = bybit(clock)
    since = LAST_YEAR.replace(minute=0)

    await exchange.fetch_candles(PAIR, timeframe, since, 10)

    (request,) = transport.sent_to("/v5/market/kline")
    sent = query(request)
    assert sent["start"] == ms(since)
    assert int(sent["end"]) == int(ms(since + 10 * length)) - 1
    assert "until" not in sent
