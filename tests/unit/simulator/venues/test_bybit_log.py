"""Bybit's transaction log and asset records: every movement, its balance, and the pages."""

from decimal import Decimal
from typing import Any

import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.core.candles import DAY_MS, MINUTE_MS
from alphapulse.simulator.core.events import Cause
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.order import OrderKind, OrderRequest
from alphapulse.simulator.core.treasury import Route
from tests.fixtures.clock import HandClock
from tests.unit.simulator.test_bybit import Bench

Json = Any

LOG = "/v5/account/transaction-log"
DEPOSITS, WITHDRAWALS = "/v5/asset/deposit/query-record", "/v5/asset/withdraw/query-record"
TRANSFERS = "/v5/asset/transfer/query-inter-transfer-list"


@pytest.fixture
def bench(clock: HandClock) -> Bench:
    return Bench(clock)


def later(bench: Bench, ms: int = MINUTE_MS) -> None:
    bench.market_clock.move_to(bench.market_clock.now_ms() + ms)


def rows_of(bench: Bench, path: str = LOG, /, **asked: object) -> list[Json]:
    result = bench.get(path, **{"limit": 50, **asked})["result"]
    return list(result.get("list", result.get("rows")))


def trade(bench: Bench, side: Side, quantity: str, category: Category) -> None:
    request = OrderRequest(side, OrderKind.MARKET, Decimal(quantity))
    bench.venue.place(bench.account, bench.venue.market(category, "BTCUSDT"), request)
    later(bench)


def live(bench: Bench) -> None:
    later(bench)
    bench.venue.treasury.deposit(bench.account, "USDT", Decimal("12.5"))
    later(bench)
    for category in Category:
        trade(bench, Side.BUY, "0.03", category)
        trade(bench, Side.SELL, "0.01", category)
    bench.venue.settle_funding(bench.venue.market(Category.LINEAR, "BTCUSDT"))
    later(bench)
    bench.venue.treasury.withdraw(bench.account, "USDT", Decimal(2), fee=Decimal("0.5"))
    bench.venue.treasury.reward(bench.account, "MNT", Decimal(3))
    bench.venue.treasury.reward(bench.account, "USDT", Decimal(-1), cause=Cause.INTEREST)
    bench.venue.treasury.convert(bench.account, {"BTC": Decimal("0.00012")}, "USDT")
    bench.venue.liquidate(bench.account, bench.account.positions["BTCUSDT"])


def test_every_balance_follows_from_the_one_before(bench: Bench) -> None:
    live(bench)

    rows = rows_of(bench)

    for asset in ("USDT", "BTC", "MNT"):
        told = [row for row in reversed(rows) if row["currency"] == asset]
        balance = Decimal(0)
        for row in told:
            balance += Decimal(row["change"])
            assert Decimal(row["cashBalance"]) == balance, row
            parts = [Decimal(row[key] or 0) for key in ("cashFlow", "funding", "fee")]
            assert Decimal(row["change"]) == parts[0] + parts[1] - parts[2]
        assert balance == bench.account.wallet.total(asset)
    assert len({row["id"] for row in rows}) == len(rows)


def test_trades_have_a_row_for_each_asset_and_the_fee_of_the_execution(bench: Bench) -> None:
    trade(bench, Side.BUY, "0.03", Category.SPOT)
    (executed,) = bench.get("/v5/execution/list", category="spot")["result"]["list"]

    bought, paid = rows_of(bench, category="spot", type="TRADE")

    if bought["currency"] != "BTC":
        bought, paid = paid, bought
    assert (bought["currency"], bought["cashFlow"]) == ("BTC", "0.03")
    assert bought["fee"] == executed["execFee"]
    assert (paid["currency"], paid["cashFlow"]) == ("USDT", f"-{executed['execValue']}")
    assert Decimal(paid["fee"]) == 0
    assert {bought["tradeId"], paid["tradeId"]} == {executed["execId"]}


