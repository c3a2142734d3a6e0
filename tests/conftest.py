"""Fixtures that every test shares; the larger ones live in ``tests/fixtures``."""

from hypothesis import settings

from tests.memory_disk import use_memory_disk

use_memory_disk()

# How long an example takes is the machine's affair, not that of the code.
settings.register_profile("alphapulse", deadline=None)
settings.load_profile("alphapulse")

pytest_plugins = [
    "tests.fixtures.leaks",
    "tests.fixtures.loop_debug",
    "tests.fixtures.clock",
    "tests.fixtures.api",
    "tests.fixtures.streams",
    "tests.fixtures.database",
    "tests.fixtures.simulator",
]
