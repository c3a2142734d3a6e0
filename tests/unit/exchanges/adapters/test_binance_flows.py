"""Binance's cash flows: a page is complete or an error, and read again while it may change."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from alphapulse.domain.cash_flow import CashFlow, FlowCursor, FlowKind
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.ledger import Book, entry_of_flow, sums_of
from alphapulse.errors import ExchangeUnavailable, InvalidInput
from alphapulse.exchanges.adapters.binance import flows as lists
from alphapulse.exchanges.adapters.binance.exchange import BinanceExchange
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.transport import Answer, Request
from alphapulse.exchanges.port import FlowPage
from alphapulse.exchanges.venues import Limit
from tests.fixtures.clock import HandClock
from tests.unit.exchanges.answers import (
    CannedTransport,
    LeapingClock,
    answer,
    list_market,
    make_session,
)

ME = AccountId("me")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)  # where the hand clock stands
DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)

Row = dict[str, Any]


def ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


class Venue(CannedTransport):
    """Keeps rows by list, and tells those of a range as the venue would."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, list[Row]] = {}
        self.asked: list[tuple[str, int, int]] = []

    async def send(self, request: Request) -> Answer:
        url = urlsplit(request.url)
        name = url.path.rpartition("/")[2]
        if name == "apiRestrictions":
            return answer({"enableReading": True, "enableFutures": True})
        asked = {key: values[0] for key, values in parse_qs(url.query).items()}
        first, last = int(asked["startTime"]), int(asked["endTime"])
        self.asked.append((name, first, last))
        found = [row for row in self.rows.get(name, []) if first <= at_ms(row) <= last]
        return answer(self._page(name, found, asked))

    def _page(self, name: str, found: list[Row], asked: dict[str, str]) -> Any:
        newest_first = found[::-1]
        if name == "dribblet":
            shown = newest_first[:100]
            return {"total": len(shown), "userAssetDribblets": shown}
        if name == "assetDividend":
            return {"total": len(found), "rows": newest_first[: int(asked["limit"])]}
        if name == "transfer":
            of_kind = [row for row in newest_first if row["type"] == asked["type"]]
            # As seen: without rows where there are none.
            rows = {"rows": of_kind[: int(asked["size"])]} if of_kind else {}
            return {"total": len(of_kind), **rows}
        shown = found if name == "income" else newest_first
        return shown[: int(asked["limit"])]


def at_ms(row: Row) -> int:
    if "applyTime" in row:
        return ms(datetime.fromisoformat(row["applyTime"]).replace(tzinfo=UTC))
    keys = ("insertTime", "timestamp", "operateTime", "divTime", "time")
    return int(next(row[key] for key in keys if row.get(key)))


def deposit(number: int, at: datetime, **changes: Any) -> Row:
    return {
        "id": str(number),
        "amount": "1.5",
        "coin": "BTC",
        "network": "BTC",
        "status": 1,
        "txId": f"tx-{number}",
        "insertTime": ms(at),
        "completeTime": ms(at + SECOND),
        "walletType": 0,
        **changes,
    }


def withdrawal(number: int, at: datetime, **changes: Any) -> Row:
    return {
        "id": str(number),
        "amount": "20",
        "transactionFee": "0.8",
        "coin": "USDT",
        "status": 6,
        "txId": f"tx-{number}",
        "applyTime": at.strftime("%Y-%m-%d %H:%M:%S"),
        "walletType": 0,
        **changes,
    }


def transfer(number: int, at: datetime, **changes: Any) -> Row:
    return {
        "asset": "USDT",
        "amount": "25",
        "type": "MAIN_FUNDING",
        "status": "CONFIRMED",
        "tranId": number,
        "timestamp": ms(at),
        **changes,
    }


def dust(number: int, at: datetime) -> Row:
    detail = {"transId": number, "operateTime": ms(at)}
    return {
        "operateTime": ms(at),
        "transId": number,
        "userAssetDribbletDetails": [
            {
                **detail,
                "fromAsset": asset,
                "amount": "0.0009",
                "transferedAmount": "0.000441",
                "serviceChargeAmount": "0.000009",
            }
            for asset in ("USDT", "ETH")
        ],
    }


