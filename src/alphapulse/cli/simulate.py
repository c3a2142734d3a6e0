"""`alphapulse simulate`: the simulated exchange alone, for any client that speaks its protocols."""

import asyncio
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from alphapulse.cli.console import out, print_json, print_table, talk
from alphapulse.cli.options import AsJson

if TYPE_CHECKING:
    from alphapulse.simulator.settings import SimulatorSettings
    from alphapulse.simulator.simulator import Simulator

Until = Literal["signal", "stdin closes"]


def simulate(
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8800,
    seed: Annotated[int, typer.Option(help="The same seed gives the same market.")] = 1,
    speed: Annotated[float, typer.Option(help="Market seconds in a real one.")] = 1.0,
    candles: Annotated[
        list[str] | None,
        typer.Option(help="Replay recorded candles: SYMBOL=FILE (.csv, .csv.gz, .feather)."),
    ] = None,
    tls_port: Annotated[
        int | None, typer.Option(help="Speak TLS there too, for clients of fixed addresses.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Keep accounts in this file from one run to the next.")
    ] = None,
    settings_from: Annotated[
        Path | None, typer.Option("--settings", help="JSON file with every setting; - is stdin.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Simulate Binance and Bybit on this machine: real protocols, fake money.

    Clients put the venue's real host first into the path, as in
    http://127.0.0.1:8800/api.binance.com/api/v3/time.
    """
    # What is loaded now stays for good; `_serve` has it left alone later, too.
    gc.disable()
    from pydantic import ValidationError

    from alphapulse.errors import ConfigurationInvalid
    from alphapulse.simulator.settings import SimulatorSettings

    try:
        if settings_from is not None:
            text = sys.stdin.readline() if str(settings_from) == "-" else settings_from.read_text()
            settings = SimulatorSettings.model_validate_json(text)
        else:
            settings = SimulatorSettings.model_validate(
                {
                    "port": port,
                    "seed": seed,
                    "speed": speed,
                    "tls_port": tls_port,
                    "state_file": state,
                }
                | ({"driver": _replay(candles)} if candles else {})
            )
    except (ValidationError, OSError) as error:
        raise ConfigurationInvalid(str(error)) from error
    is_child = settings_from is not None and str(settings_from) == "-"
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        until: Until = "stdin closes" if is_child else "signal"
        runner.run(_serve(settings, as_json=as_json, until=until))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    if sys.platform == "win32":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


def _replay(candles: list[str]) -> dict[str, object]:
    files = dict(entry.partition("=")[::2] for entry in candles)
    return {"kind": "candles", "files": files}


async def _serve(settings: "SimulatorSettings", *, as_json: bool, until: Until) -> None:
    from alphapulse.cli.signals import stop_asked
    from alphapulse.simulator.simulator import Simulator

    # A parent that dies, however it dies, closes our stdin: no simulator outlives its demo.
    stop = asyncio.create_task(stop_asked(stdin=until == "stdin closes"))
    async with Simulator.running(settings) as simulator:
        gc.freeze()
        gc.enable()
        _announce(simulator, as_json=as_json)
        # It listens to being stopped since before it was announced: one may do so at once.
        await stop


def _announce(simulator: "Simulator", *, as_json: bool) -> None:
    accounts = [
        {
            "exchange": account.venue,
            "label": account.label,
            "api_key": account.api_key,
            "api_secret": account.api_secret,
        }
        for account in simulator.accounts
    ]
    if as_json:
        print_json({"url": simulator.url, "tls_port": simulator.tls_port, "accounts": accounts})
        sys.stdout.flush()
        return
    out.print(f"Simulated exchanges at [bold]{simulator.url}[/]")
    out.print(f"  try       curl {simulator.url}/api.binance.com/api/v3/time", soft_wrap=True)
    out.print(f"  control   {simulator.url}/_control/\n", soft_wrap=True)
    print_table(
        ("EXCHANGE", "ACCOUNT", "KEY", "SECRET"), [tuple(account.values()) for account in accounts]
    )
    talk.print("\nFake keys and fake money. Stop with Ctrl+C.")
