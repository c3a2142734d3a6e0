"""`alphapulse db`: the schema of the database."""

import asyncio
from pathlib import Path

import typer

from alphapulse.cli.console import out, print_json
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir
from alphapulse.errors import NotRunning

app = typer.Typer(help="Look at the database's schema, and upgrade it.", no_args_is_help=True)


@app.command("upgrade")
def upgrade(folder: DataDir = None, demo: Demo = False, as_json: AsJson = False) -> None:
    """Bring the schema to this version. `serve` does it too; stop a running server first."""
    from alphapulse.config import load_settings
    from alphapulse.database.migrations import schema

    settings = load_settings(data_dir(folder, demo=demo)).database
    before = schema.describe(asyncio.run(schema.current(settings)))
    asyncio.run(schema.upgrade(settings))
    after = schema.describe(asyncio.run(schema.current(settings)))
    if as_json:
        print_json({"before": before, "after": after})
    else:
        change = "was up to date" if before == after else f"upgraded from {before}"
        out.print(f"schema {after}  ({change})", soft_wrap=True)


@app.command("current")
def current(folder: DataDir = None, demo: Demo = False, as_json: AsJson = False) -> None:
    """Say which revision the schema is at, and which one this version needs."""
    where = data_dir(folder, demo=demo)
    try:
        found, wanted = _as_the_server_says(where)
    except NotRunning:
        found, wanted = _as_the_database_says(where)
    if as_json:
        print_json({"current": found, "expected": wanted})
    else:
        advice = "up to date" if found == wanted else f"needs {wanted}  → alphapulse db upgrade"
        out.print(f"schema {found}  ({advice})", soft_wrap=True)


def _as_the_server_says(folder: Path) -> tuple[str, str]:
    """A running server has its SQLite files for itself."""
    from alphapulse.cli.client import LocalClient

    database = LocalClient(folder).get("/api/system/status")["database"] or {}
    return str(database.get("schema")), str(database.get("expected_schema"))


def _as_the_database_says(folder: Path) -> tuple[str, str]:
    from alphapulse.config import load_settings
    from alphapulse.database.adapters.adapter import Store
    from alphapulse.database.migrations import schema

    found = asyncio.run(schema.current(load_settings(folder).database))
    wanted = {store: schema.expected(store) for store in Store}
    return schema.describe(found), schema.describe(wanted)