def dividend(number: int, at: datetime, **changes: Any) -> Row:
    return {
        "id": number,
        "amount": "10.5",
        "asset": "BNB",
        "divTime": ms(at),
        "enInfo": "Launchpool",
        "tranId": number,
        "direction": 1,
        **changes,
    }


def income(number: int, at: datetime, **changes: Any) -> Row:
    return {
        "symbol": "BTCUSDT",
        "incomeType": "FUNDING_FEE",
        "income": "-0.375",
        "asset": "USDT",
        "info": "FUNDING_FEE",
        "time": ms(at),
        "tranId": number,
        "tradeId": "",
        **changes,
    }


MAKERS = {
    "deposits": ("hisrec", deposit),
    "withdrawals": ("history", withdrawal),
    "transfers": ("transfer", transfer),
    "dust": ("dribblet", dust),
    "dividends": ("assetDividend", dividend),
    "income": ("income", income),
}


UNHURRIED = Limit(units=100_000, window_s=60)


@pytest.fixture(autouse=True)
def _no_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still here; what that does to a budget is one test's own matter."""
    monkeypatch.setattr(lists, "WITHDRAWALS", UNHURRIED)


@pytest.fixture
def venue() -> Venue:
    return Venue()


@pytest.fixture
def exchange(venue: Venue, clock: Clock) -> BinanceExchange:
    return make_exchange(venue, clock)


def make_exchange(venue: Venue, clock: Clock) -> BinanceExchange:
    session = make_session(venue, clock, budget_clock=LeapingClock())
    list_market(session, MarketType.SPOT, "BTC/USDT")
    list_market(session, MarketType.SWAP, "BTC/USDT:USDT")
    return BinanceExchange(ME, session)


def cursor_of(exchange: BinanceExchange, source: str, since: datetime) -> FlowCursor:
    return next(one for one in exchange.first_flow_cursors(since) if one.source == source)


async def read(exchange: BinanceExchange, cursor: FlowCursor) -> tuple[list[CashFlow], FlowCursor]:
    """To the end; each flow once."""
    found: dict[str, CashFlow] = {}
    for _ in range(200):
        page = await exchange.fetch_cash_flows(cursor)
        found |= {flow.id: flow for flow in page.flows}
        cursor = page.next_cursor
        if page.is_last:
            break
    return list(found.values()), cursor


async def page_of(exchange: BinanceExchange, source: str, since: datetime) -> FlowPage:
    return await exchange.fetch_cash_flows(cursor_of(exchange, source, since))


async def only(exchange: BinanceExchange, source: str) -> CashFlow:
    (flow,) = (await page_of(exchange, source, NOW - DAY)).flows
    return flow


def moved(flows: list[CashFlow]) -> dict[str, Decimal]:
    sums = sums_of(entry_of_flow(flow) for flow in flows)
    return {asset: total for (book, asset), total in sums.items() if book is Book.VENUE}


@pytest.mark.parametrize("source", MAKERS)
async def test_every_row_of_two_years_is_read_once_in_allowed_ranges(
    source: str, venue: Venue, exchange: BinanceExchange
) -> None:
    name, make = MAKERS[source]
    kept = lists.LISTS[source].kept or 720 * DAY
    since = NOW - kept
    count = 700
    step = (NOW - since - HOUR) / count
    venue.rows[name] = [make(n + 1, since + HOUR + n * step) for n in range(count)]

    found, _ = await read(exchange, cursor_of(exchange, source, since))

    per_row = 4 if source == "dust" else 1
    assert len(found) == count * per_row
    longest = max(last - first for _, first, last in venue.asked)
    assert longest < lists.LISTS[source].window / timedelta(milliseconds=1) + 1


@pytest.mark.parametrize("source", MAKERS)
async def test_crowd_in_one_moment_is_an_error_and_never_a_part(
    source: str, venue: Venue, exchange: BinanceExchange
) -> None:
    name, make = MAKERS[source]
    venue.rows[name] = [make(n + 1, NOW - HOUR) for n in range(1001)]

    with pytest.raises(ExchangeUnavailable):
        await read(exchange, cursor_of(exchange, source, NOW - DAY))


