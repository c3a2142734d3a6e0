"""`alphapulse order`: place, list, change and cancel orders. Nothing is sent before you agreed."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from alphapulse.cli.agreeing import Yes, agree
from alphapulse.cli.console import UNKNOWN, age_since, grouped, out, print_json, print_table, talk
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir

if TYPE_CHECKING:
    from alphapulse.cli.client import LocalClient

app = typer.Typer(
    help="Place, list, change and cancel orders.", no_args_is_help=True, add_completion=False
)

PATH = "/api/exchange/order"
LIST = "/api/exchange/orders"

Account = Annotated[
    str | None,
    typer.Option("--account", "-a", help="Its id. [default: the only one you have]"),
]
OrderId = Annotated[str, typer.Argument(help="The id that `alphapulse order list` shows.")]


@app.command("place")
def place(
    side: Annotated[str, typer.Argument(help="buy or sell")],
    symbol: Annotated[str, typer.Argument(help="BTC/USDT, BTC/USDT:USDT ...")],
    quantity: Annotated[
        str | None, typer.Argument(help="How much of the coin, or how many contracts.")
    ] = None,
    limit: Annotated[str | None, typer.Option(help="Your price. [default: the market's]")] = None,
    stop: Annotated[
        str | None, typer.Option(help="Wait until the market is at this price.")
    ] = None,
    trail: Annotated[
        str | None, typer.Option(help="Follow the price, so many per cent behind.")
    ] = None,
    spend: Annotated[
        str | None, typer.Option(help="Instead of a quantity: how much to spend or receive.")
    ] = None,
    account: Account = None,
    tif: Annotated[str | None, typer.Option(help="gtc, ioc, fok or gtd")] = None,
    expires: Annotated[str | None, typer.Option(help="Of gtd: 2026-12-24T18:00:00Z")] = None,
    post_only: Annotated[bool, typer.Option(help="Only as a maker.")] = False,
    reduce_only: Annotated[bool, typer.Option(help="Only make a position smaller.")] = False,
    leverage: Annotated[str | None, typer.Option(help="Of a contract.")] = None,
    max_slippage: Annotated[
        str | None, typer.Option(help="Refuse it when it would slip further, per cent.")
    ] = None,
    again: Annotated[
        bool, typer.Option(help="Although an equal order was placed moments ago.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(help="To repeat an order whose answer was lost: the key printed with it."),
    ] = None,
    yes: Yes = False,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show what an order would be and cost, then place it once you typed the symbol.

    \b
    alphapulse order place buy BTC/USDT 0.01 --limit 60000
    alphapulse order place sell ETH/USDT --spend 500
    """
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    order: dict[str, Any] = {
        "account_id": account or _only_account(client),
        "symbol": symbol.upper(),
        "side": side.lower(),
        "type": _type(limit, stop, trail),
        "quantity": quantity,
        "quote_quantity": spend,
        "limit_price": limit,
        "stop_price": stop,
        "trailing_pct": trail,
        "time_in_force": tif,
        "expires_at": expires,
        "post_only": post_only,
        "reduce_only": reduce_only,
        "leverage": leverage,
        "max_slippage_pct": max_slippage,
        "allow_duplicate": again,
    }
    order = {name: value for name, value in order.items() if value not in {None, False}}
    preview = client.post(PATH, order | {"validate_only": True})
    if not as_json:
        _show_preview(order, preview)
    agree(order["symbol"], yes=yes)
    key = key or _new_key()
    talk.print(f"Key        {key}  (with --key it repeats this order, and never doubles it)")
    placed = client.post(PATH, order, key=key)
    _show(placed, as_json=as_json)


