"""Repositories: what goes in comes out, and only what differs is a change; on both engines."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from alphapulse.database.connection import Database
from alphapulse.database.repositories.credentials import SealedField
from alphapulse.database.repositories.fills import StoredCursor
from alphapulse.database.repositories.orders import OrderChange
from alphapulse.database.tables.bookkeeping import manual_prices
from alphapulse.domain.account import Permissions
from alphapulse.domain.balance import Wallet
from alphapulse.domain.identifiers import (
    AccountId,
    Asset,
    ClientOrderId,
    ExchangeId,
    Symbol,
    UserId,
)
from alphapulse.domain.manual_prices import ManualPrice
from alphapulse.domain.order import OrderOrigin, OrderStatus
from alphapulse.domain.position import PositionSide
from alphapulse.domain.sync import FillCursor, StreamState, SyncKind, SyncState, SyncStatus
from alphapulse.errors import Conflict, NotFound
from tests.builders import (
    ACCOUNT,
    BINANCE,
    BTC,
    NOW,
    USER,
    make_account,
    make_alert,
    make_balance,
    make_candle,
    make_fill,
    make_instrument,
    make_order,
    make_position,
    make_report,
    make_session,
    make_ticker,
    make_user,
)

LATER = NOW + timedelta(minutes=1)


async def test_an_account_comes_back_as_it_was_saved(database: Database) -> None:
    account = make_account(
        permissions=Permissions(True, False, None, True, LATER), permissions_checked_at=NOW
    )
    async with database.begin() as tx:
        await tx.accounts.add(account)
        await tx.accounts.add(make_account("account-0", created_at=NOW - timedelta(days=1)))
        await tx.accounts.save(replace(account, label="Renamed"))

    async with database.read() as tx:
        listed = await tx.accounts.list()
        assert [a.id for a in listed] == ["account-0", "account-1"]
        assert await tx.accounts.load(ACCOUNT) == replace(account, label="Renamed")


async def test_an_account_that_does_not_exist_is_not_found(database: Database) -> None:
    async with database.begin() as tx:
        with pytest.raises(NotFound):
            await tx.accounts.load(ACCOUNT)
        with pytest.raises(NotFound):
            await tx.accounts.save(make_account())
        with pytest.raises(NotFound):
            await tx.accounts.remove(ACCOUNT)


async def test_removing_an_account_removes_everything_of_it_and_nothing_else(
    account_database: Database,
) -> None:
    other = AccountId("account-2")
    async with account_database.begin() as tx:
        await tx.accounts.add(make_account(other))
        for owner in (ACCOUNT, other):
            await tx.credentials.save(owner, [SealedField("api_key", 1, b"sealed", NOW)])
            await tx.balances.replace(make_report(make_balance(), account_id=owner))
            await tx.positions.upsert([make_position(account_id=owner)])
            await tx.orders.record([make_order(account_id=owner)], NOW)
            await tx.fills.record([make_fill(account_id=owner)], NOW)
            await tx.fill_cursors.save(owner, FillCursor(BTC, "7"), complete=True)
            status = SyncStatus(BINANCE, owner, SyncKind.BALANCES, SyncState.OK)
            await tx.sync_status.save(status)
            await tx.alerts.add(make_alert(f"sync:{owner}", account_id=owner))

    async with account_database.begin() as tx:
        await tx.accounts.remove(ACCOUNT)

    async with account_database.read() as tx:
        assert not await tx.credentials.load(ACCOUNT)
        assert {b.account_id for b in await tx.balances.list()} == {other}
        assert {p.account_id for p in await tx.positions.list()} == {other}
        assert not await tx.orders.open(ACCOUNT)
        assert await tx.orders.open(other)
        assert not await tx.fills.symbols(ACCOUNT)
        assert await tx.fills.symbols(other)
        assert not await tx.fill_cursors.list(ACCOUNT)
        assert {s.account_id for s in await tx.sync_status.list()} == {other}
        assert {a.account_id for a in await tx.alerts.list_firing()} == {other}


async def test_removing_a_user_removes_sessions_and_accounts(database: Database) -> None:
    async with database.begin() as tx:
        await tx.users.add(make_user(), "hash")
        await tx.sessions.add(make_session(), "token")
        await tx.accounts.add(make_account(owner_id=USER))
        await tx.users.remove(USER)

    async with database.read() as tx:
        assert await tx.sessions.by_hash("token") is None
        assert await tx.accounts.list() == ()


async def test_sealed_credentials_replace_each_other_as_a_whole(
    account_database: Database,
) -> None:
    key = SealedField("api_key", 1, b"\x00\xff sealed", NOW)
    secret = SealedField("api_secret", 1, b"more", NOW)
    async with account_database.begin() as tx:
        await tx.credentials.save(ACCOUNT, [secret, key])
        assert await tx.credentials.load(ACCOUNT) == (key, secret)

        rotated = replace(key, key_version=2, sealed=b"other")
        await tx.credentials.save(ACCOUNT, [rotated])
        assert await tx.credentials.load(ACCOUNT) == (rotated,)
        assert "other" not in repr(rotated)

        await tx.credentials.remove(ACCOUNT)
        assert await tx.credentials.load(ACCOUNT) == ()


async def test_a_full_report_removes_what_is_absent_from_its_own_wallets(
    account_database: Database,
) -> None:
    btc, eth = make_balance("BTC"), make_balance("ETH")
    elsewhere = make_balance("SOL", wallet=Wallet.EARN)
    async with account_database.begin() as tx:
        both = frozenset({Wallet.SPOT, Wallet.EARN})
        assert await tx.balances.replace(make_report(btc, eth, elsewhere, wallets=both))
        assert not await tx.balances.replace(make_report(eth, btc, received_at=LATER))
        assert await tx.balances.replace(make_report(eth))

        stored = await tx.balances.list(ACCOUNT)
        assert {s.balance for s in stored} == {eth, elsewhere}
        assert {s.received_at for s in stored} == {NOW}  # a later look at the same is no change


async def test_a_partial_report_touches_only_what_it_names(account_database: Database) -> None:
    async with account_database.begin() as tx:
        await tx.balances.replace(make_report(make_balance("BTC"), make_balance("ETH", "2")))
        changed = make_report(
            make_balance("ETH", "3"), is_partial=True, wallets=frozenset(), received_at=LATER
        )
        assert await tx.balances.replace(changed)
        assert not await tx.balances.replace(changed)

        btc, eth = await tx.balances.list()
        assert btc.balance == make_balance("BTC")
        assert eth.balance.free == 3
        assert eth.received_at == LATER


async def test_positions_that_are_no_longer_listed_are_closed(account_database: Database) -> None:
    long, short = make_position(), make_position(side=PositionSide.SHORT)
    async with account_database.begin() as tx:
        assert await tx.positions.replace(ACCOUNT, BINANCE, [long, short], NOW)
        assert not await tx.positions.replace(ACCOUNT, BINANCE, [short, long], LATER)
        assert await tx.positions.replace(ACCOUNT, BINANCE, [short], LATER)
        assert await tx.positions.list() == (short,)


async def test_a_position_of_quantity_zero_is_closed(account_database: Database) -> None:
    async with account_database.begin() as tx:
        assert await tx.positions.upsert([make_position()])
        assert not await tx.positions.upsert([make_position(received_at=LATER)])
        assert await tx.positions.upsert([make_position(quantity=Decimal(1))])
        assert await tx.positions.upsert([make_position(quantity=Decimal(0))])
        assert not await tx.positions.upsert([make_position(quantity=Decimal(0))])
        assert await tx.positions.list(ACCOUNT) == ()


async def test_an_order_only_moves_forward(account_database: Database) -> None:
    opened = make_order()
    filled = make_order(filled_quantity=Decimal(2), status=OrderStatus.FILLED, updated_at=LATER)
    async with account_database.begin() as tx:
        assert await tx.orders.record([opened], NOW) == (OrderChange(None, opened),)
        assert await tx.orders.record([filled], NOW) == (OrderChange(opened, filled),)
        # What overtook it on another way comes too late, whatever its clock says.
        late = make_order(filled_quantity=Decimal(1), updated_at=LATER + timedelta(hours=1))
        assert await tx.orders.record([late, opened], NOW) == ()
        assert await tx.orders.open(ACCOUNT) == ()


async def test_one_batch_may_tell_an_order_more_than_once(account_database: Database) -> None:
    half = make_order(filled_quantity=Decimal(1), status=OrderStatus.PARTIALLY_FILLED)
    async with account_database.begin() as tx:
        changes = await tx.orders.record([make_order(), half, make_order()], NOW)
        assert changes == (OrderChange(None, half),)
        assert await tx.orders.open(ACCOUNT) == (half,)


async def test_a_poll_does_not_forget_what_was_known_of_an_order(
    account_database: Database,
) -> None:
    ours = make_order(
        client_order_id=ClientOrderId("mine"),
        origin=OrderOrigin.ALPHAPULSE,
        acknowledged_at=NOW,
    )
    async with account_database.begin() as tx:
        await tx.orders.record([ours], NOW)
        assert await tx.orders.record([make_order(updated_at=LATER)], NOW) == ()

        polled = make_order(filled_quantity=Decimal(1), created_at=LATER, updated_at=LATER)
        (change,) = await tx.orders.record([polled], LATER)
        assert change.after == replace(ours, filled_quantity=Decimal(1), updated_at=LATER)


async def test_equal_order_numbers_of_two_symbols_are_two_orders(
    account_database: Database,
) -> None:
    orders = [make_order(7), make_order(7, symbol=Symbol("ETH/USDT"))]
    async with account_database.begin() as tx:
        assert len(await tx.orders.record(orders, NOW)) == 2
        assert len(await tx.orders.open(ACCOUNT)) == 2


async def test_a_fill_is_new_only_once(account_database: Database) -> None:
    first, second = make_fill(1), make_fill(2)
    elsewhere = make_fill(1, symbol=Symbol("ETH/USDT"))
    async with account_database.begin() as tx:
        assert (await tx.fills.record([first, first], NOW)).new == (first,)
    async with account_database.begin() as tx:
        assert (await tx.fills.record([second, first, elsewhere], NOW)).new == (second, elsewhere)
        assert (await tx.fills.record([], NOW)).new == ()
        assert await tx.fills.symbols(ACCOUNT) == ("BTC/USDT", "ETH/USDT")


async def test_a_cursor_comes_back_with_or_without_a_symbol(account_database: Database) -> None:
    everything, one = FillCursor(None, "page-3"), FillCursor(BTC, "1234")
    async with account_database.begin() as tx:
        await tx.fill_cursors.save(ACCOUNT, one, complete=False)
        await tx.fill_cursors.save(ACCOUNT, everything, complete=False)
        await tx.fill_cursors.save(ACCOUNT, one, complete=True)
        assert await tx.fill_cursors.list(ACCOUNT) == (
            StoredCursor(everything, complete=False),
            StoredCursor(one, complete=True),
        )


async def test_a_sync_status_replaces_the_one_before(account_database: Database) -> None:
    prices = SyncStatus(BINANCE, None, SyncKind.PRICES, SyncState.PENDING)
    fills = SyncStatus(
        BINANCE,
        ACCOUNT,
        SyncKind.FILLS,
        SyncState.ERROR,
        last_tried_at=NOW,
        failures=3,
        error_code="key_invalid",
        stream=StreamState.DOWN,
        progress=0.25,
    )
    async with account_database.begin() as tx:
        await tx.sync_status.save(prices)
        await tx.sync_status.save(fills)
        await tx.sync_status.save(replace(prices, state=SyncState.OK, last_ok_at=NOW))
        assert await tx.sync_status.list() == (
            replace(prices, state=SyncState.OK, last_ok_at=NOW),
            fills,
        )


async def test_instruments_are_what_was_listed_last(database: Database) -> None:
    btc, eth = make_instrument(), make_instrument("ETH/USDT")
    bybit = make_instrument(exchange=ExchangeId("bybit"))
    async with database.begin() as tx:
        await tx.instruments.replace(ExchangeId("bybit"), [bybit])
        assert await tx.instruments.replace(BINANCE, [btc, eth])
        assert not await tx.instruments.replace(BINANCE, [eth, btc])
        halted = replace(btc, is_active=False)
        assert await tx.instruments.replace(BINANCE, [halted])
        assert await tx.instruments.list(BINANCE) == (halted,)
        assert await tx.instruments.list(ExchangeId("bybit")) == (bybit,)


async def test_a_user_is_found_by_name_without_regard_to_case(database: Database) -> None:
    async with database.begin() as tx:
        await tx.users.add(make_user(), "hash")
        found = await tx.users.by_name("ANNA")
        assert found is not None
        assert (found.user, found.password_hash) == (make_user(), "hash")
        assert "hash" not in repr(found).replace("password_hash", "")
        assert await tx.users.by_name("otto") is None
        assert await tx.users.count() == 1

        renamed = make_user(username="Anni", version=2)
        await tx.users.save(renamed)
        assert await tx.users.load(USER) == renamed
        await tx.users.save(renamed, password_hash="other")
        anni = await tx.users.by_name("anni")
        assert anni is not None
        assert anni.password_hash == "other"


async def test_a_user_name_is_taken_only_once(database: Database) -> None:
    async with database.begin() as tx:
        await tx.users.add(make_user(), "hash")
        with pytest.raises(Conflict):
            await tx.users.add(make_user(id="user-2", username="anna"), "hash")


async def test_a_setup_code_works_once_and_in_time(database: Database) -> None:
    async with database.begin() as tx:
        await tx.setup_codes.add("code", LATER)
        await tx.setup_codes.add("late", NOW)
        assert await tx.setup_codes.spend("code", NOW)
        assert not await tx.setup_codes.spend("code", NOW)
        assert not await tx.setup_codes.spend("late", NOW)
        assert not await tx.setup_codes.spend("unknown", NOW)


async def test_a_refresh_token_is_exchanged_once_and_then_gives_itself_away(
    database: Database,
) -> None:
    async with database.begin() as tx:
        await tx.users.add(make_user(), "hash")
        await tx.sessions.add(make_session(), "token-1")
        assert await tx.sessions.exchange("token-1", "token-2", LATER)
        assert not await tx.sessions.exchange("token-1", "token-3", LATER)
        assert not await tx.sessions.exchange("unknown", "token-4", LATER)

        old, new = [await tx.sessions.by_hash(t) for t in ("token-1", "token-2")]
        assert old is not None
        assert new is not None
        assert (old.is_spent, new.is_spent) == (True, False)
        assert old.session == new.session == make_session()
        assert await tx.sessions.by_hash("token-3") is None


async def test_sessions_are_touched_and_revoked(database: Database) -> None:
    async with database.begin() as tx:
        await tx.users.add(make_user(), "hash")
        for n in (1, 2):
            await tx.sessions.add(make_session(f"session-{n}"), f"token-{n}")
        await tx.sessions.touch("session-2", LATER, expires_at=LATER)
        last_used, *_ = await tx.sessions.list(USER)
        assert last_used.id == "session-2"

        assert await tx.sessions.revoke("session-1", NOW)
        assert not await tx.sessions.revoke("session-1", LATER)
        assert await tx.sessions.ended_since(NOW) == ("session-1",)
        assert await tx.sessions.ended_since(LATER) == ()
        assert [s.id for s in await tx.sessions.list(USER) if s.is_live(NOW)] == ["session-2"]
        assert not any(
            s.is_live(LATER) for s in await tx.sessions.list(USER) if s.expires_at <= LATER
        )


async def test_of_one_key_one_alert_fires_and_it_may_fire_again(database: Database) -> None:
    async with database.begin() as tx:
        assert await tx.alerts.add(make_alert())
        assert not await tx.alerts.add(make_alert(id="again"))
        assert await tx.alerts.list_firing() == (make_alert(),)
        assert await tx.alerts.resolve("sync:binance:prices", LATER)
        assert not await tx.alerts.resolve("sync:binance:prices", LATER)
        assert await tx.alerts.list_firing() == ()
        assert await tx.alerts.add(make_alert(id="again"))


async def test_tickers_are_the_last_ones(database: Database) -> None:
    btc, eth = make_ticker(), make_ticker("ETH/USDT", last=None)
    newer = make_ticker(last=Decimal("64001"))
    async with database.begin_market() as tx:
        await tx.tickers.save([btc, eth])
        await tx.tickers.save([btc, newer])
        await tx.tickers.save([])
    async with database.read_market() as tx:
        assert await tx.tickers.list() == (newer, eth)


async def test_the_last_candles_of_a_range_come_oldest_first(database: Database) -> None:
    candles = [make_candle(minute) for minute in range(5)]
    async with database.begin_market() as tx:
        assert await tx.candles.upsert(candles) == 5
    async with database.read_market() as tx:
        start, end = candles[0].open_time, candles[4].open_time
        key = (BINANCE, BTC, candles[0].timeframe)
        assert await tx.candles.range(*key, start, end, 2) == tuple(candles[2:4])


async def test_an_open_candle_does_not_reopen_a_closed_one(database: Database) -> None:
    closed = make_candle()
    late = make_candle(is_closed=False, close=Decimal(1))
    corrected = make_candle(close=Decimal(64006))
    key = (BINANCE, BTC, closed.timeframe, NOW - timedelta(days=1), LATER, 10)
    async with database.begin_market() as tx:
        await tx.candles.upsert([late])
        assert await tx.candles.range(*key) == (late,)
        await tx.candles.upsert([closed])
        await tx.candles.upsert([late])
        assert await tx.candles.range(*key) == (closed,)
        assert await tx.candles.upsert([late, corrected, late]) == 1
        assert await tx.candles.range(*key) == (corrected,)


async def test_each_market_says_when_it_was_last_traded(account_database: Database) -> None:
    eth = Symbol("ETH/USDT")
    fills = [
        make_fill(1, occurred_at=LATER),
        make_fill(2, occurred_at=NOW),
        make_fill(3, symbol=eth, occurred_at=NOW),
    ]
    async with account_database.begin() as tx:
        await tx.fills.record(fills, LATER)

    async with account_database.read() as tx:
        assert await tx.fills.last_trades() == {(ACCOUNT, BTC): LATER, (ACCOUNT, eth): NOW}


def said(value: str, *, asset: str = "LUNA", days_ago: int = 0, by: UserId = USER) -> ManualPrice:
    as_of = NOW - timedelta(days=days_ago)
    return ManualPrice(Asset(asset), Decimal(value), Asset("USD"), as_of, by, NOW)


async def test_what_people_say_comes_back_by_asset_the_latest_moment_first(
    database: Database,
) -> None:
    prices = [said("2", days_ago=1), said("0.000000000000000001"), said("7", asset="FTT")]
    async with database.begin() as tx:
        for price in prices:
            await tx.manual_prices.save(price)

    async with database.read() as tx:
        assert await tx.manual_prices.list() == [prices[2], prices[1], prices[0]]
        assert await tx.manual_prices.list(Asset("LUNA")) == [prices[1], prices[0]]


async def test_the_last_word_of_a_moment_counts_and_every_word_is_kept_with_who_ended_it(
    database: Database,
) -> None:
    bob = UserId("bob")
    old, first, second = said("1", days_ago=1), said("2"), said("3", by=bob)
    async with database.begin() as tx:
        for price in (old, first, second):
            await tx.manual_prices.save(price)
    async with database.begin() as tx:
        assert await tx.manual_prices.list() == [second, old]
        moment = old.as_of
        assert await tx.manual_prices.take_back(Asset("LUNA"), moment, by=bob, at=LATER) == 1
        assert await tx.manual_prices.take_back(Asset("LUNA"), moment, by=bob, at=LATER) == 0
        assert await tx.manual_prices.list() == [second]
        assert await tx.manual_prices.take_back(Asset("LUNA"), None, by=USER, at=LATER) == 1
        assert await tx.manual_prices.list() == []

    c = manual_prices.c
    kept = select(c.value, c.said_by, c.ended_by, c.ended_at).order_by(c.id)
    async with database.read() as tx:
        rows = [tuple(row) for row in await tx.statements.rows(kept)]
    assert rows == [(1, USER, bob, LATER), (2, USER, bob, NOW), (3, bob, USER, LATER)]
