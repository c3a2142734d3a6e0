"""Migrations: up, down and up again on both engines, all at once or not at all."""

import asyncio
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from alphapulse.database.adapters.adapter import Store
from alphapulse.database.connection import open_database
from alphapulse.database.migrations import runner, schema
from alphapulse.database.settings import DatabaseSettings
from alphapulse.errors import ConfigurationInvalid
from tests.builders import (
    ACCOUNT,
    BINANCE,
    BTC,
    NOW,
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
from tests.integration.database.intents import fill_trading
from tests.integration.database.pictures import create_from_models, picture
from tests.integration.database.rebalances import run_record, stored_plan, target_set

HEADS = {store: schema.expected(store) for store in Store}


async def _fill(settings: DatabaseSettings) -> None:
    """Something in every table."""
    async with open_database(settings, name="test") as database:
        async with database.begin() as tx:
            await tx.users.add(make_user(), "hash")
            await tx.sessions.add(make_session(), "token")
            await tx.accounts.add(make_account())
            await tx.balances.replace(make_report(make_balance()))
            await tx.positions.upsert([make_position()])
            await tx.orders.record([make_order()], NOW)
            await fill_trading(tx)
            await tx.fills.record([make_fill()], NOW)
            await tx.alerts.add(make_alert())
            await tx.rebalances.add_plan(stored_plan())
            await tx.rebalances.save_run(run_record())
            await tx.target_sets.add(target_set())
            await tx.instruments.replace(BINANCE, [make_instrument()])
        async with database.begin_market() as market:
            await market.tickers.save([make_ticker()])
            await market.candles.upsert([make_candle()])


def _revisions(store: Store) -> list[str]:
    """Newest first."""
    script = ScriptDirectory.from_config(runner.config_of(schema.FOLDER, store))
    return [revision.revision for revision in script.walk_revisions()]


def test_the_revision_to_expect_is_read_off_the_newest_file() -> None:
    assert {store: _revisions(store)[0] for store in Store} == HEADS


async def test_the_migrated_schema_is_the_one_of_the_models(
    empty_settings: DatabaseSettings,
) -> None:
    await schema.upgrade(empty_settings)
    migrated = await picture(empty_settings)
    for store in Store:
        await schema.downgrade(empty_settings, store, "base")
    assert await picture(empty_settings) == set()

    await create_from_models(empty_settings)
    assert await picture(empty_settings) == migrated


async def test_every_revision_goes_down_and_up_with_data(empty_settings: DatabaseSettings) -> None:
    await schema.upgrade(empty_settings)
    newest = await picture(empty_settings)
    await _fill(empty_settings)

    for store in Store:
        for revision in _revisions(store):
            await schema.downgrade(empty_settings, store, f"{revision}-1")
            assert await schema.current(empty_settings) != HEADS
            await schema.upgrade(empty_settings)

    assert await schema.current(empty_settings) == HEADS
    assert await picture(empty_settings) == newest
    await _fill(empty_settings)


async def test_an_upgrade_of_the_newest_schema_changes_nothing(
    empty_settings: DatabaseSettings,
) -> None:
    await schema.upgrade(empty_settings)
    await _fill(empty_settings)
    await schema.upgrade(empty_settings)
    async with open_database(empty_settings, name="test") as database:
        async with database.read() as tx:
            assert await tx.accounts.load(ACCOUNT) == make_account()
        async with database.read_market() as market:
            key = (BINANCE, BTC, make_candle().timeframe)
            assert await market.candles.range(*key, make_candle().open_time, NOW, 1)


async def test_before_the_first_upgrade_there_is_no_revision(
    empty_settings: DatabaseSettings,
) -> None:
    assert await schema.current(empty_settings) == dict.fromkeys(Store)


async def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    settings = DatabaseSettings(url=f"sqlite:///{tmp_path / 'my data #1 100%'}")
    await schema.upgrade(settings)
    assert await schema.current(settings) == HEADS


async def test_the_money_file_may_be_named_itself(tmp_path: Path) -> None:
    await schema.upgrade(DatabaseSettings(url=f"sqlite:///{tmp_path / 'here' / 'pulse.db'}"))
    names = {path.name for path in (tmp_path / "here").iterdir()}
    assert names == {"pulse.db", "pulse.market.db", "pulse.lock"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "here").glob("*.db"))


async def test_two_upgrades_at_once_are_as_good_as_one(empty_settings: DatabaseSettings) -> None:
    await asyncio.gather(schema.upgrade(empty_settings), schema.upgrade(empty_settings))
    assert await schema.current(empty_settings) == HEADS


async def test_an_upgrade_that_breaks_off_leaves_nothing_behind(
    empty_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = command.upgrade

    def break_off(config: Config, revision: str) -> None:
        whole(config, revision)
        raise RuntimeError("power cut")

    with monkeypatch.context() as broken:
        broken.setattr(command, "upgrade", break_off)
        with pytest.raises(RuntimeError, match="power cut"):
            await schema.upgrade(empty_settings)
    assert await picture(empty_settings) == set()

    await schema.upgrade(empty_settings)
    assert await schema.current(empty_settings) == HEADS


async def test_a_schema_that_is_current_is_left_alone(
    empty_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await schema.upgrade(empty_settings)

    def not_again(config: Config, revision: str) -> None:
        raise AssertionError("nothing was to be migrated")

    monkeypatch.setattr(command, "upgrade", not_again)
    await schema.upgrade(empty_settings)


async def test_a_database_of_a_newer_version_is_refused(
    empty_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await schema.upgrade(empty_settings)
    # An older AlphaPulse is one that lacks the newest revisions.
    older = tmp_path / "older"
    for store in Store:
        (older / store).mkdir(parents=True)
    (older / "env.py").write_bytes((schema.FOLDER / "env.py").read_bytes())
    monkeypatch.setattr(schema, "FOLDER", older)

    with pytest.raises(ConfigurationInvalid, match="another version"):
        await schema.upgrade(empty_settings)


async def test_ping_tells_an_old_schema_from_the_expected_one(
    empty_settings: DatabaseSettings,
) -> None:
    await schema.upgrade(empty_settings)
    async with open_database(empty_settings, name="test") as database:
        health = await database.ping()
        assert health.schema == health.expected_schema == schema.describe(HEADS)

    await schema.downgrade(empty_settings, Store.MARKET, "base")
    async with open_database(empty_settings, name="test") as database:
        health = await database.ping()
        assert health.schema == f"money {HEADS[Store.MONEY]}, market empty"
        assert health.engine in {"sqlite", "postgresql"}
        assert health.size_bytes > 0
