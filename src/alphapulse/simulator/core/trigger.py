"""Triggers: the price that an order waits for. Pure, in ticks."""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.order import Side
from alphapulse.simulator.core.instrument import Instrument

WHOLE_BIPS = 10_000


class PriceKind(StrEnum):
    """Which of a market's prices a trigger watches."""

    LAST = "last"
    """What was traded last, or where the driver has moved the market since."""
    MARK = "mark"


class Crossing(StrEnum):
    """How a price comes to a threshold: to it or beyond."""

    RISING = "rising"
    FALLING = "falling"


@dataclass(frozen=True, slots=True)
class Trail:
    """How far the price may turn back: ``bips`` ten-thousandths of it, or ``distance`` (price)."""

    bips: int = 0
    distance: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class TriggerRequest:
    """What an order is asked to wait for.

    ``price`` is the stop price; with ``trail`` it is where following begins, and without one it
    begins at once.
    """

    price: Decimal | None = None
    crossing: Crossing | None = None
    """How ``price`` must be reached; ``None``: from where the market is."""
    by: PriceKind = PriceKind.LAST
    trail: Trail | None = None
    locks_funds: bool = False
    """Set funds aside at once; otherwise they are looked for when it triggers."""
    ends_with_position: bool = False
    """Canceled by the venue when the position that it protects is closed."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger on the grid. It never changes; `seen` gives the next one."""

    crossing: Crossing
    """How ``ticks`` must be reached."""
    by: PriceKind
    ticks: int
    """Stop price, or where following begins; 0: nowhere, it began at once."""
    fires: Crossing
    """The move that brings the order to life: against the trader."""
    trail: Trail | None = None
    trail_ticks: int = 0
    """``trail.distance`` on the grid."""
    best_ticks: int = 0
    """The best price since following began; 0: not yet."""
    locks_funds: bool = False
    ends_with_position: bool = False

    @property
    def stop_ticks(self) -> int:
        """Where it fires as things are; 0 while a trail is not followed yet."""
        if self.trail is None:
            return self.ticks
        if not self.best_ticks:
            return 0
        gap = self.trail_ticks or self.best_ticks * self.trail.bips // WHOLE_BIPS
        return max(1, self.best_ticks + (gap if self.fires is Crossing.RISING else -gap))

    def seen(self, ticks: int) -> "Trigger":
        """After the market came to ``ticks``; itself when that changed nothing."""
        if self.trail is None or not (self.best_ticks or self._begins_at(ticks)):
            return self
        # A buy follows the lowest price, a sell the highest.
        better = min if self.fires is Crossing.RISING else max
        best = better(self.best_ticks or ticks, ticks)
        return self if best == self.best_ticks else replace(self, best_ticks=best)

    def is_reached(self, ticks: int) -> bool:
        """Whether the order comes to life at ``ticks``."""
        stop = self.stop_ticks
        return stop > 0 and is_across(self.fires, stop, ticks)

    def _begins_at(self, ticks: int) -> bool:
        return not self.ticks or is_across(self.crossing, self.ticks, ticks)


def is_across(crossing: Crossing, threshold: int, ticks: int) -> bool:
    """Whether a price of ``ticks`` is at the threshold or beyond."""
    return ticks >= threshold if crossing is Crossing.RISING else ticks <= threshold


def trigger_of(
    request: TriggerRequest, instrument: Instrument, side: Side, now_ticks: int
) -> Trigger:
    """The trigger on the grid, with the market at ``now_ticks`` (0: it has no price)."""
    ticks = 0 if request.price is None else instrument.ticks(request.price)
    crossing = request.crossing
    if crossing is None:
        crossing = Crossing.RISING if ticks >= now_ticks else Crossing.FALLING
    against = Crossing.RISING if side is Side.BUY else Crossing.FALLING
    distance = request.trail.distance if request.trail else None
    trigger = Trigger(
        crossing=crossing,
        by=request.by,
        ticks=ticks,
        fires=against if request.trail else crossing,
        trail=request.trail,
        trail_ticks=instrument.ticks(distance) if distance else 0,
        locks_funds=request.locks_funds,
        ends_with_position=request.ends_with_position,
    )
    return trigger.seen(now_ticks) if now_ticks else trigger
