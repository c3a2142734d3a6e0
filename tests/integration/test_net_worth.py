"""Net worth as it is recorded: on a real database, from a live state that follows real events."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest

from alphapulse.database.connection import Database
from alphapulse.domain.balance import Balance, BalanceReport, Wallet
from alphapulse.domain.cash_flow import CashFlow, FlowKind
from alphapulse.domain.identifiers import AccountId, Asset, Symbol
from alphapulse.domain.ledger import entry_of_flow
from alphapulse.domain.market import Ticker
from alphapulse.domain.net_worth import Moment, summed
from alphapulse.domain.performance.figures import Reason
from alphapulse.domain.performance.report import performance_of
from alphapulse.domain.sync import SyncKind, SyncState, SyncStatus
from alphapulse.domain.valuation import USD
from alphapulse.errors import DatabaseUnavailable
from alphapulse.runtime.mailbox import Mailbox
from alphapulse.services.live_state import LiveState
from alphapulse.services.net_worth_recorder import PENDING_MAX, NetWorthRecorder
from alphapulse.services.portfolio import PortfolioService
from tests.builders import BINANCE, make_account
from tests.fixtures.clock import HandClock

BTC = Asset("BTC")
MINUTE_S = 60.0


class Unreliable:
    """A database that is away when it is told to be."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_away = False

    def read(self) -> object:
        return self._way(self._database.read)

    def begin(self) -> object:
        return self._way(self._database.begin)

    def _way(self, way: object) -> object:
        if self.is_away:
            raise DatabaseUnavailable("gone")
        return way()  # type: ignore[operator]


@dataclass
class Recording:
    """A recorder, and the world it watches."""

    database: Database
    live: LiveState
    recorder: NetWorthRecorder
    clock: HandClock
    away: Unreliable

    async def open(self, *names: str, btc: str = "1") -> None:
        """Accounts that were read just now."""
        for name in names:
            account = make_account(name)
            async with self.database.begin() as tx:
                await tx.accounts.add(account)
                await tx.sync_status.save(self._status(AccountId(name)))
            await self.hold(name, BTC=btc)

    async def hold(self, name: str, **assets: str) -> None:
        """The exchange now shows these balances."""
        now = self.clock.now()
        balances = tuple(
            Balance(Wallet.SPOT, Asset(asset), Decimal(free), Decimal(0), Decimal(0))
            for asset, free in assets.items()
        )
        report = BalanceReport(AccountId(name), frozenset({Wallet.SPOT}), balances, now, now)
        async with self.database.begin() as tx:
            await tx.balances.replace(report)
        await self.live.load()

    async def flow(self, name: str, asset: str, quantity: str | Decimal, ago_s: float = 0) -> None:
        """The ledger tells of a deposit, or of a withdrawal where it is negative."""
        at = self.clock.now() - timedelta(seconds=ago_s)
        kind = FlowKind.DEPOSIT if Decimal(quantity) > 0 else FlowKind.WITHDRAWAL
        told = CashFlow(
            AccountId(name), BINANCE, f"{kind}:{at}", kind, Asset(asset), Decimal(quantity), at
        )
        async with self.database.begin() as tx:
            await tx.ledger.record([entry_of_flow(told)], self.clock.now())

    def price(self, symbol: str, last: int) -> None:
        now = self.clock.now()
        ticker = Ticker(
            BINANCE, Symbol(symbol), occurred_at=now, received_at=now, last=Decimal(last)
        )
        self.live._put(ticker)

    async def later(self, minutes: float = 5) -> None:
        self.clock.advance(minutes * MINUTE_S)
        await self.recorder.do()

    async def moments(self, *names: str) -> tuple[Moment, ...]:
        now = self.clock.now()
        start, end = now - timedelta(days=1000), now + timedelta(days=1)
        async with self.database.read() as tx:
            return summed(*await tx.net_worth.series(list(map(AccountId, names)), USD, start, end))

    async def twr(self, *names: str) -> Decimal | Reason | None:
        twr = performance_of([one.point for one in await self.moments(*names)]).twr
        return twr.reason if twr.value is None else twr.value

    def _status(self, account_id: AccountId) -> SyncStatus:
        now = self.clock.now()
        return SyncStatus(BINANCE, account_id, SyncKind.BALANCES, SyncState.OK, last_ok_at=now)


@pytest.fixture
async def recording(database: Database, clock: HandClock) -> Recording:
    live = LiveState(Mailbox("screens", 16), database)
    portfolio = PortfolioService(live, clock)
    away = Unreliable(database)
    recorder = NetWorthRecorder(away, live, portfolio, clock)  # type: ignore[arg-type]
    live.listen(recorder.on_changes)
    recording = Recording(database, live, recorder, clock, away)
    recording.price("BTC/USD", 100)
    return recording


def values(moments: Sequence[Moment]) -> list[Decimal | None]:
    return [moment.point.value for moment in moments]


async def test_a_deposit_of_any_size_leaves_the_time_weighted_return_as_it_is(
    recording: Recording,
) -> None:
    """One account has no deposit, the others one each, of 1e-8 to 1e12 times their worth."""
    chance = random.Random(4)
    sizes = [Decimal(10) ** power for power in (-8, -3, 0, 2, 5, 9, 12)]
    names = [f"account-{number}" for number in range(len(sizes))]
    await recording.open("without", *names)
    await recording.recorder.do()
    for moment in range(6):
        recording.price("BTC/USD", 100 + chance.randrange(-40, 60))
        if moment == 3:
            recording.clock.advance(90)
            for name, size in zip(names, sizes, strict=True):
                recording.clock.advance(1)
                recording.price("BTC/USD", 100 + chance.randrange(-40, 60))
                await recording.hold(name, BTC=str(1 + size))
                recording.clock.advance(chance.randrange(30))
                await recording.flow(name, "BTC", size, ago_s=chance.randrange(40))
        await recording.later()
    recording.price("BTC/USD", 130)
    await recording.later()

    assert await recording.twr("without") == Decimal("0.3")
    for name in names:
        assert await recording.twr(name) == Decimal("0.3"), name
    assert await recording.twr("without", *names) == Decimal("0.3")


