"""The ledger over HTTP: movements, transfers, the proof of balance, and residuals accepted."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from alphapulse.domain.account import Account
from alphapulse.domain.cash_flow import CashFlow, FlowCursor, FlowKind
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.ledger import entry_of_flow
from alphapulse.domain.sync import FillCursor
from alphapulse.domain.trading import AssetBook, CycleOutcome, CycleReport, ResidualCause
from tests.builders import BINANCE, make_fill
from tests.fixtures.api import RunningApi, body

RECONCILE = "/api/portfolio/reconcile"
ACCEPT = "/api/portfolio/reconcile/accept"


@dataclass
class Ledgers:
    """Two accounts of one user; in the first one there are movements, and USDT does not add up."""

    api: RunningApi
    main: Account
    other: Account

    async def get(self, path: str, status: int = 200) -> Any:
        return await body(await self.api.get(path), status)

    async def accept(self, key: str | None = None, status: int = 201, **changes: str) -> Any:
        wanted = {
            "account_id": self.main.id,
            "asset": "USDT",
            "residual": "-5",
            "reason": "an old loan",
        }
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = await self.api.post(ACCEPT, wanted | changes, headers=headers)
        return await body(answer, status)


@pytest.fixture
async def ledgers(api: RunningApi) -> Ledgers:
    now = api.clock.now()
    main = await api.add_account("main", USDT="95", BTC="1")
    other = await api.add_account("other")

    def flow(number: int, kind: FlowKind, quantity: str, **more: Any) -> CashFlow:
        at = now + timedelta(seconds=number)
        asset = Asset("USDT")
        return CashFlow(main.id, BINANCE, str(number), kind, asset, Decimal(quantity), at, **more)

    opened_at = now + timedelta(seconds=2.5)
    flows = [
        flow(1, FlowKind.DEPOSIT, "100", reference="0xabc"),
        flow(2, FlowKind.WITHDRAWAL, "-10", fee=Decimal(1)),
        flow(3, FlowKind.REWARD, "2"),
    ]
    books = [
        AssetBook(main.id, "BTC", Decimal(1), opened_at, Decimal(0), Decimal(1), now),
        AssetBook(
            main.id,
            "USDT",
            anchor=Decimal(98),
            opened_at=opened_at,
            moved=Decimal(2),
            held=Decimal(95),
            compared_at=now,
            cycles_off=2,
            off_by=Decimal(-5),
            off_since=now - timedelta(days=1),
            cause=ResidualCause.UNKNOWN_WITHDRAWAL,
        ),
    ]
    async with api.services.accounts._database.begin() as tx:
        await tx.fills.record([make_fill(1, account_id=main.id, occurred_at=now)], now)
        await tx.reconciliations.replace_books(main.id, books)
        await tx.ledger.record(list(map(entry_of_flow, flows)), now)
        await tx.fill_cursors.save(main.id, FillCursor(None, "1"), complete=True)
        await tx.flow_cursors.save(main.id, FlowCursor("all", "3"), complete=True)
        report = CycleReport(main.id, "timer", now, now, CycleOutcome.DRIFT, 0, 0, 0, 0, 1)
        await tx.reconciliations.add(report)
    return Ledgers(api, main, other)


async def test_every_movement_is_listed_with_postings_that_sum_to_zero(ledgers: Ledgers) -> None:
    page = await ledgers.get("/api/portfolio/transactions")
    assert [item["kind"] for item in page["items"]] == ["reward", "withdrawal", "deposit", "fill"]
    for item in page["items"]:
        assert (item["account_id"], item["exchange"]) == (ledgers.main.id, "binance")
        sums: dict[str, Decimal] = {}
        for one in item["postings"]:
            sums[one["asset"]] = sums.get(one["asset"], Decimal(0)) + Decimal(one["quantity"])
        assert set(sums.values()) == {Decimal(0)}
    deposit = page["items"][2]
    assert deposit["reference"] == "0xabc"
    assert deposit["postings"][0] == {"book": "venue", "asset": "USDT", "quantity": "100"}


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("kind=reward&kind=deposit", ["reward", "deposit"]),
        ("asset=BTC", ["fill"]),
        ("exchange=bybit", []),
        ("account={other}", []),
        ("from={second}", ["reward", "withdrawal"]),
        ("to={second}", ["deposit", "fill"]),
    ],
)
async def test_movements_are_filtered(ledgers: Ledgers, query: str, kinds: list[str]) -> None:
    every = (await ledgers.get("/api/portfolio/transactions"))["items"]
    # The API tells milliseconds; the middle between two movements is as good.
    at = every[1]["at"].replace("Z", "000Z")
    found = await ledgers.get(
        "/api/portfolio/transactions?" + query.format(other=ledgers.other.id, second=at)
    )
    assert [item["kind"] for item in found["items"]] == kinds


async def test_pages_neither_repeat_nor_skip(ledgers: Ledgers) -> None:
    first = await ledgers.get("/api/portfolio/transactions?limit=3")
    rest = await ledgers.get(f"/api/portfolio/transactions?cursor={first['next_cursor']}")
    assert len(first["items"]) == 3
    assert [item["kind"] for item in rest["items"]] == ["fill"]
    assert rest["next_cursor"] is None
    problem = await ledgers.get("/api/portfolio/transactions?cursor=mine", 422)
    assert problem["code"] == "validation_failed"


async def test_transfers_are_what_came_from_outside_and_went_there(ledgers: Ledgers) -> None:
    page = await ledgers.get("/api/exchange/transfers")
    assert [(one["kind"], one["quantity"], one["fee"]) for one in page["items"]] == [
        ("withdrawal", "-10", "1"),
        ("deposit", "100", None),
    ]
    page = await ledgers.get("/api/exchange/transfers?kind=deposit&asset=USDT")
    assert [one["reference"] for one in page["items"]] == ["0xabc"]
    await ledgers.get("/api/exchange/transfers?kind=reward", 422)
    await ledgers.get("/api/exchange/transfers?account=nobody", 404)


async def test_opening_and_entries_are_what_is_expected_and_the_rest_is_a_residual(
    ledgers: Ledgers,
) -> None:
    proof = await ledgers.get(RECONCILE)
    main, other = proof["accounts"]
    assert (main["complete"], other["complete"]) == (True, False)
    assert proof["meta"]["complete"] is False
    assert [one["code"] for one in proof["meta"]["warnings"]] == ["proof_incomplete"]
    assert proof["residual_count"] == 1
    usdt = next(line for line in main["assets"] if line["asset"] == "USDT")
    opening, entries, expected, total, residual = (
        Decimal(usdt[name])
        for name in ("opening", "entries", "expected", "exchange_total", "residual")
    )
    assert [expected, total, residual] == [100, 95, -5]
    assert opening + entries == expected
    assert expected + residual == total
    assert usdt["cause"] == "unknown_withdrawal"
    assert usdt["since"] is not None
    assert main["last_report"]["outcome"] == "drift"

    only = await ledgers.get(f"{RECONCILE}?residuals=true&account={ledgers.main.id}")
    assert [line["asset"] for line in only["accounts"][0]["assets"]] == ["USDT"]
    assert only["meta"]["complete"] is True


async def test_a_residual_that_is_accepted_is_an_entry_with_its_reason(ledgers: Ledgers) -> None:
    accepted = (await ledgers.accept())["transaction"]
    assert (accepted["kind"], accepted["note"]) == ("adjustment", "an old loan")
    assert accepted["postings"] == [
        {"book": "venue", "asset": "USDT", "quantity": "-5"},
        {"book": "adjustments", "asset": "USDT", "quantity": "5"},
    ]

    proof = await ledgers.get(f"{RECONCILE}?account={ledgers.main.id}&asset=USDT")
    (line,) = proof["accounts"][0]["assets"]
    assert (line["residual"], line["expected"], line["since"]) == ("0", "95", None)
    assert Decimal(line["opening"]) + Decimal(line["entries"]) == 95
    newest = (await ledgers.get("/api/portfolio/transactions?kind=adjustment"))["items"]
    assert [one["id"] for one in newest] == [accepted["id"]]
    # There is nothing left to accept.
    assert (await ledgers.accept(status=409))["code"] == "conflict"


async def test_a_residual_is_accepted_once_however_often_it_is_asked(ledgers: Ledgers) -> None:
    first = await ledgers.accept("key-1")
    assert await ledgers.accept("key-1") == first
    problem = await ledgers.accept("key-1", 422, reason="another one")
    assert problem["code"] == "idempotency_key_reused"
    page = await ledgers.get("/api/portfolio/transactions?kind=adjustment")
    assert len(page["items"]) == 1


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"residual": "-4"}, 409, "conflict"),
        ({"asset": "BTC", "residual": "0"}, 409, "conflict"),
        ({"asset": "DOGE"}, 404, "not_found"),
        ({"account_id": "nobody"}, 404, "not_found"),
        ({"reason": " "}, 422, "validation_failed"),
    ],
)
async def test_what_is_not_the_residual_is_not_booked(
    ledgers: Ledgers, changes: dict[str, str], status: int, code: str
) -> None:
    assert (await ledgers.accept(status=status, **changes))["code"] == code
    assert not (await ledgers.get("/api/portfolio/transactions?kind=adjustment"))["items"]
