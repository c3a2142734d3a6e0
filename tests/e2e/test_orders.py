"""Orders by the API, through the whole product, at the simulated exchange."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alphapulse.database.settings import DatabaseSettings
from alphapulse.simulator.simulator import Simulator
from tests.eventually import eventually
from tests.fixtures.trading import NO_LIMITS, Trader, trading


async def test_an_order_is_placed_shown_changed_and_canceled(
    database_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(database_settings, tmp_path, simulator) as trader:
        order = await trader.placed()

        assert (order["status"], order["origin"], order["poll"]) == ("open", "alphapulse", None)
        assert all(check["ok"] for check in order["checks"])
        assert order["exchange_order_id"]
        assert order["latency_ms"]["ack"] >= 0
        shown = await trader.load(order["id"])
        assert [event["status"] for event in shown["events"]] == ["prepared", "sending", "open"]
        assert trader.log.seen == simulator.orders_seen == 1

        path = f"/api/exchange/orders/{order['id']}"
        status, _, changed = await trader.ask("PATCH", path, {"limit_price": trader.price("0.97")})
        assert (status, changed["status"], changed["replaced_id"]) == (200, "open", order["id"])
        assert (await trader.load(order["id"]))["status"] == "canceled"

        path = f"/api/exchange/orders/{changed['id']}"
        status, _, canceled = await trader.ask("DELETE", path)
        assert (status, canceled["status"]) == (200, "canceled")


async def test_an_order_that_is_filled_is_told_with_its_fills_and_fee(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator) as trader:
        _, _, preview = await trader.place(**trader.market(validate_only=True))
        assert preview["ok"], preview
        assert Decimal(preview["est_slippage_pct"]) >= 0
        order = await trader.placed(**trader.market())

        async def is_known() -> bool:
            shown = await trader.load(order["id"])
            assert shown["status"] == "filled"
            (fee,) = shown["fee"]
            fills = (await trader.product.get("/api/exchange/trades", order=order["id"]))["items"]
            assert {fill["order_id"] for fill in fills} == {order["id"]}
            return bool(fee["amount"])

        await eventually(is_known)


async def test_fifty_repeats_are_one_order_also_after_a_restart(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator) as trader:
        order = trader.order()
        ask = ("POST", "/api/exchange/order", order, "one and the same")
        answers = await asyncio.gather(*(trader.ask(*ask) for _ in range(50)))
        account = trader.account

    assert {status for status, _, _ in answers} <= {201, 409}
    first = next(said for status, _, said in answers if status == 201)
    assert simulator.orders_seen == 1

    async with trading(sqlite_settings, tmp_path, simulator, account=account) as trader:
        status, headers, said = await trader.ask(*ask)
        assert (status, said, headers["Idempotency-Replayed"]) == (201, first, "true")
        assert simulator.orders_seen == 1


async def test_an_order_whose_answer_is_lost_is_found_and_not_sent_again(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator) as trader:
        simulator.faults.accept_then_time_out(venue="binance")
        status, _, order = await trader.place()

        # Its own stream may have told of it before the answer was given up.
        assert (status, order["status"]) in {(202, "unknown"), (201, "open")}

        async def is_found() -> bool:
            return bool((await trader.load(order["id"]))["status"] == "open")

        await eventually(is_found)
        assert trader.log.seen == simulator.orders_seen == 1


@pytest.mark.parametrize("label", ["binance-main", "bybit-unified"])
async def test_every_kind_of_order_is_taken_by_each_exchange(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator, label: str
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator, NO_LIMITS, label) as trader:
        price, low = trader.price, trader.price("0.98").partition(".")[0]
        spot: list[dict[str, Any]] = [
            {},
            {"post_only": True},
            {"time_in_force": "ioc", "limit_price": price("1.01")},
            {"time_in_force": "fok", "limit_price": price("1.01")},
            trader.market(),
            trader.market(quantity=None, quote_quantity="100"),
            {"type": "stop", "limit_price": None, "stop_price": price("1.02")},
            {"type": "stop_limit", "limit_price": price("1.03"), "stop_price": price("1.02")},
        ]
        for order in spot:
            await trader.placed(allow_duplicate=True, **order)

        contract = {"symbol": "BTC/USDT:USDT", "leverage": "5", "quantity": "0.01"}
        opened = await trader.placed(**trader.market(**contract))
        perpetual: list[dict[str, Any]] = [
            {"limit_price": low, "margin_mode": "cross"},
            trader.market(side="sell", reduce_only=True, leverage=None),
        ]
        for order in perpetual:
            await eventually(lambda: _has_position(trader))
            await trader.placed(**(contract | order))
        assert opened["reduce_only"] is False


async def _has_position(trader: Trader) -> bool:
    found = await trader.product.get(
        "/api/portfolio/positions", account=trader.account, type="perp"
    )
    positions = found["items"]
    return "BTC/USDT:USDT" in {position["symbol"] for position in positions}


# Bad input: a problem with the limit in it, and nothing was sent.


async def test_what_no_market_takes_is_never_sent(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator) as trader:
        problem = await trader.refused(422, "below_min_notional", quantity="0.00001")
        assert problem["limit"]["check"] == "min_notional"
        assert Decimal(problem["limit"]["limit"]) > Decimal(problem["limit"]["value"])

        problem = await trader.refused(422, "bad_step", quantity="0.001000001")
        assert problem["limit"]["check"] == "quantity_step"
        assert problem["limit"]["limit"] in problem["detail"]

        problem = await trader.refused(422, "bad_step", limit_price=trader.price() + "001")
        assert problem["limit"]["check"] == "limit_price_step"

        problem = await trader.refused(404, "not_found", symbol="NOSUCH/USDT")
        assert "NOSUCH/USDT" in problem["detail"]

        problem = await trader.refused(422, "price_band", limit_price=trader.price("0.9"))
        assert problem["limit"]["limit"] == "5"
        assert Decimal(problem["limit"]["value"]) > 5


@pytest.mark.parametrize("quantity", ["0", "-0.001", "1" * 40, "NaN", "1e-3"])
async def test_a_quantity_that_is_none_is_never_sent(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator, quantity: str
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator) as trader:
        problem = await trader.refused(422, "validation_failed", quantity=quantity)
        assert problem["errors"][0]["pointer"] == "/quantity"


async def test_what_the_account_has_not_is_never_sent(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator, NO_LIMITS) as trader:
        problem = await trader.refused(422, "insufficient_free_balance", quantity="1000")
        free = simulator.books(trader.label).balances["USDT"].free
        assert Decimal(problem["limit"]["limit"]) == free


async def test_a_key_that_may_only_read_is_refused_before_the_send(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator) as trader:
        simulator.world.permit(trader.label, trade=False)
        await trader.product.post(f"/api/exchange/accounts/{trader.account}/test", {})
        problem = await trader.refused(403, "read_only_key")
        assert problem["limit"]["check"] == "key_may_trade"


async def test_nothing_is_sent_while_trading_is_halted_also_after_a_restart(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator) as trader:
        await trader.product.post("/api/trading/halt", {"reason": "odd prices"})
        await trader.refused(423, "trading_halted")
        account = trader.account
    async with trading(sqlite_settings, tmp_path, simulator, account=account) as trader:
        await trader.refused(423, "trading_halted")
        await trader.product.post("/api/trading/resume", {"reason": "they are right"})
        await trader.placed()


async def test_nothing_is_sent_without_a_key(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator) as trader:
        status, _, problem = await trader.ask("POST", "/api/exchange/order", trader.order())
        assert (status, problem["code"]) == (400, "missing_idempotency_key")
        assert trader.log.seen == 0


async def test_nothing_is_sent_by_an_old_price(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    brief = NO_LIMITS.model_copy(update={"max_price_age_s": Decimal(2)})
    async with trading(sqlite_settings, tmp_path, simulator, brief) as trader:
        order = trader.order(validate_only=True)
        simulator.stop_venue("binance")

        async def is_good() -> bool:
            _, _, preview = await trader.ask("POST", "/api/exchange/order", order)
            return all(one["ok"] for one in preview["checks"] if one["name"] == "price_age")

        async def is_old() -> bool:
            return not await is_good()

        await eventually(is_old)
        problem = await trader.refused(422, "price_not_good")
        assert problem["limit"]["limit"] == "2"
        assert Decimal(problem["limit"]["value"]) > 2

        simulator.start_venue("binance")
        await eventually(is_good)
