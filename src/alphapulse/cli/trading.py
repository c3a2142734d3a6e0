"""`alphapulse trading`: the kill switch, and how trading is."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from alphapulse.cli.console import age_since, out, print_json, talk
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir

app = typer.Typer(
    help="Halt and resume trading; see how it is.", no_args_is_help=True, add_completion=False
)

Account = Annotated[
    str | None, typer.Option("--account", "-a", help="Only this one. [default: all]")
]


@app.command("status")
def status(folder: DataDir = None, demo: Demo = False, as_json: AsJson = False) -> None:
    """Show whether orders are sent, and every order whose fate is unknown."""
    from alphapulse.cli.client import LocalClient

    _show(LocalClient(data_dir(folder, demo=demo)).get("/api/trading"), as_json=as_json)


@app.command("halt")
def halt(
    reason: Annotated[str, typer.Argument(help="Why; shown to everybody.")],
    account: Account = None,
    reduce_only: Annotated[
        bool, typer.Option(help="Still let through what makes a position smaller.")
    ] = False,
    cancel_open: Annotated[bool, typer.Option(help="Cancel every open order, too.")] = False,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Send no more orders, from now on and after a restart too. It asks nothing: it is for haste.

    \b
    alphapulse trading halt "prices look wrong" --cancel-open
    """
    from alphapulse.cli.client import LocalClient

    body: dict[str, Any] = {
        "reason": reason,
        "reduce_only": reduce_only,
        "cancel_open": cancel_open,
    }
    body |= {"account_id": account} if account else {}
    client = LocalClient(data_dir(folder, demo=demo))
    _show(client.post("/api/trading/halt", body), as_json=as_json)


@app.command("resume")
def resume(
    reason: Annotated[str, typer.Argument(help="Why it is right again.")],
    account: Account = None,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Send orders again."""
    from alphapulse.cli.client import LocalClient

    body = {"reason": reason} | ({"account_id": account} if account else {})
    client = LocalClient(data_dir(folder, demo=demo))
    _show(client.post("/api/trading/resume", body), as_json=as_json)


def _show(state: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(state)
        return
    out.print(f"Trading is [bold]{state['mode']}[/]")
    for switch in state["switches"]:
        if switch["mode"] != "active":
            where = switch["account_id"] or "all accounts"
            since = age_since(switch["changed_at"])
            out.print(
                f"  [yellow]{switch['mode']}[/] {where} for {since}: {escape(switch['reason'])}",
                soft_wrap=True,
            )
    for order in state["unknown_orders"]:
        since = age_since(order["uncertain_since"] or order["created_at"])
        out.print(f"  [red]unknown[/] {order['id']} {order['symbol']} for {since}", soft_wrap=True)
    if state.get("canceled") is not None:
        talk.print(f"{len(state['canceled'])} orders were open and are canceled.")