@app.command("list")
def list_orders(
    status: Annotated[
        str, typer.Argument(help="open, closed, filled, canceled, rejected, unknown or all")
    ] = "open",
    account: Account = None,
    symbol: Annotated[str | None, typer.Option(help="Only of this market.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="The newest so many.")] = 50,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show orders, the newest first."""
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    query = {"status": status, "limit": str(limit)}
    query |= {"account": account} if account else {}
    query |= {"symbol": symbol.upper()} if symbol else {}
    listing = client.get(LIST, query)
    if as_json:
        print_json(listing)
    elif not listing["items"]:
        talk.print(f"No orders ({status}).")
    else:
        print_table(_COLUMNS, map(_row, listing["items"]), numbers=_NUMBERS)


@app.command("cancel")
def cancel(
    order_id: Annotated[
        str, typer.Argument(help="The id that `alphapulse order list` shows, or all.")
    ],
    account: Account = None,
    symbol: Annotated[str | None, typer.Option(help="With all: only of this market.")] = None,
    yes: Yes = False,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Cancel one order, or all that are open."""
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    if order_id != "all":
        order = client.get(f"{LIST}/{order_id}")
        talk.print(escape(_sentence(order)))
        agree(order["symbol"], yes=yes)
        _show(client.delete(f"{LIST}/{order_id}"), as_json=as_json)
        return
    wanted = {"account_id": account, "symbol": symbol.upper() if symbol else None}
    talk.print(f"Cancels every open order of {symbol or 'every market'}"
               f" on {account or 'every account'}.")  # fmt: skip
    agree(symbol.upper() if symbol else "all", yes=yes)
    canceled = client.post(f"{LIST}/cancel-all", {n: v for n, v in wanted.items() if v})
    if as_json:
        print_json(canceled)
    else:
        print_table(_COLUMNS, map(_row, canceled["items"]), numbers=_NUMBERS)


@app.command("amend")
def amend(
    order_id: OrderId,
    quantity: Annotated[
        str | None, typer.Option(help="The new total, what was filled included.")
    ] = None,
    limit: Annotated[str | None, typer.Option(help="The new price.")] = None,
    yes: Yes = False,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Change quantity or price of an open order.

    Where the exchange cannot do that, the order is canceled and what is left of it placed anew.
    """
    from alphapulse.cli.client import LocalClient
    from alphapulse.errors import InvalidInput

    if quantity is None and limit is None:
        raise InvalidInput("nothing to change: give --quantity, --limit or both", field="quantity")
    client = LocalClient(data_dir(folder, demo=demo))
    order = client.get(f"{LIST}/{order_id}")
    talk.print(escape(_sentence(order)))
    talk.print(f"becomes    {quantity or order['quantity']} at {limit or order['limit_price']}")
    agree(order["symbol"], yes=yes)
    change = {"quantity": quantity, "limit_price": limit}
    changed = client.patch(f"{LIST}/{order_id}", {n: v for n, v in change.items() if v})
    _show(changed, as_json=as_json)


def _only_account(client: "LocalClient") -> str:
    from alphapulse.errors import InvalidInput

    accounts = client.get("/api/exchange/accounts")["items"]
    if len(accounts) != 1:
        ids = ", ".join(account["id"] for account in accounts) or "there is none yet"
        raise InvalidInput(f"which account? --account {ids}", field="account")
    return str(accounts[0]["id"])


def _type(limit: str | None, stop: str | None, trail: str | None) -> str:
    if trail is not None:
        return "trailing_stop"
    if stop is not None:
        return "stop" if limit is None else "stop_limit"
    return "market" if limit is None else "limit"


def _new_key() -> str:
    import secrets

    return secrets.token_hex(16)


def _show_preview(order: dict[str, Any], preview: dict[str, Any]) -> None:
    normal, quote = preview["normalized"], order["symbol"].partition("/")[2].partition(":")[0]
    amount = normal["quantity"] or f"for {normal['quote_quantity']} {quote}"
    price = normal["price"] or "the market's price"
    talk.print(f"[bold]{order['side'].title()} {amount} {order['symbol']}[/] at {price}")
    for name, field, unit in (
        ("Cost", "est_cost", quote),
        ("Fee", "est_fee", quote),
        ("Average", "est_average_price", quote),
        ("Slippage", "est_slippage_pct", "%"),
    ):
        talk.print(f"{name:<10} {grouped(preview[field]) or UNKNOWN} {unit}")
    for after in preview["balance_after"]:
        talk.print(f"{'Left':<10} {grouped(after['free'])} {after['asset']} free")
    for warning in preview["meta"]["warnings"]:
        talk.print(f"[yellow]![/] {escape(warning['message'])}", soft_wrap=True)
    for check in preview["checks"]:
        if not check["ok"]:
            talk.print(f"[red]✗[/] {check['name']:<20} {escape(check['detail'])}", soft_wrap=True)


def _show(order: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(order)
        return
    out.print(escape(_sentence(order)), soft_wrap=True)
    if order.get("poll"):
        talk.print(
            "[yellow]It is not known yet whether the exchange has it. It is looked up until that is"
            " certain; do not place it again.[/]\nNext: alphapulse order list unknown",
            soft_wrap=True,
        )


def _sentence(order: dict[str, Any]) -> str:
    quantity = order["quantity"] or order["quote_quantity"]
    price = f" at {order['limit_price']}" if order["limit_price"] else ""
    filled = f", {order['filled_quantity']} filled" if order["filled_quantity"] != "0" else ""
    what = f"{order['side']} {quantity} {order['symbol']}{price}"
    return f"{order['status']:<10} {what}{filled}  ({order['id']})"


_COLUMNS = (
    *("ID", "SIDE", "SYMBOL", "TYPE", "QUANTITY", "FILLED", "PRICE", "STATUS", "AGE", "REASON"),
)
_NUMBERS = ("QUANTITY", "FILLED", "PRICE", "AGE")


def _row(order: dict[str, Any]) -> tuple[object, ...]:
    return (
        order["id"],
        order["side"],
        order["symbol"],
        order["type"],
        grouped(order["quantity"] or order["quote_quantity"]),
        grouped(order["filled_quantity"]),
        grouped(order["limit_price"] or order["stop_price"] or order["average_price"]),
        order["status"],
        age_since(order["created_at"]),
        order["status_reason"],
    )
