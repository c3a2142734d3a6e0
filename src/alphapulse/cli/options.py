"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="ALPHAPULSE_DATA_DIR",
        help="Folder of the database, keys and settings. [default: ~/.local/share/alphapulse]",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Demo = Annotated[bool, typer.Option("--demo", help="Ask the running demo, not your own data.")]


def data_dir(given: Path | None, *, demo: bool = False) -> Path:
    """The folder to use: the one given, else the user's own, with `demo` beside the real data."""
    if given is not None:
        return given
    import os

    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "alphapulse" / ("demo" if demo else "live")
