"""`alphapulse reconcile` and `alphapulse transactions`: every movement, and whether all add up."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from alphapulse.cli.console import age_since, grouped, out, print_json, print_table, talk
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir

if TYPE_CHECKING:
    from alphapulse.cli.client import LocalClient

Account = Annotated[
    str | None, typer.Option("--account", "-a", help="Only this one. [default: all]")
]
Asset = Annotated[str | None, typer.Option("--asset", help="Only this asset, or contract.")]


def reconcile(
    account: Account = None,
    asset: Asset = None,
    now: Annotated[
        bool, typer.Option("--now", help="Compare with the exchanges first; takes seconds.")
    ] = False,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show whether all movements add up to what the exchanges show; exit 1 when they do not.

    \b
    alphapulse reconcile --now
    """
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    query = _query(account=account, asset=asset)
    if now:
        _compare(client, client.get("/api/portfolio/reconcile", query)["accounts"])
    proof = client.get("/api/portfolio/reconcile", query)
    if as_json:
        print_json(proof)
    else:
        _show_proof(proof)
    if proof["residual_count"]:
        raise typer.Exit(1)


def transactions(
    account: Account = None,
    asset: Asset = None,
    kind: Annotated[
        str | None, typer.Option(help="fill, fee, deposit, withdrawal, transfer, funding ...")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="The newest so many.")] = 50,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """List every movement of every asset, newest first: what each changed at the exchange."""
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    query = _query(account=account, asset=asset, kind=kind, limit=str(limit))
    page = client.get("/api/portfolio/transactions", query)
    if as_json:
        print_json(page)
        return
    if not page["items"]:
        talk.print("Nothing moved yet.")
        return
    print_table(
        ("AT", "KIND", "ACCOUNT", "CHANGE", "FEE", "REFERENCE"),
        [_transaction(item) for item in page["items"]],
        numbers=("CHANGE", "FEE"),
    )


def _compare(client: "LocalClient", accounts: list[dict[str, Any]]) -> None:
    from alphapulse.cli.client import RefusedByServer
    from alphapulse.errors import Conflict

    for one in accounts:
        try:
            client.post(f"/api/exchange/accounts/{one['account_id']}/reconcile", {})
        except RefusedByServer as refusal:
            if refusal.code != Conflict.code:
                raise
            talk.print(f"[yellow]not compared[/] {escape(one['label'])}: {escape(str(refusal))}")


def _query(**asked: str | None) -> dict[str, str]:
    return {name: value for name, value in asked.items() if value is not None}


def _show_proof(proof: dict[str, Any]) -> None:
    for one in proof["accounts"]:
        if not one["complete"]:
            talk.print(
                f"[yellow]incomplete[/] {escape(one['label'])}: a history is still being read, or"
                " the last comparison was not completed",
                soft_wrap=True,
            )
    lines = [(one, line) for one in proof["accounts"] for line in one["assets"]]
    if not lines:
        talk.print("Nothing was compared yet.")
        return
    print_table(
        ("ACCOUNT", "ASSET", "OPENING", "ENTRIES", "EXCHANGE", "RESIDUAL", "SINCE", "CAUSE"),
        [
            (
                one["account_id"],
                line["asset"],
                grouped(line["opening"]),
                grouped(line["entries"]),
                grouped(line["exchange_total"]),
                grouped(line["residual"]),
                age_since(line["since"]),
                line["cause"],
            )
            for one, line in lines
        ],
        numbers=("OPENING", "ENTRIES", "EXCHANGE", "RESIDUAL"),
    )
    count = proof["residual_count"]
    out.print(f"{count} residuals" if count else "Everything that was compared adds up.")


def _transaction(item: dict[str, Any]) -> tuple[object, ...]:
    changes = [one for one in item["postings"] if one["book"] == "venue"]
    fees = [one for one in item["postings"] if one["book"] == "fees"]
    return (
        item["at"],
        item["kind"],
        item["account_id"],
        _amounts(changes),
        _amounts(fees) or None,
        item["reference"],
    )


def _amounts(postings: list[dict[str, Any]]) -> str:
    return ", ".join(f"{grouped(one['quantity'])} {one['asset']}" for one in postings)
