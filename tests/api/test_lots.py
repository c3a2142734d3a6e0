"""The cost basis over HTTP: lots, disposals, what is missing, repairs, and transfers."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from alphapulse.domain.account import Account
from alphapulse.domain.cash_flow import FlowKind
from alphapulse.domain.cost_basis.lots import Method
from alphapulse.domain.cost_basis.records import Place
from alphapulse.domain.events import BasisChanged, BasisQuestioned
from alphapulse.domain.identifiers import Asset, UserId
from alphapulse.domain.ledger import Entry
from alphapulse.domain.rates import Rate, RateQuality
from alphapulse.domain.rebalance.gains import HeldLots
from alphapulse.pipeline.bookkeeping.bookkeeper import Bookkeeper
from alphapulse.runtime.mailbox import Mailbox
from alphapulse.services.lots import LotsWanted
from tests.builders import make_user
from tests.fixtures.api import RunningApi, body
from tests.ledgers import bought, day, flowed, sold

MAIN, OTHER = "binance-main", "binance-other"
LOTS, DISPOSALS = "/api/portfolio/lots", "/api/portfolio/disposals"
TRANSFERS, REPAIR = "/api/portfolio/transfers", "/api/portfolio/lots/repair"


@dataclass
class Lots:
    """Two accounts of one person, whose currency is USD."""

    api: RunningApi
    main: Account
    other: Account
    questions: Mailbox
    bookkeeper: Bookkeeper = field(init=False)

    def __post_init__(self) -> None:
        database = self.api.services.accounts._database
        self.bookkeeper = Bookkeeper(database, self.api.bus, self.api.clock)

    async def get(self, path: str, status: int = 200) -> Any:
        return await body(await self.api.get(path), status)

    async def items(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get(path))["items"]
        return found

    async def post(self, path: str, said: object, status: int) -> Any:
        return await body(await self.api.post(path, said), status)

    async def record(self, *entries: Entry) -> None:
        await self.note(*entries)
        await self.count()

    async def note(self, *entries: Entry) -> None:
        """What is recorded and not counted yet."""
        async with self.api.services.accounts._database.begin() as tx:
            await tx.ledger.record(entries, self.api.clock.now())

    async def held(self, currency: str = "USD") -> HeldLots | None:
        """What the sales of a plan are told by."""
        wanted = LotsWanted([self.main, self.other], Asset(currency), Method.FIFO)
        return await self.api.services.lots.held(wanted)

    async def count(self) -> None:
        """What the processing worker does, now."""
        await self.bookkeeper.catch_up()
        await self.api.publish(BasisChanged())


@pytest.fixture
async def lots(api: RunningApi) -> Lots:
    """One BTC bought for 100 USD and one for 300, a third one that came from nowhere; one of them
    sold for 400."""
    questions = Mailbox("questions", 10)
    api.bus.subscribe(questions, BasisQuestioned)
    main = await api.add_account("main", BTC="2", USD="50")
    other = await api.add_account("other")
    await api.price("BTC/USD", "500")
    lots = Lots(api, main, other, questions)
    await lots.record(
        bought(1, "BTC/USD", "1", "100", account=MAIN),
        bought(2, "BTC/USD", "1", "300", ("3", "USD"), account=MAIN),
        flowed(3, FlowKind.DEPOSIT, "BTC", "1", account=MAIN),
        sold(4, "BTC/USD", "1", "400", account=MAIN),
    )
    return lots


async def test_each_lot_says_when_and_at_which_cost_it_was_acquired(lots: Lots) -> None:
    page = await lots.get(LOTS)
    assert (page["meta"]["currency"], page["method"]) == ("USD", "fifo")
    unknown, known = page["items"]
    assert known | {"acquired_at": None} == {
        "lot_id": f"{MAIN}|fill:BTC/USD:2|BTC",
        "account_id": MAIN,
        "exchange": "binance",
        "asset": "BTC",
        "acquired_at": None,
        "source": "trade",
        "quantity": "1",
        "left": "1",
        "cost": "303",
        "unit_cost": "303",
        "fee_share": "3",
        "basis_quality": "complete",
        "missing": None,
        "transfers": [],
    }
    assert known["acquired_at"] == "2026-01-03T00:00:00.000Z"
    assert [unknown[name] for name in ("cost", "basis_quality", "missing", "source")] == [
        None, "unknown", "origin", "arrival",
    ]  # fmt: skip


async def test_a_plan_is_told_of_lots_only_when_all_that_was_recorded_is_counted(
    lots: Lots,
) -> None:
    place = Place(lots.main.id, Asset("BTC"))
    held = await lots.held()
    assert held is not None
    assert [one.cost for one in held.lots[place]] == [303, None]
    assert await lots.held("EUR") is None

    await lots.note(bought(5, "BTC/USD", "1", "500", account=MAIN))
    assert await lots.held() is None
    await lots.count()
    held = await lots.held()
    assert held is not None
    assert [one.cost for one in held.lots[place]] == [303, None, 500]


async def test_each_disposal_says_its_lots_rates_and_gain_by_the_method(lots: Lots) -> None:
    (sale,) = await lots.items(DISPOSALS)
    assert [sale[name] for name in ("reason", "quantity", "proceeds", "gain")] == [
        "trade", "1", "400", "300",
    ]  # fmt: skip
    assert [one["lot_id"] for one in sale["lots"]] == [f"{MAIN}|fill:BTC/USD:1|BTC"]
    (sale,) = await lots.items(f"{DISPOSALS}?method=hifo")
    assert sale["gain"] == "97"
    (sale,) = await lots.items(f"{DISPOSALS}?method=lifo")
    assert (sale["gain"], sale["lots"][0]["cost"]) == (None, None)


@pytest.mark.parametrize(
    ("query", "count"),
    [("asset=BTC", 2), ("asset=ETH", 0), (f"account={OTHER}", 0), ("exchange=bybit", 0)],
)
async def test_lots_are_filtered(lots: Lots, query: str, count: int) -> None:
    assert len(await lots.items(f"{LOTS}?{query}")) == count


async def test_pages_of_lots_neither_repeat_nor_skip(lots: Lots) -> None:
    first = await lots.get(f"{LOTS}?limit=1")
    rest = await lots.get(f"{LOTS}?cursor={first['next_cursor']}")
    assert len(first["items"]) == len(rest["items"]) == 1
    assert first["items"] != rest["items"]
    await lots.get(f"{LOTS}?cursor=mine", 422)
    await lots.get(f"{LOTS}?method=dearest", 422)
    await lots.get(f"{LOTS}?account=nobody", 404)


async def test_a_position_shows_its_lots(lots: Lots) -> None:
    assert len(await lots.items(f"/api/portfolio/positions/{MAIN}.spot.BTC/lots")) == 2
    assert await lots.items(f"/api/portfolio/positions/{MAIN}.spot.USD/lots") == []
    await lots.get("/api/portfolio/positions/nothing/lots", 404)


async def test_a_position_and_the_summary_say_what_is_known_and_what_is_missing(
    lots: Lots,
) -> None:
    bitcoin, cash = await lots.items("/api/portfolio/positions")
    names = ("cost_basis", "average_entry", "basis_quality", "missing_quantity")
    assert [bitcoin[name] for name in names] == ["303", "303", "partial", "1"]
    assert [bitcoin[n] for n in ("unrealized_pnl", "realized_pnl", "fees_paid")] == [
        "197", "300", "3",
    ]  # fmt: skip
    assert [cash[name] for name in names] == ["50", "1", "complete", "0"]
    summary = await lots.get("/api/portfolio/summary")
    fields = ("cost_basis", "realized_pnl", "unrealized_pnl", "total_pnl", "fees_paid", "income")
    assert [summary[name] for name in fields] == ["353", "300", "197", "497", "3", "0"]
    assert summary["missing_basis"] == [
        {"asset": "BTC", "quantity": "1", "accounts": [MAIN], "reason": "origin"}
    ]
    other = await lots.get("/api/portfolio/summary?method=hifo&account=" + MAIN)
    assert [other["realized_pnl"], other["unrealized_pnl"]] == ["97", "400"]
    (grouped, _) = await lots.items("/api/portfolio/positions?group_by=asset")
    assert [grouped[name] for name in names] == ["303", "303", "partial", "1"]


async def test_a_position_says_since_when_it_is_held_by_the_method(lots: Lots) -> None:
    async def since(query: str = "") -> list[str | None]:
        items = await lots.items(f"/api/portfolio/positions{query}")
        return [item["opened_at"] for item in items]

    assert await since() == ["2026-01-03T00:00:00.000Z", None]  # dollars have no lots
    assert await since("?method=lifo") == ["2026-01-02T00:00:00.000Z", None]
    assert await since("?group_by=asset") == ["2026-01-03T00:00:00.000Z", None]
    await lots.api.add_account("third", BTC="1")
    assert await since("?group_by=asset") == [None, None]


async def test_without_a_count_every_profit_is_null_and_said(api: RunningApi) -> None:
    await api.add_account("main", BTC="2")
    await api.price("BTC/USD", "500")
    summary = await body(await api.get("/api/portfolio/summary"))
    assert [summary[one] for one in ("cost_basis", "unrealized_pnl", "missing_basis")] == [None] * 3
    assert "basis_not_counted" in {one["code"] for one in summary["meta"]["warnings"]}
    positions = await body(await api.get("/api/portfolio/positions"))
    (said,) = [w for w in positions["meta"]["warnings"] if w["code"] == "basis_not_counted"]
    assert all(positions["items"][0][name] is None for name in said["subject"])
    assert (await body(await api.get(LOTS), 503))["code"] == "not_ready"


async def test_income_fees_and_funding_are_summed_up(lots: Lots) -> None:
    async with lots.api.services.accounts._database.begin() as tx:
        at, live = day(5), RateQuality.LIVE
        await tx.rates.save([Rate(Asset("BNB"), Decimal(600), Asset("USD"), at, "note", live)])
    await lots.record(
        flowed(5, FlowKind.REWARD, "BNB", "0.5", account=MAIN),
        flowed(6, FlowKind.FUNDING, "USD", "-7", account=MAIN, symbol="BTC/USD:USD"),
        flowed(7, FlowKind.PROFIT, "USD", "20", account=MAIN, symbol="BTC/USD:USD"),
        flowed(8, FlowKind.FEE, "USD", "-2", account=MAIN),
    )
    summary = await lots.get("/api/portfolio/summary")
    fields = ("income", "funding_paid", "fees_paid", "realized_pnl")
    assert [summary[name] for name in fields] == ["300", "7", "5", "320"]
    # 320 realized + 197 unrealized + 300 income - 7 funding - 2 that no cost contains
    assert summary["total_pnl"] == "808"


async def test_the_profit_is_told_in_percent_of_what_was_put_in(lots: Lots) -> None:
    async def percent(account: str) -> tuple[str | None, list[tuple[str, list[str]]]]:
        summary = await lots.get(f"/api/portfolio/summary?account={account}")
        codes = {"total_pnl_pct_unknown", "nothing_put_in"}
        said = [w for w in summary["meta"]["warnings"] if w["code"] in codes]
        return summary["total_pnl_pct"], [(w["code"], w["subject"]) for w in said]

    # A bitcoin came in that nobody knows the cost of.
    assert await percent(MAIN) == (None, [("total_pnl_pct_unknown", ["missing_basis"])])
    # 100 was put in, bought for 80, sold for 120 and again bought for 110, which is worth 500.
    third = await lots.api.add_account("third", BTC="1", USD="30")
    await lots.record(
        flowed(1, FlowKind.DEPOSIT, "USD", "100", account=third.id),
        bought(2, "BTC/USD", "1", "80", account=third.id),
        sold(3, "BTC/USD", "1", "120", account=third.id),
        bought(4, "BTC/USD", "1", "110", account=third.id),
    )
    assert await percent(third.id) == ("430", [])
    assert await percent(OTHER) == (None, [("nothing_put_in", ["total_pnl_pct"])])
    await lots.api.add_account("fourth", NOPE="1")
    lacking = ["total_value", "unpriced", "missing_basis", "total_pnl"]
    assert await percent("binance-fourth") == (None, [("total_pnl_pct_unknown", lacking)])


async def test_sums_that_leave_out_what_nobody_can_value_are_named(lots: Lots) -> None:
    async def left_out() -> list[list[str]]:
        warnings = (await lots.get("/api/portfolio/summary"))["meta"]["warnings"]
        return [one["subject"] for one in warnings if one["code"] == "partly_known"]

    assert await left_out() == []
    await lots.record(bought(5, "BTC/USD", "1", "300", ("0.01", "BNB"), account=MAIN))
    assert await left_out() == [["realized_pnl", "fees_paid", "total_pnl"]]
    assert (await lots.get("/api/portfolio/summary"))["fees_paid"] == "3"
    bitcoin, _ = await lots.items("/api/portfolio/positions")
    assert bitcoin["fees_paid"] is None


async def test_an_unknown_basis_is_repaired_in_one_call(lots: Lots) -> None:
    unknown = (await lots.items(LOTS))[0]["lot_id"]
    said = {"account_id": MAIN, "lot_id": unknown, "cost": "250"}
    answer = await lots.post(REPAIR, said | {"acquired_at": "2025-05-05T00:00:00Z"}, 202)
    assert (answer["status"], answer["currency"]) == ("recounting", "USD")
    assert lots.questions.depth == 1
    await lots.count()
    summary = await lots.get("/api/portfolio/summary")
    assert [summary["missing_basis"], summary["realized_pnl"]] == [[], "150"]
    await lots.post(REPAIR, said | {"cost": "260"}, 202)  # a last word
    await lots.count()
    assert (await lots.get("/api/portfolio/summary"))["realized_pnl"] == "300"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"lot_id": f"{MAIN}|fill:BTC/USD:2|BTC"}, 404),  # its cost is known
        ({"lot_id": "nothing"}, 404),
        ({"account_id": "nobody"}, 404),
        ({"account_id": OTHER}, 404),
        ({"cost": "-1"}, 422),
        ({"cost": "NaN"}, 422),
        ({"acquired_at": "2999-01-01T00:00:00Z"}, 422),
    ],
)
async def test_a_wrong_repair_is_refused(lots: Lots, changes: dict[str, str], status: int) -> None:
    said = {"account_id": MAIN, "lot_id": f"{MAIN}|flow:deposit:3|BTC", "cost": "250"}
    await lots.post(REPAIR, said | changes, status)
    assert lots.questions.depth == 0


async def test_what_was_sold_already_can_be_repaired_too(lots: Lots) -> None:
    await lots.record(sold(9, "BTC/USD", "2", "400", account=MAIN))
    assert await lots.items(LOTS) == []
    said = {"account_id": MAIN, "lot_id": f"{MAIN}|flow:deposit:3|BTC", "cost": "250"}
    await lots.post(REPAIR, said, 202)
    await lots.count()
    assert (await lots.items(DISPOSALS))[0]["gain"] == "247"


async def test_a_transfer_is_found_undone_and_made_again(lots: Lots) -> None:
    await lots.record(
        flowed(5, FlowKind.WITHDRAWAL, "BTC", "-1", account=MAIN, reference="0xab"),
        flowed(6, FlowKind.DEPOSIT, "BTC", "0.9", account=OTHER, reference="ab"),
    )
    (found,) = await lots.items(TRANSFERS)
    assert [found[name] for name in ("evidence", "sent", "received", "network_fee")] == [
        "reference", "1", "0.9", "0.1",
    ]  # fmt: skip
    (carried,) = await lots.items(f"{LOTS}?account={OTHER}")
    assert (carried["left"], carried["cost"]) == ("0.9", "272.7")
    assert [one["reason"] for one in carried["transfers"]] == ["same reference ab"]

    undone = await lots.api.request("DELETE", f"{TRANSFERS}/{found['id']}")
    assert undone.status == 204
    await lots.count()
    assert await lots.items(TRANSFERS) == []
    assert (await lots.items(f"{LOTS}?account={OTHER}"))[0]["cost"] is None

    ids = {item["kind"]: item["id"] for item in (await lots.items("/api/portfolio/transactions"))}
    movements = await lots.items("/api/portfolio/transactions?kind=deposit&account=" + OTHER)
    ends = {"outgoing_id": ids["withdrawal"], "incoming_id": movements[0]["id"]}
    assert (await lots.post(TRANSFERS, ends, 201))["transfer"]["evidence"] == "manual"
    await lots.count()
    assert (await lots.items(f"{LOTS}?account={OTHER}"))[0]["cost"] == "272.7"


async def test_what_is_no_transfer_is_refused(lots: Lots) -> None:
    ids = {item["kind"]: item["id"] for item in (await lots.items("/api/portfolio/transactions"))}
    await lots.post(TRANSFERS, {"outgoing_id": ids["fill"], "incoming_id": ids["deposit"]}, 422)
    await lots.post(TRANSFERS, {"outgoing_id": "999", "incoming_id": ids["deposit"]}, 404)
    await lots.post(TRANSFERS, {"outgoing_id": "x", "incoming_id": ids["deposit"]}, 422)
    for name in ("999", "x"):
        assert (await lots.api.request("DELETE", f"{TRANSFERS}/{name}")).status == 404


async def test_another_person_sees_none_of_it(lots: Lots) -> None:
    api = lots.api
    owner = api.services.users.verify_token(api.token).user_id
    mine = await api.add_account("mine", owner=owner)
    users = api.services.users
    async with users._database.begin() as unit:
        user = make_user(id=UserId("u"), username="u", role="trader")
        await unit.users.add(user, "no password opens this")
    await lots.record(flowed(5, FlowKind.DEPOSIT, "BTC", "1", account=mine.id))
    from alphapulse.security.scopes import Scope

    api.token = users._issuer.issue(UserId("u"), "s", frozenset(Scope))
    assert (
        await lots.items(LOTS) == await lots.items(DISPOSALS) == await lots.items(TRANSFERS) == []
    )
    await lots.get(f"{LOTS}?account={mine.id}", 404)
    said = {"account_id": mine.id, "lot_id": f"{mine.id}|flow:deposit:5|BTC", "cost": "1"}
    await lots.post(REPAIR, said, 404)
    await lots.get(f"/api/portfolio/positions/{quote(mine.id)}.spot.BTC/lots", 404)
