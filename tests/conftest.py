"""Fixtures that every test shares; the larger ones live in ``tests/fixtures``."""

pytest_plugins = [
    "tests.fixtures.leaks",
    "tests.fixtures.clock",
    "tests.fixtures.api",
    "tests.fixtures.streams",
    "tests.fixtures.database",
    "tests.fixtures.simulator",
]
