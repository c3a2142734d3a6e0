"""Where lives end: before, in and after each transaction and each request of the order path.

The list is read from the source, so that a new transaction or request is demanded at once.
"""

import ast
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from alphapulse.errors import DatabaseUnavailable
from alphapulse.runtime import crash_points

SOURCE = Path(crash_points.__file__).parents[1]
PATHS = (
    *sorted((SOURCE / "pipeline/execution").glob("*.py")),
    SOURCE / "services/idempotency.py",
    SOURCE / "services/order_amending.py",
    SOURCE / "services/order_placing.py",
)
PHASES = ("before", "in", "after")


def every_point() -> tuple[str, ...]:
    """Each as ``function:phase`` of a transaction or ``method:phase`` of a request."""
    found: set[str] = set()
    for path in PATHS:
        for name, function in _functions(ast.parse(path.read_text()), ""):
            found |= {name for call in _calls(function) if _is_transaction(call)}
            found |= {call.attr for call in _calls(function) if _is_request(call)}
    return tuple(f"{name}:{phase}" for name in sorted(found) for phase in PHASES)


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{child.name}.")
        elif isinstance(child, ast.AsyncFunctionDef):
            yield prefix + child.name, child


def _calls(function: ast.AsyncFunctionDef) -> Iterator[ast.Attribute]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func


def _is_transaction(call: ast.Attribute) -> bool:
    return call.attr == "begin" and _name_of(call.value) in {"database", "_database"}


def _is_request(call: ast.Attribute) -> bool:
    return _name_of(call.value) == "exchange"


def _name_of(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


class Killer:
    """Ends this process, as the kernel would, when it comes to ``point`` for the first time.

    The first commit of the function ``unacknowledged`` is written, and fails all the same, as when
    the connection to a server breaks.
    """

    def __init__(self, point: str, unacknowledged: str = "") -> None:
        self._name, _, self._phase = point.partition(":")
        self._unacknowledged = unacknowledged

    def in_transaction(self, phase: str) -> None:
        """For `crash_points`."""
        if phase == self._phase and self._name == _who():
            self._end()
        if self._unacknowledged and phase == "after" and self._unacknowledged == _who():
            self._unacknowledged = ""
            raise DatabaseUnavailable("the connection broke")

    def in_request(self, method: str, phase: str) -> None:
        """For the exchange."""
        if (method, phase) == (self._name, self._phase):
            self._end()

    def _end(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def _who() -> str:
    """The function of the order path whose transaction this is."""
    frame = sys._getframe(1)
    while frame := frame.f_back:  # type: ignore[assignment]
        if frame.f_code.co_filename in _FILES:
            return frame.f_code.co_qualname
    return ""


_FILES = frozenset(map(str, PATHS))
