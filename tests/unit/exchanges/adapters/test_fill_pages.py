"""Fills, page by page: complete or an error, and always a cursor to go on from."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, ExchangeId, Symbol
from alphapulse.errors import ExchangeUnavailable, InvalidInput
from alphapulse.exchanges.adapters.binance.desk import ROWS_PER_PAGE
from alphapulse.exchanges.adapters.binance.exchange import BinanceExchange
from alphapulse.exchanges.adapters.bybit import orders, rows
from alphapulse.exchanges.adapters.bybit.exchange import BybitExchange
from alphapulse.exchanges.adapters.generic import exchange as generic
from alphapulse.exchanges.adapters.generic.exchange import GenericExchange
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.transport import Answer, Request
from alphapulse.exchanges.port import Exchange, FillCursor, FillPage
from tests.unit.exchanges.answers import (
    CannedTransport,
    LeapingClock,
    answer,
    list_market,
    make_session,
)
from tests.unit.exchanges.markets import bybit as enveloped

ME, BTC = AccountId("me"), Symbol("BTC/USDT")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)  # where the hand clock stands


def ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


class Venue(CannedTransport):
    """Keeps fills at moments and lists them as the venue would."""

    def __init__(self, fills: list[tuple[int, datetime]]) -> None:
        super().__init__()
        self.fills = fills
        self.windows: list[tuple[int, int]] = []

    async def send(self, request: Request) -> Answer:
        self.sent.append(request)
        asked = {key: values[0] for key, values in parse_qs(urlsplit(request.url).query).items()}
        return answer(self.page(asked))

    def page(self, asked: dict[str, str]) -> Any:
        raise NotImplementedError


class BinanceVenue(Venue):
    def page(self, asked: dict[str, str]) -> Any:
        limit = int(asked["limit"])
        if "fromId" in asked:
            rows = [one for one in self.fills if one[0] >= int(asked["fromId"])]
        else:
            first = int(asked["startTime"])
            # As the real venue: a day at most, and without an end only a day.
            last = min(int(asked.get("endTime", first + 86_400_000)), first + 86_400_000)
            rows = [one for one in self.fills if first <= ms(one[1]) <= last]
        return [
            {
                "symbol": "BTCUSDT",
                "id": number,
                "orderId": 7,
                "price": "96000.10",
                "qty": "0.00100000",
                "commission": "0.00000100",
                "commissionAsset": "BNB",
                "time": ms(at),
                "isBuyer": True,
                "isMaker": False,
            }
            for number, at in rows[:limit]
        ]


class BybitVenue(Venue):
    """Newest first, with page marks, spot only."""

    def page(self, asked: dict[str, str]) -> Any:
        first, last = int(asked["startTime"]), int(asked["endTime"])
        assert last - first <= 7 * 86_400_000, "the venue refuses longer ranges"
        self.windows.append((first, last))
        inside = [one for one in self.fills if first <= ms(one[1]) <= last]
        rows = sorted(inside, reverse=True) if asked["category"] == "spot" else []
        start, size = int(asked.get("cursor", "0")), int(asked["limit"])
        more = str(start + size) if len(rows) > start + size else ""
        return enveloped(
            {
                "list": [self._row(*one) for one in rows[start : start + size]],
                "nextPageCursor": more,
            }
        )

    def _row(self, number: int, at: datetime) -> dict[str, Any]:
        return {
            "symbol": "BTCUSDT",
            "execId": f"e-{number}",
            "orderId": "7",
            "orderLinkId": "mine",
            "side": "Buy",
            "execPrice": "96000.1",
            "execQty": "0.001",
            "execFee": "0.000001",
            "feeCurrency": "BNB",
            "execType": "Trade",
            "execTime": str(ms(at)),
            "isMaker": False,
        }


def every_hours(hours: float, count: int, *, until: datetime = NOW) -> list[tuple[int, datetime]]:
    start = until - timedelta(hours=hours * count)
    return [(n + 1, start + timedelta(hours=hours * n)) for n in range(count)]


def make_exchange(venue: Venue, clock: Clock, *, use_generic: bool = False) -> Exchange:
    name = "bybit" if isinstance(venue, BybitVenue) else "binance"
    session = make_session(venue, clock, exchange=name, budget_clock=LeapingClock())
    list_market(session, MarketType.SPOT, BTC)
    list_market(session, MarketType.SWAP, "BTC/USDT:USDT")
    if use_generic:
        return GenericExchange(
            ExchangeId("binance"), ME, session, generic.capabilities(ExchangeId("binance"))
        )
    return BybitExchange(ME, session) if name == "bybit" else BinanceExchange(ME, session)


async def read_all(exchange: Exchange, since: datetime) -> tuple[list[str], list[FillPage]]:
    (cursor,) = exchange.first_fill_cursors([BTC], since)
    pages: list[FillPage] = []
    for _ in range(500):
        pages.append(await exchange.fetch_fills(cursor))
        cursor = pages[-1].next_cursor
        if pages[-1].is_last:
            break
    return [fill.trade_id for page in pages for fill in page.fills], pages


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
async def test_binance_reads_by_id_without_gap_or_repeat(count: int, clock: Clock) -> None:
    exchange = make_exchange(BinanceVenue(every_hours(0.5, count)), clock)

    ids, pages = await read_all(exchange, NOW - timedelta(days=90))

    assert ids == [str(n + 1) for n in range(count)]
    assert len(pages) == count // ROWS_PER_PAGE + 1
    assert pages[-1].next_cursor == FillCursor(BTC, str(count + 1 if count else 0))


async def test_binance_goes_on_where_it_ended(clock: Clock) -> None:
    venue = BinanceVenue(every_hours(1, 5))
    exchange = make_exchange(venue, clock)
    _, pages = await read_all(exchange, NOW - timedelta(days=90))
    venue.fills.append((6, NOW))

    page = await exchange.fetch_fills(pages[-1].next_cursor)

    assert [fill.trade_id for fill in page.fills] == ["6"]


@pytest.mark.parametrize("count", [0, 1, 100, 101, 700])
async def test_bybit_reads_every_window_to_its_end(count: int, clock: Clock) -> None:
    venue = BybitVenue(every_hours(2, count))
    exchange = make_exchange(venue, clock)

    ids, pages = await read_all(exchange, NOW - timedelta(days=60))

    # A fill on the edge of two windows is in both; its id is its key.
    assert list(dict.fromkeys(ids)) == [f"e-{n + 1}" for n in range(count)]
    assert pages[-1].is_last
    assert pages[-1].read_until == NOW
    for page in pages:
        times = [fill.occurred_at for fill in page.fills]
        assert times == sorted(times)
    starts = sorted({first for first, _ in venue.windows})
    assert starts[0] == ms(NOW - timedelta(days=60))
    assert len(pages) == 9


async def test_bybit_overlaps_what_may_turn_up_late(clock: Clock) -> None:
    exchange = make_exchange(BybitVenue([(1, NOW - timedelta(seconds=5))]), clock)
    (cursor,) = exchange.first_fill_cursors([], NOW - timedelta(days=1))

    first = await exchange.fetch_fills(cursor)
    again = await exchange.fetch_fills(first.next_cursor)

    assert first.fills == again.fills != ()


async def test_bybit_reads_a_busy_week_in_smaller_windows(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "PAGES_MAX", 3)
    busy = every_hours(0.2, 3 * orders.FILLS_PER_PAGE + 50)
    exchange = make_exchange(BybitVenue(busy), clock)

    ids, pages = await read_all(exchange, NOW - timedelta(days=7))

    assert len(set(ids)) == len(busy)
    assert len(pages) > 1


async def test_bybit_a_page_mark_that_comes_again_is_a_broken_answer(clock: Clock) -> None:
    class Looping(BybitVenue):
        def page(self, asked: dict[str, str]) -> Any:
            return enveloped(
                {"list": [self._row(1, NOW - timedelta(hours=1))], "nextPageCursor": "again"}
            )

    exchange = make_exchange(Looping([]), clock)
    with pytest.raises(ExchangeUnavailable):
        await read_all(exchange, NOW - timedelta(days=1))


async def test_bybit_tells_the_fee_in_the_coin_it_was_paid_in(clock: Clock) -> None:
    exchange = make_exchange(BybitVenue(every_hours(1, 1)), clock)
    (cursor,) = exchange.first_fill_cursors([], NOW - timedelta(days=1))

    (fill,) = (await exchange.fetch_fills(cursor)).fills

    assert (str(fill.fee), fill.fee_asset) == ("0.000001", "BNB")
    assert fill.client_order_id == "mine"


@pytest.mark.parametrize("gap_days", [0.1, 1, 9])
async def test_the_generic_adapter_crosses_gaps_longer_than_the_venues_window(
    gap_days: float, clock: Clock
) -> None:
    old = every_hours(1, 3, until=NOW - timedelta(days=gap_days + 1))
    new = [(n + 100, at) for n, at in every_hours(0.1, 150)]
    exchange = make_exchange(BinanceVenue(old + new), clock, use_generic=True)

    ids, pages = await read_all(exchange, NOW - timedelta(days=14))

    assert set(ids) == {str(n) for n, _ in old + new}
    assert pages[-1].is_last


async def test_the_generic_adapter_refuses_a_page_it_could_never_get_past(clock: Clock) -> None:
    at = NOW - timedelta(hours=1)
    crowd = [(n, at) for n in range(1, generic.FILLS_PER_PAGE + 50)]
    exchange = make_exchange(BinanceVenue(crowd), clock, use_generic=True)

    with pytest.raises(ExchangeUnavailable):
        await read_all(exchange, NOW - timedelta(days=1))


@pytest.mark.parametrize("venue", [BinanceVenue([]), BybitVenue([])])
async def test_a_cursor_of_something_else_is_refused(venue: Venue, clock: Clock) -> None:
    with pytest.raises(InvalidInput):
        await make_exchange(venue, clock).fetch_fills(FillCursor(BTC, "page=2"))


async def test_bybit_a_listing_without_end_is_a_broken_answer(clock: Clock) -> None:
    class Endless(BybitVenue):
        def page(self, asked: dict[str, str]) -> Any:
            mark = str(int(asked.get("cursor", "0")) + 1)
            return enveloped({"list": [OPEN_ORDER], "nextPageCursor": mark})

    with pytest.raises(ExchangeUnavailable):
        await make_exchange(Endless([]), clock).fetch_open_orders()


OPEN_ORDER = {
    "symbol": "BTCUSDT",
    "orderId": "7",
    "orderLinkId": "",
    "side": "Buy",
    "orderType": "Limit",
    "orderStatus": "New",
    "price": "1",
    "qty": "1",
    "cumExecQty": "0",
    "createdTime": str(ms(NOW)),
    "updatedTime": str(ms(NOW)),
}
