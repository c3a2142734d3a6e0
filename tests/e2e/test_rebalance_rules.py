"""Weights by risk through the whole product, from the candles of the simulated exchange."""

import statistics
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from alphapulse.database.settings import DatabaseSettings
from alphapulse.simulator.settings import GeneratorSettings, SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.e2e.test_rebalance import SETS, aim, planned, refused
from tests.eventually import eventually
from tests.fixtures.simulator import QUICK
from tests.fixtures.trading import NO_LIMITS, trading

ASSETS = ["BTC", "ETH", "SOL"]
RULE = {"kind": "inverse_volatility", "assets": ASSETS, "lookback_days": 1, "timeframe": "1h"}


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    """With a past of 27 hours: a day of hourly returns needs 25 closes."""
    return QUICK.model_copy(update={"driver": GeneratorSettings(history_minutes=27 * 60)})


def by(**changes: Any) -> dict[str, Any]:
    return {"targets": [], "rest_asset": None, "rule": RULE | changes}


async def told(simulator: Simulator, rule: dict[str, Any], asset: str) -> list[float]:
    """What the venue itself says of the closes between both ends of the rule's window."""
    since, until = (datetime.fromisoformat(rule[end]).timestamp() for end in ("since", "until"))
    url = f"{simulator.url}/api.binance.com/api/v3/klines"
    query = {"symbol": f"{asset}USDT", "interval": "1h", "limit": "1000"}
    async with aiohttp.ClientSession() as client, client.get(url, params=query) as answer:
        rows = await answer.json()
    return [float(row[4]) for row in rows if since <= (row[6] + 1) / 1000 <= until]


async def test_weights_by_risk_are_made_of_closed_bars_that_are_shown_beside_them(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator, NO_LIMITS) as trader:
        plan = await planned(trader, **by())
        rule = plan["rule"]
        assert (rule["kind"], rule["timeframe"], rule["bars"]) == ("inverse_volatility", "1h", 24)
        # No simulated market trades dollars, so the past is told in the quote of the markets.
        assert (rule["currency"], plan["meta"]["currency"]) == ("USDT", "USD")
        assert "rule_in_other_currency" in {one["code"] for one in plan["meta"]["warnings"]}

        deviations = {}
        for line in rule["assets"]:
            closes = await told(simulator, rule, line["asset"])
            assert len(closes) == 25
            assert line["source"] == f"binance:{line['asset']}/USDT"
            assert float(line["first_close"]) == closes[0]
            assert float(line["last_close"]) == closes[-1]
            deviation = statistics.stdev(b / a - 1 for a, b in pairwise(closes))
            assert float(line["volatility_pct"]) == pytest.approx(100 * deviation, abs=1e-5)
            deviations[line["asset"]] = deviation
        whole = sum(1 / one for one in deviations.values())
        weights = {line["asset"]: Decimal(line["weight"]) for line in rule["assets"]}
        assert sum(weights.values()) == 1
        for asset, deviation in deviations.items():
            assert float(weights[asset]) == pytest.approx(1 / deviation / whole, abs=1e-7)
        targets = {line["asset"]: Decimal(line["target"]) for line in plan["before"]}
        assert {asset: targets[asset] for asset in ASSETS} == weights
        assert plan["trades"]

        parity = (await planned(trader, **by(kind="risk_parity"), dry_run=True))["rule"]
        shares = [Decimal(line["risk_share"]) for line in parity["assets"]]
        assert max(abs(share - Decimal(1) / 3) for share in shares) < Decimal("1e-6")

        capped = (await planned(trader, **by(cap="0.35"), dry_run=True))["rule"]
        assert max(Decimal(line["weight"]) for line in capped["assets"]) == Decimal("0.35")

        kept = await trader.product.get(f"/api/portfolio/rebalance/plans/{plan['plan_id']}")
        assert kept["rule"] == rule
        body = {"mode": "execute", "plan_id": plan["plan_id"], "dry_run": True}
        status, _, checked = await trader.ask("POST", "/api/portfolio/rebalance", body)
        assert (status, checked["rule"]) == (200, rule)


async def test_a_past_that_is_not_there_refuses_the_plan(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator, NO_LIMITS) as trader:
        # Longer than any simulated past is.
        long = by(kind="risk_parity", lookback_days=980, timeframe="1d")
        problem = await refused(trader, 503, "inputs_not_good", aim(trader, **long))
        said = [(one["pointer"], one["code"]) for one in problem["errors"]]
        assert said == [(f"/{asset}", "past_too_short") for asset in ASSETS]
        assert "of 981 closed bars of 1d" in problem["errors"][0]["detail"]

        for wrong, field in (
            ({"lookback_days": 100}, "/rule/lookback_days"),
            ({"timeframe": "1d"}, "/rule/lookback_days"),
            ({"assets": ["BTC", "NOSUCHCOIN"]}, "/rule/assets"),
            ({"assets": ["BTC", "USDT"]}, "/rule/assets"),
            ({"cap": "0.3"}, "/rule/cap"),
        ):
            problem = await refused(trader, 422, "validation_failed", aim(trader, **by(**wrong)))
            assert problem["errors"][0]["pointer"] == field


async def test_a_target_set_keeps_its_rule_and_drifts_from_what_it_says_now(
    sqlite_settings: DatabaseSettings, tmp_path: Path, simulator: Simulator
) -> None:
    async with trading(sqlite_settings, tmp_path, simulator, NO_LIMITS) as trader:
        body = aim(trader, name="by risk", **by(kind="risk_parity", cap="0.9"))
        status, _, made = await trader.ask("POST", SETS, body)
        assert status == 201, made
        assert made["aim"]["rule"] == RULE | {"kind": "risk_parity", "cap": "0.9"}
        assert made["drift"]["unknown"] is None

        async def agrees() -> bool:
            """An hour may end between the two."""
            shown = await trader.product.get(f"{SETS}/{made['id']}")
            targets = {line["asset"]: line["target"] for line in shown["drift"]["lines"]}
            wish = {"target_set_id": made["id"]}
            status, _, plan = await trader.ask("POST", "/api/portfolio/rebalance", wish)
            assert status == 200, plan
            weights = {line["asset"]: line["weight"] for line in plan["rule"]["assets"]}
            return weights == {asset: targets[asset] for asset in ASSETS}

        await eventually(agrees)
        far = aim(trader, name="too far back", **by(lookback_days=980, timeframe="1d"))
        status, _, other = await trader.ask("POST", SETS, far)
        assert status == 201, other
        assert other["drift"]["max_pct"] is None
        assert "closed bars of 1d" in other["drift"]["unknown"]
