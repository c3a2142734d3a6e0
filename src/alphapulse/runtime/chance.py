"""Chance: where waits get their randomness, so that a simulation can draw it from a seed."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random, SystemRandom

_source: Random = SystemRandom()


def share() -> float:
    """A random share, 0 to just below 1. For waits, never for secrets."""
    return _source.random()


@contextmanager
def drawn_from(source: Random) -> Iterator[None]:
    """Take every share from ``source`` while the block runs; only for tests."""
    global _source
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before
