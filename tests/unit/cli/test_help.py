"""Help is quick: no command loads what it would need to run before it runs."""

import subprocess
import sys

import pytest

# Typer itself loads Pydantic for a command's parameters.
HEAVY = {"fastapi", "starlette", "uvicorn", "ccxt", "aiohttp", "sqlalchemy", "pydantic_settings"}

# Prints each command it asked for help, then what is loaded.
PROGRAM = """
import sys
from typer.main import get_command
from typer.testing import CliRunner
from alphapulse.cli.app import app

def ask(path, command):
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0, (path, result.output)
    print("/".join(path))
    for name, below in getattr(command, "commands", {}).items():
        ask([*path, name], below)

ask([], get_command(app))
print(*sys.modules)
"""


def loaded_for_help(before: str = "") -> tuple[list[str], set[str]]:
    """In a fresh interpreter: the commands, and the modules that their help has loaded."""
    program = subprocess.run(
        [sys.executable, "-c", before + PROGRAM], check=True, capture_output=True, text=True
    )
    *commands, modules = program.stdout.splitlines()
    return commands, set(modules.split())


def test_the_help_of_every_command_loads_nothing_heavy() -> None:
    commands, modules = loaded_for_help()

    assert {"", "serve", "demo", "db", "db/upgrade"} <= set(commands)
    assert not modules & HEAVY


@pytest.mark.parametrize("module", ["alphapulse.config", "alphapulse.main"])
def test_the_look_notices_what_is_heavy(module: str) -> None:
    assert "pydantic_settings" in loaded_for_help(f"import {module}\n")[1]
