"""`alphapulse demo`: AlphaPulse on simulated exchanges, with nothing to prepare."""

import asyncio
import importlib
import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alphapulse.cli.console import out
from alphapulse.cli.folder import SIMULATED_ACCOUNTS_FILE, SIMULATOR_FILE
from alphapulse.cli.options import AsJson, DataDir, data_dir
from alphapulse.cli.serve import print_ready

if TYPE_CHECKING:
    from alphapulse.cli.client import LocalClient
    from alphapulse.cli.folder import RunningServer

SIMULATOR_END_S = 5.0


def demo(
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    reset: Annotated[
        bool, typer.Option("--reset", help="Start over with fresh demo data.")
    ] = False,
    database: Annotated[
        str | None,
        typer.Option(help="An empty database of its own. [default: SQLite in the data folder]"),
    ] = None,
    folder: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run on simulated Binance and Bybit: three accounts, moving prices, no key, no money."""
    started = time.monotonic()
    where = data_dir(folder, demo=True)
    from alphapulse.cli.client import LocalClient
    from alphapulse.cli.server import require_free, run

    _require_demo_folder(where)
    # The settings know the address, and take a second to load; here is where nearly all are.
    require_free("127.0.0.1", port)
    if reset:
        _reset(where)
    _step(as_json, "Data folder", str(where))
    where.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _simulated_exchange(where) as simulated:
        _step(as_json, "Simulated exchanges", f"{len(simulated['accounts'])} accounts")
        reach = {"simulator_url": simulated["url"]}

        async def say(server: "RunningServer", setup_code: str | None) -> None:
            client = LocalClient(where)
            await asyncio.to_thread(_connect, client, simulated["accounts"])
            _step(as_json, "Accounts", "connected")
            _step(as_json, "API", f"ready in {time.monotonic() - started:.1f} s\n")
            print_ready(server, setup_code, as_json=as_json, simulator=simulated["url"])
            if not as_json:
                _say_what_next(simulated["url"])

        # Said here, so that no address in the environment leads a demo to real accounts.
        store = {"url": database or f"sqlite:///{where / 'db'}"}
        run(where, say, mode="demo", api={"port": port}, exchanges=reach, database=store)


def _step(as_json: bool, name: str, detail: str) -> None:
    if not as_json:
        out.print(f"  [green]✓[/] {name:<22} {detail}", soft_wrap=True)


def _require_demo_folder(folder: Path) -> None:
    from alphapulse.errors import InvalidInput

    if (folder / "db").exists() and not (folder / SIMULATOR_FILE).exists():
        raise InvalidInput(
            "this folder holds your own data; a demo needs another", field="data_dir", value=folder
        )


def _reset(folder: Path) -> None:
    """Delete what a demo stored here, and nothing else that may lie beside it.

    Raises:
        Conflict: it runs.
    """
    from alphapulse.cli.client import LocalClient
    from alphapulse.errors import ConfigurationInvalid, Conflict, NotRunning
    from alphapulse.security.key_file import KEY_FILE_NAME

    with suppress(NotRunning, ConfigurationInvalid):
        client = LocalClient(folder)
        client.get("/health/live")
        raise Conflict("the demo still runs; stop it first", url=client.url)
    names = ("db", KEY_FILE_NAME, SIMULATOR_FILE, SIMULATED_ACCOUNTS_FILE)
    for path in (folder / name for name in names):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@contextmanager
def _simulated_exchange(folder: Path) -> Iterator[dict[str, Any]]:
    """The simulator in a process of its own, as exchanges are; it ends with its stdin."""
    command = [sys.executable, "-m", "alphapulse", "simulate", "--settings", "-", "--json"]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl+C is for us: the exchanges end after those who read them
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(_simulator_settings(folder)) + "\n")
        process.stdin.flush()
        try:
            # Our own half of the start goes on beside it.
            importlib.import_module("alphapulse.main")
            yield _first_document(process.stdout)
        finally:
            process.stdin.close()
            try:
                process.wait(SIMULATOR_END_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _simulator_settings(folder: Path) -> dict[str, Any]:
    """The same keys at every start and, before the first one, the same past; from then on the
    accounts go on where they were, so that what was synchronized stays true."""
    from datetime import UTC, datetime

    from alphapulse.simulator.settings import DEMO_ACCOUNTS

    file = folder / SIMULATOR_FILE
    if not file.exists():
        accounts = [
            account.model_dump(mode="json")
            | {
                "api_key": f"sim-{account.label}-{secrets.token_hex(8)}",
                "api_secret": f"sim-secret-{secrets.token_hex(16)}",
            }
            for account in DEMO_ACCOUNTS
        ]
        past_until = datetime.now(UTC).isoformat()
        past = {"history_until": past_until, "history_errands": True}
        file.write_text(json.dumps({"accounts": accounts, **past}))
    settings: dict[str, Any] = json.loads(file.read_text())
    return settings | {"state_file": str(folder / SIMULATED_ACCOUNTS_FILE)}


def _first_document(stream: Any) -> dict[str, Any]:
    """What the simulator announces; pretty JSON ends with a brace in the first column."""
    from alphapulse.errors import NotReady

    lines = []
    for line in stream:
        lines.append(line)
        if line.startswith("}"):
            document: dict[str, Any] = json.loads("".join(lines))
            return document
    raise NotReady("the simulated exchange did not start; the lines above say why")


def _connect(client: "LocalClient", accounts: list[dict[str, str]]) -> None:
    """Connect what is not connected yet, by the way every user goes."""
    known = {item["label"] for item in client.get("/api/exchange/accounts")["items"]}
    for account in accounts:
        if account["label"] not in known:
            client.post("/api/exchange/accounts", account)


def _say_what_next(simulator_url: str) -> None:
    out.print("  Look       alphapulse portfolio --demo    alphapulse prices --watch --demo")
    out.print(f"  Simulator  {simulator_url}/_control/", soft_wrap=True)
    out.print("  Next       alphapulse serve    then   alphapulse connect binance")
    out.print("  Stop       Ctrl+C (demo data is kept; --reset starts over)")
