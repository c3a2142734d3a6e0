"""`alphapulse prices`: last prices, once or as they move, and what people say of others."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer
from typer.core import TyperGroup

from alphapulse.cli.console import age, grouped, out, price, print_json, print_table, talk
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir


class _ShowUnlessNamed(TyperGroup):
    """`prices` and `prices BTC/USDT` show prices: that is what they are for most of the time."""

    # Typer keeps the type of a context to itself.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    help="Show prices, and say what an asset is worth that no market prices.",
    cls=_ShowUnlessNamed,
    add_completion=False,
)

Named = Annotated[str, typer.Argument(metavar="ASSET", help="Such as LUNA.")]
_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%fZ"]


@app.command("show")
def show(
    symbols: Annotated[list[str] | None, typer.Argument(help="BTC/USDT ... [default: all]")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow until Ctrl+C.")] = False,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show prices with their age and source.

    \b
    alphapulse prices BTC/USDT --watch
    """
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    query = {"symbols": ",".join(symbols)} if symbols else {}
    if watch:
        _watch(client, symbols, as_json=as_json)
        return
    answer = client.get("/api/market/prices", query)
    if as_json:
        print_json(answer)
        return
    print_table(_COLUMNS, [_row(item) for item in answer["items"]], numbers=_COLUMNS[2:])


@app.command("set")
def set_(
    asset: Named,
    value: Annotated[str, typer.Argument(help="Of one unit, such as 0.25.")],
    currency: Annotated[str, typer.Option("--currency", "-c", help="What the value is in.")],
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=_DATES, help="When it was worth that, in UTC. [default: now]"),
    ] = None,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Say what an asset is worth.

    A market that prices it goes first. For the cost basis it is the rate of its day.

    \b
    alphapulse prices set LUNA 0.25 --currency USD
    alphapulse prices set LUNA 80.1 --currency USD --as-of 2022-04-05
    """
    from alphapulse.cli.client import LocalClient

    body = {"value": value, "currency": currency}
    body |= {"as_of": as_of.isoformat()} if as_of else {}
    client = LocalClient(data_dir(folder, demo=demo))
    answer = client.put(f"/api/portfolio/prices/{quote(asset, safe='')}", body)
    if as_json:
        print_json(answer)
        return
    said = answer["said"]
    talk.print(
        f"One {said['asset']} is worth {price(said['value'])} {said['currency']}"
        f" as of {said['as_of']}."
    )


@app.command("unset")
def unset(
    asset: Named,
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=_DATES, help="Only what was said of then. [default: all]"),
    ] = None,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Take back what was said an asset is worth."""
    from alphapulse.cli.client import LocalClient

    query = f"?{urlencode({'as_of': as_of.isoformat()})}" if as_of else ""
    client = LocalClient(data_dir(folder, demo=demo))
    client.delete(f"/api/portfolio/prices/{quote(asset, safe='')}{query}")
    if as_json:
        print_json({"asset": asset.upper(), "taken_back": True})
        return
    talk.print(f"What was said of {asset.upper()} is taken back.")


@app.command("said")
def said(
    asset: Annotated[
        str | None, typer.Argument(help="All that was said of it. [default: the newest of each]")
    ] = None,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """List what people say assets are worth, and what prices each now."""
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    page = client.get("/api/portfolio/prices", {"asset": asset} if asset else None)
    if as_json:
        print_json(page)
    elif not page["items"]:
        talk.print("Nobody said a price.")
    else:
        _show_said(page)


def _show_said(page: dict[str, Any]) -> None:
    now = f"NOW {page['meta']['currency']}"
    print_table(
        ("ASSET", "WORTH", "IN", "AS OF", "SAID BY", now, "BY"),
        [
            (
                one["asset"],
                price(one["value"]),
                one["currency"],
                one["as_of"],
                one["said_by"],
                price(one["price"]["value"]) if one["price"] else None,
                one["price"]["source"] if one["price"] else "no path",
            )
            for one in page["items"]
        ],
        numbers=("WORTH", now),
    )


_COLUMNS = ("SYMBOL", "EXCHANGE", "LAST", "BID", "ASK", "24H %", "AGE")


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    return (
        item["symbol"],
        item["exchange"],
        price(item["last"]),
        price(item["bid"]),
        price(item["ask"]),
        grouped(item["change_24h_pct"], 2),
        age(item.get("age_ms")),
    )


def _watch(client: Any, symbols: list[str] | None, *, as_json: bool) -> None:
    """Each update on a line of JSON, or a table that is redrawn at most four times a second."""
    import sys

    from rich.live import Live

    channels = [f"ticker:{symbol}" for symbol in symbols] if symbols else ["tickers"]
    if as_json:
        for frame in client.stream(channels):
            sys.stdout.write(frame + "\n")
            sys.stdout.flush()
        return
    import json

    latest: dict[tuple[str, str], dict[str, Any]] = {}
    with Live(console=out, refresh_per_second=4, screen=False) as live:
        for frame in client.stream(channels):
            message = json.loads(frame)
            if message["type"] not in {"snapshot", "delta"}:
                continue
            for item in message["data"]:
                latest[(item["symbol"], item["exchange"])] = item
            live.update(_table(latest))


def _table(latest: dict[tuple[str, str], dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in _COLUMNS:
        table.add_column(column, justify="right" if column in _COLUMNS[2:] else "left")
    for _, item in sorted(latest.items()):
        table.add_row(*("–" if cell is None else str(cell) for cell in _row(item)))
    return table
