"""Running the server from a command: the socket, the schema, the words when it is ready."""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alphapulse.cli.folder import RunningServer, announce, withdraw
from alphapulse.cli.signals import stop_asked
from alphapulse.errors import PortTaken, StartFailed

if TYPE_CHECKING:
    from alphapulse.config import Settings

if sys.platform == "win32":
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop

Say = Callable[[RunningServer, str | None], Awaitable[None]]
PORTS_TRIED = 20


def run(folder: Path, say: Say, **given: Any) -> None:
    """Serve a data folder until the process is told to stop; raise what keeps it from starting.

    Args:
        say: awaited once everything runs, with the set-up code while there is no user.
        given: settings from the command line.
    """
    # What is loaded now stays for good. Looking through it for garbage took a seventh of the
    # start; `_serve` has it left alone later, too.
    gc.disable()
    from alphapulse.config import load_settings
    from alphapulse.observability import logging

    settings = load_settings(folder, **given)
    logging.configure(settings.logging)
    os.umask(0o077)
    with (
        _listening(settings.api.host, settings.api.port) as listener,
        asyncio.Runner(loop_factory=new_event_loop) as runner,
    ):
        runner.run(_serve(settings, listener, say))


def require_free(host: str, port: int) -> None:
    """Raise `PortTaken` before anything is prepared for a server that could not listen there."""
    with _listening(host, port):
        pass


async def _serve(settings: "Settings", listener: socket.socket, say: Say) -> None:
    from alphapulse.api.server import server_of
    from alphapulse.database.migrations import schema
    from alphapulse.main import build
    from alphapulse.runtime.clock import SystemClock

    await schema.upgrade(settings.database)
    ready: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    waited_for: set[asyncio.Future[Any]] = {ready}
    server = server_of(build(settings, SystemClock(), ready.set_result), settings.api)
    url = f"http://{settings.api.host}:{listener.getsockname()[1]}"
    running = RunningServer(url, os.getpid(), version("alphapulse"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stop = asyncio.create_task(stop_asked())
    try:
        waited_for |= {serving, stop}
        await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            raise StartFailed("the server did not start", log=str(settings.logging.file))
        if ready.done():
            gc.freeze()
            gc.enable()
            announce(settings.data_dir, running)
            await _first(stop, say(running, ready.result()))
            await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        withdraw(settings.data_dir)
        server.should_exit = True
        stop.cancel()
        await serving


async def _first(stop: "asyncio.Task[None]", words: Awaitable[None]) -> None:
    """Say the words, unless we are told to stop before they are finished."""
    saying = asyncio.ensure_future(words)
    await asyncio.wait({saying, stop}, return_when=asyncio.FIRST_COMPLETED)
    if not saying.done():
        saying.cancel()
        return
    saying.result()


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A bound socket, so that a taken port is our clear error and not a line in a log."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise PortTaken(
                f"cannot listen on {host}:{port}: {error.strerror}",
                next_free=_free_port(host, port),
            ) from error
        yield listener


def _free_port(host: str, port: int) -> int | None:
    """The next port that could be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port + 1, min(port + PORTS_TRIED, 65535)):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, candidate))
            except OSError:
                continue
            return candidate
    return None
