"""What a venue can do to the synchronizer: each fault has its status, its cause and its end.

The simulated exchange over real sockets, the real adapters, a real database.
"""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.account import AccountState
from alphapulse.domain.events import (
    FillReceived,
    InstrumentsChanged,
    SyncStatusChanged,
    TickerUpdated,
)
from alphapulse.domain.identifiers import AccountId, ExchangeId, Symbol
from alphapulse.domain.order import Side
from alphapulse.domain.sync import StreamState, SyncKind, SyncState, SyncStatus
from alphapulse.exchanges.port import Credentials
from alphapulse.pipeline.sync.gate import CircuitState
from alphapulse.pipeline.sync.report import ExchangeReport
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.simulator.core.instrument import MarketStatus
from alphapulse.simulator.faults.fault import Match
from alphapulse.simulator.faults.requests import Garbled, Latency, Status, Truncated
from alphapulse.simulator.faults.script import Fault
from alphapulse.simulator.faults.streams import ClosedStream, FrozenStream, LostFrame
from alphapulse.simulator.faults.world import HaltedSymbol, SkewedClock
from alphapulse.simulator.settings import GeneratorSettings, SimulatorSettings
from alphapulse.simulator.simulator import Simulator
from tests.eventually import eventually
from tests.fixtures.scripted_exchange import OneKey
from tests.fixtures.sync import SIMULATED, Sync, credentials_of, simulated_sync

LABELS = {"binance": "binance-main", "bybit": "bybit-unified"}
CONNECTED = StreamState.CONNECTED
BALANCE_PATHS = {"binance": "*/api/v3/account", "bybit": "*/v5/account/wallet-balance"}
MARKET_TOPICS = {
    "binance": ("*@*",),
    "bybit": ("tickers*", "kline*", "orderbook*"),
}
BOOK_TOPICS = {"binance": "*bookTicker*", "bybit": "*orderbook*"}


@pytest.fixture
def simulator_settings() -> SimulatorSettings:
    return SimulatorSettings(seed=7, history_days=0, driver=GeneratorSettings(history_minutes=2))


@dataclass(slots=True)
class Case:
    """One venue's account under synchronization, and the venue itself."""

    venue: str
    simulator: Simulator
    sync: Sync

    @property
    def label(self) -> str:
        return LABELS[self.venue]

    @property
    def account(self) -> AccountId:
        return AccountId(self.label)

    @property
    def exchange(self) -> ExchangeId:
        return ExchangeId(self.venue)

    def status(self, kind: SyncKind) -> SyncStatus:
        is_public = kind in {SyncKind.PRICES, SyncKind.INSTRUMENTS}
        return self.sync.status(kind, None if is_public else self.account, self.exchange)

    def report(self, *, public: bool) -> ExchangeReport:
        wanted = None if public else self.account
        parts = self.sync.synchronizer.report().exchanges
        return next(p for p in parts if p.exchange == self.venue and p.account_id == wanted)

    @property
    def watched(self) -> frozenset[Symbol]:
        groups = self.sync.synchronizer._groups
        assert groups is not None
        return groups.venues[self.exchange].prices.symbols

    def is_good(self) -> bool:
        statuses = self.sync.synchronizer.report().statuses
        return len(statuses) >= 5 and all(s.state is SyncState.OK for s in statuses)

    def is_fully_connected(self) -> bool:
        parts = self.sync.synchronizer.report().exchanges
        apart = [(p.account_id, p.stream_error) for p in parts if p.stream is not CONNECTED]
        assert apart == []
        return self.is_good()

    def fault(self, fault: Fault) -> None:
        self.simulator.faults.add(fault)

    async def has_the_venue_s_balances(self) -> bool:
        held = self.simulator.books(self.label).balances
        true = {asset: book.free + book.locked for asset, book in held.items()}
        return await self.sync.totals(self.account) == true

    async def is_whole(self) -> None:
        """Everything is good again, connected and equal to the venue, without a restart."""
        await eventually(self.is_fully_connected)
        await eventually(self.has_the_venue_s_balances)

    async def prices_are_good(self) -> None:
        """A machine that stands still for seconds makes them late, and soon good again."""
        await eventually(lambda: self.status(SyncKind.PRICES).state is SyncState.OK)


