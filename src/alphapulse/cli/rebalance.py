"""`alphapulse rebalance`: plan, execute and watch. Nothing is sent before you agreed."""

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from alphapulse.cli.agreeing import Yes, agree
from alphapulse.cli.console import UNKNOWN, age_since, grouped, out, print_json, print_table, talk
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir
from alphapulse.domain.cost_basis.lots import Method
from alphapulse.domain.market import Timeframe
from alphapulse.domain.rebalance.choice import RuleKind

if TYPE_CHECKING:
    from alphapulse.cli.client import LocalClient

app = typer.Typer(
    help="Bring the portfolio to its targets: a plan first, executed once.",
    no_args_is_help=True,
    add_completion=False,
)

PATH = "/api/portfolio/rebalance"
WORD = "rebalance"

PlanId = Annotated[str, typer.Argument(help="The id that `alphapulse rebalance plan` printed.")]
RunId = Annotated[str | None, typer.Argument(help="The id of the run. [default: the newest one]")]


@app.command("plan")
def plan(
    targets: Annotated[
        list[str] | None, typer.Argument(help="BTC=0.5 ETH=0.3 ..., shares of 1.")
    ] = None,
    rest: Annotated[str | None, typer.Option(help="What the rest goes to, such as USDT.")] = None,
    equal: Annotated[
        str | None, typer.Option(help="Instead: the same share for each, BTC,ETH,SOL.")
    ] = None,
    rule: Annotated[
        RuleKind | None, typer.Option(help="Instead: weights by a rule, of --assets.")
    ] = None,
    assets: Annotated[str | None, typer.Option(help="With --rule: BTC,ETH,SOL.")] = None,
    lookback: Annotated[
        int, typer.Option(help="With a rule by risk: so many days are looked back on.")
    ] = 90,
    timeframe: Annotated[
        Timeframe, typer.Option(help="With a rule by risk: the length of a bar, 1h or 1d.")
    ] = Timeframe.D1,
    cap: Annotated[
        str | None, typer.Option(help="With --equal or --rule: the most one may have.")
    ] = None,
    target_set: Annotated[
        str | None, typer.Option("--set", help="Instead: the id of a target set.")
    ] = None,
    account: Annotated[
        list[str] | None, typer.Option("--account", "-a", help="Only these. [default: all]")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="An asset that is left alone and not counted.")
    ] = None,
    band: Annotated[
        str | None, typer.Option(help="Points of weight that are near enough, per cent.")
    ] = None,
    market: Annotated[bool, typer.Option(help="Market orders. [default: limit orders]")] = False,
    method: Annotated[
        Method, typer.Option(help="Which lots are sold first; gains are told by it.")
    ] = Method.FIFO,
    ttl: Annotated[int | None, typer.Option(help="How long it may be executed, seconds.")] = None,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show every trade, what it costs, and what stays off its target. Nothing is sent.

    \b
    alphapulse rebalance plan BTC=0.5 ETH=0.3 --rest USDT
    alphapulse rebalance plan --equal BTC,ETH,SOL,USDT --band 2
    alphapulse rebalance plan --rule risk_parity --assets BTC,ETH --lookback 90
    """
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    body: dict[str, Any] = {"ttl_s": ttl, "target_set_id": target_set}
    if target_set is None:
        body |= {
            "targets": [_target(one) for one in targets or ()],
            "rest_asset": rest.upper() if rest else None,
            "rule": _equal(equal, cap) or _rule(rule, assets, cap, lookback, timeframe),
            "accounts": account or [],
            "constraints": {"exclude": [one.upper() for one in exclude or ()]},
            "tolerance": {"absolute_pct": band},
            "style": {"type": "market" if market else "limit"},
            "method": method,
        }
    made = client.post(PATH, {name: value for name, value in body.items() if value is not None})
    if as_json:
        print_json(made)
    else:
        _show_plan(made)


@app.command("execute")
def execute(
    plan_id: PlanId,
    yes: Yes = False,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show a plan once more, as it is now, and execute it once you typed the word."""
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    order = {"mode": "execute", "plan_id": plan_id}
    # A plan that was started is not checked again: its run is the answer.
    known = [run for run in client.get(PATH)["items"] if run["plan_id"] == plan_id]
    if not known:
        checked = client.post(PATH, order | {"dry_run": True})
        if not as_json:
            _show_plan(checked)
        agree(WORD, yes=yes)
    # The plan names the request: however often it is asked, it is one run.
    run = client.post(PATH, order, key=f"execute {plan_id}")
    _show(client.get(f"{PATH}/{run['run_id']}"), as_json=as_json)


