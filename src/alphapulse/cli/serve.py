"""`alphapulse serve`: run it on your own data."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alphapulse.cli.console import out, print_json
from alphapulse.cli.folder import SIMULATOR_FILE
from alphapulse.cli.options import AsJson, DataDir, data_dir

if TYPE_CHECKING:
    from alphapulse.cli.folder import RunningServer


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")
    ] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one. [default: 8000]")] = None,
    simulator: Annotated[
        str | None, typer.Option(help="Reach every exchange at this simulator instead.")
    ] = None,
    folder: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Synchronize your accounts and serve them, until Ctrl+C."""
    from alphapulse.cli.server import run

    where = data_dir(folder)
    if simulator is None:
        _require_own_data(where)
    listen = {name: value for name, value in (("host", host), ("port", port)) if value is not None}

    async def say(server: "RunningServer", setup_code: str | None) -> None:
        print_ready(server, setup_code, as_json=as_json, simulator=simulator)
        if not as_json:
            out.print(f"  Data       {where}\n  Stop       Ctrl+C", soft_wrap=True)

    run(where, say, api=listen, exchanges={"simulator_url": simulator} if simulator else None)


def _require_own_data(folder: Path) -> None:
    """A demo's keys mean nothing to a real exchange."""
    from alphapulse.errors import InvalidInput

    if (folder / SIMULATOR_FILE).exists():
        raise InvalidInput(
            "this folder holds a demo; use `alphapulse demo`, or another folder for your own data",
            field="data_dir",
            value=folder,
        )


def setup_link(url: str, code: str) -> str:
    """Where the first user is made. A fragment is never sent by a browser, so no log sees it."""
    return f"{url}/setup#k={code}"


def print_ready(
    server: "RunningServer", setup_code: str | None, *, as_json: bool, simulator: str | None
) -> None:
    """The address, and the way in while nobody has a login yet."""
    link = setup_link(server.url, setup_code) if setup_code else None
    if as_json:
        said = {"url": server.url, "pid": server.pid, "setup_link": link, "simulator": simulator}
        print_json(said)
        sys.stdout.flush()
        return
    if link:
        out.print("  Open to create your admin login (one use, 15 minutes):")
        out.print(f"  [bold]{link}[/]\n", soft_wrap=True)
    out.print(f"  API        {server.url}/docs", soft_wrap=True)
