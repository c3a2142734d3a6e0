"""Bybit's cash flows from rows as the venue tells them: kinds, parts, evidence, windows."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from alphapulse.domain.cash_flow import CashFlow, FlowCursor, FlowKind
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.money import plain
from alphapulse.errors import ExchangeUnavailable, InvalidInput, PermissionMissing
from alphapulse.exchanges.adapters.bybit import cash_flows, rows
from alphapulse.exchanges.adapters.bybit.exchange import BybitExchange
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.transport import Answer, Request
from alphapulse.exchanges.port import FlowPage
from tests.unit.exchanges.answers import (
    CannedTransport,
    LeapingClock,
    answer,
    list_market,
    make_session,
)
from tests.unit.exchanges.markets import bybit as enveloped

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)  # where the hand clock stands
AN_HOUR_AGO = NOW - timedelta(hours=1)

Json = dict[str, Any]


def ms(at: datetime) -> str:
    return str(round(at.timestamp() * 1000))


def log(number: int, kind: str, change: str, at: datetime = AN_HOUR_AGO, /, **more: str) -> Json:
    return {
        "id": f"id-{number}",
        "type": kind,
        "transSubType": "",
        "transactionTime": ms(at),
        "currency": "USDT",
        "change": change,
        "cashFlow": change,
        "fee": "0",
        "funding": "",
        "symbol": "",
        "category": "",
        "tradeId": "",
    } | more


def deposit(amount: str, at: datetime = AN_HOUR_AGO, **more: object) -> Json:
    return {
        "coin": "USDT",
        "amount": amount,
        "status": 3,
        "txID": "0xd",
        "depositFee": "",
        "successAt": ms(at),
    } | more


def withdrawal(amount: str, fee: str, at: datetime = AN_HOUR_AGO, **more: object) -> Json:
    return {
        "coin": "USDT",
        "amount": amount,
        "withdrawFee": fee,
        "status": "success",
        "txID": "0xw",
        "createTime": ms(at),
        "updateTime": ms(at),
    } | more


class Venue(CannedTransport):
    """Tells rows as the venue would: newest first, in windows, page by page."""

    def __init__(
        self,
        logged: Iterable[Json] = (),
        deposits: Iterable[Json] = (),
        withdrawals: Iterable[Json] = (),
    ) -> None:
        super().__init__()
        self.lists = {
            "transaction-log": (list(logged), "transactionTime", "list", 7),
            "deposit/query-record": (list(deposits), "successAt", "rows", 30),
            "withdraw/query-record": (list(withdrawals), "createTime", "rows", 30),
        }
        self.refused = ""
        """What of these the key may not see."""

    async def send(self, request: Request) -> Answer:
        self.sent.append(request)
        url = urlsplit(request.url)
        asked = {key: values[0] for key, values in parse_qs(url.query).items()}
        if self.refused and self.refused in url.path:
            return answer({"retCode": 10005, "retMsg": "Permission denied", "result": {}})
        ending = next(one for one in self.lists if url.path.endswith(one))
        return answer(enveloped(self.page(asked, *self.lists[ending])))

    def page(
        self, asked: dict[str, str], every: list[Json], time: str, name: str, days: int
    ) -> Json:
        first, last = int(asked["startTime"]), int(asked["endTime"])
        assert last - first <= days * 86_400_000, "the venue refuses longer ranges"
        inside = [
            row
            for row in every
            if first <= int(row[time]) <= last and asked.get("type") in {None, row.get("type")}
        ]
        inside.sort(key=lambda row: int(row[time]), reverse=True)
        start, size = int(asked.get("cursor", "0")), int(asked["limit"])
        assert size <= 50, "the venue tells no more"
        more = str(start + size) if len(inside) > start + size else ""
        return {name: inside[start : start + size], "nextPageCursor": more}


def make_exchange(venue: Venue, clock: Clock) -> BybitExchange:
    session = make_session(venue, clock, exchange="bybit", budget_clock=LeapingClock())
    list_market(session, MarketType.SPOT, "BTC/USDT")
    list_market(session, MarketType.SWAP, "BTC/USDT:USDT")
    return BybitExchange(AccountId("me"), session)


async def pages_of(
    exchange: BybitExchange, source: str, since: datetime = NOW - timedelta(days=2)
) -> list[FlowPage]:
    cursor = next(c for c in exchange.first_flow_cursors(since) if c.source == source)
    pages = [await exchange.fetch_cash_flows(cursor)]
    while not pages[-1].is_last:
        pages.append(await exchange.fetch_cash_flows(pages[-1].next_cursor))
    return pages


async def read(venue: Venue, clock: Clock, source: str = cash_flows.LOG) -> list[CashFlow]:
    pages = await pages_of(make_exchange(venue, clock), source)
    return [flow for page in pages for flow in page.flows]


LINEAR = {"symbol": "BTCUSDT", "category": "linear", "tradeId": "t-1"}
SPOT = {**LINEAR, "category": "spot"}

Told = list[tuple[FlowKind, str, str | None]]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (log(1, "TRADE", "-0.5", fee="0.5", **SPOT), []),
        # The fee is told with the fill.
        (log(1, "TRADE", "9.5", fee="0.5", **LINEAR), [(FlowKind.PROFIT, "10", None)]),
        (log(1, "TRADE", "-0.5", fee="0.5", **LINEAR), []),
        (log(1, "ADL", "9.5", fee="0.5", **LINEAR), [(FlowKind.PROFIT, "10", None)]),
        (log(1, "LIQUIDATION", "-3", fee="3", **LINEAR), []),
        (log(1, "LIQUIDATION", "-3", fee="3", category="linear"), [(FlowKind.FEE, "-3", None)]),
        # Positions that were moved are no executions we read.
        (
            log(1, "TRADE", "9.5", fee="0.5", **LINEAR, transSubType="movePosition"),
            [(FlowKind.PROFIT, "10", "0.5")],
        ),
        (
            log(1, "TRADE", "9.5", fee="0.5", tradeId="t-1", category="inverse", symbol="BTCUSD"),
            [(FlowKind.PROFIT, "10", "0.5")],
        ),
        (
            log(1, "TRADE", "-10.5", fee="0.5", tradeId="t-1", category="option", symbol="B-C"),
            [(FlowKind.OTHER, "-10", "0.5")],
        ),
        (
            log(1, "SETTLEMENT", "-0.003676", funding="-0.003676", cashFlow="0", **LINEAR),
            [(FlowKind.FUNDING, "-0.003676", None)],
        ),
        # Contracts in USDC settle their profit with the funding, in one row.
        (
            log(1, "SETTLEMENT", "4.5", funding="-0.5", cashFlow="5", **LINEAR),
            [(FlowKind.FUNDING, "-0.5", None), (FlowKind.PROFIT, "5", None)],
        ),
        (
            log(1, "DELIVERY", "6.9", fee="0.1", category="linear"),
            [(FlowKind.PROFIT, "7", "0.1")],
        ),
        (log(1, "AIRDROP", "1.000000000001"), [(FlowKind.REWARD, "1.000000000001", None)]),
        (log(1, "BONUS_RECOLLECT", "-1"), [(FlowKind.REWARD, "-1", None)]),
        (log(1, "FEE_REFUND", "0.2"), [(FlowKind.FEE, "0.2", None)]),
        (log(1, "INTEREST", "-0.1"), [(FlowKind.INTEREST, "-0.1", None)]),
        (log(1, "CURRENCY_SELL", "-8"), [(FlowKind.CONVERSION, "-8", None)]),
        (log(1, "FLEXIBLE_STAKING_SUBSCRIPTION", "-8"), [(FlowKind.TRANSFER, "-8", None)]),
        (log(1, "SOMETHING_NEW", "3"), [(FlowKind.OTHER, "3", None)]),
        (log(1, "SOMETHING_NEW", "0", symbol="BTCUSDT"), []),
    ],
)
async def test_row_is_told_as_what_it_is(row: Json, told: Told, clock: Clock) -> None:
    found = await read(Venue([row]), clock)

    parts = [(f.kind, plain(f.quantity), None if f.fee is None else plain(f.fee)) for f in found]
    assert sorted(parts) == sorted(told)
    assert {flow.note.split()[0] for flow in found if flow.note} <= {row["type"]}


async def test_what_a_contract_paid_names_it(clock: Clock) -> None:
    settled = log(1, "SETTLEMENT", "-0.5", funding="-0.5", **LINEAR)
    unlisted = log(2, "TRADE", "3", **{**LINEAR, "symbol": "GONEUSDT"})

    venue = Venue([settled, unlisted])
    paid, gone = sorted(await read(venue, clock), key=lambda flow: flow.kind)

    assert (paid.symbol, paid.reference, paid.note) == ("BTC/USDT:USDT", "t-1", "SETTLEMENT")
    assert (gone.symbol, gone.note) == (None, "TRADE GONEUSDT")


async def test_halves_of_a_conversion_belong_together(clock: Clock) -> None:
    sold, bought = log(1, "CURRENCY_SELL", "-8"), log(2, "CURRENCY_BUY", "0.01", currency="MNT")

    found = await read(Venue([sold, bought]), clock)

    assert {(flow.asset, str(flow.quantity)) for flow in found} == {("USDT", "-8"), ("MNT", "0.01")}
    assert len({flow.reference for flow in found}) == 1
    assert found[0].reference is not None


async def test_transfers_are_told_once_though_two_cursors_read_the_log(clock: Clock) -> None:
    venue = Venue([log(1, "TRANSFER_IN", "5"), log(2, "BONUS", "1")])

    assert [flow.kind for flow in await read(venue, clock, cash_flows.LOG)] == [FlowKind.REWARD]
    (moved,) = await read(venue, clock, cash_flows.TRANSFERS)
    assert (moved.kind, str(moved.quantity), moved.note) == (FlowKind.TRANSFER, "5", "TRANSFER_IN")


async def test_records_say_what_a_transfer_was(clock: Clock) -> None:
    venue = Venue(
        [log(1, "TRANSFER_IN", "5"), log(2, "TRANSFER_OUT", "-7.5"), log(3, "TRANSFER_IN", "4.9")],
        [deposit("5"), deposit("5.0", txID="0xe", depositFee="0.1")],
        [withdrawal("7", "0.5")],
    )

    found = {flow.reference: flow for flow in await read(venue, clock, cash_flows.TRANSFERS)}

    told = {
        name: (flow.kind, str(flow.quantity), flow.fee and str(flow.fee))
        for name, flow in found.items()
    }
    assert told == {
        "0xd": (FlowKind.DEPOSIT, "5", None),
        "0xw": (FlowKind.WITHDRAWAL, "-7", "0.5"),
        "0xe": (FlowKind.DEPOSIT, "5.0", "0.1"),
    }


@pytest.mark.parametrize(
    "record",
    [
        deposit("5.000000000001"),
        deposit("5", coin="USDC"),
        deposit("5", status=2),
        deposit("5", AN_HOUR_AGO - timedelta(hours=1, seconds=1)),
    ],
    ids=["amount", "coin", "not there yet", "another time"],
)
async def test_other_records_say_nothing_of_a_transfer(record: Json, clock: Clock) -> None:
    venue = Venue([log(1, "TRANSFER_IN", "5")], [record])

    (flow,) = await read(venue, clock, cash_flows.TRANSFERS)

    assert (flow.kind, flow.reference) == (FlowKind.TRANSFER, None)


async def test_equal_amounts_go_to_the_nearest_and_no_record_explains_two(clock: Clock) -> None:
    times = [AN_HOUR_AGO + timedelta(minutes=n) for n in (0, 20, 40)]
    logged = [log(n, "TRANSFER_IN", "5", at) for n, at in enumerate(times)]
    records = [deposit("5", at, txID=f"0x{n}") for n, at in enumerate(times) if n != 1]

    found = await read(Venue(logged, records), clock, cash_flows.TRANSFERS)

    assert [flow.reference for flow in found] == ["0x0", None, "0x2"]


async def test_row_that_comes_twice_is_one_transfer(clock: Clock) -> None:
    row = log(1, "TRANSFER_IN", "5")

    found = await read(Venue([row, dict(row)], [deposit("5")]), clock, cash_flows.TRANSFERS)

    assert [flow.kind for flow in found] == [FlowKind.DEPOSIT]


async def test_failed_withdrawal_is_undone_by_what_comes_back(clock: Clock) -> None:
    out, back = AN_HOUR_AGO - timedelta(hours=20), AN_HOUR_AGO
    venue = Venue(
        [log(1, "TRANSFER_OUT", "-7.5", out), log(2, "TRANSFER_IN", "7.5", back)],
        withdrawals=[withdrawal("7", "0.5", out, status="Fail", updateTime=ms(back), txID="")],
    )

    found = await read(venue, clock, cash_flows.TRANSFERS)

    assert [flow.kind for flow in found] == [FlowKind.WITHDRAWAL] * 2
    assert sum(flow.quantity for flow in found) == 0
    assert sum(flow.fee or 0 for flow in found) == 0


async def test_chains_name_is_told_when_it_is_known(clock: Clock) -> None:
    row = log(1, "TRANSFER_OUT", "-7.5")
    venue = Venue([row], withdrawals=[withdrawal("7", "0.5", status="Pending", txID="")])
    exchange = make_exchange(venue, clock)

    (first,) = await pages_of(exchange, cash_flows.TRANSFERS)
    venue.lists["withdraw/query-record"][0][0].update(status="success", txID="0xlate")
    again = await exchange.fetch_cash_flows(first.next_cursor)

    assert [(f.kind, f.reference) for f in first.flows] == [(FlowKind.WITHDRAWAL, None)]
    assert [(f.id, f.reference) for f in again.flows] == [(first.flows[0].id, "0xlate")]


async def test_transfer_waits_a_little_for_its_record(clock: Clock) -> None:
    venue = Venue([log(1, "TRANSFER_IN", "5", NOW - timedelta(seconds=1))])
    exchange = make_exchange(venue, clock)

    (first,) = await pages_of(exchange, cash_flows.TRANSFERS)
    venue.lists["deposit/query-record"][0].append(deposit("5", NOW - timedelta(seconds=2)))
    again = await exchange.fetch_cash_flows(first.next_cursor)

    assert first.flows == ()
    assert [flow.kind for flow in again.flows] == [FlowKind.DEPOSIT]


@pytest.mark.parametrize("refused", ["deposit", "withdraw"])
async def test_key_that_sees_no_records_still_tells_every_transfer(
    refused: str, clock: Clock
) -> None:
    logged = [log(1, "TRANSFER_IN", "5"), log(2, "TRANSFER_OUT", "-7.5")]
    venue = Venue(logged, [deposit("5")], [withdrawal("7", "0.5")])
    venue.refused = refused

    found = await read(venue, clock, cash_flows.TRANSFERS)

    assert sum(flow.quantity - (flow.fee or 0) for flow in found) == Decimal("-2.5")
    assert [flow.kind for flow in found].count(FlowKind.TRANSFER) == 1


async def test_key_that_may_not_see_the_log_is_an_error(clock: Clock) -> None:
    venue = Venue()
    venue.refused = "transaction-log"

    with pytest.raises(PermissionMissing):
        await read(venue, clock)


@pytest.mark.parametrize("count", [0, 1, 50, 51, 400])
async def test_log_is_read_in_windows_to_their_end(count: int, clock: Clock) -> None:
    start = NOW - timedelta(days=30)
    logged = [log(n, "BONUS", "1", start + timedelta(hours=n)) for n in range(count)]
    exchange = make_exchange(Venue(logged), clock)

    pages = await pages_of(exchange, cash_flows.LOG, NOW - timedelta(days=60))

    found = [flow.id for page in pages for flow in page.flows]
    assert list(dict.fromkeys(found)) == [f"BONUS:id-{n}:USDT:" for n in range(count)]
    assert (len(pages), pages[-1].read_until) == (9, NOW)
    assert pages[0].next_cursor.position == ms(NOW - timedelta(days=53))


async def test_busy_week_is_read_in_smaller_windows(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "PAGES_MAX", 3)
    times = [NOW - timedelta(minutes=10 * n) for n in range(400)]
    venue = Venue([log(n, "BONUS", "1", at) for n, at in enumerate(times)])

    pages = await pages_of(make_exchange(venue, clock), cash_flows.LOG, NOW - timedelta(days=7))

    assert len({flow.id for page in pages for flow in page.flows}) == 400
    assert len(pages) > 1


async def test_what_turns_up_late_is_found(clock: Clock) -> None:
    venue = Venue()
    exchange = make_exchange(venue, clock)
    (first,) = await pages_of(exchange, cash_flows.LOG)
    venue.lists["transaction-log"][0].append(log(1, "BONUS", "1", NOW - timedelta(minutes=5)))

    again = await exchange.fetch_cash_flows(first.next_cursor)

    assert len(again.flows) == 1


async def test_one_id_for_two_movements_is_a_broken_answer(clock: Clock) -> None:
    with pytest.raises(ExchangeUnavailable):
        await read(Venue([log(1, "BONUS", "1"), log(1, "BONUS", "2")]), clock)


@pytest.mark.parametrize("missing", ["change", "id", "type", "currency", "transactionTime"])
async def test_row_that_lacks_what_it_must_have_is_a_broken_answer(
    missing: str, clock: Clock
) -> None:
    row = log(1, "BONUS", "1")
    venue = Venue([row])
    venue.page = lambda *_: {"list": [{**row, missing: ""}], "nextPageCursor": ""}  # type: ignore[method-assign]

    with pytest.raises(ExchangeUnavailable):
        await read(venue, clock)


async def test_history_begins_where_the_venue_keeps_it(clock: Clock) -> None:
    exchange = make_exchange(Venue(), clock)

    cursors = exchange.first_flow_cursors(NOW - timedelta(days=3000))

    assert {cursor.source for cursor in cursors} == {cash_flows.LOG, cash_flows.TRANSFERS}
    assert {cursor.position for cursor in cursors} == {ms(NOW - timedelta(days=729))}


@pytest.mark.parametrize("cursor", [FlowCursor("log", "page 2"), FlowCursor("income", "5")])
async def test_cursor_of_something_else_is_refused(cursor: FlowCursor, clock: Clock) -> None:
    with pytest.raises(InvalidInput):
        await make_exchange(Venue(), clock).fetch_cash_flows(cursor)
