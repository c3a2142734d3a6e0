"""`alphapulse accounts`: the connected accounts, how fresh each is, and what is wrong."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from alphapulse.cli.connect import print_checks
from alphapulse.cli.console import age_since, print_json, print_table, talk
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir

if TYPE_CHECKING:
    from alphapulse.cli.client import LocalClient

PATH = "/api/exchange/accounts"


def accounts(
    action: Annotated[
        str, typer.Argument(help="list, test, sync, pause, resume or remove")
    ] = "list",
    account: Annotated[str | None, typer.Argument(help="The account's id.")] = None,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show the connected accounts; test, sync, pause, resume or remove one."""
    from alphapulse.cli.client import LocalClient
    from alphapulse.errors import InvalidInput

    client = LocalClient(data_dir(folder, demo=demo))
    if action == "list":
        _list(client, as_json=as_json)
        return
    if action not in {"test", "sync", "pause", "resume", "remove"}:
        raise InvalidInput("no such action", field="action", value=action)
    if account is None:
        raise InvalidInput("which account? `alphapulse accounts` lists their ids", field="account")
    answer = _act(client, action, account)
    if as_json:
        print_json(answer)
    elif action == "test":
        print_checks(answer["steps"])
    else:
        talk.print(f"{account}: {action} done")


def _act(client: "LocalClient", action: str, account: str) -> dict[str, Any]:
    if action == "remove":
        return client.delete(f"{PATH}/{account}")
    if action == "sync":
        return client.post("/api/exchange/sync", {"account": account})
    return client.post(f"{PATH}/{account}/{action}", {})


def _list(client: "LocalClient", *, as_json: bool) -> None:
    listing = client.get(PATH)
    if as_json:
        print_json(listing)
        return
    if not listing["items"]:
        talk.print("No account yet.  Next: alphapulse connect binance")
        return
    print_table(
        ("ID", "EXCHANGE", "LABEL", "STATUS", "KEY MAY", "BALANCES", "HISTORY", "PROBLEM"),
        [_row(item) for item in listing["items"]],
        numbers=("BALANCES", "HISTORY"),
    )


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    sync = {line["kind"]: line for line in item["sync"]}
    problem = next((line["error"] for line in item["sync"] if line["error"]), None)
    return (
        item["id"],
        item["exchange"] + (" (simulated)" if item["is_simulated"] else ""),
        item["label"],
        item["status"] if item["state"] == "active" else item["state"],
        _rights(item["permissions"]),
        age_since(sync.get("balances", {}).get("last_ok_at")),
        _progress(sync.get("fills", {})),
        item["state_reason"] or (problem and problem["message"]),
    )


def _rights(permissions: dict[str, Any]) -> str:
    names = [name for name in ("read", "trade", "withdraw") if permissions[name]]
    return ", ".join(n.upper() if n == "withdraw" else n for n in names) or "unknown"


def _progress(fills: dict[str, Any]) -> str | None:
    if fills.get("progress") is not None:
        return f"{fills['progress']:.0%}"
    return "complete" if fills.get("last_ok_at") else None
