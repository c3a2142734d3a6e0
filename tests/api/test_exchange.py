"""Orders and balances at the exchanges, over HTTP."""

from dataclasses import replace

import pytest

from alphapulse.domain.account import AccountState
from alphapulse.domain.events import AccountChanged
from alphapulse.domain.sync import FillCursor, SyncKind
from alphapulse.security.rate_limit import Rate, RateLimiter
from tests.fixtures.api import RunningApi, body
from tests.fixtures.clock import HandClock


async def test_since_when_fills_are_known_is_null_and_listed_as_such(api: RunningApi) -> None:
    account = await api.add_account("main", BTC="1")
    async with api.services.accounts._database.begin() as unit:
        await unit.fill_cursors.save(account.id, FillCursor(None, "7"), complete=True)

    meta = (await body(await api.get("/api/exchange/orders")))["meta"]

    (coverage,) = meta["coverage"]
    assert (coverage["from"], coverage["to"], coverage["complete"]) == (None, None, True)
    (later,) = (w["subject"] for w in meta["warnings"] if w["code"] == "not_available_yet")
    assert "coverage.from" in later


async def test_waiting_for_a_reading_that_does_not_end_is_a_time_out(api: RunningApi) -> None:
    await api.add_account("quick", BTC="1")
    slow = await api.add_account("slow", BTC="2")
    api.synchronizer.silent.add(slow.id)

    problem = await body(await api.get("/api/exchange/balance?refresh=wait&wait_s=0.5"), 504)

    assert problem["code"] == "refresh_timed_out"
    assert problem["detail"] == "Not read within 0.5 s: slow."
    assert problem["fix"]


@pytest.mark.parametrize("refresh", ["none", "queue"])
async def test_whoever_does_not_wait_gets_the_last_good_data(api: RunningApi, refresh: str) -> None:
    slow = await api.add_account("slow", BTC="2")
    api.synchronizer.silent.add(slow.id)

    balance = await body(await api.get(f"/api/exchange/balance?refresh={refresh}"))

    assert balance["accounts"][0]["balances"][0]["total"] == "2"


async def test_a_refresh_leaves_out_the_accounts_that_are_paused(api: RunningApi) -> None:
    active = await api.add_account("active", BTC="1")
    paused = await api.add_account("paused", BTC="2")
    await api.publish(AccountChanged(replace(paused, state=AccountState.PAUSED)))

    balance = await body(await api.get("/api/exchange/balance?refresh=wait"))

    assert [account["id"] for account in balance["accounts"]] == [active.id, paused.id]
    assert api.synchronizer.synced == [(active.id, (SyncKind.BALANCES,))]


@pytest.mark.parametrize("refresh", ["queue", "wait"])
async def test_an_account_is_not_refreshed_again_and_again(
    api: RunningApi, clock: HandClock, refresh: str
) -> None:
    await api.add_account("main", BTC="1")
    other = await api.add_account("other", BTC="1")
    api.services.accounts._refreshes = RateLimiter(Rate(hits=2, window_s=60), clock)
    path = f"/api/exchange/balance?refresh={refresh}&account=binance-main"
    for _ in range(2):
        await body(await api.get(path))
    clock.advance(20)

    refused = await api.get(path)

    problem = await body(refused, 429)
    assert (problem["code"], problem["detail"]) == (
        "rate_limited",
        "The account main is refreshed too often.",
    )
    assert refused.headers["retry-after"] == "40"
    assert len(api.synchronizer.synced) == 2
    await body(await api.get(f"/api/exchange/balance?refresh={refresh}&account={other.id}"))
    clock.advance(40)
    await body(await api.get(path))
