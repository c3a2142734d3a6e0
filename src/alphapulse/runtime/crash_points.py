"""Crash points: where a test of crashes may end the process, in each transaction's course.

No setting and no environment variable arms them: only code of the same process can, and only
``tests/crash`` does. Elsewhere a point costs one comparison.
"""

from collections.abc import Callable

on_reached: Callable[[str], None] | None = None
"""Called with what is reached: ``before``, ``in`` (written, not committed) or ``after``."""


def reached(point: str) -> None:
    """Here the process may end."""
    if on_reached is not None:
        on_reached(point)
