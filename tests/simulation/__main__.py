"""``python -m tests.simulation FIRST COUNT``: sweep seeds, and print those that break a promise."""

import sys
import time

from tests.simulation.seeds import first_broken
from tests.simulation.world import simulate


def say(*words: object) -> None:
    """On the standard output."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def main(first: int, count: int) -> int:
    """How many seeds broke a promise."""
    end, broken, began_s = first + count, 0, time.process_time()
    while (found := first_broken(range(first, end))) is not None:
        broken += 1
        say(f"seed {found.seed}: {found.broken}")
        first = found.seed + 1
    say(f"{count / (time.process_time() - began_s):.0f} seeds per second of one core")
    return broken


def show(seed: int) -> int:
    """What happened in one seed."""
    outcome = simulate(seed)
    for step in outcome.trace:
        say(*step)
    say(outcome.broken or "kept every promise")
    return int(outcome.broken is not None)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    sys.exit(min(1, main(*numbers) if len(numbers) > 1 else show(*numbers)))
