"""The synchronizer over a scripted exchange and both real databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import msgspec
import pytest

from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.account import AccountState
from alphapulse.domain.events import (
    BalancesChanged,
    CandleClosed,
    FillReceived,
    InstrumentsChanged,
    OrderChanged,
    SyncStatusChanged,
    TickerUpdated,
)
from alphapulse.domain.identifiers import AccountId, ExchangeId, ExchangeOrderId, Symbol
from alphapulse.domain.market import Ticker
from alphapulse.domain.order import OrderOrigin, OrderStatus
from alphapulse.domain.sync import StreamState, SyncKind, SyncState
from alphapulse.errors import (
    AuthenticationFailed,
    Conflict,
    ExchangeUnavailable,
    PermissionMissing,
)
from alphapulse.exchanges.port import PrivateUpdate
from tests.builders import (
    ACCOUNT,
    BTC,
    make_account,
    make_balance,
    make_candle,
    make_fill,
    make_instrument,
    make_order,
    make_report,
    make_ticker,
)
from tests.eventually import eventually
from tests.fixtures.scripted_exchange import KEY, ScriptedProvider, Venue
from tests.fixtures.sync import QUICK, Sync, running_sync

KINDS = (SyncKind.BALANCES, SyncKind.ORDERS, SyncKind.FILLS)


@pytest.fixture
def venue() -> Venue:
    venue = Venue()
    venue.instruments = (make_instrument(BTC), make_instrument("ETH/USDT"))
    venue.balances = (make_balance("BTC"), make_balance("USDT", "1000"))
    venue.tickers = {BTC: make_ticker(received_at=datetime.now(UTC))}
    return venue


def all_ok(sync: Sync, account_id: AccountId = ACCOUNT) -> bool:
    statuses = sync.synchronizer.report().statuses
    mine = [s for s in statuses if s.account_id == account_id]
    return bool(mine) and all(s.state is SyncState.OK for s in mine)


async def balances_of(sync: Sync) -> dict[str, Decimal]:
    async with sync.database.read() as tx:
        stored = await tx.balances.list(ACCOUNT)
    return {s.balance.asset: s.balance.total for s in stored}


async def fills_of(sync: Sync) -> set[str]:
    async with sync.database.read() as tx:
        rows = await tx.fills.symbols(ACCOUNT)
    return set(rows)


async def test_an_account_is_read_completely_and_said_to_be_good(
    database_settings: DatabaseSettings, venue: Venue
) -> None:
    venue.open_orders = (make_order(1),)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    another = ExchangeOrderId("0")
    venue.fills = [make_fill(n, occurred_at=yesterday, exchange_order_id=another) for n in range(5)]

    async with running_sync(database_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: all_ok(sync))

        assert await balances_of(sync) == {"BTC": Decimal("1.75"), "USDT": Decimal("1000.25")}
        assert sync.bus.of(BalancesChanged)
        assert [e.order.exchange_order_id for e in sync.bus.of(OrderChanged)] == ["1"]
        await eventually(lambda: sync.status(SyncKind.FILLS, ACCOUNT).progress is None)
        await eventually(lambda: venue.calls[f"fetch_fills {BTC}"] >= 3)
        assert await fills_of(sync) == {BTC}
        # A history is told by its progress, not fill by fill.
        assert not sync.bus.of(FillReceived)

    assert venue.opened == venue.closed == 2


async def test_what_was_read_is_saved_for_the_next_start(
    database_settings: DatabaseSettings, venue: Venue
) -> None:
    async with running_sync(database_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: all_ok(sync))

        async def is_saved() -> bool:
            async with sync.database.read() as tx:
                stored = {s.key: s.state for s in await tx.sync_status.list()}
            return all(stored.get((venue.exchange, ACCOUNT, k)) is SyncState.OK for k in KINDS)

        await eventually(is_saved)

    venue.stop(ExchangeUnavailable("down"))
    async with running_sync(database_settings, ScriptedProvider(venue)) as sync:
        await eventually(lambda: sync.status(SyncKind.BALANCES, ACCOUNT).failures > 0)
        status = sync.status(SyncKind.BALANCES, ACCOUNT)
        assert status.state is SyncState.STALE
        assert status.last_ok_at is not None
        assert status.error_code == "exchange_unavailable"
        assert await balances_of(sync)


async def test_a_stopped_venue_is_stale_at_once_and_recovers_by_itself(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    async with running_sync(sqlite_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: all_ok(sync))
        await eventually(lambda: venue.market is not None)

        venue.stop(ExchangeUnavailable("connection refused"))
        for kind, account_id in ((SyncKind.BALANCES, ACCOUNT), (SyncKind.PRICES, None)):
            await eventually(partial(_is_stale, sync, kind, account_id))
        await eventually(lambda: sync.status(SyncKind.PRICES).stream is StreamState.DOWN)
        await eventually(
            lambda: sync.status(SyncKind.BALANCES, ACCOUNT).error_code == "exchange_unavailable"
        )
        assert await balances_of(sync) == {"BTC": Decimal("1.75"), "USDT": Decimal("1000.25")}

        venue.balances = (make_balance("BTC", "2"), make_balance("USDT", "1000"))
        venue.start()
        await eventually(lambda: all_ok(sync))
        await eventually(lambda: sync.status(SyncKind.PRICES).state is SyncState.OK)
        assert (await balances_of(sync))["BTC"] == Decimal("2.25")


def _is_stale(sync: Sync, kind: SyncKind, account_id: AccountId | None) -> bool:
    return sync.status(kind, account_id).state is SyncState.STALE


async def test_a_dead_exchange_does_not_touch_the_others(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    bybit = Venue(type(venue.exchange)("bybit"))
    bybit.instruments = (make_instrument(BTC, exchange=bybit.exchange),)
    bybit.hanging = {"fetch_balances", "load_instruments", "fetch_tickers"}
    other = make_account("account-2", exchange=bybit.exchange)

    async with running_sync(
        sqlite_settings, ScriptedProvider(venue, bybit), make_account(), other
    ) as sync:
        await eventually(lambda: all_ok(sync))
        assert sync.status(SyncKind.BALANCES, other.id, bybit.exchange).state is SyncState.PENDING


async def test_the_stream_is_heard_between_reads_and_its_words_are_written_once(
    database_settings: DatabaseSettings, venue: Venue
) -> None:
    settings = QUICK.model_copy(update={"balances_interval_s": 60.0, "orders_interval_s": 60.0})
    async with running_sync(
        database_settings, ScriptedProvider(venue), make_account(), settings=settings
    ) as sync:
        await eventually(lambda: all_ok(sync) and venue.private)
        assert venue.private is not None

        fill = make_fill(7, occurred_at=datetime.now(UTC))
        order = make_order(9, status=OrderStatus.FILLED, filled_quantity=Decimal(2))
        now = datetime.now(UTC)
        partial = make_report(make_balance("BTC", "3"), is_partial=True, received_at=now)
        await venue.private(PrivateUpdate(orders=(order,), fills=(fill,), balances=partial))
        await venue.private(PrivateUpdate(orders=(order,), fills=(fill,), balances=partial))

        await eventually(lambda: len(sync.bus.of(FillReceived)) == 1)
        assert [e.order.status for e in sync.bus.of(OrderChanged)] == [OrderStatus.FILLED]
        await eventually(lambda: _has_btc(sync, "3.25"))

        # REST tells the same fill again, after the stream did.
        venue.fills = [fill]
        venue.cut_streams()
        await eventually(lambda: venue.calls[f"fetch_fills {BTC}"] > 1)
        assert len(sync.bus.of(FillReceived)) == 1


async def _has_btc(sync: Sync, total: str) -> bool:
    return (await balances_of(sync)).get("BTC") == Decimal(total)


async def test_what_a_lost_stream_missed_is_found_over_rest_when_it_is_back(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    venue.fills = [make_fill(1, occurred_at=datetime.now(UTC) - timedelta(days=1))]
    settings = QUICK.model_copy(
        update={"balances_interval_s": 60.0, "orders_interval_s": 60.0, "polling_interval_s": 60.0}
    )
    async with running_sync(
        sqlite_settings, ScriptedProvider(venue), make_account(), settings=settings
    ) as sync:
        await eventually(lambda: all_ok(sync) and venue.private)
        await eventually(lambda: sync.status(SyncKind.FILLS, ACCOUNT).progress is None)

        venue.fills.append(make_fill(2, occurred_at=datetime.now(UTC)))
        venue.cut_streams()

        await eventually(lambda: [e.fill.trade_id for e in sync.bus.of(FillReceived)] == ["2"])


async def test_an_order_that_is_no_longer_listed_gets_the_state_the_venue_tells(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    earlier = datetime.now(UTC) - timedelta(minutes=1)
    venue.open_orders = tuple(make_order(n, updated_at=earlier) for n in (1, 2))
    async with running_sync(sqlite_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: len(sync.bus.of(OrderChanged)) == 2)

        filled = make_order(
            1, status=OrderStatus.FILLED, filled_quantity=Decimal(2), updated_at=earlier
        )
        venue.orders = {"1": filled}
        venue.open_orders = ()

        await eventually(lambda: _last_status(sync, "1") is OrderStatus.FILLED)
        # The venue denies the other one: after the second time it is unknown, and nothing else.
        await eventually(lambda: _last_status(sync, "2") is OrderStatus.UNKNOWN)
        assert venue.calls["fetch_order"] >= 3

        venue.open_orders = (make_order(2, updated_at=earlier),)
        await eventually(lambda: _last_status(sync, "2") is OrderStatus.OPEN)


async def test_an_order_of_others_that_the_venue_denied_is_looked_for_until_it_says_more(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    earlier = datetime.now(UTC) - timedelta(minutes=1)
    order = make_order(1, origin=OrderOrigin.EXTERNAL, client_order_id=None, updated_at=earlier)
    venue.open_orders = (order,)
    async with running_sync(sqlite_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: _last_status(sync, "1") is OrderStatus.OPEN)
        venue.open_orders = ()
        await eventually(lambda: _last_status(sync, "1") is OrderStatus.UNKNOWN)

        venue.orders = {"1": replace(order, status=OrderStatus.CANCELED)}
        await eventually(lambda: _last_status(sync, "1") is OrderStatus.CANCELED)


def _last_status(sync: Sync, order_id: str) -> OrderStatus | None:
    told = [e.order for e in sync.bus.of(OrderChanged) if e.order.exchange_order_id == order_id]
    return told[-1].status if told else None


async def test_a_refused_key_disables_the_account_and_a_new_one_brings_it_back(
    database_settings: DatabaseSettings, venue: Venue
) -> None:
    async with running_sync(database_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: all_ok(sync))

        for name in ("fetch_balances", "fetch_open_orders", "fetch_fills", "watch_private"):
            venue.failing[name] = AuthenticationFailed("key revoked")
        venue.cut_streams()
        await eventually(lambda: _is_disabled(sync))
        await eventually(lambda: sync.status(SyncKind.BALANCES, ACCOUNT).state is SyncState.ERROR)
        assert sync.status(SyncKind.BALANCES, ACCOUNT).error_code == "key_invalid"
        await eventually(lambda: sync.status(SyncKind.PRICES).state is SyncState.OK)
        asked = venue.calls["fetch_balances"]

        venue.failing.clear()
        async with sync.database.begin() as tx:
            await tx.accounts.save(make_account(state=AccountState.ACTIVE))
        await sync.synchronizer.adopt(ACCOUNT)
        await eventually(lambda: all_ok(sync))
        assert venue.calls["fetch_balances"] > asked


async def _is_disabled(sync: Sync) -> bool:
    account = await sync.stored(ACCOUNT)
    return account.state is AccountState.DISABLED and account.state_reason == "key revoked"


async def test_a_key_refused_once_by_mistake_disables_nothing(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    async with running_sync(sqlite_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: all_ok(sync))

        venue.failing["fetch_open_orders"] = AuthenticationFailed("moment of confusion")
        await eventually(lambda: "key_invalid" in _codes(sync, SyncKind.ORDERS))
        del venue.failing["fetch_open_orders"]

        await eventually(lambda: all_ok(sync))
        assert (await sync.stored(ACCOUNT)).state is AccountState.ACTIVE


def _codes(sync: Sync, kind: SyncKind) -> set[str | None]:
    """What was ever told to be wrong with it."""
    told = (event.status for event in sync.bus.of(SyncStatusChanged))
    return {status.error_code for status in told if status.kind is kind}


async def test_a_missing_permission_stops_its_kind_and_no_other(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    venue.failing["fetch_open_orders"] = PermissionMissing("orders may not be read")
    async with running_sync(sqlite_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: sync.status(SyncKind.ORDERS, ACCOUNT).state is SyncState.ERROR)
        status = sync.status(SyncKind.ORDERS, ACCOUNT)
        assert status.error_code == "key_permission_missing"
        assert status.error_fix
        await eventually(lambda: sync.status(SyncKind.BALANCES, ACCOUNT).state is SyncState.OK)

        # A person gave the permission; nobody restarted anything.
        venue.failing.clear()
        await sync.synchronizer.sync_now(ACCOUNT, {SyncKind.ORDERS})
        await eventually(lambda: sync.status(SyncKind.ORDERS, ACCOUNT).state is SyncState.OK)


async def test_balances_that_vanish_are_believed_only_when_a_second_report_agrees(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    async with running_sync(sqlite_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: all_ok(sync))

        venue.balances = (make_balance("USDT", "1000"),)
        await eventually(lambda: _lacks_btc(sync))


async def _lacks_btc(sync: Sync) -> bool:
    return "BTC" not in await balances_of(sync)


async def test_an_empty_answer_is_no_truth_where_there_was_something(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    settings = QUICK.model_copy(update={"balances_interval_s": 60.0, "polling_interval_s": 60.0})
    async with running_sync(
        sqlite_settings, ScriptedProvider(venue), make_account(), settings=settings
    ) as sync:
        await eventually(lambda: all_ok(sync))
        before = await balances_of(sync)
        venue.balances = ()

        await sync.synchronizer.sync_now(ACCOUNT, {SyncKind.BALANCES})

        await eventually(lambda: _is_stale(sync, SyncKind.BALANCES, ACCOUNT))
        assert await balances_of(sync) == before


async def test_a_paused_account_is_left_alone_and_its_values_stay(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    async with running_sync(sqlite_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: all_ok(sync))
        async with sync.database.begin() as tx:
            await tx.accounts.save(make_account(state=AccountState.PAUSED))
        await sync.synchronizer.release(ACCOUNT)

        assert sync.status(SyncKind.BALANCES, ACCOUNT).state is not SyncState.ERROR
        await eventually(lambda: sync.status(SyncKind.BALANCES, ACCOUNT).state is SyncState.PAUSED)
        with pytest.raises(Conflict):
            await sync.synchronizer.sync_now(ACCOUNT, {SyncKind.BALANCES})
        asked = venue.calls["fetch_balances"]
        await eventually(lambda: sync.status(SyncKind.PRICES).state is SyncState.OK)
        assert venue.calls["fetch_balances"] == asked
        assert await balances_of(sync)


async def test_an_account_that_is_removed_leaves_nothing_behind(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    async with running_sync(sqlite_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: all_ok(sync))
        await sync.synchronizer.release(ACCOUNT)
        async with sync.database.begin() as tx:
            await tx.accounts.remove(ACCOUNT)

        await eventually(lambda: not sync.synchronizer.report().statuses)
        await eventually(lambda: venue.opened == venue.closed)


async def test_prices_follow_what_is_held(sqlite_settings: DatabaseSettings, venue: Venue) -> None:
    async with running_sync(sqlite_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: venue.subscription and venue.subscription.tickers == {BTC})

        venue.balances += (make_balance("ETH"),)
        await eventually(
            lambda: venue.subscription and venue.subscription.tickers == {BTC, Symbol("ETH/USDT")}
        )
        await eventually(lambda: venue.market is not None)
        assert venue.market is not None
        venue.market.on_ticker(make_ticker("ETH/USDT"))
        assert sync.bus.of(TickerUpdated)[-1].ticker.symbol == "ETH/USDT"


async def test_a_delisted_symbol_is_announced_and_the_subscription_goes_on_without_it(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    venue.balances += (make_balance("ETH"),)
    async with running_sync(sqlite_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: venue.subscription and len(venue.subscription.tickers) == 2)
        told = len(sync.bus.of(InstrumentsChanged))

        venue.instruments = (make_instrument(BTC), make_instrument("ETH/USDT", is_active=False))
        await sync.synchronizer.sync_now(None, {SyncKind.INSTRUMENTS})

        await eventually(lambda: venue.subscription and venue.subscription.tickers == {BTC})
        assert len(sync.bus.of(InstrumentsChanged)) == told + 1
        await eventually(lambda: sync.status(SyncKind.PRICES).state is SyncState.OK)


async def test_a_silent_stream_is_replaced_by_polling_until_it_speaks_again(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    async with running_sync(sqlite_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: venue.market is not None)

        # It is connected and says nothing: after the limit REST stands in, and prices stay good.
        await eventually(lambda: sync.status(SyncKind.PRICES).stream is StreamState.POLLING)
        await eventually(lambda: sync.status(SyncKind.PRICES).state is SyncState.OK)
        assert venue.calls["fetch_tickers"] > 0

        def speak() -> bool:
            if venue.market is not None:
                venue.market.on_ticker(_now_ticker())
            return (
                sync.status(SyncKind.PRICES).stream is StreamState.CONNECTED
                and sync.status(SyncKind.PRICES).state is SyncState.OK
            )

        await eventually(speak)


def _now_ticker() -> Ticker:
    now = datetime.now(UTC)
    return make_ticker(occurred_at=now, received_at=now)


async def test_an_exchange_that_is_not_known_any_more_stops_no_other(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    gone = make_account("account-2", exchange=ExchangeId("mtgox"))
    async with running_sync(sqlite_settings, ScriptedProvider(venue), make_account(), gone) as sync:
        await eventually(
            lambda: sync.status(SyncKind.BALANCES, make_account().id).state is SyncState.OK
        )
        status = sync.status(SyncKind.BALANCES, gone.id, gone.exchange)
        assert status.state is SyncState.ERROR
        assert status.error_code == "validation_failed"
        assert status.error_fix


async def test_a_real_exchange_never_sees_the_key_of_a_simulated_account(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    provider = ScriptedProvider(venue)
    provider.is_world_simulated = False
    async with running_sync(sqlite_settings, provider, make_account()) as sync:
        await eventually(
            lambda: sync.status(SyncKind.BALANCES, make_account().id).state is SyncState.ERROR
        )
        assert sync.status(SyncKind.BALANCES, make_account().id).error_code == "config_invalid"
        assert venue.opened == 0


async def test_candles_missed_by_the_stream_are_fetched_once(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
    venue.candles = [
        msgspec.structs.replace(make_candle(), open_time=minute + timedelta(minutes=n))
        for n in range(4)
    ]
    async with running_sync(sqlite_settings, ScriptedProvider(venue), make_account()) as sync:
        await eventually(lambda: len(sync.bus.of(CandleClosed)) >= 4)
        await eventually(lambda: venue.market is not None)
        assert venue.market is not None
        venue.market.on_candle(venue.candles[-1])
        assert len(sync.bus.of(CandleClosed)) == 4


async def test_a_key_that_may_withdraw_is_reported(
    sqlite_settings: DatabaseSettings, venue: Venue
) -> None:
    venue.permissions = replace(venue.permissions, read=True, withdraw=True)
    async with running_sync(sqlite_settings, ScriptedProvider(venue)) as sync:
        check = await sync.synchronizer.check_credentials(venue.exchange, KEY)
        assert check.is_ok
        assert check.permissions.withdraw is True
        assert [step.name for step in check.steps] == [
            "reach", "clock", "permissions", "balances", "orders",
        ]  # fmt: skip

        venue.failing["fetch_permissions"] = AuthenticationFailed("wrong secret")
        check = await sync.synchronizer.check_credentials(venue.exchange, KEY)
        assert not check.is_ok
        assert (check.steps[-1].name, check.steps[-1].error_code) == ("permissions", "key_invalid")
