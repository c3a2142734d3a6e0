"""`alphapulse doctor`: is everything all right, and if not, what to do."""

import asyncio
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from alphapulse.cli.console import out, print_json
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir
from alphapulse.errors import AlphaPulseError, NotRunning

if TYPE_CHECKING:
    from alphapulse.config import Settings

DISK_FREE_MIN_BYTES = 1_000_000_000  # a year of candles of 50 markets, and room to migrate


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str
    fix: str | None = None


def doctor(folder: DataDir = None, demo: Demo = False, as_json: AsJson = False) -> None:
    """Check this installation and every account; exit 1 when something is wrong."""
    findings = list(_findings(data_dir(folder, demo=demo)))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = "[green]✓[/]" if finding.ok else "[red]✗[/]"
            out.print(f"{mark} {finding.name:<22} {finding.detail}", soft_wrap=True)
            if finding.fix and not finding.ok:
                out.print(f"    → {finding.fix}", soft_wrap=True)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def _findings(folder: Path) -> Iterator[Finding]:
    from alphapulse.config import load_settings

    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", sys.version_info >= (3, 11), version, "Install Python 3.11 or newer.")
    try:
        settings = load_settings(folder)
    except AlphaPulseError as error:
        yield Finding("Settings", ok=False, detail=str(error), fix=error.fix)
        return
    yield Finding("Settings", ok=True, detail=f"data folder {folder}")
    yield from _files(folder)
    try:
        yield from _server(folder)
    except NotRunning as error:
        yield Finding("Server", ok=False, detail="not running", fix=error.fix)
        yield _database(settings)


def _files(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    yield Finding(
        "Disk", free >= DISK_FREE_MIN_BYTES, f"{free / 1e9:.1f} GB free", "Make room on the disk."
    )
    key = folder / "master.key"
    if key.exists():
        mode = stat.S_IMODE(key.stat().st_mode)
        yield Finding("Master key", mode & 0o077 == 0, f"mode {mode:o}", f"chmod 600 {key}")


def _database(settings: "Settings") -> Finding:
    from alphapulse.database.adapters.adapter import Store
    from alphapulse.database.migrations import schema

    try:
        found = asyncio.run(schema.current(settings.database))
    except AlphaPulseError as error:
        return Finding("Database", ok=False, detail=str(error), fix=error.fix)
    wanted = {store: schema.expected(store) for store in Store}
    return Finding(
        "Database", found == wanted, f"schema {schema.describe(found)}", "alphapulse db upgrade"
    )


def _server(folder: Path) -> Iterator[Finding]:
    from alphapulse.cli.client import LocalClient

    client = LocalClient(folder)
    status = client.get("/api/system/status")
    yield Finding(
        "Server",
        status["status"] == "ok",
        f"{status['status']} at {client.url}, version {status['version']}",
        "The lines below say what is wrong.",
    )
    database = status["database"]
    yield Finding(
        "Database",
        database["schema"] == database["expected_schema"],
        f"{database['engine']}, schema {database['schema']}, {database['latency_ms']} ms",
        "alphapulse db upgrade",
    )
    for exchange in status["exchanges"]:
        yield _exchange(exchange)
    for incident in status["incidents"]:
        yield Finding(str(incident["id"]), ok=False, detail=incident["cause"], fix=incident["fix"])


def _exchange(exchange: dict[str, Any]) -> Finding:
    error = exchange["error"] or {}
    offset = exchange.get("clock_offset_ms")
    detail = f"{exchange['status']}, stream {exchange['stream']}"
    if offset is not None:
        detail += f", clock {offset:+d} ms"
    if error:
        detail += f": {error.get('class')} {error.get('message') or ''}"
    name = f"{exchange['id']} {exchange['account'] or 'prices'}"
    return Finding(name, exchange["status"] == "ok", detail, error.get("fix"))
