"""The summary beyond the figures of now: change, residuals, and what was recorded over a span."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from alphapulse.api.schemas.base import stamp
from alphapulse.domain.account import Account
from alphapulse.domain.net_worth import Worth
from alphapulse.domain.sync import SyncKind
from alphapulse.domain.trading import AssetBook
from alphapulse.domain.valuation import USD
from tests.builders import make_fill
from tests.fixtures.api import RunningApi, body

SUMMARY = "/api/portfolio/summary"


@dataclass
class Past:
    """An account of which two days were recorded, that has traded, and does not add up."""

    api: RunningApi
    account: Account
    traded_at: datetime

    async def get(self, query: str = "", status: int = 200) -> Any:
        return await body(await self.api.get(f"{SUMMARY}{query}"), status)


@pytest.fixture
async def past(api: RunningApi) -> Past:
    await api.price("BTC/USD", "100")
    await api.price("ETH/USD", "1")
    account = await api.add_account("main", BTC="1", ETH="3")
    now = api.clock.now()
    traded_at = (now - timedelta(days=9)).replace(microsecond=0)
    hours = {48: "50", 24: "80", 1: "100", 0: "103"}
    worths = [
        Worth(
            account.id,
            USD,
            now - timedelta(hours=back),
            Decimal(value),
            unpriced=(),
            is_complete=True,
            is_gap=False,
            is_comparable=True,
        )
        for back, value in hours.items()
    ]
    book = AssetBook(
        account.id, "USDT", Decimal(98), now, Decimal(2), Decimal(95), now, off_by=Decimal(-5)
    )
    async with api.services.accounts._database.begin() as tx:
        await tx.net_worth.add(worths)
        await tx.fills.record([make_fill(1, account_id=account.id, occurred_at=traded_at)], now)
        await tx.reconciliations.replace_books(account.id, [book])
    recorder = api.services.facts._recorder
    recorder.currencies, recorder.revision = (USD,), recorder.revision + 1
    await api.services.facts.refresh()
    return Past(api, account, traded_at)


async def test_the_summary_says_how_the_value_changed(past: Past) -> None:
    change = (await past.get())["change"]

    assert change["1h"] == {"abs": "3", "pct": "3", "reason": None}
    assert (change["24h"]["abs"], change["24h"]["pct"]) == ("23", "28.75")
    assert change["7d"] == {"abs": None, "pct": None, "reason": "no_point_near"}


async def test_it_names_residuals_and_the_first_activity(past: Past) -> None:
    summary = await past.get()

    assert summary["residuals"] == [{"account": past.account.id, "asset": "USDT", "quantity": "-5"}]
    assert summary["first_activity_at"] == stamp(past.traded_at)


async def test_what_was_not_read_yet_is_null_and_named(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read_nothing() -> None:
        """The reading that goes on beside it would find the new account sooner or later."""

    monkeypatch.setattr(past.api.services.facts, "refresh", read_nothing)
    await past.api.add_account("new")

    summary = await past.get()

    (warning,) = [w for w in summary["meta"]["warnings"] if w["code"] == "not_available_yet"]
    assert {"change", "residuals", "first_activity_at"} <= set(warning["subject"])
    assert (summary["change"], summary["residuals"]) == (None, None)
    only = await past.get(f"?account={past.account.id}")
    assert only["change"]["1h"]["abs"] == "3"


async def test_performance_and_history_are_there_when_they_are_asked_for(past: Past) -> None:
    plain = await past.get()
    assert (plain["performance"], plain["history"], plain["net_deposits"]) == (None, None, None)

    query = "?include=performance&include=history&range=1d&interval=1h"
    summary = await past.get(query)

    assert summary["performance"]["twr"]["value"] == "0.03"
    assert [item["value"] for item in summary["history"]] == ["100", "103"]
    assert summary["net_deposits"] == "0"


async def test_net_deposits_are_unknown_before_the_recording_began(past: Past) -> None:
    summary = await past.get("?range=7d")

    assert summary["net_deposits"] is None
    assert "history_begins_later" in {one["code"] for one in summary["meta"]["warnings"]}


async def test_small_shares_are_left_out_of_the_allocation(past: Past) -> None:
    every = {share["key"] for share in (await past.get())["allocation"]}
    large = {share["key"] for share in (await past.get("?min_value=10"))["allocation"]}

    assert every - large == {"ETH"}


async def test_what_is_too_old_is_read_again_and_nobody_waits(past: Past) -> None:
    await past.get("?max_age_s=3600")
    assert past.api.synchronizer.synced == []

    await past.get("?max_age_s=0")
    assert past.api.synchronizer.synced == [(past.account.id, (SyncKind.BALANCES,))]


@pytest.mark.parametrize(
    "query",
    [
        "range=1d&to=2026-01-01",
        "from=2026-02-01&to=2026-01-01",
        "to=2001-01-01",
        "include=everything",
        "include=performance&benchmark=NOPE",
        "max_age_s=-1",
        "min_value=1e3",
    ],
)
async def test_what_cannot_be_asked_is_refused(past: Past, query: str) -> None:
    assert (await past.get(f"?{query}", 422))["code"] == "validation_failed"
