"""Unmodified CCXT finds what moved an account's money at the simulated Binance."""

from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from alphapulse.simulator.core.candles import DAY_MS
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.treasury import Route
from alphapulse.simulator.settings import SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.ccxt_clients import ccxt_client
from tests.fixtures.simulator import QUICK

Ccxt = Any

LABEL = "binance-main"
LATER = Route(network="ETH", after_ms=DAY_MS)


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return QUICK.model_copy(update={"tls_port": 0, "is_paused": True})


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[Ccxt]:
    account = simulator.account(LABEL)
    async with ccxt_client(
        simulator, "binance", account, reach="tls", enableRateLimit=False
    ) as client:
        await client.load_markets()
        yield client


async def test_deposits_are_listed_with_their_state(client: Ccxt, simulator: Simulator) -> None:
    world = simulator.world
    done = world.deposit(LABEL, "SOL", Decimal("3.25"), Route(network="SOL", txid="5kJ"))
    pending = world.deposit(LABEL, "SOL", Decimal(4), LATER)
    failed = world.deposit(LABEL, "SOL", Decimal(5), LATER)
    world.fail(LABEL, failed.id)

    found = {one["id"]: one for one in await client.fetch_deposits("SOL")}

    first = found[str(done.id)]
    assert (first["txid"], first["network"], first["status"]) == ("5kJ", "SOL", "ok")
    assert (first["amount"], first["currency"], first["internal"]) == (3.25, "SOL", False)
    assert first["info"]["amount"] == "3.25000000"
    assert first["timestamp"] == done.created_ms
    assert found[str(pending.id)]["status"] == "pending"
    assert found[str(failed.id)]["info"]["status"] == 2


async def test_withdrawals_are_listed_with_their_fee_and_state(
    client: Ccxt, simulator: Simulator
) -> None:
    world, fee = simulator.world, Decimal("0.8")
    done = world.withdraw(LABEL, "USDT", Decimal(20), Route(txid="0x1"), fee=fee)
    world.withdraw(LABEL, "USDT", Decimal(21), LATER, fee=fee)
    failed = world.withdraw(LABEL, "USDT", Decimal(22), LATER, fee=fee)
    world.fail(LABEL, failed.id)

    found = {one["amount"]: one for one in await client.fetch_withdrawals("USDT")}

    assert {amount: one["status"] for amount, one in found.items()} == {
        20: "ok",
        21: "pending",
        22: "failed",
    }
    assert found[20]["fee"] == {"currency": "USDT", "cost": 0.8}
    assert (found[20]["txid"], found[21]["txid"]) == ("0x1", None)
    assert found[20]["timestamp"] == done.created_ms // 1000 * 1000


async def test_transfers_are_listed_in_both_wallets_under_one_number(
    client: Ccxt, simulator: Simulator
) -> None:
    made = await client.transfer("USDT", 12.5, "spot", "swap")
    simulator.world.transfer(LABEL, "USDT", Decimal("2.5"), Category.SPOT)

    out = await client.fetch_transfers("USDT", params={"fromAccount": "spot", "toAccount": "swap"})
    back = await client.fetch_transfers("USDT", params={"fromAccount": "swap"})
    income = await client.fapiprivate_get_income({"incomeType": "TRANSFER"})

    assert [(one["id"], one["amount"]) for one in out] == [(made["id"], 12.5)]
    assert [(one["fromAccount"], one["amount"]) for one in back] == [("linear", 2.5)]
    told = {str(one["tranId"]): one["income"] for one in income}
    assert told[made["id"]] == "12.50000000"
    assert told[back[0]["id"]] == "-2.50000000"
    nothing = await client.sapi_get_asset_transfer({"type": "MAIN_MARGIN"})
    assert nothing == {"total": 0}


async def test_dust_is_listed_asset_by_asset(client: Ccxt, simulator: Simulator) -> None:
    before = simulator.books(LABEL).balances["BNB"].total
    simulator.world.convert(LABEL, {"ADA": Decimal("1.5"), "XRP": Decimal("2.25")}, "BNB")
    came = simulator.books(LABEL).balances["BNB"].total - before

    trades = await client.fetch_my_dust_trades()
    (row,) = (await client.sapi_get_asset_dribblet())["userAssetDribblets"]

    assert {one["info"]["fromAsset"]: one["info"]["amount"] for one in trades} == {
        "ADA": "1.50000000",
        "XRP": "2.25000000",
    }
    assert Decimal(row["totalTransferedAmount"]) == came
    charge, net = Decimal(row["totalServiceChargeAmount"]), Decimal(row["totalTransferedAmount"])
    assert charge == pytest.approx((charge + net) / 50, abs=Decimal("2e-8"))


async def test_rewards_and_interest_are_dividends(client: Ccxt, simulator: Simulator) -> None:
    world = simulator.world
    world.reward(LABEL, "BNB", Decimal("0.125"), note="Launchpool")
    world.reward(LABEL, "USDT", Decimal("-0.00000031"), is_interest=True)

    answer = await client.sapi_get_asset_assetdividend({"limit": 1})
    everything = await client.sapi_get_asset_assetdividend({"limit": 500})

    assert (answer["total"], len(answer["rows"])) == (2, 1)
    told = [(r["asset"], r["amount"], r["enInfo"], r["direction"]) for r in everything["rows"]]
    assert told == [
        ("USDT", "0.00000031", "Interest", -1),
        ("BNB", "0.12500000", "Launchpool", 1),
    ]


Ask = Callable[[Ccxt, dict[str, int]], Awaitable[Any]]


@pytest.mark.parametrize(
    ("ask", "days"),
    [
        (lambda client, span: client.sapi_get_capital_deposit_hisrec(span), 90),
        (lambda client, span: client.sapi_get_capital_withdraw_history(span), 90),
        (lambda client, span: client.sapi_get_asset_assetdividend(span), 180),
    ],
)
async def test_range_that_is_too_long_is_refused(ask: Ask, days: int, client: Ccxt) -> None:
    end_ms = client.milliseconds()
    span = {"startTime": end_ms - days * DAY_MS, "endTime": end_ms}
    await ask(client, span)

    with pytest.raises(ccxt.BadRequest, match="-1127"):
        await ask(client, {**span, "startTime": span["startTime"] - 1})


async def test_lists_are_told_by_offset_and_limit(client: Ccxt, simulator: Simulator) -> None:
    for amount in range(1, 6):
        simulator.world.deposit(LABEL, "PEPE", Decimal(amount))

    async def told(**asked: int) -> list[str]:
        rows = await client.sapi_get_capital_deposit_hisrec({"coin": "PEPE", **asked})
        return [row["amount"][0] for row in rows]

    assert await told() == ["5", "4", "3", "2", "1"]
    assert await told(limit=2) == ["5", "4"]
    assert await told(limit=2, offset=2) == ["3", "2"]
