"""Orders over HTTP: what is answered for each thing that may become of them, and how often."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.account import Account, AccountState
from alphapulse.domain.balance import Balance, BalanceReport, Wallet
from alphapulse.domain.events import BalancesChanged, FillReceived, SyncStatusChanged, TickerUpdated
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, Symbol, UserId
from alphapulse.domain.market import Ticker
from alphapulse.domain.money import ZERO
from alphapulse.domain.order import OrderStatus
from alphapulse.domain.sync import SyncKind, SyncState
from alphapulse.domain.trading import CycleOutcome, CycleReport
from alphapulse.domain.user import Role
from alphapulse.errors import Conflict, OrderRejected, WorkerStopped
from alphapulse.security.scopes import scopes_of
from alphapulse.services.trading_settings import TradingSettings
from tests.builders import make_fill, make_instrument, make_user
from tests.eventually import eventually
from tests.fixtures.api import RunningApi, body, serve_api
from tests.fixtures.scripted_desk import make_book

ORDER = "/api/exchange/order"
S = OrderStatus

# Prices come once here and nothing keeps them young.
PATIENT = TradingSettings(
    max_price_age_s=None, max_order_value=None, max_daily_value=None, orders_per_minute=None
)


@dataclass
class Trader:
    """One account that may trade BTC/USDT at about 64,000."""

    api: RunningApi
    account: Account

    def body(self, **changes: object) -> dict[str, object]:
        order = {
            "account_id": self.account.id,
            "symbol": "BTC/USDT",
            "side": "buy",
            "type": "limit",
            "quantity": "0.01",
            "limit_price": "63000",
        } | changes
        return {name: value for name, value in order.items() if value is not None}

    async def place(self, key: str | None = "key", **changes: object) -> Any:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.api.post(ORDER, self.body(**changes), headers=headers)

    async def placed(self, key: str = "key", **changes: object) -> dict[str, Any]:
        found: dict[str, Any] = await body(await self.place(key, **changes), 201)
        return found

    async def refused(self, status: int, code: str, key: str = "key", **changes: object) -> Any:
        problem = await body(await self.place(key, **changes), status)
        assert problem["code"] == code, problem
        return problem

    @property
    def sent(self) -> int:
        return len(self.api.synchronizer.sent)


async def make_trader(api: RunningApi, **holdings: str) -> Trader:
    account = await api.add_account("main", **(holdings or {"USDT": "100000", "BTC": "1"}))
    async with api.services.accounts._database.begin() as unit:
        listed = [make_instrument(), make_instrument("BTC/USDT:USDT")]
        await unit.instruments.replace(account.exchange, listed)
        margin = Balance(Wallet.FUTURES, Asset("USDT"), Decimal(100_000), ZERO, ZERO)
        now = api.clock.now()
        await unit.balances.replace(
            BalanceReport(account.id, frozenset({Wallet.FUTURES}), (margin,), now, now)
        )
    await api.publish(BalancesChanged(account.id))
    for symbol in ("BTC/USDT", "BTC/USDT:USDT"):
        await api.price(symbol, "64000", bid=Decimal("63999"), ask=Decimal("64001"))
    await api.price("USDT/USD", "1", bid=Decimal(1), ask=Decimal(1))
    return Trader(api, account)


@pytest.fixture
async def trader(sqlite_settings: DatabaseSettings, tmp_path: Path) -> AsyncIterator[Trader]:
    async with serve_api(sqlite_settings, tmp_path, trading=PATIENT) as api:
        await api.set_up()
        yield await make_trader(api)


@pytest.fixture
async def busy_trader(database_settings: DatabaseSettings, tmp_path: Path) -> AsyncIterator[Trader]:
    """On each database: what many do at once is where they differ."""
    async with serve_api(database_settings, tmp_path, trading=PATIENT) as api:
        await api.set_up()
        yield await make_trader(api)


# What became of it


async def test_an_order_that_was_taken_is_201_with_its_checks(trader: Trader) -> None:
    order = await trader.placed()

    assert (order["status"], order["limit_price"], order["poll"]) == ("open", "63000", None)
    assert order["id"] == f"{trader.account.id}.{order['client_order_id']}"
    assert {"price_band", "funds", "trading_mode"} <= {check["name"] for check in order["checks"]}
    assert trader.sent == 1


@pytest.mark.parametrize("status", [S.UNKNOWN, S.SENDING])
async def test_an_order_in_doubt_is_202_with_a_place_to_ask(
    trader: Trader, status: OrderStatus
) -> None:
    trader.api.synchronizer.outcomes = [status]

    answer = await trader.place()
    order = await body(answer, 202)

    assert order["status"] == status
    assert answer.headers["Location"] == order["poll"] == f"/api/exchange/orders/{order['id']}"
    assert (await body(await trader.api.get(order["poll"])))["status"] == status
    (listed,) = (await body(await trader.api.get("/api/exchange/orders?status=unknown")))["items"]
    assert listed["id"] == order["id"]
    status_page = await body(await trader.api.get("/api/system/status"))
    assert (status_page["trading"], status_page["unknown_orders"]) == ("active", [order["id"]])
    held = await trader.api.request("DELETE", f"/api/exchange/accounts/{trader.account.id}")
    assert held.status == 409


async def test_what_the_exchange_refuses_is_502_with_its_words(trader: Trader) -> None:
    trader.api.synchronizer.outcomes = [S.REJECTED]
    problem = await trader.refused(502, "exchange_rejected")
    assert "PRICE_FILTER -1013" in problem["cause"]["venue_message"]


async def test_what_the_exchange_finds_unpaid_is_422(trader: Trader) -> None:
    trader.api.synchronizer.outcomes = [S.REJECTED]
    trader.api.synchronizer.reason = "not enough balance (the exchange: no USDT -2010)"
    await trader.refused(422, "insufficient_funds")


@pytest.mark.parametrize("status", [S.WITHDRAWN, S.NOT_PLACED])
async def test_what_never_got_there_is_503(trader: Trader, status: OrderStatus) -> None:
    trader.api.synchronizer.outcomes = [status]
    await trader.refused(503, "order_not_sent")


@pytest.mark.parametrize("failure", [WorkerStopped("it ended"), Conflict("not synchronized")])
async def test_an_order_that_nobody_sends_is_withdrawn(
    trader: Trader, failure: WorkerStopped | Conflict
) -> None:
    trader.api.synchronizer.failure = failure

    await trader.refused(503, "order_not_sent")

    (order,) = (await body(await trader.api.get("/api/exchange/orders")))["items"]
    assert (order["status"], order["status_reason"]) == ("withdrawn", failure.message)


async def test_a_worker_that_ends_leaves_nothing_to_be_sent(trader: Trader) -> None:
    await trader.api.worker.stop()
    await trader.refused(503, "order_not_sent")
    assert trader.sent == 0


async def test_no_answer_in_time_is_202_and_never_504(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    impatient = PATIENT.model_copy(update={"answer_within_s": 0.05})
    async with serve_api(sqlite_settings, tmp_path, trading=impatient) as api:
        await api.set_up()
        trader = await make_trader(api)
        api.synchronizer.is_hanging = True
        order = await body(await trader.place(), 202)
        assert order["status"] == "prepared"


# Once


async def test_the_same_request_again_is_answered_again_and_not_done(trader: Trader) -> None:
    first = await trader.place("one")
    again = await trader.place("one")

    assert await again.text() == await first.text()
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert trader.sent == 1


async def test_a_problem_is_replayed_too(trader: Trader) -> None:
    trader.api.synchronizer.outcomes = [S.REJECTED]
    first = await trader.place("one")
    again = await trader.place("one")
    assert (again.status, await again.text()) == (502, await first.text())
    assert again.headers["Content-Type"] == "application/problem+json"
    assert trader.sent == 1


async def test_a_key_with_another_body_is_refused(trader: Trader) -> None:
    await trader.placed("one")
    await trader.refused(422, "idempotency_key_reused", "one", quantity="0.02")
    assert trader.sent == 1


async def test_what_was_refused_before_it_was_stored_may_come_again(trader: Trader) -> None:
    await trader.refused(422, "bad_step", "one", quantity="0.000001")
    await trader.placed("one")


async def test_without_a_key_nothing_is_placed(trader: Trader) -> None:
    problem = await body(await trader.place(None), 400)
    assert problem["code"] == "missing_idempotency_key"


async def test_fifty_repeats_side_by_side_are_one_order(busy_trader: Trader) -> None:
    answers = await asyncio.gather(*(busy_trader.place("one") for _ in range(50)))

    assert {answer.status for answer in answers} <= {201, 409}
    said = [json.loads(await answer.text()) for answer in answers]
    assert {each["code"] for each in said if "code" in each} <= {"in_progress"}
    assert len({each["id"] for each in said if "id" in each}) == 1
    assert busy_trader.sent == 1


async def test_a_caller_who_goes_away_is_answered_at_the_next_try(trader: Trader) -> None:
    trader.api.synchronizer.is_hanging = True
    asking = asyncio.create_task(trader.place("one"))
    await eventually(lambda: _exists(trader, "prepared"))
    asking.cancel()
    await trader.refused(409, "in_progress", "one")


async def _exists(trader: Trader, status: str) -> bool:
    items = (await body(await trader.api.get("/api/exchange/orders")))["items"]
    return [item["status"] for item in items] == [status]


async def test_a_process_that_died_before_it_answered_is_answered_for(trader: Trader) -> None:
    order = await trader.placed("one")
    await _forget_answers(trader)

    again = await trader.place("one")

    said = await body(again, 201)
    assert (said["id"], said["status"]) == (order["id"], "open")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert trader.sent == 1


async def _forget_answers(trader: Trader) -> None:
    users = trader.api.services.users
    user_id = users.verify_token(trader.api.token).user_id
    async with users._database.begin() as unit:
        stored = await unit.idempotency_keys.find(user_id, "one")
        assert stored is not None
        await unit.idempotency_keys.save(replace(stored, status=None, body=None))


async def test_after_a_restart_a_repeat_has_the_same_answer(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    async with serve_api(sqlite_settings, tmp_path, trading=PATIENT) as api:
        await api.set_up()
        trader = await make_trader(api)
        first = await (await trader.place("one")).text()
        token = api.token
    async with serve_api(sqlite_settings, tmp_path, trading=PATIENT) as api:
        api.token = token
        again = await Trader(api, trader.account).place("one")
        assert await again.text() == first
        assert api.synchronizer.sent == []


async def test_an_equal_order_moments_later_is_asked_about(trader: Trader) -> None:
    first = await trader.placed("one")
    problem = await trader.refused(409, "duplicate_suspected", "two")
    assert first["id"] in problem["detail"]
    await trader.placed("three", quantity="0.02")
    await trader.placed("two", allow_duplicate=True)


async def test_an_order_that_came_to_nothing_has_no_double(trader: Trader) -> None:
    trader.api.synchronizer.outcomes = [S.WITHDRAWN]
    await trader.refused(503, "order_not_sent", "one")
    await trader.placed("two")


# Limits


async def set_limits(trader: Trader, **limits: object) -> dict[str, Any]:
    nothing: dict[str, object] = dict.fromkeys(
        (
            *("max_order_value", "max_daily_value", "orders_per_minute", "price_band_pct"),
            *("max_price_age_s", "max_spread_pct", "symbols"),
        )
    )
    change = nothing | {"account_id": trader.account.id, "version": 0} | limits
    answer = await trader.api.request("PUT", "/api/trading/limits", json=change)
    found: dict[str, Any] = (await body(answer))["limits"]
    return found


async def test_limits_hold_under_parallel_orders(busy_trader: Trader) -> None:
    # 630 each: fifteen would be within the value of a day, of which ten are within the minute.
    await set_limits(busy_trader, max_daily_value="9500", orders_per_minute=10)
    answers = await asyncio.gather(
        *(busy_trader.place(f"key {n}", allow_duplicate=True) for n in range(30))
    )

    assert sorted({answer.status for answer in answers}) == [201, 429]
    assert busy_trader.sent == 10
    late = next(answer for answer in answers if answer.status == 429)
    assert int(late.headers["Retry-After"]) <= 60


async def test_the_value_of_a_day_is_never_passed_and_given_back_for_nothing(
    busy_trader: Trader,
) -> None:
    await set_limits(busy_trader, max_daily_value="1300")
    busy_trader.api.synchronizer.outcomes = [S.REJECTED, S.WITHDRAWN, S.NOT_PLACED]
    for key in ("a", "b", "c"):
        assert (await busy_trader.place(key)).status in {502, 503}

    answers = await asyncio.gather(
        *(busy_trader.place(f"key {n}", allow_duplicate=True) for n in range(10))
    )

    assert sorted(answer.status for answer in answers) == [201] * 2 + [422] * 8
    (mine, _) = (await body(await busy_trader.api.get("/api/trading/limits")))["items"]
    assert (mine["used_today"], mine["limits"]["max_daily_value"]) == ("1260", "1300")


async def test_what_is_free_is_not_promised_twice(busy_trader: Trader) -> None:
    answers = await asyncio.gather(
        *(busy_trader.place(f"key {n}", allow_duplicate=True, quantity="0.7") for n in range(8))
    )
    assert sorted(answer.status for answer in answers) == [201] * 2 + [422] * 6


async def test_limits_are_versioned(trader: Trader) -> None:
    assert (await set_limits(trader, max_order_value="100"))["version"] == 1
    stale = await trader.api.request(
        "PUT",
        "/api/trading/limits",
        json={"account_id": trader.account.id, "version": 0, "symbols": None}
        | dict.fromkeys(
            (
                *("max_order_value", "max_daily_value", "orders_per_minute", "price_band_pct"),
                *("max_price_age_s", "max_spread_pct"),
            )
        ),
    )
    assert (await body(stale, 409))["code"] == "version_mismatch"
    problem = await trader.refused(422, "over_limit")
    assert problem["limit"] == {"check": "max_order_value", "limit": "100", "value": "630"}


async def test_no_limit_is_measured_by_what_a_person_says(trader: Trader) -> None:
    await set_limits(trader, max_order_value="100")
    old = trader.api.clock.now() - timedelta(hours=1)
    dollar = Ticker(ExchangeId("binance"), Symbol("USDT/USD"), old, old, last=Decimal(1))
    await trader.api.publish(TickerUpdated(dollar))
    sent = {"value": "0.001", "currency": "USD"}
    assert (await trader.api.request("PUT", "/api/portfolio/prices/USDT", json=sent)).status == 200

    async def is_believed() -> bool:
        (said,) = (await body(await trader.api.get("/api/portfolio/prices")))["items"]
        return bool(said["price"]["quality"] == "manual")

    await eventually(is_believed)
    problem = await trader.refused(422, "over_limit")
    assert problem["limit"]["value"] == "630"


# The kill switch


async def test_a_halt_stops_orders_and_not_cancels(trader: Trader) -> None:
    order = await trader.placed("one")
    halted = await body(await trader.api.post("/api/trading/halt", {"reason": "odd prices"}))
    assert halted["mode"] == "halted"

    await trader.refused(423, "trading_halted", "two")
    answer = await trader.api.request("DELETE", f"/api/exchange/orders/{order['id']}")
    assert (await body(answer))["status"] == "canceled"

    await body(await trader.api.post("/api/trading/resume", {"reason": "they are right"}))
    await trader.placed("two")


async def test_a_halt_may_let_through_what_makes_smaller_and_cancel_the_rest(
    trader: Trader,
) -> None:
    order = await trader.placed("one")
    request = {"reason": "storm", "reduce_only": True, "cancel_open": True}
    halted = await body(await trader.api.post("/api/trading/halt", request))

    assert [(one["id"], one["status"]) for one in halted["canceled"]] == [(order["id"], "canceled")]
    await trader.refused(423, "trading_halted", "two")
    await trader.placed("three", side="sell", limit_price="65000")


async def test_who_is_no_administrator_halts_their_own_accounts_alone(trader: Trader) -> None:
    api = trader.api
    user = make_user(id=UserId("trader"), username="bea", role=Role.TRADER)
    async with api.services.users._database.begin() as unit:
        await unit.users.add(user, "no password opens this")
    mine = await api.add_account("bea", owner="trader", USDT="1")
    admin, api.token = (
        api.token,
        api.services.users._issuer.issue(user.id, "s", scopes_of(Role.TRADER)),
    )

    halted = await body(await api.post("/api/trading/halt", {"reason": "mine"}))
    assert (halted["mode"], [s["account_id"] for s in halted["switches"]]) == ("active", [mine.id])
    await trader.refused(404, "not_found")
    other = {"reason": "theirs", "account_id": trader.account.id}
    assert (await api.post("/api/trading/halt", other)).status == 404

    api.token = admin
    await trader.placed()


# Changing and ending


async def amend(trader: Trader, order: dict[str, Any], **changes: str) -> Any:
    return await trader.api.request("PATCH", f"/api/exchange/orders/{order['id']}", json=changes)


async def test_an_order_is_changed_in_place_where_the_exchange_can(trader: Trader) -> None:
    order = await trader.placed(symbol="BTC/USDT:USDT", quantity="0.1", leverage="5")
    changed = await body(await amend(trader, order, quantity="0.2"))
    assert (changed["id"], changed["quantity"], changed["replaced_id"]) == (
        order["id"],
        "0.2",
        None,
    )


async def test_what_is_not_changed_in_place_is_placed_anew(trader: Trader) -> None:
    trader.api.synchronizer.amends = False
    order = await trader.placed(symbol="BTC/USDT:USDT", quantity="0.1", leverage="5")
    changed = await body(await amend(trader, order, quantity="0.2"))
    assert (changed["quantity"], changed["replaced_id"]) == ("0.2", order["id"])
    (mine, _) = (await body(await trader.api.get("/api/trading/limits")))["items"]
    assert mine["used_today"] == "12600"


async def test_t12_what_was_filled_is_not_ordered_again(trader: Trader) -> None:
    order = await trader.placed(quantity="0.1")
    trader.api.synchronizer.filled_when_canceled = Decimal("0.04")

    changed = await body(await amend(trader, order, limit_price="63100"))

    assert (changed["quantity"], changed["limit_price"]) == ("0.06", "63100")
    assert changed["replaced_id"] == order["id"] != changed["id"]
    replaced = await body(await trader.api.get(f"/api/exchange/orders/{order['id']}"))
    assert (replaced["status"], replaced["filled_quantity"]) == ("canceled", "0.04")
    assert trader.sent == 2


async def test_nothing_is_canceled_that_could_not_be_placed_anew(trader: Trader) -> None:
    order = await trader.placed()
    refused = await body(await amend(trader, order, limit_price="50000"), 422)
    assert refused["code"] == "price_band"
    assert (await body(await trader.api.get(f"/api/exchange/orders/{order['id']}")))[
        "status"
    ] == "open"


async def test_a_change_within_all_that_is_free_counts_what_the_order_holds(
    trader: Trader,
) -> None:
    order = await trader.placed(quantity="1.5")
    changed = await body(await amend(trader, order, limit_price="63500"))
    assert changed["limit_price"] == "63500"


async def test_a_change_that_is_refused_leaves_the_limits_as_they_were(trader: Trader) -> None:
    order = await trader.placed(symbol="BTC/USDT:USDT", quantity="0.1", leverage="5")
    trader.api.synchronizer.failure = OrderRejected("no", venue_code="-1")
    assert (await amend(trader, order, quantity="0.2")).status == 502
    (mine, _) = (await body(await trader.api.get("/api/trading/limits")))["items"]
    assert mine["used_today"] == "6300"


async def test_an_order_that_has_ended_is_not_changed(trader: Trader) -> None:
    order = await trader.placed()
    await trader.api.request("DELETE", f"/api/exchange/orders/{order['id']}")
    assert (await body(await amend(trader, order, quantity="0.2"), 409))["code"] == "conflict"


async def test_all_orders_of_a_market_are_canceled_at_once(trader: Trader) -> None:
    await trader.placed("one")
    await trader.placed("two", symbol="BTC/USDT:USDT", leverage="5")
    path = "/api/exchange/orders/cancel-all"
    (canceled,) = (await body(await trader.api.post(path, {"symbol": "BTC/USDT"})))["items"]
    assert (canceled["symbol"], canceled["status"]) == ("BTC/USDT", "canceled")
    assert len((await body(await trader.api.post(path)))["items"]) == 1


# Before it is placed


async def test_a_preview_says_what_it_would_be_and_cost_and_stores_nothing(
    trader: Trader,
) -> None:
    trader.api.synchronizer.book = make_book("BTC/USDT", "63999", "64001")
    answer = await trader.place(
        None, type="market", limit_price=None, quantity="0.0100019", validate_only=True
    )
    preview = await body(answer)

    assert preview["normalized"]["quantity"] == "0.01"
    assert (preview["est_average_price"], preview["est_cost"]) == ("64001", "640.01")
    assert (preview["est_fee"], preview["est_slippage_pct"]) == ("0.64001", "0")
    assert {"asset": "USDT", "free": "99359.99"} in preview["balance_after"]
    assert {"asset": "BTC", "free": "1.01"} in preview["balance_after"]
    assert preview["weight_after"].startswith("0.2448")
    assert preview["ok"] is False
    (failed,) = (check for check in preview["checks"] if not check["ok"])
    assert (failed["name"], failed["limit"]) == ("quantity_step", "0.00001")
    assert (await body(await trader.api.get("/api/exchange/orders")))["items"] == []


async def test_a_preview_without_a_book_says_what_it_does_not_know(trader: Trader) -> None:
    preview = await body(await trader.place(None, validate_only=True))
    assert (preview["ok"], preview["est_fee"], preview["est_slippage_pct"]) == (True, None, None)
    assert preview["est_cost"] == "630"
    assert [warning["code"] for warning in preview["meta"]["warnings"]] == ["not_estimated"]


async def test_an_order_that_would_slip_too_far_is_refused(trader: Trader) -> None:
    trader.api.synchronizer.book = make_book("BTC/USDT", "63999", "64001", depth="0.001")
    problem = await trader.refused(
        422, "price_not_good", type="market", limit_price=None, max_slippage_pct="0.5"
    )
    assert problem["limit"]["check"] == "slippage"


async def test_a_market_without_a_live_price_is_asked_for_its_book(trader: Trader) -> None:
    api, tick = trader.api, Decimal("0.00001")
    pair = make_instrument("ETH/BTC", tick_size=tick, min_notional=None)
    async with api.services.accounts._database.begin() as unit:
        await unit.instruments.replace(trader.account.exchange, [pair])
    request = {"symbol": "ETH/BTC", "quantity": "1", "limit_price": "0.03"}
    api.synchronizer.book = make_book("ETH/BTC", "0.02999", "0.03001")

    # While the prices of the exchange as a whole do not arrive, nothing stands in for them.
    problem = await trader.refused(422, "price_not_good", **request)
    assert problem["limit"]["check"] == "price_age"

    heard = api.status_of(trader.account, SyncState.OK)
    await api.publish(SyncStatusChanged(replace(heard, account_id=None, kind=SyncKind.PRICES)))
    await trader.placed(**request)


async def test_paper_is_refused_on_real_money_and_a_paused_account_on_everything(
    trader: Trader,
) -> None:
    async with trader.api.services.accounts._database.begin() as unit:
        await unit.accounts.save(replace(trader.account, is_simulated=False))
    problem = await trader.refused(422, "validation_failed", paper=True)
    assert problem["limit"]["check"] == "paper"
    async with trader.api.services.accounts._database.begin() as unit:
        await unit.accounts.save(replace(trader.account, state=AccountState.PAUSED))
    assert (await trader.refused(409, "conflict"))["limit"]["check"] == "account_active"


# Reading


async def test_fees_are_told_when_all_of_an_order_is_known(trader: Trader) -> None:
    order = await trader.placed(quantity="0.3")
    fills = [
        make_fill(
            n,
            account_id=AccountId(trader.account.id),
            exchange_order_id="1",
            client_order_id=order["client_order_id"],
            quantity=Decimal("0.1"),
            fee=Decimal("0.5"),
            fee_asset=Asset("BNB"),
            occurred_at=trader.api.clock.now(),
        )
        for n in (1, 2)
    ]
    async with trader.api.services.accounts._database.begin() as unit:
        recorded = await unit.fills.record(fills, trader.api.clock.now())
    path = f"/api/exchange/orders/{order['id']}"
    assert (await body(await trader.api.get(path)))["fee"] is None

    async with trader.api.services.accounts._database.begin() as unit:
        await unit.orders.count_in(recorded, trader.api.clock.now())
    shown = await body(await trader.api.get(path))
    assert shown["fee"] == [{"asset": "BNB", "amount": "1", "value": None}]
    assert [fill["trade_id"] for fill in shown["fills"]] == ["2", "1"]

    trades = await body(await trader.api.get(f"/api/exchange/trades?order={order['id']}&limit=1"))
    assert [(one["trade_id"], one["order_id"]) for one in trades["items"]] == [("2", order["id"])]
    more = await body(
        await trader.api.get(f"/api/exchange/trades?limit=1&cursor={trades['next_cursor']}")
    )
    assert ([one["trade_id"] for one in more["items"]], more["next_cursor"]) == (["1"], None)


async def test_a_fill_and_every_state_of_an_order_come_over_the_websocket(trader: Trader) -> None:
    async with trader.api.client.ws_connect(f"{trader.api.url}/api/ws") as socket:
        await socket.send_json({"op": "auth", "token": trader.api.token})
        await socket.send_json({"op": "subscribe", "id": 1, "channels": ["orders", "fills"]})
        first = [(await socket.receive_json())["type"] for _ in range(3)]
        assert first == ["hello", "snapshot", "snapshot"]

        order = await trader.placed()
        said = await socket.receive_json()
        assert (said["ch"], said["data"][0]["id"]) == ("orders", order["id"])
        assert said["data"][0]["status"] == "prepared"

        account_id = AccountId(trader.account.id)
        trader.api.bus.publish(FillReceived(make_fill(7, account_id=account_id)))
        said = await socket.receive_json()
        assert (said["ch"], said["data"][0]["trade_id"]) == ("fills", "7")


async def test_a_reconciliation_is_asked_for_and_listed(trader: Trader) -> None:
    now = trader.api.clock.now()
    report = CycleReport(
        trader.account.id, "asked", now, now, CycleOutcome.DRIFT, 1, 0, 0, 0, 1, "BTC 0.5"
    )
    trader.api.synchronizer.cycle = report
    path = f"/api/exchange/accounts/{trader.account.id}"
    async with trader.api.services.accounts._database.begin() as unit:
        await unit.reconciliations.add(report)
    asked = (await body(await trader.api.post(f"{path}/reconcile")))["report"]
    (listed,) = (await body(await trader.api.get(f"{path}/reconciliations")))["items"]
    assert listed == asked
    assert (listed["outcome"], listed["detail"]) == ("drift", "BTC 0.5")
