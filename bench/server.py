"""A server in a process of its own, and what the kernel says it costs. Linux only."""

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

POLL_S = 0.01
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int | str = "self") -> float:
    """User and system time of a process and all its threads, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rss_mb(pid: int | str = "self") -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def free_port() -> int:
    """One that nobody has; until somebody else takes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class ServerProcess:
    """Started with the block and stopped with it; what it prints goes to ``log``."""

    def __init__(self, command: Sequence[str | Path], *, log: Path) -> None:
        self._command = command
        self._log = log

    def __enter__(self) -> Self:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        with self._log.open("wb") as log:
            self.began_s = time.perf_counter()
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=environment)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def cpu_s(self) -> float:
        return cpu_s(self._process.pid)

    @property
    def rss_mb(self) -> float:
        return rss_mb(self._process.pid)

    def until_answer(self, port: int, path: str, authorization: str, within_s: float = 90) -> float:
        """Seconds from the start of the process to its first 200 for this request."""
        while time.perf_counter() - self.began_s < within_s:
            assert self._process.poll() is None, self._log.read_text()
            if get(port, path, authorization) is not None:
                return time.perf_counter() - self.began_s
            time.sleep(POLL_S)
        raise TimeoutError(self._log.read_text())


def get(port: int, path: str, authorization: str) -> bytes | None:
    """The body of a 200; ``None`` for any other answer, or none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": authorization})
        answer = connection.getresponse()
        body = answer.read()
    except OSError:
        return None
    finally:
        connection.close()
    return body if answer.status == 200 else None
