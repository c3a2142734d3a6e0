"""The fill history: found, resumed, and never counted twice, on both real databases."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from alphapulse.database.connection import Database
from alphapulse.domain.events import FillReceived
from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.order import Fill
from alphapulse.errors import Conflict, ExchangeUnavailable, InstrumentUnavailable
from alphapulse.exchanges.port import FillCursor, FillPage
from alphapulse.pipeline.sync.history import FillSync
from alphapulse.pipeline.sync.settings import SyncSettings
from tests.builders import ACCOUNT, BTC, NOW, make_account, make_fill
from tests.fixtures.clock import HandClock
from tests.fixtures.scripted_exchange import ScriptedExchange, Venue
from tests.fixtures.sync import Recorder

ETH = Symbol("ETH/USDT")
MINUTE = timedelta(minutes=1)


def old_fill(number: int, **changes: Any) -> Fill:
    """One from before this process began."""
    return make_fill(number, occurred_at=NOW - timedelta(days=1) + number * MINUTE, **changes)


class History:
    """One account's fill sync; `restarted` is the next life of the process."""

    def __init__(self, database: Database, clock: HandClock, venue: Venue) -> None:
        self.database = database
        self.clock = clock
        self.venue = venue
        self.bus = Recorder()
        self.found: list[Fill] = []
        self.exchange = ScriptedExchange(venue, ACCOUNT)
        self.sync = FillSync(
            ACCOUNT,
            self.exchange,
            database,
            self.bus,
            clock,
            SyncSettings(),
            on_found=self.found.extend,
        )

    async def restarted(self) -> "History":
        history = History(self.database, self.clock, self.venue)
        await history.sync.load()
        return history

    async def read_all(self) -> int:
        """Read until there is nothing left to read; the pages it took."""
        before = self.venue.calls["fetch_fills"]
        while self.sync.is_due:
            await self.sync.read()
        return self.venue.calls["fetch_fills"] - before

    async def stored(self) -> list[str]:
        async with self.database.read() as tx:
            known = await tx.fills.symbols(ACCOUNT)
            again = await tx.fill_cursors.list(ACCOUNT)
        return [*known, *(f"{s.cursor.symbol}@{s.cursor.position}" for s in again)]

    @property
    def told(self) -> list[str]:
        return [event.fill.trade_id for event in self.bus.of(FillReceived)]


@pytest.fixture
async def history(database: Database, clock: HandClock) -> History:
    async with database.begin() as tx:
        await tx.accounts.add(make_account())
    return History(database, clock, Venue())


async def test_a_history_is_read_page_by_page_and_told_by_its_progress(history: History) -> None:
    history.venue.fills = [old_fill(n) for n in range(5)]
    history.sync.cover([BTC, ETH])
    progress = history.sync.progress
    assert progress == 0

    assert await history.read_all() == 4

    assert history.sync.progress is None
    assert await history.stored() == [BTC, f"{BTC}@5", f"{ETH}@0"]
    assert history.told == []


async def test_a_reading_that_was_killed_goes_on_where_it_was(history: History) -> None:
    history.venue.fills = [old_fill(n) for n in range(10)]
    history.sync.cover([BTC])
    await history.sync.read()
    await history.sync.read()

    after = await history.restarted()
    after.sync.cover([BTC])
    assert await after.read_all() == 3
    assert await after.stored() == [BTC, f"{BTC}@10"]


async def test_a_second_full_reading_writes_nothing(history: History) -> None:
    history.venue.fills = [old_fill(n) for n in range(5)]
    history.sync.cover([BTC])
    await history.read_all()

    after = await history.restarted()
    after.sync.hint([BTC])
    await after.read_all()
    assert after.told == []


async def test_the_cursor_moves_only_with_its_rows(history: History) -> None:
    nobody = old_fill(1, account_id="nobody")
    history.venue.fills = [old_fill(0), nobody]
    history.sync.cover([BTC])

    with pytest.raises(Conflict):
        await history.sync.read()

    assert await history.stored() == []
    history.venue.fills[1] = old_fill(1)
    await history.read_all()
    assert await history.stored() == [BTC, f"{BTC}@2"]


