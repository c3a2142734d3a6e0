"""Migration Management: bring the schema up or down, and say where it is.

Each store has its own line of revisions and its own version table, because on SQLite each is a
file of its own. One run is one transaction on both engines: a run that is killed leaves the old
schema, never half of the new one.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, column, select, table

from alphapulse.database.adapters.adapter import Store
from alphapulse.database.adapters.opening import is_missing, open_adapter
from alphapulse.database.settings import DatabaseSettings
from alphapulse.database.statements import Statements
from alphapulse.database.unit_of_work import reading, writing
from alphapulse.errors import ConfigurationInvalid
from alphapulse.runtime.turn import Turn

FOLDER = Path(__file__).parent
STATEMENT_TIMEOUT_S = 600.0  # rebuilding an index over a million fills takes minutes

NOTHING = "empty"

_migrating = Turn()  # Alembic keeps what it works on in globals


async def upgrade(settings: DatabaseSettings) -> None:
    """Create what is missing and bring both stores to the newest revision.

    Raises:
        ConfigurationInvalid: the database was made by a newer version of AlphaPulse.
        DatabaseBusy: another process has the database open.
        DatabaseUnavailable: it cannot be reached or written.
    """
    for store in Store:
        await _migrate(settings, store, partial(command.upgrade, revision="head"))


async def downgrade(settings: DatabaseSettings, store: Store, revision: str) -> None:
    """Take one store back to ``revision``, or to nothing with ``base``."""
    await _migrate(settings, store, partial(command.downgrade, revision=revision))


async def current(settings: DatabaseSettings) -> dict[Store, str | None]:
    """The revision each store is at; ``None`` before the first upgrade."""
    if is_missing(settings):
        return dict.fromkeys(Store)
    async with open_adapter(settings, name="schema") as adapter:
        found = {}
        for store in Store:
            async with reading(adapter, store) as statements:
                found[store] = await revision_of(statements, store)
        return found


@cache
def expected(store: Store) -> str:
    """The revision this version of AlphaPulse works with."""
    return str(ScriptDirectory.from_config(config_of(store)).get_current_head())


def describe(revisions: Mapping[Store, str | None]) -> str:
    """``money 0001, market 0001``, for people."""
    return ", ".join(f"{store} {revisions[store] or NOTHING}" for store in Store)


async def revision_of(statements: Statements, store: Store) -> str | None:
    """The revision of the store that ``statements`` read."""
    name = version_table(store)
    if not await statements.has_table(name):
        return None
    row = await statements.row(select(column("version_num")).select_from(table(name)))
    return None if row is None else str(row.version_num)


def version_table(store: Store) -> str:
    return f"{store}_revision"


def config_of(store: Store) -> Config:
    """What Alembic needs to know of one store's line."""
    config = Config()
    folder = str(FOLDER).replace("%", "%%")  # the option parser's own escape
    config.set_main_option("script_location", folder)
    config.set_main_option("version_locations", f"{folder}/{store}")
    config.set_main_option("path_separator", "newline")
    config.attributes["store"] = store
    return config


async def _migrate(settings: DatabaseSettings, store: Store, run: Callable[[Config], None]) -> None:
    patient = settings.model_copy(update={"statement_timeout_s": STATEMENT_TIMEOUT_S})
    async with (
        _migrating,
        open_adapter(patient, name="migration", migrates=True) as adapter,
        writing(adapter, store) as statements,
        statements.migrating(),
    ):
        await statements.run_sync(partial(_run, store, run))


def _run(store: Store, run: Callable[[Config], None], connection: Connection) -> None:
    config = config_of(store)
    config.attributes["connection"] = connection
    try:
        run(config)
    except CommandError as error:
        raise ConfigurationInvalid(
            "another version of AlphaPulse made this database; start that one, or a newer",
            store=store.value,
        ) from error
