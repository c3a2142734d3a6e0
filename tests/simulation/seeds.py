"""Many seeds in a row: what the tests and ``python -m tests.simulation`` share."""

import gc
from collections.abc import Iterable
from pathlib import Path

from loguru import logger

from tests.simulation.world import Outcome, simulate

CORPUS = Path(__file__).with_name("corpus.txt")

COLLECT_EVERY = 50
"""Seeds; each leaves a heap of dead tasks in circles, which costs less to sweep up together."""


def first_broken(seeds: Iterable[int]) -> Outcome | None:
    """The first of the seeds in which a promise is broken."""
    logger.disable("alphapulse")
    gc.freeze()  # what was there before need not be looked through again and again
    gc.disable()
    try:
        for number, seed in enumerate(seeds):
            if (outcome := simulate(seed)).broken is not None:
                return outcome
            if number % COLLECT_EVERY == 0:
                gc.collect()
    finally:
        gc.collect()
        gc.unfreeze()
        gc.enable()
        logger.enable("alphapulse")
    return None


def corpus() -> list[int]:
    """Seeds that found something once; what it was stands behind each."""
    lines = CORPUS.read_text().splitlines()
    return [int(line.split("#")[0]) for line in lines if line and not line.startswith("#")]
