"""What everything is worth, over HTTP: figures that add up, and nothing invented."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal, localcontext

import pytest

from alphapulse.api.schemas.base import stamp
from alphapulse.domain.events import (
    FillReceived,
    OrderChanged,
    PositionsChanged,
    SyncStatusChanged,
)
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.position import PositionSide
from alphapulse.domain.sync import SyncState
from alphapulse.domain.trading import AssetBook
from tests.builders import make_fill, make_order, make_position
from tests.fixtures.api import RunningApi, body

HOT = (
    "/api/portfolio/summary",
    "/api/portfolio/positions",
    "/api/exchange/balance",
    "/api/market/prices",
)


@pytest.fixture
async def rich(api: RunningApi) -> RunningApi:
    """Two accounts, three priced assets, one that nobody prices."""
    await api.price("BTC/USDT", "64000.1", index_price_usd=Decimal("63990.05"))
    await api.price("ETH/BTC", "0.03731")
    await api.add_account("main", BTC="2.00000001", USDT="1000.5", XYZ="7")
    await api.add_account("second", ETH="10.123456789012345678")
    await api.services.facts.refresh()  # else it comes between two answers that are compared
    return api


async def test_the_total_is_the_sum_of_what_positions_show(rich: RunningApi) -> None:
    summary = await body(await rich.get("/api/portfolio/summary"))
    positions = await body(await rich.get("/api/portfolio/positions"))

    lines = [line for line in positions["items"] if line["price"] is not None]
    with localcontext(prec=80):
        recomputed = sum(
            Decimal(line["quantity"]) * Decimal(line["price"]["value"]) for line in lines
        )
        by_line = sum(Decimal(line["value"]) for line in lines)
        by_account = sum(Decimal(account["value"]) for account in summary["accounts"])
    assert recomputed == by_line == by_account
    assert Decimal(summary["total_value"]) == recomputed


async def test_values_come_in_the_users_currency_by_a_path_that_is_named(rich: RunningApi) -> None:
    positions = await body(await rich.get("/api/portfolio/positions"))

    prices = {line["asset"]: line["price"] for line in positions["items"] if line["price"]}
    assert prices["BTC"]["source"] == "binance:index"
    assert prices["ETH"]["source"] == "binance:ETH/BTC > binance:index"
    assert prices["USDT"]["source"] == "1/binance:BTC/USDT > binance:index"
    assert {price["currency"] for price in prices.values()} == {"USD"}
    assert Decimal(prices["USDT"]["value"]) != 1


async def test_another_currency_is_one_parameter_away(rich: RunningApi) -> None:
    summary = await body(await rich.get("/api/portfolio/summary?currency=btc"))

    assert summary["meta"]["currency"] == "BTC"


async def test_what_has_no_price_is_listed_and_counts_as_nothing(rich: RunningApi) -> None:
    summary = await body(await rich.get("/api/portfolio/summary"))
    positions = await body(await rich.get("/api/portfolio/positions?asset=XYZ"))

    (unpriced,) = summary["unpriced"]
    assert (unpriced["asset"], unpriced["quantity"]) == ("XYZ", "7")
    assert summary["meta"]["complete"] is False
    assert "unpriced" in {warning["code"] for warning in summary["meta"]["warnings"]}
    (line,) = positions["items"]
    assert (line["price"], line["value"], line["weight"]) == (None, None, None)


async def test_fields_that_nothing_computes_yet_are_null_and_named_once(rich: RunningApi) -> None:
    balance = await body(await rich.get("/api/exchange/balance"))

    (warning,) = [w for w in balance["meta"]["warnings"] if w["code"] == "not_available_yet"]
    (account, _) = balance["accounts"]
    lines = (account, *account["balances"])
    shown = [line[field] for field in warning["subject"] for line in lines if field in line]
    assert "raw_asset" in warning["subject"]
    assert set(shown) == {None}


async def test_an_account_that_cannot_be_read_keeps_its_value_and_says_so(rich: RunningApi) -> None:
    before = await body(await rich.get("/api/portfolio/summary"))
    account = rich.services.live.accounts[AccountId("binance-main")]
    status = rich.status_of(
        account, SyncState.STALE, error_code="exchange_unavailable", error_message="no answer"
    )
    await rich.publish(SyncStatusChanged(status))

    after = await body(await rich.get("/api/portfolio/summary"))

    assert after["total_value"] == before["total_value"]
    assert after["meta"]["complete"] is False
    line = next(line for line in after["accounts"] if line["id"] == "binance-main")
    assert (line["status"], line["stale"], line["last_error"]) == ("stale", True, "no answer")
    assert line["as_of"] is not None


async def test_before_anything_was_read_there_is_no_total(api: RunningApi) -> None:
    account = await api.add_account("main", BTC="1")
    await api.publish(SyncStatusChanged(api.status_of(account, SyncState.PENDING)))

    problem = await body(await api.get("/api/portfolio/summary"), 503)

    assert problem["code"] == "not_ready"


async def test_without_accounts_the_portfolio_is_empty_and_complete(api: RunningApi) -> None:
    summary = await body(await api.get("/api/portfolio/summary"))

    assert (summary["total_value"], summary["meta"]["complete"]) == ("0", True)


async def test_a_perpetual_adds_its_profit_at_the_live_mark(rich: RunningApi) -> None:
    account, now = rich.services.live.accounts[AccountId("binance-main")], rich.clock.now()
    position = make_position(
        account_id=account.id,
        entry_price=Decimal(60000),
        mark_price=Decimal(61000),
        liquidation_price=Decimal(50000),
        occurred_at=now,
        received_at=now,
    )
    async with rich.services.accounts._database.begin() as unit:
        await unit.positions.upsert([position])
    await rich.publish(PositionsChanged(account.id))
    await rich.price("BTC/USDT:USDT", "62010", mark=Decimal(62000))

    page = await body(await rich.get("/api/portfolio/positions?type=perp&currency=USDT"))

    (line,) = page["items"]
    assert (line["mark_price"], line["value"], line["notional"]) == ("62000", "1000", "31000")
    assert line["liquidation_distance_pct"].startswith("19.35")


async def test_a_position_says_when_it_was_last_traded_and_what_will_close_it(
    rich: RunningApi,
) -> None:
    account, now = rich.services.live.accounts[AccountId("binance-main")], rich.clock.now()
    position = make_position(account_id=account.id, occurred_at=now, received_at=now)
    symbol, hour = position.symbol, timedelta(hours=1)
    orders = [
        make_order(1, account_id=account.id, symbol=symbol, reduce_only=True),
        make_order(2, account_id=account.id, symbol=symbol),
        make_order(3, account_id=account.id, reduce_only=True),
    ]
    fills = [
        make_fill(1, account_id=account.id, occurred_at=now - hour),
        make_fill(2, account_id=account.id, occurred_at=now - 3 * hour),
        make_fill(3, account_id=account.id, symbol=symbol, occurred_at=now - 2 * hour),
    ]
    async with rich.services.accounts._database.begin() as unit:
        await unit.positions.upsert([position])
    await rich.publish(PositionsChanged(account.id))
    await rich.publish(*map(OrderChanged, orders), *map(FillReceived, fills))

    items = (await body(await rich.get("/api/portfolio/positions")))["items"]

    lines = {line["symbol"] or line["asset"]: line for line in items}
    assert lines[symbol]["last_trade_at"] == stamp(now - 2 * hour)
    assert lines["BTC"]["last_trade_at"] == lines["USDT"]["last_trade_at"] == stamp(now - hour)
    assert lines["XYZ"]["last_trade_at"] is None
    assert lines[symbol]["reduce_only_orders"] == 1


async def test_a_contract_says_since_when_it_is_held(rich: RunningApi) -> None:
    account, now = rich.services.live.accounts[AccountId("binance-main")], rich.clock.now()
    position = make_position(account_id=account.id, occurred_at=now, received_at=now)
    opened_at = (now - timedelta(hours=2)).replace(microsecond=0)
    fill = make_fill(
        account_id=account.id,
        symbol=position.symbol,
        quantity=position.quantity,
        occurred_at=opened_at,
    )
    began_at = now - timedelta(days=1)
    book = AssetBook(account.id, "USDT", Decimal(0), began_at, Decimal(0), Decimal(0), now)
    async with rich.services.accounts._database.begin() as unit:
        await unit.positions.upsert([position])
        await unit.reconciliations.replace_books(account.id, [book])
        await unit.fills.record([fill], now)
    await rich.publish(PositionsChanged(account.id))
    await rich.services.facts.refresh()

    (line,) = (await body(await rich.get("/api/portfolio/positions?type=perp")))["items"]

    assert line["opened_at"] == stamp(opened_at)


async def test_positions_and_balances_say_what_a_day_did_to_them(api: RunningApi) -> None:
    await api.price("BTC/USD", "120", open_24h=Decimal(100))
    await api.price("ETH/USD", "90", open_24h=Decimal(100))
    await api.price("SOL/USD", "5")
    await api.add_account("main", BTC="2", ETH="1", SOL="1", USD="7", NOPE="1")
    await api.add_account("second", BTC="1")

    page = await body(await api.get("/api/portfolio/positions?account=binance-main"))
    balance = await body(await api.get("/api/exchange/balance?account=binance-main"))

    expected = {
        "BTC": {"abs": "40", "pct": "20"},
        "ETH": {"abs": "-10", "pct": "-10"},
        "SOL": None,
        "USD": {"abs": "0", "pct": "0"},
        "NOPE": None,
    }
    assert {one["asset"]: one["change_24h"] for one in page["items"]} == expected
    lines = balance["accounts"][0]["balances"]
    assert {one["asset"]: one["change_24h"] for one in lines} == expected
    for answer in (page, balance):
        (said,) = [w for w in answer["meta"]["warnings"] if w["code"] == "change_unknown"]
        assert said["subject"] == ["NOPE", "SOL"]

    path = "/api/portfolio/positions?group_by=asset&sort=-change_24h&limit=2"
    page = await body(await api.get(path))
    grouped = page["items"]
    while (cursor := page["next_cursor"]) is not None:
        page = await body(await api.get(f"{path}&cursor={cursor}"))
        grouped += page["items"]
    assert [one["asset"] for one in grouped] == ["BTC", "USD", "ETH", "NOPE", "SOL"]
    assert grouped[0]["change_24h"] == {"abs": "60", "pct": "20"}
    worst_first = (await body(await api.get("/api/portfolio/positions?sort=change_24h")))["items"]
    assert [one["asset"] for one in worst_first] == ["ETH", "USD", "BTC", "BTC", "NOPE", "SOL"]


async def test_a_contract_says_what_its_market_did_to_it_in_a_day(rich: RunningApi) -> None:
    account, now = rich.services.live.accounts[AccountId("binance-main")], rich.clock.now()
    position = make_position(
        account_id=account.id, side=PositionSide.SHORT, occurred_at=now, received_at=now
    )
    async with rich.services.accounts._database.begin() as unit:
        await unit.positions.upsert([position])
    await rich.publish(PositionsChanged(account.id))
    path = "/api/portfolio/positions?type=perp&currency=USDT"
    await rich.price(position.symbol, "60000", mark=Decimal(60010))
    (line,) = (await body(await rich.get(path)))["items"]
    assert line["change_24h"] is None

    await rich.price(position.symbol, "60000", mark=Decimal(60010), open_24h=Decimal(50000))

    (line,) = (await body(await rich.get(path)))["items"]
    # Half a bitcoin, sold, at 10 000 more than a day ago.
    assert line["change_24h"] == {"abs": "-5000", "pct": "20"}


@pytest.mark.parametrize("path", HOT)
async def test_the_fast_path_and_the_route_answer_the_same(rich: RunningApi, path: str) -> None:
    fast = await body(await rich.get(path))
    slow = await body(await rich.get(f"{path}?limit=100" if path in HOT[1::2] else f"{path}?"))
    through_the_route = await body(await rich.get(_with_a_parameter(path)))

    for answer in (fast, slow, through_the_route):
        _forget_the_moment(answer)
    assert fast == slow == through_the_route


async def test_positions_come_in_pages_that_neither_repeat_nor_skip(rich: RunningApi) -> None:
    seen: list[str] = []
    cursor = ""
    for _ in range(4):
        page = await body(await rich.get(f"/api/portfolio/positions?limit=1{cursor}"))
        seen += [line["id"] for line in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"

    assert page["next_cursor"] is None
    assert len(set(seen)) == 4


async def test_positions_sort_by_value_and_group_by_asset(rich: RunningApi) -> None:
    await rich.add_account("third", BTC="1")

    page = await body(await rich.get("/api/portfolio/positions?group_by=asset&sort=-value"))

    first = page["items"][0]
    assert (first["id"], first["quantity"], first["account_id"]) == (
        "asset.BTC",
        "3.00000001",
        None,
    )
    assert first["price"]["source"] == "binance:index"


async def test_unknown_accounts_currencies_and_parameters_are_refused(rich: RunningApi) -> None:
    for query, status, code in (
        ("account=nobody", 404, "not_found"),
        ("currency=NOPE", 422, "validation_failed"),
        ("currency=%00", 422, "validation_failed"),
        ("as_of=2020-01-01", 422, "validation_failed"),
    ):
        problem = await body(await rich.get(f"/api/portfolio/summary?{query}"), status)
        assert problem["code"] == code


async def test_numbers_are_plain_strings_and_times_are_utc(rich: RunningApi) -> None:
    await rich.add_account("dust", BTC="0.00000001")

    text = await (await rich.get("/api/portfolio/positions")).text()

    assert "E-" not in text
    page = json.loads(text, parse_float=pytest.fail)
    assert any(line["quantity"] == "0.00000001" for line in page["items"])
    assert page["meta"]["as_of"].endswith("Z")


def _with_a_parameter(path: str) -> str:
    return (
        path
        + {
            "/api/portfolio/summary": "?currency=USD",
            "/api/portfolio/positions": "?sort=id",
            "/api/exchange/balance": "?wallet=all",
            "/api/market/prices": "?exchange=any",
        }[path]
    )


def _forget_the_moment(part: object) -> None:
    """Drop what two requests cannot share: their ids, and the ages that passed between them."""
    if isinstance(part, dict):
        for name in ("request_id", "age_ms", "facts_as_of"):
            part.pop(name, None)
        if "meta" in part:
            part["meta"].pop("as_of")
        for value in part.values():
            _forget_the_moment(value)
    elif isinstance(part, list):
        for value in part:
            _forget_the_moment(value)


async def test_an_account_of_which_nothing_is_priced_is_worth_unknown_and_not_zero(
    rich: RunningApi,
) -> None:
    await rich.add_account("opaque", XYZ="3")
    await rich.add_account("empty")

    summary = await body(await rich.get("/api/portfolio/summary"))
    balance = await body(await rich.get("/api/exchange/balance"))

    for accounts in (summary["accounts"], balance["accounts"]):
        values = {account["label"]: account["value"] for account in accounts}
        assert values["opaque"] is None
        assert values["empty"] == "0"


async def test_a_portfolio_of_which_nothing_is_priced_is_worth_unknown_everywhere(
    api: RunningApi,
) -> None:
    await api.add_account("opaque", XYZ="3")

    summary = await body(await api.get("/api/portfolio/summary"))
    balance = await body(await api.get("/api/exchange/balance"))

    figures = ("total_value", "total_assets", "total_debt", "cash_value", "invested_value")
    assert [summary[figure] for figure in figures] == [None] * 5
    assert balance["total_value"] is None
    assert summary["meta"]["complete"] is False
    (unpriced,) = (w for w in summary["meta"]["warnings"] if w["code"] == "unpriced")
    assert unpriced["subject"] == ["XYZ"]


async def test_an_account_that_was_never_read_makes_no_total_of_zero(api: RunningApi) -> None:
    await api.add_account("empty")
    account = await api.add_account("dark")
    failed = replace(
        api.status_of(account, SyncState.ERROR, error_code="exchange_unavailable"), last_ok_at=None
    )
    await api.publish(SyncStatusChanged(failed))

    summary = await body(await api.get("/api/portfolio/summary"))

    assert summary["total_value"] is None
    (warning,) = (w for w in summary["meta"]["warnings"] if w["code"] == "account_error")
    assert warning["subject"] == [account.id]
