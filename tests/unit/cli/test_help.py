"""Help is quick: no command loads what it would need to run before it runs."""

import subprocess
import sys

import pytest

COMMANDS = (
    (),
    *((name,) for name in ("demo", "serve", "connect", "accounts", "portfolio", "prices")),
    *((name,) for name in ("doctor", "setup-link", "simulate", "db")),
    *(("db", name) for name in ("upgrade", "current")),
)

# Typer itself loads Pydantic for a command's parameters.
HEAVY = {"fastapi", "starlette", "uvicorn", "ccxt", "aiohttp", "sqlalchemy", "pydantic_settings"}

PROGRAM = """
import sys
from typer.testing import CliRunner
from alphapulse.cli.app import app

for command in {commands!r}:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0, (command, result.output)
    assert "Usage" in result.output
heavy = sorted({heavy!r} & set(sys.modules))
print(*heavy)
"""


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return done.stdout


def test_the_help_of_every_command_loads_nothing_heavy() -> None:
    assert run(PROGRAM.format(commands=COMMANDS, heavy=HEAVY)).split() == []


def test_every_command_is_looked_at() -> None:
    listed = run(
        "from typer.main import get_command\n"
        "from alphapulse.cli.app import app\n"
        "for name, command in get_command(app).commands.items():\n"
        "    print(name)\n"
        "    for below in getattr(command, 'commands', ()):\n"
        "        print(name, below)\n"
    )
    assert {tuple(line.split()) for line in listed.splitlines()} == set(COMMANDS) - {()}


@pytest.mark.parametrize("module", ["alphapulse.config", "alphapulse.main"])
def test_the_look_notices_what_is_heavy(module: str) -> None:
    program = PROGRAM.format(commands=COMMANDS[:1], heavy=HEAVY)
    assert "pydantic_settings" in run(f"import {module}\n{program}").split()
