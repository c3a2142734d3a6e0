"""Where a running server leaves its address for the commands on the same machine."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from alphapulse.errors import NotRunning

SERVER_FILE = "server.json"
SIMULATOR_FILE = "simulator.json"
"""What a demo's exchanges are; only the data folder of a demo has it."""
SIMULATED_ACCOUNTS_FILE = "simulated-accounts.json"
"""What became of a demo's accounts at its exchanges."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """Written by `serve` when it is ready, removed when it stops."""

    url: str
    pid: int
    version: str


def announce(folder: Path, server: RunningServer) -> None:
    """Say where the server listens."""
    (folder / SERVER_FILE).write_text(json.dumps(asdict(server)))


def withdraw(folder: Path) -> None:
    """Forget it; another server's announcement is left alone."""
    with suppress(NotRunning):
        if running_server(folder).pid == os.getpid():
            (folder / SERVER_FILE).unlink(missing_ok=True)


def running_server(folder: Path) -> RunningServer:
    """Find the server of this data folder.

    Raises:
        NotRunning: none has announced itself here.
    """
    try:
        return RunningServer(**json.loads((folder / SERVER_FILE).read_text()))
    except (OSError, ValueError, TypeError):
        raise NotRunning("no AlphaPulse runs on this data folder", folder=str(folder)) from None