@pytest.fixture(params=["binance", "bybit"])
def venue(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def case(
    venue: str, simulator: Simulator, sqlite_settings: DatabaseSettings
) -> AsyncIterator[Case]:
    """Everything works; then the test breaks something."""
    async with simulated_sync(simulator, sqlite_settings, LABELS[venue]) as sync:
        case = Case(venue, simulator, sync)
        await case.is_whole()
        yield case


async def test_a_stopped_venue_is_stale_long_before_the_next_regular_read(
    venue: str, simulator: Simulator, sqlite_settings: DatabaseSettings
) -> None:
    hourly = SyncSettings(reference_exchange=None, balances_interval_s=3600, orders_interval_s=3600)
    async with simulated_sync(simulator, sqlite_settings, LABELS[venue], settings=hourly) as sync:
        case = Case(venue, simulator, sync)
        await case.is_whole()
        before = await sync.totals(case.account)
        simulator.stop_venue(venue)

        kinds = (SyncKind.PRICES, SyncKind.BALANCES, SyncKind.ORDERS)
        await eventually(lambda: all(_is_unavailable(case.status(kind)) for kind in kinds))
        for kind in kinds:
            status = case.status(kind)
            assert status.last_ok_at is not None
            assert status.next_try_at is not None
        await eventually(lambda: case.status(SyncKind.PRICES).stream is StreamState.DOWN)
        await eventually(lambda: case.report(public=True).circuit is CircuitState.OPEN)
        assert await sync.totals(case.account) == before

        simulator.start_venue(venue)
        await case.is_whole()


def _is_unavailable(status: SyncStatus) -> bool:
    return (status.state, status.error_code) == (SyncState.STALE, "exchange_unavailable")


async def test_a_wrong_key_disables_its_account_and_a_right_one_brings_it_back(
    venue: str, simulator: Simulator, sqlite_settings: DatabaseSettings
) -> None:
    right = credentials_of(simulator.account(LABELS[venue]))
    vault = OneKey(Credentials(right.api_key, "not-the-secret-of-this-key"))
    async with simulated_sync(simulator, sqlite_settings, LABELS[venue], vault=vault) as sync:
        case = Case(venue, simulator, sync)

        async def is_disabled() -> bool:
            return (await sync.stored(case.account)).state is AccountState.DISABLED

        await eventually(is_disabled)
        await eventually(lambda: case.status(SyncKind.BALANCES).state is SyncState.ERROR)
        assert case.status(SyncKind.BALANCES).error_code == "key_invalid"
        await eventually(lambda: case.status(SyncKind.PRICES).state is SyncState.OK)

        vault.credentials = right
        await _activate(case)
        await case.is_whole()


async def test_a_key_revoked_in_mid_run_disables_the_account_and_keeps_what_was_read(
    case: Case,
) -> None:
    before = await case.sync.totals(case.account)
    case.simulator.world.revoke_key(case.label)

    async def is_disabled() -> bool:
        return (await case.sync.stored(case.account)).state is AccountState.DISABLED

    await eventually(is_disabled)
    await eventually(lambda: case.status(SyncKind.ORDERS).state is SyncState.ERROR)
    assert case.status(SyncKind.ORDERS).error_code == "key_invalid"
    await case.prices_are_good()
    assert await case.sync.totals(case.account) == before


async def _activate(case: Case) -> None:
    async with case.sync.database.begin() as tx:
        account = await tx.accounts.load(case.account)
        await tx.accounts.save(replace(account, state=AccountState.ACTIVE, state_reason=None))
    await case.sync.synchronizer.adopt(case.account)


async def test_a_clock_that_is_off_is_measured_again(case: Case) -> None:
    case.fault(SkewedClock(match=Match(path=BALANCE_PATHS[case.venue]), offset_s=30))

    await eventually(lambda: abs((case.report(public=False).clock_offset_ms or 0) - 30_000) < 2_000)
    await case.is_whole()


@pytest.mark.parametrize(
    "broken",
    [
        lambda match: Garbled(match=match, count=None, body="html"),
        lambda match: Truncated(match=match, count=None),
    ],
    ids=["html", "truncated"],
)
async def test_a_broken_answer_is_no_answer(case: Case, broken: Callable[[Match], Fault]) -> None:
    before = await case.sync.totals(case.account)
    case.fault(broken(Match(path=BALANCE_PATHS[case.venue])))

    await eventually(lambda: case.status(SyncKind.BALANCES).state is SyncState.STALE)
    assert case.status(SyncKind.BALANCES).error_code == "exchange_unavailable"
    await case.prices_are_good()
    assert await case.sync.totals(case.account) == before

    case.simulator.faults.clear()
    await case.is_whole()


@pytest.mark.parametrize("status", [429, 418])
async def test_a_venue_that_asks_for_silence_gets_it_for_exactly_as_long(
    case: Case, status: int
) -> None:
    if case.venue == "bybit" and status == 418:
        pytest.skip("Bybit does not answer 418")
    seen = _requests(case)
    began_s = time.monotonic()
    match = Match(path=BALANCE_PATHS[case.venue])
    asked = case.simulator.faults.add(Status(match=match, status=status, retry_after_s=3))

    await eventually(lambda: asked.is_spent)
    before = seen()
    under_way = SIMULATED.requests_at_once
    await eventually(lambda: seen() - before > under_way)
    assert time.monotonic() - began_s >= 3
    told = {event.status.error_code for event in case.sync.bus.of(SyncStatusChanged)}
    assert "exchange_rate_limited" in told

    await case.is_whole()


def _requests(case: Case) -> Callable[[], int]:
    """Counts the requests a venue gets, by a fault that does nothing."""
    entry = case.simulator.faults.add(
        Latency(match=Match(venue=case.venue, method="GET"), count=None, delay_s=0)
    )
    return lambda: entry.struck


async def test_a_market_that_freezes_is_polled_until_its_stream_is_back(case: Case) -> None:
    for topic in MARKET_TOPICS[case.venue]:
        case.fault(FrozenStream(match=Match(topic=topic), count=None))

    # It is opened again and again. A connection that was there falls silent; of a new one, as when
    # holdings had just changed what is watched, the subscription is never confirmed.
    await eventually(lambda: _is_frozen(case.report(public=True).stream_error))
    await eventually(lambda: _is_polled(case.status(SyncKind.PRICES)))

    case.simulator.faults.clear()
    await case.is_whole()


def _is_frozen(error: str | None) -> bool:
    return any(words in (error or "") for words in ("silent", "not confirmed"))


def _is_polled(status: SyncStatus) -> bool:
    return (status.stream, status.state) == (StreamState.POLLING, SyncState.OK)


async def test_a_lost_frame_leaves_no_wrong_price(case: Case) -> None:
    case.fault(LostFrame(match=Match(topic=BOOK_TOPICS[case.venue]), count=20, probability=0.5))
    symbol = Symbol("BTC/USDT")

    def is_the_venue_s() -> bool:
        price = case.simulator.world.prices(case.venue)[symbol].last
        told = [e.ticker for e in case.sync.bus.of(TickerUpdated)]
        mine = [t for t in told if t.symbol == symbol]
        assert all(t.bid is None or t.ask is None or t.bid <= t.ask for t in mine)
        return bool(mine) and mine[-1].last == price

    await eventually(lambda: case.simulator.faults.entries[0].is_spent)
    await eventually(is_the_venue_s)
    await case.is_whole()


async def test_a_delisted_symbol_leaves_the_subscription_and_harms_nothing_else(
    case: Case,
) -> None:
    symbol = "SOLUSDT"
    await eventually(lambda: Symbol("SOL/USDT") in case.watched)
    told = len(case.sync.bus.of(InstrumentsChanged))
    case.fault(
        HaltedSymbol(
            match=Match(path=BALANCE_PATHS[case.venue]), symbol=symbol, status=MarketStatus.DELISTED
        )
    )
    await eventually(lambda: case.simulator.faults.entries[0].is_spent)
    await case.sync.synchronizer.sync_now(None, {SyncKind.INSTRUMENTS})

    await eventually(lambda: len(case.sync.bus.of(InstrumentsChanged)) > told)
    await eventually(lambda: Symbol("SOL/USDT") not in case.watched)
    await case.is_whole()


async def test_a_private_stream_that_is_cut_loses_no_fill(case: Case) -> None:
    fills = len(case.sync.bus.of(FillReceived))
    host = {"binance": "ws-api*", "bybit": "stream*"}[case.venue]
    for code in (1006, 1001):
        case.fault(ClosedStream(match=Match(host=host), code=code, count=3))
    for _ in range(5):
        case.simulator.world.trade(case.label, "BTC/USDT", Side.BUY, Decimal("0.001"))

    await eventually(lambda: len(case.sync.bus.of(FillReceived)) - fills >= 5)
    await case.is_whole()
    trades = [e.fill.trade_id for e in case.sync.bus.of(FillReceived)]
    assert len(trades) == len(set(trades))
