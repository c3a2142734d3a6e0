"""Structured Logging: Loguru, configured once; one line an event, for programs or for people."""

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from loguru import logger
from pydantic import BaseModel, ConfigDict

from alphapulse.observability.redaction import redacted, redacted_fields

if TYPE_CHECKING:
    from loguru import Record

# CCXT prints the key and the signed request at DEBUG, so nothing below INFO is taken from it.
CAPPED = ("ccxt",)

_LINE = "_line"

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class LoggingSettings(BaseModel):
    """What is logged, how it looks, and where it goes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Level = "INFO"
    """The least that is written to the file."""
    stderr_level: Level = "WARNING"
    """The least that is shown where the process runs: a person wants to see what is wrong."""
    format: Literal["auto", "json", "text"] = "auto"
    """``auto``: text on a terminal, JSON elsewhere. The file is always JSON."""
    file: Path | None = None
    """``alphapulse.log`` in the data folder unless it is said here."""
    file_max_mb: int = 20
    """A file of this size is put aside and a new one begun."""
    files_kept: int = 5
    """Files that were put aside; the oldest is deleted first."""


def configure(settings: LoggingSettings, stream: TextIO | None = None) -> None:
    """Send what is logged in this process, by us or a library, to ``stream`` (stderr) and file.

    Replaces what was configured before. Values travel bound to a constant message; secrets are
    taken out here, whoever logs them.
    """
    stream = stream or sys.stderr
    is_text = settings.format == "text" or (settings.format == "auto" and stream.isatty())
    logger.remove()
    logger.add(
        stream,
        level=settings.stderr_level,
        format=_text if is_text else _json,
        backtrace=False,
        diagnose=False,  # it prints the values of variables into tracebacks, keys among them
    )
    if settings.file is not None:
        logger.add(
            settings.file,
            level=settings.level,
            format=_json,
            rotation=settings.file_max_mb * 1_000_000,
            retention=settings.files_kept,
            opener=_open_for_owner,
            backtrace=False,
            diagnose=False,
        )
    _take_over_the_standard_library()


def _json(record: "Record") -> str:
    line: dict[str, object] = {
        "at": _utc(record),
        "level": record["level"].name,
        "message": redacted(record["message"]),
        "where": f"{record['name']}:{record['line']}",
        **_fields(record),
    }
    if record["exception"] is not None:
        line["exception"] = _traceback(record)
    # ASCII only: U+2028 and its like end a line for some readers.
    record["extra"][_LINE] = json.dumps(line, default=str)
    return "{extra[_line]}\n"


def _text(record: "Record") -> str:
    words = [redacted(record["message"])]
    words += [f"{name}={value}" for name, value in _fields(record).items()]
    line = _one_line("  ".join(words))
    if record["exception"] is not None:
        line += "\n" + _traceback(record)
    record["extra"][_LINE] = line
    return "<dim>{time:HH:mm:ss.SSS}</dim> <level>{level: <8}</level> {extra[_line]}\n"


def _fields(record: "Record") -> dict[str, object]:
    return redacted_fields({n: v for n, v in record["extra"].items() if n != _LINE})


def _utc(record: "Record") -> str:
    at = record["time"].astimezone(UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback(record: "Record") -> str:
    exception = record["exception"]
    assert exception is not None
    return redacted("".join(traceback.format_exception(exception.value)).rstrip())


def _one_line(text: str) -> str:
    """Whatever a venue sent: no new line, no terminal control."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _open_for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _take_over_the_standard_library() -> None:
    root = logging.getLogger()
    root.handlers = [_ToLoguru()]
    # Libraries say more at DEBUG than anybody wants, and some of it is secret.
    root.setLevel(logging.INFO)


class _ToLoguru(logging.Handler):
    """Hands what libraries log to Loguru, from where they logged it."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.INFO and record.name.split(".")[0] in CAPPED:
            return
        logger.patch(_from(record)).opt(exception=record.exc_info).log(
            _level_of(record), record.getMessage()
        )


def _from(record: logging.LogRecord) -> "Callable[[Record], None]":
    def patch(target: "Record") -> None:
        target["name"], target["line"] = record.name, record.lineno

    return patch


def _level_of(record: logging.LogRecord) -> str | int:
    known = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
    return record.levelname if record.levelname in known else record.levelno
