"""A SQLite file is copied before its schema changes, or the schema stays."""

from pathlib import Path

import pytest

from alphapulse.database.adapters.adapter import Store
from alphapulse.database.connection import open_database
from alphapulse.database.migrations import schema
from alphapulse.database.settings import DatabaseSettings
from alphapulse.errors import DatabaseUnavailable
from tests.builders import ACCOUNT, make_account, make_ticker

HEADS = {store: schema.expected(store) for store in Store}


@pytest.fixture
async def filled(sqlite_settings: DatabaseSettings) -> DatabaseSettings:
    """Something in either store."""
    async with open_database(sqlite_settings, name="test") as database:
        async with database.begin() as tx:
            await tx.accounts.add(make_account())
        async with database.begin_market() as market:
            await market.tickers.save([make_ticker()])
    return sqlite_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the database of the test lies."""
    return tmp_path / "database"


async def test_the_copy_is_the_whole_database_as_it_was(
    filled: DatabaseSettings, folder: Path, tmp_path: Path
) -> None:
    for store in Store:
        await schema.downgrade(filled, store, "base")

    restored = tmp_path / "restored"
    restored.mkdir()
    for store in Store:
        copy = folder / f"{store}-{HEADS[store]}.backup.db"
        assert copy.stat().st_mode & 0o077 == 0
        copy.rename(restored / f"{store}.db")
    settings = DatabaseSettings(url=f"sqlite:///{restored}")
    assert await schema.current(settings) == HEADS
    async with open_database(settings, name="test") as database:
        async with database.read() as tx:
            assert await tx.accounts.load(ACCOUNT) == make_account()
        async with database.read_market() as market:
            assert await market.tickers.list() == (make_ticker(),)


async def test_a_later_copy_of_the_same_schema_replaces_the_earlier(
    filled: DatabaseSettings, folder: Path
) -> None:
    copy = folder / f"money-{HEADS[Store.MONEY]}.backup.db"
    copy.write_bytes(b"an earlier one")
    (folder / f"{copy.name}.part").write_bytes(b"half of one")

    await schema.downgrade(filled, Store.MONEY, "base")

    assert copy.read_bytes().startswith(b"SQLite format 3")
    assert [path.name for path in folder.glob("*backup*")] == [copy.name]


async def test_a_schema_stays_when_its_file_cannot_be_copied(
    filled: DatabaseSettings, folder: Path
) -> None:
    in_the_way = folder / f"money-{HEADS[Store.MONEY]}.backup.db"
    in_the_way.mkdir()

    with pytest.raises(DatabaseUnavailable, match="cannot be copied"):
        await schema.downgrade(filled, Store.MONEY, "base")

    assert await schema.current(filled) == HEADS
    assert not list(folder.glob("*.part"))


async def test_a_new_database_is_not_copied(tmp_path: Path) -> None:
    await schema.upgrade(DatabaseSettings(url=f"sqlite:///{tmp_path}"))

    assert not list(tmp_path.glob("*backup*"))