def test_contracts_tell_profit_fee_and_what_is_left_of_the_position(bench: Bench) -> None:
    for side, quantity in ((Side.BUY, "0.03"), (Side.SELL, "0.01")):
        trade(bench, side, quantity, Category.LINEAR)
    executed = bench.get("/v5/execution/list", category="linear")["result"]["list"]

    rows = rows_of(bench, category="linear")

    assert [row["size"] for row in rows] == ["0.02", "0.03"]
    assert [row["fee"] for row in rows] == [one["execFee"] for one in executed]
    assert [row["cashFlow"] for row in rows] == [one["execPnl"] for one in executed]


def test_funding_is_a_settlement_of_what_was_charged(bench: Bench) -> None:
    trade(bench, Side.SELL, "0.03", Category.LINEAR)
    bench.venue.settle_funding(bench.venue.market(Category.LINEAR, "BTCUSDT"))

    (row,) = rows_of(bench, type="SETTLEMENT")

    (charge,) = bench.venue.funding_charges(bench.account)
    assert Decimal(row["funding"]) == Decimal(row["change"]) == charge.amount
    assert (row["side"], Decimal(row["feeRate"])) == ("Sell", -charge.rate)
    assert (row["size"], row["qty"]) == ("-0.03", "0.03")


def test_liquidation_is_told_with_its_fee_apart(bench: Bench) -> None:
    trade(bench, Side.BUY, "0.03", Category.LINEAR)
    bench.venue.liquidate(bench.account, bench.account.positions["BTCUSDT"])

    fee, closed = rows_of(bench, type="LIQUIDATION")

    assert (fee["tradeId"], fee["cashFlow"]) == ("", "0")
    assert Decimal(fee["fee"]) > 0
    assert (closed["tradeId"] != "", closed["size"]) == (True, "0")


def test_log_pages_from_newest_to_oldest_without_gap_or_repeat(bench: Bench) -> None:
    for _ in range(12):
        trade(bench, Side.BUY, "0.001", Category.SPOT)
    seen: list[str] = []
    cursor, pages = "", 0
    while True:
        more = {"cursor": cursor} if cursor else {}
        result = bench.get(LOG, type="TRADE", limit=10, **more)["result"]
        # Something new happens between two pages; it must not shift them.
        trade(bench, Side.BUY, "0.001", Category.SPOT)
        seen += [row["id"] for row in result["list"]]
        cursor, pages = result["nextPageCursor"], pages + 1
        if not cursor:
            break

    assert (len(seen), len(set(seen)), pages) == (24, 24, 3)


def test_log_tells_a_day_unless_asked_and_never_more_than_a_week(bench: Bench) -> None:
    start = bench.market_clock.now_ms()
    later(bench, 8 * DAY_MS)

    def count(**window: int) -> int:
        return len(rows_of(bench, currency="USDT", **window))

    assert count() == 0
    assert count(startTime=start) == 1
    assert count(startTime=start + 1) == 0
    assert count(endTime=start + DAY_MS) == 1
    assert count(endTime=start + DAY_MS + 1) == 0
    assert count(startTime=start, endTime=start + 7 * DAY_MS) == 1
    too_long = bench.get(LOG, startTime=start, endTime=start + 7 * DAY_MS + 1)
    assert too_long["retCode"] == 10001


@pytest.mark.parametrize(("asked", "told"), [({}, 20), ({"limit": 50}, 50), ({"limit": 99}, 50)])
def test_log_page_has_twenty_rows_unless_asked_and_fifty_at_most(
    asked: dict[str, int], told: int, bench: Bench
) -> None:
    for _ in range(26):
        trade(bench, Side.BUY, "0.001", Category.SPOT)

    assert len(bench.get(LOG, **asked)["result"]["list"]) == told


@pytest.mark.parametrize(
    "asked", [{"accountType": "CONTRACT"}, {"startTime": 5, "endTime": 4}, {"cursor": "x"}]
)
def test_bad_parameters_of_the_log_are_10001(asked: dict[str, object], bench: Bench) -> None:
    assert bench.get(LOG, **asked)["retCode"] == 10001


