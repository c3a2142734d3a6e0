"""`alphapulse rebalance` as a person and a program use it."""

from collections.abc import Iterator

import pytest

from tests.e2e.test_command_line import Demo, running_demo
from tests.eventually import eventually
from tests.fixtures.product import WITHOUT_A_MARKET


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One for all tests here, with its own orders."""
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo
        assert demo.stop() == 0


@pytest.fixture
def account(demo: Demo) -> str:
    items = demo.json("accounts")["items"]
    return next(str(one["id"]) for one in items if one["label"] == "bybit-unified")


def planning(account: str) -> tuple[str, ...]:
    """Within such a band only a little is traded."""
    options = ("--exclude", WITHOUT_A_MARKET, "--account", account, "--market", "--ttl", "600")
    return ("rebalance", "plan", "BTC=0.3", "--rest", "USDT", *options)


async def test_a_plan_is_shown_agreed_to_executed_and_watched(demo: Demo, account: str) -> None:
    async def is_planned() -> bool:
        return demo.run(*planning(account), "--json").returncode == 0

    await eventually(is_planned, within_s=40)
    shown = demo.run(*planning(account))
    assert "TARGET %" in shown.stdout
    assert "alphapulse rebalance execute plan-" in shown.stderr

    plan = demo.json(*planning(account))
    refused = demo.run("rebalance", "execute", plan["plan_id"], stdin="no\n")
    assert (refused.returncode, refused.stdout.count("run-")) == (1, 0)
    assert "not_agreed" in refused.stderr

    run = demo.json("rebalance", "execute", plan["plan_id"], "--yes")
    again = demo.json("rebalance", "execute", plan["plan_id"], "--yes")
    assert again["run_id"] == run["run_id"]

    def is_over() -> bool:
        return demo.json("rebalance", "status")["ended_at"] is not None

    await eventually(is_over, within_s=40)
    assert run["run_id"] in demo.run("rebalance", "status", run["run_id"]).stdout
    late = demo.run("rebalance", "stop", run["run_id"])
    assert (late.returncode, "conflict" in late.stderr) == (1, True)


async def test_what_is_no_target_is_said_before_anything_is_asked(demo: Demo) -> None:
    assert demo.run("rebalance", "plan", "BTC").returncode == 2
    refused = demo.run("rebalance", "plan", "BTC=2", "--rest", "USDT")
    assert "validation_failed" in refused.stderr


async def test_a_rule_is_named_with_its_assets(demo: Demo, account: str) -> None:
    options = ("--account", account, "--exclude", WITHOUT_A_MARKET, "--market")

    async def is_planned() -> bool:
        rule = ("--rule", "equal", "--assets", "btc,eth,sol,usdt", "--cap", "0.4")
        return demo.run("rebalance", "plan", *rule, *options, "--json").returncode == 0

    await eventually(is_planned, within_s=40)
    lone = demo.run("rebalance", "plan", "--rule", "risk_parity", *options)
    assert "--assets BTC,ETH" in lone.stderr
    by_risk = ("--rule", "risk_parity", "--assets", "BTC,ETH", "--lookback", "25")
    shown = demo.run("rebalance", "plan", *by_risk, *options, "--method", "hifo")
    assert "RISK %" in shown.stdout, shown.stderr
    shares = [line.split()[:3:2] for line in shown.stdout.splitlines()[1:3]]
    assert shares == [["BTC", "50.00"], ["ETH", "50.00"]]
    assert "From 25 bars of 1d" in " ".join(shown.stderr.split())
    past = ("--rule", "risk_parity", "--assets", "BTC,ETH", "--lookback", "980")
    refused = demo.run("rebalance", "plan", *past, *options)
    assert "inputs_not_good" in refused.stderr
    assert "of 981 closed bars of 1d" in " ".join(refused.stderr.split())
