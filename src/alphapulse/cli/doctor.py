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
from rich.markup import escape

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
            out.print(f"{mark} {finding.name:<20}  {escape(finding.detail)}", soft_wrap=True)
            if finding.fix and not finding.ok:
                out.print(f"  → {escape(finding.fix)}", soft_wrap=True)
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
    for part in status["components"]:
        if part["status"] != "ok":
            yield Finding(part["name"], ok=False, detail=part["detail"] or part["status"])
    if status["database"] is not None:
        yield _schema(status["database"])
        accounts = client.get("/api/exchange/accounts", {"limit": "500"})["items"]
        yield from _exchanges(status, {item["id"]: item["label"] for item in accounts})
    for incident in status["incidents"]:
        yield Finding("Alert", ok=False, detail=incident["cause"], fix=incident["fix"])


def _schema(database: dict[str, Any]) -> Finding:
    return Finding(
        "Database",
        database["schema"] == database["expected_schema"],
        f"{database['engine']}, schema {database['schema']}, {database['latency_ms']:.0f} ms",
        "alphapulse db upgrade",
    )


def _exchanges(status: dict[str, Any], labels: dict[str, str]) -> Iterator[Finding]:
    """One line for the prices of each exchange and one for each account."""
    parts: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    for line in status["exchanges"]:
        parts.setdefault((line["id"], line["account"]), []).append(line)
    for (exchange, account), lines in sorted(parts.items(), key=str):
        name = labels.get(account, account) if account else f"{exchange} prices"
        offset_ms = status["clock"]["offset_ms"].get(exchange)
        clock = "" if account or offset_ms is None else f", clock {offset_ms:+d} ms"
        yield _part(name, lines, clock)


def _part(name: str, lines: list[dict[str, Any]], clock: str) -> Finding:
    if all(line["status"] == "paused" for line in lines):
        return Finding(name, ok=True, detail="paused")
    wrong = next((line for line in lines if line["status"] != "ok"), None)
    if wrong is None:
        kinds = ", ".join(f"{line['kind']} {line['status']}" for line in lines)
        return Finding(name, ok=True, detail=f"{kinds}, stream {lines[0]['stream']}{clock}")
    error = wrong["error"] or {"class": "late", "message": "nothing was read in time", "fix": None}
    what = f"{wrong['kind']} {wrong['status']}: {error['class']}, {error['message']}"
    return Finding(name, ok=False, detail=what, fix=error["fix"])
