"""Deposits and withdrawals of an exchange that has no adapter of its own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alphapulse.domain.cash_flow import CashFlow, FlowCursor, FlowKind
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, ExchangeId
from alphapulse.domain.money import plain
from alphapulse.errors import ExchangeUnavailable, InvalidInput
from alphapulse.exchanges.adapters.generic import exchange as generic
from alphapulse.exchanges.adapters.generic.exchange import GenericExchange
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.port import FlowPage
from tests.unit.exchanges.answers import CannedTransport, LeapingClock, list_market, make_session

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)  # where the hand clock stands

Json = dict[str, Any]


def ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def crossing(number: int, at: datetime = NOW - timedelta(hours=1), /, **more: Any) -> Json:
    """As CCXT's unified structure has it."""
    return {
        "id": f"{number}",
        "txid": f"0x{number}",
        "timestamp": ms(at),
        "type": "deposit",
        "currency": "USDT",
        "amount": "5",
        "status": "ok",
        "fee": None,
    } | more


class Listed:
    """What an exchange has, and what of it one request shows."""

    def __init__(
        self, rows: list[Json], *, most: int = 100, newest: bool = True, knows_end: bool = True
    ) -> None:
        self.rows = rows
        self.requests: list[tuple[int, int | None]] = []
        self._most = most
        self._newest = newest
        self._knows_end = knows_end

    async def read(self, code: None, since: int, limit: None, params: Json) -> list[Json]:
        until = params.get("until")
        assert until is None or until - since <= 30 * 86_400_000, "no exchange allows more"
        self.requests.append((since, until))
        last = until if until is not None and self._knows_end else ms(NOW)
        inside = sorted(
            (row for row in self.rows if since <= row["timestamp"] <= last),
            key=lambda row: row["timestamp"],
        )
        return inside[-self._most :] if self._newest else inside[: self._most]


def make_exchange(
    clock: Clock, listed: Listed, *, exchange: str = "kraken", method: str = "fetch_deposits"
) -> GenericExchange:
    session = make_session(CannedTransport(), clock, exchange=exchange, budget_clock=LeapingClock())
    for market_type in MarketType:
        list_market(session, market_type, "BTC/USDT")
        setattr(session.client(market_type), method, listed.read)
    name = ExchangeId(exchange)
    return GenericExchange(name, AccountId("me"), session, generic.capabilities(name))


async def pages_of(
    exchange: GenericExchange, since: datetime, source: str = "deposits"
) -> list[FlowPage]:
    cursor = next(c for c in exchange.first_flow_cursors(since) if c.source == source)
    pages = [await exchange.fetch_cash_flows(cursor)]
    while not pages[-1].is_last:
        pages.append(await exchange.fetch_cash_flows(pages[-1].next_cursor))
    return pages


async def read(clock: Clock, rows: list[Json]) -> list[CashFlow]:
    pages = await pages_of(make_exchange(clock, Listed(rows)), NOW - timedelta(days=2))
    return [flow for page in pages for flow in page.flows]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (crossing(1), [(FlowKind.DEPOSIT, "USDT", "5", None)]),
        (
            crossing(1, type="withdrawal", fee={"cost": "0.1", "currency": "USDT"}),
            [(FlowKind.WITHDRAWAL, "USDT", "-5", "0.1")],
        ),
        (
            crossing(1, type="withdrawal", fee={"cost": "0.1", "currency": "TRX"}),
            [(FlowKind.FEE, "TRX", "-0.1", None), (FlowKind.WITHDRAWAL, "USDT", "-5", None)],
        ),
        (crossing(1, fee={"cost": "0", "currency": None}), [(FlowKind.DEPOSIT, "USDT", "5", None)]),
        (crossing(1, status="pending"), []),
        (crossing(1, status="failed"), []),
        (crossing(1, type="something"), []),
    ],
)
async def test_row_is_told_as_what_it_is(
    row: Json, told: list[tuple[FlowKind, str, str, str | None]], clock: Clock
) -> None:
    found = await read(clock, [row])

    parts = [(f.kind, f.asset, plain(f.quantity), f.fee and plain(f.fee)) for f in found]
    assert sorted(parts) == sorted(told)
    assert {flow.reference for flow in found} <= {"0x1"}


