"""Mailbox: whatever is put and taken in whatever order, a reader that keeps the rules is right."""

import asyncio
import itertools
import random
import threading
from collections.abc import Coroutine
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alphapulse.domain.events import AccountRemoved, Event, TickerUpdated
from alphapulse.domain.identifiers import AccountId, ExchangeId, Symbol
from alphapulse.domain.market import Ticker
from alphapulse.runtime.mailbox import Batch, Mailbox, Merge

CAPACITY = 6
START = datetime(2026, 11, 23, tzinfo=UTC)
symbols = st.sampled_from([Symbol(f"{asset}/USDT") for asset in ("BTC", "ETH", "SOL")])
prices = st.integers(1, 1000).map(Decimal)


def state(number: int) -> AccountRemoved:
    """A state event with a number that tells its place in the line."""
    return AccountRemoved(AccountId(str(number)))


def tick(symbol: Symbol, price: Decimal) -> TickerUpdated:
    ticker = Ticker(ExchangeId("binance"), symbol, START, START, last=price)
    return TickerUpdated(ticker)


class MailboxMachine(RuleBasedStateMachine):
    """Puts and takes at random beside a model that remembers everything."""

    merge = Merge.FOLD

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.mailbox = Mailbox("test", CAPACITY, merge=self.merge)
        self.numbers = itertools.count()
        self.put: list[Event] = []
        """Everything since the last take, in order."""
        self.episodes = 0

    def teardown(self) -> None:
        self.loop.close()

    def run(self, coroutine: Coroutine[Any, Any, Batch]) -> Batch:
        return self.loop.run_until_complete(coroutine)

    @rule()
    def put_state(self) -> None:
        event = state(next(self.numbers))
        self.put.append(event)
        self.mailbox.put(event)

    @rule(symbol=symbols, price=prices)
    def put_tick(self, symbol: Symbol, price: Decimal) -> None:
        event = tick(symbol, price)
        self.put.append(event)
        self.mailbox.put(event)

    @precondition(lambda self: self.put)
    @rule()
    def take(self) -> None:
        batch = self.run(self.mailbox.take())
        put, self.put = self.put, []
        self.check_overflow(batch, put)
        self.check_state_events(batch, put)
        self.check_ticks(batch, put)
        self.check_order(batch, put)

    @precondition(lambda self: not self.put)
    @rule(symbol=symbols, price=prices)
    def put_while_the_reader_sleeps(self, symbol: Symbol, price: Decimal) -> None:
        async def sleep_and_take() -> Batch:
            reader = asyncio.create_task(self.mailbox.take())
            await asyncio.sleep(0)
            self.put_tick(symbol, price)
            self.put_state()
            return await reader

        batch = self.run(sleep_and_take())
        assert [type(event) for event in batch.events] == [TickerUpdated, AccountRemoved]
        self.put = []

    @precondition(lambda self: not self.put)
    @rule()
    def cancel_a_sleeping_take(self) -> None:
        async def cancel() -> Batch:
            reader = asyncio.create_task(self.mailbox.take())
            await asyncio.sleep(0)
            reader.cancel()
            await asyncio.wait([reader])
            assert reader.cancelled()
            return Batch([], overflowed=False)

        self.run(cancel())

    @invariant()
    def never_fuller_than_its_capacity(self) -> None:
        assert self.mailbox.depth <= CAPACITY

    def check_overflow(self, batch: Batch, put: list[Event]) -> None:
        keys = {e.latest_only_key for e in put if e.latest_only_key is not None}
        most = len(keys) + sum(e.latest_only_key is None for e in put)
        if most <= CAPACITY:
            assert not batch.overflowed
        self.episodes += batch.overflowed
        assert self.mailbox.overflows == self.episodes

    def check_state_events(self, batch: Batch, put: list[Event]) -> None:
        sent = [event for event in put if isinstance(event, AccountRemoved)]
        seen = [event for event in batch.events if isinstance(event, AccountRemoved)]
        assert seen == ([] if batch.overflowed else sent)

    def check_ticks(self, batch: Batch, put: list[Event]) -> None:
        """Three symbols fit always, so not even an overflow may lose a tick's extremes."""
        seen = {e.ticker.symbol: e for e in batch.events if isinstance(e, TickerUpdated)}
        for symbol in {e.ticker.symbol for e in put if isinstance(e, TickerUpdated)}:
            of_symbol = [
                e.ticker.last
                for e in put
                if isinstance(e, TickerUpdated) and e.ticker.symbol == symbol
            ]
            lasts = [last for last in of_symbol if last is not None]
            event = seen[symbol]
            assert event.ticker.last == lasts[-1]
            self.check_extremes(event, lasts)

    def check_extremes(self, event: TickerUpdated, lasts: list[Decimal]) -> None:
        assert event.updates == len(lasts)
        if len(lasts) > 1:
            assert (event.low, event.high) == (min(lasts), max(lasts))

    def check_order(self, batch: Batch, put: list[Event]) -> None:
        """Each event stands where the newest of its key was put: nothing overtakes."""

        def last_place(event: Event) -> int:
            return max(
                place
                for place, other in enumerate(put)
                if (other.latest_only_key or other) == (event.latest_only_key or event)
            )

        places = [last_place(event) for event in batch.events]
        assert places == sorted(places)


