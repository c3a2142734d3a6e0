"""`alphapulse connect`: add an exchange account, with every check named."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from alphapulse.cli.console import out, print_json, talk
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir

if TYPE_CHECKING:
    from alphapulse.cli.client import LocalClient

LOOK_INTERVAL_S = 0.5


def connect(
    exchange: Annotated[str, typer.Argument(help="binance, bybit, kraken, ...")],
    label: Annotated[
        str | None, typer.Option(help="Your name for it. [default: the exchange]")
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with api_key, api_secret and, where needed, password; - is stdin."
        ),
    ] = None,
    allow_withdraw: Annotated[
        bool, typer.Option(help="Accept a key that may withdraw. Better: make one that may not.")
    ] = False,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Check a key at the exchange and start to synchronize its account.

    The key is asked for without echo. It is sent to your own server only, sealed, and never shown
    again.
    """
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    body = {
        "exchange": exchange,
        "label": label or exchange,
        "allow_withdraw": allow_withdraw,
        **_credentials(key_file),
    }
    answer = client.post("/api/exchange/accounts", body)
    if as_json:
        print_json(answer)
        return
    print_checks(answer["checks"])
    account = answer["account"]["id"]
    out.print(f"\n[bold]Connected[/] {answer['account']['label']} as {account}")
    if talk.is_terminal:
        _follow_history(client, account)
    talk.print("History is read in the background.  Next: alphapulse accounts")


def _follow_history(client: "LocalClient", account: str) -> None:
    """Show how much of the history is read; Ctrl+C ends the looking, not the reading."""
    import time

    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
               TimeRemainingColumn())  # fmt: skip
    with suppress(KeyboardInterrupt), Progress(*columns, console=talk, transient=True) as progress:
        bar = progress.add_task("Reading the history (Ctrl+C leaves it to the server)", total=1.0)
        while True:
            sync = client.get(f"/api/exchange/accounts/{account}")["account"]["sync"]
            fills = next((line for line in sync if line["kind"] == "fills"), None)
            if (
                fills is None
                or fills["error"]
                or (fills["last_ok_at"] and fills["progress"] is None)
            ):
                return
            progress.update(bar, completed=fills["progress"] or 0.0)
            time.sleep(LOOK_INTERVAL_S)


def _credentials(key_file: Path | None) -> dict[str, str]:
    import json
    import sys

    from alphapulse.errors import InvalidInput

    if key_file is None:
        key = typer.prompt("API key", hide_input=True)
        secret = typer.prompt("API secret", hide_input=True)
        password = typer.prompt("Passphrase, if the exchange has one", default="", hide_input=True,
                                show_default=False)  # fmt: skip
        return {"api_key": key, "api_secret": secret} | ({"password": password} if password else {})
    try:
        text = sys.stdin.read() if str(key_file) == "-" else key_file.read_text()
        given = json.loads(text)
        return {k: str(given[k]) for k in ("api_key", "api_secret", "password") if given.get(k)}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InvalidInput("the key file is not readable JSON", field="key_file") from error


def print_checks(steps: list[dict[str, Any]]) -> None:
    """Each step of a key check on a line; beneath a failed one, what to do."""
    for step in steps:
        mark = "[green]✓[/]" if step["ok"] else "[red]✗[/]"
        out.print(f"  {mark} {step['name']:<13} {escape(step['detail'])}", soft_wrap=True)
        if step["fix"] and not step["ok"]:
            out.print(f"    → {escape(step['fix'])}", soft_wrap=True)