async def test_movement_has_a_name_even_where_the_exchange_gives_none(clock: Clock) -> None:
    rows = [
        crossing(1),
        crossing(2, id=None),
        crossing(3, id=None, txid=None),
        crossing(4, id=None, txid=None, amount="6"),
    ]

    first, again = await read(clock, rows), await read(clock, rows)

    assert len({flow.id for flow in first}) == 4
    assert first == again


@pytest.mark.parametrize("missing", ["amount", "currency", "timestamp"])
async def test_row_that_lacks_what_it_must_have_is_a_broken_answer(
    missing: str, clock: Clock
) -> None:
    class Broken(Listed):
        async def read(self, code: None, since: int, limit: None, params: Json) -> list[Json]:
            return [crossing(1) | {missing: None}]

    with pytest.raises(ExchangeUnavailable):
        await pages_of(make_exchange(clock, Broken([])), NOW - timedelta(days=2))


@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("most", [10, 25])
async def test_list_that_is_cut_off_at_either_end_is_read_whole(
    most: int, newest: bool, clock: Clock
) -> None:
    rows = [crossing(n, NOW - timedelta(hours=3 * n)) for n in range(500)]
    exchange = make_exchange(clock, Listed(rows, most=most, newest=newest))

    pages = await pages_of(exchange, NOW - timedelta(days=90))

    found = {flow.id for page in pages for flow in page.flows}
    assert found == {f"deposit:{n}" for n in range(500)}


async def test_exchange_that_knows_no_end_is_not_asked_for_ever(clock: Clock) -> None:
    rows = [crossing(n, NOW - timedelta(hours=n)) for n in range(60)]
    listed = Listed(rows, newest=False, knows_end=False)

    pages = await pages_of(make_exchange(clock, listed), NOW - timedelta(days=60))

    assert len({flow.id for page in pages for flow in page.flows}) == 60
    assert len(listed.requests) < 60


async def test_what_is_done_later_is_found(clock: Clock) -> None:
    pending = crossing(1, NOW - timedelta(days=6), status="pending")
    exchange = make_exchange(clock, Listed([pending]))
    (first,) = await pages_of(exchange, NOW - timedelta(days=10))
    pending["status"] = "ok"

    again = await exchange.fetch_cash_flows(first.next_cursor)

    assert (first.flows, first.is_last, first.read_until) == ((), True, NOW)
    assert [flow.id for flow in again.flows] == ["deposit:1"]


async def test_exchange_that_tells_both_at_once_is_asked_for_both(clock: Clock) -> None:
    rows = [crossing(1), crossing(2, type="withdrawal")]
    listed, method = Listed(rows), "fetch_deposits_withdrawals"
    exchange = make_exchange(clock, listed, exchange="bitstamp", method=method)

    (page,) = await pages_of(exchange, NOW - timedelta(days=1), "crossings")

    assert [flow.kind for flow in page.flows] == [FlowKind.DEPOSIT, FlowKind.WITHDRAWAL]
    assert [c.source for c in exchange.first_flow_cursors(NOW)] == ["crossings"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("okx", {"deposits", "withdrawals"}),
        # Of these CCXT has the two and both together, one and both, and both alone.
        ("poloniex", {"deposits", "withdrawals"}),
        ("bitstamp", {"crossings"}),
        ("gemini", {"crossings"}),
        ("luno", set()),
    ],
)
def test_exchange_is_asked_for_what_ccxt_has_and_for_nothing_twice(
    name: str, told: set[str], clock: Clock
) -> None:
    exchange = make_exchange(clock, Listed([]), exchange=name)

    assert {cursor.source for cursor in exchange.first_flow_cursors(NOW)} == told
    assert not exchange.capabilities.cash_flows


@pytest.mark.parametrize("cursor", [FlowCursor("deposits", "x"), FlowCursor("ledger", "5")])
async def test_cursor_of_something_else_is_refused(cursor: FlowCursor, clock: Clock) -> None:
    with pytest.raises(InvalidInput):
        await make_exchange(clock, Listed([])).fetch_cash_flows(cursor)
