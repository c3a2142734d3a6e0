"""`alphapulse lots`: what is held at which cost, and what the rest gained."""

from typing import Annotated, Any

import typer

from alphapulse.cli.console import grouped, price, print_json, print_table, talk
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir
from alphapulse.domain.cost_basis.lots import Method


def lots(
    account: Annotated[
        str | None, typer.Option("--account", "-a", help="Only this one. [default: all]")
    ] = None,
    asset: Annotated[str | None, typer.Option("--asset", help="Only this asset.")] = None,
    method: Annotated[Method, typer.Option(help="Which lots are sold first.")] = Method.FIFO,
    closed: Annotated[
        bool, typer.Option("--closed", help="What was sold or spent, and what it gained.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="The newest so many.")] = 100,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """List what you hold, each quantity with the date and the cost at which it was acquired.

    \b
    alphapulse lots --asset BTC --closed
    """
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    asked = {"account": account, "asset": asset, "method": method.value, "limit": str(limit)}
    query = {name: value for name, value in asked.items() if value is not None}
    page = client.get(f"/api/portfolio/{'disposals' if closed else 'lots'}", query)
    if as_json:
        print_json(page)
    elif not page["items"]:
        talk.print("Nothing was sold yet." if closed else "Nothing is held.")
    elif closed:
        _show_disposals(page)
    else:
        _show_lots(page)


def _show_lots(page: dict[str, Any]) -> None:
    currency = page["meta"]["currency"]
    print_table(
        ("ACQUIRED", "ACCOUNT", "ASSET", "LEFT", f"COST {currency}", "EACH", "QUALITY", "LOT"),
        [
            (
                one["acquired_at"][:10],
                one["account_id"],
                one["asset"],
                grouped(one["left"]),
                grouped(one["cost"], 2),
                price(one["unit_cost"]),
                _quality(one),
                one["lot_id"],
            )
            for one in page["items"]
        ],
        numbers=("LEFT", f"COST {currency}", "EACH"),
    )


def _quality(lot: dict[str, Any]) -> str:
    missing = lot["missing"]
    return f"unknown: {missing}" if missing else str(lot["basis_quality"])


def _show_disposals(page: dict[str, Any]) -> None:
    currency = page["meta"]["currency"]
    print_table(
        ("AT", "ACCOUNT", "ASSET", "QUANTITY", "REASON", "LOTS", f"BROUGHT {currency}", "GAIN"),
        [
            (
                one["disposed_at"][:10],
                one["account_id"],
                one["asset"],
                grouped(one["quantity"]),
                one["reason"],
                str(len(one["lots"])),
                grouped(one["proceeds"], 2),
                grouped(one["gain"], 2),
            )
            for one in page["items"]
        ],
        numbers=("QUANTITY", "LOTS", f"BROUGHT {currency}", "GAIN"),
    )