@app.command("status")
def status(
    run_id: RunId = None, folder: DataDir = None, demo: Demo = False, as_json: AsJson = False
) -> None:
    """How far a run is, order by order."""
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    _show(client.get(f"{PATH}/{run_id or _newest(client)}"), as_json=as_json)


@app.command("pause")
def pause(
    run_id: RunId = None, folder: DataDir = None, demo: Demo = False, as_json: AsJson = False
) -> None:
    """Send nothing new; orders that are open stay."""
    _move("pause", run_id, data_dir(folder, demo=demo), as_json=as_json)


@app.command("resume")
def resume(
    run_id: RunId = None,
    yes: Yes = False,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Go on where it was paused or halted, once you typed the word."""
    agree(WORD, yes=yes)
    _move("resume", run_id, data_dir(folder, demo=demo), as_json=as_json)


@app.command("stop")
def stop(
    run_id: RunId = None, folder: DataDir = None, demo: Demo = False, as_json: AsJson = False
) -> None:
    """Cancel what is open, send nothing more, and end. What was traded stays."""
    _move("stop", run_id, data_dir(folder, demo=demo), as_json=as_json)


def _move(verb: str, run_id: str | None, folder: Any, *, as_json: bool) -> None:
    from alphapulse.cli.client import LocalClient

    client = LocalClient(folder)
    _show(client.post(f"{PATH}/{run_id or _newest(client)}/{verb}", {}), as_json=as_json)


def _newest(client: "LocalClient") -> str:
    from alphapulse.errors import NotFound

    runs = client.get(PATH, {"limit": "1"})["items"]
    if not runs:
        raise NotFound("no rebalance was ever started here")
    return str(runs[0]["run_id"])


def _target(text: str) -> dict[str, str]:
    from alphapulse.errors import InvalidInput

    asset, is_given, weight = text.partition("=")
    if not is_given:
        raise InvalidInput("a target is written like BTC=0.5", field="targets", value=text)
    return {"asset": asset.upper(), "weight": weight}


def _equal(equal: str | None, cap: str | None) -> dict[str, Any] | None:
    if equal is None:
        return None
    return {"kind": RuleKind.EQUAL, "assets": equal.upper().split(","), "cap": cap}


def _rule(
    kind: RuleKind | None, assets: str | None, cap: str | None, lookback: int, timeframe: Timeframe
) -> dict[str, Any] | None:
    from alphapulse.errors import InvalidInput

    if kind is None:
        return None
    if assets is None:
        raise InvalidInput("say of what, like --assets BTC,ETH", field="rule/assets")
    past = {"lookback_days": lookback, "timeframe": timeframe}
    return {"kind": kind, "assets": assets.upper().split(","), "cap": cap} | past


def _show_rule(rule: dict[str, Any]) -> None:
    print_table(
        ("ASSET", "WEIGHT %", "RISK %", "VOLATILITY %", "SOURCE"),
        [
            (
                *(one["asset"], _pct(one["weight"]), _pct(one["risk_share"])),
                *(grouped(one["volatility_pct"], 3), one["source"]),
            )
            for one in rule["assets"]
        ],
        numbers=("WEIGHT %", "RISK %", "VOLATILITY %"),
    )
    talk.print(
        f"From {rule['bars']} bars of {rule['timeframe']} in {rule['currency']}, {rule['since']} to"
        f" {rule['until']}; volatility is that of one bar",
        soft_wrap=True,
    )


def _show_plan(plan: dict[str, Any]) -> None:
    if plan["rule"] is not None:
        _show_rule(plan["rule"])
    after = {line["asset"]: line for line in plan["after"]}
    lines = [(line, after.get(line["asset"], line)) for line in plan["before"]]
    print_table(
        ("ASSET", "VALUE", "WEIGHT %", "TARGET %", "AFTER %"),
        [
            (line["asset"], grouped(line["value"], 2), *map(_pct, _shares(line, then)))
            for line, then in lines
        ],
        numbers=("VALUE", "WEIGHT %", "TARGET %", "AFTER %"),
    )
    if not plan["trades"]:
        talk.print("Nothing to do: every asset is within its band, or named below.")
    else:
        print_table(_TRADES, map(_trade, plan["trades"]), numbers=_TRADE_NUMBERS)
    for one in plan["not_reachable"]:
        value, reason = grouped(one["value"], 2) or UNKNOWN, one["reason"].replace("_", " ")
        talk.print(f"[yellow]![/] {one['asset']} stays off by {value}: {reason}")
    for warning in plan["meta"]["warnings"]:
        subject = ", ".join(warning["subject"])
        talk.print(f"[yellow]![/] {escape(subject)}: {escape(warning['message'])}", soft_wrap=True)
    currency = plan["meta"]["currency"]
    talk.print(
        f"Turnover {grouped(plan['turnover_pct'], 2)} %, about"
        f" {grouped(plan['est_total_cost'], 2)} {currency} in fees and spread,"
        f" prices of {plan['prices_as_of']}",
        soft_wrap=True,
    )
    if plan["plan_id"]:
        talk.print(
            f"Until {plan['expires_at']}: alphapulse rebalance execute {plan['plan_id']}",
            soft_wrap=True,
        )


def _shares(line: dict[str, Any], after: dict[str, Any]) -> tuple[str, str, str]:
    return line["weight"], line["target"], after["weight"]


def _pct(share: str) -> str:
    return f"{Decimal(share) * 100:.2f}"


_TRADES = ("#", "SIDE", "QUANTITY", "SYMBOL", "LIMIT", "VALUE", "FEE", "GAIN", "ACCOUNT", "REASON")
_TRADE_NUMBERS = ("QUANTITY", "LIMIT", "VALUE", "FEE", "GAIN")


def _trade(trade: dict[str, Any]) -> tuple[object, ...]:
    return (
        trade["seq"],
        trade["side"],
        grouped(trade["quantity"]),
        trade["symbol"],
        grouped(trade["limit_price"]),
        grouped(trade["est_value"], 2),
        grouped(trade["est_fee"], 2),
        _gain(trade),
        trade["account"],
        trade["reason"],
    )


def _gain(trade: dict[str, Any]) -> str:
    """Of a sale; a purchase has none."""
    if trade["phase"] != "sell":
        return ""
    return grouped(trade["est_realized_pnl"], 2) or UNKNOWN


def _show(run: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(run)
        return
    out.print(f"{run['status']:<10} {run['run_id']}, begun {age_since(run['started_at'])} ago")
    print_table(_LEGS, map(_leg, run["orders"]), numbers=("PLANNED", "QUANTITY", "FILLED"))


_LEGS = ("#", "SIDE", "SYMBOL", "STATUS", "PLANNED", "QUANTITY", "FILLED", "ACCOUNT", "REASON")


def _leg(leg: dict[str, Any]) -> tuple[object, ...]:
    return (
        leg["seq"],
        leg["side"],
        leg["symbol"],
        leg["status"],
        grouped(leg["planned_quantity"]),
        grouped(leg["quantity"]),
        grouped(leg["filled"]),
        leg["account"],
        leg["reason"],
    )
