"""`alphapulse portfolio`: what everything is worth now, and how old that number is."""

from typing import Annotated

import typer

from alphapulse.cli.console import UNKNOWN, age, grouped, out, price, print_json, print_table, talk
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir


def portfolio(
    currency: Annotated[
        str | None, typer.Option(help="Value in this currency. [default: your own]")
    ] = None,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show the total value, every position, and what could not be priced."""
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    query = {"currency": currency} if currency else {}
    summary = client.get("/api/portfolio/summary", query)
    positions = client.get("/api/portfolio/positions", query)
    if as_json:
        print_json({"summary": summary, "positions": positions["items"]})
        return
    _show_summary(summary)
    _show_positions(positions["items"])


def _show_summary(summary: dict) -> None:  # type: ignore[type-arg]
    meta = summary["meta"]
    fresh = [a for a in summary["accounts"] if not a["stale"]]
    out.print(
        f"[bold]{grouped(summary['total_value'], 2) or 'unknown'} {meta['currency']}[/]"
        f"  as of {meta['as_of']}, {len(fresh)} of {len(summary['accounts'])} accounts fresh"
    )
    for account in summary["accounts"]:
        if account["stale"]:
            out.print(
                f"  [yellow]stale[/] {account['label']}: {account['last_error'] or 'too old'}"
            )
    for item in summary["unpriced"]:
        quantity = UNKNOWN if item["quantity"] is None else item["quantity"]
        out.print(f"  [yellow]unpriced[/] {quantity} {item['asset']}: {item['reason']}")
    out.print()


def _show_positions(items: list[dict]) -> None:  # type: ignore[type-arg]
    if not items:
        talk.print("Nothing held.")
        return
    print_table(
        ("ASSET", "TYPE", "ACCOUNT", "QUANTITY", "PRICE", "VALUE", "AGE"),
        [
            (
                item["symbol"] or item["asset"],
                item["type"] if item["side"] is None else f"{item['type']} {item['side']}",
                item["account_id"],
                grouped(item["quantity"]),
                price(item.get("mark_price") or (item["price"] or {}).get("value")),
                grouped(item["value"], 2),
                age((item["price"] or {}).get("age_ms")),
            )
            for item in items
        ],
        numbers=("QUANTITY", "PRICE", "VALUE", "AGE"),
    )
