"""`alphapulse db`: the schema of the database."""

import asyncio

import typer

from alphapulse.cli.console import out, print_json
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir

app = typer.Typer(help="Look at the database's schema, and upgrade it.", no_args_is_help=True)


@app.command("upgrade")
def upgrade(folder: DataDir = None, demo: Demo = False, as_json: AsJson = False) -> None:
    """Bring the schema to this version. `serve` does it too; stop a running server first."""
    from alphapulse.config import load_settings
    from alphapulse.database.migrations import schema

    settings = load_settings(data_dir(folder, demo=demo)).database
    before = asyncio.run(schema.current(settings))
    asyncio.run(schema.upgrade(settings))
    _print(before, asyncio.run(schema.current(settings)), as_json=as_json)


@app.command("current")
def current(folder: DataDir = None, demo: Demo = False, as_json: AsJson = False) -> None:
    """Say which revision the schema is at."""
    from alphapulse.config import load_settings
    from alphapulse.database.migrations import schema

    settings = load_settings(data_dir(folder, demo=demo)).database
    found = asyncio.run(schema.current(settings))
    _print(found, found, as_json=as_json)


def _print(before: dict, after: dict, *, as_json: bool) -> None:  # type: ignore[type-arg]
    if as_json:
        print_json({"before": before, "after": after})
        return
    for store, revision in after.items():
        change = "current" if before[store] == revision else f"upgraded from {before[store]}"
        out.print(f"{store:<8} {revision or 'empty'}  ({change})")
