"""The `alphapulse` command: its sub-commands, and what happens when one fails."""

import sys

import typer

from alphapulse.cli import (
    accounts,
    connect,
    database,
    demo,
    doctor,
    portfolio,
    prices,
    serve,
    setup_link,
    simulate,
)
from alphapulse.cli.console import talk
from alphapulse.errors import AlphaPulseError, ExchangeUnavailable, InvalidInput, NotReady

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
app.command("prices")(prices.prices)
app.command("doctor")(doctor.doctor)
app.command("setup-link")(setup_link.setup_link)
app.command("simulate")(simulate.simulate)
app.add_typer(database.app, name="db")

EXIT_FAILED, EXIT_USAGE, EXIT_NOT_CONNECTED, EXIT_STOPPED = 1, 2, 3, 130


def main() -> None:
    """Run one command; every failure ends with its code and the next step."""
    try:
        app()
    except AlphaPulseError as error:
        talk.print(f"[bold red]{error.code}[/]  {error}", soft_wrap=True)
        talk.print(f"  → {error.fix}", soft_wrap=True)
        sys.exit(_exit_code(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_STOPPED)
    except Exception as bug:  # noqa: BLE001 - one of the four edges
        talk.print(
            f"[bold red]internal[/]  {type(bug).__name__}: {bug}", soft_wrap=True, markup=True
        )
        talk.print("  → This is a bug of AlphaPulse. Please report it with what you ran.")
        sys.exit(EXIT_FAILED)


def _exit_code(error: AlphaPulseError) -> int:
    if isinstance(error, InvalidInput):
        return EXIT_USAGE
    if isinstance(error, NotReady | ExchangeUnavailable):
        return EXIT_NOT_CONNECTED
    return EXIT_FAILED