class ReplacingMailboxMachine(MailboxMachine):
    """The same for screens, where only the newest counts."""

    merge = Merge.REPLACE

    def check_extremes(self, event: TickerUpdated, lasts: list[Decimal]) -> None:
        assert (event.low, event.high, event.updates) == (None, None, 1)


TestFoldingMailbox = MailboxMachine.TestCase
TestReplacingMailbox = ReplacingMailboxMachine.TestCase
TestFoldingMailbox.settings = settings(max_examples=60, stateful_step_count=40)
TestReplacingMailbox.settings = TestFoldingMailbox.settings


class Tally:
    """Reads a mailbox until it has seen all that several producers put."""

    def __init__(self, producers: int, each: int) -> None:
        self.steps: dict[int, list[int]] = {number: [] for number in range(producers)}
        self.updates = 0
        self._expected = producers * each

    @property
    def is_complete(self) -> bool:
        states = sum(map(len, self.steps.values()))
        return states >= self._expected and self.updates >= self._expected

    def add(self, event: Event) -> None:
        if isinstance(event, TickerUpdated):
            self.updates += event.updates
        elif isinstance(event, AccountRemoved):
            number, step = map(int, event.account_id.split(":"))
            self.steps[number].append(step)


async def test_many_threads_hammering_one_mailbox_lose_nothing_and_keep_their_order() -> None:
    producers, each = 8, 2_000
    mailbox = Mailbox("test", producers * each + 3, merge=Merge.FOLD)
    tally = Tally(producers, each)

    def produce(number: int) -> None:
        for step in range(each):
            mailbox.put(AccountRemoved(AccountId(f"{number}:{step}")))
            mailbox.put(tick(Symbol(f"A{number % 3}/USDT"), Decimal(step)))

    threads = [threading.Thread(target=produce, args=[number]) for number in range(producers)]
    for thread in threads:
        thread.start()
    async with asyncio.timeout(30):
        while not tally.is_complete:
            for event in (await mailbox.take()).events:
                tally.add(event)
    for thread in threads:
        thread.join()

    assert tally.updates == producers * each
    assert all(steps == list(range(each)) for steps in tally.steps.values())
    assert (mailbox.depth, mailbox.overflows) == (0, 0)


async def test_a_reader_that_reloads_after_an_overflow_is_right_in_the_end() -> None:
    """The rule of the house: write, then publish; on overflow drop, reload, go on."""
    mailbox = Mailbox("test", 8)
    store: dict[str, int] = {}
    writing = threading.Lock()
    seed = random.Random(7)
    end = tick(Symbol("END/USDT"), Decimal(1))

    def produce() -> None:
        for version in range(20_000):
            name = f"a{seed.randrange(50)}"
            with writing:
                store[name] = version
            mailbox.put(AccountRemoved(AccountId(f"{name}:{version}")))
        mailbox.put(end)

    known: dict[str, int] = {}

    def apply(event: Event) -> None:
        assert isinstance(event, AccountRemoved)
        name, version = event.account_id.split(":")
        known[name] = int(version)

    thread = threading.Thread(target=produce)
    thread.start()
    events: list[Event] = []
    async with asyncio.timeout(30):
        while end not in events:
            batch = await mailbox.take()
            events = batch.events
            if batch.overflowed:
                with writing:
                    known = dict(store)
            for event in events:
                if event != end:
                    apply(event)
    thread.join()

    assert mailbox.overflows > 0
    assert known == store