async def test_a_withdrawal_leaves_it_too_and_takes_its_fee(recording: Recording) -> None:
    await recording.open("main", btc="4")
    await recording.recorder.do()
    recording.clock.advance(60)
    await recording.hold("main", BTC="1")
    await recording.flow("main", "BTC", "-3")
    await recording.later()

    assert await recording.twr("main") == 0
    flows = [moment.point.flow for moment in await recording.moments("main")]
    assert [flow for flow in flows if flow] == [-300]


async def test_moments_are_on_the_clock_and_one_before_and_after_a_flow(
    recording: Recording,
) -> None:
    await recording.open("main")
    await recording.recorder.do()
    await recording.later(1)
    await recording.later(1)
    await recording.hold("main", BTC="3")
    await recording.flow("main", "BTC", "2", ago_s=20)
    await recording.later(3)

    assert values(await recording.moments("main")) == [100, 100, 300, 300]


async def test_a_flow_that_is_told_before_it_shows_waits_for_it(recording: Recording) -> None:
    await recording.open("main")
    await recording.recorder.do()
    recording.clock.advance(30)
    await recording.flow("main", "BTC", "2")
    await recording.later(5)
    recording.clock.advance(30)
    await recording.hold("main", BTC="3")
    await recording.later(5)

    points = [moment.point for moment in await recording.moments("main")]
    assert [point.value for point in points[1:]] == [100, 100, 300, 300]
    assert [point.flow for point in points[1:]] == [0, 0, 200, 0]


async def test_a_flow_that_nobody_saw_makes_no_return_of_itself(recording: Recording) -> None:
    await recording.open("main")
    await recording.recorder.do()
    await recording.later()
    await recording.flow("main", "BTC", "5")
    await recording.later(5)
    await recording.later(10)

    assert await recording.twr("main") is Reason.UNKNOWN_AT_FLOW


async def test_a_trade_is_no_flow(recording: Recording) -> None:
    recording.price("ETH/USD", 10)
    await recording.open("main")
    await recording.recorder.do()
    await recording.later(1)
    await recording.hold("main", ETH="10")
    await recording.later(4)

    points = [moment.point for moment in await recording.moments("main")]
    assert [point.value for point in points] == [100, 100]
    assert not any(point.flow for point in points)


async def test_what_the_program_did_not_see_is_a_gap(recording: Recording) -> None:
    await recording.open("main")
    await recording.recorder.do()
    await recording.later()
    await recording.later(30)
    await recording.later()

    points = [moment.point for moment in await recording.moments("main")]
    assert [point.is_gap for point in points[1:]] == [False, True, False]


async def test_an_account_that_joins_brings_a_flow_and_no_gain(recording: Recording) -> None:
    await recording.open("main")
    await recording.recorder.do()
    await recording.later()
    await recording.open("second", btc="50")
    await recording.later()
    recording.price("BTC/USD", 110)
    await recording.later()

    assert await recording.twr("main", "second") == Decimal("0.1")


async def test_an_asset_that_gets_a_price_at_last_is_no_gain(recording: Recording) -> None:
    await recording.open("main")
    await recording.hold("main", BTC="1", XYZ="7")
    await recording.recorder.do()
    await recording.later()
    recording.clock.advance(4 * MINUTE_S)
    for symbol in ("XYZ/USD", "BTC/USD"):
        recording.price(symbol, 100)
    await recording.later(1)

    first, _, last = await recording.moments("main")
    assert (first.is_complete, last.is_complete) == (False, True)
    assert await recording.twr("main") is Reason.UNKNOWN_FLOW


async def test_while_the_database_is_away_moments_are_kept_and_then_stored(
    recording: Recording,
) -> None:
    await recording.open("main")
    await recording.recorder.do()
    recording.away.is_away = True
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            await recording.later()
    recording.away.is_away = False
    await recording.later()

    moments = await recording.moments("main")
    assert values(moments) == [100] * 5
    assert not any(moment.point.is_gap for moment in moments[1:])


async def test_what_is_kept_is_bounded_and_what_is_lost_is_a_gap(recording: Recording) -> None:
    await recording.open("main")
    await recording.recorder.do()
    recording.away.is_away = True
    for _ in range(PENDING_MAX + 5):
        with pytest.raises(DatabaseUnavailable):
            await recording.later()
    recording.away.is_away = False
    await recording.recorder.do()

    moments = await recording.moments("main")
    assert len(moments) == PENDING_MAX + 1
    assert [one.point.is_gap for one in moments[1:]] == [True] + [False] * (PENDING_MAX - 1)


async def test_old_moments_are_thinned_and_flows_stay(recording: Recording) -> None:
    await recording.open("main")
    await recording.recorder.do()
    await recording.later(5)
    await recording.hold("main", BTC="2")
    await recording.flow("main", "BTC", "1")
    for _ in range(12 * 24):
        await recording.later(5)
    before = await recording.moments("main")
    await recording.later(3 * 24 * 60)

    after = await recording.moments("main")
    assert len(after) < len(before) / 2
    assert [one.point for one in after if one.point.flow] == [
        one.point for one in before if one.point.flow
    ]
    assert await recording.twr("main") == 0
