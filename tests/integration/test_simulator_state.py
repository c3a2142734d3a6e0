"""Accounts of the simulated exchange live on between two runs."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alphapulse.domain.order import Side
from alphapulse.errors import ConfigurationInvalid
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.candles import HOUR_MS
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.order import OrderKind, OrderRequest, OrderState, TimeInForce
from alphapulse.simulator.core.treasury import Route
from alphapulse.simulator.core.trigger import Trail, TriggerRequest
from alphapulse.simulator.settings import SimulatedAccountSettings, SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.eventually import eventually
from tests.fixtures.simulator import QUICK
from tests.plain_binance import plain_binance

LABELS = ("binance-main", "binance-second", "bybit-unified")
SWAP = "BTC/USDT:USDT"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


@pytest.fixture
def settings(path: Path) -> SimulatorSettings:
    return QUICK.model_copy(update={"state_file": path, "is_paused": True})


@asynccontextmanager
async def running(settings: SimulatorSettings) -> AsyncIterator[Simulator]:
    async with Simulator.running(settings) as simulator:
        yield simulator


def account(simulator: Simulator, label: str) -> Account:
    return simulator.world.venues[simulator.account(label).venue].accounts[label]


def picture(simulator: Simulator) -> dict[str, Any]:
    """Everything that a client can ask about each account, and whose the keys are."""
    pictures = {}
    for label in LABELS:
        books, known = simulator.books(label), account(simulator, label)
        pictures[label] = {
            "key": simulator.account(label),
            "balances": books.balances,
            "positions": list(known.positions.items()),
            "open": [vars_of(order) for order in known.open_orders.values()],
            "final": [vars_of(order) for order in known.final_orders],
            "fills": list(known.fills),
            "leverage": known.leverage,
            "crossings": list(simulator.world.crossings(label)),
            "ledger": list(simulator.world.venues[books.venue].ledger.all_entries(label)),
        }
    return pictures


def vars_of(order: Any) -> dict[str, Any]:
    return {name: getattr(order, name) for name in type(order).__slots__}


def arrange(simulator: Simulator) -> None:
    """Orders of every sort on top of what the demo accounts have."""
    world = simulator.world
    world.trade("bybit-unified", "BTC/USDT", Side.BUY, Decimal("0.01"))
    world.trade("bybit-unified", SWAP, Side.SELL, Decimal("0.05"))
    world.settle_funding("bybit")
    later = Route("ETH", after_ms=10**9)
    world.send("bybit-unified", "binance-main", "USDT", Decimal(50), later, fee=Decimal("0.4"))
    world.transfer("binance-main", "USDT", Decimal(20), Category.LINEAR)
    world.convert("binance-main", {"ADA": Decimal("1.5")}, "BNB")
    world.reward("binance-second", "EUR", Decimal("0.07"), note="Simple Earn", is_interest=True)
    venue = world.venues["bybit"]
    mine = account(simulator, "bybit-unified")
    spot, swap = world.market("bybit", "BTC/USDT"), world.market("bybit", SWAP)
    far = spot.instrument.price(spot.instrument.ticks(spot.mark_price / 2))
    wanted = OrderRequest(Side.BUY, OrderKind.LIMIT, Decimal("0.01"), limit_price=far)
    until = {"time_in_force": TimeInForce.GTD, "expires_ms": venue.clock.now_ms() + 10**9}
    venue.place(mine, spot, wanted)
    venue.place(mine, spot, OrderRequest(**{**fields(wanted), **until}))
    stop = TriggerRequest(far, ends_with_position=True)
    venue.place(
        mine, swap, OrderRequest(Side.SELL, OrderKind.MARKET, trigger=stop, close_position=True)
    )
    trail = TriggerRequest(trail=Trail(bips=500), locks_funds=True)
    venue.place(
        mine, spot, OrderRequest(Side.SELL, OrderKind.MARKET, Decimal("0.02"), trigger=trail)
    )
    venue.terms.set_leverage(mine, swap.instrument, Decimal(20))


def fields(request: OrderRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in OrderRequest.__slots__}


async def test_second_run_goes_on_where_the_first_one_ended(
    settings: SimulatorSettings,
) -> None:
    async with running(settings) as first:
        arrange(first)
        before = picture(first)
        numbers = first.world.venues["bybit"].numbers
    async with running(settings) as second:
        after = picture(second)
        mine = account(second, "bybit-unified")
        placed = second.world.trade("bybit-unified", "BTC/USDT", Side.BUY, Decimal("0.01"))
        charges = second.world.venues["bybit"].funding_charges(mine)

    assert after == before
    assert any(charges)
    assert placed.id >= numbers.next_order_id
    assert placed.fills[0].trade_id > numbers.tape["spot BTCUSDT"][0]


async def test_money_that_was_under_way_arrives_after_a_restart(
    settings: SimulatorSettings,
) -> None:
    async with running(settings) as first:
        sent, _ = first.world.send(
            "bybit-unified", "binance-main", "ETH", Decimal(1), Route(after_ms=HOUR_MS)
        )
        before = first.books("binance-main").balances["ETH"].total
    async with running(settings) as second:
        assert second.books("binance-main").balances["ETH"].total == before
        arriving = second.world.crossings("binance-main")[-1]
        assert arriving.txid == sent.txid
        arriving.due_ms = 0
        second.world.venues["binance"].advance()
        made = second.world.deposit("binance-main", "ETH", Decimal(2))

        assert second.books("binance-main").balances["ETH"].total == before + 3
        assert made.id > arriving.id


async def test_orders_of_the_first_run_trade_expire_and_cancel_in_the_second(
    settings: SimulatorSettings,
) -> None:
    async with running(settings) as first:
        arrange(first)
        known = account(first, "bybit-unified").open_orders.values()
        waiting = {(o.time_in_force, o.kind, o.trigger is not None): o.id for o in known}
    async with running(settings) as second:
        mine = account(second, "bybit-unified")
        venue = second.world.venues["bybit"]
        spot = second.world.market("bybit", "BTC/USDT")
        for share in ("0.99", "0.96", "0.9"):
            for symbol in ("BTC/USDT", SWAP):
                price = second.world.market("bybit", symbol).mark_price * Decimal(share)
                second.world.set_price("bybit", symbol, price)
        trailed = mine.orders_by_id[waiting[TimeInForce.GTC, OrderKind.MARKET, True]]
        resting = mine.orders_by_id[waiting[TimeInForce.GTD, OrderKind.LIMIT, False]]
        canceled = venue.cancel(mine, resting)

    assert trailed.trigger is not None
    assert trailed.state is OrderState.FILLED or trailed.close_position
    assert spot.book.lots_of(resting.id) == 0
    assert canceled.state is OrderState.CANCELED
    assert mine.wallet.locked("USDT") >= 0


async def test_no_atom_is_lost_between_two_runs(settings: SimulatorSettings) -> None:
    async with running(settings) as first:
        arrange(first)
        before = {name: circulation(first, name) for name in ("USDT", "BTC", "ETH")}
    async with running(settings) as second:
        after = {name: circulation(second, name) for name in before}

    assert after == before


def circulation(simulator: Simulator, asset: str) -> int:
    venue = simulator.world.venues["bybit"]
    everybody = [*venue.accounts.values(), venue.house]
    total = sum(a.wallet[asset].total for a in everybody) + venue.fees[asset].total
    for someone in everybody:
        for position in someone.positions.values():
            if position.instrument.quote == asset:
                total -= position.entry_atoms * (1 if position.lots > 0 else -1)
    return total


async def test_file_is_written_soon_after_a_change(settings: SimulatorSettings, path: Path) -> None:
    async with running(settings) as simulator:
        simulator.world.deposit("bybit-unified", "DOGE", Decimal("123.456"))
        await eventually(lambda: saved_free(path, "DOGE") == Decimal("123.456"))


def saved_free(path: Path, asset: str) -> Decimal:
    """Straight from the file, where amounts are texts."""
    state = json.loads(path.read_text())
    accounts = {one["label"]: one for one in state["venues"]["bybit"]["accounts"]}
    free, _ = accounts["bybit-unified"]["wallet"].get(asset, ("0", "0"))
    assert isinstance(free, str)
    return Decimal(free)


async def test_account_that_the_file_does_not_know_begins_with_its_deposits(
    settings: SimulatorSettings,
) -> None:
    async with running(settings):
        pass
    late = SimulatedAccountSettings(venue="bybit", label="late", deposits={"USDT": Decimal(5)})
    more = settings.model_copy(update={"accounts": (*settings.accounts, late)})
    async with running(more) as simulator:
        books = simulator.books("late")

    assert books.balances["USDT"].free == 5


async def test_key_of_the_first_run_opens_the_account_in_the_second(
    settings: SimulatorSettings,
) -> None:
    async with running(settings) as first:
        known = first.account("binance-main")
    async with running(settings) as second, plain_binance(second) as client:
        answer = await client.signed("GET", "/api/v3/account")

    assert second.account("binance-main") == known
    assert answer["accountType"] == "SPOT"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "cannot be used"),
        ("{}", "version"),
        ('{"version": 99, "venues": {}}', "version 99"),
        ('{"version": 1, "venues": {"mtgox": 1}}', "cannot be used"),
        ('{"version": 1', "cannot be used"),
    ],
)
async def test_file_that_is_no_state_is_named_and_left_alone(
    content: str, words: str, settings: SimulatorSettings, path: Path
) -> None:
    path.write_text(content)

    with pytest.raises(ConfigurationInvalid, match=words) as refused:
        async with running(settings):
            pass

    assert refused.value.facts["file"] == str(path)
    assert path.read_text() == content


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
async def test_file_that_was_cut_is_refused(
    share: float, settings: SimulatorSettings, path: Path
) -> None:
    async with running(settings):
        pass
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])

    with pytest.raises(ConfigurationInvalid, match="cannot be used"):
        async with running(settings):
            pass


async def test_file_of_other_grids_is_refused(settings: SimulatorSettings, path: Path) -> None:
    async with running(settings):
        pass
    state = json.loads(path.read_text())
    state["venues"]["bybit"]["grids"]["spot BTCUSDT"] = ["0.5", "1"]
    path.write_text(json.dumps(state))

    with pytest.raises(ConfigurationInvalid, match="other ticks and lots"):
        async with running(settings):
            pass


def test_state_needs_a_market_that_lives_now(path: Path) -> None:
    with pytest.raises(ValidationError, match="state_file"):
        SimulatorSettings(state_file=path, speed=10)
