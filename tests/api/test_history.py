"""Net worth over time and performance over HTTP: what was recorded, and nothing else."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from alphapulse.api.schemas.base import stamp
from alphapulse.domain.account import Account
from alphapulse.domain.cash_flow import CashFlow, FlowKind
from alphapulse.domain.identifiers import Asset, Symbol
from alphapulse.domain.ledger import entry_of_flow
from alphapulse.domain.market import Candle, Timeframe
from alphapulse.domain.net_worth import Worth, WorthFlow
from alphapulse.domain.valuation import USD
from tests.builders import BINANCE
from tests.eventually import eventually
from tests.fixtures.api import RunningApi, body

HISTORY = "/api/portfolio/history"
PERFORMANCE = "/api/portfolio/performance"
DAY = timedelta(days=1)


@dataclass
class Recorded:
    """An API with a user whose account has forty recorded days, a deposit on one of them."""

    api: RunningApi
    account: Account
    ends_at: datetime

    async def get(
        self, path: str, status: int = 200, since: datetime | None = None, **query: Any
    ) -> Any:
        """Up to the end of what was recorded, unless the query says otherwise."""
        if not query.keys() & {"range", "to"}:
            query["to"] = stamp(self.ends_at)
            query.setdefault("from", stamp(since or self.ends_at - 41 * DAY))
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return await body(await self.api.get(f"{path}?{text}"), status)


def worth(account: Account, at: datetime, value: str | None, *, is_gap: bool = False) -> Worth:
    known = None if value is None else Decimal(value)
    return Worth(account.id, USD, at, known, (), known is not None, is_gap, is_comparable=True)


@pytest.fixture
async def recorded(api: RunningApi) -> Recorded:
    account = await api.add_account("main", BTC="1")
    ends_at = api.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    start = ends_at - 40 * DAY
    deposited_at = start + 20 * DAY
    told = CashFlow(
        account.id, BINANCE, "1", FlowKind.DEPOSIT, Asset("USDT"), Decimal(900), deposited_at
    )
    days = [start + day * DAY for day in range(40)]
    # A hundred that gains a tenth of a percent on even days and loses it on odd ones.
    values = [f"{100 + (index % 2) / 10 + (900 if index >= 20 else 0)}" for index in range(40)]
    moments = [worth(account, *pair) for pair in zip(days, values, strict=True)]
    moments.append(worth(account, deposited_at - timedelta(milliseconds=1), "100"))
    async with api.services.accounts._database.begin() as tx:
        await tx.ledger.record([entry_of_flow(told)], api.clock.now())
        entry = await tx.ledger.newest_id()
        await tx.net_worth.add(moments)
        flow = WorthFlow(entry, account.id, USD, deposited_at, Decimal(900), is_seen=True)
        await tx.net_worth.add_flows([flow])
    return Recorded(api, account, ends_at)


async def test_history_has_a_sample_for_each_interval_with_what_came_in(recorded: Recorded) -> None:
    history = await recorded.get(HISTORY, interval="1d")

    assert (history["interval"], history["meta"]["currency"]) == ("1d", "USD")
    assert len(history["items"]) == 40
    flows = [Decimal(item["net_flow"]) for item in history["items"]]
    assert [flow for flow in flows if flow] == [900]
    assert history["items"][20]["value"] == "1000"
    assert not any(item["gap"] for item in history["items"])
    assert history["meta"]["complete"] is True


async def test_an_interval_that_makes_a_good_chart_is_chosen(recorded: Recorded) -> None:
    assert (await recorded.get(HISTORY))["interval"] == "4h"
    since = recorded.ends_at - 2 * DAY
    assert (await recorded.get(HISTORY, since=since))["interval"] == "15m"


async def test_what_was_not_watched_or_not_known_is_shown_as_that(recorded: Recorded) -> None:
    at = recorded.ends_at - DAY / 2
    later = at + timedelta(minutes=5)
    async with recorded.api.services.accounts._database.begin() as tx:
        await tx.net_worth.add(
            [
                worth(recorded.account, at, "5", is_gap=True),
                worth(recorded.account, later, None),
            ]
        )

    history = await recorded.get(HISTORY, interval="5m", since=at - DAY)

    *_, gap, unknown = history["items"]
    assert (gap["gap"], gap["value"]) == (True, "5")
    assert (unknown["value"], unknown["complete"]) == (None, False)
    assert "gaps" in {warning["code"] for warning in history["meta"]["warnings"]}


async def test_each_figure_of_performance_has_formula_and_inputs(recorded: Recorded) -> None:
    answer = await recorded.get(PERFORMANCE)

    figures = answer["performance"]
    for name, figure in figures.items():
        if name != "drawdown":
            assert figure["formula"]["text"], name
            assert figure["inputs"]["started_at"], name
            assert (figure["value"] is None) == (figure["reason"] is not None), name
    assert figures["twr"]["inputs"]["net_flow"] == "900"
    # Gains and losses of a tenth, and no gain by the deposit.
    assert abs(Decimal(figures["twr"]["value"])) < Decimal("0.002")
    assert figures["volatility"]["value"] is not None
    assert figures["benchmark"]["reason"] == "not_asked"
    assert figures["drawdown"]["peak_at"]


async def test_what_cannot_be_told_is_null_with_a_reason(recorded: Recorded) -> None:
    since = recorded.ends_at - 3 * DAY
    figures = (await recorded.get(PERFORMANCE, since=since))["performance"]

    assert figures["twr"]["value"] is not None
    assert (figures["twr_annualized"]["value"], figures["twr_annualized"]["reason"]) == (
        None,
        "too_short",
    )
    assert figures["sharpe"]["reason"] == "too_few_returns"
    assert figures["sharpe"]["detail"]


async def test_a_benchmark_is_measured_by_candles_of_exactly_this_market(
    recorded: Recorded,
) -> None:
    api = recorded.api
    await api.price("BTC/USD", "200")
    await api.price("ETH/USDT", "20")
    candles = [
        Candle(
            exchange=BINANCE,
            symbol=Symbol("BTC/USD"),
            timeframe=Timeframe.D1,
            open_time=recorded.ends_at - back * DAY,
            open=Decimal(1),
            high=Decimal(1),
            low=Decimal(1),
            close=Decimal(close),
            volume=Decimal(1),
            is_closed=True,
        )
        for back, close in ((41, 100), (2, 150))
    ]
    async with api.services.accounts._database.begin_market() as market:
        await market.candles.upsert(candles)

    figures = (await recorded.get(PERFORMANCE, benchmark="btc"))["performance"]
    assert figures["benchmark"]["value"] == "0.5"
    figures = (await recorded.get(PERFORMANCE, benchmark="ETH"))["performance"]
    assert figures["benchmark"]["reason"] == "no_point_near"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"range": "1d", "from": "2026-01-01"}, "range"),
        ({"from": "2026-02-01", "to": "2026-01-01"}, "from"),
        ({"from": "2999-01-01", "to": "2999-02-01"}, "from"),
        ({"to": "2001-01-01"}, "to"),
        ({"range": "2d"}, "range"),
        ({"currency": "NOPE"}, "currency"),
        ({"currency": "BTC"}, "currency"),
    ],
)
@pytest.mark.parametrize("path", [HISTORY, PERFORMANCE])
async def test_what_cannot_be_asked_is_refused_with_the_field(
    recorded: Recorded, path: str, query: dict[str, Any], field: str
) -> None:
    await recorded.api.price("BTC/USD", "100")
    problem = await recorded.get(path, 422, **query)

    assert problem["code"] == "validation_failed"
    assert field in str(problem["errors"])


async def test_other_bad_questions_are_refused_too(recorded: Recorded) -> None:
    assert "interval" in str((await recorded.get(HISTORY, 422, interval="5m"))["errors"])
    assert "benchmark" in str((await recorded.get(PERFORMANCE, 422, benchmark="NOPE"))["errors"])
    assert (await recorded.get(HISTORY, 404, account="nobody"))["code"] == "not_found"


async def test_before_anything_was_recorded_there_is_nothing_and_it_says_so(
    api: RunningApi,
) -> None:
    history = await body(await api.get(HISTORY))
    assert history["items"] == []
    assert [warning["code"] for warning in history["meta"]["warnings"]] == ["no_history"]
    performance = await body(await api.get(PERFORMANCE))
    assert performance["performance"]["twr"]["reason"] == "too_few_points"


async def test_the_running_program_records_by_itself(api: RunningApi) -> None:
    await api.price("BTC/USD", "100")
    await api.add_account("main", BTC="2")

    async def is_recorded() -> bool:
        items = (await body(await api.get(HISTORY)))["items"]
        return {item["value"] for item in items} == {"200"}

    await eventually(is_recorded)
