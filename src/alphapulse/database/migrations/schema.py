"""Migration Management: bring the schema up or down, and say where it is.

Each store has its own line of revisions and its own version table, because on SQLite each is a
file of its own. One run is one transaction on both engines: a run that is killed leaves the old
schema, never half of the new one. Before it a SQLite file is copied: ``money-0001.backup.db``.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

from sqlalchemy import Connection, column, select, table

from alphapulse.database.adapters.adapter import Store
from alphapulse.database.adapters.opening import is_missing, open_adapter
from alphapulse.database.settings import DatabaseSettings
from alphapulse.database.statements import Statements, translated
from alphapulse.database.unit_of_work import reading, writing
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
    found = await current(settings)
    behind = [store for store in Store if found[store] != expected(store)]
    if behind:
        from alphapulse.database.migrations import runner

        for store in behind:
            await _migrate(settings, store, partial(runner.upgrade, FOLDER, store))


async def downgrade(settings: DatabaseSettings, store: Store, revision: str) -> None:
    """Take one store back to ``revision``, or to nothing with ``base``."""
    from alphapulse.database.migrations import runner

    await _migrate(settings, store, partial(runner.downgrade, FOLDER, store, revision))


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


def expected(store: Store) -> str | None:
    """The revision this version of AlphaPulse works with."""
    return _newest(FOLDER / store)


@cache
def _newest(line: Path) -> str | None:
    # Files are named by their revision, in order: r0001_portfolio.py.
    names = sorted(file.name for file in line.glob("r*.py"))
    return names[-1].removeprefix("r").partition("_")[0] if names else None


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


async def _migrate(
    settings: DatabaseSettings, store: Store, work: Callable[[Connection], None]
) -> None:
    patient = settings.model_copy(update={"statement_timeout_s": STATEMENT_TIMEOUT_S})
    async with (
        _migrating,
        open_adapter(patient, name="migration", migrates=True) as adapter,
    ):
        async with reading(adapter, store) as statements:
            revision = await revision_of(statements, store)
        if revision is not None:
            with translated(adapter):
                await adapter.back_up(store, revision)
        async with writing(adapter, store) as statements, statements.migrating():
            await statements.run_sync(work)
