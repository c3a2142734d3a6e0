"""Measure: CPU time per operation of several sides, interleaved in one run, as ratios of medians.

Wall-clock figures of a shared machine say little, CPU time of the process under test repeats
within 10 to 15 %. So each side runs in this process, one after the other, round by round, and only
ratios between sides of the same run are compared with a floor. Servers and clients that are not
under test belong in another process.
"""

import gc
import inspect
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Side = Callable[[], int | Awaitable[int]]
"""Runs once and answers how many operations that was."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """CPU microseconds per operation of each side, one figure a round, in the order they ran."""

    cpu_us: Mapping[str, tuple[float, ...]]
    operations: int

    def median_us(self, side: str) -> float:
        return statistics.median(self.cpu_us[side])

    def ratio(self, side: str, to: str) -> float:
        """How many times the CPU of ``to`` goes into ``side``: the median of the rounds' ratios."""
        pairs = zip(self.cpu_us[side], self.cpu_us[to], strict=True)
        return statistics.median(one / other for one, other in pairs)


async def interleave(
    sides: Mapping[str, Side],
    *,
    rounds: int = 5,
    cpu_s: Mapping[str, Callable[[], float]] | None = None,
) -> Rounds:
    """Run every side once a round, forwards and backwards in turn, after one uncounted round.

    Args:
        cpu_s: the clocks of those sides that do not compute in this process.
    """
    figures: dict[str, list[float]] = {name: [] for name in sides}
    operations = 0
    for number in range(rounds + 1):
        order = list(sides)[:: 1 if number % 2 == 0 else -1]
        for name in order:
            clock = (cpu_s or {}).get(name, time.process_time)
            cpu_us, count = await _run(sides[name], clock)
            if number > 0:
                figures[name].append(cpu_us)
                operations += count
    return Rounds({name: tuple(each) for name, each in figures.items()}, operations)


async def _run(side: Side, clock: Callable[[], float]) -> tuple[float, int]:
    gc.collect()
    before = clock()
    result = side()
    count = await result if inspect.isawaitable(result) else result
    return (clock() - before) / count * 1e6, count


def report(name: str, *, ratio: float, floor: float, n: int, **more: object) -> bool:
    """Print the one line of a goal and answer whether it is met: ``ratio`` is at least ``floor``.

    State a goal so that more is better: "1/8 of the CPU" is a ratio of 8 with the floor 8.
    """
    facts = "".join(f" {key}={_text(value)}" for key, value in more.items())
    met = ratio >= floor
    verdict = "" if met else "  MISSED"
    print(f"{name} ratio={ratio:.3g} floor={floor:g} n={n}{facts}{verdict}", flush=True)
    return met


def _text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