async def test_busy_hour_of_income_is_read_across_pages(
    venue: Venue, exchange: BinanceExchange
) -> None:
    venue.rows["income"] = [
        income(n, NOW - HOUR + (n // 3) * timedelta(milliseconds=7)) for n in range(2_600)
    ]

    found, _ = await read(exchange, cursor_of(exchange, "income", NOW - DAY))

    assert len(found) == 2_600
    assert len(venue.asked) == 3


@pytest.mark.parametrize("source", MAKERS)
async def test_reading_begins_anew_a_little_earlier_for_what_turns_up_late(
    source: str, venue: Venue, exchange: BinanceExchange
) -> None:
    name, make = MAKERS[source]
    _, cursor = await read(exchange, cursor_of(exchange, source, NOW - 9 * DAY))
    venue.rows[name] = [make(1, NOW - timedelta(minutes=50))]

    found, again = await read(exchange, cursor)

    assert found
    assert again == cursor


async def test_history_before_the_first_moment_is_never_read(
    venue: Venue, exchange: BinanceExchange
) -> None:
    _, cursor = await read(exchange, cursor_of(exchange, "deposits", NOW - HOUR))

    assert cursor.position == str(ms(NOW - HOUR))


async def test_deposit_under_way_holds_the_cursor_until_it_is_credited(
    venue: Venue, exchange: BinanceExchange, clock: HandClock
) -> None:
    at = NOW - 120 * DAY
    row = deposit(1, at, status=0, completeTime=0)
    venue.rows["hisrec"] = [row, deposit(2, NOW - 100 * DAY), deposit(3, NOW - 2 * DAY)]
    found, cursor = await read(exchange, cursor_of(exchange, "deposits", NOW - 200 * DAY))
    assert [flow.id for flow in found] == ["deposit:2", "deposit:3"]
    assert cursor.position == str(ms(at))

    clock.advance(40 * DAY.total_seconds())
    row |= {"status": 6, "completeTime": ms(NOW)}
    found, cursor = await read(exchange, cursor)
    assert {flow.id: flow.occurred_at for flow in found}["deposit:1"] == NOW
    assert cursor.position == str(ms(at)), "it may still change"

    row["status"] = 1
    _, cursor = await read(exchange, cursor)
    assert cursor.position == str(ms(NOW + 39 * DAY))


@pytest.mark.parametrize(
    ("status", "total", "is_open"),
    [(0, "-20.8", True), (2, "-20.8", True), (4, "-20.8", True), (6, "-20.8", False)]
    + [(status, "0", False) for status in (1, 3, 5)],
)
async def test_withdrawal_is_gone_from_its_request_on_and_comes_back_whole(
    status: int, total: str, is_open: bool, venue: Venue, exchange: BinanceExchange
) -> None:
    at = NOW - 5 * DAY
    venue.rows["history"] = [withdrawal(1, at, status=status)]

    found, cursor = await read(exchange, cursor_of(exchange, "withdrawals", NOW - 9 * DAY))

    assert moved(found) == {"USDT": Decimal(total)}
    assert (found[0].id, found[0].quantity, found[0].fee) == (
        "withdrawal:1",
        Decimal(-20),
        Decimal("0.8"),
    )
    assert (cursor.position == str(ms(at))) is is_open


async def test_page_of_withdrawals_says_how_long_the_next_one_must_wait(
    venue: Venue, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    exchange = make_exchange(venue, clock)
    cursor = cursor_of(exchange, "withdrawals", NOW - 2_000 * DAY)
    waits = []
    for _ in range(20):
        page = await exchange.fetch_cash_flows(cursor)
        waits.append(page.wait_s)
        clock.advance(page.wait_s)
        cursor = page.next_cursor

    assert waits[:3] == [0, 0, 0]
    # The account's whole budget is ten in a minute.
    assert all(sum(waits[first : first + 10]) >= 60 for first in range(10))


async def test_what_comes_to_the_funding_wallet_is_none_of_ours(
    venue: Venue, exchange: BinanceExchange
) -> None:
    venue.rows["hisrec"] = [deposit(1, NOW - HOUR, walletType=1)]
    venue.rows["history"] = [withdrawal(1, NOW - HOUR, walletType=1)]

    assert (await page_of(exchange, "deposits", NOW - DAY)).flows == ()
    assert (await page_of(exchange, "withdrawals", NOW - DAY)).flows == ()


async def test_payment_within_the_venue_is_named_alike_at_both_ends(
    venue: Venue, exchange: BinanceExchange
) -> None:
    venue.rows["hisrec"] = [deposit(1, NOW - HOUR, txId="Internal transfer 51376627901")]
    venue.rows["history"] = [withdrawal(1, NOW - HOUR, txId="51376627901")]

    assert (await only(exchange, "deposits")).reference == "51376627901"
    assert (await only(exchange, "withdrawals")).reference == "51376627901"


async def test_transfer_counts_on_spots_side_and_only_when_it_is_confirmed(
    venue: Venue, exchange: BinanceExchange
) -> None:
    venue.rows["transfer"] = [
        transfer(1, NOW - 4 * HOUR),
        transfer(2, NOW - 3 * HOUR, type="FUNDING_MAIN", amount="7"),
        transfer(3, NOW - 2 * HOUR, type="MAIN_MARGIN", status="FAILED"),
    ]
    page = await page_of(exchange, "transfers", NOW - 9 * DAY)
    assert [(flow.quantity, flow.reference, flow.note) for flow in page.flows] == [
        (Decimal(-25), "1", "MAIN_FUNDING"),
        (Decimal(7), "2", "FUNDING_MAIN"),
    ]

    at = NOW - 5 * DAY
    venue.rows["transfer"].append(transfer(4, at, status="PENDING"))
    page = await page_of(exchange, "transfers", NOW - 9 * DAY)
    assert "transfer:4" not in {flow.id for flow in page.flows}
    assert page.next_cursor.position == str(ms(at))


async def test_transfer_that_the_futures_have_forgotten_is_not_told_by_half(
    venue: Venue, exchange: BinanceExchange
) -> None:
    venue.rows["transfer"] = [
        transfer(1, NOW - 120 * DAY, type="MAIN_UMFUTURE"),
        transfer(2, NOW - 119 * DAY, type="FUNDING_MAIN", amount="7"),
        transfer(3, NOW - 80 * DAY, type="MAIN_UMFUTURE"),
    ]
    page = await page_of(exchange, "transfers", NOW - 150 * DAY)
    assert [flow.id for flow in page.flows] == ["transfer:2", "transfer:3"]


async def test_dust_is_converted_for_what_came_and_the_charge(
    venue: Venue, exchange: BinanceExchange
) -> None:
    venue.rows["dribblet"] = [dust(7, NOW - HOUR)]

    flows = list((await page_of(exchange, "dust", NOW - DAY)).flows)

    assert moved(flows) == {
        "USDT": Decimal("-0.0009"),
        "ETH": Decimal("-0.0009"),
        "BNB": Decimal("0.000882"),
    }
    assert {flow.reference for flow in flows} == {"7"}
    assert sum(flow.fee or 0 for flow in flows) == Decimal("0.000018")


@pytest.mark.parametrize(
    ("changes", "kind", "quantity"),
    [
        ({}, FlowKind.REWARD, "10.5"),
        ({"enInfo": "Flexible Savings Interest"}, FlowKind.INTEREST, "10.5"),
        ({"direction": -1}, FlowKind.REWARD, "-10.5"),
    ],
)
async def test_dividend_is_a_reward_or_interest_in_its_direction(
    changes: Row, kind: FlowKind, quantity: str, venue: Venue, exchange: BinanceExchange
) -> None:
    venue.rows["assetDividend"] = [dividend(1, NOW - HOUR, **changes)]

    flow = await only(exchange, "dividends")

    assert (flow.kind, flow.quantity) == (kind, Decimal(quantity))


@pytest.mark.parametrize(
    ("changes", "kind", "symbol", "note"),
    [
        ({}, FlowKind.FUNDING, "BTC/USDT:USDT", "FUNDING_FEE"),
        ({"incomeType": "REALIZED_PNL"}, FlowKind.PROFIT, "BTC/USDT:USDT", "REALIZED_PNL"),
        ({"incomeType": "INSURANCE_CLEAR"}, FlowKind.FEE, "BTC/USDT:USDT", "INSURANCE_CLEAR"),
        ({"incomeType": "TRANSFER", "symbol": ""}, FlowKind.TRANSFER, None, "TRANSFER"),
        ({"incomeType": "MOON_TAX", "symbol": ""}, FlowKind.OTHER, None, "MOON_TAX"),
        ({"symbol": "GONEUSDT"}, FlowKind.FUNDING, None, "FUNDING_FEE GONEUSDT"),
    ],
)
async def test_income_is_told_by_its_type_and_never_lost(
    changes: Row,
    kind: FlowKind,
    symbol: str | None,
    note: str,
    venue: Venue,
    exchange: BinanceExchange,
) -> None:
    venue.rows["income"] = [income(1, NOW - HOUR, **changes)]

    flow = await only(exchange, "income")

    assert (flow.kind, flow.symbol, flow.note) == (kind, symbol, note)
    assert flow.quantity == Decimal("-0.375")


async def test_commission_is_left_to_the_fills(venue: Venue, exchange: BinanceExchange) -> None:
    venue.rows["income"] = [
        income(1, NOW - HOUR, incomeType="COMMISSION", tradeId="7"),
        income(2, NOW - HOUR, incomeType="REALIZED_PNL", income="0"),
    ]

    assert (await page_of(exchange, "income", NOW - DAY)).flows == ()


async def test_numbers_are_read_digit_for_digit(venue: Venue, exchange: BinanceExchange) -> None:
    amount = "123456789012.123456789012345678"
    venue.rows["hisrec"] = [deposit(1, NOW - HOUR, amount=amount)]

    assert (await only(exchange, "deposits")).quantity == Decimal(amount)


@pytest.mark.parametrize(
    ("source", "broken"),
    [
        ("deposits", {"amount": "much"}),
        ("deposits", {"insertTime": None}),
        ("withdrawals", {"transactionFee": None}),
        ("transfers", {"tranId": None}),
        ("dividends", {"asset": ""}),
        ("income", {"tranId": None}),
    ],
)
async def test_page_with_one_broken_row_is_refused(
    source: str, broken: Row, venue: Venue, exchange: BinanceExchange
) -> None:
    name, make = MAKERS[source]
    good = make(1, NOW - HOUR)
    venue.rows[name] = [good]
    await page_of(exchange, source, NOW - DAY)
    # The venue picks it by a time, whatever else it tells.
    venue.rows[name].append({**make(2, NOW - HOUR), "time": ms(NOW - HOUR), **broken})

    with pytest.raises(ExchangeUnavailable):
        await page_of(exchange, source, NOW - DAY)


async def test_one_id_for_two_things_is_a_broken_answer(
    venue: Venue, exchange: BinanceExchange
) -> None:
    venue.rows["hisrec"] = [deposit(1, NOW - HOUR), deposit(1, NOW - HOUR, amount="2")]

    with pytest.raises(ExchangeUnavailable):
        await page_of(exchange, "deposits", NOW - DAY)


@pytest.mark.parametrize(("source", "position"), [("deposits", "page=2"), ("gifts", "1")])
async def test_cursor_of_something_else_is_refused(
    source: str, position: str, exchange: BinanceExchange
) -> None:
    with pytest.raises(InvalidInput):
        await exchange.fetch_cash_flows(FlowCursor(source, position))


async def test_income_waits_for_a_key_that_may_look_at_futures(venue: Venue, clock: Clock) -> None:
    class NoFutures(Venue):
        async def send(self, request: Request) -> Answer:
            assert request.url.partition("?")[0].endswith("apiRestrictions")
            return answer({"enableReading": True, "enableFutures": False})

    session = make_session(NoFutures(), clock, budget_clock=LeapingClock())
    list_market(session, MarketType.SPOT, "BTC/USDT")
    exchange = BinanceExchange(ME, session)
    cursor = cursor_of(exchange, "income", NOW - DAY)

    page = await exchange.fetch_cash_flows(cursor)

    assert page == FlowPage((), cursor, is_last=True)
