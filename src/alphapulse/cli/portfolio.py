"""`alphapulse portfolio`: what everything is worth now, how old that is, and how it changed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import typer

from alphapulse.cli.console import UNKNOWN, age, grouped, out, price, print_json, print_table, talk
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir
from alphapulse.domain.money import ZERO

_BARS = "▁▂▃▄▅▆▇█"


def portfolio(
    currency: Annotated[
        str | None, typer.Option(help="Value in this currency. [default: your own]")
    ] = None,
    as_of: Annotated[
        datetime | None, typer.Option(help="As it was then (UTC), by the ledger. [default: now]")
    ] = None,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show the total value, how it changed, every position, and what could not be priced."""
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    query = {"currency": currency} if currency else {}
    if as_of is not None:
        query["as_of"] = as_of.replace(tzinfo=UTC).isoformat()
    summary = client.get("/api/portfolio/summary", query)
    positions = client.get("/api/portfolio/positions", query)
    history = []
    if _is_recorded(summary):
        week = query | {"range": "7d", "interval": "4h"}
        history = client.get("/api/portfolio/history", week)["items"]
    if as_json:
        print_json({"summary": summary, "positions": positions["items"], "history": history})
        return
    if as_of is None:
        _show_summary(summary)
    else:
        _show_then(summary)
    _show_changes(summary, history)
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
    _show_unpriced(summary)


def _show_then(summary: dict) -> None:  # type: ignore[type-arg]
    meta = summary["meta"]
    total = grouped(summary["total_value"], 2) or "unknown"
    out.print(f"[bold]{total} {meta['currency']}[/]  as it was at {meta['as_of']}")
    for warning in meta["warnings"]:
        if warning["code"] not in {"unpriced", "not_known_then"}:
            out.print(f"  [yellow]{', '.join(warning['subject'])}[/]: {warning['message']}")
    _show_unpriced(summary)


def _show_unpriced(summary: dict) -> None:  # type: ignore[type-arg]
    for item in summary["unpriced"]:
        quantity = UNKNOWN if item["quantity"] is None else item["quantity"]
        out.print(f"  [yellow]unpriced[/] {quantity} {item['asset']}: {item['reason']}")


def _is_recorded(summary: dict) -> bool:  # type: ignore[type-arg]
    changes = (summary["change"] or {}).values()
    return any(change["abs"] is not None for change in changes)


def _show_changes(summary: dict, history: list[dict]) -> None:  # type: ignore[type-arg]
    """Only what was recorded: nothing in the first hour."""
    for window, change in (summary["change"] or {}).items():
        if change["abs"] is not None:
            percent = UNKNOWN if change["pct"] is None else grouped(change["pct"], 2)
            out.print(f"  {window:>3} {_signed(change['abs'])} ({percent} %), deposits apart")
    if len(history) > 1:
        out.print(f"  last 7 days {sparkline([item['value'] for item in history])}")
    out.print()


def _signed(number: str) -> str:
    return f"{'' if number.startswith('-') else '+'}{grouped(number, 2)}"


def sparkline(values: Sequence[str | None]) -> str:
    """A line of text as a chart, from the lowest to the highest; a blank where nobody knows."""
    known = [Decimal(value) for value in values if value is not None]
    low, high = min(known, default=ZERO), max(known, default=ZERO)
    scale = (high - low) / (len(_BARS) - 1) or 1
    return "".join(
        " " if value is None else _BARS[int((Decimal(value) - low) / scale)] for value in values
    )


def _show_positions(items: list[dict]) -> None:  # type: ignore[type-arg]
    if not items:
        talk.print("Nothing held.")
        return
    print_table(
        ("ASSET", "TYPE", "ACCOUNT", "QUANTITY", "PRICE", "VALUE", "24H %", "AGE"),
        [
            (
                item["symbol"] or item["asset"],
                item["type"] if item["side"] is None else f"{item['type']} {item['side']}",
                item["account_id"],
                grouped(item["quantity"]),
                price(item.get("mark_price") or (item["price"] or {}).get("value")),
                grouped(item["value"], 2),
                _day_change(item["change_24h"]),
                age((item["price"] or {}).get("age_ms")),
            )
            for item in items
        ],
        numbers=("QUANTITY", "PRICE", "VALUE", "24H %", "AGE"),
    )


def _day_change(change: dict | None) -> str:  # type: ignore[type-arg]
    return _signed(change["pct"]) if change is not None else UNKNOWN
