"""Rebalancing by the API, through the whole product, at the simulated exchange."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.money import total
from alphapulse.services.rebalancing.settings import RebalanceSettings
from alphapulse.simulator.simulator import Simulator
from tests.eventually import eventually
from tests.fixtures.product import WITHOUT_A_MARKET, messages
from tests.fixtures.trading import NO_LIMITS, Said, Trader, trading

PATH = "/api/portfolio/rebalance"


PAYS_FEES = "BNB"
"""What the venue takes fees from: all of it cannot be sold beside others."""


def aim(trader: Trader, **changes: Any) -> dict[str, Any]:
    """Half bitcoin, the rest dollars, at the market; everything is sold for that."""
    body: dict[str, Any] = {
        "targets": [{"asset": "BTC", "weight": "0.5"}],
        "rest_asset": "USDT",
        "accounts": [trader.account],
        "constraints": {"exclude": [WITHOUT_A_MARKET, PAYS_FEES]},
        "style": {"type": "market"},
    }
    return body | changes


async def planned(trader: Trader, **changes: Any) -> dict[str, Any]:
    status, _, plan = await trader.ask("POST", PATH, aim(trader, **changes))
    assert status == 200, plan
    return plan


async def refused(trader: Trader, status: int, code: str, body: dict[str, Any]) -> dict[str, Any]:
    """The problem of a request after which nothing may have reached the venue."""
    seen = trader.simulator.orders_seen
    found, _, problem = await trader.ask("POST", PATH, body, "refused")
    assert (found, problem["code"]) == (status, code), problem
    assert problem["fix"]
    assert trader.simulator.orders_seen == seen
    return problem


async def execute(trader: Trader, plan_id: str, key: str = "one") -> Said:
    return await trader.ask("POST", PATH, {"mode": "execute", "plan_id": plan_id}, key)


async def started(trader: Trader, **changes: Any) -> dict[str, Any]:
    """A run of a new plan."""
    plan = await planned(trader, **changes)
    status, _, run = await execute(trader, plan["plan_id"], plan["plan_id"])
    assert status == 202, run
    return run


async def show(trader: Trader, run: dict[str, Any]) -> dict[str, Any]:
    return await trader.product.get(f"{PATH}/{run['run_id']}")


async def ended(trader: Trader, run: dict[str, Any]) -> dict[str, Any]:
    """The run when it is over."""

    async def is_over() -> bool:
        return (await show(trader, run))["ended_at"] is not None

    await eventually(is_over, within_s=40)
    return await show(trader, run)


async def test_a_plan_is_executed_sells_first_and_only_once(
    database_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(database_settings, tmp_path, simulator, NO_LIMITS) as trader:
        plan = await planned(trader)
        phases = [trade["phase"] for trade in plan["trades"]]
        assert phases == sorted(phases, key=["sell", "buy"].index)
        assert set(phases) == {"sell", "buy"}
        weights = {line["asset"]: Decimal(line["weight"]) for line in plan["after"]}
        reasons = {one["asset"]: one["reason"] for one in plan["not_reachable"]}
        assert abs(weights["BTC"] - Decimal("0.5")) < Decimal("0.02")
        assert reasons["ADA"] == "locked"
        assert trader.simulator.orders_seen == 0
        assert await trader.product.get(f"{PATH}/plans/{plan['plan_id']}")

        async with trader.product.subscribed("rebalance") as ws:
            said = await asyncio.gather(
                *(execute(trader, plan["plan_id"], f"key {n}") for n in range(10))
            )
            assert {status for status, _, _ in said} == {202}
            (run_id,) = {run["run_id"] for _, _, run in said}
            done = await ended(trader, said[0][2])
            assert done["status"] == "done", done
            seen = set()
            async for message in messages(ws):
                for row in message.get("data", ()):
                    seen.add((row["id"], row["leg"] and row["leg"]["status"], row["run_status"]))
                if (run_id, None, "done") in seen:
                    break

        assert {one["status"] for one in done["orders"]} == {"filled"}
        assert {(f"{run_id}.1", "filled", "done")} <= seen
        assert simulator.orders_seen == len(plan["trades"])
        orders = [await trader.load(one["order_id"]) for one in done["orders"]]
        assert {order["origin"] for order in orders} == {"rebalance"}
        sold = max(order["closed_at"] for order in orders if order["side"] == "sell")
        assert all(order["created_at"] >= sold for order in orders if order["side"] == "buy")

        status, headers, again = await execute(trader, plan["plan_id"], "key 0")
        assert (status, again["run_id"]) == (202, run_id)
        assert headers["Idempotency-Replayed"] == "true"
        assert (await execute(trader, plan["plan_id"], "another"))[2]["status"] == "done"
        assert simulator.orders_seen == len(plan["trades"])
        listed = await trader.product.get(PATH)
        assert [one["run_id"] for one in listed["items"]] == [run_id]

        async def is_reached() -> bool:
            """The stream may still be telling what the last fills did to the balances."""
            return not (await planned(trader, tolerance={"absolute_pct": "2"}))["trades"]

        await eventually(is_reached)


async def test_what_cannot_be_meant_is_refused_with_its_field(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator, NO_LIMITS) as trader:
        half = {"asset": "BTC", "weight": "0.6"}
        for targets, field in (
            ([half, {"asset": "ETH", "weight": "0.6"}], "/targets"),
            ([{"asset": "NOSUCHCOIN", "weight": "0.5"}], "/targets/0/asset"),
            ([half, half], "/targets/1/asset"),
            ([], "/targets"),
        ):
            body = aim(trader, targets=targets)
            problem = await refused(trader, 422, "validation_failed", body)
            assert problem["errors"][0]["pointer"] == field
        body = aim(trader, rest_asset=None)
        await refused(trader, 422, "validation_failed", body)
        await refused(trader, 404, "not_found", aim(trader, accounts=["nobody"]))
        await refused(trader, 404, "not_found", {"mode": "execute", "plan_id": "none"})
        await refused(trader, 422, "validation_failed", {"mode": "execute"})

        plan = await planned(trader)
        status, _, problem = await trader.ask(
            "POST", PATH, {"mode": "execute", "plan_id": plan["plan_id"]}
        )
        assert (status, problem["code"]) == (400, "missing_idempotency_key")
        status, _, checked = await trader.ask(
            "POST", PATH, {"mode": "execute", "plan_id": plan["plan_id"], "dry_run": True}
        )
        assert (status, checked["plan_id"]) == (200, plan["plan_id"])
        assert simulator.orders_seen == 0


async def test_a_rule_makes_the_weights(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator, NO_LIMITS) as trader:
        rule = {"kind": "equal", "assets": ["BTC", "ETH", "SOL", "USDT"]}
        plan = await planned(trader, targets=[], rest_asset=None, rule=rule, dry_run=True)

        assert plan["plan_id"] is None
        targets = {line["asset"]: line["target"] for line in plan["before"]}
        assert {targets[asset] for asset in rule["assets"]} == {"0.25"}


LOTS = "/api/portfolio/lots"
OTHERS = ["ETH", "BNB", "SOL", "XRP", "ADA", "DOGE", "LTC", "LINK", "USDC", "ETHW"]


async def test_a_sale_shows_what_the_lots_that_it_takes_would_gain(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator, NO_LIMITS) as trader:
        await trader.placed(**trader.market(quantity="0.05"))

        async def sale(method: str) -> dict[str, Any]:
            """Of less bitcoin than was just bought."""
            body = {"method": method, "dry_run": True, "constraints": {"exclude": OTHERS}}
            targets = [{"asset": "BTC", "weight": "0.63"}]
            plan = await planned(trader, **body, targets=targets)
            assert plan["method"] == method
            one: dict[str, Any]
            (one,) = plan["trades"]
            assert (one["side"], Decimal(one["quantity"]) < Decimal("0.05")) == ("sell", True)
            warned = {warning["code"] for warning in plan["meta"]["warnings"]}
            assert ("gain_unknown" in warned) == (one["est_realized_pnl"] is None)
            return one

        async def lot(source: str) -> dict[str, Any] | None:
            page = await trader.product.get(LOTS, asset="BTC", account=trader.account)
            lots: list[dict[str, Any]] = page["items"]
            return next((one for one in lots if one["source"] == source), None)

        async def is_counted() -> bool:
            bought = await lot("trade")
            return bought is not None and (await sale("lifo"))["est_realized_pnl"] is not None

        await eventually(is_counted)
        bought, old = await lot("trade"), await lot("arrival")
        assert bought is not None
        assert old is not None
        assert old["cost"] is None
        _require_gain(await sale("lifo"), bought["unit_cost"])
        assert (await sale("fifo"))["est_realized_pnl"] is None

        said = {"account_id": trader.account, "lot_id": old["lot_id"], "cost": "17000"}
        status, _, problem = await trader.ask("POST", f"{LOTS}/repair", said)
        assert status == 202, problem

        async def is_repaired() -> bool:
            return (await sale("fifo"))["est_realized_pnl"] is not None

        await eventually(is_repaired)
        _require_gain(await sale("fifo"), str(17_000 / Decimal(old["left"])))


def _require_gain(sale: dict[str, Any], unit_cost: str) -> None:
    """Its value less what it costs to trade and what the lots cost, give or take the difference
    between the last price and the middle of bid and ask."""
    costs = Decimal(sale["est_fee"]) + Decimal(sale["est_spread_cost"])
    value = Decimal(sale["est_value"])
    gain = value - costs - Decimal(sale["quantity"]) * Decimal(unit_cost)
    assert abs(Decimal(sale["est_realized_pnl"]) - gain) < value / 200, (sale, unit_cost)


async def test_what_is_above_the_limit_of_an_order_goes_in_several_that_are_all_taken(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    limits = NO_LIMITS.model_copy(update={"max_order_value": Decimal(15_000)})
    async with trading(sqlite_settings, tmp_path, simulator, limits) as trader:
        plan = await planned(trader)
        sales = [one for one in plan["trades"] if one["symbol"] == "ETH/USDT"]
        assert len(sales) > 1
        assert all(Decimal(one["est_value"]) <= 15_000 for one in plan["trades"])
        codes = {warning["code"] for warning in plan["meta"]["warnings"]}
        assert "order_over_limit" not in codes

        status, _, run = await execute(trader, plan["plan_id"])
        assert status == 202, run
        done = await ended(trader, run)
        assert done["status"] == "done", done
        assert {one["status"] for one in done["orders"]} == {"filled"}
        assert simulator.orders_seen == len(plan["trades"])


async def test_a_plan_is_not_executed_when_something_changed_or_time_passed(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator, NO_LIMITS) as trader:
        plan, brief = await planned(trader), await planned(trader, ttl_s=1)
        order = {"mode": "execute", "plan_id": plan["plan_id"]}
        await trader.placed(**trader.market())
        await refused(trader, 409, "plan_changed", order)

        async def is_expired() -> bool:
            body = {"mode": "execute", "plan_id": brief["plan_id"], "dry_run": True}
            return (await trader.ask("POST", PATH, body))[0] == 410

        await eventually(is_expired)
        body = {"mode": "execute", "plan_id": brief["plan_id"]}
        await refused(trader, 410, "plan_expired", body)


async def test_nothing_is_planned_from_what_is_not_known(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator, NO_LIMITS) as trader:
        problem = await refused(
            trader, 503, "inputs_not_good", aim(trader, constraints={"exclude": []})
        )
        (error,) = problem["errors"]
        assert (error["pointer"], error["code"]) == (f"/{WITHOUT_A_MARKET}", "price_missing")

        simulator.faults.accept_then_time_out(venue="binance")
        await trader.place()

        async def is_settled() -> bool:
            return (await trader.ask("POST", PATH, aim(trader)))[0] == 200

        await eventually(is_settled)
        simulator.stop_venue("binance")

        async def is_stale() -> bool:
            _, _, problem = await trader.ask("POST", PATH, aim(trader))
            codes = {error["code"] for error in problem.get("errors", ())}
            return {"balances_stale", "price_stale"} <= codes

        await eventually(is_stale, within_s=40)
        simulator.start_venue("binance")
        await eventually(is_settled, within_s=40)


async def test_the_kill_switch_refuses_a_start_and_halts_a_run(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator, NO_LIMITS) as trader:
        plan = await planned(trader)
        await trader.product.post("/api/trading/halt", {"reason": "odd prices"})
        order = {"mode": "execute", "plan_id": plan["plan_id"]}
        await refused(trader, 423, "trading_halted", order)
        await trader.product.post("/api/trading/resume", {"reason": "they are right"})

        run = await started(trader, style=RESTING)
        await eventually(lambda: _has(trader, run, "sent"))
        await trader.product.post("/api/trading/halt", {"reason": "again"})
        await eventually(lambda: _is(trader, run, "halted"))
        status, _, problem = await trader.ask("POST", f"{PATH}/{run['run_id']}/resume")
        assert (status, problem["code"]) == (423, "trading_halted")
        await trader.product.post("/api/trading/resume", {"reason": "well"})
        status, _, shown = await trader.ask("POST", f"{PATH}/{run['run_id']}/resume")
        assert (status, shown["status"]) == (200, "running")
        await _stop(trader, run)


async def test_a_run_is_paused_resumed_and_stopped_and_no_second_one_starts(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator, NO_LIMITS) as trader:
        other = await planned(trader)
        run = await started(trader, style=RESTING)
        order = {"mode": "execute", "plan_id": other["plan_id"]}
        await eventually(lambda: _has(trader, run, "sent"))
        problem = await refused_in_any_case(trader, order)
        assert problem["code"] == "run_in_progress"

        path = f"{PATH}/{run['run_id']}"
        assert (await trader.ask("POST", f"{path}/pause"))[2]["status"] == "paused"
        status, _, problem = await trader.ask("POST", f"{path}/pause")
        assert (status, problem["code"]) == (409, "conflict")
        assert (await trader.ask("POST", f"{path}/resume"))[2]["status"] == "running"
        done = await _stop(trader, run)
        assert {one["status"] for one in done["orders"]} <= {"failed", "partly", "skipped"}
        status, _, problem = await trader.ask("POST", f"{path}/resume")
        assert (status, problem["code"]) == (409, "conflict")


SETS = "/api/portfolio/target-sets"


async def test_a_target_set_shows_its_drift_and_proposes_a_plan_without_trading(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    often = RebalanceSettings(drift_interval_s=0.5)
    async with trading(sqlite_settings, tmp_path, simulator, NO_LIMITS, rebalance=often) as trader:
        body = aim(trader, name="half and half", drift_threshold_pct="5")
        status, _, made = await trader.ask("POST", SETS, body)
        assert status == 201, made
        assert made["may_execute"] is False
        assert made["aim"]["targets"] == body["targets"]
        drift = {line["asset"]: Decimal(line["drift"]) for line in made["drift"]["lines"]}
        assert max(abs(one) for one in drift.values()) * 100 == Decimal(made["drift"]["max_pct"])
        assert abs(total([*drift.values()])) < Decimal("1e-6")
        status, _, problem = await trader.ask("POST", SETS, body)
        assert (status, problem["code"]) == (409, "conflict")

        path = f"{SETS}/{made['id']}"

        async def is_proposed() -> bool:
            return (await trader.product.get(path))["proposed_plan_id"] is not None

        await eventually(is_proposed)
        proposed = (await trader.product.get(path))["proposed_plan_id"]
        plan = await trader.product.get(f"{PATH}/plans/{proposed}")
        assert plan["target_set_id"] == made["id"]
        assert plan["trades"]
        assert simulator.orders_seen == 0

        wish = {"target_set_id": made["id"]}
        status, _, plan = await trader.ask("POST", PATH, wish)
        assert (status, plan["target_set_id"]) == (200, made["id"])
        await refused(trader, 422, "validation_failed", wish | {"targets": body["targets"]})
        await refused(trader, 404, "not_found", {"target_set_id": "none"})

        status, _, problem = await trader.ask("PUT", path, body | {"version": 9})
        assert (status, problem["code"]) == (409, "version_mismatch")
        status, _, changed = await trader.ask("PUT", path, body | {"version": 1, "name": "other"})
        assert (status, changed["version"], changed["name"]) == (200, 2, "other")
        listed = (await trader.product.get(SETS))["items"]
        assert [one["name"] for one in listed] == ["other"]
        assert (await trader.ask("DELETE", path))[0] == 204
        assert (await trader.ask("GET", path))[0] == 404


async def test_a_target_set_trades_by_itself_only_when_it_may(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    often = RebalanceSettings(drift_interval_s=0.5)
    async with trading(sqlite_settings, tmp_path, simulator, NO_LIMITS, rebalance=often) as trader:
        body = aim(trader, name="by itself", drift_threshold_pct="5", may_execute=True)
        status, _, made = await trader.ask("POST", SETS, body)
        assert status == 201, made

        async def has_run() -> bool:
            return bool((await trader.product.get(PATH))["items"])

        await eventually(has_run)
        (run,) = (await trader.product.get(PATH))["items"]
        assert (await ended(trader, run))["status"] == "done"

        async def is_near() -> bool:
            shown = await trader.product.get(f"{SETS}/{made['id']}")
            return Decimal(shown["drift"]["max_pct"]) < 5

        await eventually(is_near)


RESTING = {"type": "limit", "post_only": True, "offset_bps": "300", "step_timeout_s": 600}
"""Sales that wait far above the market."""


async def refused_in_any_case(trader: Trader, body: dict[str, Any]) -> dict[str, Any]:
    status, _, problem = await trader.ask("POST", PATH, body, "other")
    assert status == 409, problem
    return problem


async def _has(trader: Trader, run: dict[str, Any], status: str) -> bool:
    orders = (await show(trader, run))["orders"]
    return any(one["status"] == status for one in orders)


async def _is(trader: Trader, run: dict[str, Any], status: str) -> bool:
    return bool((await show(trader, run))["status"] == status)


async def _stop(trader: Trader, run: dict[str, Any]) -> dict[str, Any]:
    status, _, shown = await trader.ask("POST", f"{PATH}/{run['run_id']}/stop")
    assert (status, shown["is_stopping"]) == (200, True)
    done = await ended(trader, run)
    assert done["status"] == "stopped"
    return done