def test_deposits_and_withdrawals_are_transfers_to_the_unified_wallet(bench: Bench) -> None:
    later(bench)
    bench.venue.treasury.deposit(bench.account, "USDT", Decimal("12.5"))
    later(bench)
    bench.venue.treasury.withdraw(bench.account, "USDT", Decimal(2), fee=Decimal("0.5"))

    deposit = rows_of(bench, DEPOSITS, coin="USDT")[0]
    (withdrawal,) = rows_of(bench, WITHDRAWALS)
    out, into = rows_of(bench, TRANSFERS, coin="USDT")[:2]
    (sent,), received = rows_of(bench, type="TRANSFER_OUT"), rows_of(bench, type="TRANSFER_IN")

    assert (deposit["amount"], deposit["status"]) == ("12.5", 3)
    assert (withdrawal["amount"], withdrawal["withdrawFee"]) == ("2", "0.5")
    assert deposit["txID"] != withdrawal["txID"] != ""
    assert (into["fromAccountType"], into["toAccountType"]) == ("FUND", "UNIFIED")
    assert (out["fromAccountType"], out["toAccountType"]) == ("UNIFIED", "FUND")
    assert (sent["change"], received[0]["change"]) == ("-2.5", "12.5")


def test_records_are_found_by_their_ids(bench: Bench) -> None:
    deposits = rows_of(bench, DEPOSITS)
    assert len(deposits) > 1

    for row in deposits:
        assert rows_of(bench, DEPOSITS, id=row["id"]) == [row]
        assert rows_of(bench, DEPOSITS, txID=row["txID"]) == [row]


def test_records_reach_back_thirty_days(bench: Bench) -> None:
    start = bench.market_clock.now_ms()
    later(bench, 31 * DAY_MS)

    assert rows_of(bench, DEPOSITS) == []
    assert rows_of(bench, DEPOSITS, startTime=start, endTime=start + 30 * DAY_MS)
    too_long = bench.get(DEPOSITS, startTime=start, endTime=start + 30 * DAY_MS + 1)
    assert too_long["retCode"] == 10001


def test_withdrawal_has_its_name_on_the_chain_when_it_is_done(bench: Bench) -> None:
    slow = Route(after_ms=DAY_MS // 24)
    bench.venue.treasury.withdraw(bench.account, "USDT", Decimal(2), route=slow)
    (pending,) = rows_of(bench, WITHDRAWALS)
    later(bench, slow.after_ms)
    bench.venue.advance()
    (done,) = rows_of(bench, WITHDRAWALS)

    assert (pending["status"], pending["txID"]) == ("Pending", "")
    (crossing,) = (c for c in bench.venue.treasury.crossings("unit") if not c.is_deposit)
    assert (done["status"], done["txID"]) == ("success", crossing.txid)
    assert int(done["updateTime"]) - int(done["createTime"]) == slow.after_ms
    assert rows_of(bench, WITHDRAWALS, withdrawType=1) == []


def test_failed_withdrawal_comes_back_whole(bench: Bench) -> None:
    slow, treasury = Route(after_ms=DAY_MS), bench.venue.treasury
    crossing = treasury.withdraw(bench.account, "USDT", Decimal(2), route=slow, fee=Decimal("0.5"))
    later(bench)
    treasury.fail(crossing)

    (record,) = rows_of(bench, WITHDRAWALS)
    moved = [row["change"] for row in rows_of(bench, currency="USDT")]
    assert (record["status"], record["txID"]) == ("Fail", "")
    assert moved[:2] == ["2.5", "-2.5"]


def test_conversion_has_a_row_for_each_half(bench: Bench) -> None:
    bench.venue.treasury.convert(bench.account, {"BTC": Decimal("0.0001")}, "USDT")

    bought, sold = rows_of(bench)[:2]

    assert (sold["type"], sold["change"]) == ("CURRENCY_SELL", "-0.0001")
    assert (bought["type"], bought["cashFlow"]) == ("CURRENCY_BUY", "5")
    assert (bought["fee"], bought["change"]) == ("0.1", "4.9")
    assert bought["transactionTime"] == sold["transactionTime"]
