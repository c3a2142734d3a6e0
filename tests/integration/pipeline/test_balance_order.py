"""A balance is what was said last, not what was written last."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from alphapulse.database.connection import Database
from alphapulse.domain.balance import BalanceReport
from alphapulse.exchanges.port import Exchange
from alphapulse.pipeline.sync.balances import BalanceSync
from alphapulse.runtime.bus import EventBus
from tests.builders import ACCOUNT, make_account, make_balance, make_report
from tests.fixtures.clock import HandClock

SECOND = timedelta(seconds=1)


class Asked:
    """An exchange whose answer waits for the test."""

    def __init__(self, report: BalanceReport) -> None:
        self.report = report
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def fetch_balances(self) -> BalanceReport:
        self.is_asked.set()
        await self.may_answer.wait()
        return self.report


@pytest.mark.parametrize(
    ("heard_after_asking", "stays"), [(timedelta(0) - SECOND, "2"), (timedelta(0) + SECOND, "1")]
)
async def test_what_the_stream_says_while_a_report_is_under_way_counts_by_when_it_was_heard(
    database: Database, clock: HandClock, heard_after_asking: timedelta, stays: str
) -> None:
    async with database.begin() as tx:
        await tx.accounts.add(make_account())
    now = clock.now()
    asked = Asked(make_report(make_balance("BTC", "2"), received_at=now))
    exchange: Any = asked
    sync = BalanceSync(ACCOUNT, cast(Exchange, exchange), database, EventBus(), clock)

    reading = asyncio.create_task(sync.read())
    await asked.is_asked.wait()
    heard = make_report(
        make_balance("BTC", "1"), received_at=now + heard_after_asking, is_partial=True
    )
    await sync.take(heard)
    asked.may_answer.set()
    await reading

    async with database.read() as tx:
        (stored,) = await tx.balances.list(ACCOUNT)
    assert stored.balance.free == Decimal(stays)
