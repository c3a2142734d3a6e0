"""Database Adapters: the one that fits the URL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import make_url

from alphapulse.database.adapters.adapter import DatabaseAdapter
from alphapulse.database.adapters.folder import SqliteFiles, open_folder
from alphapulse.database.adapters.sqlite import SqliteAdapter
from alphapulse.database.settings import DatabaseSettings


def is_missing(settings: DatabaseSettings) -> bool:
    """Whether it is SQLite that was never created; a server's database is not ours to create."""
    if make_url(settings.url).get_backend_name() == "postgresql":
        return False
    files = SqliteFiles.of(settings.url)
    return not (files.money.exists() and files.market.exists())


@asynccontextmanager
async def open_adapter(
    settings: DatabaseSettings, *, name: str, migrates: bool = False
) -> AsyncIterator[DatabaseAdapter]:
    """Make the engines on this loop, and close them on it.

    Args:
        settings: where the database is.
        name: who opens it.
        migrates: create what is missing, and let tables be rebuilt under their foreign keys.
    """
    if make_url(settings.url).get_backend_name() == "postgresql":
        # Its driver and dialect are of no use to a folder of files, and cost it 0.1 s and 5 MB.
        from alphapulse.database.adapters.postgresql import PostgresqlAdapter

        server = PostgresqlAdapter(settings, name=name, migrates=migrates)
        try:
            yield server
        finally:
            await server.close()
        return
    files = SqliteFiles.of(settings.url)
    if migrates:
        files.create()
    async with open_folder(files) as folder:
        local = SqliteAdapter(settings, files, folder, migrates=migrates)
        try:
            yield local
        finally:
            await local.close()