async def test_stream_and_rest_may_tell_a_fill_in_any_order_and_how_often_they_like(
    history: History,
) -> None:
    history.sync.cover([BTC])
    await history.read_all()
    number = 0
    for order in permutations(["stream", "rest", "stream again"]):
        fill = old_fill(number)
        number += 1
        for who in order:
            if who == "rest":
                history.venue.fills.append(fill)
                history.sync.hint([BTC])
                await history.read_all()
            else:
                await history.sync.take((fill,))
    assert history.told == [str(n) for n in range(number)]


async def test_new_fills_after_the_history_are_told(history: History) -> None:
    history.venue.fills = [old_fill(0)]
    history.sync.cover([BTC])
    await history.read_all()

    history.venue.fills.append(old_fill(1))
    assert not history.sync.is_due
    history.sync.hint_all()
    await history.read_all()

    assert history.told == ["1"]
    assert [fill.trade_id for fill in history.found] == ["1"]


async def test_a_fill_of_today_is_told_although_its_history_is_not_read_yet(
    history: History,
) -> None:
    history.venue.fills = [old_fill(0), make_fill(1)]
    history.sync.cover([BTC])
    await history.read_all()
    assert history.told == ["1"]


async def test_a_hint_during_a_reading_is_not_lost(history: History) -> None:
    history.sync.cover([BTC])
    await history.read_all()
    history.sync.hint([BTC])
    ask = history.exchange.fetch_fills

    async def hint_meanwhile(cursor: FillCursor) -> FillPage:
        page = await ask(cursor)
        history.sync.hint([BTC])
        history.exchange.fetch_fills = ask  # type: ignore[method-assign]
        return page

    history.exchange.fetch_fills = hint_meanwhile  # type: ignore[method-assign]
    await history.sync.read()
    assert history.sync.has_hints


async def test_history_waits_while_the_budget_is_used_up_and_hints_do_not(
    history: History,
) -> None:
    history.venue.budget_used = Decimal("0.6")
    history.sync.cover([BTC])
    is_due = history.sync.is_due
    assert not is_due
    assert history.sync.wait_s() == 1.0

    history.venue.budget_used = Decimal("0.1")
    await history.read_all()
    assert history.sync.progress is None

    history.venue.budget_used = Decimal("0.6")
    history.sync.hint([BTC])
    assert history.sync.is_due
    assert history.sync.wait_s() == 0.0


async def test_everything_is_swept_although_nothing_hinted_at_it(history: History) -> None:
    history.sync.cover([BTC])
    await history.read_all()
    assert 0 < history.sync.wait_s() <= 3600

    history.venue.fills = [old_fill(0)]
    history.clock.advance(3600)
    assert history.sync.wait_s() == 0
    await history.read_all()
    assert history.told == ["0"]


async def test_a_page_that_leads_to_itself_is_no_answer(history: History) -> None:
    history.venue.fills = [old_fill(0)]
    history.venue.fills_per_page = 0
    history.sync.cover([BTC])
    with pytest.raises(ExchangeUnavailable):
        await history.sync.read()


async def test_a_symbol_the_venue_knows_no_more_does_not_stop_the_others(
    history: History,
) -> None:
    history.sync.cover([BTC, ETH])
    history.venue.failing["fetch_fills"] = InstrumentUnavailable("delisted")
    await history.sync.read()
    history.venue.failing.clear()
    history.venue.fills = [old_fill(0, symbol=ETH)]

    assert await history.read_all() == 1
    assert await history.stored() == [ETH, f"{ETH}@1"]
    assert history.sync.progress is None
    assert history.sync.wait_s() > 0


async def test_one_cursor_serves_a_venue_that_needs_no_symbol(history: History) -> None:
    history.venue.capabilities = replace(history.venue.capabilities, fills_without_symbol=True)
    history.venue.fills = [old_fill(0), old_fill(1, symbol=ETH), old_fill(2)]
    history.sync.cover([BTC, ETH])
    assert await history.read_all() == 2
    assert await history.stored() == [BTC, ETH, "None@3"]
