"""`alphapulse prices`: last prices, once or as they move."""

from typing import Annotated, Any

import typer

from alphapulse.cli.console import age, grouped, out, price, print_json, print_table
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir


def prices(
    symbols: Annotated[list[str] | None, typer.Argument(help="BTC/USDT ... [default: all]")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow until Ctrl+C.")] = False,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show prices with their age and source."""
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
