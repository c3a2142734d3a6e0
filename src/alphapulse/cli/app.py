"""The `alphapulse` command: its sub-commands, and what happens when one fails."""

import os
import sys
import threading
from collections.abc import Iterable
from typing import NoReturn

import typer
from rich.markup import escape

from alphapulse.cli import (
    accounts,
    connect,
    database,
    demo,
    doctor,
    ledger,
    lots,
    order,
    portfolio,
    prices,
    rebalance,
    serve,
    setup_link,
    simulate,
    trading,
    transaction_files,
)
from alphapulse.cli.console import talk
from alphapulse.errors import (
    AlphaPulseError,
    ExchangeUnavailable,
    InvalidInput,
    KeyReadOnly,
    NotReady,
    OrderBudgetSpent,
    OrderRefused,
    TradingHalted,
)

app = typer.Typer(
    name="alphapulse",
    help="Everything you hold and trade on crypto exchanges, on your own machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("connect")(connect.connect)
app.command("accounts")(accounts.accounts)
app.command("portfolio")(portfolio.portfolio)
app.command("transactions")(ledger.transactions)
app.command("reconcile")(ledger.reconcile)
app.command("export")(transaction_files.export)
app.command("import")(transaction_files.import_)
app.command("imports")(transaction_files.imports)
app.command("undo-import")(transaction_files.undo_import)
app.command("lots")(lots.lots)
app.command("doctor")(doctor.doctor)
app.command("setup-link")(setup_link.setup_link)
app.command("simulate")(simulate.simulate)
app.add_typer(prices.app, name="prices")
app.add_typer(order.app, name="order")
app.add_typer(rebalance.app, name="rebalance")
app.add_typer(trading.app, name="trading")
app.add_typer(database.app, name="db")

EXIT_FAILED, EXIT_USAGE, EXIT_NOT_CONNECTED, EXIT_REFUSED, EXIT_STOPPED = 1, 2, 3, 4, 130
_REFUSALS: tuple[type[AlphaPulseError], ...] = (
    *(KeyReadOnly, OrderBudgetSpent, TradingHalted),
    *OrderRefused.__subclasses__(),
)
REFUSED_BY_RISK = {error.code for error in _REFUSALS}
"""A check of ours refused the order: the server's answer carries its code, not its class."""

THREAD_END_S = 1.0  # one that was told to end needs a moment, not more


def main() -> None:
    """Run one command; every failure ends with its code and the next step."""
    _leave(_run())


def _run() -> int:
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except AlphaPulseError as error:
        _say(error.code, str(error), error.fix, getattr(error, "flaws", ()))
        return _exit_code(error)
    except KeyboardInterrupt:
        return EXIT_STOPPED
    except Exception as bug:  # noqa: BLE001 - one of the four edges
        fix = "This is a bug of AlphaPulse. Please report it with what you ran."
        _say("internal", f"{type(bug).__name__}: {bug}", fix)
        return EXIT_FAILED
    return 0


def _say(code: str, message: str, fix: str, flaws: Iterable[tuple[str, str]] = ()) -> None:
    talk.print(f"[bold red]{code}[/]  {escape(message)}", soft_wrap=True)
    for flaw, detail in flaws:
        talk.print(f"  [red]✗[/] {escape(detail)} ({flaw})", soft_wrap=True)
    talk.print(f"  → {escape(fix)}", soft_wrap=True)


def _exit_code(error: AlphaPulseError) -> int:
    if error.code in REFUSED_BY_RISK:
        return EXIT_REFUSED
    if isinstance(error, InvalidInput):
        return EXIT_USAGE
    if isinstance(error, NotReady | ExchangeUnavailable):
        return EXIT_NOT_CONNECTED
    return EXIT_FAILED


def _leave(code: int) -> NoReturn:
    """End the process, also when one of its threads does not.

    The interpreter waits for every thread, for ever. Whoever left one has raised or logged why.
    """
    left = [t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    for thread in left:
        thread.join(THREAD_END_S)
    if any(thread.is_alive() for thread in left):
        _say("not_stopped", ", ".join(t.name for t in left), "The process was ended all the same.")
        sys.stdout.flush()
        os._exit(code or EXIT_FAILED)
    sys.exit(code)
